//! Hides most of an image and draws what an autoencoder makes of the rest:
//! `cargo run --release --example mask_and_reconstruct -- WEIGHTS IMAGE OUT.png`.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::env;
use std::path::Path;

use anyhow::Context;
use convnext::Reconstructor;
use convnext::core::{Mask, Seed};
use convnext::data::{Decoding, Orientation, open_images};

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let weights = arguments.next().context("name weights that `convnext pretrain` wrote")?;
    let image = arguments.next().context("name an image")?;
    let out = arguments.next().context("name the image to write")?;

    let reconstructor = Reconstructor::load(Path::new(&weights))?;
    let decoding = Decoding::of(reconstructor.preprocessing(), Orientation::Honour);
    let image = open_images(&[image.into()])?.image(0, &decoding)?;
    let mask = Mask::random(reconstructor.grid()?, 0.6, Seed(0), 0, 0)?;
    let result = reconstructor.reconstruct(&image, &mask)?;
    result.panels.save_png(Path::new(&out))?;
    println!("{} patches kept, loss {:.4}: {out}", mask.kept().len(), result.loss);
    Ok(())
}
