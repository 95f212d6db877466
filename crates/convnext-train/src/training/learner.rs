//! What a training changes, and how one step changes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use convnext_data::{Batch, DataError};
use convnext_io::{ArraySource, ElementType, IoError, NamedArray, TRAINING_PREFIX, check_names};
use convnext_nn::{for_each_parameter, parameter_shapes, replace_parameters, tensor_values};

use crate::error::TrainError;
use crate::optimization::average::MovingAverage;
use crate::optimization::gradients::NamedGradients;
use crate::optimization::optimizer::{AdamW, ParameterState};
use crate::optimization::parameter_rules::ParameterRules;
use crate::recipe::TrainingRecipe;
use crate::training::accumulation::{Accumulation, MicroBatch};
use crate::training::losses::{Loss, LossValues, Observed};

/// A model in training: its parameters, the moments of the optimiser and the moving average.
pub struct Learner<M> {
    /// None only within a step, which has it alone, so that parameters are changed where they lie.
    model: Option<M>,
    optimizer: AdamW,
    average: Option<MovingAverage>,
    clip_norm: Option<f64>,
}

/// What the batches of one step say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lap {
    /// Mean loss of the batches, before the step.
    pub loss: LossValues,
    /// Images of all batches.
    pub images: usize,
}

impl<M: Module> Learner<M> {
    /// A model before its first step, whose parameters are treated by these rules.
    pub fn new(model: M, recipe: &TrainingRecipe, rules: ParameterRules) -> Self {
        Self {
            optimizer: AdamW::new(recipe, rules),
            average: recipe.ema.map(|decay| MovingAverage::new(&model, decay)),
            clip_norm: recipe.clip_norm,
            model: Some(model),
        }
    }

    /// The model, tracking gradients.
    pub fn model(&self) -> &M {
        self.model.as_ref().unwrap_or_else(|| unreachable!("a step puts the model back"))
    }

    /// The model with the moving average of its parameters, if one is kept.
    pub fn averaged(&self) -> Option<M> {
        self.average.as_ref().map(|average| average.apply(self.model().clone()))
    }

    /// Goes forward and backward through `batches` and makes one step along the mean of their gradients,
    /// clipped if the recipe says so; then running statistics and the moving average follow.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] when a loss is not finite, and whatever `loss` and the batches report;
    /// nothing has changed then.
    pub fn step<B: Batch>(
        &mut self,
        learning_rate: f64,
        batches: impl Iterator<Item = Result<B, DataError>>,
        loss: impl Fn(&M, B) -> Result<Loss, TrainError>,
    ) -> Result<Lap, TrainError> {
        let mut accumulation = Accumulation::default();
        for batch in batches {
            let batch = batch?;
            let images = batch.len();
            let loss = loss(self.model(), batch)?;
            let values = loss.values()?;
            let gradients = NamedGradients::of(self.model(), &loss.total.backward());
            accumulation.add(MicroBatch { gradients, loss: values, observed: loss.observed, images });
        }
        let (mut gradients, lap, observed) = accumulation.finish();
        check_observed(self.model(), &observed)?;
        // As in PyTorch, where what is frozen has no gradient that could count in the norm.
        gradients.retain(|name| !self.optimizer.rules().of(name, &[]).frozen);
        if let Some(largest) = self.clip_norm {
            gradients.clip(largest);
        }
        self.change(|optimizer, model| optimizer.step(model, &gradients, learning_rate));
        if !observed.is_empty() {
            self.change(|_, model| fold(model, &observed));
        }
        if let (Some(average), Some(model)) = (&mut self.average, &self.model) {
            average.update(model);
        }
        Ok(lap)
    }

    /// Puts another model in the place of this one.
    pub(crate) fn replace(&mut self, change: impl FnOnce(M) -> M) {
        self.change(|_, model| change(model));
    }

    fn change(&mut self, change: impl FnOnce(&mut AdamW, M) -> M) {
        self.model = self.model.take().map(|model| change(&mut self.optimizer, model));
    }

    /// How many steps each parameter has made, by name.
    pub(crate) fn parameter_steps(&self) -> BTreeMap<String, usize> {
        self.optimizer.states().map(|(name, state)| (name.clone(), state.time)).collect()
    }

    /// Everything that changes, as tensors to be written: the model under its official names, the rest
    /// under names of its own.
    pub(crate) fn arrays(&self) -> Vec<ParameterArray> {
        let mut arrays = Vec::new();
        let mut shapes = BTreeMap::new();
        for_each_parameter(self.model(), |parameter| {
            let (name, shape, values) = (parameter.name.clone(), parameter.shape.clone(), parameter.values());
            shapes.insert(name.clone(), shape.clone());
            arrays.push(ParameterArray { name, shape, values });
        });
        let mut add = |part: &str, name: &str, values: &Tensor<1>| {
            if let Some(shape) = shapes.get(name) {
                let (name, shape) = (part_name(part, name), shape.clone());
                arrays.push(ParameterArray { name, shape, values: values.clone() });
            }
        };
        for (name, state) in self.optimizer.states() {
            let [first, second] = &state.moments;
            add(MOMENT_1, name, first);
            add(MOMENT_2, name, second);
        }
        for (name, values) in self.average.iter().flat_map(MovingAverage::values) {
            add(AVERAGE, name, values);
        }
        arrays
    }

    /// Finds a parameter that is not finite any more.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] with its name.
    pub(crate) fn check_finite(&self) -> Result<(), TrainError> {
        let mut broken = None;
        for_each_parameter(self.model(), |parameter| {
            if broken.is_none() && !tensor_values(parameter.values()).iter().all(|value| value.is_finite()) {
                broken = Some(parameter.name);
            }
        });
        broken.map_or(Ok(()), |what| Err(TrainError::NotFinite { what }))
    }

    /// Takes up what [`Self::arrays`] and [`Self::parameter_steps`] gave.
    ///
    /// # Errors
    /// [`IoError::Mismatch`] with every tensor that is missing, unexpected or misshapen.
    pub(crate) fn restore(
        &mut self,
        mut arrays: BTreeMap<String, NamedArray>,
        steps: &BTreeMap<String, usize>,
    ) -> Result<(), IoError> {
        let mut expected = Vec::new();
        for (name, shape) in parameter_shapes(self.model()) {
            let moments = steps.contains_key(&name).then_some([MOMENT_1, MOMENT_2]);
            let average = self.average.as_ref().filter(|average| average.covers(&name)).map(|_| AVERAGE);
            for part in moments.into_iter().flatten().chain(average) {
                expected.push((part_name(part, &name), shape.clone()));
            }
            expected.push((name, shape));
        }
        check_names(&expected, &arrays, &[])?;

        let mut failure = None;
        // What was taken is let go at once: a large model must not stand in memory twice.
        let mut take = |name: &str, device: &Device| -> Option<Tensor<1>> {
            match arrays.remove(name)?.to_f32() {
                Ok(values) => {
                    let count = values.len();
                    Some(Tensor::from_data(TensorData::new(values, [count]), &device.clone().inner()))
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    None
                }
            }
        };
        self.model = Some(replace_parameters(self.model().clone(), |parameter| {
            let (name, device) = (&parameter.name, &parameter.device);
            if let Some(&time) = steps.get(name)
                && let Some(first) = take(&part_name(MOMENT_1, name), device)
                && let Some(second) = take(&part_name(MOMENT_2, name), device)
            {
                self.optimizer.restore(name, ParameterState { time, moments: [first, second] });
            }
            if let Some(average) = &mut self.average
                && let Some(values) = take(&part_name(AVERAGE, name), device)
            {
                average.restore(name, values);
            }
            take(name, device)
        }));
        failure.map_or(Ok(()), Err)
    }
}

/// Checks that what batches say is about states of the model.
fn check_observed<M: Module>(model: &M, observed: &[Observed]) -> Result<(), TrainError> {
    if observed.is_empty() {
        return Ok(());
    }
    let mut states = BTreeMap::new();
    for_each_parameter(model, |parameter| {
        if parameter.is_state {
            states.insert(parameter.name, parameter.shape.iter().product::<usize>());
        }
    });
    for Observed { name, values, .. } in observed {
        let found = values.dims()[0];
        match states.get(name) {
            Some(&expected) if expected == found => {}
            expected => {
                return Err(TrainError::Observed { name: name.clone(), found, expected: expected.copied() });
            }
        }
    }
    Ok(())
}

/// Takes what batches say of running statistics into account, in their order.
fn fold<M: Module>(model: M, observed: &[Observed]) -> M {
    replace_parameters(model, |parameter| {
        let mut of_it = observed.iter().filter(|observed| observed.name == parameter.name).peekable();
        of_it.peek()?;
        let old = parameter.values();
        Some(of_it.fold(old, |old, Observed { values, momentum, .. }| {
            let values = values.clone();
            let values = if values.device().is_autodiff() { values.inner() } else { values };
            old * (1.0 - momentum) + values * *momentum
        }))
    })
}

const MOMENT_1: &str = "moment_1";
const MOMENT_2: &str = "moment_2";
const AVERAGE: &str = "average";

/// The name in a checkpoint of what belongs to a parameter.
fn part_name(part: &str, parameter: &str) -> String {
    format!("{TRAINING_PREFIX}{part}.{parameter}")
}

/// A tensor on its way to a file: it is copied when it is written.
pub(crate) struct ParameterArray {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Tensor<1>,
}

impl ArraySource for ParameterArray {
    fn name(&self) -> &str {
        &self.name
    }

    fn element_type(&self) -> ElementType {
        ElementType::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        let values = tensor_values(self.values.clone());
        Cow::Owned(values.into_iter().flat_map(f32::to_le_bytes).collect())
    }
}
