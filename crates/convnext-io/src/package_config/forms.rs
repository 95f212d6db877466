//! The forms in which timm and transformers write sizes, names and numbers.

use std::collections::BTreeMap;

use convnext_core::ImageSize;
use serde::Deserialize;

/// A size as transformers writes it, in one of four ways.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Size {
    Side(usize),
    Sides([usize; 2]),
    ShortestEdge { shortest_edge: usize, longest_edge: Option<f64> },
    Box { height: usize, width: usize },
}

impl Size {
    /// Height and width; of a shortest edge those of its square.
    pub(super) fn sides(self) -> ImageSize {
        match self {
            Self::Side(side) | Self::ShortestEdge { shortest_edge: side, .. } => ImageSize::square(side),
            Self::Sides([height, width]) | Self::Box { height, width } => ImageSize { height, width },
        }
    }
}

/// Names of classes, in order or by number.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Labels {
    InOrder(Vec<String>),
    ByNumber(BTreeMap<String, String>),
}

impl Labels {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::InOrder(names) => names.is_empty(),
            Self::ByNumber(names) => names.is_empty(),
        }
    }

    /// The names in the order of the logits, if they count from 0 without gaps.
    pub(super) fn in_order(self) -> Option<Vec<String>> {
        match self {
            Self::InOrder(names) => Some(names),
            Self::ByNumber(mut names) => {
                (0..names.len()).map(|index| names.remove(&index.to_string())).collect()
            }
        }
    }
}

/// A number for all channels, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Numbers {
    One(f32),
    Each(Vec<f32>),
}

impl Numbers {
    pub(super) fn into_list(self) -> Vec<f32> {
        match self {
            Self::One(number) => vec![number],
            Self::Each(numbers) => numbers,
        }
    }
}
