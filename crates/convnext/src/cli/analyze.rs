//! `convnext analyze`

use std::iter;
use std::path::{Path, PathBuf};

use anyhow::bail;
use burn::tensor::Device;
use clap::Args;
use convnext::core::{ImageSize, Preprocessing, Seed};
use convnext::data::{DataError, Dataset, Decoding, Image, is_collection, open_images, open_part};
use convnext::nn::Precision;
use convnext::train::{LayerMeasures, available_memory};
use convnext::{Analysis, AnalyzedModel, Analyzer, LayerMaps, write_analysis};

use super::machine::{Machine, set_up};
use super::out_folder::{OverwriteArgument, check_apart, make_folder};
use super::output::{print_json, print_text, table};
use super::progress::image_bar;
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Fewest images of a class, where there are so many: the selectivity of single images would be high whatever they show.
const IMAGES_PER_CLASS: usize = 10;

/// Look at what the layers of networks compute: feature distance, dead maps, class selectivity, similarity
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Of every block five layers are looked at: input, depthwise, expanded (after GELU), normalised (after GRN \
  or what stands in its place; as expanded in V1, which has none) and output.
- Feature cosine distance: mean of (1 - cos) / 2 over all pairs of channels of an image. Channels that are 0 are left out, and so \
  are maps of one position.
- The map of a channel is dead when its root mean square is below 10 % of the layer's in the image; saturated when it is \
  not dead and its standard deviation over the positions is below 10 % of its mean, which no map of one position is.
- Class selectivity, for labelled folders: (highest - others) / (highest + others) of a channel's mean activity per class, \
  negative activations counted as 0.
- Similarity of blocks: linear CKA of their pooled outputs. Effective rank of these: exponential of the entropy of their \
  singular values.
Written are report.html, analysis.json and, in maps/, 64 channels of each layer for the first image.

Examples:
  convnext analyze photos --weights runs/pretrained/weights.safetensors --out runs/analysis
  convnext analyze labelled --weights runs/v1 runs/v2 --out runs/v1-v2 --images 500
  convnext analyze dog.jpg --weights tiny.fcmae --out dog --activations 1 --json"
)]
pub(crate) struct AnalyzeArguments {
    /// Images, or folders and archives of images; one alone with class folders is taken as `evaluate` takes it by default:
    /// its part for validation, if it has one, with the classes
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights of any kind, one or more: files or folders, hf:ORG/NAME[@REVISION] or released checkpoints
    #[arg(long, required = true, num_args = 1.., value_name = "WEIGHTS")]
    weights: Vec<Weights>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Images that are looked at, drawn by the seed; of labelled ones as many of each class as far as there are, and at
    /// least 10
    #[arg(long = "images", value_name = "N", value_parser = values::count, default_value_t = 1000)]
    count: usize,
    /// Seed of the draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Size of the images in pixels: a side, or height and width as in 224x320 [default: that of the weights]
    #[arg(long, value_name = "N|HxW", value_parser = values::image_size)]
    image_size: Option<ImageSize>,
    /// Write the activations of the first N images as well, in activations/
    #[arg(long, value_name = "N", value_parser = values::count)]
    activations: Option<usize>,
    /// Images that go through a network together
    #[arg(long, value_name = "N", value_parser = values::count, default_value_t = 8)]
    batch_size: usize,
    /// Fail at the first image of a folder or archive that cannot be read, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Print the measures as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
}

pub(crate) fn run(arguments: &AnalyzeArguments, quiet: bool) -> anyhow::Result<()> {
    let Machine { device, threads, precision } = set_up(&arguments.machine)?;
    if precision != Precision::F32 {
        bail!("layers are computed in f32 here; leave --precision out");
    }
    let files = arguments.weights.iter().map(Weights::file).collect::<anyhow::Result<Vec<_>>>()?;
    check_apart(&arguments.out, &arguments.images)?;
    let images = arguments.open()?;
    arguments.overwrite.make(&arguments.out, "--out")?;
    let reading =
        arguments.decoding.reading(&arguments.images, arguments.batch_size, threads, arguments.strict);
    let bar = image_bar(quiet, images.len() * files.len());
    let (mut models, mut maps) = (Vec::new(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        let analyzer = arguments.analyzer(file, &device)?;
        let name = arguments.weights[number].text();
        warn_of_other_size(models.first(), name, analyzer.preprocessing());
        maps.push(arguments.show(&analyzer, number, &images)?);
        let before = number * images.len();
        let progress = |done| bar.set_position((before + done) as u64);
        models.push(analyzer.measure(name, &images, &reading, progress)?);
    }
    bar.finish_and_clear();
    let analysis = Analysis::new(models);
    let page = write_analysis(&arguments.out, &analysis, &maps)?;
    if arguments.json {
        return print_json(&analysis);
    }
    let rows = analysis.models.iter().map(in_short).collect();
    let head =
        ["weights", "model", "size", "images", "feature distance", "least", "dead maps", "saturated maps"];
    let table = table(&head, 2, rows);
    print_text(&format!(
        "{table}\nof the expanded activations, after GRN where there is one\npage: {}",
        page.display()
    ))
}

impl AnalyzeArguments {
    /// The images, with their classes if there are any.
    fn open(&self) -> anyhow::Result<Dataset> {
        let labelled = match &self.images[..] {
            [folder] if is_collection(folder) => Some(open_part(folder, None, None)),
            _ => None,
        };
        let all = match labelled {
            Some(Ok(part)) => part.images,
            // Other errors are about labels that are there.
            Some(Err(
                error @ (DataError::Layout { .. }
                | DataError::NoClasses { .. }
                | DataError::EmptyClass { .. }),
            )) => {
                log::warn!(
                    "there is no class selectivity, because the images are taken without classes: {error}"
                );
                open_images(&self.images)?
            }
            Some(Err(error)) => return Err(error.into()),
            None => open_images(&self.images)?,
        };
        Ok(all.draw_evenly(self.count, IMAGES_PER_CLASS, Seed(self.seed)))
    }

    fn analyzer(&self, file: &Path, device: &Device) -> anyhow::Result<Analyzer> {
        let analyzer = Analyzer::load_on(file, device)?;
        let analyzer = match self.image_size {
            Some(size) => analyzer.at_size(size),
            None => analyzer,
        };
        if self.activations.is_some() && analyzer.preprocessing().image_size().is_none() {
            bail!(
                "{} takes images of any size, and activations are written of one: give --image-size",
                file.display()
            );
        }
        Ok(analyzer)
    }

    /// Maps of the first image that can be read, written and returned, and activations of the first such images.
    fn show(&self, analyzer: &Analyzer, number: usize, images: &Dataset) -> anyhow::Result<Vec<LayerMaps>> {
        let decoding = Decoding::of(analyzer.preprocessing(), self.decoding.orientation());
        let name = format!("model-{}", number + 1);
        let mut read = (0..images.len()).map(|index| images.image(index, &decoding));
        let first = first_readable(&mut read)?;
        let folder = self.out.join("maps").join(&name);
        make_folder(&folder)?;
        let maps = analyzer.maps(&first)?;
        for LayerMaps { place, sheet, .. } in &maps {
            sheet.save_png(&folder.join(format!("{place}.png")))?;
        }
        if let Some(count) = self.activations {
            let count = count.min(images.len());
            let of_image: usize = maps.iter().map(|maps| maps.activations).sum();
            check_room(of_image, count, available_memory())?;
            let folder = self.out.join("activations");
            make_folder(&folder)?;
            let path = folder.join(format!("{name}.safetensors"));
            let images = iter::once(first).chain(read.filter_map(Result::ok)).take(count);
            analyzer.write_activations(&path, images, self.batch_size)?;
        }
        Ok(maps)
    }
}

/// The first image that can be read; why the first one cannot where none can.
fn first_readable(
    read: &mut impl ExactSizeIterator<Item = Result<Image, DataError>>,
) -> anyhow::Result<Image> {
    let (all, mut first_error) = (read.len(), None);
    for image in read {
        match image {
            Ok(image) => return Ok(image),
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    match first_error {
        Some(error) => bail!("none of the {all} images can be read; the first one: {error}"),
        None => bail!("there are no images"),
    }
}

/// Warns of a network that sees the images at another size than the first one.
fn warn_of_other_size(first: Option<&AnalyzedModel>, name: &str, preprocessing: &Preprocessing) {
    if let Some(first) = first.filter(|first| first.image_size != preprocessing.image_size()) {
        log::warn!(
            "{name} sees images {}, but {} those of {}, and a difference between them may come from that; --image-size \
             gives all one size",
            preprocessing.geometry,
            first.weights,
            first.size_in_words()
        );
    }
}

/// Checks that the activations of so many images fit into the free memory, where they stand before they are written.
fn check_room(of_image: usize, images: usize, available: Option<u64>) -> anyhow::Result<()> {
    // Four bytes each, and as much again at most in vectors that grow.
    let bytes = 8 * of_image as u64 * images as u64;
    match available {
        Some(available) if bytes > available => bail!(
            "activations of {images} images take {} MiB of memory, and {} MiB are free; give --activations a smaller number",
            bytes >> 20,
            available >> 20
        ),
        _ => Ok(()),
    }
}

/// A row of the table about a network: means over its normalised layers, and the block with the least distance.
fn in_short(model: &AnalyzedModel) -> Vec<String> {
    let layers: Vec<_> = model.layers.iter().filter(|layer| layer.part == "normalised").collect();
    let distances: Vec<f64> = layers.iter().filter_map(|layer| layer.cosine_distance).collect();
    let mean = distances.iter().sum::<f64>() / distances.len().max(1) as f64;
    let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let share = |of: fn(&LayerMeasures) -> f64| {
        let sum: f64 = layers.iter().map(|layer| of(layer)).sum();
        format!("{:.1} %", 100.0 * sum / layers.len().max(1) as f64)
    };
    let number = |value: f64| if distances.is_empty() { "-".to_owned() } else { format!("{value:.4}") };
    vec![
        model.weights.clone(),
        model.model.clone(),
        model.size_in_words(),
        model.images.to_string(),
        number(mean),
        number(least),
        share(|layer| layer.dead_maps),
        share(|layer| layer.saturated_maps),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_activations_than_memory_holds_are_refused() {
        assert!(check_room(1_000_000, 10, Some(80_000_000)).is_ok());
        assert!(check_room(1_000_000, 10, None).is_ok());
        let message = check_room(1_000_000, 11, Some(80_000_000)).unwrap_err().to_string();
        for part in ["activations of 11 images take 83 MiB", "76 MiB are free", "--activations"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn no_image_is_read_beyond_the_first_that_can_be() {
        let bad = |name: &str| Err(DataError::NoImages { path: name.to_owned(), expected: String::new() });
        let good = || Image::new(1, 1, 1, vec![0]);
        let mut read = [bad("a"), good(), good()].into_iter();
        assert!(first_readable(&mut read).is_ok());
        assert_eq!(read.len(), 1);
        let message = first_readable(&mut [bad("a"), bad("b")].into_iter()).unwrap_err().to_string();
        assert!(message.contains("none of the 2 images can be read; the first one: no images found under a"));
    }
}
