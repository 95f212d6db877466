//! Weights of ConvNeXt from the Hugging Face hub.
//!
//! - [`WeightSource::parse`]: what a text for weights means, a path or a [`HubModel`];
//! - [`RELEASED`], [`find_released`]: the checkpoints that the authors released, under short names;
//! - [`fetch`]: brings a model into the cache that all tools of the hub share, Python's `huggingface_hub` among them;
//! - [`HubSettings`]: where the hub and that cache are, from the environment.
//!
//! **Invariant:** files are content that a checksum names: what has its place in the cache was checked.
//! **Invariant:** a token goes to the endpoint and to no other host, and is never shown.

mod address;
mod cache;
mod checksum;
mod client;
mod download;
mod error;
mod fetch;
mod model;
mod released;
mod settings;
mod source;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

pub use error::HubError;
pub use fetch::{Fetched, fetch};
pub use model::HubModel;
pub use released::{RELEASED, Released, find_released};
pub use settings::{HubSettings, RetryPolicy, Token};
pub use source::WeightSource;

/// The example of the README is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
