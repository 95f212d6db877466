//! Draws a small labelled data set, to try every command without one's own pictures:
//! `cargo run --release --example draw_pictures -- FOLDER` makes `FOLDER/train` and `FOLDER/val` with
//! three classes of 32-pixel pictures.
#![allow(clippy::print_stdout, reason = "an example is a program of its own")]

use std::path::Path;

use anyhow::Context;
use image::{Rgb, RgbImage};

const CLASSES: [&str; 3] = ["stripes", "bars", "checkers"];
const SIDE: u32 = 32;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("usage: draw_pictures FOLDER")?;
    for (part, count) in [("train", 24), ("val", 8)] {
        for (class, name) in CLASSES.into_iter().enumerate() {
            let target = Path::new(&folder).join(part).join(name);
            std::fs::create_dir_all(&target)?;
            for index in 0..count {
                let number = if part == "train" { index } else { index + 1000 };
                draw(class, number).save(target.join(format!("{index}.png")))?;
            }
        }
    }
    println!("drew {} classes of {SIDE}-pixel pictures into {folder}", CLASSES.len());
    Ok(())
}

/// Horizontal stripes, vertical bars or checkers; colours, width and phase follow from the number.
fn draw(class: usize, number: u32) -> RgbImage {
    let width = 3 + number % 4;
    let phase = number * 7 % 11;
    let light = Rgb([200 - (number * 37 % 80) as u8, 180, 120 + (number * 53 % 100) as u8]);
    let dark = Rgb([(number * 29 % 90) as u8, 40, (number * 17 % 70) as u8]);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (row, column) = ((y + phase) / width, (x + phase) / width);
        let place = match class {
            0 => row,
            1 => column,
            _ => row + column,
        };
        if place % 2 == 0 { light } else { dark }
    })
}
