//! Studies that are compiled in, and reading of studies.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use convnext_core::{did_you_mean, did_you_mean_of_serde};

use crate::checks::check;
use crate::error::{StudyError, unreadable};
use crate::study::Study;

/// Built-in studies: names and texts, from `studies/NAME.toml`.
macro_rules! studies {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../studies/", $name, ".toml")))),*]
    };
}

/// The built-in studies: their names and texts, in the order of the paper.
pub const STUDIES: &[(&str, &str)] = studies![
    "figure1",
    "section3",
    "table1",
    "figure3",
    "figure4",
    "table2a",
    "table2b",
    "table2c",
    "table2d",
    "table2e",
    "table2f",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "transfer-init",
    "table14",
    "table15",
    "figure6",
    "figure7",
    "table16",
    "figure8",
];

/// No study is longer than this many bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a built-in study, or of a TOML file.
///
/// # Errors
/// [`StudyError::Unknown`] for neither, [`StudyError::Read`] for a file that cannot be read.
pub fn study_text(name: &str) -> Result<String, StudyError> {
    if let Some((_, text)) = STUDIES.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    let known = || STUDIES.iter().map(|(name, _)| *name);
    read_file(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StudyError::Unknown {
            name: name.to_owned(),
            meant: did_you_mean(name, known()),
            known: known().collect::<Vec<_>>().join(", "),
        },
        _ => unreadable(Path::new(name), error),
    })
}

/// Reads a built-in study, or the TOML file of one.
///
/// # Errors
/// As [`study_text`], and [`StudyError::Invalid`] where it does not say what it should: unknown keys, runs or rows that
/// are named and missing.
pub fn read_study(name: &str) -> Result<Study, StudyError> {
    let text = study_text(name)?;
    let invalid = |why: String| StudyError::Invalid { name: name.to_owned(), why };
    let study: Study = toml::from_str(&text).map_err(|error| {
        let why = error.to_string();
        invalid(format!("{}{}", why.trim_end(), did_you_mean_of_serde(&why)))
    })?;
    check(&study).map_err(invalid)?;
    Ok(study)
}

fn read_file(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is too long for a study"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_study_is_valid() {
        for (name, _) in STUDIES {
            let study = read_study(name).unwrap_or_else(|error| panic!("{error}"));
            assert!(!study.paper.is_empty() && study.question.ends_with('?'), "{name}");
        }
    }

    #[test]
    fn pretrainings_have_the_epochs_of_the_recipes_that_they_name() {
        use crate::lengths::printed_epochs;
        use crate::model_names::filled;
        use crate::stage::Stage;
        use convnext_train::PretrainRecipe;

        let mut checked = 0;
        for (name, _) in STUDIES {
            let study = read_study(name).unwrap();
            for run in study.runs.iter().filter(|run| run.stage == Stage::Pretraining) {
                let recipe = filled(run.recipe.as_deref().unwrap_or("paper"), &study.models).unwrap();
                // A study of lengths names its own.
                let Some(own) = printed_epochs(&study, run).filter(|_| *name != "table4") else { continue };
                let recipe = PretrainRecipe::load(&recipe, &[]).unwrap();
                assert_eq!(Some(own as f64), recipe.training.epochs, "{name}: {}", run.name);
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked}");
    }

    /// V1 below Tiny is of timm, for which there are no recipes: made ones have the length that they are given.
    const WITHOUT_RECIPES: [&str; 4] =
        ["v1-a-supervised", "v1-f-supervised", "v1-p-supervised", "v1-n-supervised"];

    #[test]
    fn finetunings_have_the_epochs_of_the_recipes_that_they_resolve_to() {
        use crate::lengths::printed_epochs;
        use crate::model_names::filled;
        use crate::stage::Stage;
        use convnext_core::find_model;
        use convnext_train::{FinetuneRecipe, Given, InitFrom, RecipeContext, Setting};

        let (many, few) = (vec![10; 21_841], vec![10; 1000]);
        let mut checked = 0;
        for (name, _) in STUDIES {
            let study = read_study(name).unwrap();
            let supervised = [Stage::Intermediate, Stage::Finetuning];
            for run in study.runs.iter().filter(|run| supervised.contains(&run.stage)) {
                if run.recipe.as_deref() == Some("auto") {
                    assert!(WITHOUT_RECIPES.contains(&run.name.as_str()), "{name}: {}", run.name);
                    continue;
                }
                let from = run.sources().first().and_then(|from| study.run(from));
                let init_from = match from.map(|from| from.stage) {
                    None => InitFrom::Scratch,
                    Some(Stage::Pretraining) => InitFrom::Pretrained,
                    Some(Stage::Intermediate) => InitFrom::Classifier { classes: many.len() },
                    Some(_) => InitFrom::Classifier { classes: few.len() },
                };
                let class_sizes = if run.stage == Stage::Intermediate { &many } else { &few };
                let root = study.chain(&run.name)[0];
                let model = filled(root.model.as_deref().unwrap_or("{model}"), &study.models).unwrap();
                let model = find_model(&model).unwrap().config();
                let images = 10 * class_sizes.len();
                let context =
                    RecipeContext { model: &model, init_from, head_only: false, images, class_sizes };
                let size = run.image_size.map(|size| Setting::of_size(size.into(), "--image-size"));
                let given = Given { flags: size.into_iter().collect(), ..Given::default() };
                let recipe = filled(run.recipe.as_deref().unwrap_or("paper"), &study.models).unwrap();
                let recipe = FinetuneRecipe::choose(&recipe, &given, &context)
                    .unwrap_or_else(|error| panic!("{name}: {}: {error}", run.name));
                let own = printed_epochs(&study, run).map(|epochs| epochs as f64);
                assert_eq!(own, recipe.training.epochs, "{name}: {}", run.name);
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked}");
    }

    #[test]
    fn an_unknown_study_is_refused_with_those_that_there_are() {
        let message = read_study("table2g").unwrap_err().to_string();
        assert!(message.contains("did you mean 'table2") && message.contains("transfer-init"), "{message}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.toml");
        for (bytes, expected) in
            [(vec![0xff], "valid UTF-8"), (vec![b'#'; MAX_BYTES as usize + 1], "too long for a study")]
        {
            std::fs::write(&path, bytes).unwrap();
            let message = read_study(&path.display().to_string()).unwrap_err().to_string();
            assert!(message.contains("cannot read") && message.contains(expected), "{message}");
        }
        assert!(matches!(read_study("."), Err(StudyError::Read { .. })));
    }
}
