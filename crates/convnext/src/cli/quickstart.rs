//! `convnext quickstart`

use std::path::PathBuf;

use clap::Args;
use convnext::io::WEIGHTS_FILE;
use convnext::train::{ResumeMode, TrainError};
use convnext::{Comparison, Quickstart, QuickstartError, REPORT_FILE, Spread};

use super::launched::Launched;
use super::machine::{Machine, set_up};
use super::output::{print_text, shell_word, table};
use super::progress::TrainingProgress;
use super::signals::Signals;
use super::values::{self, MachineArguments};

/// Seeds of a whole quickstart.
const SEEDS: u64 = 3;

/// Run an end-to-end demo on a bundled data set of handwritten digits
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Pre-trains without labels, fine-tunes with 10 labels a class, trains from scratch on the same labels, and \
compares both on digits that neither has seen, for several seeds.

Examples:
  convnext quickstart
  convnext quickstart --quick --out /tmp/quick"
)]
pub(crate) struct QuickstartArguments {
    /// New folder for samples, runs and the report
    #[arg(long, value_name = "DIR", default_value = "quickstart")]
    out: PathBuf,
    /// One seed, and a third of the epochs: does it run?
    #[arg(long)]
    quick: bool,
    /// Seeds, from 0 on [default: 3]
    #[arg(long, value_name = "N", value_parser = values::count, conflicts_with = "quick")]
    seeds: Option<usize>,
    /// Go on where the quickstart in --out was stopped
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    machine: MachineArguments,
}

pub(crate) fn run(arguments: &QuickstartArguments, launched: &Launched, quiet: bool) -> anyhow::Result<()> {
    let Machine { threads, device, precision } = set_up(&arguments.machine)?;
    let job = Quickstart {
        out: arguments.out.clone(),
        seeds: if arguments.quick { 1 } else { arguments.seeds.map_or(SEEDS, |seeds| seeds as u64) },
        short: arguments.quick,
        resume: if arguments.resume { ResumeMode::Resumed } else { ResumeMode::New },
        threads,
        device,
        precision,
    };
    let mut progress = TrainingProgress::new(quiet, Signals::catch(launched.is_launched())?).brief();
    let comparison = job.run(&mut progress).map_err(|error| match error {
        // It has no `--extend`, and its length is decided by `--quick`; of its other flags, only the precision is a setting of
        // its runs.
        QuickstartError::Train(TrainError::Changed { path, changes, .. }) => {
            let advice = "give the same --quick and --precision";
            anyhow::Error::from(TrainError::Changed { path, changes, advice })
        }
        // So that `main` sees an interruption for what it is.
        QuickstartError::Train(error) => anyhow::Error::from(error),
        other => anyhow::Error::from(other),
    })?;
    print_text(&describe(&comparison))?;
    if job.short {
        print_text(
            "with a third of the epochs this shows that it runs, not what it can do; leave out --quick for that",
        )?;
    }
    print_text(&what_next(&job))
}

fn describe(comparison: &Comparison) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let points = |share: f64| format!("{:+.2}", 100.0 * share);
    let mut rows: Vec<Vec<String>> = (comparison.seeds.iter())
        .map(|result| {
            vec![
                result.seed.to_string(),
                percent(result.from_fcmae),
                percent(result.from_scratch),
                points(result.difference()),
            ]
        })
        .collect();
    let Comparison { from_fcmae, from_scratch, difference, .. } = comparison;
    let deviation = |spread: &Spread| spread.deviation.map(|value| format!("{:.2}", 100.0 * value));
    if let [Some(first), Some(second), Some(third)] = [from_fcmae, from_scratch, difference].map(deviation) {
        let means = [percent(from_fcmae.mean), percent(from_scratch.mean), points(difference.mean)];
        rows.push([vec!["mean".into()], means.into()].concat());
        rows.push(vec!["standard deviation across seeds".into(), first, second, third]);
    }
    let head = ["seed", "from FCMAE", "from scratch", "difference"];
    format!("{}\n\n{}", table(&head, 1, rows), comparison.verdict())
}

/// The next commands to try: with what is there, and with images of one's own.
fn what_next(job: &Quickstart) -> String {
    let digits = |part: &str| shell_word(&job.out.join("digits/test").join(part));
    let [pretrained, classifier] =
        [job.pretraining(0), job.finetuning(0)].map(|run| shell_word(&run.join(WEIGHTS_FILE)));
    format!(
        "wrote {report}: open it in a browser\n\n\
         next, with these digits:\n\
         \x20 convnext classify {seven} --weights {classifier} --top-k 1\n\
         \x20 convnext reconstruct {three} --weights {pretrained} --out reconstructions\n\
         and with photographs of your own:\n\
         \x20 convnext pretrain --data PHOTOS --model atto --out runs/pretrained\n\
         \x20 convnext finetune --data LABELLED --init runs/pretrained/weights.safetensors --out runs/classifier",
        report = job.out.join(REPORT_FILE).display(),
        seven = digits("7"),
        three = digits("3"),
    )
}
