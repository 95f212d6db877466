//! The operations of augmentation give the pixels of Pillow, whose results lie in `tests/goldens/augment`
//! together with the script that made them.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::Path;

use convnext_data::{Image, Operation, Orientation, decode};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    files: Vec<Column>,
    cases: Vec<(String, Option<f64>)>,
}

/// An image that holds a source and, below it, what each case makes of it.
#[derive(Deserialize)]
struct Column {
    file: String,
    height: usize,
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/augment").join(name)).unwrap()
}

fn operation(name: &str, argument: Option<f64>) -> Operation {
    let argument = argument.unwrap_or_default();
    match name {
        "auto-contrast" => Operation::AutoContrast,
        "equalize" => Operation::Equalize,
        "invert" => Operation::Invert,
        "rotate" => Operation::Rotate(argument),
        "posterize" | "black" => Operation::Posterize(argument as u32),
        "solarize" => Operation::Solarize(argument as u16),
        "solarize-add" => Operation::SolarizeAdd(argument as u8),
        "color" => Operation::Color(argument),
        "contrast" => Operation::Contrast(argument),
        "brightness" => Operation::Brightness(argument),
        "sharpness" => Operation::Sharpness(argument),
        "shear-x" => Operation::ShearX(argument),
        "shear-y" => Operation::ShearY(argument),
        "translate-x" => Operation::TranslateX(argument),
        "translate-y" => Operation::TranslateY(argument),
        other => panic!("unknown operation {other}"),
    }
}

#[test]
fn operations_give_the_pixels_of_pillow() {
    let Goldens { files, cases } = serde_json::from_slice(&bytes("operations.json")).unwrap();
    assert!(files.len() == 5 && cases.len() > 50);
    for Column { file, height } in files {
        let column = decode(&bytes(&file), &file, 3, Orientation::Ignore).unwrap();
        let width = column.width();
        let mut images = column.bytes().chunks_exact(width * height * 3);
        let source = Image::new(width, height, 3, images.next().unwrap().to_vec()).unwrap();
        assert_eq!(images.len(), cases.len());
        for ((name, argument), expected) in cases.iter().zip(images) {
            let found = operation(name, *argument).apply(source.clone(), [124, 116, 104]);
            assert_eq!((found.width(), found.height()), (width, height));
            let difference = found.bytes().iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert_eq!(difference, Some(0), "{file}: {name} {argument:?}");
        }
    }
}
