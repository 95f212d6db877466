//! What a recorded run has only because of the model, or the weights, that it began with.

use std::ffi::OsStr;

use convnext::core::{
    DecoderConfig, DecoderKind, DetectionTask, FcmaeConfig, FcmaeTask, Kind, ModelConfig, SegmentationTask,
    WeightMetadata,
};
use serde::Serialize;
use toml::{Table, Value};

use super::argument::{Argument, nested};
use super::recorded::{DECODER, part_arguments};
use super::recorded_model::{recorded_backbone, recorded_part, recorded_weights};
use crate::cli::finetune::{masks, objects};

/// Flags by which a run begins with another model, or with other weights.
const OF_START: [&str; 4] = ["--model", "--depths", "--widths", "--init"];

/// These arguments, without those of encoder, decoder and heads that are the usual ones of the recorded backbone, or those of
/// its weights, if another start is typed: its own are then the usual ones. `typed` has the value of a flag, if it is typed.
///
/// # Errors
/// When the recorded model cannot be read.
pub(super) fn without_usual<'t>(
    recorded: Vec<Argument>,
    settings: &Table,
    typed: impl Fn(&str) -> Option<&'t OsStr>,
) -> anyhow::Result<Vec<Argument>> {
    let is_other = |flag: &str| {
        let of_run = recorded.iter().find(|(name, _)| *name == flag).map(|(_, value)| value.as_os_str());
        typed(flag).is_some_and(|typed| of_run != Some(typed))
    };
    if !OF_START.into_iter().any(is_other) {
        return Ok(recorded);
    }
    let usual = usual_arguments(settings)?;
    Ok(recorded.into_iter().filter(|argument| !usual.contains(argument)).collect())
}

/// The arguments that stand for the parts around the recorded backbone as they are where nobody chooses any.
fn usual_arguments(settings: &Table) -> anyhow::Result<Vec<Argument>> {
    let (backbone, weights) = (recorded_backbone(settings)?, recorded_weights(settings));
    match settings.get("task").and_then(Value::as_str) {
        Some(SegmentationTask::KIND) => arguments_of("head", masks::head(&backbone, weights.as_ref(), None)),
        Some(DetectionTask::KIND) => {
            arguments_of("head", objects::head(&backbone, weights.as_ref(), [None; 2]))
        }
        _ => match nested(settings, &["model", "decoder"]) {
            Some(decoder) => usual_autoencoder(&recorded_part("decoder", decoder)?, &backbone, weights),
            None => Ok(Vec::new()),
        },
    }
}

/// The arguments of the usual autoencoder around an encoder: that of weights, or the paper's. Where the recorded decoder is of
/// another kind, this was chosen, and depth, width and heads are the usual ones of the kind. Sizes that were chosen are those of
/// their kind, which is then none that follows.
fn usual_autoencoder(
    recorded: &DecoderConfig,
    encoder: &ModelConfig,
    weights: Option<WeightMetadata>,
) -> anyhow::Result<Vec<Argument>> {
    let of_weights = weights.and_then(|metadata| metadata.task_as::<FcmaeTask>().ok());
    let mut usual = of_weights.map_or_else(|| FcmaeConfig::new(encoder.clone()), |task| task.config(encoder));
    let is_other_kind = recorded.kind.name() != usual.decoder.kind.name();
    if is_other_kind {
        usual.decoder = DecoderConfig::new(recorded.kind, encoder);
    }
    // Heads follow from the width, unless weights have both.
    let has_own_heads = is_other_kind || recorded.width != usual.decoder.width;
    if has_own_heads && matches!(recorded.kind, DecoderKind::Transformer { .. }) {
        usual.decoder.kind = DecoderKind::transformer(recorded.width);
    }
    let sizes = |decoder: &DecoderConfig| (decoder.kind, decoder.depth, decoder.width);
    let is_chosen = is_other_kind || sizes(recorded) != sizes(&usual.decoder);
    let mut arguments = arguments_of("model", usual)?;
    if is_chosen {
        arguments.retain(|(flag, _)| *flag != DECODER);
    }
    Ok(arguments)
}

/// The arguments that a part of a configuration stands for.
fn arguments_of(key: &str, part: impl Serialize) -> anyhow::Result<Vec<Argument>> {
    let settings = Table::from_iter([(key.to_owned(), Value::try_from(part)?)]);
    Ok(part_arguments(&settings))
}

#[cfg(test)]
mod tests {
    use convnext::core::{MaskRcnnConfig, UperNetConfig, find_model};

    use super::*;
    use crate::cli::repeat::recorded;

    fn micro() -> ModelConfig {
        find_model("micro").unwrap().config()
    }

    /// The flags of parts that are passed on of a run, where this is typed.
    fn left(settings: &Table, flag: &str, value: &str) -> Vec<&'static str> {
        let typed = |name: &str| (name == flag).then_some(OsStr::new(value));
        let found = recorded::arguments_of(settings, typed("--init")).unwrap();
        let left = without_usual(found, settings, typed).unwrap();
        let parts = ["--encoder", "--decoder", "--head", "--box"];
        let flags = left.into_iter().map(|(flag, _)| flag);
        flags.filter(|flag| parts.iter().any(|part| flag.starts_with(part))).collect()
    }

    fn pretraining(change: impl FnOnce(&mut FcmaeConfig)) -> Table {
        let mut model = FcmaeConfig::new(micro());
        change(&mut model);
        Table::from_iter([("model".to_owned(), Value::try_from(model).unwrap())])
    }

    /// Bug: a decoder of 128 channels, the usual one of `micro`, was made for `atto` as well.
    #[test]
    fn a_usual_decoder_is_not_passed_on_to_another_start() {
        let all = ["--encoder", "--decoder-depth", "--decoder-width", "--decoder"];
        let plain = pretraining(|_| {});
        for other in ["", "--seed"] {
            assert_eq!(left(&plain, other, "1"), all, "{other}");
        }
        assert_eq!(left(&plain, "--model", "micro"), all);
        for (flag, value) in [("--model", "atto"), ("--widths", "16,32,64,256"), ("--init", "x.safetensors")]
        {
            assert!(left(&plain, flag, value).is_empty(), "{flag}");
        }
        let wide = pretraining(|model| model.decoder.width = 256);
        assert_eq!(left(&wide, "--model", "atto"), ["--decoder-width", "--decoder"]);
    }

    #[test]
    fn a_decoder_of_a_chosen_kind_has_the_usual_sizes_of_that_kind() {
        let usual = pretraining(|model| model.decoder = DecoderConfig::transformer(&model.encoder));
        assert_eq!(left(&usual, "--model", "atto"), ["--decoder"]);
        let wide = |heads| {
            pretraining(move |model| {
                let kind = DecoderKind::Transformer { heads };
                model.decoder =
                    DecoderConfig { kind, width: 256, ..DecoderConfig::transformer(&model.encoder) };
            })
        };
        // 8 heads follow from 256 channels, and 4 do not.
        assert_eq!(left(&wide(8), "--model", "atto"), ["--decoder-width", "--decoder"]);
        let expected = ["--decoder-width", "--decoder-heads", "--decoder"];
        assert_eq!(left(&wide(4), "--model", "atto"), expected);
    }

    #[test]
    fn usual_heads_are_not_passed_on_to_another_start() {
        let run = |task: &str, head: Value| {
            let model = ModelConfig { classes: 2, ..micro() };
            let parts =
                [("task", Value::from(task)), ("model", Value::try_from(model).unwrap()), ("head", head)];
            Table::from_iter(parts.map(|(key, value)| (key.to_owned(), value)))
        };
        let segmentation = |head_width| {
            let head = UperNetConfig { head_width, ..UperNetConfig::of_backbone(&micro()) };
            run(SegmentationTask::KIND, Value::try_from(head).unwrap())
        };
        assert!(left(&segmentation(128), "--model", "tiny").is_empty());
        assert_eq!(left(&segmentation(64), "--init", "x.safetensors"), ["--head-width"]);
        let head = MaskRcnnConfig { box_width: 32, ..MaskRcnnConfig::of_backbone(&micro()) };
        let detection = run(DetectionTask::KIND, Value::try_from(head).unwrap());
        assert_eq!(left(&detection, "--model", "tiny"), ["--box-width"]);
        assert_eq!(left(&detection, "--model", "micro"), ["--head-width", "--box-width"]);
    }
}
