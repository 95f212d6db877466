//! Visits of the learnable part of a model and of its states, parameter by parameter, by official name.
//!
//! Ranks are erased: a visitor sees each parameter as its flat values. Integers are not among them, see
//! [`crate::Counter`]: whoever follows gradients, averages or looks for values that are not finite never meets one.

use std::cell::RefCell;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;

use crate::counter::counters;
use crate::names::Path;

/// One parameter as a visitor sees it.
pub struct ParameterView<'a> {
    path: &'a Path,
    /// The official shape.
    pub shape: Vec<usize>,
    /// Where the parameter lives, with gradient tracking or without.
    pub device: Device,
    /// Whether it is part of a [`crate::ModelState`], which no gradient changes.
    pub is_state: bool,
    values: &'a dyn Fn() -> Tensor<1>,
    take: &'a dyn Fn() -> Tensor<1>,
    gradient: &'a dyn Fn(&Gradients) -> Option<Tensor<1>>,
}

impl ParameterView<'_> {
    /// The official name. It is put together here: nobody who does not ask pays for it.
    pub fn name(&self) -> String {
        self.path.official_name()
    }

    /// The flat values, without gradient tracking. Draws the parameter if it was never used.
    pub fn values(&self) -> Tensor<1> {
        (self.values)()
    }

    /// [`Self::values`] for whoever returns others to [`replace_parameters`]: the model lets go of them, so that they
    /// may be changed where they lie.
    pub fn take_values(self) -> Tensor<1> {
        (self.take)()
    }

    /// The flat gradient; `None` when the parameter did not take part.
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

/// Name and shape of all that weight files hold of a model: its parameters and states, in their order, then its
/// counters, each a scalar, of shape `[]`. Allocates no parameter.
pub fn tensor_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    for_each_parameter(module, |parameter| shapes.push((parameter.name(), parameter.shape)));
    shapes.extend(counters(module).into_keys().map(|name| (name, Vec::new())));
    shapes
}

/// Replaces parameters: `replace` returns the new flat values, or `None` to leave a parameter as it
/// is. One whose values were never asked for is not even drawn.
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

/// Whoever takes the values of a parameter returns others, and asks for nothing more.
fn taken() -> ! {
    unreachable!("the values of a parameter were taken and are asked for again")
}

/// Shows one parameter to `visit` without its rank.
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

/// The tensor without its history.
fn plain<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.inner() } else { tensor }
}
