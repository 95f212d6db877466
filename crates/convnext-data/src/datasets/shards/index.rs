//! Index of the shards of one folder.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use super::{Place, Shard};
use crate::datasets::class_name::canonical_name;

/// The images of the shards of one folder and their labels, as the shards have them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Index {
    pub(crate) shards: Vec<Shard>,
    /// Number of images in each shard.
    pub(crate) counts: Vec<u32>,
    /// What is left out of each shard, or not understood, in words.
    pub(crate) remarks: Vec<Vec<String>>,
    /// All images, one shard after the other.
    pub(crate) images: Vec<IndexedImage>,
    /// The labels that are names.
    pub(crate) names: LabelNames,
}

/// An image of a shard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct IndexedImage {
    pub(crate) place: Place,
    pub(crate) label: Label,
}

/// A label as it stands in a shard, in 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) u32);

impl Label {
    /// No label, or none that could be understood.
    pub(crate) const NONE: Self = Self(u32::MAX);
    const NAMED: u32 = 1 << 31;

    /// The class with this number; none where it is beyond any sense.
    pub(crate) fn number(number: u64) -> Self {
        u32::try_from(number).ok().filter(|number| number & Self::NAMED == 0).map_or(Self::NONE, Self)
    }

    /// Value of the label.
    pub(crate) fn meaning(self) -> Meaning {
        match self {
            Self::NONE => Meaning::None,
            Self(number) if number & Self::NAMED == 0 => Meaning::Number(number as usize),
            Self(number) => Meaning::Name((number & !Self::NAMED) as usize),
        }
    }
}

/// Value of a [`Label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    None,
    /// The number of a class.
    Number(usize),
    /// The position of a name in [`LabelNames`].
    Name(usize),
}

/// Labels that are names, each once.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LabelNames {
    pub(crate) list: Vec<String>,
    positions: HashMap<String, u32>,
}

impl LabelNames {
    /// The label for a name.
    pub(crate) fn label(&mut self, name: &str) -> Label {
        let name = canonical_name(name);
        let next = self.list.len() as u32;
        if next == Label::NAMED - 1 {
            return Label::NONE;
        }
        let position = *self.positions.entry(name.clone()).or_insert_with(|| {
            self.list.push(name);
            next
        });
        Label(position | Label::NAMED)
    }
}

impl Index {
    /// Index of some of the shards.
    pub(crate) fn only(self, own: &BTreeSet<PathBuf>) -> Self {
        let mut some = Self::default();
        let mut rest = &self.images[..];
        for ((shard, count), remarks) in self.shards.into_iter().zip(self.counts).zip(self.remarks) {
            let (images, others) = rest.split_at(count as usize);
            rest = others;
            if own.contains(&shard.path) {
                some.shards.push(shard);
                some.counts.push(count);
                some.remarks.push(remarks);
                some.images.extend(images.iter().map(|image| match image.label.meaning() {
                    Meaning::Name(name) => {
                        IndexedImage { label: some.names.label(&self.names.list[name]), ..*image }
                    }
                    _ => *image,
                }));
            }
        }
        some
    }
}
