//! RoIAlign against its bins sample by sample in f64, and its gradient against the transpose of that.

use super::*;
use crate::isa::isa_levels;
use crate::testing::noise;

/// Image and edges in cells: inside, across edges, outside, without a size, larger than the maps, and many on one place.
fn regions(maps: &DenseMaps, bins: [usize; 2]) -> Vec<(usize, [f64; 4], RegionWeights)> {
    let (height, width) = (maps.height as f64, maps.width as f64);
    let mut found = vec![
        (0, [0.3, 1.1, width * 0.7, height * 0.6]),
        (1, [-3.0, -1.5, 2.25, height + 2.0]),
        (0, [-0.5, -0.5, width - 0.5, height - 0.5]),
        (1, [width + 3.0, 0.0, width + 9.0, 4.0]),
        (0, [1.0, 1.0, 1.0, 3.0]),
        (1, [-40.0, -30.0, width + 50.0, height + 20.0]),
    ];
    found.extend((0..9).map(|step| (1, [0.1 * f64::from(step), 0.0, 2.0 + 0.2 * f64::from(step), 1.9])));
    let weights = |(image, bounds)| (image, bounds, RegionWeights::new(maps, image, bounds, bins, None));
    found.into_iter().map(weights).collect()
}

/// The cells and weights of a sample: none more than a cell off the map, and at most its last cell.
fn sample(place: f64, cells: usize) -> Vec<(usize, f64)> {
    if place < -1.0 || place > cells as f64 {
        return Vec::new();
    }
    let place = place.max(0.0);
    let near = place.floor() as usize;
    if near >= cells - 1 {
        return vec![(cells - 1, 1.0)];
    }
    let fraction = place - place.floor();
    vec![(near, 1.0 - fraction), (near + 1, fraction)]
}

/// Every cell of a bin with its weight, in the order of samples.
fn bin(bounds: [f64; 4], bins: [usize; 2], at: [usize; 2], maps: &DenseMaps) -> Vec<(usize, f64)> {
    let [left, top, right, bottom] = bounds;
    let sizes = [(bottom - top) / bins[0] as f64, (right - left) / bins[1] as f64];
    let counts = sizes.map(|size| size.ceil() as usize);
    let samples = |axis: usize, begin: f64, cells: usize| -> Vec<(usize, f64)> {
        let begin = begin + at[axis] as f64 * sizes[axis];
        let place = |index: usize| begin + (index as f64 + 0.5) * sizes[axis] / counts[axis] as f64;
        (0..counts[axis]).flat_map(|index| sample(place(index), cells)).collect()
    };
    let (lines, columns) = (samples(0, top, maps.height), samples(1, left, maps.width));
    let count = (counts[0] * counts[1]).max(1) as f64;
    let of_line = |&(y, weight): &(usize, f64)| {
        columns
            .iter()
            .map(move |(x, factor)| (y * maps.width + x, weight * factor / count))
            .collect::<Vec<_>>()
    };
    lines.iter().flat_map(of_line).collect()
}

#[test]
fn both_directions_match_samples_one_by_one() {
    for ([height, width], bins, channels) in
        [([7, 9], [7, 7], 5), ([1, 1], [2, 3], 1), ([12, 5], [3, 4], 70), ([3, 30], [1, 1], 16)]
    {
        let maps = DenseMaps { images: 2, height, width };
        let regions = regions(&maps, bins);
        let rows = noise(maps.rows() * channels, 1);
        let dout = noise(regions.len() * bins[0] * bins[1] * channels, 2);
        let [mut expected, mut gradient] = [&dout, &rows].map(|values| vec![0.0; values.len()]);
        for (place, out) in expected.chunks_exact_mut(channels).enumerate() {
            let (index, at) = (place / (bins[0] * bins[1]), place % (bins[0] * bins[1]));
            let (image, bounds, _) = &regions[index];
            for (cell, weight) in bin(*bounds, bins, [at / bins[1], at % bins[1]], &maps) {
                let from = (image * maps.sites() + cell) * channels;
                for channel in 0..channels {
                    out[channel] += weight * f64::from(rows[from + channel]);
                    gradient[from + channel] += weight * f64::from(dout[place * channels + channel]);
                }
            }
        }
        let weights: Vec<_> = regions.into_iter().map(|(_, _, weights)| weights).collect();
        let check = |what: &str, found: &[f32], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{what}, {maps:?}: {found}, {expected}");
            }
        };
        for (name, arch) in isa_levels() {
            check(name, &roi_align_on(arch, &rows, &maps, &weights), &expected);
            check(name, &roi_align_backward_on(arch, (&dout, channels), &maps, &weights), &gradient);
        }
    }
}

#[test]
fn no_regions_give_no_rows_and_a_gradient_of_zeros() {
    let maps = DenseMaps { images: 1, height: 3, width: 2 };
    assert!(roi_align(&[1.0; 24], &maps, &[]).is_empty());
    assert_eq!(roi_align_backward(&[], 4, &maps, &[])[..], [0.0; 24]);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (maps, channels, bins) = (DenseMaps { images: 2, height: 40, width: 50 }, 70, [7, 7]);
    let weights: Vec<_> = regions(&maps, bins).into_iter().map(|(_, _, weights)| weights).collect();
    let rows = noise(maps.rows() * channels, 1);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let out = roi_align(&rows, &maps, &weights);
            let drows = roi_align_backward(&out, channels, &maps, &weights);
            (out, drows)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}
