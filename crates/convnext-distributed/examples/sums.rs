//! Times the ordered sum against MPI's own all-reduce of as many values, in alternating pairs: `mpirun -n 2 sums VALUES PAIRS`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that measures")]

use std::time::Instant;

use convnext_distributed::{Mpi, OrderedSum, RankFailure, Ranks};

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|word| word.parse().unwrap()).collect();
    let (values, pairs) = (arguments[0], arguments[1]);
    let mpi = Mpi::start().unwrap();
    let ranks = mpi.ranks();
    let gradient: Vec<f32> = (0..values).map(|place| (place % 1000) as f32 * 1e-3 - 0.5).collect();
    // The first pair finds memory and connections.
    let mut ratios: Vec<[f64; 3]> =
        (0..=pairs).map(|pair| time_pair(&ranks, &gradient, pair)).skip(1).collect();
    ratios.sort_by(|a, b| a[2].total_cmp(&b[2]));
    let median = ratios[ratios.len() / 2];
    if ranks.is_first() {
        let [smallest, largest] = [ratios[0][2], ratios[ratios.len() - 1][2]];
        println!(
            "{} ranks, {values} values, {pairs} pairs: ordered sum {:.0} ms, all-reduce {:.0} ms, ratio {:.3} ({smallest:.3} to \
             {largest:.3})",
            ranks.size(),
            1e3 * median[0],
            1e3 * median[1],
            median[2],
        );
    }
}

/// Seconds of the ordered sum and of the all-reduce, and their ratio; every other pair begins with the other one.
fn time_pair(ranks: &Ranks, gradient: &[f32], pair: usize) -> [f64; 3] {
    let ordered = || {
        let mut sum = OrderedSum::new(ranks, gradient.len());
        sum.add(gradient, ranks.size());
        std::hint::black_box(sum.finish());
    };
    let reduced = || {
        let mut sum = gradient.to_vec();
        ranks.all_reduce_sum(&mut sum);
        std::hint::black_box(sum);
    };
    let mut seconds = [0.0; 2];
    for first in [pair % 2, 1 - pair % 2] {
        ranks.meet(Ok::<_, RankFailure>(())).unwrap();
        let clock = Instant::now();
        match first {
            0 => ordered(),
            _ => reduced(),
        }
        seconds[first] = clock.elapsed().as_secs_f64();
    }
    [seconds[0], seconds[1], seconds[0] / seconds[1]]
}
