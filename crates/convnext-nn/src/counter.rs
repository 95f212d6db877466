//! Integer buffers of a model: exact counts without a gradient.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::prelude::*;
use burn::tensor::DType;

use crate::names::Path;

/// A count that is part of a model, such as the batches that a batch norm has seen (PyTorch's
/// `num_batches_tracked`).
///
/// All integers of a model are counters. They are saved with the parameters in checkpoints and weight files,
/// exactly, each as an I64 scalar of shape `[]` under its official name, as in PyTorch.
/// [`crate::for_each_parameter`] does not visit them, since they have no gradient. A task changes one before
/// a step, or lets its batches count.
///
/// The number is on the CPU whatever the model's device: nothing computes with it, and not every device has
/// 64-bit integers.
#[derive(Module, Debug)]
pub struct Counter {
    /// `[1]`: Burn has no tensors without axes.
    count: Param<Tensor<1, Int>>,
}

impl Counter {
    /// A counter at `count`.
    pub fn new(count: i64) -> Self {
        Self { count: Param::initialized(ParamId::new(), tensor(count)) }
    }

    /// Its count.
    pub fn get(&self) -> i64 {
        value(self.count.val())
    }
}

/// Every counter of a model by its official name.
///
/// # Panics
/// When the model has an integer parameter that is no [`Counter`]: it would not be saved.
pub fn counters<M: Module>(module: &M) -> BTreeMap<String, i64> {
    struct Visitor {
        path: Path,
        found: BTreeMap<String, i64>,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.leave(container);
        }
        fn visit_int<const D: usize>(&mut self, parameter: &Param<Tensor<D, Int>>) {
            let name = self.path.official_name();
            assert!(self.path.is_in_counter(), "{name} is an integer of a model and no Counter");
            self.found.insert(name, value(parameter.val()));
        }
    }
    let mut visitor = Visitor { path: Path::default(), found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// The model with its counters set to these counts; other counters are unchanged, and unknown names ignored.
pub fn with_counters<M: Module>(module: M, counts: &BTreeMap<String, i64>) -> M {
    struct Mapper<'a> {
        path: Path,
        counts: &'a BTreeMap<String, i64>,
    }
    impl ModuleMapper for Mapper<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.leave(container);
        }
        fn map_int<const D: usize>(&mut self, parameter: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
            match self.counts.get(&self.path.official_name()) {
                Some(&count) if self.path.is_in_counter() => {
                    Param::initialized(parameter.id, tensor(count).reshape([1; D]))
                }
                _ => parameter,
            }
        }
    }
    module.map(&mut Mapper { path: Path::default(), counts })
}

fn tensor(count: i64) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(vec![count], [1]), (&Device::flex(), DType::I64))
}

fn value<const D: usize>(tensor: Tensor<D, Int>) -> i64 {
    match tensor.into_data().try_into_vec::<i64>().as_deref() {
        Ok(&[count]) => count,
        other => unreachable!("a counter is one integer of 64 bits: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ModelState;
    use crate::values::tensor_values;
    use crate::visits::{for_each_parameter, replace_parameters, tensor_shapes};

    #[derive(Module, Debug)]
    struct Norm {
        weight: Param<Tensor<1>>,
        mean: ModelState<Param<Tensor<1>>>,
        num_batches_tracked: Counter,
    }

    #[derive(Module, Debug)]
    struct Network {
        norms: Vec<Norm>,
        /// A counter in a state is a counter.
        copy: ModelState<Norm>,
    }

    fn network(count: i64) -> Network {
        let device = Device::flex().autodiff();
        let one = || Param::initialized(ParamId::new(), Tensor::ones([1], &device));
        let norm = |count| Norm {
            weight: one(),
            mean: ModelState::new(one()),
            num_batches_tracked: Counter::new(count),
        };
        Network { norms: vec![norm(count), norm(count + 1)], copy: ModelState::new(norm(-count)) }
    }

    /// Larger than the integers that f32 and f64 represent exactly.
    const MANY: i64 = (1 << 60) + 1;

    fn expected(counts: [i64; 3]) -> BTreeMap<String, i64> {
        let names = ["copy", "norms.0", "norms.1"].map(|norm| format!("{norm}.num_batches_tracked"));
        names.into_iter().zip(counts).collect()
    }

    #[test]
    fn counters_are_read_and_set_exactly_by_name() {
        let model = network(MANY);
        assert_eq!(counters(&model), expected([-MANY, MANY, MANY + 1]));
        let counts =
            BTreeMap::from([("norms.1.num_batches_tracked".to_owned(), i64::MIN), ("none".into(), 1)]);
        let model = with_counters(model, &counts);
        assert_eq!(counters(&model), expected([-MANY, MANY, i64::MIN]));
        assert_eq!(model.norms[0].num_batches_tracked.get(), MANY);
        assert_eq!(counters(&model.valid()), counters(&model));
    }

    #[test]
    fn visitors_of_parameters_see_no_counter() {
        let model = replace_parameters(network(MANY), |parameter| Some(parameter.values() * 3.0));
        assert_eq!(counters(&model), expected([-MANY, MANY, MANY + 1]));
        let mut names = Vec::new();
        for_each_parameter(&model, |parameter| {
            assert_eq!(tensor_values(parameter.values()), [3.0]);
            names.push(parameter.name());
        });
        let floats =
            ["norms.0.weight", "norms.0.mean", "norms.1.weight", "norms.1.mean", "copy.weight", "copy.mean"];
        assert_eq!(names, floats);
        let shapes = tensor_shapes(&model);
        let scalars: Vec<&String> =
            shapes.iter().filter(|(_, shape)| shape.is_empty()).map(|(n, _)| n).collect();
        assert_eq!(scalars, expected([0; 3]).keys().collect::<Vec<_>>());
        assert_eq!(shapes.len(), 9);
    }

    #[test]
    #[should_panic(expected = "index is an integer of a model and no Counter")]
    fn an_integer_that_would_be_lost_in_files_is_found() {
        #[derive(Module, Debug)]
        struct Lossy {
            index: Param<Tensor<1, Int>>,
        }
        counters(&Lossy { index: Param::initialized(ParamId::new(), tensor(1)) });
    }
}
