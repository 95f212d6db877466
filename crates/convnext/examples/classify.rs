//! Says what is in an image: `cargo run --release --example classify -- WEIGHTS IMAGE`.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::env;

use anyhow::Context;
use convnext::Classifier;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let weights = arguments.next().context("name the weights of a classifier")?;
    let image = arguments.next().context("name an image")?;

    let classifier = Classifier::load(&weights)?;
    let image = classifier.open(&image)?;
    for prediction in classifier.predict(&image)?.iter().take(3) {
        println!("{:6.2} %  {}", 100.0 * prediction.probability, prediction.label);
    }
    Ok(())
}
