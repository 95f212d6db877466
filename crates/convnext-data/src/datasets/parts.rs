//! Parts of a data set, by the words that people call them.
//!
//! The words are those of Hugging Face's `datasets` 5.2 (`SPLIT_KEYWORDS` in its `data_files.py`, Apache-2.0). It
//! wants them in lower case and between separators or digits; here any case will do, and `trainingSet` as well.

use std::fmt;

/// A part of a data set, by what its images are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure on while training, and to choose by.
    Validation,
    /// To measure on in the end.
    Test,
}

impl Split {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The words that mean this part.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train", "training"],
            Self::Validation => &["val", "validation", "valid", "dev"],
            Self::Test => &["test", "testing", "eval", "evaluation"],
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.words().iter().any(|known| word.eq_ignore_ascii_case(known)))
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// The split that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// Nothing.
    No,
    /// It is the word for a part, perhaps with digits, such as `Train` or `val2017`.
    Wholly(Split),
    /// It has the word for one part among others, such as `seg_train`.
    Partly(Split),
    /// It has words for several parts, such as `train_val`.
    Several,
}

impl Named {
    /// Looks for the words of parts in a name.
    pub(crate) fn of(name: &str) -> Self {
        let words = words(name);
        let mut splits = words.iter().filter_map(|word| Split::of_word(word));
        let Some(first) = splits.next() else { return Self::No };
        match splits.all(|split| split == first) {
            false => Self::Several,
            true if words.len() == 1 => Self::Wholly(first),
            true => Self::Partly(first),
        }
    }

    /// The one part that the name speaks of.
    pub(crate) fn split(self) -> Option<Split> {
        match self {
            Self::Wholly(split) | Self::Partly(split) => Some(split),
            Self::No | Self::Several => None,
        }
    }
}

/// The words of a name: letters between other characters; `trainingSet` has two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        if !letter.is_alphabetic() || (lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphabetic()) {
            word.push(letter);
        }
        lower = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Advice on naming the folders of splits.
pub(crate) const HOW_TO_NAME: &str =
    "name the folder of the training part 'train', that for validation 'val' and one for a final test 'test'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_parts_are_known_in_any_case_and_between_separators() {
        use Split::{Test, Train, Validation};
        for (names, expected) in [
            (&["train", "TRAIN", "Training", "train1", "_train_", "train-00001"][..], Named::Wholly(Train)),
            (&["val2017", "Valid", "DEV", "validation", "val "], Named::Wholly(Validation)),
            (&["Testing", "eval", "EVALUATION", "test.2"], Named::Wholly(Test)),
            (
                &["seg_train", "imgs-train", "training set", "my-dataset-train", "trainingSet"],
                Named::Partly(Train),
            ),
            (&["ILSVRC2012_img_val", "valSet", "a.dev.b"], Named::Partly(Validation)),
            (&["test_set", "Test Images", "crop-test-0"], Named::Partly(Test)),
            (&["train_val", "train-test", "TestTrain"], Named::Several),
            (
                &["", "cat", "trainer", "contest", "retrain", "trains", "evaluate", "deviation", "2017"],
                Named::No,
            ),
        ] {
            for name in names {
                assert_eq!(Named::of(name), expected, "{name}");
            }
        }
    }
}
