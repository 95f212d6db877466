//! `convnext nearest`

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use convnext::data::{Decoding, Image, open_image, open_images};
use convnext::io::{EmbeddingIndex, EmbeddingMetadata};
use convnext::{Embedder, Neighbour, most_similar, write_neighbours};
use serde::Serialize;

use super::embed::{LayerName, checksum};
use super::machine::{Machine, set_up};
use super::output::{print_json, print_text, print_then_write};
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Find the images that a network sees as most similar to one, and show them on a page
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The index is a .safetensors file of convnext embed. Weights, layer and preprocessing are those that it was made with; \
similarity is the cosine between embeddings.

Examples:
  convnext embed photos --weights runs/pretrained/weights.safetensors --out photos.safetensors
  convnext nearest holiday.jpg --index photos.safetensors
  convnext nearest holiday.jpg --index photos.safetensors --count 50 --html similar.html --json"
)]
pub(crate) struct NearestArguments {
    /// An image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Embeddings that convnext embed wrote
    #[arg(long, value_name = "FILE")]
    index: PathBuf,
    /// The weights of the index, if they are no longer where they were [default: as recorded]
    #[arg(long, value_name = "WEIGHTS")]
    weights: Option<Weights>,
    /// Images to find
    #[arg(long, value_name = "K", value_parser = values::count, default_value_t = 12)]
    count: usize,
    /// The page to write
    #[arg(long, value_name = "FILE.html", value_parser = values::page, default_value = "nearest.html")]
    html: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineArguments,
}

#[derive(Debug, Serialize)]
struct Answer {
    image: String,
    similarity: f32,
}

pub(crate) fn run(arguments: &NearestArguments) -> anyhow::Result<()> {
    let Machine { device, precision, .. } = set_up(&arguments.machine)?;
    let index = EmbeddingIndex::open(&arguments.index)?;
    let made = index.metadata();
    let embedder = embedder(arguments, made, &device)?.with_precision(precision);
    let images = DecodeArguments { ignore_orientation: made.ignore_orientation };
    let decoding = Decoding::of(embedder.preprocessing(), images.orientation());
    let image = open_image(&arguments.image, &decoding)?;
    let vectors = embedder.embed(std::slice::from_ref(&image))?;
    let vector = vectors.first().map(Vec::as_slice).unwrap_or_default();
    if vector.len() != index.width() {
        bail!(
            "{} has embeddings of {} values, the weights make {}",
            arguments.index.display(),
            index.width(),
            vector.len()
        );
    }
    let found = most_similar(&index, vector, arguments.count)?;

    let sources: Vec<PathBuf> = made.sources.iter().map(PathBuf::from).collect();
    let names = found.iter().map(|similar| index.names()[similar.index].as_str()).collect::<Vec<_>>();
    let images = read(&sources, &names, &decoding);
    let shown: Vec<Neighbour> = (found.iter().zip(names).zip(images))
        .map(|((found, name), image)| Neighbour {
            name: name.to_owned(),
            similarity: found.similarity,
            image,
        })
        .collect();
    print_then_write(
        || print(arguments, &shown),
        || {
            let asked = arguments.image.display().to_string();
            Ok(write_neighbours(&arguments.html, &asked, &image, &shown)?)
        },
        (!arguments.json).then(|| format!("page: {}", arguments.html.display())),
    )
}

/// The weights of the index, checked to be those that it was made with.
fn weights(arguments: &NearestArguments, made: &EmbeddingMetadata) -> anyhow::Result<PathBuf> {
    let index = arguments.index.display();
    let weights = match &arguments.weights {
        Some(weights) => weights.file()?,
        None => made
            .weights
            .parse::<Weights>()?
            .file()
            .map_err(|error| anyhow!("{error}; {index} was made with them: name them with --weights"))?,
    };
    if weights.exists() && checksum(&weights)? != made.checksum {
        bail!(
            "{index} was made with other weights than {}; name them with --weights, or make the index again",
            weights.display()
        );
    }
    Ok(weights)
}

/// The network that the index was made with, for images that are prepared as those of the index were: what stands beside
/// foreign weights may have changed since.
fn embedder(
    arguments: &NearestArguments,
    made: &EmbeddingMetadata,
    device: &Device,
) -> anyhow::Result<Embedder> {
    let weights = weights(arguments, made)?;
    let layer = LayerName::from_str(&made.layer, false).map_err(|_| {
        anyhow!("{} names the layer '{}', which is unknown", arguments.index.display(), made.layer)
    })?;
    let embedder = Embedder::load_on(&weights, layer.into(), device)?;
    Ok(match (&made.preprocessing, made.image_size) {
        (Some(preprocessing), _) => embedder.with_preprocessing(preprocessing.clone()).map_err(|error| {
            anyhow!("{} cannot be used: {error}; make the index again", arguments.index.display())
        })?,
        (None, Some(size)) => embedder.at_size(size),
        (None, None) => embedder,
    })
}

fn print(arguments: &NearestArguments, found: &[Neighbour]) -> anyhow::Result<()> {
    if arguments.json {
        let answer = |found: &Neighbour| Answer { image: found.name.clone(), similarity: found.similarity };
        return print_json(&found.iter().map(answer).collect::<Vec<_>>());
    }
    found.iter().try_for_each(|found| print_text(&format!("{:7.4}  {}", found.similarity, found.name)))
}

/// The images of these names, as far as they are still there. Images that could not be read have no vector, so that
/// only names tell which is which.
fn read(sources: &[PathBuf], names: &[&str], decoding: &Decoding) -> Vec<Option<Image>> {
    let Ok(images) = open_images(sources) else { return vec![None; names.len()] };
    let mut places: HashMap<&str, Option<usize>> = names.iter().map(|&name| (name, None)).collect();
    for index in 0..images.len() {
        if let Some(place) = places.get_mut(images.name(index).as_str()) {
            *place = Some(index);
        }
    }
    let place = |name: &str| places.get(name).copied().flatten();
    let image = |name: &&str| images.image(place(name)?, decoding).ok();
    names.iter().map(image).collect()
}
