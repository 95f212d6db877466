//! 3x3 convolutions of 64 to 512 channels on maps of 7x7 to 64x64 sites, the smallest those of regions. A backward makes two
//! gradients, and packs what it reads.
//!
//! `cargo bench -p convnext-kernels --features bench --bench convolutions` runs all; a part of a name chooses, such as
//! `256 channels`.
#![allow(missing_docs, reason = "criterion's macros make the functions")]

use convnext_kernels::{
    ConvolutionEpilogue, ConvolutionWeight, DenseMaps, PackedConvolution, Precision, convolution_backward,
    convolution_forward,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const CHANNELS: [usize; 4] = [64, 128, 256, 512];
const SIDES: [usize; 6] = [7, 8, 14, 16, 32, 64];
/// Multiply-adds of a measured call, about.
const WORK: usize = 1 << 28;

/// Pseudorandom values in [-1, 1).
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn convolutions(criterion: &mut Criterion) {
    for channels in CHANNELS {
        let mut group = criterion.benchmark_group(format!("convolution/{channels} channels"));
        group.sample_size(10);
        for side in SIDES {
            let images = (WORK / (9 * channels * channels * side * side)).max(8);
            let maps = DenseMaps { images, height: side, width: side };
            let (rows, weight) = (noise(maps.rows() * channels), noise(9 * channels * channels));
            let weight = ConvolutionWeight { values: &weight, outputs: channels, inputs: channels };
            let operations = 2 * (9 * channels * channels * maps.rows()) as u64;
            for precision in [Precision::F32, Precision::Bf16] {
                let id =
                    |direction: &str| BenchmarkId::new(format!("{side} x {side}, {precision:?}"), direction);
                let packed = PackedConvolution::new(&weight, precision);
                group.throughput(Throughput::Elements(operations));
                group.bench_function(id("forward"), |bencher| {
                    bencher.iter(|| convolution_forward(&rows, &maps, &packed, ConvolutionEpilogue::Plain));
                });
                group.throughput(Throughput::Elements(2 * operations));
                group.bench_function(id("backward"), |bencher| {
                    bencher.iter(|| convolution_backward((&rows, &maps), &weight, precision, &rows, true));
                });
            }
        }
    }
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
