//! From the bytes of a JPEG file to the values of a model's input, in one thread.
//!
//! `cargo bench -p convnext-data --features bench` times the steps on the sample photographs, enlarged to 500 and 1,500
//! pixels. With `-- --folder PHOTOGRAPHS` it goes over the JPEG files of a folder and prints seconds an
//! image as JSON; `benches/peers/loader.py` compares these with Pillow and torchvision.
#![allow(missing_docs, reason = "criterion's macros make the functions")]
#![allow(clippy::unwrap_used, reason = "the files are readable")]

use std::{
    fs,
    hint::black_box,
    io::{self, Write},
    path::Path,
    time::Instant,
};

use convnext_core::{IMAGENET_STD, Purpose, Seed, imagenet_mean, imagenet_std};
use convnext_data::{Decoding, Orientation, Region, TrainCrop, TrainTransform, decode, normalize, resize};
use criterion::{Criterion, criterion_group};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIDE: usize = 224;

fn transform() -> TrainTransform {
    TrainTransform::plain(
        SIDE,
        TrainCrop::RandomResized { scale: [0.2, 1.0], ratio: [0.75, 4.0 / 3.0] },
        imagenet_mean(3),
        imagenet_std(3),
    )
}

/// Calls the transform as the loader does.
fn values(bytes: &[u8], fast_decode: bool, sample: usize) -> Vec<f32> {
    let mut rng = Seed(0).stream(Purpose::Augmentation, 0, sample as u64);
    let (name, orientation) = ("photograph", Orientation::Honour);
    match fast_decode {
        true => transform().apply_to_file(bytes, name, &Decoding::new(3, orientation), &mut rng).unwrap(),
        false => transform().apply(&decode(bytes, name, 3, orientation).unwrap(), &mut rng),
    }
}

fn jpeg_files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A photograph with another long side, as JPEG.
fn enlarged(bytes: &[u8], side: usize) -> Vec<u8> {
    let image = decode(bytes, "sample", 3, Orientation::Honour).unwrap();
    let scale = side as f64 / image.width().max(image.height()) as f64;
    let [width, height] = [image.width(), image.height()].map(|side| (side as f64 * scale) as usize);
    let large = resize(&image, Region::whole(&image), width, height);
    compress(large.bytes(), width, height, PixelFormat::Rgb, 90, Subsampling::S420).unwrap()
}

fn steps(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../convnext/samples/photographs");
    let samples = jpeg_files(&folder);
    for side in [500, 1500] {
        let files: Vec<Vec<u8>> = samples.iter().map(|bytes| enlarged(bytes, side)).collect();
        let mut group = criterion.benchmark_group(format!("photograph/{side}"));
        let mut next = (0..files.len()).cycle();
        let mut sample = 0;
        for (name, fast) in [("full", false), ("fast", true)] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    sample += 1;
                    values(&files[next.next().unwrap()], fast, sample)
                });
            });
        }
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode(&files[next.next().unwrap()], "", 3, Orientation::Honour).unwrap());
        });
        let image = decode(&files[0], "", 3, Orientation::Honour).unwrap();
        let [width, height] = [image.width(), image.height()].map(|side| side as f64 * 0.75);
        let crop = Region { left: 10.0, top: 10.0, width, height };
        group.bench_function("crop", |bencher| bencher.iter(|| resize(&image, crop, SIDE, SIDE)));
        let (mean, std) = (imagenet_mean(3), imagenet_std(3));
        let square = resize(&image, crop, SIDE, SIDE);
        group.bench_function("normalize", |bencher| {
            bencher.iter(|| normalize(&square, &mean, &std));
        });
    }
}

/// Number of epochs that `measure` reads.
const ROUNDS: usize = 3;

/// Seconds an image of the whole way, full and fast, and of decoding alone, over the JPEG files of a folder;
/// and the mean difference between full and fast in levels of 255.
fn measure(folder: &Path) {
    let files = jpeg_files(folder);
    let seconds = |work: &dyn Fn(usize, &[u8])| {
        let start = Instant::now();
        let samples = (0..ROUNDS).flat_map(|_| &files).enumerate();
        samples.for_each(|(sample, bytes)| work(sample, bytes));
        start.elapsed().as_secs_f64() / (ROUNDS * files.len()) as f64
    };
    let of = |fast| seconds(&|sample, bytes| drop(black_box(values(bytes, fast, sample))));
    // Once to warm up.
    of(false);
    let (full, fast) = (of(false), of(true));
    let decoded =
        seconds(&|_, bytes| drop(black_box(decode(bytes, "photograph", 3, Orientation::Honour).unwrap())));
    let differences = files.iter().enumerate().map(|(sample, bytes)| {
        let (full, fast) = (values(bytes, false, sample), values(bytes, true, sample));
        let pixels = full.len() / 3;
        let levels =
            |(index, (a, b)): (usize, (f32, f32))| (a - b).abs() * IMAGENET_STD[index / pixels] * 255.0;
        full.iter().copied().zip(fast).enumerate().map(levels).sum::<f32>() / (3 * pixels) as f32
    });
    let levels = differences.sum::<f32>() / files.len() as f32;
    let mut out = io::stdout();
    writeln!(out, r#"{{"full":{full},"fast":{fast},"decode":{decoded},"levels":{levels}}}"#).unwrap();
}

criterion_group!(benches, steps);

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--folder").skip(1);
    match arguments.next() {
        Some(folder) => measure(Path::new(&folder)),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
