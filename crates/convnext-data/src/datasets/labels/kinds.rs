//! Labels that are no classes: numbers to be predicted, and lists of several labels.

use std::collections::{BTreeMap, BTreeSet};

/// Labels that are no classes, with an example.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Other {
    Regression(String),
    List(String),
}

impl Other {
    /// Message with advice; of the classes of lists, or of labels that are one class each.
    pub(super) fn in_words(&self, of_lists: bool) -> String {
        match self {
            Self::Regression(label) => format!(
                "the label '{label}' is a number with decimals: this is regression, and only classification is supported; \
                 if these are names of classes, write them as words, such as v{label}"
            ),
            Self::List(label) if of_lists => format!(
                "'{label}' is a list without ';' or '|' between its classes; write one of them there, as in boat;sea, or \
                 write a class of several words without what separates them"
            ),
            Self::List(label) => format!(
                "the label '{label}' is a list: this is multi-label classification, which `finetune --task multi-label` \
                 learns from lists with ';'; if this is the name of one class, write it without what separates the words"
            ),
        }
    }
}

/// Kind of labels that are no classes, with the line of an example.
pub(super) fn no_classes<'a>(labels: impl Iterator<Item = (&'a str, u64)>) -> Option<(u64, Other)> {
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    labels.for_each(|(label, line)| {
        lines.entry(label).or_insert(line);
    });
    if let Some((label, line)) = regression(&lines) {
        return Some((line, Other::Regression(label.to_owned())));
    }
    let (label, line) = list(&lines)?;
    Some((line, Other::List(label.to_owned())))
}

/// An example of decimal numbers, if the labels are such: all are numbers, or most of the different ones have
/// decimals. Whole numbers, `3.0` too, may be numbers of classes.
fn regression<'a>(lines: &BTreeMap<&'a str, u64>) -> Option<(&'a str, u64)> {
    let numbers = || lines.iter().filter_map(|(&label, &line)| Some((label, line, number(label)?)));
    let decimals = || numbers().filter(|(_, _, value)| value.fract() != 0.0);
    let (label, line, _) = decimals().min_by_key(|&(_, line, _)| line)?;
    (numbers().count() == lines.len() || 2 * decimals().count() > lines.len()).then_some((label, line))
}

/// The value of a number with a decimal point or, without one, a decimal comma.
fn number(label: &str) -> Option<f64> {
    let is_number = label.starts_with(|first: char| first.is_ascii_digit() || "+-.,".contains(first));
    let text = if label.contains('.') { label.to_owned() } else { label.replacen(',', ".", 1) };
    text.parse().ok().filter(|value: &f64| is_number && value.is_finite())
}

/// An example of a list, if any label is one.
fn list<'a>(lines: &BTreeMap<&'a str, u64>) -> Option<(&'a str, u64)> {
    let first = |lists: Vec<(&'a str, u64)>| lists.into_iter().min_by_key(|&(_, line)| line);
    let by_itself = lines.iter().filter(|(label, _)| is_list(label) || joins_labels(label, lines));
    first(by_itself.map(|(&label, &line)| (label, line)).collect())
        .or_else(|| [' ', ','].into_iter().find_map(|mark| first(mixed(lines, mark))))
}

/// A list by its form alone: in brackets, with `;` or `|` between its parts, or numbers with anything between them.
fn is_list(label: &str) -> bool {
    let bracketed = label.starts_with('[') && label.ends_with(']');
    let numbers = parts(label, &[' ', ',']);
    let is_whole = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    bracketed || parts(label, &[';', '|']).len() > 1 || (numbers.len() > 1 && numbers.iter().all(is_whole))
}

/// A label whose parts are labels of other images.
fn joins_labels(label: &str, lines: &BTreeMap<&str, u64>) -> bool {
    [' ', ',', '+', '&', '/'].into_iter().any(|mark| {
        let parts = parts(label, &[mark]);
        parts.len() > 1 && parts.iter().all(|part| lines.contains_key(part))
    })
}

/// Labels of one and more words, if they are all made of a few words in many ways.
fn mixed<'a>(lines: &BTreeMap<&'a str, u64>, mark: char) -> Vec<(&'a str, u64)> {
    /// Fewer labels tell nothing.
    const LEAST: usize = 8;
    let words: BTreeSet<&str> = lines.keys().flat_map(|label| parts(label, &[mark])).collect();
    let lengths: BTreeSet<usize> = lines.keys().map(|label| parts(label, &[mark]).len()).collect();
    match lines.len() >= LEAST && lengths.len() > 1 && 2 * words.len() < lines.len() {
        true => lines
            .iter()
            .filter(|(label, _)| parts(label, &[mark]).len() > 1)
            .map(|(&label, &line)| (label, line))
            .collect(),
        false => Vec::new(),
    }
}

fn parts<'a>(label: &'a str, marks: &[char]) -> Vec<&'a str> {
    label.split(marks).map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(labels: &[&str]) -> Option<&'static str> {
        let (_, why) = no_classes(labels.iter().copied().zip(2..))?;
        ["regression", "multi-label"].into_iter().find(|kind| why.in_words(false).contains(kind))
    }

    #[test]
    fn decimal_numbers_are_regression() {
        for labels in [
            &["0.37", "1.5", "2"][..],
            &["0,37", "0,5"],
            &["-1.5", "3"],
            &["1e-3", "2e-3"],
            &["0.1", "0.2", "0.3", "unknown"],
            &["1.5", "2.5"],
        ] {
            assert_eq!(found(labels), Some("regression"), "{labels:?}");
        }
        for labels in [
            &["0", "1", "10"][..],
            &["1.0", "2.0"],
            &["v1.5", "v2.5"],
            &["1.5", "cat", "dog"],
            &["nan", "inf"],
        ] {
            assert_eq!(found(labels), None, "{labels:?}");
        }
    }

    #[test]
    fn lists_are_multi_label() {
        for labels in [
            &["cat;dog", "cat"][..],
            &["Cardiomegaly|Emphysema", "No Finding"],
            &["['cat', 'dog']", "['cat']"],
            &["0 3", "16"],
            &["1, 2", "3, 4", "cat"],
            &["scab", "rust", "scab rust"],
            &["cat, dog", "cat", "dog"],
            &["a b", "a c", "a", "b c", "c a b", "b a c", "a c b", "b c a", "c b a"],
        ] {
            assert_eq!(found(labels), Some("multi-label"), "{labels:?}");
        }
        for labels in [
            &["golden retriever", "black cat", "white cat", "cat"][..],
            &["cat, big", "dog"],
            &["polar bear", "bear", "brown bear"],
            &["A/C", "salt & pepper", "x;"],
            &["red car", "red bus", "blue car", "blue bus", "green car", "green bus", "old car", "old bus"],
            &["2019-01", "2019-02"],
        ] {
            assert_eq!(found(labels), None, "{labels:?}");
        }
    }
}
