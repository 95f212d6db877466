//! Image decoding, transforms, data sets and loaders for ConvNeXt V2: files in, plain buffers out.
//!
//! - [`decode`] turns the bytes of a file into a [`Image`] (8 or 16 bit, of as many channels
//!   as the model takes), and [`find_range`] says which values of deep files are black and white;
//! - [`resize`], [`prepare_for_evaluation`] and [`TrainTransform`] turn an image into the values
//!   that a model sees;
//! - [`RandAugment`], [`ColorJitter`] and [`RandomErasing`] change images at random, made of
//!   [`Operation`]s; [`Mixing`] mixes the images of a batch (Mixup, CutMix);
//! - [`open_labelled`], [`open_unlabelled`], [`open_part`] and [`open_images`] find the images of a
//!   folder, a `.tar`, a `.tar.gz` or a folder of shards as a [`Dataset`]; [`open_segmentation`] finds images with a
//!   mask each, whose labels are a [`LabelMap`];
//! - [`open_detection`] finds images with annotations of objects, [`Instance`]s with boxes and perhaps masks, and
//!   [`DetectionTransform`] prepares them for training;
//! - [`pack()`] writes a data set as shards, [`split_into_folders`] as folders for training, validation and test;
//! - [`survey()`] looks at every image of a data set and says what is in it and what is wrong with it;
//! - [`Loader`] has the samples of a [`Source`] prepared and batched in background threads; [`ImageSource`]
//!   is the source of images and their classes.
//!
//! **Invariant:** this crate knows neither Burn nor models. Everything random depends on the seed, the
//! epoch and the index of a sample, never on the number of threads or on their timing.

mod checks;
mod datasets;
mod detection;
mod error;
mod instances;
mod loading;
mod pixels;
mod reading;
mod segmentation;
mod transforms;

pub use checks::header_check::{BackgroundCheck, HeaderCheck, check_headers};
pub use checks::range::{ChannelValues, FoundRange, RangeChoice, find_range, levels_used};
pub use checks::survey::{
    DuplicateGroup, PartSurvey, ShortSides, Sizes, Spread, Survey, SurveyOptions, SurveyedImage, Thumbnail,
    survey,
};
pub use datasets::class_files::{FreeNames, folder_name};
pub use datasets::class_name::canonical_name;
pub use datasets::class_sets::{classes_of_sets, members_of_sets};
pub use datasets::dataset::Dataset;
pub use datasets::label_sets::{open_label_sets, open_label_sets_part};
pub use datasets::labelled_data::{LabelledData, Part};
pub use datasets::open::{
    is_collection, open_for_evaluation, open_image, open_images, open_labelled, open_part, open_parts,
    open_unlabelled,
};
pub use datasets::pack::{PackSummary, pack, pack_parts};
pub use datasets::parts::Split;
pub use datasets::read_only::{open_labelled_read_only, open_unlabelled_read_only};
pub use datasets::relative::is_hidden;
pub use datasets::shards::index_file::INDEX_FILE as SHARDS_INDEX_FILE;
pub use datasets::split::HELD_OUT;
pub use datasets::split_folders::{SplitOptions, SplitSummary, split_into_folders};
pub use datasets::training_place::{TrainingPlace, training_place};
pub use datasets::undivided::open_undivided;
pub use detection::convert::{AnnotationFormat, ConvertSummary, convert_annotations};
pub use detection::data::{DetectionData, DetectionLayout, DetectionPart};
pub use detection::error::AnnotationError;
pub use detection::open::{open_detection, open_detection_part};
pub use detection::quirks::AnnotationRemark;
pub use detection::set::DetectionSet;
pub use detection::survey::{AREA_BOUNDS, DetectionSurvey, SurveyedObjects, survey_detection};
pub use detection::tiles::TileOptions;
pub use error::DataError;
pub use instances::instance::{Instance, InstanceMask};
pub use instances::run_lengths::RunLengths;
pub use loading::cache::Cache;
pub use loading::corrupt::OnCorrupt;
pub use loading::corrupt_file::CorruptFile;
pub use loading::epoch::{EpochBatches, MadeBatch};
pub use loading::image_batch::{ImageBatch, LabelMix};
pub use loading::image_reader::ImageReader;
pub use loading::image_source::{ImageSource, Transform};
pub use loading::loader::Loader;
pub use loading::loader_config::LoaderConfig;
pub use loading::mixing::Mixing;
pub use loading::source::{Batch, BatchContext, SampleContext, Source};
pub use pixels::image::Image;
pub use pixels::label_map::LabelMap;
pub use pixels::orientation::Orientation;
pub use pixels::outlines::{Ring, outlines};
pub use pixels::palette::{IGNORED_COLOUR, class_colours};
pub use pixels::resample::{Region, resize, resize_with};
pub use reading::caught::panic_is_caught;
pub use reading::decode::{decode, decode_as};
pub use reading::decoding::Decoding;
pub use reading::facts::Channels;
pub use reading::levels_seen::MIN_LEVELS;
pub use reading::sample_type::SampleType;
pub use segmentation::data::{SegmentationData, SegmentationLayout, SegmentationPart};
pub use segmentation::error::MaskError;
pub use segmentation::learned_classes::LearnedClasses;
pub use segmentation::open::{open_segmentation, open_segmentation_part};
pub use segmentation::set::SegmentationSet;
pub use segmentation::survey::{SegmentationSurvey, SurveyedLabels, SurveyedValue, survey_masks};
pub use segmentation::value::MaskValue;
pub use transforms::augment::{ColorJitter, Operation, RandAugment, RandomErasing};
pub use transforms::bordered::Bordered;
pub use transforms::copy_paste::{CopyPaste, copy_paste};
pub use transforms::crop::TrainCrop;
pub use transforms::detection::{AnnotatedImage, DetectionResize, DetectionTransform};
pub use transforms::distortion::Distortion;
pub use transforms::drawn::DrawnTransform;
pub use transforms::evaluation::{PreparedImage, prepare_for_evaluation, resize_for_evaluation};
pub use transforms::mirror::{mirror, mirror_row};
pub use transforms::resized_cut::ResizedCut;
pub use transforms::segmentation::{LabelledImage, SegmentationTransform};
pub use transforms::step::Step;
pub use transforms::transform::{TrainTransform, normalize};

/// The example of the README is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
