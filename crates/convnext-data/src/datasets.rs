//! Data sets: images in folders, archives and shards, their labels and splits.

pub(crate) mod archive;
pub(crate) mod class_folders;
pub(crate) mod class_name;
pub(crate) mod dataset;
pub(crate) mod division;
pub(crate) mod extensions;
pub(crate) mod files;
pub(crate) mod ground_truth;
pub(crate) mod label_sets;
pub(crate) mod labels;
pub(crate) mod layout;
pub(crate) mod listing;
pub(crate) mod open;
pub(crate) mod pack;
pub(crate) mod partial_file;
pub(crate) mod parts;
pub(crate) mod paths;
pub(crate) mod selection;
pub(crate) mod shards;
pub(crate) mod split;
pub(crate) mod storage;
pub(crate) mod tree;
