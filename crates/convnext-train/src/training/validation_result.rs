//! Result of a validation.

use convnext_data::CorruptFile;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::run::old_runs;
use crate::training::metric::Metric;

/// Result of a validation, as it stands in `evaluation.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "old_runs::StoredMeasured")]
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
}
