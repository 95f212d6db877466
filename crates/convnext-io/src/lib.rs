//! Weight files of ConvNeXt V2: named arrays, safetensors, and their metadata.
//!
//! - [`NamedArray`]: one tensor as name, element type, shape and bytes;
//! - [`read_weights`], [`read_header`]: weight files of this program, or from elsewhere, or folders of them
//!   ([`find_weights`]), whose [`WeightMetadata`](convnext_core::WeightMetadata) is inferred from the shapes;
//! - [`write_weights`]: safetensors with the metadata in the header;
//! - [`write_checkpoint`], [`read_checkpoint`]: the same with the state of a training;
//! - [`write_converted`]: weights under the names of another program ([`Naming`]), for it to load;
//! - [`PackageConfig`]: the configuration files of timm and transformers beside weights;
//! - [`EmbeddingWriter`], [`EmbeddingIndex`]: files of many named embeddings;
//! - [`check_names`]: strict check that the tensors of a file are those of a model;
//!
//! **Invariant:** this crate knows neither Burn nor training nor data sets; arrays are plain bytes.

mod array;
mod arrays_file;
mod class_names;
mod convert;
mod detector_names;
mod element_type;
mod embeddings;
mod error;
mod foreign;
mod naming;
mod open_file;
mod package_config;
mod replace_file;
mod run_files;
mod safetensors_file;
mod shards;
mod strict;
mod tensor_file;
mod tensor_info;
#[cfg(test)]
mod test_files;
mod torch_file;
mod upernet_names;
mod weight_file;
mod weight_folder;

pub use array::{ArraySource, NamedArray};
pub use arrays_file::write_arrays;
pub use class_names::read_class_names;
pub use convert::write_converted;
pub use element_type::ElementType;
pub use embeddings::{EmbeddingIndex, EmbeddingMetadata, EmbeddingWriter};
pub use error::{IoError, ShapeMismatch};
pub use foreign::Origin;
pub use naming::Naming;
pub use package_config::{PackageConfig, PackageCrop};
pub use replace_file::{UNFINISHED_SUFFIX, replace_file};
pub use run_files::{
    AVERAGED_WEIGHTS_FILE, BEST_WEIGHTS_FILE, CHECKPOINTS_FOLDER, CONFIG_FILE, EVALUATION_FILE, METRICS_FILE,
    SUMMARY_FILE, WEIGHTS_FILE,
};
pub use safetensors_file::{TRAINING_PREFIX, write_checkpoint, write_weights};
pub use shards::files_of;
pub use strict::{check_names, check_shapes, fits};
pub use tensor_info::TensorInfo;
pub use weight_file::{CheckpointFile, Header, WeightFile, read_checkpoint, read_header, read_weights};
pub use weight_folder::find_weights;
