//! Sizes of the images of a study: those that it prints, in the proportion that is asked for.

use convnext_core::{ConfigError, ImageSize, STAGES};

use crate::error::StudyError;
use crate::options::StudyOptions;
use crate::stage::Stage;
use crate::study::Run;

/// Side of the stem's patches, unless the options name another.
const STEM_STRIDE: usize = 4;

/// Side of the images in the paper, to which a size that a run names for itself is related: of segmentation downstream.
fn side_of_paper(stage: Stage) -> usize {
    if stage == Stage::Downstream { 512 } else { 224 }
}

/// The size of the images of a run, where it is not that of its recipe. A size that the options name is that of the runs
/// that name none; the others keep the paper's ratio to it, in the next multiple of the network's stride.
///
/// # Errors
/// [`StudyError::Options`] for a size in the options that is none.
pub(crate) fn image_size(options: &StudyOptions, run: &Run) -> Result<Option<String>, StudyError> {
    let (asked, own) = match (options.stage(run.stage).image_size, run.image_size) {
        (Some(asked), Some(own)) => (asked, own),
        (asked, own) => return Ok(asked.or(own.map(|size| size.to_string()))),
    };
    let size: ImageSize =
        asked.parse().map_err(|error: ConfigError| StudyError::Options(error.to_string()))?;
    let stride = options.stem_stride.unwrap_or(STEM_STRIDE) << (STAGES - 1);
    let ratio = own as f64 / side_of_paper(run.stage) as f64;
    let scaled = |side: usize| (side as f64 * ratio / stride as f64).round().max(1.0) as usize * stride;
    Ok(Some(ImageSize { height: scaled(size.height), width: scaled(size.width) }.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(stage: Stage, own: Option<usize>, asked: Option<&str>, stem_stride: Option<usize>) -> String {
        let run = format!("name = 'a'\nstage = '{}'", stage.name());
        let run = Run { image_size: own, ..toml::from_str(&run).unwrap() };
        let mut options = StudyOptions { stem_stride, ..StudyOptions::default() };
        options.stages.entry(stage).or_default().image_size = asked.map(str::to_owned);
        image_size(&options, &run).unwrap().unwrap_or_default()
    }

    #[test]
    fn sizes_keep_the_ratio_of_the_paper() {
        for (own, asked, stem_stride, expected) in [
            (Some(384), Some("224"), None, "384"),
            (Some(512), Some("224"), None, "512"),
            (Some(384), Some("64"), Some(1), "112"),
            (Some(512), Some("64"), Some(1), "144"),
            (Some(384), Some("64"), None, "96"),
            (Some(384), Some("8"), None, "32"),
            (Some(384), Some("224x112"), None, "384x192"),
            (Some(384), None, None, "384"),
            (None, Some("64"), None, "64"),
            (None, None, None, ""),
        ] {
            let found = size(Stage::Finetuning, own, asked, stem_stride);
            assert_eq!(found, expected, "{own:?} {asked:?} {stem_stride:?}");
        }
        // Segmentation is at 512 px in the paper, but for one row.
        assert_eq!(size(Stage::Downstream, Some(640), Some("128"), None), "160");
        assert_eq!(size(Stage::Downstream, Some(640), Some("512"), None), "640");
    }
}
