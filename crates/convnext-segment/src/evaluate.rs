//! Evaluation of a segmentation network.

use burn::prelude::*;
use convnext_data::DataError;
use convnext_train::{BestAndWorst, SharedLoader, ShownPictures, TrainError};

use crate::confusion::ConfusionMatrix;
use crate::evaluation::{SegmentationEvaluation, SegmentedSample};
use crate::evaluation_source::{EvaluationSource, WholeImage};
use crate::inference::{InferenceOptions, segment};
use crate::input_size::check_image;
use crate::pictures::comparison;
use crate::upernet::UperNet;

/// Measures a network on every image of a loader, whose classes are those of the network; its ranks share them, and all get the
/// results, with pictures of truth beside prediction. Predictions are compared at the size of the label maps. `colours` show the
/// classes; `progress` is told how many images are done.
///
/// # Errors
/// What reading the images reports, [`convnext_data::MaskError::SmallImage`], and those of [`segment`].
pub fn evaluate_segmentation(
    network: (&UperNet, &Device),
    loader: &SharedLoader<EvaluationSource>,
    options: &InferenceOptions,
    colours: &[[u8; 3]],
    mut progress: impl FnMut(usize),
) -> Result<(SegmentationEvaluation, ShownPictures), TrainError> {
    let (set, preprocessing) = (loader.source().set(), loader.source().preprocessing());
    // Of the images that this rank computed. Counts are whole numbers, so they are added up at the end in any order.
    let mut own_counts = ConfusionMatrix::new(network.0.config().classes);
    let mut own_pictures = BestAndWorst::default();
    let compute = |WholeImage { sample }: WholeImage| {
        let Some((sample, image, labels)) = sample else { return Ok(None) };
        let named = (|| set.images().name(sample), image.size());
        let of_network = (network.0.config(), preprocessing.geometry);
        check_image(named, of_network, &options.scales).map_err(DataError::from)?;
        let predicted = segment(network, &image, preprocessing, options)?;
        let mut counts = ConfusionMatrix::new(network.0.config().classes);
        counts.add(&labels.labels, &predicted.labels);
        own_counts.merge(&counts);
        let miou = counts.mean_iou();
        if let Some(miou) = miou {
            own_pictures.add(sample, miou, || comparison(&image, &labels, &predicted, colours));
        }
        Ok(Some((sample, miou)))
    };
    let (mut images, mut shown) = (0, BestAndWorst::default());
    loader.for_each(compute, |found: Option<(usize, Option<f64>)>| {
        images += usize::from(found.is_some());
        if let Some((sample, Some(miou))) = found {
            let image = || SegmentedSample { image: set.images().name(sample), miou, thumbnail: None };
            shown.add(sample, miou, image);
        }
        progress(images);
        Ok::<(), TrainError>(())
    })?;
    let mut counts = ConfusionMatrix::new(network.0.config().classes);
    for of_rank in loader.ranks().all_gather(Ok::<_, TrainError>(own_counts))? {
        counts.merge(&of_rank);
    }
    let pictures = own_pictures.of_all_ranks(&shown, loader.ranks())?;
    let [best, worst] = shown.into_lists();
    let result = SegmentationEvaluation::new(images, &counts, set.classes());
    let result = SegmentationEvaluation { best, worst, left_out: loader.corrupt(), ..result };
    Ok((result, pictures))
}
