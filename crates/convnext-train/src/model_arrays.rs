//! A model as the arrays of a file, and back: parameters, states and counters under their official names.

use std::borrow::{Borrow, Cow};

use burn::module::Module;
use burn::prelude::*;
use convnext_io::{ArraySource, ElementType, IoError, NamedArray};
use convnext_nn::{counters, for_each_parameter, replace_parameters, tensor_values, with_counters};

use crate::error::TrainError;

/// A tensor on its way to a file: floating-point values are copied when they are written.
#[expect(clippy::large_enum_variant, reason = "of hundreds of arrays the counters are few")]
pub(crate) enum ModelArray {
    /// Flat values of this shape.
    Floats { name: String, shape: Vec<usize>, values: Tensor<1> },
    /// A counter.
    Count(NamedArray),
}

/// Everything that files hold of a model.
pub(crate) fn model_arrays<M: Module>(model: &M) -> Vec<ModelArray> {
    let mut arrays = Vec::new();
    for_each_parameter(model, |parameter| {
        let (name, values) = (parameter.name(), parameter.values());
        arrays.push(ModelArray::Floats { name, shape: parameter.shape, values });
    });
    arrays.extend(
        counters(model).into_iter().map(|(name, count)| ModelArray::Count(NamedArray::from_i64(name, count))),
    );
    arrays
}

/// Gives the model every array that is found for one of its names. Each is let go as soon as it was taken, so that a
/// large model does not stand in memory twice.
///
/// # Errors
/// [`IoError::InvalidArray`] for an array that holds something else than its name needs.
pub(crate) fn assign<M: Module, A: Borrow<NamedArray>>(
    model: M,
    mut find: impl FnMut(&str) -> Option<A>,
) -> Result<M, IoError> {
    let mut failure = None;
    let model = replace_parameters(model, |parameter| {
        let values = floats(find(&parameter.name())?.borrow(), &parameter.device);
        values.map_err(|error| failure.get_or_insert(error)).ok()
    });
    failure.map_or(Ok(()), Err)?;
    let found = counters(&model).into_keys().filter_map(|name| find(&name).map(|array| (name, array)));
    let counts =
        found.map(|(name, array)| Ok((name, array.borrow().to_i64()?))).collect::<Result<_, IoError>>()?;
    Ok(with_counters(model, &counts))
}

/// The flat values of an array where a parameter lives, without gradient tracking.
///
/// # Errors
/// [`IoError::InvalidArray`] when it holds integers, or its bytes do not fit its shape.
pub(crate) fn floats(array: &NamedArray, device: &Device) -> Result<Tensor<1>, IoError> {
    let values = array.to_f32()?;
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), &device.clone().inner()))
}

/// Finds a parameter or a state that is not finite.
///
/// # Errors
/// [`TrainError::NotFinite`] with the first name.
pub(crate) fn check_finite<M: Module>(model: &M) -> Result<(), TrainError> {
    let mut broken = None;
    for_each_parameter(model, |parameter| {
        if broken.is_none() && !tensor_values(parameter.values()).iter().all(|value| value.is_finite()) {
            broken = Some(parameter.name());
        }
    });
    broken.map_or(Ok(()), |what| Err(TrainError::NotFinite { what }))
}

impl ArraySource for ModelArray {
    fn name(&self) -> &str {
        match self {
            Self::Floats { name, .. } => name,
            Self::Count(array) => array.name(),
        }
    }

    fn element_type(&self) -> ElementType {
        match self {
            Self::Floats { .. } => ElementType::F32,
            Self::Count(array) => array.element_type(),
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Floats { shape, .. } => shape,
            Self::Count(array) => array.shape(),
        }
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Floats { values, .. } => {
                Cow::Owned(tensor_values(values.clone()).into_iter().flat_map(f32::to_le_bytes).collect())
            }
            Self::Count(array) => array.bytes(),
        }
    }
}
