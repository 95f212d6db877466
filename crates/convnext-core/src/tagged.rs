//! Tagged values, of kinds that not every crate knows.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ConfigError;

/// A type that can be stored as a [`Tagged`] value: a struct with a name for files.
pub trait Kind: Serialize + DeserializeOwned {
    /// The name of the kind, such as `classification`.
    const KIND: &'static str;
    /// Noun for all values in its place, for messages.
    const PLACE: &'static str = "task";
}

/// A value under the name of its kind. Who knows the kind reads it as a type; everybody else passes it on as it is.
///
/// In files it is one object: `kind`, and the fields of the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tagged {
    kind: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Tagged {
    /// A value under the name of its kind. The value has named fields, none of them called `kind`.
    pub fn new<T: Kind>(value: &T) -> Self {
        let fields = match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self { kind: T::KIND.to_owned(), fields }
    }

    /// The name of the kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// `true` if it is of this kind.
    pub fn is<T: Kind>(&self) -> bool {
        self.kind == T::KIND
    }

    /// A field of the value, as in files; `None` where it has none of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The value.
    ///
    /// # Errors
    /// [`ConfigError::OtherKind`] when it is of another kind, [`ConfigError::BadFields`] when its fields are not those of
    /// this kind.
    pub fn read<T: Kind>(&self) -> Result<T, ConfigError> {
        if !self.is::<T>() {
            let (found, expected) = (self.kind.clone(), T::KIND.to_owned());
            return Err(ConfigError::OtherKind { place: T::PLACE, found, expected });
        }
        serde_json::from_value(Value::Object(self.fields.clone())).map_err(|error| ConfigError::BadFields {
            place: T::PLACE,
            kind: T::KIND,
            why: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Circle {
        radius: f64,
    }

    impl Kind for Circle {
        const KIND: &'static str = "circle";
        const PLACE: &'static str = "shape";
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Square {
        side: f64,
    }

    impl Kind for Square {
        const KIND: &'static str = "square";
        const PLACE: &'static str = "shape";
    }

    #[test]
    fn who_does_not_know_a_kind_passes_it_on_whole() {
        let text = r#"{"kind":"circle","radius":0.1}"#;
        let tagged: Tagged = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&tagged).unwrap(), text);
        assert_eq!(tagged.read::<Circle>().unwrap(), Circle { radius: 0.1 });
        assert_eq!(Tagged::new(&Circle { radius: 0.1 }), tagged);
    }

    #[test]
    fn another_kind_and_wrong_fields_are_named() {
        let message = Tagged::new(&Circle { radius: 1.0 }).read::<Square>().unwrap_err().to_string();
        assert_eq!(message, "the shape is 'circle', but 'square' is needed");
        let tagged: Tagged = serde_json::from_str(r#"{"kind":"circle","radius":1.0,"side":2}"#).unwrap();
        let message = tagged.read::<Circle>().unwrap_err().to_string();
        assert!(message.contains("shape 'circle'") && message.contains("`side`"), "{message}");
    }
}
