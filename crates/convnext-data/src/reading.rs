//! From the bytes of a file to an image.

pub(crate) mod caught;
pub(crate) mod decode;
pub(crate) mod decoding;
pub(crate) mod facts;
pub(crate) mod format;
pub(crate) mod gif;
pub(crate) mod headers;
pub(crate) mod jpeg;
pub(crate) mod levels_seen;
pub(crate) mod png_end;
pub(crate) mod sample_type;
pub(crate) mod samples;
pub(crate) mod size_limit;
pub(crate) mod stored_size;
pub(crate) mod tiff_file;
