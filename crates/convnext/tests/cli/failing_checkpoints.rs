//! Checkpoints that are damaged, find no room or hold no numbers: the one before serves.
#![cfg(unix)]

use std::process::Command;

use super::bench::{Bench, convnext};
use super::resuming::{PRETRAIN, photos, reports};

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --out whole"));
    bench.succeed(&format!("{PRETRAIN} --out damaged"));
    // As if the run had been killed in its last epoch.
    for name in ["summary.json", "weights.safetensors"] {
        std::fs::remove_file(bench.path(&format!("damaged/{name}"))).unwrap();
    }
    let last = "damaged/checkpoints/step-00000030.safetensors";
    let bytes = bench.read(last);
    bench.write(last, &bytes[..bytes.len() - 5]);
    let said = bench.run(&format!("{PRETRAIN} --resume --out damaged")).success();
    let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
    assert!(said.contains("step-00000030.safetensors"), "{said}");
    assert!(bench.read("whole/weights.safetensors") == bench.read("damaged/weights.safetensors"));
    assert_eq!(reports(&bench, "whole"), reports(&bench, "damaged"));
}

/// What a script says at its end, run in the folder of the bench with the program as `$convnext`.
fn script(bench: &Bench, text: &str) -> Option<String> {
    let program = convnext().get_program().to_owned();
    let output = Command::new("bash")
        .args(["-c", text])
        .env("convnext", program)
        .env("train", PRETRAIN)
        .current_dir(bench.path(""))
        .output()
        .ok()?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some(said)
}

#[test]
fn a_full_disk_loses_nothing() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --out alone"));
    bench.make_folder("small");
    // A disk of its own, in a namespace of its own: it holds two checkpoints and not three.
    let said = script(
        &bench,
        "exec unshare --map-root-user --mount bash -c '
            mount -t tmpfs -o size=14m tmpfs small || { echo no mount; exit; }
            $convnext $train --out small/run; echo code $?
            ls -A small/run/checkpoints
            mount -o remount,size=64m small
            $convnext $train --out small/run --resume && cp small/run/weights.safetensors after.safetensors'",
    )
    .unwrap();
    if said.contains("no mount") || said.contains("unshare:") {
        // No small disk can be made here; the next test has another way to let a checkpoint fail.
        return;
    }
    assert!(said.contains("code 1"), "{said}");
    assert!(
        said.contains("error: cannot write small/run/checkpoints/step-") && said.contains("space"),
        "{said}"
    );
    assert!(!said.contains(".tmp") && said.contains("\nstep-00000005.safetensors"), "{said}");
    assert!(bench.read("after.safetensors") == bench.read("alone/weights.safetensors"), "{said}");
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_last_one() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --out alone"));
    bench.succeed(&format!("{} --out run", PRETRAIN.replace("--epochs 6", "--epochs 1")));
    // Files may not grow beyond 2 MiB: too little for a checkpoint.
    let said = script(
        &bench,
        "trap '' XFSZ; ulimit -f 2048; $convnext $train --out run --resume --extend; echo code $?",
    );
    let said = said.unwrap();
    assert!(said.contains("error: cannot write run/checkpoints/step-") && said.contains("code 1"), "{said}");
    assert!(bench.exists("run/checkpoints/step-00000005.safetensors"), "{said}");
    bench.succeed(&format!("{PRETRAIN} --out run --resume --extend"));
    let steps = reports(&bench, "run").iter().filter(|line| line.contains("\"loss\"")).count();
    assert_eq!(steps, 30);
}

#[test]
fn a_diverged_run_names_its_last_good_checkpoint() {
    let bench = photos();
    let words = ["diverged at step", "the last good checkpoint is run/checkpoints/step-"];
    bench.refuse(
        1,
        &[(&format!("{PRETRAIN} --lr 1e30 --set training.warmup_epochs=3 --out run"), &words[..1])],
    );
    let steps = std::fs::read_dir(bench.path("run/checkpoints")).unwrap().count();
    if steps > 0 {
        bench.refuse(
            1,
            &[(&format!("{PRETRAIN} --lr 1e30 --set training.warmup_epochs=3 --out run --resume"), &words)],
        );
    }
}
