//! Result of a validation.

use convnext_data::CorruptFile;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::evaluation::results::Evaluation;
use crate::training::metric::Metric;

/// Result of a validation, as it stands in `evaluation.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredResult")]
pub struct ValidationResult {
    /// The kind of task, by which readers know what the details are; empty when there was nothing to validate.
    pub kind: String,
    /// The metrics, in the order in which they are shown; empty when there is nothing to measure.
    pub metrics: Vec<Metric>,
    /// Files that could not be read and do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CorruptFile>,
    /// Further details worth keeping, by other names than those of the fields above.
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

impl ValidationResult {
    /// Metrics of a kind of task, and the fields of a struct as details.
    pub fn new(kind: &str, metrics: Vec<Metric>, details: &impl Serialize) -> Self {
        let details = match serde_json::to_value(details) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self { kind: kind.to_owned(), metrics, left_out: Vec::new(), details }
    }

    /// The details as the struct that they were.
    ///
    /// # Errors
    /// When they are not of this kind.
    pub fn details<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.details.clone()))
    }

    /// `true` if there was nothing to validate.
    pub fn is_nothing(&self) -> bool {
        self.kind.is_empty()
    }
}

impl From<Evaluation> for ValidationResult {
    fn from(mut result: Evaluation) -> Self {
        let left_out = std::mem::take(&mut result.left_out);
        Self { left_out, ..Self::new(Evaluation::KIND, result.metrics(), &result) }
    }
}

/// `evaluation.json` of any version. In earlier ones classification was the only kind of task that measured, so that no
/// file said it, nor which number is a share.
#[derive(Deserialize)]
struct StoredResult {
    kind: Option<String>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    left_out: Vec<CorruptFile>,
    #[serde(flatten)]
    details: Map<String, Value>,
}

impl TryFrom<StoredResult> for ValidationResult {
    type Error = serde_json::Error;

    fn try_from(stored: StoredResult) -> Result<Self, Self::Error> {
        let StoredResult { kind, metrics, left_out, details } = stored;
        let Some(kind) = kind else {
            let result: Evaluation = serde_json::from_value(details.into())?;
            return Ok(Self { left_out, ..result.into() });
        };
        Ok(Self { kind, metrics, left_out, details })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::metric::Direction;

    #[test]
    fn a_validation_of_any_kind_comes_back_from_its_file() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Boxes {
            boxes: usize,
        }
        let metrics = vec![Metric::new("map", None, Direction::HigherIsBetter).fraction()];
        let measured = ValidationResult::new("detection", metrics, &Boxes { boxes: 3 });
        let text = serde_json::to_string(&measured).unwrap();
        assert!(text.starts_with(r#"{"kind":"detection","metrics":[{"name":"map","value":null"#), "{text}");
        let read: ValidationResult = serde_json::from_str(&text).unwrap();
        assert_eq!(read, measured);
        assert_eq!(read.details::<Boxes>().unwrap(), Boxes { boxes: 3 });
    }

    #[test]
    fn an_old_evaluation_is_one_of_a_classifier() {
        let old = r#"{"images":2,"top1":0.5,"top5":1.0,"loss":0.6,"classes":[],"confusion":[],"mistakes":[],
            "left_out":[{"name":"a.png","why":"cut"}]}"#;
        let measured: ValidationResult = serde_json::from_str(old).unwrap();
        assert_eq!((measured.kind.as_str(), measured.left_out.len()), (Evaluation::KIND, 1));
        let shown: Vec<String> = measured.metrics.iter().map(Metric::to_string).collect();
        assert_eq!(shown, ["top-1 50.00 %", "top-5 100.00 %", "loss 0.6000"]);
        assert_eq!(measured.details::<Evaluation>().unwrap().top1, Some(0.5));
        assert!(serde_json::from_str::<ValidationResult>(r#"{"images":2}"#).is_err());
    }
}
