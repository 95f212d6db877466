//! Buffers of a model, in PyTorch's sense: running statistics, or a momentum encoder.

use burn::module::Module;

/// A module or parameter that is part of a model but not learned: PyTorch's *buffer*.
///
/// It is saved with the parameters in checkpoints and weight files, under its own official name, and has no
/// gradient. A task changes it before a step or from its batches; the EMA of the weights does not cover it.
/// Integers are [`crate::Counter`]s.
#[derive(Module, Debug)]
pub struct ModelState<M: Module> {
    held: M,
}

/// The container's type as Burn passes it to visitors; it has no crate, so no other type may have this name.
pub(crate) const STATE_CONTAINER: &str = "Struct:ModelState";

impl<M: Module> ModelState<M> {
    /// Wraps a module, whose tensors track no gradient from now on.
    pub fn new(held: M) -> Self {
        Self { held: held.no_grad() }
    }

    /// The wrapped module.
    pub fn get(&self) -> &M {
        &self.held
    }
}
