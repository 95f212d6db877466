//! RoIAlign of 1,000 regions of 7x7 on a feature pyramid of images of 512x512 and 800x1333 pixels: each region on its level
//! (FPN's rule), as detection does it.
//!
//! `cargo bench -p convnext-kernels --features bench --bench regions` runs all; a part of a name chooses, such as
//! `256 channels`.
#![allow(missing_docs, reason = "criterion's macros make the functions")]

use convnext_kernels::{DenseMaps, RegionWeights, roi_align, roi_align_backward};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const CHANNELS: [usize; 2] = [64, 256];
const SIZES: [[usize; 2]; 2] = [[512, 512], [800, 1333]];
const STRIDES: [usize; 4] = [4, 8, 16, 32];
const REGIONS: usize = 1_000;
const BINS: [usize; 2] = [7, 7];

/// Pseudorandom values in [0, 1).
fn noise() -> impl FnMut() -> f64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1 << 24) as f64
    }
}

/// A level of the pyramid and its regions.
struct Level {
    maps: DenseMaps,
    regions: Vec<RegionWeights>,
}

/// Regions of 16 to 512 pixels, in equal numbers by their logarithm, on their levels.
fn pyramid([height, width]: [usize; 2]) -> Vec<Level> {
    let level = |stride: usize| {
        let maps = DenseMaps { images: 1, height: height.div_ceil(stride), width: width.div_ceil(stride) };
        Level { maps, regions: Vec::new() }
    };
    let (mut levels, mut noise) = (STRIDES.map(level), noise());
    for _ in 0..REGIONS {
        let (side, aspect) = (16.0 * 32.0_f64.powf(noise()), 4.0_f64.powf(noise() - 0.5));
        let (w, h) = ((side * aspect).min(width as f64), (side / aspect).min(height as f64));
        let (left, top) = (noise() * (width as f64 - w), noise() * (height as f64 - h));
        let place = ((w * h).sqrt() / 224.0).log2().floor().clamp(-2.0, 1.0) as isize + 2;
        let level = &mut levels[place as usize];
        let edges = [left, top, left + w, top + h].map(|edge| edge / STRIDES[place as usize] as f64 - 0.5);
        level.regions.push(RegionWeights::new(&level.maps, 0, edges, BINS, None));
    }
    levels.into()
}

fn regions(criterion: &mut Criterion) {
    for (channels, size) in CHANNELS.into_iter().flat_map(|channels| SIZES.map(|size| (channels, size))) {
        let levels = pyramid(size);
        let values = |count: usize| noise_values(count * channels);
        let rows: Vec<_> = levels.iter().map(|level| values(level.maps.rows())).collect();
        let gradients: Vec<_> =
            levels.iter().map(|level| values(level.regions.len() * BINS[0] * BINS[1])).collect();
        let mut group = criterion.benchmark_group(format!("regions/{channels} channels"));
        group.sample_size(10);
        let id = |direction: &str| BenchmarkId::new(format!("{} x {}", size[0], size[1]), direction);
        group.bench_function(id("forward"), |bencher| {
            let align = |(level, rows): (&Level, &Vec<f32>)| roi_align(rows, &level.maps, &level.regions);
            bencher.iter(|| levels.iter().zip(&rows).map(align).collect::<Vec<_>>());
        });
        group.bench_function(id("backward"), |bencher| {
            let backward = |(level, dout): (&Level, &Vec<f32>)| {
                roi_align_backward(dout, channels, &level.maps, &level.regions)
            };
            bencher.iter(|| levels.iter().zip(&gradients).map(backward).collect::<Vec<_>>());
        });
    }
}

fn noise_values(count: usize) -> Vec<f32> {
    let mut noise = noise();
    (0..count).map(|_| noise() as f32 - 0.5).collect()
}

criterion_group!(benches, regions);
criterion_main!(benches);
