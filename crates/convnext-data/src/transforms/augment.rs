//! Random changes of training images beyond crops and mirror images.
//!
//! Every operation agrees with Pillow 13, every distribution with timm 0.3.2 and torchvision, which the
//! official fine-tuning uses (docs/facts.md, "Train transform order", "RandAugment",
//! "Mixup/CutMix/RandomErasing"). The tests hold both.

mod affine;
mod blend;
mod color_jitter;
mod erasing;
mod levels;
mod operation;
mod rand_augment;

pub use color_jitter::ColorJitter;
pub use erasing::RandomErasing;
pub use operation::Operation;
pub use rand_augment::RandAugment;
