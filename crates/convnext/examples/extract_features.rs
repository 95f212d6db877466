//! Looks at pictures with a pre-trained network: the vector of each, the maps of the four stages, and how alike the
//! pictures are: `cargo run --release --example extract_features -- WEIGHTS IMAGE IMAGE...`.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::env;
use std::path::Path;

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use convnext::Embedder;
use convnext::data::{PreparedImage, prepare_for_evaluation};
use convnext::nn::{DropPath, EmbeddingLayer};
use convnext::train::load_network;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let weights = arguments.next().context("name weights of any kind")?;
    let images: Vec<String> = arguments.collect();

    let embedder = Embedder::load(&weights, EmbeddingLayer::Pooled)?;
    let pictures = images.iter().map(|image| embedder.open(image)).collect::<Result<Vec<_>, _>>()?;
    let vectors = embedder.embed(&pictures)?;
    for (image, vector) in images.iter().zip(&vectors) {
        let product = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        let alike: Vec<String> = (vectors.iter())
            .map(|other| format!("{:7.4}", product(other) / (product(vector) * dot(other)).sqrt()))
            .collect();
        println!("{} of {} values: {}", image, vector.len(), alike.join(" "));
    }

    // The network itself, for what later layers take.
    let (model, metadata) = load_network(Path::new(&weights), &Device::flex())?;
    let picture = pictures.first().context("name a picture")?;
    let PreparedImage { values, size } = prepare_for_evaluation(picture, &metadata.preprocessing);
    let shape = [1, picture.channels(), size.height, size.width];
    let images: Tensor<4> = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
    for (stage, map) in (1..).zip(model.features(images, &DropPath::none())?) {
        println!("stage {stage}: {:?}", map.dims());
    }
    Ok(())
}

fn dot(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum()
}
