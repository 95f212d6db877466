//! Visitors of a model's parameters and states by official name, like PyTorch's `named_parameters`.
//!
//! Ranks are erased: a visitor sees each parameter as its flat values. Integers are not visited, see
//! [`crate::Counter`].

use std::cell::RefCell;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;

use crate::counter::counters;
use crate::names::Path;

/// A visitor's view of one parameter.
pub struct ParameterView<'a> {
    path: &'a Path,
    /// The official shape.
    pub shape: Vec<usize>,
    /// The parameter's device, with gradient tracking or without.
    pub device: Device,
    /// It is part of a [`crate::ModelState`] and has no gradient.
    pub is_state: bool,
    values: &'a dyn Fn() -> Tensor<1>,
    take: &'a dyn Fn() -> Tensor<1>,
    gradient: &'a dyn Fn(&Gradients) -> Option<Tensor<1>>,
}

impl ParameterView<'_> {
    /// The official name, formatted on demand.
    pub fn name(&self) -> String {
        self.path.official_name()
    }

    /// The flat values, without gradient tracking. Draws the parameter if it was never used.
    pub fn values(&self) -> Tensor<1> {
        (self.values)()
    }

    /// [`Self::values`], moved out of the model, so that they can be updated in place; for visitors that
    /// return new ones to [`replace_parameters`].
    pub fn take_values(self) -> Tensor<1> {
        (self.take)()
    }

    /// The flat gradient; `None` when the loss does not depend on the parameter.
    pub fn gradient(&self, gradients: &Gradients) -> Option<Tensor<1>> {
        (self.gradient)(gradients)
    }
}

/// Calls `visit` for every parameter and every floating-point state, in the order of the model.
pub fn for_each_parameter<M: Module>(module: &M, visit: impl FnMut(ParameterView)) {
    struct Visitor<F> {
        path: Path,
        visit: F,
    }
    impl<F: FnMut(ParameterView)> ModuleVisitor for Visitor<F> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.leave(container);
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            with_view(&self.path, parameter, &mut self.visit);
        }
    }
    module.visit(&mut Visitor { path: Path::default(), visit });
}

/// Name and shape of all tensors of a model's state dict: its parameters and states, in their order, then its
/// counters, each a scalar, of shape `[]`. Allocates no parameter.
pub fn tensor_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    for_each_parameter(module, |parameter| shapes.push((parameter.name(), parameter.shape)));
    shapes.extend(counters(module).into_keys().map(|name| (name, Vec::new())));
    shapes
}

/// Replaces parameters: `replace` returns the new flat values, or `None` to leave a parameter unchanged. An
/// unchanged parameter whose values were never read is not drawn.
pub fn replace_parameters<M: Module>(
    module: M,
    replace: impl FnMut(ParameterView) -> Option<Tensor<1>>,
) -> M {
    struct Mapper<F> {
        path: Path,
        replace: F,
    }
    impl<F: FnMut(ParameterView) -> Option<Tensor<1>>> ModuleMapper for Mapper<F> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.leave(container);
        }
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, shape, device) = (parameter.id, parameter.lazy_shape(), parameter.lazy_device());
            let slot = RefCell::new(Some(parameter));
            let values = || slot.borrow().as_ref().unwrap_or_else(|| taken()).val();
            let replaced = (self.replace)(ParameterView {
                path: &self.path,
                shape: shape.to_vec(),
                device: device.clone(),
                is_state: self.path.is_in_state(),
                values: &|| plain(values()).reshape([-1]),
                take: &|| plain(slot.take().unwrap_or_else(|| taken()).into_value()).reshape([-1]),
                gradient: &|gradients| {
                    let learned = Some(gradients).filter(|_| !self.path.is_in_state())?;
                    values().grad(learned).map(|gradient| gradient.reshape([-1]))
                },
            });
            match replaced {
                None => slot.into_inner().unwrap_or_else(|| taken()),
                Some(flat) => {
                    let value = flat.reshape(shape.dims::<D>());
                    let tracked = device.is_autodiff();
                    let value = if tracked {
                        Tensor::from_inner(value).set_require_grad(!self.path.is_in_state())
                    } else {
                        value
                    };
                    Param::initialized(id, value)
                }
            }
        }
    }
    module.map(&mut Mapper { path: Path::default(), replace })
}

/// Panics: after [`ParameterView::take_values`] a visitor must return new values and read no others.
fn taken() -> ! {
    unreachable!("the values of a parameter were taken and are asked for again")
}

/// Calls `visit` with one parameter, its rank erased.
fn with_view<const D: usize, R>(
    path: &Path,
    parameter: &Param<Tensor<D>>,
    visit: impl FnOnce(ParameterView) -> R,
) -> R {
    visit(ParameterView {
        path,
        shape: parameter.lazy_shape().to_vec(),
        device: parameter.lazy_device(),
        is_state: path.is_in_state(),
        values: &|| plain(parameter.val()).reshape([-1]),
        take: &|| plain(parameter.val()).reshape([-1]),
        gradient: &|gradients| {
            let learned = Some(gradients).filter(|_| !path.is_in_state())?;
            parameter.val().grad(learned).map(|gradient| gradient.reshape([-1]))
        },
    })
}

/// The tensor detached from its graph.
fn plain<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.inner() } else { tensor }
}
