//! The arguments that a recorded configuration stands for.

use std::ffi::{OsStr, OsString};

use anyhow::bail;
use convnext::core::{DecoderKind, DetectionTask, Kind, SegmentationTask};
use convnext::multilabel::MultiLabelTask;
use convnext::train::LabelSubset;
use toml::{Table, Value};

use super::argument::{Argument, nested};
use super::recorded_model::model_arguments;

/// Flags and the keys that they are recorded under. A value is written as it was typed.
const KEYS: [(&str, &str); 12] = [
    ("--data", "data"),
    ("--init", "init"),
    ("--seed", "seed"),
    ("--labels", "labels"),
    ("--labels-per-class", "labels_per_class"),
    ("--labelled-images", "labelled_images"),
    ("--classes", "classes"),
    ("--label-fraction", "label_fraction"),
    ("--patience", "patience"),
    ("--activations", "activations"),
    ("--precision", "precision"),
    ("--sum", "sum"),
];

/// Those of what stands around a backbone, but for the kind of a decoder.
const PART_KEYS: [(&str, &[&str]); 6] = [
    ("--encoder", &["model", "encoder_kind"]),
    ("--decoder-depth", &["model", "decoder", "depth"]),
    (DECODER_WIDTH, &["model", "decoder", "width"]),
    (DECODER_HEADS, &["model", "decoder", "heads"]),
    ("--head-width", &["head", "head_width"]),
    ("--box-width", &["head", "box_width"]),
];

/// The flags of a decoder's kind, width and heads.
pub(super) const DECODER: &str = "--decoder";
const DECODER_WIDTH: &str = "--decoder-width";
const DECODER_HEADS: &str = "--decoder-heads";

/// The arguments of a recorded run, but for its recipe and its range; `init` is where it starts from, if not from the
/// recorded weights.
pub(super) fn arguments_of(settings: &Table, init: Option<&OsStr>) -> anyhow::Result<Vec<Argument>> {
    let mut found: Vec<Argument> =
        KEYS.iter().filter_map(|(flag, key)| Some((*flag, text(settings.get(*key)?)))).collect();
    let is = |key: &str, value: &str| settings.get(key).and_then(Value::as_str) == Some(value);
    let switches = [
        ("--ignore-orientation", is("orientation", "ignore")),
        ("--fast-decode", is_on(settings, "fast_decode")),
        ("--watch-features", is_on(settings, "watch_features")),
        ("--sync-batch-norm", settings.contains_key("sync_batch_norm")),
    ];
    found.extend(switches.iter().filter(|(_, on)| *on).map(|(flag, _)| (*flag, OsString::new())));
    if is("freeze", "encoder") {
        found.push(("--freeze", "encoder".into()));
    }
    if let Some(task) = settings.get("task").and_then(Value::as_str) {
        let name = match task {
            MultiLabelTask::KIND => "multi-label",
            SegmentationTask::KIND => "segment",
            DetectionTask::KIND => "detect",
            _ => {
                bail!("it is the run of another program for the task '{task}', which cannot be repeated here")
            }
        };
        found.push(("--task", name.into()));
        found.extend(label_arguments(settings));
    }
    // The default share suits data with and without a part for validation, another one only that without.
    let share = settings.get("validation_fraction").and_then(Value::as_float);
    if let Some(share) = share.filter(|&share| share != LabelSubset::default().validation_fraction) {
        found.push(("--val-fraction", share.to_string().into()));
    }
    found.extend(part_arguments(settings));
    found.extend(model_arguments(settings, init)?);
    Ok(found)
}

/// The arguments about what stands around the recorded backbone: the encoder's kind and the decoder of an autoencoder, the
/// widths of the heads of a segmentation or a detection.
pub(super) fn part_arguments(settings: &Table) -> Vec<Argument> {
    let sizes = PART_KEYS.into_iter().filter_map(|(flag, path)| Some((flag, text(nested(settings, path)?))));
    sizes.chain(decoder_kind(settings).map(|kind| (DECODER, kind))).collect()
}

/// The kind of an autoencoder's decoder; that of the paper is recorded without its name.
fn decoder_kind(settings: &Table) -> Option<OsString> {
    let decoder = nested(settings, &["model", "decoder"])?;
    Some(decoder.get("kind").map_or_else(|| DecoderKind::ConvNext.name().into(), text))
}

/// These arguments without those of the decoder that follow from what is typed: depth, width and heads from another kind,
/// heads from another width. `typed` has the value of a flag, if it is typed.
pub(super) fn without_other_decoder<'t>(
    recorded: Vec<Argument>,
    typed: impl Fn(&str) -> Option<&'t OsStr>,
) -> Vec<Argument> {
    let is_other = |flag: &str| {
        let of_run = recorded.iter().find(|(name, _)| *name == flag);
        of_run.zip(typed(flag)).is_some_and(|((_, recorded), typed)| recorded != typed)
    };
    let [is_other_kind, is_other_width] = [DECODER, DECODER_WIDTH].map(is_other);
    let goes = |flag: &str| {
        is_other_kind && flag.starts_with("--decoder-") || is_other_width && flag == DECODER_HEADS
    };
    recorded.into_iter().filter(|(flag, _)| !goes(flag)).collect()
}

/// Arguments about the labels of a segmentation or a detection.
fn label_arguments(settings: &Table) -> Vec<Argument> {
    let file = settings.get("annotations").map(|file| ("--annotations", text(file)));
    let switches = [
        ("--reduce-zero-label", "reduce_zero_label"),
        ("--crowd-as-object", "crowd_as_object"),
        ("--allow-missing", "allow_missing"),
    ];
    let switches =
        switches.into_iter().filter(|(_, key)| is_on(settings, key)).map(|(flag, _)| (flag, OsString::new()));
    let ignored = settings.get("ignore_index").and_then(Value::as_array).into_iter().flatten();
    let ignored = ignored.map(|number| ("--ignore-index", text(number)));
    file.into_iter().chain(ignored).chain(switches).collect()
}

fn is_on(settings: &Table, key: &str) -> bool {
    settings.get(key).and_then(Value::as_bool) == Some(true)
}

/// A value without the quotes of TOML.
fn text(value: &Value) -> OsString {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "
        data = 'photos'
        seed = 7
        orientation = 'ignore'
        validation_fraction = 0.25
        [model]
        name = 'micro'
        depths = [1, 1, 2, 1]
        widths = [16, 32, 64, 128]
        grn = true
        layer_scale = false
        classes = 3
        input_channels = 1
        stem_stride = 2";

    fn arguments(run: &str, init: Option<&str>) -> anyhow::Result<Vec<String>> {
        let found = arguments_of(&toml::from_str(run)?, init.map(OsStr::new))?;
        Ok(found.into_iter().map(|(flag, value)| format!("{flag}={}", value.display())).collect())
    }

    #[test]
    fn a_run_from_scratch_names_its_model() {
        let expected = [
            "--data=photos",
            "--seed=7",
            "--ignore-orientation=",
            "--val-fraction=0.25",
            "--model=micro",
            "--stem-stride=2",
            "--channels=1",
        ];
        assert_eq!(arguments(RUN, None).unwrap(), expected);
    }

    #[test]
    fn blocks_are_told_where_they_are_not_those_of_the_model() {
        let other = RUN.replace(
            "grn = true",
            "grn = false\n        response_norm = 'se'\n        layer_scale_init = 0.5",
        );
        let other = other.replace("layer_scale = false", "layer_scale = true");
        let found = arguments(&other, None).unwrap();
        assert!(
            found.ends_with(&["--response-norm=se".to_owned(), "--layer-scale=0.5".to_owned()]),
            "{found:?}"
        );
        // What was changed is changed in other weights as well.
        let found = arguments(&other, Some("x.safetensors")).unwrap();
        assert!(
            found.ends_with(&["--response-norm=se".to_owned(), "--layer-scale=0.5".to_owned()]),
            "{found:?}"
        );
        let found = arguments(RUN, Some("x.safetensors")).unwrap();
        assert!(found.iter().all(|found| !found.contains("-norm") && !found.contains("-scale")), "{found:?}");
        // Weights may have other blocks, so a run that began with some tells its own.
        let found = arguments(&format!("init = 'w.safetensors'\n{RUN}"), None).unwrap();
        assert!(found.contains(&"--response-norm=grn".to_owned()), "{found:?}");
        assert!(found.contains(&"--layer-scale=off".to_owned()), "{found:?}");
    }

    #[test]
    fn what_follows_from_a_typed_decoder_is_not_repeated() {
        let run = [(DECODER, "transformer"), (DECODER_WIDTH, "512"), (DECODER_HEADS, "4"), ("--seed", "7")];
        for (flag, value, left) in [
            (DECODER, "unet", &[DECODER, "--seed"][..]),
            (DECODER, "transformer", &[DECODER, DECODER_WIDTH, DECODER_HEADS, "--seed"]),
            (DECODER_WIDTH, "256", &[DECODER, DECODER_WIDTH, "--seed"]),
            (DECODER_WIDTH, "512", &[DECODER, DECODER_WIDTH, DECODER_HEADS, "--seed"]),
        ] {
            let recorded = run.map(|(flag, value)| (flag, OsString::from(value))).to_vec();
            let typed = |name: &str| (name == flag).then_some(OsStr::new(value));
            let found = without_other_decoder(recorded, typed).into_iter().map(|(flag, _)| flag);
            assert_eq!(found.collect::<Vec<_>>(), left, "{flag} {value}");
        }
    }

    #[test]
    fn a_model_that_comes_from_weights_is_not_named() {
        let run = format!("init = 'w.safetensors'\n{RUN}");
        let found = arguments(&run, None).unwrap();
        assert!(
            found.contains(&"--init=w.safetensors".to_owned())
                && !found.contains(&"--model=micro".to_owned())
        );
        assert!(!arguments(RUN, Some("x")).unwrap().iter().any(|found| found.starts_with("--channels")));
        assert!(arguments(&run, Some("none")).unwrap().contains(&"--model=micro".to_owned()));
    }

    #[test]
    fn other_stages_are_told() {
        let other = RUN.replace("[1, 1, 2, 1]", "[9, 1, 2, 1]").replace("'micro'", "'custom'");
        let stages = ["--depths=9,1,2,1", "--widths=16,32,64,128"].map(str::to_owned);
        let found = arguments(&other, None).unwrap();
        assert!(found.contains(&"--model=micro".to_owned()) && found.ends_with(&stages), "{found:?}");
        let v1 =
            other.replace("grn = true", "grn = false").replace("layer_scale = false", "layer_scale = true");
        assert!(arguments(&v1, None).unwrap().contains(&"--model=v1-micro".to_owned()));
        // In other weights what was changed of the family's blocks is changed as well.
        let se = other.replace("grn = true", "grn = false\n        response_norm = 'se'");
        assert!(arguments(&se, Some("x")).unwrap().ends_with(&["--response-norm=se".to_owned()]));
    }

    #[test]
    fn what_no_argument_says_is_refused() {
        assert!(
            arguments(&format!("task = 'depth'\n{RUN}"), None).unwrap_err().to_string().contains("depth")
        );
    }
}
