//! The two files of a run that grow with every step: its metrics, and the same as events for TensorBoard.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convnext_io::METRICS_FILE;
use serde::Serialize;

use crate::error::TrainError;
use crate::run::events::{self, EVENTS_FILE};
use crate::run::files::{open_to_append, output};

/// Metrics and events of a run, open to grow.
#[derive(Debug)]
pub(crate) struct Logs {
    /// The run folder.
    run: PathBuf,
    metrics: File,
    events: File,
}

/// Bytes of both files at one moment, to which they can be cut back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogLengths {
    pub(crate) metrics: u64,
    pub(crate) events: u64,
}

impl Logs {
    /// Opens both, for this process alone.
    ///
    /// # Errors
    /// [`TrainError::InUse`] when another process writes them, [`TrainError::Output`] when they cannot be opened.
    pub(crate) fn open(run: &Path) -> Result<Self, TrainError> {
        let metrics = open_to_append(&run.join(METRICS_FILE))?;
        // The system lets the lock go with the process, however that ends. Where a file system knows no
        // locks, the run goes on without.
        if let Err(TryLockError::WouldBlock) = metrics.try_lock() {
            return Err(TrainError::InUse(run.to_owned()));
        }
        Ok(Self { events: open_to_append(&run.join(EVENTS_FILE))?, metrics, run: run.to_owned() })
    }

    /// Forgets what was written after a moment.
    ///
    /// # Errors
    /// [`TrainError::Output`] when a file cannot be cut.
    pub(crate) fn cut_back(&mut self, to: LogLengths) -> Result<(), TrainError> {
        let fail = |name: &str| {
            let path = self.run.join(name);
            move |source| output(&path, source)
        };
        cut_back(&self.metrics, to.metrics).map_err(fail(METRICS_FILE))?;
        if cut_back(&self.events, to.events).map_err(fail(EVENTS_FILE))? == 0 {
            events::begin(&mut self.events).map_err(|source| output(&self.run.join(EVENTS_FILE), source))?;
        }
        Ok(())
    }

    /// Brings both to the disk and tells their lengths, for a checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Output`] when the disk refuses.
    pub(crate) fn sync(&self) -> Result<LogLengths, TrainError> {
        let length = |file: &File, name: &str| {
            let length = file.sync_data().and_then(|()| file.metadata()).map(|metadata| metadata.len());
            length.map_err(|source| output(&self.run.join(name), source))
        };
        Ok(LogLengths {
            metrics: length(&self.metrics, METRICS_FILE)?,
            events: length(&self.events, EVENTS_FILE)?,
        })
    }

    /// Appends a line to the metrics, and its numbers to the events of a step.
    ///
    /// # Errors
    /// [`TrainError::Output`] when they cannot be written.
    pub(crate) fn append<'a>(
        &mut self,
        line: &impl Serialize,
        step: usize,
        values: impl Iterator<Item = (&'a str, f64)>,
    ) -> Result<(), TrainError> {
        self.append_line(line)?;
        let written = events::record(&mut self.events, step, values);
        written.map_err(|source| output(&self.run.join(EVENTS_FILE), source))
    }

    /// Appends a line to the metrics that has no numbers for the events.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub(crate) fn append_line(&mut self, line: &impl Serialize) -> Result<(), TrainError> {
        let path = self.run.join(METRICS_FILE);
        let mut line = serde_json::to_vec(line).map_err(|error| output(&path, error.into()))?;
        line.push(b'\n');
        self.metrics.write_all(&line).map_err(|source| output(&path, source))
    }
}

/// Cuts a file to a length, if it is longer; tells the new one.
fn cut_back(file: &File, length: u64) -> io::Result<u64> {
    let length = length.min(file.metadata()?.len());
    file.set_len(length)?;
    Ok(length)
}
