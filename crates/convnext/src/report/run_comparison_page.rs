//! The page of a comparison of runs: their curves over common axes, their results, and their settings.

use maud::{Markup, html};

use super::curves::{Curve, plot};
use super::error::ReportError;
use super::kinds::Kind;
use super::metrics::{EPOCHS, axis, capitalised, points, train_losses, validation_losses};
use super::run_comparison::{ComparedRun, RunComparison};
use super::run_data::RunData;
use super::whole_page::{figure, whole};

/// The page.
pub(super) fn render(comparison: &RunComparison) -> Result<String, ReportError> {
    let runs = &comparison.runs;
    let tasks = tasks(runs);
    let head = html! {
        dl { @for run in runs { dt { (run.name) } dd { (run.folder.display()) ": " (run.task) } } }
        @if let Some(remark) = comparison.remark() {
            p.quiet { (remark) " Each task has curves of its own." }
        }
    };
    let body = html! {
        h2 { "Results" }
        p.quiet { "The training loss is that of the last epoch, metrics are those of the last validation." }
        (results(comparison))
        h2 { "Curves" }
        div.charts {
            @for task in &tasks { (losses(runs, task, tasks.len() > 1)?) }
            (monitored(runs)?)
        }
        h2 { "Settings that differ" }
        (settings(comparison))
    };
    Ok(whole("Comparison of runs", &head, &body))
}

/// The tasks of the runs, each once.
fn tasks(runs: &[ComparedRun]) -> Vec<&str> {
    let mut tasks: Vec<&str> = Vec::new();
    for run in runs {
        if !tasks.contains(&run.task.as_str()) {
            tasks.push(&run.task);
        }
    }
    tasks
}

fn results(comparison: &RunComparison) -> Markup {
    let (head, rows) = comparison.table();
    html! {
        div.scroll { table {
            thead { tr { @for (column, name) in head.iter().enumerate() { th.text[column + 1 == head.len()] scope="col" { (name) } } } }
            tbody {
                @for row in &rows {
                    tr { @for (column, cell) in row.iter().enumerate() {
                        @if column == 0 { th scope="row" { (cell) } } @else { td.text[column + 1 == row.len()] { (cell) } }
                    } }
                }
            }
        } }
    }
}

/// A curve of each run, so that a run looks the same in every plot; those that are not wanted are empty.
fn of_each(
    runs: &[ComparedRun],
    is_wanted: impl Fn(&ComparedRun) -> bool,
    points: impl Fn(&RunData) -> Vec<(f64, f64)>,
) -> Vec<Curve> {
    let curve = |run: &ComparedRun| {
        let points = if is_wanted(run) { points(&run.data) } else { Vec::new() };
        Curve::new(run.name.clone(), points)
    };
    runs.iter().map(curve).collect()
}

fn losses(runs: &[ComparedRun], task: &str, is_one_of_several: bool) -> Result<Markup, ReportError> {
    let of_task = |run: &ComparedRun| run.task == task;
    let title = |what: &str| if is_one_of_several { format!("{what}, {task}") } else { what.to_owned() };
    let training = plot(EPOCHS, "training loss", &of_each(runs, of_task, train_losses))?;
    let validation = plot(EPOCHS, "validation loss", &of_each(runs, of_task, validation_losses))?;
    Ok(html! {
        (figure(&title("Training loss"), training))
        (figure(&title("Validation loss"), validation))
    })
}

/// A plot for each metric that is monitored in any run.
fn monitored(runs: &[ComparedRun]) -> Result<Markup, ReportError> {
    let mut plots: Vec<(String, Option<Markup>)> = Vec::new();
    for (run, metric) in runs.iter().filter_map(|run| Some((run, run.monitored()?))) {
        let title = format!("{}{}", capitalised(metric.label()), Kind::of(&run.data).place_of_metrics());
        if plots.iter().any(|(known, _)| *known == title) {
            continue;
        }
        let curves = of_each(runs, |_| true, |run| points(run, &metric, &metric.key()));
        plots.push((title, plot(EPOCHS, &axis(&metric), &curves)?));
    }
    Ok(html! { @for (title, plot) in plots { (figure(&title, plot)) } })
}

fn settings(comparison: &RunComparison) -> Markup {
    html! {
        @if comparison.settings.is_empty() { p { "None." } } @else {
            div.scroll { table {
                thead { tr { th scope="col" { "setting" } @for run in &comparison.runs { th.text scope="col" { (run.name) } } } }
                tbody {
                    @for setting in &comparison.settings {
                        tr {
                            th.key scope="row" { @for part in setting.key.split_inclusive(['.', '_']) { (part) wbr; } }
                            @for value in &setting.values { td.wrap { (value.as_deref().unwrap_or("-")) } }
                        }
                    }
                }
            } }
        }
    }
}
