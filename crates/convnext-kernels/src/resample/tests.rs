//! Resampling against dense matrices in f64, and the order of cells against that of lines.

use super::*;
use crate::isa::isa_levels;
use crate::testing::noise;

/// Bilinear, as PyTorch's without aligned corners.
fn bilinear(input: usize, output: usize) -> AxisWeights {
    let cell = |cell: usize| {
        let place = ((cell as f32 + 0.5) * (input as f32 / output as f32) - 0.5).max(0.0);
        let near = place as usize;
        let fraction = place - near as f32;
        vec![(near, 1.0 - fraction), ((near + 1).min(input - 1), fraction)]
    };
    AxisWeights::new(input, (0..output).map(cell))
}

/// The mean of all cells, and nothing.
fn mean_and_nothing(input: usize) -> AxisWeights {
    AxisWeights::new(input, [(0..input).map(|cell| (cell, 1.0 / input as f32)).collect(), vec![]])
}

fn dense(axis: &AxisWeights) -> Vec<Vec<f64>> {
    let row = |output: usize| {
        let mut row = vec![0.0; axis.input];
        axis.of(output).iter().for_each(|(cell, weight)| row[*cell] += f64::from(*weight));
        row
    };
    (0..axis.outputs()).map(row).collect()
}

#[test]
fn both_directions_match_the_dense_matrices() {
    let sizes =
        [([1, 1], [4, 3]), ([5, 3], [5, 3]), ([5, 3], [10, 7]), ([16, 9], [33, 50]), ([7, 8], [2, 3])];
    let mut cases: Vec<_> = sizes.map(|([h, w], [v, u])| [bilinear(h, v), bilinear(w, u)]).into();
    cases.push([mean_and_nothing(9), mean_and_nothing(5)]);
    for ([vertical, horizontal], channels) in
        cases.into_iter().flat_map(|c| [(c.clone(), 1), (c.clone(), 70)])
    {
        let maps = DenseMaps { images: 2, height: vertical.input, width: horizontal.input };
        let out = DenseMaps { height: vertical.outputs(), width: horizontal.outputs(), ..maps };
        let (rows, dout) = (noise(maps.rows() * channels, 1), noise(out.rows() * channels, 2));
        let [mut expected, mut gradient] = [&dout, &rows].map(|values| vec![0.0; values.len()]);
        let (v, h) = (dense(&vertical), dense(&horizontal));
        for place in 0..out.rows() * maps.sites() {
            let (row, site) = (place / maps.sites(), place % maps.sites());
            let weight =
                v[row / out.width % out.height][site / maps.width] * h[row % out.width][site % maps.width];
            let source = row / out.sites() * maps.sites() + site;
            for channel in 0..channels {
                let (to, from) = (row * channels + channel, source * channels + channel);
                expected[to] += weight * f64::from(rows[from]);
                gradient[from] += weight * f64::from(dout[to]);
            }
        }
        let check = |name: &str, found: &[f32], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{name}, {maps:?}: {found}, {expected}");
            }
        };
        for (name, arch) in isa_levels() {
            let lines = [SiteOrder::Lines; 2];
            check(name, &resample_on(arch, (&rows, &maps), [&vertical, &horizontal], lines, None), &expected);
            let transposed = [vertical.transposed(), horizontal.transposed()];
            let found = resample_on(arch, (&dout, &out), [&transposed[0], &transposed[1]], lines, None);
            check(name, &found, &gradient);
        }
    }
}

/// Rows in the order of lines, in that of cells.
fn in_cells(rows: &[f32], maps: &DenseMaps, channels: usize) -> Vec<f32> {
    let mut found = Vec::new();
    for cell in 0..maps.images * maps.sites() / (CELL * CELL) {
        let across = maps.width / CELL;
        let (cell_line, x) = (cell / across, cell % across);
        for site in 0..CELL * CELL {
            let line = cell_line * CELL + site / CELL;
            let row = line * maps.width + x * CELL + site % CELL;
            found.extend_from_slice(&rows[row * channels..][..channels]);
        }
    }
    found
}

#[test]
fn cells_are_another_order_of_the_same_maps() {
    let (maps, channels) = (DenseMaps { images: 2, height: 6, width: 9 }, 21);
    let axes = [bilinear(6, 13), bilinear(9, 5)];
    let rows = noise(maps.rows() * channels, 1);
    let cells = in_cells(&rows, &maps, channels);
    let (lines, both) = (SiteOrder::Lines, [&axes[0], &axes[1]]);
    let expected = resample(&rows, &maps, both, [lines; 2], None);
    assert_eq!(resample(&cells, &maps, both, [SiteOrder::Cells, lines], None), expected);
    let sum = resample(&cells, &maps, both, [SiteOrder::Cells, lines], Some(&expected));
    assert!(sum.iter().zip(&expected[..]).all(|(sum, one)| (sum - 2.0 * one).abs() < 1e-5));
    let transposed = axes.each_ref().map(AxisWeights::transposed);
    let (out, both) = (DenseMaps { images: 2, height: 13, width: 5 }, [&transposed[0], &transposed[1]]);
    let gradient = resample(&expected, &out, both, [lines; 2], None);
    let found = resample(&expected, &out, both, [lines, SiteOrder::Cells], None);
    assert_eq!(found[..], in_cells(&gradient, &maps, channels));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (maps, channels) = (DenseMaps { images: 3, height: 17, width: 19 }, 70);
    let (rows, axes) = (noise(maps.rows() * channels, 1), [bilinear(17, 40), bilinear(19, 33)]);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| resample(&rows, &maps, [&axes[0], &axes[1]], [SiteOrder::Lines; 2], None))
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}
