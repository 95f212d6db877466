//! Classes that a part of the data lacks.

/// Names and findings of a kind that are printed; pages have more.
pub(crate) const PRINTED: usize = 10;

/// What is said of a part that has no pixel or object of some classes, by the number of these of each class.
pub(crate) fn absent((part, what): (&str, &str), counts: &[u64], classes: &[String]) -> Option<String> {
    let names = counts.iter().zip(classes).filter(|(count, _)| **count == 0);
    let names: Vec<String> = names.map(|(_, name)| name.clone()).collect();
    (!names.is_empty()).then(|| format!("{part} has no {what} of {}", first(&names)))
}

/// The first of some names.
pub(crate) fn first(names: &[String]) -> String {
    let mut shown = names[..names.len().min(PRINTED)].join(", ");
    if names.len() > PRINTED {
        shown.push_str(", ...");
    }
    shown
}
