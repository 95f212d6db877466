//! Batch norms folded into the convolutions before them, for inference: `w g / sqrt(v + e)` and `b - m g / sqrt(v + e)`
//! with running mean m and variance v.

use std::collections::BTreeMap;

use convnext_core::TensorShape;
use convnext_io::{IoError, NamedArray};
use convnext_nn::BATCH_NORM_EPSILON;

/// Prefix of the names of the auxiliary head, which only training needs.
pub(super) const AUXILIARY: &str = "auxiliary_head.";

/// Ends of the names of a convolution's weight and of the tensors of the batch norm behind it.
const WEIGHT: &str = ".conv.weight";
const NORM: &str = ".bn.";

/// Names and shapes of the tensors that [`fold`] leaves of those of UperNet.
pub(super) fn tensors(of_head: Vec<TensorShape>) -> Vec<TensorShape> {
    let mut tensors = Vec::new();
    for (name, shape) in of_head {
        if name.starts_with(AUXILIARY) || name.contains(NORM) {
            continue;
        }
        if let Some(layer) = name.strip_suffix(WEIGHT) {
            tensors.push((bias_of(layer), vec![shape[0]]));
        }
        tensors.push((name, shape));
    }
    tensors
}

/// The tensors of a network without batch norms and auxiliary head. Its convolutions have a bias, and what the others
/// hold is unchanged.
///
/// # Errors
/// [`IoError::InvalidArray`] for an array that contradicts itself or holds integers.
pub(super) fn fold(arrays: BTreeMap<String, NamedArray>) -> Result<BTreeMap<String, NamedArray>, IoError> {
    let (norms, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = arrays
        .into_iter()
        .filter(|(name, _)| !name.starts_with(AUXILIARY))
        .partition(|(name, _)| name.contains(NORM));
    let mut folded = BTreeMap::new();
    for (name, array) in kept {
        let Some(layer) = name.strip_suffix(WEIGHT) else {
            folded.insert(name, array);
            continue;
        };
        for array in convolution(layer, &array, &norms)? {
            folded.insert(array.name.clone(), array);
        }
    }
    Ok(folded)
}

fn bias_of(layer: &str) -> String {
    format!("{layer}.conv.bias")
}

/// Weight and bias of a convolution with the norm behind it.
fn convolution(
    layer: &str,
    weight: &NamedArray,
    norms: &BTreeMap<String, NamedArray>,
) -> Result<[NamedArray; 2], IoError> {
    let vector = |leaf: &str| -> Result<Vec<f64>, IoError> {
        let array = norms.get(&format!("{layer}{NORM}{leaf}"));
        let values = array.map_or(Ok(Vec::new()), NamedArray::to_f32)?;
        Ok(values.into_iter().map(f64::from).collect())
    };
    let [gamma, beta, mean, variance] =
        [vector("weight")?, vector("bias")?, vector("running_mean")?, vector("running_var")?];
    let deviations = variance.into_iter().map(|variance| (variance + BATCH_NORM_EPSILON).sqrt());
    let scale: Vec<f64> = gamma.iter().zip(deviations).map(|(gamma, deviation)| gamma / deviation).collect();
    let shifts = beta.iter().zip(mean.iter().zip(&scale));
    let bias: Vec<f32> = shifts.map(|(beta, (mean, scale))| (beta - mean * scale) as f32).collect();
    let values = weight.to_f32()?;
    let of_output = (values.len() / scale.len().max(1)).max(1);
    let rows = values.chunks(of_output).zip(&scale);
    let values: Vec<f32> =
        rows.flat_map(|(row, scale)| row.iter().map(move |&w| (f64::from(w) * scale) as f32)).collect();
    Ok([
        NamedArray::from_f32(weight.name.clone(), weight.shape.clone(), &values),
        NamedArray::from_f32(bias_of(layer), [bias.len()], &bias),
    ])
}
