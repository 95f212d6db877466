//! Looks at images with a pre-trained network: the embedding of each, the maps of the four stages, and how similar the
//! images are: `cargo run --release --example extract_features -- WEIGHTS IMAGE IMAGE...`.

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
    let paths: Vec<String> = arguments.collect();

    let embedder = Embedder::load(&weights, EmbeddingLayer::Pooled)?;
    let images = paths.iter().map(|path| embedder.open(path)).collect::<Result<Vec<_>, _>>()?;
    let vectors = embedder.embed(&images)?;
    for (path, vector) in paths.iter().zip(&vectors) {
        let product = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        let similarities: Vec<String> = (vectors.iter())
            .map(|other| format!("{:7.4}", product(other) / (product(vector) * dot(other)).sqrt()))
            .collect();
        println!("{} of {} values: {}", path, vector.len(), similarities.join(" "));
    }

    // The network itself, for what later layers take.
    let (model, metadata) = load_network(Path::new(&weights), &Device::flex())?;
    let image = images.first().context("name an image")?;
    let PreparedImage { values, size } = prepare_for_evaluation(image, &metadata.preprocessing);
    let shape = [1, image.channels(), size.height, size.width];
    let images: Tensor<4> = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
    for (stage, map) in (1..).zip(model.features(images, &DropPath::none())?) {
        println!("stage {stage}: {:?}", map.dims());
    }
    Ok(())
}

fn dot(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum()
}
