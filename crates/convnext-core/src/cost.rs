//! Exact cost of a configuration, by formula (docs/facts.md, "Configs, exact sizes").

use serde::Serialize;

use crate::block_layout::BlockLayout;
use crate::config::ModelConfig;
use crate::decoder_cost::{decoder_macs, decoder_norms};
use crate::error::ConfigError;
use crate::fcmae_config::FcmaeConfig;
use crate::image_size::ImageSize;
use crate::large_counts::{product, sum};
use crate::limits::STAGES;
use crate::mask::{PatchGrid, usable_kept_count};

/// Parameters, multiply-adds and FLOPs of one image. A count beyond 64 bits is [`u64::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Trainable values, head included.
    pub parameters: u64,
    /// Multiply-adds of convolutions, linear layers and attention, head included; no bias, norm, GELU or GRN. Of the
    /// alternatives to GRN only the convolution of CBAM's gate counts: linear layers of gates, which run once an image, pools,
    /// powers and products with gates do not.
    pub macs: u64,
    /// FLOPs as the paper counts them: `macs` plus 5 for every value that a LayerNorm puts out, one in the place of GRN
    /// included; other norms do not count. Of networks for segmentation and detection by the other rule of its Tables 7 and 6
    /// ([`crate::UperNetConfig::cost`], [`crate::MaskRcnnConfig::cost`]).
    pub flops: u64,
}

impl Cost {
    /// The cost of a model on an image of `height` x `width` pixels. Without classes it is that of the backbone alone,
    /// which has neither a head nor the norm in front of it.
    ///
    /// # Errors
    /// [`ConfigError::ImageTooSmall`] when the last stage would have no site, and
    /// [`ConfigError::OutOfRange`] when the configuration itself is not sound.
    pub fn of(config: &ModelConfig, height: usize, width: usize) -> Result<Self, ConfigError> {
        let [macs, normalised] = counts(config, height, width)?;
        Ok(Self { parameters: parameters(config), macs, flops: flops(macs, normalised) })
    }
}

/// FLOPs as the paper counts them, from multiply-adds and the values that LayerNorms put out.
pub(crate) fn flops(macs: u64, normalised: u64) -> u64 {
    sum([macs, product([5, normalised])])
}

/// Multiply-adds, and values that LayerNorms put out.
fn counts(config: &ModelConfig, height: usize, width: usize) -> Result<[u64; 2], ConfigError> {
    let sites = config.stage_sizes(height, width)?.map(|[rows, columns]| (rows * columns) as u64);
    let widths = config.widths.map(|width| width as u64);
    let depths = config.depths.map(|depth| depth as u64);
    let classes = config.classes as u64;
    let stem_inputs = (config.input_channels * config.stem_stride * config.stem_stride) as u64;

    let mut macs = vec![product([sites[0], stem_inputs, widths[0]])];
    let mut normalised = vec![product([sites[0], widths[0]])];
    for stage in 1..STAGES {
        macs.push(product([sites[stage], 4, widths[stage - 1], widths[stage]]));
        normalised.push(product([sites[stage - 1], widths[stage - 1]]));
    }
    for stage in 0..STAGES {
        let block = BlockLayout::of_stage(config, stage);
        macs.push(product([depths[stage], sites[stage], block.macs_per_site()]));
        normalised.push(product([depths[stage], sites[stage], block.norm_outputs_per_site()]));
    }
    if classes > 0 {
        macs.push(widths[STAGES - 1] * classes);
        normalised.push(widths[STAGES - 1]);
    }
    Ok([sum(macs), sum(normalised)])
}

/// Multiply-adds of FCMAE's encoder and of its decoder on an image, of whose patches the fraction
/// `mask_ratio` is removed. A sparse encoder computes at kept sites only, the decoder's first layer at kept
/// patches, its last one at removed ones.
///
/// # Errors
/// [`ConfigError`] when the image is no whole number of patches, or the mask ratio leaves nothing to do.
pub fn pretraining_macs(
    config: &FcmaeConfig,
    mask_ratio: f64,
    size: ImageSize,
) -> Result<[u64; 2], ConfigError> {
    let ImageSize { height, width } = size;
    let grid = PatchGrid::of_image(&config.encoder, height, width)?;
    let (patches, kept) = (grid.patches() as u64, usable_kept_count(grid.patches(), mask_ratio)? as u64);
    let encoder = Cost::of(&ModelConfig { classes: 0, ..config.encoder.clone() }, height, width)?.macs;
    Ok([of_computed_sites(config, encoder, [patches, kept]), decoder_macs(config, patches, kept)])
}

/// Values that the LayerNorms of FCMAE put out on such an image: a sparse encoder has them at kept sites only.
pub(crate) fn pretraining_norms(
    config: &FcmaeConfig,
    mask_ratio: f64,
    size: ImageSize,
) -> Result<u64, ConfigError> {
    let ImageSize { height, width } = size;
    let grid = PatchGrid::of_image(&config.encoder, height, width)?;
    let (patches, kept) = (grid.patches() as u64, usable_kept_count(grid.patches(), mask_ratio)? as u64);
    let [_, encoder] = counts(&ModelConfig { classes: 0, ..config.encoder.clone() }, height, width)?;
    let encoder = of_computed_sites(config, encoder, [patches, kept]);
    Ok(sum([encoder, product([patches, decoder_norms(&config.decoder)])]))
}

/// Of a count over all sites of an image what an encoder has where it computes.
fn of_computed_sites(config: &FcmaeConfig, count: u64, [patches, kept]: [u64; 2]) -> u64 {
    if config.encoder_kind.computes_everywhere() {
        return count;
    }
    // At most the count itself; the product on the way to it may be larger.
    (u128::from(count) * u128::from(kept) / u128::from(patches)) as u64
}

/// Trainable values of a model, from its shapes.
fn parameters(config: &ModelConfig) -> u64 {
    let widths = config.widths.map(|width| width as u64);
    let stem_inputs = (config.input_channels * config.stem_stride * config.stem_stride) as u64;
    let stem = (stem_inputs + 3) * widths[0];
    let downsampling: u64 = widths.windows(2).map(|w| 2 * w[0] + 4 * w[0] * w[1] + w[1]).sum();
    let blocks: u64 = (0..STAGES)
        .map(|stage| config.depths[stage] as u64 * BlockLayout::of_stage(config, stage).parameters())
        .sum();
    let classes = config.classes as u64;
    let head = if classes > 0 { 2 * widths[STAGES - 1] + (widths[STAGES - 1] + 1) * classes } else { 0 };
    stem + downsampling + blocks + head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Family;
    use crate::decoder_config::DecoderConfig;
    use crate::fcmae_config::{EncoderKind, FcmaeObjective};
    use crate::fcmae_task::FcmaeTask;
    use crate::image_size::MAX_IMAGE_SIDE;
    use crate::limits::{MAX_BLOCKS, MAX_CHANNELS, MAX_CLASSES};
    use crate::mask_rcnn::MaskRcnnConfig;
    use crate::response_norm::ResponseNorm;
    use crate::sizes::{MODELS, find_model};
    use crate::task_metadata::TaskMetadata;
    use crate::upernet::UperNetConfig;

    #[test]
    fn parameters_are_those_of_the_table() {
        for size in MODELS {
            let cost = Cost::of(&size.config(), 224, 224).unwrap();
            assert_eq!(cost.parameters, size.parameters, "{}", size.name);
        }
    }

    /// Table 2e: 109 million with gates; 89 million with everything else in the place of GRN.
    #[test]
    fn gates_cost_parameters_and_nothing_else_does() {
        for norm in ResponseNorm::ALL {
            let config = ModelConfig { response_norm: Some(norm), ..find_model("base").unwrap().config() };
            let parameters = Cost::of(&config, 224, 224).unwrap().parameters;
            let expected = match norm {
                ResponseNorm::Se => 109_512_168,
                ResponseNorm::Cbam => 109_515_696,
                ResponseNorm::Lrn => 88_573_416,
                _ => 88_717_800,
            };
            assert_eq!(parameters, expected, "{norm:?}");
        }
    }

    #[test]
    fn multiply_adds_are_exact() {
        let expected: [(&str, [u64; 3]); 10] = [
            ("atto", [547_332_480, 1_607_866_880, 2_858_181_120]),
            ("femto", [779_629_824, 2_290_412_544, 4_071_545_856]),
            ("pico", [1_367_055_360, 4_016_476_160, 7_140_003_840]),
            ("nano", [2_445_528_320, 7_185_617_920, 12_773_934_080]),
            ("tiny", [4_455_531_264, 13_092_317_184, 23_274_633_216]),
            ("v1-small", [8_683_712_256, 25_517_991_936, 45_364_721_664]),
            ("base", [15_354_729_472, 45_122_117_632, 80_216_301_568]),
            ("large", [34_361_433_600, 100_977_561_600, 179_514_470_400]),
            ("v1-xlarge", [60_921_030_656, 179_029_262_336, 318_272_651_264]),
            ("huge", [114_922_100_480, 337_724_794_880, 600_397_445_120]),
        ];
        for (name, counts) in expected {
            let config = find_model(name).unwrap().config();
            for (side, macs) in [224, 384, 512].into_iter().zip(counts) {
                assert_eq!(Cost::of(&config, side, side).unwrap().macs, macs, "{name} at {side}");
            }
        }
    }

    /// 0.212 and 0.159 billion multiply-adds for Atto, as the design says.
    #[test]
    fn a_sparse_pretraining_costs_the_kept_share_and_its_decoder() {
        let mut config = FcmaeConfig::new(find_model("atto").unwrap().config());
        let [encoder, decoder] = pretraining_macs(&config, 0.6, ImageSize::square(224)).unwrap();
        assert_eq!(encoder, (547_332_480 - 320_000) * 19 / 49);
        assert_eq!(decoder, 19 * 320 * 512 + 49 * (8 * 512 * 512 + 49 * 512) + 30 * 512 * 3072);
        let cost =
            FcmaeTask::new(&config, FcmaeObjective::default()).cost(&config.encoder, 224.into()).unwrap();
        // The last block of Atto has 320 channels at one site of each of the 19 kept patches.
        assert_eq!((cost.macs, (cost.flops - cost.macs) % 5), (encoder + decoder, 0));
        let norms = 64 * 40 * 2 + 64 * 40 * 2 + 16 * 80 * 3 + 4 * 160 * 7 + 320 * 2;
        assert_eq!((cost.flops - cost.macs) / 5, 19 * norms + 49 * 512);
        for everywhere in [EncoderKind::Leaky, EncoderKind::MaskedDense] {
            config.encoder_kind = everywhere;
            assert_eq!(
                pretraining_macs(&config, 0.6, ImageSize::square(224)).unwrap(),
                [547_332_480 - 320_000, decoder]
            );
        }
    }

    /// Each value is the largest that is allowed: the products need more than 64 bits.
    #[test]
    fn counts_do_not_wrap() {
        let (depths, widths) = ([MAX_BLOCKS; STAGES], [MAX_CHANNELS; STAGES]);
        let size = ImageSize::square(MAX_IMAGE_SIDE);
        let atto = find_model("atto").unwrap().config();
        let (input_channels, classes) = (MAX_CHANNELS, MAX_CLASSES);
        let model = ModelConfig { depths, widths, input_channels, stem_stride: 1, classes, ..atto };
        let largest = |cost: Cost| assert_eq!([cost.macs, cost.flops], [u64::MAX; 2], "{cost:?}");
        largest(Cost::of(&model, size.height, size.width).unwrap());
        largest(MaskRcnnConfig::PAPER.cost(&model, size).unwrap());
        let wide = UperNetConfig { head_width: MAX_CHANNELS, auxiliary_width: Some(MAX_CHANNELS) };
        largest(wide.cost(&model, size).unwrap());
        let mut config = FcmaeConfig::new(model);
        config.decoder = DecoderConfig { depth: MAX_BLOCKS, width: MAX_CHANNELS, ..config.decoder };
        let [encoder, decoder] = pretraining_macs(&config, 0.5, size).unwrap();
        assert!(encoder > u64::MAX / 3 && decoder == u64::MAX, "{encoder}, {decoder}");
        largest(FcmaeTask::new(&config, FcmaeObjective::default()).cost(&config.encoder, size).unwrap());
    }

    #[test]
    fn flops_follow_the_papers_convention() {
        // mmpretrain's published values count the same without the head's C3 x 1000.
        for (name, side, without_head) in
            [("atto", 224, 551_718_080_u64), ("tiny", 224, 4_469_631_744), ("huge", 512, 600_809_158_400)]
        {
            let config = find_model(name).unwrap().config();
            let head = config.last_width() as u64 * 1000;
            assert_eq!(Cost::of(&config, side, side).unwrap().flops, without_head + head, "{name}");
        }
    }

    #[test]
    fn the_families_cost_the_same_multiply_adds() {
        for size in MODELS.iter().filter(|size| size.family == Family::V1) {
            if let Ok(v2) = find_model(size.name.trim_start_matches("v1-")) {
                let cost = |config| Cost::of(&config, 224, 224).unwrap();
                assert_eq!(cost(size.config()).macs, cost(v2.config()).macs, "{}", size.name);
            }
        }
    }
}
