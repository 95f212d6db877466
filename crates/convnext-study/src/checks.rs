//! Checks of a study beyond its form.

use crate::model_names::placeholders;
use crate::stage::Stage;
use crate::study::{Row, Run, Study};

/// Finds what is wrong with a study, in words.
pub(crate) fn check(study: &Study) -> Result<(), String> {
    if study.metrics.is_empty() {
        return Err("it shows no metric; name one at least in `metrics`".into());
    }
    unique("run", study.runs.iter().map(|run| run.name.as_str()))?;
    unique("row", study.rows.iter().map(|row| row.name.as_str()))?;
    for (number, run) in study.runs.iter().enumerate() {
        check_run(study, run, &study.runs[..number]).map_err(|why| format!("run '{}': {why}", run.name))?;
    }
    for row in &study.rows {
        check_row(study, row).map_err(|why| format!("row '{}': {why}", row.name))?;
    }
    let mut over = study.metrics.iter().filter_map(|metric| metric.over.as_ref());
    if let Some(name) = over.find(|name| study.row(name).is_none()) {
        return Err(format!("a metric is over '{name}', which is no row"));
    }
    match &study.baseline {
        Some(name) if study.row(name).is_none() => Err(format!("the baseline '{name}' is no row")),
        _ => Ok(()),
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("two of its {what}s are called '{name}'; give each a name of its own"));
        }
        seen.push(name);
    }
    Ok(())
}

fn check_run(study: &Study, run: &Run, earlier: &[Run]) -> Result<(), String> {
    let is_plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-".contains(letter);
    if run.name.is_empty() || run.name.starts_with('.') || !run.name.chars().all(is_plain) {
        return Err("its name becomes that of a folder; use small letters, digits, dots and hyphens".into());
    }
    let is_earlier =
        |from: &String| earlier.iter().any(|other| other.name == *from && other.stage.is_training());
    if let Some(from) = run.sources().iter().find(|from| !is_earlier(from)) {
        return Err(format!("it starts from '{from}', which is no training above it"));
    }
    unique("source", run.sources().iter().map(String::as_str))?;
    match run.from.as_ref().map(|from| from.names().len()) {
        Some(0) => return Err("`from` names no run; name one, or leave it out".into()),
        Some(2..) if run.stage != Stage::Analysis => {
            return Err("it starts from several runs, which only an analysis does; name one in `from`".into());
        }
        Some(_) if run.stage == Stage::Bench => return Err("a bench starts from no other run".into()),
        Some(_) if run.model.is_some() => {
            return Err("its model is that of the run that it starts from; leave `model` out".into());
        }
        None if run.stage == Stage::Analysis => return Err("name in `from` the run that it analyses".into()),
        None if run.model.is_none() && study.models.is_empty() => {
            return Err("it has no model; name one in `model`, or in the study's `models`".into());
        }
        _ => {}
    }
    if run.stage.is_training() && run.epochs.or(study.epochs.get(&run.stage).copied()).is_none() {
        return Err(format!(
            "it has no length; name `epochs`, or those of every {} in the study's `epochs`",
            run.stage
        ));
    }
    if run.epochs == Some(0) || study.epochs.get(&run.stage) == Some(&0) {
        return Err("a training has one epoch at least".into());
    }
    let texts = run.model.iter().chain(&run.recipe).chain(&run.arguments);
    match texts.flat_map(|text| placeholders(text)).find(|place| *place > study.models.len()) {
        Some(place) => Err(format!("it asks for model {place}, and the study names {}", study.models.len())),
        None => Ok(()),
    }
}

fn check_row(study: &Study, row: &Row) -> Result<(), String> {
    if row.paper.len() > study.metrics.len() {
        return Err(format!("it quotes {} numbers for {} metrics", row.paper.len(), study.metrics.len()));
    }
    match &row.run {
        Some(run) if study.run(run).is_none() => return Err(format!("there is no run '{run}'")),
        None if row.paper.is_empty() => return Err("it has neither a run nor numbers of the paper".into()),
        _ => {}
    }
    let sources = row.run.as_deref().and_then(|run| study.run(run)).map_or(&[][..], Run::sources);
    match &row.of {
        Some(of) if sources.len() < 2 || !sources.contains(of) => {
            return Err(format!("it is of '{of}', which is none of several runs that its analysis looks at"));
        }
        None if sources.len() > 1 => {
            return Err(format!(
                "its analysis looks at several runs; name one in `of`: {}",
                sources.join(", ")
            ));
        }
        _ => {}
    }
    if let Some(name) = row.against.as_ref().filter(|name| study.row(name).is_none()) {
        return Err(format!("it is compared with '{name}', which is no row"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = r#"
title = "Masks"
question = "Do masks help?"
models = ["micro"]
metrics = [{ name = "top1", label = "top-1", percent = true }]
baseline = "scratch"
epochs = { pretraining = 8, finetuning = 2 }
runs = [
  { name = "masks", stage = "pretraining" },
  { name = "tuned", stage = "finetuning", from = "masks" },
  { name = "scratch", stage = "finetuning", model = "v1-{model}" },
  { name = "features", stage = "analysis", from = ["masks", "scratch"] },
]
rows = [
  { name = "FCMAE", run = "tuned" },
  { name = "scratch", run = "scratch" },
  { name = "MAE", paper = [83.6] },
  { name = "looked at", run = "features", of = "masks" },
]
"#;

    fn check_with(from: &str, to: &str) -> String {
        assert!(VALID.contains(from), "{from}");
        let study = toml::from_str(&VALID.replacen(from, to, 1)).map_err(|error| error.to_string());
        study.and_then(|study: Study| check(&study)).unwrap_err()
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert_eq!(check(&toml::from_str(VALID).unwrap()), Ok(()));
        for (from, to, expected) in [
            ("question", "questions", "unknown field `questions`"),
            ("[{ name = \"top1\", label = \"top-1\", percent = true }]", "[]", "no metric"),
            ("\"masks\", stage", "\"Masks\", stage", "small letters"),
            ("\"masks\", stage", "\"tuned\", stage", "two of its runs are called 'tuned'"),
            ("from = \"masks\"", "from = \"scratch\"", "no training above it"),
            ("from = \"masks\"", "from = \"masks\", model = \"micro\"", "leave `model` out"),
            ("v1-{model}", "v1-{model2}", "asks for model 2, and the study names 1"),
            ("models = [\"micro\"]", "", "it has no model"),
            ("finetuning = 2", "finetuning = 0", "one epoch at least"),
            (", finetuning = 2", "", "it has no length"),
            ("run = \"tuned\"", "run = \"tunes\"", "there is no run 'tunes'"),
            ("paper = [83.6]", "paper = [83.6, 1.0]", "2 numbers for 1 metrics"),
            ("\"MAE\", paper = [83.6]", "\"MAE\"", "neither a run nor numbers"),
            (
                "\"masks\", \"scratch\"]",
                "\"masks\", \"tune\"]",
                "starts from 'tune', which is no training above it",
            ),
            ("\"masks\", \"scratch\"]", "\"masks\", \"masks\"]", "two of its sources are called 'masks'"),
            ("[\"masks\", \"scratch\"]", "[]", "`from` names no run"),
            ("stage = \"analysis\"", "stage = \"finetuning\"", "which only an analysis does"),
            (", of = \"masks\"", "", "name one in `of`: masks, scratch"),
            ("of = \"masks\"", "of = \"tuned\"", "it is of 'tuned'"),
            ("run = \"tuned\"", "run = \"tuned\", of = \"masks\"", "it is of 'masks'"),
            ("\"MAE\", ", "\"MAE\", against = \"x\", ", "compared with 'x'"),
            ("baseline = \"scratch\"", "baseline = \"x\"", "baseline 'x' is no row"),
            ("percent = true", "percent = true, over = \"x\"", "a metric is over 'x', which is no row"),
        ] {
            let found = check_with(from, to);
            assert!(found.contains(expected), "{to}: {found}");
        }
    }
}
