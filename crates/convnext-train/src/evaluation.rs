//! Networks that do not learn: answers, features, and how good they are.

pub(crate) mod best_and_worst;
pub(crate) mod class_scores;
pub(crate) mod evaluate;
pub(crate) mod features;
pub(crate) mod inference;
pub(crate) mod logits;
pub(crate) mod neighbours;
pub(crate) mod results;
pub(crate) mod shared_loader;
pub(crate) mod shared_work;
pub(crate) mod shown_pictures;
pub(crate) mod tally;
pub(crate) mod thumbnails;
