//! Order of the runs of a plan: which one begins when, on several places.

use crate::plan::PlannedRun;
use crate::stage::Stage;

/// The stand of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Open,
    Running,
    /// To its end, so that others may begin.
    Finished,
    /// With a loss that is not finite, as it would again.
    Diverged,
    /// Otherwise, or not at all.
    Unfinished,
}

/// The run without which another one cannot begin, if there is such a one that has ended. An analysis of several networks
/// does without those that diverged.
pub(crate) fn missing(run: &PlannedRun, stands: &[Stand]) -> Option<usize> {
    let lost = run.needs.iter().find(|needed| stands[**needed] == Stand::Unfinished);
    let all_diverged = run.needs.iter().all(|needed| stands[*needed] == Stand::Diverged);
    lost.or_else(|| run.needs.first().filter(|_| all_diverged)).copied()
}

/// The first run of a plan that can begin. One whose speed is measured runs alone.
pub(crate) fn next_run(plan: &[PlannedRun], stands: &[Stand]) -> Option<usize> {
    let running = |place: &usize| stands[*place] == Stand::Running;
    let is_alone = |place: usize| plan[place].stage == Stage::Bench;
    let any_runs = (0..plan.len()).any(|place| running(&place));
    if (0..plan.len()).filter(running).any(is_alone) {
        return None;
    }
    let has_ended = |needed: &usize| matches!(stands[*needed], Stand::Finished | Stand::Diverged);
    (0..plan.len()).find(|place| {
        stands[*place] == Stand::Open
            && plan[*place].needs.iter().all(has_ended)
            && missing(&plan[*place], stands).is_none()
            && !(any_runs && is_alone(*place))
    })
}

/// Seconds that a plan takes on so many places, from those of each run.
pub(crate) fn duration(plan: &[PlannedRun], seconds: &[f64], places: usize) -> f64 {
    let mut stands = vec![Stand::Open; plan.len()];
    let mut running: Vec<(f64, usize)> = Vec::new();
    let mut now = 0.0;
    loop {
        while let Some(next) = next_run(plan, &stands).filter(|_| running.len() < places) {
            stands[next] = Stand::Running;
            running.push((now + seconds[next], next));
        }
        let first = (0..running.len()).min_by(|a, b| running[*a].0.total_cmp(&running[*b].0));
        let Some(first) = first else { return now };
        let (end, place) = running.swap_remove(first);
        (now, stands[place]) = (end, Stand::Finished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stage: Stage, needs: Option<usize>) -> PlannedRun {
        PlannedRun {
            id: String::new(),
            name: String::new(),
            stage,
            seed: 0,
            labels: None,
            arguments: Vec::new(),
            length: None,
            folder: Default::default(),
            needs: needs.into_iter().collect(),
        }
    }

    #[test]
    fn a_plan_takes_as_long_as_its_longest_chain_or_its_share_of_the_places() {
        let chain = [
            run(Stage::Pretraining, None),
            run(Stage::Finetuning, Some(0)),
            run(Stage::Finetuning, Some(0)),
            run(Stage::Finetuning, None),
        ];
        let seconds = [8.0, 2.0, 4.0, 3.0];
        for (places, expected) in [(1, 17.0), (2, 12.0), (3, 12.0), (9, 12.0)] {
            assert_eq!(duration(&chain, &seconds, places), expected, "{places} places");
        }
    }

    #[test]
    fn a_bench_runs_alone() {
        let plan = [run(Stage::Finetuning, None), run(Stage::Bench, None), run(Stage::Finetuning, None)];
        assert_eq!(duration(&plan, &[4.0, 1.0, 2.0], 3), 5.0);
        assert_eq!(next_run(&plan, &[Stand::Finished, Stand::Running, Stand::Open]), None);
        assert_eq!(next_run(&plan, &[Stand::Running, Stand::Open, Stand::Open]), Some(2));
    }
}
