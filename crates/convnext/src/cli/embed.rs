//! `convnext embed`

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use convnext::Embedder;
use convnext::core::ImageSize;
use convnext::data::open_images;
use convnext::io::{EmbeddingMetadata, EmbeddingWriter, files_of};
use convnext::nn::EmbeddingLayer;
use convnext::train::EvalLoaderConfig;

use super::launched::Launched;
use super::machine::Machine;
use super::output::{print_text, thousands};
use super::progress::image_bar;
use super::read_files::ReadFiles;
use super::shared::{RankArguments, SharedMachine};
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Write the embeddings of images: the features that a network finds in them
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The file's extension decides the format: .safetensors (embeddings [N, width] and names, a name a line), .npy (names beside it \
in FILE.names.txt) or .parquet (columns file and embedding). Embeddings are written as they come, for folders of any size; \
images that cannot be read are left out with a warning. convnext nearest searches .safetensors.

Examples:
  convnext embed photos --weights runs/pretrained/weights.safetensors --out photos.safetensors
  convnext embed photos archive.tar --weights tiny.fcmae --layer stage3 --out photos.parquet"
)]
pub(crate) struct EmbedArguments {
    /// Images, or folders and archives of images
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights of any kind: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where in the network
    #[arg(long, value_name = "LAYER", default_value = "pooled")]
    layer: LayerName,
    /// Size of the images in pixels: a side, or height and width as in 224x320 [default: that of the weights]
    #[arg(long, value_name = "N|HxW", value_parser = values::image_size)]
    image_size: Option<ImageSize>,
    /// Images that go through the model together, where they are of one size
    #[arg(long, value_name = "N", value_parser = values::count, default_value_t = 16)]
    batch_size: usize,
    /// Fail at the first image of a folder or archive that cannot be read, instead of leaving it out
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    ranks: RankArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
}

/// Layer that an embedding is taken from, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LayerName {
    /// The mean after the last stage and, in a classifier, the final norm: what the head is given
    Pooled,
    /// The mean after the first stage
    Stage1,
    /// After the second
    Stage2,
    /// After the third
    Stage3,
    /// After the last
    Stage4,
}

impl From<LayerName> for EmbeddingLayer {
    fn from(name: LayerName) -> Self {
        match name {
            LayerName::Pooled => Self::Pooled,
            LayerName::Stage1 => Self::Stage1,
            LayerName::Stage2 => Self::Stage2,
            LayerName::Stage3 => Self::Stage3,
            LayerName::Stage4 => Self::Stage4,
        }
    }
}

pub(crate) fn run(arguments: &EmbedArguments, launched: &Launched, quiet: bool) -> anyhow::Result<()> {
    let shared = SharedMachine::set_up(&arguments.machine, &arguments.ranks, launched, quiet)?;
    let ranks = &shared.ranks;
    let (embedder, images, weights, mut writer) = shared.prepare(|| {
        let weights = arguments.weights.file()?;
        let embedder = embedder(arguments, &weights, &shared.machine)?;
        let images = open_images(&arguments.images)?;
        let sources = &*arguments.images;
        ReadFiles { weights: &weights, sources, images: &images, texts: Vec::new() }.check(&arguments.out)?;
        let weights = checksum(&weights)?;
        let metadata = metadata(arguments, &embedder, weights);
        let create = || EmbeddingWriter::create(&arguments.out, embedder.width(), &metadata);
        let writer = ranks.is_first().then(create).transpose()?;
        Ok((embedder, images, weights, writer))
    })?;
    shared.check_weights(weights)?;
    let (batch_size, threads) = (arguments.batch_size, shared.machine.threads);
    let reading = arguments.decoding.reading(&arguments.images, batch_size, threads, arguments.strict);
    let reading = EvalLoaderConfig { ranks: ranks.clone(), ..reading };
    let bar = image_bar(shared.quiet, images.len());
    let mut done = 0_u64;
    embedder.embed_all(&images, &reading, |name, vector| {
        writer.as_mut().map_or(Ok(()), |writer| writer.push(&name, vector))?;
        done += 1;
        bar.set_position(done);
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    let all = images.len();
    ranks.meet(if done > 0 {
        Ok(())
    } else {
        Err(anyhow!("none of the {all} images could be read; the warnings above say why"))
    })?;
    let Some(writer) = writer else { return Ok(()) };
    writer.finish()?;
    print_text(&format!(
        "{} embeddings of {} values in {}",
        thousands(done),
        embedder.width(),
        arguments.out.display()
    ))
}

fn embedder(arguments: &EmbedArguments, weights: &Path, machine: &Machine) -> anyhow::Result<Embedder> {
    let embedder = Embedder::load_on(weights, arguments.layer.into(), &machine.device)?;
    let embedder = embedder.with_precision(machine.precision);
    Ok(match arguments.image_size {
        Some(size) => embedder.at_size(size),
        None => embedder,
    })
}

/// The record of how the embeddings are made, for those who search them.
fn metadata(arguments: &EmbedArguments, embedder: &Embedder, checksum: u32) -> EmbeddingMetadata {
    let layer = arguments.layer.to_possible_value();
    EmbeddingMetadata {
        model: embedder.config().name.clone(),
        layer: layer.map(|value| value.get_name().to_owned()).unwrap_or_default(),
        image_size: embedder.preprocessing().image_size(),
        preprocessing: Some(embedder.preprocessing().clone()),
        ignore_orientation: arguments.decoding.ignore_orientation,
        weights: arguments.weights.text().to_owned(),
        checksum,
        sources: arguments.images.iter().map(|path| path.display().to_string()).collect(),
    }
}

/// Checksum of a weight file, by which an index recognises its weights.
pub(crate) fn checksum(path: &Path) -> anyhow::Result<u32> {
    struct Sum(crc32fast::Hasher);
    impl std::io::Write for Sum {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sum = Sum(crc32fast::Hasher::new());
    for file in files_of(path)? {
        let copied = File::open(&file).and_then(|mut read| std::io::copy(&mut read, &mut sum));
        copied.map_err(|error| {
            anyhow!(
                "cannot read {} of the weights {}: {error}; copy it again",
                file.display(),
                path.display()
            )
        })?;
    }
    Ok(sum.0.finalize())
}
