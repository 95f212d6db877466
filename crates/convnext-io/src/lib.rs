//! Weight files of ConvNeXt V2: named arrays, safetensors, and their metadata.
//!
//! - [`NamedArray`]: one tensor as name, element type, shape and bytes;
//! - [`read_weights`], [`write_weights`], [`read_header`]: safetensors files, with a
//!   [`WeightMetadata`](convnext_core::WeightMetadata) in their header;
//! - [`check_names`]: do the arrays of a file fit a model, by name and shape?
//!
//! **Invariant:** this crate knows neither Burn nor training nor data sets; arrays are plain bytes.

mod array;
mod error;
mod safetensors_file;
mod strict;

pub use array::{ElementType, NamedArray};
pub use error::{IoError, Misshapen};
pub use safetensors_file::{Header, TensorInfo, WeightFile, read_header, read_weights, write_weights};
pub use strict::check_names;
