//! Blocks and linear layers at the shapes that they have in Atto, Tiny and Base at 224 pixels, dense and
//! with 19 of 49 patches kept.
//!
//! `cargo bench -p convnext-kernels --features bench` runs all; a part of a name chooses, such as
//! `linear/tiny`.
#![allow(missing_docs, reason = "criterion's macros make the functions")]
#![allow(clippy::unwrap_used, reason = "the shapes are right")]

use convnext_kernels::{
    BlockInput, BlockWeights, GrnVariant, GrnWeights, LinearInput, PackedBlock, PackedLinear, Precision,
    Save, Sites, block_backward, block_forward, linear_backward, linear_forward,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const IMAGES: usize = 8;
const GRID: [usize; 2] = [7, 7];
const KEPT: usize = 19;
/// Side of a patch, in sites, at the four stages.
const TILES: [usize; 4] = [8, 4, 2, 1];
const MODELS: [(&str, [usize; 4]); 3] =
    [("atto", [40, 80, 160, 320]), ("tiny", [96, 192, 384, 768]), ("base", [128, 256, 512, 1024])];

/// Pseudorandom values in [-1, 1).
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// FLOPs of the linear layers and the convolution of a block.
fn operations(rows: usize, channels: usize) -> u64 {
    2 * (rows * (8 * channels * channels + 49 * channels)) as u64
}

/// The sites of a stage, dense and with a different mask for every image.
fn sites_of(stage: usize) -> [(&'static str, Sites); 2] {
    let side = 7 * TILES[stage];
    let mask = |image: usize| {
        let mut kept: Vec<usize> = (0..KEPT).map(|place| (5 * place + 3 * image) % 49).collect();
        kept.sort_unstable();
        kept
    };
    let sparse = (0..IMAGES).map(mask).collect();
    [
        ("dense", Sites::dense(IMAGES, side, side).unwrap()),
        ("sparse", Sites::tiled(GRID, TILES[stage], sparse).unwrap()),
    ]
}

fn blocks(criterion: &mut Criterion) {
    for (model, widths) in MODELS {
        let mut group = criterion.benchmark_group(format!("block/{model}"));
        group.sample_size(10);
        for (stage, channels) in widths.into_iter().enumerate() {
            let parts =
                [49, 1, 1, 1, 4 * channels, 4, 4 * channels, 1, 4, 4].map(|size| noise(size * channels));
            let [
                depthwise,
                bias,
                norm_weight,
                norm_bias,
                expand,
                expand_bias,
                project,
                project_bias,
                gamma,
                beta,
            ] = &parts;
            let weights = BlockWeights {
                depthwise_weight: depthwise,
                depthwise_bias: bias,
                norm_weight,
                norm_bias,
                expand_weight: expand,
                expand_bias,
                project_weight: project,
                project_bias,
                grn: Some(GrnWeights { variant: GrnVariant::GRN, gamma, beta }),
                layer_scale: None,
            };
            for precision in [Precision::F32, Precision::Bf16] {
                let packed = PackedBlock::new(&weights, precision);
                for (name, sites) in &sites_of(stage) {
                    let rows = noise(sites.rows() * channels);
                    let input = BlockInput::new(sites, &rows, &weights, None);
                    let forward = |save| block_forward(&input, &packed, save);
                    let id = |direction: &str| {
                        BenchmarkId::new(format!("stage {stage}, {name}, {precision:?}"), direction)
                    };
                    group.throughput(Throughput::Elements(operations(sites.rows(), channels)));
                    group.bench_function(id("forward"), |bencher| {
                        bencher.iter(|| forward(Save::Nothing));
                    });
                    group.throughput(Throughput::Elements(2 * operations(sites.rows(), channels)));
                    group.bench_function(id("backward"), |bencher| {
                        bencher.iter_batched(
                            || forward(Save::AsComputed).1,
                            |saved| block_backward(&input, precision, saved, &rows),
                            criterion::BatchSize::PerIteration,
                        );
                    });
                }
            }
        }
    }
}

fn linear_layers(criterion: &mut Criterion) {
    for (model, widths) in MODELS {
        let mut group = criterion.benchmark_group(format!("linear/{model}"));
        group.sample_size(10);
        for (stage, channels) in widths.into_iter().enumerate() {
            let count = IMAGES * (7 * TILES[stage]).pow(2);
            for (inputs, outputs) in [(channels, 4 * channels), (4 * channels, channels)] {
                let [rows, weight, bias, dout] =
                    [count * inputs, outputs * inputs, outputs, count * outputs].map(noise);
                let operations = 2 * (count * inputs * outputs) as u64;
                for precision in [Precision::F32, Precision::Bf16] {
                    let name = format!("{count} x {inputs} to {outputs}, {precision:?}");
                    let id = |direction: &str| BenchmarkId::new(&name, direction);
                    let packed = PackedLinear::new(&weight, outputs, precision);
                    group.throughput(Throughput::Elements(operations));
                    group.bench_function(id("forward"), |bencher| {
                        bencher.iter(|| linear_forward(&rows, &packed, &bias, false));
                    });
                    let (_, saved) = linear_forward(&rows, &packed, &bias, true);
                    let input = saved.as_ref().map_or(LinearInput::Rows(&rows), LinearInput::Bf16);
                    group.throughput(Throughput::Elements(2 * operations));
                    group.bench_function(id("backward"), |bencher| {
                        bencher.iter(|| linear_backward(input, &weight, outputs, &dout, true));
                    });
                }
            }
        }
    }
}

criterion_group!(benches, linear_layers, blocks);
criterion_main!(benches);
