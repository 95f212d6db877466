//! Our own metadata under the names of another program, as `convert` leaves it there: it counts, and not the files beside it.

use std::path::Path;

use convnext_core::{ClassificationTask, Fit, Geometry, Preprocessing, WeightMetadata};

use super::classes;
use super::description::read_config;
use crate::package_config::PackageConfig;

/// What to say where the configuration beside a file has been changed since it was written with the file.
pub(super) fn contradicted(path: &Path, own: &WeightMetadata) -> Option<String> {
    let stated = read_config(path)?.ok()?;
    let what = difference(own, &stated)?;
    Some(format!(
        "{}: the metadata in the file counts, not the configuration beside it, which states {what}; for that to count, \
         write the file again without metadata, as convert does to a name that ends in .pt",
        path.display()
    ))
}

fn difference(own: &WeightMetadata, stated: &PackageConfig) -> Option<&'static str> {
    let (classes, names) = (own.class_count(), own.class_names());
    if stated.classes.is_some_and(|stated| stated != classes && classes > 0) {
        return Some("another number of classes");
    }
    // Tasks of other crates keep the names of their classes to themselves.
    let knows_names = !names.is_empty() || own.task.is::<ClassificationTask>();
    let stated_names = stated.class_names.as_ref().filter(|names| !classes::stand_for_none(names));
    if classes > 0 && knows_names && stated_names.is_some_and(|stated| *stated != names) {
        return Some("other names of classes");
    }
    let is_same = is_same(&stated.preprocessing(own.preprocessing.clone()), &own.preprocessing);
    (!is_same).then_some("that images are prepared otherwise")
}

/// Equality up to what the files of other programs have no words for: padding, and fractions of a size.
fn is_same(stated: &Preprocessing, own: &Preprocessing) -> bool {
    let geometry = match (stated.geometry, own.geometry) {
        (Geometry::CentreCrop { size: stated, crop: share }, Geometry::CentreCrop { size, crop }) => {
            let resized = |crop: f64| size.short_side() as f64 / crop;
            stated == size && (resized(share) - resized(crop)).abs() <= 1.0
        }
        (Geometry::Fit(stated), Geometry::Fit(fit)) => Fit { pad: fit.pad, ..stated } == fit,
        (Geometry::None { .. }, Geometry::None { .. }) => true,
        (stated, own) => stated == own,
    };
    geometry && *stated == Preprocessing { geometry: stated.geometry, ..own.clone() }
}

#[cfg(test)]
mod tests {
    use convnext_core::{ClassNames, ModelConfig};

    use super::*;
    use crate::test_files::speck;

    #[test]
    fn a_configuration_that_was_changed_is_told_from_one_that_was_not() {
        let model = ModelConfig { input_channels: 3, ..speck() };
        let names = || ClassNames(vec!["ant".into(), "bee".into()]);
        let own = WeightMetadata::of_classifier(&model, names(), Preprocessing::for_size(224, 3));
        let same = PackageConfig {
            image_size: Some(224.into()),
            classes: Some(2),
            class_names: Some(names()),
            ..PackageConfig::default()
        };
        assert_eq!(difference(&own, &same), None);
        let swapped = ClassNames(vec!["bee".into(), "ant".into()]);
        for (changed, word) in [
            (PackageConfig { classes: Some(3), ..same.clone() }, "number"),
            (PackageConfig { class_names: Some(swapped), ..same.clone() }, "names"),
            (PackageConfig { image_size: Some(384.into()), ..same.clone() }, "prepared"),
            (PackageConfig { mean: Some(vec![0.5]), ..same.clone() }, "prepared"),
        ] {
            assert!(difference(&own, &changed).unwrap().contains(word), "{word}");
        }
    }
}
