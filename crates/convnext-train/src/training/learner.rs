//! Training state (model, optimiser, moving average), and the training step that updates it.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use convnext_data::Batch;
use convnext_distributed::Ranks;
use convnext_io::{IoError, NamedArray, TRAINING_PREFIX, check_names};
use convnext_nn::{for_each_parameter, tensor_shapes};

use crate::error::TrainError;
use crate::model_arrays::{ModelArray, assign, check_finite, floats, model_arrays};
use crate::optimization::average::MovingAverage;
use crate::optimization::gradient_layout::GradientLayout;
use crate::optimization::gradients::NamedGradients;
use crate::optimization::optimizer::{AdamW, ParameterState};
use crate::optimization::parameter_rules::ParameterRules;
use crate::recipe::training::TrainingRecipe;
use crate::training::accumulation::{Accumulated, MicroBatch, MicroBatchReport, StepOutput};
use crate::training::losses::Loss;
use crate::training::observed;
use crate::training::step_share::{GradientSum, StepShare};

/// A model in training: its parameters, the moments of the optimiser and the moving average.
pub struct Learner<M> {
    /// None only within a step, which has it alone, so that parameters are changed where they lie.
    model: Option<M>,
    optimizer: AdamW,
    average: Option<MovingAverage>,
    clip_norm: Option<f64>,
    share: StepShare,
}

impl<M: Module> Learner<M> {
    /// A model before its first step, whose parameters are treated by these rules.
    pub fn new(model: M, recipe: &TrainingRecipe, rules: ParameterRules) -> Self {
        Self {
            average: recipe.ema.map(|decay| MovingAverage::new(&model, decay, &rules)),
            optimizer: AdamW::new(recipe, rules),
            clip_norm: recipe.clip_norm,
            model: Some(model),
            share: StepShare::default(),
        }
    }

    /// The same, sharing so many micro-batches a step with other ranks: [`Self::step`] is then given those of this rank.
    ///
    /// # Errors
    /// [`crate::StepError::Ranks`] when there are more ranks than micro-batches.
    pub fn shared_by(self, ranks: Ranks, micro_batches: usize, sum: GradientSum) -> Result<Self, TrainError> {
        Ok(self.shared(StepShare::new(ranks, micro_batches, sum)?))
    }

    /// The same, where ranks meet within the loss and its gradient ([`crate::Task::is_synchronised`]).
    #[must_use]
    pub fn synchronised(mut self) -> Self {
        self.share.is_synchronised = true;
        self
    }

    /// The same, with this part in its steps.
    pub(crate) fn shared(self, share: StepShare) -> Self {
        Self { share, ..self }
    }

    /// The model, tracking gradients.
    pub fn model(&self) -> &M {
        self.model.as_ref().unwrap_or_else(|| unreachable!("a step puts the model back"))
    }

    /// The model with the moving average of its parameters, if one is kept.
    pub fn averaged(&self) -> Option<M> {
        self.average.as_ref().map(|average| average.apply(self.model().clone()))
    }

    /// Goes forward and backward through `batches`, those of this rank, and makes one step along the mean of their gradients,
    /// clipped if the recipe says so; then what batches observed and the moving average follow.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] when a loss is not finite, and whatever `loss` and the batches report;
    /// nothing has changed then.
    pub fn step<B: Batch>(
        &mut self,
        learning_rate: f64,
        batches: impl Iterator<Item = Result<B, TrainError>>,
        loss: impl Fn(&M, B) -> Result<Loss, TrainError>,
    ) -> Result<StepOutput, TrainError> {
        let rules = self.optimizer.rules();
        let micro_batch = |batch: Result<B, TrainError>| {
            let batch = self.share.together(batch)?;
            let images = batch.len();
            let found = loss(self.model(), batch)?;
            let values = self.share.together(found.values())?;
            let mut gradients = NamedGradients::of(self.model(), &found.total.backward());
            // As in PyTorch, where what is frozen has no gradient that could count in the norm.
            gradients.retain(|name| !rules.of(name, &[]).frozen);
            let report = MicroBatchReport { loss: values, observed: found.observed, images };
            Ok(MicroBatch { gradients, report })
        };
        let layout = || GradientLayout::new(self.model(), |name| !rules.of(name, &[]).frozen);
        let Accumulated { mut gradients, output, observed } =
            self.share.accumulate(layout, batches.map(micro_batch))?;
        observed::check(self.model(), &observed)?;
        if let Some(largest) = self.clip_norm {
            gradients.clip(largest);
        }
        self.change(|optimizer, model| optimizer.step(model, &gradients, learning_rate));
        if !observed.is_empty() {
            self.change(|_, model| observed::fold(model, &observed));
        }
        if let (Some(average), Some(model)) = (&mut self.average, &self.model) {
            average.update(model);
        }
        Ok(output)
    }

    /// Puts another model in the place of this one.
    pub(crate) fn replace(&mut self, change: impl FnOnce(M) -> M) {
        self.change(|_, model| change(model));
    }

    fn change(&mut self, change: impl FnOnce(&mut AdamW, M) -> M) {
        self.model = self.model.take().map(|model| change(&mut self.optimizer, model));
    }

    /// Number of steps that each parameter has made, by name.
    pub(crate) fn parameter_steps(&self) -> BTreeMap<String, usize> {
        self.optimizer.states().map(|(name, state)| (name.clone(), state.time)).collect()
    }

    /// Everything that changes, as tensors to be written: the model under its official names, the rest
    /// under names of its own.
    pub(crate) fn arrays(&self) -> Vec<ModelArray> {
        let mut arrays = model_arrays(self.model());
        let shapes: BTreeMap<String, Vec<usize>> = tensor_shapes(self.model()).into_iter().collect();
        let mut add = |part: &str, name: &str, values: &Tensor<1>| {
            if let Some(shape) = shapes.get(name) {
                let (name, shape) = (part_name(part, name), shape.clone());
                arrays.push(ModelArray::Floats { name, shape, values: values.clone() });
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
        check_finite(self.model())
    }

    /// Takes up what [`Self::arrays`] and [`Self::parameter_steps`] gave; of an earlier version, which averaged what is
    /// frozen as well, without such averages.
    ///
    /// # Errors
    /// [`IoError::Mismatch`] with every tensor that is missing, unexpected or misshapen, [`IoError::InvalidArray`] for one
    /// that holds something else than its name needs.
    pub(crate) fn restore(
        &mut self,
        mut arrays: BTreeMap<String, NamedArray>,
        steps: &BTreeMap<String, usize>,
    ) -> Result<(), IoError> {
        let mut expected = Vec::new();
        for (name, shape) in tensor_shapes(self.model()) {
            let moments = steps.contains_key(&name).then_some([MOMENT_1, MOMENT_2]);
            let average = self.average.as_ref().filter(|average| average.covers(&name)).map(|_| AVERAGE);
            for part in moments.into_iter().flatten().chain(average) {
                expected.push((part_name(part, &name), shape.clone()));
            }
            if self.average.is_some() && self.optimizer.rules().of(&name, &shape).frozen {
                arrays.remove(&part_name(AVERAGE, &name));
            }
            expected.push((name, shape));
        }
        check_names(&expected, &arrays, &[])?;

        // What was taken is let go at once: a large model must not stand in memory twice.
        self.model = Some(assign(self.model().clone(), |name| arrays.remove(name))?);
        let mut places = Vec::new();
        for_each_parameter(self.model(), |parameter| places.push((parameter.name(), parameter.device)));
        for (name, device) in places {
            let mut take = |part: &str| -> Result<Option<Tensor<1>>, IoError> {
                arrays.remove(&part_name(part, &name)).map(|array| floats(&array, &device)).transpose()
            };
            if let (Some(&time), Some(first), Some(second)) =
                (steps.get(&name), take(MOMENT_1)?, take(MOMENT_2)?)
            {
                self.optimizer.restore(&name, ParameterState { time, moments: [first, second] });
            }
            if let (Some(average), Some(values)) = (&mut self.average, take(AVERAGE)?) {
                average.restore(&name, values);
            }
        }
        Ok(())
    }
}

const MOMENT_1: &str = "moment_1";
const MOMENT_2: &str = "moment_2";
const AVERAGE: &str = "average";

/// The name in a checkpoint of what belongs to a parameter.
fn part_name(part: &str, parameter: &str) -> String {
    format!("{TRAINING_PREFIX}{part}.{parameter}")
}

#[cfg(test)]
mod tests;
