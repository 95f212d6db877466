//! Refusal of options that have no effect on the runs of a study.

use crate::error::StudyError;
use crate::options::{RecipeChoice, StageOptions, StudyOptions};
use crate::stage::Stage;
use crate::study::Run;

/// Stages that share an option such as the size of their images.
const SHARING: [Stage; 4] = [Stage::Pretraining, Stage::Intermediate, Stage::Finetuning, Stage::Bench];

/// Refuses options without effect on the runs that are wanted, by name.
///
/// # Errors
/// [`StudyError::Options`] for the first such option.
pub(crate) fn check_effect(options: &StudyOptions, wanted: &[&Run]) -> Result<(), StudyError> {
    let has = |stage: Stage| wanted.iter().any(|run| run.stage == stage);
    if !options.labels.is_empty() && !has(Stage::Finetuning) {
        return Err(without_effect("--labels", Stage::Finetuning));
    }
    if options.recipes == RecipeChoice::Paper && !wanted.iter().any(|run| run.stage.is_training()) {
        return Err(StudyError::Options(
            "--recipe paper has no effect, because no training is run; leave it out".to_owned(),
        ));
    }
    if options.budget.is_some() && !wanted.iter().any(|run| run.stage.is_training()) {
        return Err(StudyError::Options(
            "--budget has no effect, because no training is run; leave it out".to_owned(),
        ));
    }
    for (stage, of_stage) in options.stages.iter().filter(|(stage, _)| !has(**stage)) {
        if let Some(flag) = flag_of_stage(*stage, of_stage) {
            return Err(without_effect(&flag, *stage));
        }
    }
    let takes_data = |run: &&Run| run.stage == Stage::Finetuning || run.stage.data_of().is_some();
    let shared = SHARING.map(|stage| options.stage(stage));
    let without_runs = !SHARING.into_iter().any(has);
    let flags = [
        ("--data", options.stage(Stage::Finetuning).data.is_some() && !wanted.iter().any(takes_data)),
        ("--image-size", without_runs && shared.iter().any(|stage| stage.image_size.is_some())),
        ("--batch-size", without_runs && shared.iter().any(|stage| stage.batch_size.is_some())),
    ];
    if let Some((flag, _)) = flags.iter().find(|(_, is_in_vain)| *is_in_vain) {
        let why = format!("{flag} has no effect, because nothing is run that takes it; leave it out");
        return Err(StudyError::Options(why));
    }
    Ok(())
}

/// An option that was given for a stage alone. The images of `--data` and `--pretraining-data` serve several stages.
fn flag_of_stage(stage: Stage, options: &StageOptions) -> Option<String> {
    let name = stage.name();
    let is_alone = stage == Stage::Downstream;
    if options.data.is_some() && [Stage::Intermediate, Stage::Downstream].contains(&stage) {
        Some(format!("--{name}-data"))
    } else if options.epochs.is_some() {
        Some(format!("--{name}-epochs"))
    } else if options.image_size.is_some() && is_alone {
        Some(format!("--{name}-image-size"))
    } else if options.batch_size.is_some() && is_alone {
        Some(format!("--{name}-batch-size"))
    } else if !options.arguments.is_empty() {
        Some(format!("--arguments {name}="))
    } else {
        None
    }
}

fn without_effect(flag: &str, stage: Stage) -> StudyError {
    StudyError::Options(format!("{flag} has no effect, because no {stage} is run; leave it out"))
}
