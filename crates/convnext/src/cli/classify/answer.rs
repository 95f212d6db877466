//! Answer of a classifier about one image.

use convnext::Prediction;
use convnext::multilabel::THRESHOLD;
use serde::Serialize;

/// Answer where no class reaches the threshold.
pub(super) const UNSURE: &str = "unsure";

/// The answer about one image.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) image: String,
    #[serde(flatten)]
    pub(super) chosen: Chosen,
    /// The most probable classes.
    pub(super) predictions: Vec<Prediction>,
}

/// Class or classes that an image is taken for.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Chosen {
    /// The class, or [`UNSURE`].
    Answer(String),
    /// The classes of a multi-label classifier, perhaps none.
    Answers(Vec<String>),
}

impl Chosen {
    /// The choice among all classes, the most probable first.
    pub(super) fn of(predictions: &[Prediction], is_multi_label: bool, threshold: Option<f64>) -> Self {
        let at_least =
            |least: f64| predictions.iter().take_while(move |prediction| prediction.probability >= least);
        let labels = |predictions: &mut dyn Iterator<Item = &Prediction>| -> Vec<String> {
            predictions.map(|prediction| prediction.label.clone()).collect()
        };
        match is_multi_label {
            true => Self::Answers(labels(&mut at_least(threshold.unwrap_or(THRESHOLD)))),
            false => {
                let best = labels(&mut at_least(threshold.unwrap_or(0.0)).take(1)).pop();
                Self::Answer(best.unwrap_or_else(|| UNSURE.to_owned()))
            }
        }
    }

    /// Labels of the image; [`UNSURE`] alone where no class reaches the threshold.
    pub(super) fn labels(&self) -> Vec<&str> {
        match self {
            Self::Answer(label) => vec![label],
            Self::Answers(labels) if labels.is_empty() => vec![UNSURE],
            Self::Answers(labels) => labels.iter().map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Vec<Prediction> {
        let prediction = |(index, (label, probability)): (usize, (&str, f64))| Prediction {
            label: label.to_owned(),
            index,
            probability,
            logit: 0.0,
        };
        [("cat", 0.7), ("dog", 0.5), ("owl", 0.1)].into_iter().enumerate().map(prediction).collect()
    }

    #[test]
    fn the_threshold_decides() {
        let chosen = |is_multi_label, threshold| {
            Chosen::of(&predictions(), is_multi_label, threshold).labels().join(";")
        };
        for (is_multi_label, threshold, expected) in [
            (false, None, "cat"),
            (false, Some(0.7), "cat"),
            (false, Some(0.71), UNSURE),
            (true, None, "cat;dog"),
            (true, Some(0.6), "cat"),
            (true, Some(0.9), UNSURE),
        ] {
            assert_eq!(chosen(is_multi_label, threshold), expected, "{is_multi_label} {threshold:?}");
        }
    }

    #[test]
    fn one_answer_is_text_and_several_are_a_list() {
        let json = |chosen: Chosen| serde_json::to_string(&chosen).unwrap();
        assert_eq!(json(Chosen::Answer("cat".into())), r#"{"answer":"cat"}"#);
        assert_eq!(json(Chosen::Answers(Vec::new())), r#"{"answers":[]}"#);
    }
}
