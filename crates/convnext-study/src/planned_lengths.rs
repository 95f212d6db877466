//! Lengths of the trainings of a plan, in words.

use crate::lengths::length_key;
use crate::plan::PlannedRun;
use crate::stage::Stage;

/// Names of runs, by their length.
type ByLength<'a> = Vec<(&'a str, Vec<String>)>;

/// The lengths by stage, such as `pre-training 8 epochs; fine-tuning 2 epochs (tuned), 4 epochs (slow)`; `None` where
/// all are those of recipes.
pub(crate) fn lengths_in_words(plan: &[PlannedRun]) -> Option<String> {
    let mut stages: Vec<(Stage, ByLength<'_>)> = Vec::new();
    for run in plan {
        let Some(length) = run.length.as_deref() else { continue };
        let lengths = of(&mut stages, run.stage);
        let names = of(lengths, length);
        let name = length_key(&run.name, run.labels);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let of_stage = |(stage, lengths): &(Stage, ByLength<'_>)| {
        let words: Vec<String> = match lengths.as_slice() {
            [(length, _)] => vec![(*length).to_owned()],
            several => {
                several.iter().map(|(length, names)| format!("{length} ({})", names.join(", "))).collect()
            }
        };
        format!("{stage} {}", words.join(", "))
    };
    let words: Vec<String> = stages.iter().map(of_stage).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// The entry of a key in a list that keeps the order in which keys were met.
pub(crate) fn of<K: PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let place = list.iter().position(|(known, _)| *known == key).unwrap_or(list.len());
    if place == list.len() {
        list.push((key, V::default()));
    }
    &mut list[place].1
}
