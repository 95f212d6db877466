//! `convnext finetune --task detect --freeze encoder`: what frozen blocks do not do.

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use super::cells::cells;
use super::detecting::TRAIN;

/// Bug: a drop path rate of frozen blocks was taken, and a run with them was said to be another one when it was repeated.
#[test]
fn frozen_blocks_of_detectors_are_known_to_recipes() {
    let bench = cells();
    let train = format!("{TRAIN} --freeze encoder --steps 1 --batch-size 2");
    let dropped = format!("{train} --set regularization.drop_path=0.5 --out dropped");
    bench.refuse(1, &[(&dropped, &["regularization.drop_path", "--freeze encoder"])]);
    bench.succeed(&format!("{train} --out run"));
    bench.run("finetune --config run --out again").success().stderr(contains("which had").not());
}
