//! Trainings whose results depend on the number of ranks that share them: others have the bits of one process.

use crate::plan::PlannedRun;

/// The words that start the ranks of trainings, where the results of any of these depend on their number.
pub fn deciding_launcher(plan: &[PlannedRun], launcher: &[String]) -> Option<Vec<String>> {
    let depends = |run: &PlannedRun| run.stage.is_training() && depends_on_ranks(&run.arguments);
    plan.iter().any(depends).then(|| launcher.to_vec())
}

/// `true` if the results of a command depend on the number of ranks: each adds up its own gradients first, or batch norms are
/// over the images of all of them.
pub(crate) fn depends_on_ranks(words: &[String]) -> bool {
    let is_pair = |pair: &[String]| pair[0] == "--sum" && pair[1] == "fast";
    words.windows(2).any(is_pair)
        || words.iter().any(|word| word == "--sum=fast" || word == "--sync-batch-norm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_sums_and_shared_batch_norms_depend_on_the_ranks() {
        let depends = |line: &str| {
            depends_on_ranks(&line.split_whitespace().map(str::to_owned).collect::<Vec<String>>())
        };
        assert!(depends("pretrain --sum fast --seed 0") && depends("pretrain --sum=fast"));
        assert!(depends("finetune --task segment --sync-batch-norm"));
        assert!(!depends("pretrain --sum ordered --name fast") && !depends("pretrain --sum"));
    }
}
