use burn::module::{Param, ParamId};
use convnext_nn::tensor_values;

use super::*;
use crate::optimization::parameter_rules::ParameterRule;
use crate::recipe::pretrain_recipe::PretrainRecipe;

/// Two parameters, the second with a far larger gradient.
#[derive(Module, Debug)]
struct Pair {
    small: Param<Tensor<1>>,
    large: Param<Tensor<1>>,
}

struct One;

impl Batch for One {
    fn len(&self) -> usize {
        1
    }
}

fn values(values: &[f32]) -> Tensor<1> {
    Tensor::from_floats(values, &Device::flex().autodiff())
}

/// Before its first step; a moving average is kept if it has a decay.
fn fresh(frozen: &'static str, ema: Option<f64>) -> Learner<Pair> {
    let parameter = |found: &[f32]| Param::initialized(ParamId::new(), values(found).require_grad());
    let model = Pair { small: parameter(&[0.5, 0.5]), large: parameter(&[0.5]) };
    let recipe = PretrainRecipe::load("plain", &[]).unwrap().training;
    let recipe = TrainingRecipe { clip_norm: Some(1.0), betas: [0.75, 0.9], ema, ..recipe };
    let rules = ParameterRules::of_recipe(&recipe)
        .changed(move |name, rule| ParameterRule { frozen: name == frozen, ..rule });
    Learner::new(model, &recipe, rules)
}

/// The value of `large` and the first moment of `small` after a step with gradients clipped to norm 1.
fn after_a_step(frozen: &'static str) -> (Vec<f32>, Vec<f32>) {
    let mut learner = fresh(frozen, None);
    let loss = |model: &Pair, _: One| {
        let small = (model.small.val() * values(&[3.0, 4.0])).sum();
        Ok(Loss::from(small + (model.large.val() * values(&[1000.0])).sum()))
    };
    learner.step(0.1, [Ok(One)].into_iter(), loss).unwrap();
    let moments = |name: &str| {
        let mut arrays = learner.arrays().into_iter();
        arrays.find_map(|array| match array {
            ModelArray::Floats { name: found, values, .. } if found == name => Some(tensor_values(values)),
            _ => None,
        })
    };
    assert_eq!(moments("training.moment_1.large").is_none(), frozen == "large");
    (tensor_values(learner.model().large.val().inner()), moments("training.moment_1.small").unwrap())
}

#[test]
fn gradients_of_what_is_frozen_do_not_count_when_all_are_clipped() {
    // A quarter of the gradient (3, 4), which has norm 5 alone and 1000.01 with the other.
    let is_close = |found: &[f32], expected: [f32; 2]| {
        found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-4)
    };
    let (frozen, moments) = after_a_step("large");
    assert_eq!(frozen, [0.5]);
    assert!(is_close(&moments, [0.25 * 3.0 / 5.0, 0.25 * 4.0 / 5.0]), "{moments:?}");
    let (free, moments) = after_a_step("nothing");
    assert_ne!(free, [0.5]);
    let norm = 1000_f32.hypot(5.0);
    assert!(is_close(&moments, [0.25 * 3.0 / norm, 0.25 * 4.0 / norm]), "{moments:?}");
}

/// The tensors of a checkpoint, by name.
fn arrays(learner: &Learner<Pair>) -> BTreeMap<String, NamedArray> {
    let array = |array: ModelArray| match array {
        ModelArray::Floats { name, shape, values } => {
            NamedArray::from_f32(name, shape, &tensor_values(values))
        }
        ModelArray::Count(array) => array,
    };
    learner.arrays().into_iter().map(array).map(|array| (array.name.clone(), array)).collect()
}

/// Bug: there was an average of what is frozen, which drifted from it by roundings.
#[test]
fn what_is_frozen_has_no_average_and_one_of_an_earlier_version_is_left_out() {
    let mut learner = fresh("large", Some(0.9));
    let own = arrays(&learner);
    assert_eq!(own.keys().collect::<Vec<_>>(), ["large", "small", "training.average.small"]);
    let mut earlier = own.clone();
    let drifted = NamedArray::from_f32("training.average.large", [1], &[0.25]);
    earlier.insert(drifted.name.clone(), drifted);
    learner.restore(earlier, &BTreeMap::new()).unwrap();
    assert_eq!(arrays(&learner), own);
    assert_eq!(tensor_values(learner.averaged().unwrap().large.val()), [0.5]);
    // Where it learns, its average is needed.
    let message = fresh("nothing", Some(0.9)).restore(own, &BTreeMap::new()).unwrap_err().to_string();
    assert!(message.contains("training.average.large"), "{message}");
}
