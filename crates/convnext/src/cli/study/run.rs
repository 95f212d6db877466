//! `convnext study run`

use std::thread::available_parallelism;

use anyhow::bail;
use clap::Command;
use convnext::nn::kernels;
use convnext::study::{
    FinishedRuns, Machine, PlannedRun, StudyError, StudyFolder, StudyOptions, StudyOutcome, TABLE_FILE,
    TimingConditions, check_parallel, deciding_launcher, plan, read_study, reuse, run_study,
};
use convnext::train::{Interruption, processor};
use convnext::{REPORT_FILE, write_study};

use super::arguments::RunArguments;
use super::commands::{check, check_data, check_effect};
use super::processes::Processes;
use super::progress::StudyProgress;
use crate::cli::ending::Requeued;
use crate::cli::launched::Launched;
use crate::cli::out_folder::absolute;
use crate::cli::output::{print_text, table};
use crate::cli::signals::Signals;

pub(super) fn run(
    arguments: &RunArguments,
    launched: &Launched,
    quiet: bool,
    program: Command,
) -> anyhow::Result<()> {
    let study = read_study(&arguments.name)?;
    check_parallel(&study, arguments.parallel)?;
    let threads = arguments.threads.or_else(|| shared_threads(arguments.parallel));
    let launcher = arguments.launcher.as_ref().map(|words| words.0.clone()).unwrap_or_default();
    let machine = machine();
    let timing = study.timed_metric().map(|_| TimingConditions {
        processor: machine.processor.clone(),
        instructions: machine.instructions.clone(),
        threads: threads.unwrap_or_else(cores),
        launcher: launcher.clone(),
    });
    let mut options = StudyOptions { timing, ..arguments.options(&study)? };
    // The same commands, however the folder is spelled when the study goes on.
    let out = absolute(&arguments.out)?;
    let planned = plan(&study, &options, &out)?;
    options.launcher = deciding_launcher(&planned, &launcher);
    check_effect(arguments, &planned)?;
    check(&planned, threads, &program)?;
    if arguments.dry_run {
        // No error: the commands may be for another machine.
        if let Err(error) = check_data(&options, &out) {
            log::warn!("{error}");
        }
        let commands: Vec<String> = planned.iter().map(PlannedRun::command_line).collect();
        return print_text(&commands.join("\n"));
    }
    check_data(&options, &out)?;
    let others = arguments.reuse.iter().map(|other| absolute(other)).collect::<Result<Vec<_>, _>>()?;
    let finished = FinishedRuns::of(&others, &study)?;
    let mut folder = StudyFolder::open(&out, &study, &options, arguments.resume)?;
    let signals = Signals::catch(launched.is_launched())?;
    let processes = Processes::new(threads, launcher, signals.clone())?;
    let progress = StudyProgress { quiet, metrics: study.metrics };
    reuse(&mut folder, &finished, &machine, &progress)?;
    let outcome = run_study(&mut folder, arguments.parallel, &processes, &progress).map_err(|error| {
        let is_requeued = signals.interruption() == Some(Interruption::Requeue);
        match error {
            StudyError::Interrupted if is_requeued => anyhow::Error::from(Requeued),
            error => error.into(),
        }
    })?;
    let report = arguments.out.join(REPORT_FILE);
    write_study(&report, &outcome)?;
    print_text(&format!(
        "{}\n\n{}\nwrote {} and {}",
        shown(&outcome),
        outcome.legend(),
        arguments.out.join(TABLE_FILE).display(),
        report.display()
    ))?;
    let failures = outcome.failures();
    if failures.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = failures.iter().map(|(run, error)| format!("{}: {error}", run.id)).collect();
    bail!(
        "{} of {} runs failed, and --resume runs them again; their logs are in {}\n  {}",
        failures.len(),
        outcome.plan.len(),
        arguments.out.join("logs").display(),
        listed.join("\n  ")
    )
}

/// The threads of each of several commands; all cores for a single one.
fn shared_threads(parallel: usize) -> Option<usize> {
    (parallel > 1).then(|| (cores() / parallel).max(1))
}

/// This machine, with the instruction sets that the commands will run on.
fn machine() -> Machine {
    let instructions = format!("{}, bf16 {}", kernels::isa_in_use(), kernels::bf16_in_use());
    Machine { processor: processor(), instructions }
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

fn shown(outcome: &StudyOutcome) -> String {
    let result = outcome.table();
    let head: Vec<&str> = result.head.iter().map(String::as_str).collect();
    table(&head, result.numbers_from, result.rows)
}
