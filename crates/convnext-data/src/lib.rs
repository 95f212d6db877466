//! Image decoding, transforms, data sets and loaders for ConvNeXt V2: files in, plain buffers out.
//!
//! - [`decode`] turns the bytes of a file into a [`Picture`] (8 or 16 bit, of as many channels
//!   as the model takes), and [`find_range`] says which values of deep files are black and white;
//! - [`resize`], [`prepare_for_evaluation`] and [`TrainTransform`] turn a picture into the values
//!   that a model sees;
//! - [`RandAugment`], [`ColorJitter`] and [`RandomErasing`] change pictures at random, made of
//!   [`Operation`]s; [`Mixing`] mixes the images of a batch (Mixup, CutMix);
//! - [`open_labelled`], [`open_unlabelled`], [`open_part`] and [`open_pictures`] find the images of a
//!   folder, a `.tar`, a `.tar.gz` or a folder of shards as a [`Dataset`];
//! - [`pack()`] writes a data set as shards;
//! - [`survey()`] looks at every image of a data set and says what is in it and what is wrong with it;
//! - [`Loader`] has the samples of a [`Source`] made ready and batched in background threads; [`ImageSource`]
//!   is the source of images and their classes.
//!
//! **Invariant:** this crate knows neither Burn nor models. Everything random depends on the seed, the
//! epoch and the index of a sample, never on the number of threads or on their timing.

mod archive;
mod augment;
mod cache;
mod caught;
mod class_folders;
mod class_name;
mod corrupt;
mod crop;
mod dataset;
mod decode;
mod decoding;
#[cfg(test)]
mod distributions;
mod division;
mod endings;
mod epoch;
mod error;
mod evaluation;
mod facts;
mod files;
mod format;
mod gif;
mod grey;
mod ground_truth;
mod header_check;
mod headers;
mod image_source;
mod jpeg;
mod label_sets;
mod labels;
mod layout;
mod levels_seen;
mod listing;
mod loader;
mod mixing;
mod open;
mod order;
mod orientation;
mod pack;
mod partial_file;
mod parts;
mod paths;
mod picture;
mod pictures;
mod png_end;
mod range;
mod resample;
mod samples;
mod selection;
mod shards;
mod source;
mod split;
mod storage;
mod survey;
mod tiff_file;
mod transform;
mod tree;

pub use augment::{ColorJitter, Operation, RandAugment, RandomErasing};
pub use cache::Cache;
pub use caught::panic_is_caught;
pub use class_name::canonical_name;
pub use corrupt::{CorruptFile, OnCorrupt};
pub use crop::TrainCrop;
pub use dataset::Dataset;
pub use decode::{decode, decode_as};
pub use decoding::Decoding;
pub use epoch::EpochBatches;
pub use error::DataError;
pub use evaluation::{PreparedImage, prepare_for_evaluation, resize_for_evaluation};
pub use facts::Channels;
pub use header_check::{BackgroundCheck, HeaderCheck, check_headers};
pub use image_source::{ImageBatch, ImageSource, Transform};
pub use label_sets::{classes_of_sets, indices_of_sets, open_label_sets, open_label_sets_part};
pub use loader::{Loader, LoaderConfig};
pub use mixing::{LabelMix, Mixing};
pub use open::{
    LabelledData, Part, is_collection, open_for_evaluation, open_labelled, open_part, open_parts,
    open_pictures, open_unlabelled,
};
pub use orientation::Orientation;
pub use pack::{PackSummary, pack};
pub use parts::Split;
pub use picture::Picture;
pub use pictures::Pictures;
pub use range::{ChannelValues, FoundRange, LEAST_LEVELS, RangeChoice, find_range, levels_used};
pub use resample::{Region, resize, resize_with};
pub use samples::SampleType;
pub use source::{Batch, BatchPlace, Source, Visit};
pub use survey::{
    DuplicateGroup, PartSurvey, ShortSides, Sizes, Spread, Survey, SurveyOptions, SurveyedImage, Thumbnail,
    survey,
};
pub use transform::{TrainTransform, normalize};

/// The example of the README is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
