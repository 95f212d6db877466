//! Compares what the tests draw with what timm and torchvision draw (`tests/goldens/augment`).

use std::collections::BTreeMap;

/// Values drawn by name, beside those of the reference.
pub(crate) struct Reference {
    drawn: BTreeMap<String, Vec<f64>>,
    /// Count, mean and standard deviation of the values, and the standard deviation of their squared
    /// distances from the mean.
    expected: BTreeMap<String, [f64; 4]>,
}

/// A file of `tests/goldens/augment`.
pub(crate) fn golden<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/augment").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Reference {
    /// The reference of one thing that is drawn.
    pub(crate) fn read(name: &str) -> Self {
        let mut all: BTreeMap<String, BTreeMap<String, [f64; 4]>> = golden("distributions.json");
        let expected = all.remove(name).unwrap_or_else(|| panic!("no reference for {name}"));
        let drawn = expected.keys().map(|name| (name.clone(), Vec::new())).collect();
        Self { drawn, expected }
    }

    /// Notes one value.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        let values = self.drawn.get_mut(name).unwrap_or_else(|| panic!("no reference for {name}"));
        values.push(value);
    }

    /// Requires means and variances within four standard errors of the reference's.
    pub(crate) fn check(&self) {
        for (name, &[count, mean, std, square_std]) in &self.expected {
            let drawn = &self.drawn[name];
            let number = drawn.len() as f64;
            let error = |std: f64| 4.0 * std * (1.0 / number + 1.0 / count).sqrt() + 1e-6;
            let found = drawn.iter().sum::<f64>() / number;
            let variance = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / number;
            let what = format!("{name}, {number} values");
            assert!((found - mean).abs() <= error(std), "{what}: mean {found}, reference {mean}");
            let expected = std.powi(2);
            assert!(
                (variance - expected).abs() <= error(square_std),
                "{what}: variance {variance}, reference {expected}"
            );
        }
    }
}
