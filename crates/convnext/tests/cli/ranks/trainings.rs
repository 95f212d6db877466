//! Short trainings whose steps have twelve micro-batches, and what they leave behind.

use std::collections::BTreeMap;
use std::fs;

use safetensors::SafeTensors;

use crate::cli::bench::Bench;
use crate::cli::streets::streets_of;

/// Names of what a run writes whose bytes no number of ranks may change.
const FILES: [&str; 5] = [
    "config.toml",
    "evaluation.json",
    "weights.safetensors",
    "weights-ema.safetensors",
    "weights-best.safetensors",
];

pub(super) const PRETRAIN: &str = "pretrain --data photos --model micro --recipe plain --image-size 32 --stem-stride 1 \
    --batch-size 1 --accumulate 12 --epochs 3 --set training.ema=0.9 --checkpoint-every 0";

pub(super) const FINETUNE: &str = "finetune --data photos --model micro --recipe plain --image-size 32 --stem-stride 1 \
    --batch-size 1 --accumulate 12 --epochs 3 --set training.ema=0.9 --set regularization.drop_path=0.3 --checkpoint-every 0";

/// With batch norms, whose running statistics follow the micro-batches.
pub(super) const SEGMENT: &str = "finetune --task segment --data streets --model micro --head-width 8 --image-size 32 \
    --batch-size 2 --accumulate 12 --epochs 4 --set training.warmup_steps=0 --set from_scratch.warmup_steps=0 \
    --checkpoint-every 0";

/// On `cells`: the last image has no objects, so that some gradients are missing.
pub(super) const DETECT: &str = "finetune --task detect --data cells --model micro --head-width 16 --box-width 32 --image-size 64 \
    --regions 32 --batch-size 1 --accumulate 6 --epochs 3 --set training.warmup_steps=0 --set from_scratch.warmup_steps=0 \
    --checkpoint-every 0";

/// On `colours`.
pub(super) const MULTI_LABEL: &str = "finetune --task multi-label --data photos --labels labels.csv --model micro --recipe plain \
    --image-size 32 --stem-stride 1 --batch-size 2 --accumulate 12 --epochs 2 --checkpoint-every 0";

/// A folder with the data of the others.
pub(super) fn data() -> Bench {
    let bench = streets_of(24);
    bench.draw_classes("photos/train", 8);
    bench.draw_classes("photos/val", 3);
    bench
}

/// What a run left behind, by name.
pub(super) fn results(bench: &Bench, run: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in FILES.map(|file| format!("{run}/{file}")).into_iter().filter(|file| bench.exists(file)) {
        found.insert(file[run.len()..].to_owned(), bench.read(&file));
    }
    let config = found.get_mut("/config.toml").expect("a run has a configuration");
    *config = without_out(config, run);
    found.insert("/metrics.jsonl".into(), metrics(bench, run).join("\n").into());
    for entry in fs::read_dir(bench.path(&format!("{run}/checkpoints"))).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        found.insert(
            format!("/checkpoints/{name}"),
            tensors(&bench.read(&format!("{run}/checkpoints/{name}"))),
        );
    }
    found
}

/// Compares all that a run left behind with that of another one.
pub(super) fn check_same(bench: &Bench, [alone, shared]: [&str; 2]) {
    let [alone, found] = [alone, shared].map(|run| results(bench, run));
    let names = |found: &BTreeMap<String, Vec<u8>>| found.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&alone), names(&found), "{shared}");
    for (name, bytes) in alone {
        assert!(bytes == found[&name], "{shared}{name} differs");
    }
}

/// The lines of a configuration but for the folder and the command.
fn without_out(config: &[u8], run: &str) -> Vec<u8> {
    let text = String::from_utf8(config.to_vec()).unwrap();
    let lines = text.lines().filter(|line| !line.contains(run) && !line.starts_with("command"));
    lines.collect::<Vec<_>>().join("\n").into()
}

/// Losses of all steps, and all reports of epochs; their times differ.
fn metrics(bench: &Bench, run: &str) -> Vec<String> {
    let text = bench.read_text(&format!("{run}/metrics.jsonl"));
    let without_speed = |line: &str| line.split(",\"images_per_second\"").next().unwrap().to_owned();
    text.lines().map(without_speed).collect()
}

/// Names, shapes and bytes of the tensors of a checkpoint, which has times beside them.
fn tensors(file: &[u8]) -> Vec<u8> {
    let file = SafeTensors::deserialize(file).unwrap();
    let mut tensors = file.tensors();
    tensors.sort_by(|(first, _), (second, _)| first.cmp(second));
    let bytes = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
        [format!("{name} {:?}", tensor.shape()).as_bytes(), tensor.data()].concat()
    };
    tensors.into_iter().flat_map(bytes).collect()
}

/// The newest checkpoint must be whole: it is what the run goes on from.
pub(super) fn check_newest_checkpoint(bench: &Bench, run: &str) {
    let Ok(entries) = fs::read_dir(bench.path(&format!("{run}/checkpoints"))) else { return };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // What was half written has another name.
    if let Some(newest) = names.filter(|name| name.ends_with(".safetensors") && !name.starts_with('.')).max()
    {
        tensors(&bench.read(&format!("{run}/checkpoints/{newest}")));
    }
}
