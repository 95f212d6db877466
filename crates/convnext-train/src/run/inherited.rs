//! What a run takes from its beginning, from the run that it repeats, and from the weights that it starts from.

use std::path::Path;

use convnext_core::{ImageSize, Preprocessing, ValueRange};
use convnext_data::{Dataset, FoundRange, find_range};

use crate::error::TrainError;
use crate::run::recorded::{RunBeginning, recorded_config, recorded_range};
use crate::run::run_changes::ResumeMode;
use crate::run::run_settings::RunSettings;
use crate::weights::read_metadata;

impl RunSettings {
    /// What the run that goes on began with; `None` for a new one, and where there is no run yet.
    ///
    /// # Errors
    /// [`TrainError::BadRun`] when its configuration is damaged.
    pub(crate) fn begun_with(&self) -> Result<Option<RunBeginning>, TrainError> {
        if self.resume == ResumeMode::New { Ok(None) } else { RunBeginning::read(&self.out) }
    }

    /// Preprocessing for images of this size and so many channels, with the reason: as the weights to start
    /// from say, where there are any. Which of the images' values are black and white was perhaps asked for,
    /// or is found in them; a run that goes on has the range that it began with, unless it is asked for
    /// another.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the weights cannot be read, [`TrainError::BadRun`] when the folder of a run that goes on is
    /// damaged, and those of [`find_range`].
    pub(crate) fn preprocessing(
        &self,
        image_size: ImageSize,
        channels: usize,
        images: &Dataset,
        begun: Option<&RunBeginning>,
    ) -> Result<(Preprocessing, String), TrainError> {
        let start = self.init.as_deref().map(read_metadata).transpose()?;
        let of_weights = start.map(|metadata| metadata.preprocessing);
        let preprocessing = Preprocessing::of_training(of_weights.as_ref(), image_size, channels);
        let stated = of_weights.map_or(ValueRange::Unstated, |preprocessing| preprocessing.range);
        let FoundRange { range, why } = self.find_range(&stated, images, channels, begun)?;
        // Nobody asked for it, and much depends on it.
        if self.range.is_none() && !why.is_empty() {
            log::warn!("{why}");
        }
        Ok((Preprocessing { range, ..preprocessing }, why))
    }

    /// The range of [`Self::preprocessing`].
    fn find_range(
        &self,
        of_weights: &ValueRange,
        images: &Dataset,
        channels: usize,
        begun: Option<&RunBeginning>,
    ) -> Result<FoundRange, TrainError> {
        let repeated = self.repeated_with_these_inputs()?.map(recorded_range).transpose()?.flatten();
        if self.range.is_none()
            && let Some(range) = begun.map(|begun| begun.range.clone()).or(repeated)
        {
            let why = match &range {
                ValueRange::Unstated => String::new(),
                range => format!("range {range}, as the run began"),
            };
            return Ok(FoundRange { range, why });
        }
        Ok(find_range(self.range.as_ref(), of_weights, images, channels, self.seed, self.threads)?)
    }

    /// The repeated run, if its images and its start are those of this one: the value range of others says nothing here.
    fn repeated_with_these_inputs(&self) -> Result<Option<&Path>, TrainError> {
        let Some(run) = self.repeats.as_deref() else { return Ok(None) };
        let config = recorded_config(run)?;
        let path = |key| config.as_ref()?.get(key)?.as_str().map(Path::new);
        let has_these = path("data") == Some(&self.data) && path("init") == self.init.as_deref();
        Ok(Some(run).filter(|_| has_these))
    }

    /// Warns when the training images are not those of the run that is repeated.
    ///
    /// # Errors
    /// [`TrainError::BadRun`] when its configuration is damaged.
    pub(crate) fn compare_with_repeated(&self, images: &Dataset) -> Result<(), TrainError> {
        let Some(run) = &self.repeats else { return Ok(()) };
        let recorded = recorded_config(run)?.and_then(|config| config.get("data_checksum")?.as_integer());
        if recorded.is_some_and(|recorded| recorded != i64::from(images.fingerprint())) {
            log::warn!(
                "the training images or their labels are not those of {}, so that the result will differ",
                run.display()
            );
        }
        Ok(())
    }
}
