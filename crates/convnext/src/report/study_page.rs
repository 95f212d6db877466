//! The page of a study: its table, what there is to draw, and its commands.

use convnext_study::{Ending, PlannedRun, RunResult, StudyOutcome, StudyPlot};
use convnext_train::duration_in_words;
use maud::{Markup, html};

use super::curves::{Curve, plot};
use super::error::ReportError;
use super::whole_page::{facts, figure, whole};

/// The page.
pub(super) fn render(outcome: &StudyOutcome) -> Result<String, ReportError> {
    let study = &outcome.study;
    let head = html! {
        p { (study.question) }
        (facts(&head_facts(outcome)))
    };
    let body = html! {
        h2 { "Results" }
        (table(outcome))
        p.quiet { (outcome.legend()) }
        @for line in study.remarks.lines() { p.quiet { (line) } }
        (plots(&outcome.plots())?)
        h2 { "Runs" }
        (runs(outcome))
        details {
            summary { "Commands, in the order in which they can be run" }
            pre { @for run in &outcome.plan { (run.command_line()) "\n" } }
        }
    };
    Ok(whole(&study.title, &head, &body))
}

fn head_facts(outcome: &StudyOutcome) -> Vec<(&'static str, String)> {
    let study = &outcome.study;
    let ended = outcome.results.iter().flatten().count();
    let mut facts = Vec::new();
    if !study.paper.is_empty() {
        facts.push(("paper", study.paper.clone()));
    }
    facts.extend(outcome.conditions());
    facts.push(("seeds", outcome.options.seeds.to_string()));
    facts.push(("runs that have ended", format!("{ended} of {}", outcome.plan.len())));
    facts.push(("time of the runs", duration_in_words(seconds(outcome))));
    facts
}

fn seconds(outcome: &StudyOutcome) -> f64 {
    outcome.results.iter().flatten().map(|result| result.seconds).sum()
}

fn table(outcome: &StudyOutcome) -> Markup {
    let table = outcome.table();
    html! {
        div.scroll { table.study {
            thead { tr { @for (column, name) in table.head.iter().enumerate() {
                @if column < table.numbers_from { th.text scope="col" { (name) } } @else { th scope="col" { (name) } }
            } } }
            tbody {
                @for row in &table.rows {
                    tr { @for (column, cell) in row.iter().enumerate() {
                        @if column == 0 { th scope="row" { (cell) } }
                        @else if column < table.numbers_from { td.text { (cell) } }
                        @else { td { (cell) } }
                    } }
                }
            }
        } }
    }
}

fn plots(plots: &[StudyPlot]) -> Result<Markup, ReportError> {
    let mut drawn = Vec::new();
    for StudyPlot { title, x, y, lines } in plots {
        let curves: Vec<Curve> =
            lines.iter().map(|(name, points)| Curve::new(name.clone(), points.clone())).collect();
        drawn.push((title, plot(x, y, &curves)?));
    }
    Ok(html! {
        @if !drawn.is_empty() {
            h2 { "Curves" }
            div.charts { @for (title, svg) in drawn { (figure(title, svg)) } }
        }
    })
}

fn runs(outcome: &StudyOutcome) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { @for name in ["run", "stage", "end", "time"] { th.text scope="col" { (name) } } } }
            tbody {
                @for (run, result) in outcome.plan.iter().zip(&outcome.results) { (run_row(run, result.as_ref())) }
            }
        } }
    }
}

fn run_row(run: &PlannedRun, result: Option<&RunResult>) -> Markup {
    let end = match result.map(|result| &result.ending) {
        None => "not run".to_owned(),
        Some(ending @ Ending::Finished { .. }) => match ending.instability() {
            Some(losses) => format!("finished, unstable: {losses}"),
            None => "finished".to_owned(),
        },
        Some(Ending::Diverged { error } | Ending::Failed { error }) => error.clone(),
    };
    let time = result.map_or_else(|| "-".to_owned(), |result| duration_in_words(result.seconds));
    html! {
        tr { th scope="row" { (run.id) } td.text { (run.stage) } td.wrap { (end) } td.text { (time) } }
    }
}
