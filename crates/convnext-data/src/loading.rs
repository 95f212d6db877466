//! Data loader: batches in their order, prefetched in threads.

pub(crate) mod cache;
pub(crate) mod corrupt;
pub(crate) mod corrupt_file;
pub(crate) mod epoch;
pub(crate) mod image_batch;
pub(crate) mod image_reader;
pub(crate) mod image_source;
pub(crate) mod loader;
pub(crate) mod loader_config;
pub(crate) mod mixing;
pub(crate) mod order;
pub(crate) mod source;
