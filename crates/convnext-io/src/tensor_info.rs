//! A tensor as the header of a file describes it.

/// A tensor without its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// The type of its elements as safetensors calls it; any, not only an [`crate::ElementType`].
    pub dtype: String,
    /// Its shape, slowest axis first.
    pub shape: Vec<usize>,
}
