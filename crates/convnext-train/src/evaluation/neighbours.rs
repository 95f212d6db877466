//! k-nearest-neighbour classification: measures how well features tell classes apart without any training, by
//! the nearest images whose classes are known.

use burn::tensor::{Device, Tensor, TensorData};
use convnext_core::{ClassNames, Seed};
use convnext_data::Dataset;
use convnext_distributed::Ranks;
use convnext_nn::tensor_values;

use crate::error::TrainError;
use crate::evaluation::evaluate::match_classes;
use crate::evaluation::features::Features;
use crate::evaluation::results::Evaluation;
use crate::evaluation::shared_work::share_work;
use crate::evaluation::tally::{Answer, Tally};

/// Temperature of the votes, which are `exp(cosine / 0.07)`: the lower, the more nearer images count (Wu et
/// al. 2018, "Unsupervised feature learning via non-parametric instance discrimination"; the value that DINO
/// and others report with).
const TEMPERATURE: f64 = 0.07;

/// Images that are compared with all others at once.
const BLOCK: usize = 256;

/// Gives each image of `asked` the class that its `neighbours` nearest images of `known` vote for, by the cosine of
/// their features, and counts how often that is right. Ranks share the images that are asked; all have the features of all.
///
/// # Errors
/// [`TrainError::UnknownClass`] when `asked` has a class that `known` has not.
pub fn classify_by_neighbours(
    known: (&Features, &ClassNames),
    asked: (&Features, &Dataset),
    neighbours: usize,
    ranks: &Ranks,
) -> Result<Evaluation, TrainError> {
    let ((known, names), (asked, dataset)) = (known, asked);
    let to_known = match_classes(dataset.classes(), names)?;
    let device = Device::flex();
    let matrix = |values: &[f32], width: usize| {
        let shape = [values.len() / width, width];
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device)
    };
    let columns = matrix(&known.values, known.width).transpose();
    let mut tally = Tally::new(names.len()).showing(dataset, Seed::default());
    let blocks: Vec<&[f32]> = asked.values.chunks(BLOCK * asked.width).collect();
    let compute = |block: usize| -> Result<Vec<Answer>, TrainError> {
        let cosines = tensor_values(matrix(blocks[block], asked.width).matmul(columns.clone()));
        let answer = |(place, cosines): (usize, &[f32])| {
            let sample = block * BLOCK + place;
            let label = asked.labels[sample]?;
            let votes = votes(cosines, &known.labels, names.len(), neighbours);
            Some(Answer::new(sample, &votes, to_known[label]))
        };
        let cosines = cosines.chunks_exact(known.labels.len().max(1));
        Ok(cosines.enumerate().filter_map(answer).collect())
    };
    share_work(ranks, blocks.len(), compute, |answers| {
        answers.into_iter().for_each(|answer| tally.add(answer));
        Ok::<_, TrainError>(())
    })?;
    Ok(tally.finish(names, |sample| dataset.name(sample).to_owned()))
}

/// The logarithm of the share of the votes that each class gets.
fn votes(cosines: &[f32], labels: &[Option<usize>], classes: usize, neighbours: usize) -> Vec<f64> {
    /// Of a class without a vote, so that its logarithm is a number.
    const NO_VOTE: f64 = 1e-12;
    let mut order: Vec<usize> = (0..cosines.len()).collect();
    // Equally near ones in the order of the data.
    let nearer = |&a: &usize, &b: &usize| cosines[b].total_cmp(&cosines[a]).then(a.cmp(&b));
    if neighbours < order.len() {
        order.select_nth_unstable_by(neighbours, nearer);
        order.truncate(neighbours);
    }
    order.sort_unstable_by(nearer);
    let mut votes = vec![NO_VOTE; classes];
    for index in order {
        if let Some(label) = labels[index] {
            // A cosine is at most 1: no vote can overflow.
            votes[label] += ((f64::from(cosines[index]) - 1.0) / TEMPERATURE).exp();
        }
    }
    let total: f64 = votes.iter().sum();
    votes.into_iter().map(|vote| (vote / total).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_vote_and_nearer_ones_count_more() {
        let labels = [Some(0), Some(1), Some(1), Some(2)];
        let cosines = [0.9, 0.8, 0.79, -1.0];
        let shares = |neighbours| -> Vec<f64> {
            votes(&cosines, &labels, 3, neighbours).into_iter().map(f64::exp).collect()
        };
        assert!(shares(1)[0] > 0.999);
        let found = shares(3);
        let weight = |cosine: f64| (cosine / TEMPERATURE).exp();
        let expected = weight(0.9) / (weight(0.9) + weight(0.8) + weight(0.79));
        assert!((found[0] - expected).abs() < 1e-6, "{found:?}");
        assert!(found[2] < 1e-9);
        // More neighbours than there are images.
        assert!(shares(9)[2] > 0.0 && (shares(9).iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
