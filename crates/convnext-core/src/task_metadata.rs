//! Task metadata: the task that weights were trained for.

use crate::class_names::ClassNames;
use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::preprocessing::Preprocessing;
use crate::tagged::{Kind, Tagged};
use crate::tensors::TensorShape;

/// Activation that turns the outputs of a head into class probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputActivation {
    /// One class for each image: the softmax over all outputs.
    Softmax,
    /// Any number of classes for each image: the sigmoid of each output.
    Sigmoid,
}

impl OutputActivation {
    /// Its name in files: `softmax` or `sigmoid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// Metadata that a task stores in its weights besides the backbone, and what follows from it. The crate of a
/// task brings a type of its own, a [`Kind`]; who wants to know about weights of any task is given the
/// [`TaskKind`]s that there are.
pub trait TaskMetadata {
    /// Checks every value against its range, and against backbone and preprocessing, which were checked before.
    ///
    /// # Errors
    /// [`ConfigError`] with the first value that does not fit.
    fn validate(&self, backbone: &ModelConfig, preprocessing: &Preprocessing) -> Result<(), ConfigError>;

    /// The weights in a few words, such as `classifier atto of 10 classes`.
    fn describe(&self, backbone: &ModelConfig) -> String;

    /// The names of the classes in the order of the outputs; empty where there are none or none is known.
    fn class_names(&self) -> ClassNames {
        ClassNames::default()
    }

    /// Activation that makes probabilities of the outputs of its head; `None` where they are no classes of an image.
    fn activation(&self) -> Option<OutputActivation> {
        None
    }

    /// Name and shape of every tensor of the whole model.
    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape>;

    /// Cost of a forward pass of one image of this size: that of the backbone and its head, if the task does
    /// not say otherwise.
    ///
    /// # Errors
    /// [`ConfigError`] when the model cannot take such an image.
    fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        Cost::of(backbone, size.height, size.width)
    }
}

/// A kind of task that a program knows.
#[derive(Debug, Clone, Copy)]
pub struct TaskKind {
    name: &'static str,
    read: fn(&Tagged) -> Result<Box<dyn TaskMetadata>, ConfigError>,
}

impl TaskKind {
    /// The kind whose values are of this type.
    pub const fn of<T: Kind + TaskMetadata + 'static>() -> Self {
        Self { name: T::KIND, read: |task| Ok(Box::new(task.read::<T>()?)) }
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// A task, if it is one of these kinds.
    ///
    /// # Errors
    /// [`ConfigError::OtherKind`] when it is none of them, [`ConfigError::BadFields`] when its fields are not those of its
    /// kind.
    pub fn read(kinds: &[Self], task: &Tagged) -> Result<Box<dyn TaskMetadata>, ConfigError> {
        if let Some(kind) = kinds.iter().find(|kind| kind.name == task.kind()) {
            return (kind.read)(task);
        }
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let (found, expected) = (task.kind().to_owned(), names.join("' or '"));
        Err(ConfigError::OtherKind { place: "task", found, expected })
    }
}
