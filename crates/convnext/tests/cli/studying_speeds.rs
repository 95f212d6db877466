//! Studies of speeds, which belong to one machine.

use predicates::str::contains;

use super::bench::Bench;

const SPEED: &str = r#"
title = "Speed"
question = "How fast is it?"
models = ["micro"]
metrics = [{ name = "/gflops", label = "GFLOP/s" }]
runs = [{ name = "forward", stage = "bench", arguments = ["--mode", "infer", "--steps", "1"] }]
rows = [{ name = "forward", run = "forward" }]
"#;

/// Bug: numbers of two instruction sets stood in one table, and speeds by some names were not known as such.
#[test]
fn a_study_of_speeds_goes_on_with_the_same_instructions_alone() {
    let bench = Bench::new();
    bench.write("speed.toml", SPEED);
    let line = "study run speed.toml --image-size 32 --batch-size 1 --out study";
    bench.refuse(1, &[(&format!("{line} --parallel 2"), &["'GFLOP/s'", "--parallel"])]);
    let scalar = [("CONVNEXT_INSTRUCTIONS", "scalar")];
    bench.run_with(line, &scalar).success();
    let recorded = bench.read_text("study/study.toml");
    let instructions = "instructions = \"scalar, bf16 emulated on scalar\"\n";
    assert!(recorded.contains(instructions), "{recorded}");
    let resumed = format!("{line} --resume");
    bench.run_with(&resumed, &scalar).success();
    // Every processor that the tests run on has better ones.
    bench.run(&resumed).code(1).stderr(contains("options.timing.instructions was \"scalar, bf16"));
    // An earlier version did not record them, nor times of a metric that it did not know as a speed.
    bench.write("study/study.toml", recorded.replace(instructions, ""));
    bench.run_with(&resumed, &scalar).success();
    assert_eq!(bench.read_text("study/study.toml"), recorded);
}
