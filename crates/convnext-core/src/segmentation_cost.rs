//! Exact cost of a segmentation network, by formula (docs/facts.md, "F. Segmentation"; the rule is that of `mmcv_cost.rs`).

use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::large_counts::{product, sum};
use crate::limits::STAGES;
use crate::mmcv_cost::BackboneCost;
use crate::tensors::trained_values;
use crate::upernet::{POOL_SCALES, UperNetConfig};

/// Operations of mmcv's count for each value behind a batch norm and a ReLU.
const NORM_AND_RELU: u64 = 3;

impl UperNetConfig {
    /// The cost of UperNet on a backbone, for one image. The auxiliary head counts among the parameters, as in the paper, but
    /// not among operations, because inference does without it. FLOPs are those of the paper's Table 7.
    ///
    /// # Errors
    /// [`ConfigError::ImageTooSmall`] when the last stage would have no site, and
    /// [`ConfigError::OutOfRange`] when the backbone itself is not sound.
    pub fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        let trunk = BackboneCost::of(backbone, size)?;
        let [macs, rest] = self.head_operations(backbone, trunk.sites());
        Ok(Cost {
            parameters: trunk.cost.parameters + self.parameters(backbone),
            macs: sum([trunk.cost.macs, macs]),
            flops: sum([trunk.cost.flops, macs, rest]),
        })
    }

    /// Multiply-adds of the auxiliary head, of which training has a forward and a backward; 0 where there is none.
    ///
    /// # Errors
    /// As [`Self::cost`].
    pub fn auxiliary_macs(&self, backbone: &ModelConfig, size: ImageSize) -> Result<u64, ConfigError> {
        let stage = STAGES - 2;
        let [rows, columns] = backbone.stage_sizes(size.height, size.width)?[stage];
        let width = self.auxiliary_width.unwrap_or(0);
        let macs_per_site = (9 * backbone.widths[stage] + backbone.classes) * width;
        Ok((rows * columns * macs_per_site) as u64)
    }

    /// Trainable values besides the backbone's.
    fn parameters(&self, backbone: &ModelConfig) -> u64 {
        trained_values(self.tensors(backbone))
    }

    /// Multiply-adds of the decode head on stages of so many sites, and mmcv's other operations.
    fn head_operations(&self, backbone: &ModelConfig, sites: [u64; STAGES]) -> [u64; 2] {
        let width = self.head_width as u64;
        let [.., last] = backbone.widths.map(|width| width as u64);
        let (finest, coarsest) = (sites[0], sites[STAGES - 1]);
        let scales = POOL_SCALES.map(|scale| (scale * scale) as u64);
        let pools = scales.len() as u64;
        // Inputs for each output, and positions, of every convolution with batch norm and ReLU.
        let mut layers: Vec<[u64; 2]> = scales.map(|cells| [last, cells]).to_vec();
        layers.push([9 * (last + pools * width), coarsest]);
        for (channels, positions) in backbone.widths.into_iter().zip(sites).take(STAGES - 1) {
            layers.extend([[channels as u64, positions], [9 * width, positions]]);
        }
        layers.push([9 * STAGES as u64 * width, finest]);
        let classes = backbone.classes as u64;
        let of_layers = layers.iter().map(|&[inputs, positions]| product([inputs, width, positions]));
        let macs = sum(of_layers.chain([product([width, classes, finest])]));
        let outputs = layers.iter().map(|[_, positions]| width * positions).sum::<u64>();
        [macs, NORM_AND_RELU * outputs + classes * finest + pools * last * coarsest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;

    fn cost(model: &str, head_width: usize, size: [usize; 2]) -> Cost {
        let backbone = ModelConfig { classes: 150, ..find_model(model).unwrap().config() };
        let head = UperNetConfig { head_width, ..UperNetConfig::PAPER };
        head.cost(&backbone, ImageSize { height: size[0], width: size[1] }).unwrap()
    }

    fn billions(count: u64) -> u64 {
        (count as f64 / 1e9).round() as u64
    }

    /// Table 7 of this paper, and of ConvNeXt (arXiv 2201.03545) for V1; by mmcv's rule.
    #[test]
    fn flops_are_the_papers() {
        let (small, large) = ([512, 2048], [640, 2560]);
        for (model, size, published) in [
            ("base", small, 1170),
            ("large", small, 1573),
            ("huge", small, 3272),
            ("huge", large, 5113),
            ("v1-tiny", small, 939),
            ("v1-small", small, 1027),
            ("v1-base", small, 1170),
            ("v1-base", large, 1828),
            ("v1-large", large, 2458),
            ("v1-xlarge", large, 3335),
        ] {
            assert_eq!(billions(cost(model, 512, size).flops), published, "{model} {size:?}");
        }
    }

    /// docs/facts.md, "F. Segmentation": the cost of the decode head beside that of the backbone at 512 pixels.
    #[test]
    fn parameters_and_multiply_adds_are_exact() {
        let rows: [(&str, [f64; 3], [f64; 3]); 8] = [
            ("atto", [212.858, 55.916, 16.401], [32.11, 11.47, 6.01]),
            ("femto", [214.266, 57.226, 17.663], [34.10, 13.23, 7.66]),
            ("pico", [217.723, 60.489, 20.829], [38.86, 17.53, 11.74]),
            ("nano", [223.746, 66.318, 26.560], [46.35, 24.57, 18.54]),
            ("tiny", [234.636, 77.013, 37.158], [60.29, 38.05, 31.80]),
            ("base", [292.356, 134.343, 94.294], [122.23, 99.08, 92.38]),
            ("large", [393.210, 234.419, 193.981], [235.18, 210.22, 202.60]),
            ("huge", [817.983, 657.247, 615.835], [706.81, 677.30, 667.41]),
        ];
        for (model, macs, parameters) in rows {
            for (index, width) in [512, 256, 128].into_iter().enumerate() {
                let found = cost(model, width, [512, 512]);
                let close = |found: u64, unit: f64, expected: f64| (found as f64 / unit - expected).abs();
                assert!(
                    close(found.parameters, 1e6, parameters[index]) <= 0.005,
                    "{model} {width}: {found:?}"
                );
                assert!(close(found.macs, 1e9, macs[index]) <= 0.0005, "{model} {width}: {found:?}");
            }
        }
    }
}
