//! What a model holds that no gradient changes: running statistics, another network that follows the first.

use burn::module::Module;

/// Holds a module or a parameter that is part of a model but not learned.
///
/// It travels with the parameters in checkpoints and weight files, under its official name as if nothing stood around
/// it, and has no gradient. A task changes it before a step or by what its batches observe; the moving average of
/// the weights does not cover it. Integers are [`crate::Counter`]s.
#[derive(Module, Debug)]
pub struct ModelState<M: Module> {
    held: M,
}

/// The type of the container, as visitors are told; they hear nothing of its crate, so no other type may be called so.
pub(crate) const STATE_CONTAINER: &str = "Struct:ModelState";

impl<M: Module> ModelState<M> {
    /// Holds a module, whose tensors track no gradient from now on.
    pub fn new(held: M) -> Self {
        Self { held: held.no_grad() }
    }

    /// What is held.
    pub fn get(&self) -> &M {
        &self.held
    }
}
