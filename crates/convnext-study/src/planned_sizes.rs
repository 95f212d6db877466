//! Sizes of the images of a plan, in words.

use crate::image_sizes::image_size;
use crate::options::StudyOptions;
use crate::plan::PlannedRun;
use crate::planned_lengths::of;
use crate::study::Study;

/// The sizes that runs of a plan have instead of the one that the options name, such as `112 px (h-384, h-384-tuned), 144 px
/// (h-512-tuned)`; `None` where there are none.
pub(crate) fn own_sizes_in_words(
    study: &Study,
    options: &StudyOptions,
    plan: &[PlannedRun],
) -> Option<String> {
    let mut sizes: Vec<(String, Vec<&str>)> = Vec::new();
    for planned in plan {
        let run = study.run(&planned.name).filter(|run| run.image_size.is_some());
        let Some(run) = run.filter(|run| options.stage(run.stage).image_size.is_some()) else { continue };
        let Ok(Some(size)) = image_size(options, run) else { continue };
        let names = of(&mut sizes, size);
        if !names.contains(&run.name.as_str()) {
            names.push(&run.name);
        }
    }
    let words: Vec<String> =
        sizes.iter().map(|(size, names)| format!("{size} px ({})", names.join(", "))).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::built_in::read_study;
    use crate::plan::plan;

    #[test]
    fn runs_of_a_size_of_their_own_are_named() {
        let study = read_study("table5").unwrap();
        let text = "recipes = 'auto'\nseeds = 1\nstem_stride = 1\n[stages.pretraining]\ndata = 'a'\nimage_size = '64'\n\
                    [stages.intermediate]\ndata = 'a'\nimage_size = '64'\n[stages.finetuning]\ndata = 'a'\nimage_size = '64'";
        let options: StudyOptions = toml::from_str(text).unwrap();
        let plan = plan(&study, &options, Path::new("out")).unwrap();
        let expected = "112 px (v1-xl-384-tuned, h-384, h-384-22k, h-384-tuned), 144 px (h-512-tuned)";
        assert_eq!(own_sizes_in_words(&study, &options, &plan).as_deref(), Some(expected));
    }
}
