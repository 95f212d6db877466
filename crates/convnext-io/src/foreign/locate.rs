//! Search for the model in the tensors of a file: everything under the prefix of a stem, of several models
//! the averaged one.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::dialect::Dialect;

/// Parts of names under which an optimiser keeps values that have the shapes of the weights.
const OF_TRAINING: [&str; 9] = [
    "exp_avg",
    "exp_avg_sq",
    "max_exp_avg_sq",
    "momentum_buffer",
    "moment_1",
    "moment_2",
    "grad",
    "grads",
    "lr_scheduler",
];

/// Prefixes of the keys of optimisers.
const OPTIMIZER: &str = "optim";

/// Words in the names of averages over a training.
const AVERAGES: [&str; 4] = ["ema", "averaged", "average", "swa"];

/// The parts of names under which self-distillation keeps a pair: its teacher is the average of the student.
const TEACHER: &str = "teacher";
const STUDENT: &str = "student";

/// Prefixes that PyTorch's wrappers for several devices add to names, often only to those of the student.
const WRAPPER: &str = "module";

/// Parts of names of networks that only help in self-supervised training.
const HELPERS: [&str; 5] =
    ["encoder_k", "momentum_encoder", "key_encoder", "target_encoder", "target_network"];

/// A model that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Prefix of all of its names, with the dot at its end.
    pub(super) prefix: String,
    pub(super) dialect: Dialect,
    pub(super) role: Role,
}

/// Role of a model among several of a file, the best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Helper,
    Plain,
    /// The average of another over a training.
    Average,
}

/// All models among these names, best first, without what an optimiser keeps.
pub(super) fn candidates(names: &BTreeSet<&str>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for name in names {
        let Some((prefix, dialect)) = Dialect::of_stem(name) else { continue };
        if is_of_training(prefix) {
            continue;
        }
        found.push(Candidate { prefix: prefix.to_owned(), dialect, role: role(prefix, names) });
    }
    let has_block = |candidate: &Candidate| {
        under(names, &candidate.prefix).any(|(_, name)| candidate.dialect.is_of_first_block(name))
    };
    // The list of layers of torchvision's other networks begins in the same way.
    found.retain(|candidate| candidate.dialect != Dialect::Torchvision || has_block(candidate));
    if found.iter().any(has_block) {
        found.retain(has_block);
    }
    let all = found.clone();
    for candidate in found.iter_mut().filter(|candidate| candidate.role == Role::Plain) {
        if all.iter().any(|student| is_teacher_of(candidate, student, names)) {
            candidate.role = Role::Average;
        }
    }
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.role));
    found
}

/// The names under a prefix, whole and without it.
pub(super) fn under<'s, 'n>(
    names: &'s BTreeSet<&'n str>,
    prefix: &'s str,
) -> impl Iterator<Item = (&'n str, &'n str)> + use<'s, 'n> {
    let from = names.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
    from.map_while(move |&name| Some((name, name.strip_prefix(prefix)?)))
}

fn role(prefix: &str, names: &BTreeSet<&str>) -> Role {
    let is_there = |prefix: &str| under(names, prefix).next().is_some();
    let starts = |container: &str| prefix.starts_with(container);
    // mmengine exchanges the two when it saves, and so does Lightning's averaging of weights.
    if names.contains("ema_state_dict.steps") && (starts("state_dict.") || starts("ema_state_dict.")) {
        return if starts("state_dict.") { Role::Average } else { Role::Plain };
    }
    if starts("state_dict.") && is_there("current_model_state.") {
        return Role::Average;
    }
    if is_average(prefix) {
        Role::Average
    } else if prefix.split('.').any(|part| HELPERS.contains(&part.to_lowercase().as_str())) {
        Role::Helper
    } else {
        Role::Plain
    }
}

/// `true` if one model is the teacher of the other: under the same prefix but for `teacher` in place of
/// `student`, and without layers that the student lacks. Any other teacher is a model of its own, such as
/// that of a distillation.
fn is_teacher_of(teacher: &Candidate, student: &Candidate, names: &BTreeSet<&str>) -> bool {
    let parts = |prefix: &str| -> Vec<String> {
        prefix.split('.').filter(|&part| part != WRAPPER).map(str::to_owned).collect()
    };
    let exchanged: Vec<String> = parts(&teacher.prefix)
        .into_iter()
        .map(|part| if part == TEACHER { STUDENT.to_owned() } else { part })
        .collect();
    has_teacher(&teacher.prefix)
        && exchanged == parts(&student.prefix)
        && under(names, &teacher.prefix)
            .filter(|(_, name)| teacher.dialect.official(name).is_some())
            .all(|(_, name)| names.contains(format!("{}{name}", student.prefix).as_str()))
}

/// `true` if something lies under the part `teacher`.
pub(super) fn has_teacher(name: &str) -> bool {
    name.split('.').any(|part| part == TEACHER)
}

/// `true` if a name is that of an average over a training, or of something in one.
pub(super) fn is_average(name: &str) -> bool {
    let is_word = |word: &str| AVERAGES.contains(&word.to_lowercase().as_str());
    name.split(['.', '_']).any(is_word)
}

/// `true` if a name is of something that only an optimiser needs.
pub(super) fn is_of_training(name: &str) -> bool {
    name.split('.').any(|part| part.starts_with(OPTIMIZER) || OF_TRAINING.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Vec<(String, Role)> {
        let candidates = candidates(&names.iter().copied().collect());
        candidates.into_iter().map(|candidate| (candidate.prefix, candidate.role)).collect()
    }

    fn stems(prefixes: &[&str]) -> Vec<(String, Role)> {
        let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}stem.0.weight")).collect();
        found(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn of(prefix: &str, role: Role) -> (String, Role) {
        (prefix.to_owned(), role)
    }

    #[test]
    fn averages_come_first_and_helpers_last() {
        assert_eq!(
            stems(&["state_dict.module.", "state_dict_ema.module.", "optimizer.", "optimizer_ema."]),
            [of("state_dict_ema.module.", Role::Average), of("state_dict.module.", Role::Plain)]
        );
        assert_eq!(stems(&["encoder_k.", "encoder_q."])[0], of("encoder_q.", Role::Plain));
        assert_eq!(stems(&["schema.net."]), [of("schema.net.", Role::Plain)]);
    }

    #[test]
    fn a_teacher_is_an_average_only_beside_its_student() {
        for (student, teacher) in [
            ("student.", "teacher."),
            ("student.backbone.", "teacher.backbone."),
            ("student.module.backbone.", "teacher.backbone."),
            ("state.student.net.", "state.teacher.net."),
        ] {
            let expected = [of(teacher, Role::Average), of(student, Role::Plain)];
            assert_eq!(stems(&[student, teacher]), expected, "{teacher}");
        }
        for (student, teacher) in [
            ("student_model.", "teacher_model."),
            ("model.", "teacher_model."),
            ("model.", "teacher."),
            ("student.", "teacher.backbone."),
        ] {
            let roles: Vec<Role> = stems(&[student, teacher]).into_iter().map(|(_, role)| role).collect();
            assert_eq!(roles, [Role::Plain; 2], "{teacher}");
        }
        assert_eq!(stems(&["teacher."]), [of("teacher.", Role::Plain)]);
        // A deeper teacher has been distilled from.
        let block = |place: &str| format!("{place}.blocks.0.conv_dw.weight");
        let (first, second) = (block("student.stages.0"), block("teacher.stages.0"));
        let more = block("teacher.stages.1");
        let names = ["student.stem.0.weight", "teacher.stem.0.weight", &first, &second, &more];
        assert!(found(&names).iter().all(|(_, role)| *role == Role::Plain));
    }

    #[test]
    fn mmengine_and_lightning_exchange_the_two() {
        let mmengine = [
            "ema_state_dict.steps",
            "ema_state_dict.module.backbone.downsample_layers.0.0.weight",
            "state_dict.backbone.downsample_layers.0.0.weight",
        ];
        assert_eq!(found(&mmengine)[0], of("state_dict.backbone.", Role::Average));
        assert_eq!(found(&mmengine)[1].1, Role::Plain);
        assert_eq!(stems(&["state_dict.net.", "current_model_state.net."])[0].0, "state_dict.net.");
    }

    #[test]
    fn networks_of_another_kind_are_no_candidates() {
        assert_eq!(found(&["features.0.0.weight", "features.1.conv.0.0.weight"]), []);
        let names = ["a.stem.0.weight", "b.stem.0.weight", "b.stages.0.blocks.0.conv_dw.weight"];
        assert_eq!(found(&names), [of("b.", Role::Plain)]);
    }
}
