//! The official PyTorch names of parameters (facts B1, B2), and visits by name.
//!
//! Parameters already have PyTorch's shapes; only the downsampling layers are called otherwise in
//! PyTorch. Ranks are erased: a visitor sees each parameter as its flat values.

use std::cell::RefCell;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;

use crate::state::STATE_CONTAINER;

/// The official name of a parameter for its path in our modules:
/// `encoder.downsampling.0.conv.weight` is `encoder.downsample_layers.1.1.weight`.
fn official_name(path: &[String]) -> String {
    let parts: Vec<&str> = path.iter().map(String::as_str).filter(|&part| part != "backbone").collect();
    let (prefix, rest) = match parts.split_first() {
        Some((&"encoder", rest)) => ("encoder.", rest),
        _ => ("", &parts[..]),
    };
    let name = match rest {
        ["stem", "conv", leaf] => format!("downsample_layers.0.0.{leaf}"),
        ["stem", "norm", leaf] => format!("downsample_layers.0.1.{leaf}"),
        ["downsampling", index, layer, leaf] => {
            let stage = index.parse::<usize>().map_or_else(|_| (*index).to_owned(), |i| (i + 1).to_string());
            format!("downsample_layers.{stage}.{}.{leaf}", usize::from(*layer == "conv"))
        }
        other => other.join("."),
    };
    format!("{prefix}{name}")
}

/// Where in a model a visitor is.
#[derive(Default)]
struct Path {
    names: Vec<String>,
    /// States around it.
    states: usize,
}

impl Path {
    /// Goes into a part of a module. What a [`crate::ModelState`] holds is called as if it were not there.
    fn enter(&mut self, name: &str, container: &str) {
        if container == STATE_CONTAINER {
            self.states += 1;
        } else {
            self.names.push(name.to_owned());
        }
    }

    fn leave(&mut self, container: &str) {
        if container == STATE_CONTAINER {
            self.states -= 1;
        } else {
            self.names.pop();
        }
    }

    fn is_in_state(&self) -> bool {
        self.states > 0
    }
}

/// One parameter as a visitor sees it.
pub struct ParameterView<'a> {
    /// The official name.
    pub name: String,
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

/// Calls `visit` for every parameter, in the order of the model.
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

/// Name and shape of every parameter, in the order of the model. Allocates no parameter.
pub fn parameter_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    for_each_parameter(module, |parameter| shapes.push((parameter.name, parameter.shape)));
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
                name: official_name(&self.path.names),
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
        name: official_name(&path.names),
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
