//! Batches of several ranks, for synchronised batch norms.

use convnext_nn::SharedBatch;
use convnext_train::Ranks;

/// The batch that ranks have parts of: a micro-batch of each. Sums are added in the order of the ranks.
pub fn batch_of_ranks(ranks: &Ranks) -> SharedBatch {
    let ranks = ranks.clone();
    SharedBatch::new(move |values| {
        let mut all = vec![0.0; values.len() * ranks.size()];
        ranks.all_gather_values(values, &mut all);
        let mut parts = all.chunks_exact(values.len());
        if let Some(first) = parts.next() {
            values.copy_from_slice(first);
        }
        for part in parts {
            values.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
    })
}
