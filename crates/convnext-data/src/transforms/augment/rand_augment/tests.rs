use convnext_core::{Purpose, Seed};

use super::*;
use crate::transforms::distributions::{Reference, golden};

const OFFICIAL: RandAugment = RandAugment { magnitude: 9, magnitude_std: 0.5, operations: 2 };

/// The name that the references use, and the argument.
fn named(operation: Operation) -> (&'static str, Option<f64>) {
    match operation {
        Operation::AutoContrast => ("AutoContrast", None),
        Operation::Equalize => ("Equalize", None),
        Operation::Invert => ("Invert", None),
        Operation::Rotate(degrees) => ("Rotate", Some(degrees)),
        Operation::Posterize(bits) => ("Posterize", Some(f64::from(bits))),
        Operation::Solarize(threshold) => ("Solarize", Some(f64::from(threshold))),
        Operation::SolarizeAdd(add) => ("SolarizeAdd", Some(f64::from(add))),
        Operation::Color(factor) => ("Color", Some(factor)),
        Operation::Contrast(factor) => ("Contrast", Some(factor)),
        Operation::Brightness(factor) => ("Brightness", Some(factor)),
        Operation::Sharpness(factor) => ("Sharpness", Some(factor)),
        Operation::ShearX(factor) => ("ShearX", Some(factor)),
        Operation::ShearY(factor) => ("ShearY", Some(factor)),
        Operation::TranslateX(share) => ("TranslateX", Some(share)),
        Operation::TranslateY(share) => ("TranslateY", Some(share)),
    }
}

#[test]
fn arguments_of_levels_are_those_of_timm() {
    let levels: Vec<(String, f64, f64, Option<f64>)> = golden("levels.json");
    assert_eq!(levels.len() % OPERATIONS.len(), 0);
    let per_operation = levels.len() / OPERATIONS.len();
    for (index, (name, level, sign, argument)) in levels.into_iter().enumerate() {
        let operation = OPERATIONS[index / per_operation](level / MAX_LEVEL, sign);
        assert_eq!(named(operation), (name.as_str(), argument), "level {level}, sign {sign}");
    }
}

#[test]
fn operations_and_arguments_are_drawn_as_timm_does() {
    let mut reference = Reference::read("rand_augment");
    let mut rng = Seed(6).stream(Purpose::Augmentation, 0, 0);
    for _ in 0..10_000 {
        let drawn = [OFFICIAL.draw(&mut rng), OFFICIAL.draw(&mut rng)];
        let drawn: Vec<_> = drawn.into_iter().flatten().map(named).collect();
        reference.add("carried out", drawn.len() as f64);
        for operation in OPERATIONS {
            let (name, _) = named(operation(0.5, 1.0));
            reference.add(name, drawn.iter().filter(|(other, _)| *other == name).count() as f64);
        }
        for (name, argument) in drawn {
            if let Some(argument) = argument {
                reference.add(&format!("{name} argument"), argument);
                let scale = match name {
                    "Rotate" => 3.0,
                    "ShearX" | "ShearY" => 0.03,
                    "TranslateX" | "TranslateY" => 0.045,
                    "Color" | "Contrast" | "Brightness" | "Sharpness" => {
                        reference.add("positive", f64::from(u8::from(argument > 1.0)));
                        continue;
                    }
                    _ => continue,
                };
                reference.add("level", argument.abs() / scale);
                reference.add("positive", f64::from(u8::from(argument > 0.0)));
            }
        }
    }
    reference.check();
}

#[test]
fn settings_are_written_as_timm_writes_them() {
    for (text, expected) in [
        ("rand-m9-mstd0.5-inc1", OFFICIAL),
        ("rand-inc1-mstd0.5-n2-m9", OFFICIAL),
        ("rand-m7-n3-mstd0-inc1", RandAugment { magnitude: 7, magnitude_std: 0.0, operations: 3 }),
        ("rand-inc1", RandAugment { magnitude: 10, magnitude_std: 0.0, operations: 2 }),
    ] {
        let parsed: RandAugment = text.parse().unwrap();
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.to_string().parse::<RandAugment>().unwrap(), parsed, "{text}");
        let json = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<RandAugment>(&json).unwrap(), parsed, "{text}");
    }
    assert_eq!(OFFICIAL.to_string(), "rand-m9-mstd0.5-inc1");
}

#[test]
fn other_settings_are_refused_with_advice() {
    for text in [
        "",
        "rand",
        "rand-m9-mstd0.5",
        "rand-m9-mstd0.5-inc0",
        "rand-m9.5-inc1",
        "rand-m-inc1",
        "rand-9-inc1",
        "rand-m9-m9-inc1",
        "rand-m9-inc1-w0",
        "rand--inc1",
        "augmix-m9-inc1",
        "rand-m9-p0.3-inc1",
        "rand-m\u{fc}9-inc1",
    ] {
        let error = text.parse::<RandAugment>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("'{text}'")) && error.contains("as in rand-m9-mstd0.5-inc1"),
            "{error}"
        );
    }
    for (text, expected) in [
        ("rand-m11-inc1", "magnitude m is 11"),
        ("rand-m9-n0-inc1", "operations n is 0"),
        ("rand-m9-n16-inc1", "between 1 and 15"),
        ("rand-m9-mstd101-inc1", "mstd is 101"),
    ] {
        let error = text.parse::<RandAugment>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(serde_json::from_str::<RandAugment>(&format!("\"{text}\"")).is_err(), "{text}");
    }
    assert!(RandAugment { magnitude_std: f64::NAN, ..OFFICIAL }.validate().is_err());
}
