//! One documented remap of names and layouts (docs/facts.md, "Sparse FCMAE training checkpoint keys",
//! "`remap_checkpoint_keys`"), after `remap_checkpoint_keys` in
//! [utils.py](https://github.com/facebookresearch/ConvNeXt-V2/blob/2553895753323c6fe0b2bf390683f5ea358a42b9/utils.py)
//! of the official code (MIT), which loads a sparse autoencoder into a dense model.
//!
//! | tensor in the file | becomes |
//! |---|---|
//! | `P.kernel` [k*k, in, out] (downsampling) | `P.weight` [out, in, y, x], from [(x, y), in, out] |
//! | `P.kernel` [k*k, channels] (depthwise) | `P.weight` [channels, 1, y, x], from [(x, y), channels] |
//! | `P.bias` [1, n] | `P.bias` [n] |
//! | `P.ln.X`, `P.linear.X` | `P.X` |
//! | `P.grn.gamma`, `P.grn.beta` of any shape | [1, 1, 1, n] |
//! | `P.pwconv1.weight`, `P.pwconv2.weight` [out, in, 1, 1] | [out, in] |
//! | `P.gamma` [n, 1, 1] (LayerScale in torchvision) | [n] |
//! | torchvision's `fc_cls` [K + 1, ...], background first | background last |
//! | torchvision's `fc_reg` [4K + 4, ...], `conv_logits` [K + 1, ...] | without those of the background |
//! | all others, so all of an official dense file | as they are |
//!
//! Minkowski numbers the places of a kernel with the first spatial coordinate, our row y, fastest.
//! Differences: the encoder keeps its prefix and the decoder stays, since we read autoencoders whole; GRN
//! is brought to one shape from any, where the official code makes six axes out of four; pointwise weights
//! may be those of 1x1 convolutions, as timm's small models have them.

use convnext_core::{BOX_DELTAS, BlockParameter as P};

use crate::array::NamedArray;

/// Target of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remapped {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    order: Order,
}

/// Rearrangement of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Not at all.
    Same,
    /// From [(x, y), in, out] to [out, in, y, x], where x and y run to `side`.
    Kernel { side: usize, inputs: usize, outputs: usize },
    /// Without the first `count` rows, which follow behind the others if they are kept.
    Background { count: usize, is_kept: bool },
}

impl Remapped {
    /// The place of a tensor with this official name, or what is wrong with its shape.
    pub(crate) fn new(name: &str, shape: &[usize]) -> Result<Self, String> {
        let name = dense_name(name);
        if let Some(layer) = name.strip_suffix(".kernel") {
            return Self::kernel(format!("{layer}.weight"), shape);
        }
        let shape = match (P::of_name(&name), shape) {
            (_, &[1, count]) if name.ends_with(".bias") => vec![count],
            (Some(P::ExpandWeight | P::ProjectWeight), &[outputs, inputs, 1, 1]) => vec![outputs, inputs],
            (Some(P::LayerScale), &[count, 1, 1]) => vec![count],
            (Some(P::GrnGamma | P::GrnBeta), shape) => {
                let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
                vec![1, 1, 1, count.ok_or_else(|| format!("has an absurd shape {shape:?}"))?]
            }
            (_, shape) => shape.to_vec(),
        };
        Ok(Self { name, shape, order: Order::Same })
    }

    fn kernel(name: String, shape: &[usize]) -> Result<Self, String> {
        let (places, inputs, outputs) = match *shape {
            [places, inputs, outputs] => (places, inputs, outputs),
            [places, channels] => (places, 1, channels),
            _ => return Err(format!("has shape {shape:?}, but a Minkowski kernel has 2 or 3 axes")),
        };
        let side = places.isqrt();
        if side == 0 || side * side != places {
            return Err(format!("has shape {shape:?}, but {places} places make no square kernel"));
        }
        let order = Order::Kernel { side, inputs, outputs };
        Ok(Self { name, shape: vec![outputs, inputs, side, side], order })
    }

    /// The same for a tensor of torchvision's heads: the background, which is their first class, is the last one of the
    /// classes, and neither box nor mask of it is needed. Or what is wrong with its shape.
    pub(crate) fn without_first_background(self) -> Result<Self, String> {
        let layer = self.name.rsplit_once('.').map_or("", |(layer, _)| layer);
        let (count, is_kept) = match layer {
            "roi_head.bbox_head.fc_cls" => (1, true),
            "roi_head.bbox_head.fc_reg" => (BOX_DELTAS, false),
            "roi_head.mask_head.conv_logits" => (1, false),
            _ => return Ok(self),
        };
        let mut shape = self.shape;
        let Some(rows) = shape.first_mut().filter(|rows| **rows >= count) else {
            return Err(format!("has shape {shape:?}, which leaves no room for the background"));
        };
        *rows -= if is_kept { 0 } else { count };
        Ok(Self { shape, order: Order::Background { count, is_kept }, ..self })
    }

    /// Moves an array there.
    pub(crate) fn convert(&self, array: NamedArray) -> NamedArray {
        let bytes = match self.order {
            Order::Same => array.bytes,
            Order::Background { count, is_kept } => {
                let rows = array.shape.first().copied().unwrap_or_default().max(1);
                let mut moved = array.bytes;
                let background = moved.len() / rows * count;
                moved.rotate_left(background);
                if !is_kept {
                    moved.truncate(moved.len() - background);
                }
                moved
            }
            Order::Kernel { side, inputs, outputs } => {
                let size = array.element_type.size();
                let mut moved = Vec::with_capacity(array.bytes.len());
                for (output, input) in pairs(outputs, inputs) {
                    for (y, x) in pairs(side, side) {
                        let start = (((x * side + y) * inputs + input) * outputs + output) * size;
                        // Every reader checks that the bytes of an array are those of its shape.
                        moved.extend_from_slice(array.bytes.get(start..start + size).unwrap_or_default());
                    }
                }
                moved
            }
        };
        NamedArray {
            name: self.name.clone(),
            element_type: array.element_type,
            shape: self.shape.clone(),
            bytes,
        }
    }
}

/// All pairs, the second number fastest.
fn pairs(first: usize, second: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..first).flat_map(move |outer| (0..second).map(move |inner| (outer, inner)))
}

/// The name without Minkowski's inner modules: `P.ln.weight` is `P.weight`.
fn dense_name(name: &str) -> String {
    if let Some((rest, leaf)) = name.rsplit_once('.')
        && let Some((module, "ln" | "linear")) = rest.rsplit_once('.')
    {
        return format!("{module}.{leaf}");
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: (&str, &[usize]), to: (&str, &[usize])) {
        let remapped = Remapped::new(from.0, from.1).unwrap();
        assert_eq!((remapped.name.as_str(), remapped.shape.as_slice()), to);
    }

    #[test]
    fn sparse_names_and_shapes_become_dense() {
        check(
            ("encoder.stages.0.1.dwconv.kernel", &[49, 40]),
            ("encoder.stages.0.1.dwconv.weight", &[40, 1, 7, 7]),
        );
        check(
            ("downsample_layers.1.1.kernel", &[4, 40, 80]),
            ("downsample_layers.1.1.weight", &[80, 40, 2, 2]),
        );
        check(("downsample_layers.1.1.bias", &[1, 80]), ("downsample_layers.1.1.bias", &[80]));
        check(
            ("encoder.downsample_layers.1.0.ln.bias", &[40]),
            ("encoder.downsample_layers.1.0.bias", &[40]),
        );
        check(("stages.0.0.pwconv1.linear.weight", &[8, 2]), ("stages.0.0.pwconv1.weight", &[8, 2]));
        check(("stages.0.0.pwconv2.weight", &[2, 8, 1, 1]), ("stages.0.0.pwconv2.weight", &[2, 8]));
        check(("stages.0.0.gamma", &[40, 1, 1]), ("stages.0.0.gamma", &[40]));
        check(("head.weight", &[2, 8, 1, 1]), ("head.weight", &[2, 8, 1, 1]));
        check(("stages.0.0.grn.gamma", &[1, 160]), ("stages.0.0.grn.gamma", &[1, 1, 1, 160]));
        check(("stages.0.0.grn.beta", &[160]), ("stages.0.0.grn.beta", &[1, 1, 1, 160]));
    }

    #[test]
    fn dense_names_and_shapes_stay() {
        for (name, shape) in [
            ("downsample_layers.0.0.weight", [40, 3, 4, 4].as_slice()),
            ("stages.0.0.grn.gamma", &[1, 1, 1, 160]),
            ("stages.0.0.gamma", &[40]),
            ("mask_token", &[1, 512, 1, 1]),
            ("head.bias", &[1]),
            ("ln.weight", &[1]),
        ] {
            check((name, shape), (name, shape));
        }
    }

    #[test]
    fn rows_are_the_fastest_places_of_a_kernel() {
        // Place p, input i, output o hold 100 p + 10 i + o; place p is at y = p % 2, x = p / 2.
        let value = |place: usize, input: usize, output: usize| (100 * place + 10 * input + output) as f32;
        let mut values = Vec::new();
        for place in 0..4 {
            values.extend(pairs(2, 3).map(|(input, output)| value(place, input, output)));
        }
        let remapped = Remapped::new("d.1.kernel", &[4, 2, 3]).unwrap();
        let array = remapped.convert(NamedArray::from_f32("d.1.kernel", [4, 2, 3], &values));
        assert_eq!((array.name.as_str(), array.shape.as_slice()), ("d.1.weight", [3, 2, 2, 2].as_slice()));
        let converted = array.to_f32().unwrap();
        let mut index = 0;
        for (output, input) in pairs(3, 2) {
            for (y, x) in pairs(2, 2) {
                assert_eq!(converted[index], value(2 * x + y, input, output), "{output} {input} {y} {x}");
                index += 1;
            }
        }
    }

    #[test]
    fn the_background_of_torchvision_goes_to_the_end_or_away() {
        let check = |layer: &str, shape: &[usize], expected: &[f32]| {
            let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
            let name = format!("roi_head.{layer}");
            let remapped = Remapped::new(&name, shape).unwrap().without_first_background().unwrap();
            let found = remapped.convert(NamedArray::from_f32(&name, shape, &values));
            assert_eq!(found.to_f32().unwrap(), expected, "{layer}");
            assert_eq!(found.shape.iter().product::<usize>(), expected.len());
        };
        check("bbox_head.fc_cls.weight", &[3, 2], &[2.0, 3.0, 4.0, 5.0, 0.0, 1.0]);
        check("bbox_head.fc_cls.bias", &[3], &[1.0, 2.0, 0.0]);
        check("bbox_head.fc_reg.bias", &[8], &[4.0, 5.0, 6.0, 7.0]);
        check("mask_head.conv_logits.weight", &[3, 1, 1, 1], &[1.0, 2.0]);
        check("bbox_head.shared_fcs.0.bias", &[2], &[0.0, 1.0]);
        for shape in [[3].as_slice(), &[]] {
            let remapped = Remapped::new("roi_head.bbox_head.fc_reg.bias", shape).unwrap();
            assert!(remapped.without_first_background().unwrap_err().contains("no room"));
        }
    }

    #[test]
    fn kernels_that_are_no_squares_are_refused() {
        for (shape, word) in
            [([5, 2, 3].as_slice(), "no square"), (&[0, 2], "no square"), (&[4], "2 or 3 axes")]
        {
            let why = Remapped::new("d.1.kernel", shape).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        let why = Remapped::new("stages.0.0.grn.beta", &[usize::MAX, 2]).unwrap_err();
        assert!(why.contains("absurd"), "{why}");
    }
}
