//! The folder of one run: resolved configuration, metrics, weights.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::TrainError;

/// Name of the weight file of a finished run.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Name of the weight file with the moving average of a finished run.
pub const AVERAGED_WEIGHTS_FILE: &str = "weights-ema.safetensors";

const CONFIG_FILE: &str = "config.toml";
const METRICS_FILE: &str = "metrics.jsonl";

/// An open run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: BufWriter<File>,
}

impl RunFolder {
    /// Makes the folder and writes the resolved configuration into it, so that an unwritable place is
    /// found before any work is done.
    ///
    /// # Errors
    /// [`TrainError::OutputUsed`] when the folder holds anything, [`TrainError::Output`] when it
    /// cannot be written.
    pub fn create(path: &Path, config: &impl Serialize) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(|source| output(path, source))?;
        let mut entries = fs::read_dir(path).map_err(|source| output(path, source))?;
        if entries.next().is_some() {
            return Err(TrainError::OutputUsed(path.to_owned()));
        }
        let config_path = path.join(CONFIG_FILE);
        let text = toml::to_string(config).map_err(|error| output(&config_path, io::Error::other(error)))?;
        fs::write(&config_path, text).map_err(|source| output(&config_path, source))?;
        let metrics_path = path.join(METRICS_FILE);
        let metrics = File::create(&metrics_path).map_err(|source| output(&metrics_path, source))?;
        Ok(Self { path: path.to_owned(), metrics: BufWriter::new(metrics) })
    }

    /// Where the weights go at the end.
    pub fn weights(&self) -> PathBuf {
        self.path.join(WEIGHTS_FILE)
    }

    /// Where the averaged weights go at the end.
    pub fn averaged_weights(&self) -> PathBuf {
        self.path.join(AVERAGED_WEIGHTS_FILE)
    }

    /// Appends one line of JSON to the metrics.
    ///
    /// # Errors
    /// [`TrainError::Output`] when the line cannot be written.
    pub fn record(&mut self, entry: &impl Serialize) -> Result<(), TrainError> {
        let path = self.path.join(METRICS_FILE);
        let line = serde_json::to_string(entry).map_err(|error| output(&path, error.into()))?;
        writeln!(self.metrics, "{line}").map_err(|source| output(&path, source))
    }

    /// Makes the metrics so far visible to readers.
    ///
    /// # Errors
    /// [`TrainError::Output`] when they cannot be written.
    pub fn flush(&mut self) -> Result<(), TrainError> {
        let path = self.path.join(METRICS_FILE);
        self.metrics.flush().map_err(|source| output(&path, source))
    }
}

fn output(path: &Path, source: io::Error) -> TrainError {
    TrainError::Output { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = std::collections::BTreeMap::from([("seed", 1)]);
        let mut run = RunFolder::create(folder.path(), &config).unwrap();
        run.record(&config).unwrap();
        run.flush().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(METRICS_FILE)).unwrap(), "{\"seed\":1}\n");
        let error = RunFolder::create(folder.path(), &config).unwrap_err();
        assert!(matches!(error, TrainError::OutputUsed(_)), "{error}");
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = RunFolder::create(&file, &1).unwrap_err().to_string();
        assert!(error.contains("taken"), "{error}");
    }
}
