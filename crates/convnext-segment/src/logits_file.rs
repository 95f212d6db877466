//! Files of logits: safetensors, written band by band, so that they never are in memory as a whole.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use burn::prelude::*;
use convnext_core::{ImageSize, Preprocessing};
use convnext_data::Image;
use convnext_io::replace_file;
use convnext_train::TrainError;

use crate::inference::{InferenceOptions, ScoreBand, for_each_input_band};
use crate::upernet::UperNet;

/// Bytes of a value.
const VALUE: usize = 4;

/// Writes the logits of one look at an image into a file, as the tensor `logits` of `[classes, height, width]` at the size of
/// the network's input.
///
/// # Errors
/// [`TrainError::Output`] when the file cannot be written, and those of [`for_each_input_band`].
pub fn write_logits(
    path: &Path,
    network: (&UperNet, &Device),
    image: &Image,
    preprocessing: &Preprocessing,
    options: &InferenceOptions,
) -> Result<(), TrainError> {
    let classes = network.0.config().classes;
    let mut failed = None;
    let written = replace_file(path, |mut file| {
        let mut start = None;
        let result = for_each_input_band(network, image, preprocessing, options, |band, size| {
            let start = match start {
                Some(start) => start,
                None => *start.insert(write_header(&mut file, classes, size)?),
            };
            write_band(file, start, classes, size, &band).map_err(BandError::Output)
        });
        match result {
            Ok(()) => Ok(()),
            Err(BandError::Output(error)) => Err(error),
            Err(BandError::Network(error)) => {
                failed = Some(error);
                Err(io::Error::other("the network failed"))
            }
        }
    });
    match (failed, written) {
        (Some(error), _) => Err(error),
        (None, written) => written.map_err(|source| TrainError::Output { path: path.to_owned(), source }),
    }
}

/// Failure while logits are written: of the network, or of the file.
enum BandError {
    Network(TrainError),
    Output(io::Error),
}

impl From<TrainError> for BandError {
    fn from(error: TrainError) -> Self {
        Self::Network(error)
    }
}

impl From<io::Error> for BandError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Writes the header of the format. Returns where the values begin.
fn write_header(file: &mut impl Write, classes: usize, size: ImageSize) -> io::Result<u64> {
    let ImageSize { height, width } = size;
    let bytes = classes * height * width * VALUE;
    let mut header = format!(
        r#"{{"logits":{{"dtype":"F32","shape":[{classes},{height},{width}],"data_offsets":[0,{bytes}]}}}}"#
    );
    // Values are aligned to eight bytes.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    Ok((8 + header.len()) as u64)
}

/// Writes some rows of each class to their places.
fn write_band(
    mut file: &File,
    start: u64,
    classes: usize,
    size: ImageSize,
    band: &ScoreBand,
) -> io::Result<()> {
    for class in 0..classes {
        let values = band.scores[class..].iter().step_by(classes);
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        let place = (class * size.height + band.first_row) * size.width * VALUE;
        file.seek(SeekFrom::Start(start + place as u64))?;
        file.write_all(&bytes)?;
    }
    Ok(())
}
