//! The names of a classifier's classes: those of a file, or of the data's folders where nobody says any.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use convnext::Classifier;
use convnext::core::ClassNames;
use convnext::io::read_class_names;

/// `--class-names`
#[derive(Debug, Args)]
pub(crate) struct ClassNameArguments {
    /// Names of the classes, instead of those in the weights: one a line, or a JSON list or map, in the order of the
    /// logits
    #[arg(long, value_name = "FILE")]
    pub(crate) class_names: Option<PathBuf>,
}

impl ClassNameArguments {
    /// The file, if one was named.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.class_names.as_deref()
    }

    /// The names of the file for this many classes, if one was named.
    pub(crate) fn read(&self, classes: usize) -> anyhow::Result<Option<ClassNames>> {
        let Some(path) = &self.class_names else { return Ok(None) };
        let names = read_class_names(path)?;
        if names.len() != classes {
            bail!(
                "{} names {} classes, but the weights have {classes} outputs; name each of them, in their order",
                path.display(),
                names.len()
            );
        }
        Ok(Some(names))
    }

    /// The classifier with the names of the file, if one was named.
    pub(crate) fn give(&self, classifier: Classifier) -> anyhow::Result<Classifier> {
        match self.read(classifier.model().config().classes)? {
            Some(names) => Ok(classifier.with_classes(names)?),
            None => Ok(classifier),
        }
    }
}

/// The classes of data in their order, for weights that name none. `data` and `weights` are what the user called them.
pub(crate) fn in_order(
    found: &ClassNames,
    outputs: usize,
    data: &Path,
    weights: &str,
) -> anyhow::Result<ClassNames> {
    let data = data.display();
    let advice = "say the names in the order of the training with --class-names FILE";
    if found.len() != outputs {
        bail!(
            "{weights} does not name its {outputs} classes, and {data} has {}, so that the classes cannot be told \
             by their order; {advice}",
            found.len()
        );
    }
    if let Some([by_text, by_number]) = two_orders(found) {
        bail!(
            "{weights} does not name its {outputs} classes, and those of {data} have two orders: as text {by_text}, \
             ... (torchvision, transformers), by number and without capitals {by_number}, ... (timm); {advice}"
        );
    }
    let ends = (found.0.first().cloned().unwrap_or_default(), found.0.last().cloned().unwrap_or_default());
    log::warn!(
        "{weights} does not name its {outputs} classes: those of {data} are taken in their order, {} to {}; that is \
         right only if the training numbered its classes by the sorted names of the same folders; else {advice}",
        ends.0,
        ends.1
    );
    Ok(found.clone())
}

/// The first names of both orders that programs sort folders in, from where they differ; `None` where they agree, or
/// where the data has an order of its own.
fn two_orders(found: &ClassNames) -> Option<[String; 2]> {
    let mut by_number = found.0.clone();
    by_number.sort_by_key(|name| natural_key(name));
    let differ = found.0.iter().zip(&by_number).position(|(left, right)| left != right)?;
    let from = |names: &[String]| names.iter().skip(differ).take(3).cloned().collect::<Vec<_>>().join(", ");
    found.0.is_sorted().then(|| [from(&found.0), from(&by_number)])
}

/// timm's order: texts without capitals, and the numbers between them by their value.
fn natural_key(name: &str) -> Vec<(String, (usize, String))> {
    let lower = name.to_lowercase();
    let mut rest = lower.as_str();
    let mut key = Vec::new();
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (digits, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()));
        let digits = digits.trim_start_matches('0');
        // Of two numbers the longer is the larger.
        key.push((text.to_owned(), (digits.len(), digits.to_owned())));
        rest = after;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> ClassNames {
        ClassNames(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn orders_differ_for_numbers_and_capitals_only() {
        for same in [&["ant", "bee"][..], &["0", "1", "9"], &["c01", "c02", "c10"], &["b", "a"], &["a", "a1"]]
        {
            assert_eq!(two_orders(&names(same)), None, "{same:?}");
        }
        let differ = |found: &[&str]| two_orders(&names(found)).unwrap().concat();
        assert_eq!(differ(&["1", "10", "2"]), "10, 22, 10");
        assert_eq!(differ(&["Zoo", "ant"]), "Zoo, antant, Zoo");
    }
}
