//! A runner that trains nothing: it writes what a training would, by a rule that the test gives.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use convnext_study::{CommandEnd, PlannedRun, RunResult, Runner, Study, StudyObserver, StudyOptions};
use serde_json::json;

/// Images of a data set that nobody reads.
const IMAGES: usize = 40;
const IMAGES_A_STEP: usize = 10;

/// Top-1 of a run, or the way in which it fails.
pub(crate) type Rule = fn(&PlannedRun) -> Result<f64, CommandEnd>;

pub(crate) struct Toy {
    rule: Rule,
    /// Commands that were run, in order.
    ran: Mutex<Vec<String>>,
    /// Commands after which the study is stopped.
    stops_after: usize,
    begun: AtomicUsize,
}

impl Toy {
    pub(crate) fn new(rule: Rule) -> Self {
        Self::stopping_after(usize::MAX, rule)
    }

    pub(crate) fn stopping_after(stops_after: usize, rule: Rule) -> Self {
        Self { rule, ran: Mutex::default(), stops_after, begun: AtomicUsize::new(0) }
    }

    pub(crate) fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }
}

pub(crate) fn failure(error: &str, diverged: bool) -> CommandEnd {
    CommandEnd::Failure { error: error.into(), diverged }
}

/// The value of a flag.
pub(crate) fn flag(run: &PlannedRun, name: &str) -> Option<String> {
    let place = run.arguments.iter().position(|word| word == name)?;
    run.arguments.get(place + 1).cloned()
}

impl Runner for Toy {
    fn run(&self, run: &PlannedRun) -> CommandEnd {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.ran.lock().unwrap().push(run.id.clone());
        let top1 = match (self.rule)(run) {
            Ok(top1) => top1,
            Err(end) => return end,
        };
        if !run.stage.is_training() {
            let layers = |top1: f64| json!({ "layers": [{ "d": top1 }, { "d": top1 / 2.0 }] });
            let models: Vec<_> = (1..=run.needs.len()).map(|place| layers(top1 / place as f64)).collect();
            let layers = layers(top1)["layers"].take();
            return CommandEnd::Success(Some(json!({ "layers": layers, "models": models })));
        }
        let steps: usize =
            flag(run, "--steps").map_or(IMAGES / IMAGES_A_STEP, |steps| steps.parse().unwrap());
        let epochs = (steps * IMAGES_A_STEP) as f64 / IMAGES as f64;
        let last = json!({ "epoch": 0, "step": steps, "epochs": epochs, "train_loss": 0.5, "validation_top1": top1 });
        let step =
            json!({ "step": 1, "epoch": 0, "loss": 0.5, "learning_rate": 0.1, "images_per_second": 20.0 });
        let metric = json!({ "name": "top1", "value": top1, "direction": "higher", "unit": "fraction" });
        // A run of this name ends with a higher loss than it had before.
        let before = json!({ "epoch": 0, "step": 1, "epochs": 1.0, "train_loss": 0.25 });
        let before = if run.name.starts_with("rising") { format!("{before}\n") } else { String::new() };
        let summary = json!({ "steps": steps, "epochs": 1, "images": IMAGES, "seconds": 2.5 * epochs, "last": last,
            "best": null, "corrupt": [] });
        let machine = json!({ "processor": "toy", "threads": 1, "device": "CPU", "precision": "f32" });
        let record = json!({ "version": env!("CARGO_PKG_VERSION"), "started": 0, "total_steps": steps, "images": IMAGES,
            "validation_images": 0, "machine": machine });
        fs::create_dir_all(&run.folder).unwrap();
        for (name, text) in [
            ("metrics.jsonl", format!("{step}\n{before}{last}\n")),
            ("evaluation.json", json!({ "kind": "classification", "metrics": [metric] }).to_string()),
            ("summary.json", summary.to_string()),
            ("run.json", record.to_string()),
            (
                "config.toml",
                format!("init = '{}'\nout = 'there'\nseed = 0", flag(run, "--init").unwrap_or_default()),
            ),
        ] {
            fs::write(run.folder.join(name), text).unwrap();
        }
        CommandEnd::Success(None)
    }

    fn interrupted(&self) -> bool {
        self.begun.load(Ordering::Relaxed) >= self.stops_after
    }
}

/// Notes every message.
#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) Mutex<Vec<String>>);

impl StudyObserver for Notes {
    fn begins(&self, _: &PlannedRun, _: usize, _: usize) {}

    fn ended(&self, _: &PlannedRun, _: &RunResult) {}

    fn left_out(&self, run: &PlannedRun, needed: &str) {
        self.message(&format!("{} needs {needed}", run.id));
    }

    fn message(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

/// A pre-training that two fine-tunings share, a training from scratch, and a quoted row.
pub(crate) fn study() -> Study {
    toml::from_str(
        r#"
title = "Toy"
question = "Does it run?"
models = ["micro"]
metrics = [{ name = "top1", label = "top-1", percent = true }]
baseline = "scratch"
epochs = { pretraining = 8, finetuning = 2 }
runs = [
  { name = "masks", stage = "pretraining" },
  { name = "tuned", stage = "finetuning", from = "masks" },
  { name = "slow", stage = "finetuning", from = "masks", epochs = 4, arguments = ["--lr", "1e-5"] },
  { name = "scratch", stage = "finetuning", model = "v1-{model}" },
]
rows = [
  { name = "FCMAE", run = "tuned", paper = [84.6] },
  { name = "FCMAE, slow", run = "slow", paper = ["unstable"] },
  { name = "scratch", run = "scratch", paper = [83.8] },
  { name = "MAE", paper = [83.6] },
]
"#,
    )
    .unwrap()
}

pub(crate) fn options(text: &str) -> StudyOptions {
    toml::from_str(&format!("recipes = 'auto'\n{text}\n[stages.finetuning]\ndata = 'photos'")).unwrap()
}
