//! The whole job on a device by its name.

use std::env;

use super::bench::{Bench, TEST_DEVICE};

/// Compares numbers of a device with those of the CPU, to within f32 rounding.
fn close(found: &serde_json::Value, expected: &serde_json::Value) {
    let [found, expected] = [found, expected].map(|value| value.as_f64().unwrap());
    assert!((found - expected).abs() < 1e-5, "{found}, on the CPU {expected}");
}

#[test]
fn every_command_computes_on_the_device_that_it_is_told() {
    let device = env::var(TEST_DEVICE).unwrap_or_else(|_| "cpu".to_owned());
    let bench = Bench::new();
    bench.draw_classes("photos/train", 4);
    bench.draw_classes("photos/val", 2);
    let told = |line: &str| format!("{line} --device {device}");
    bench.succeed(&told(
        "pretrain --data photos/train --model micro --image-size 32 --stem-stride 1 --steps 2 --batch-size 4 \
         --out pretrained",
    ));
    bench.succeed(&told(
        "reconstruct photos/val/vertical/00.png --weights pretrained/weights.safetensors --out seen",
    ));
    let train = "finetune --data photos --init pretrained/weights.safetensors --batch-size 4 \
                 --activations save-bf16 --out classifier";
    // It begins on the CPU and goes on elsewhere, where all blocks save the same: that is said, and no reason to refuse it.
    bench.succeed(&format!("{train} --steps 1"));
    let resumed = bench.run(&told(&format!("{train} --steps 2 --resume --extend"))).success();
    let said = String::from_utf8_lossy(&resumed.get_output().stderr).into_owned();
    assert_eq!(said.contains("--activations has no effect on this device"), device != "cpu", "{said}");
    let weights = "--weights classifier/weights.safetensors --json";
    let evaluate = format!("evaluate --data photos {weights}");
    let classify = format!("classify photos/val/vertical/00.png {weights}");

    // The same weights give the same answers on the CPU.
    close(&bench.json(&told(&evaluate))["loss"], &bench.json(&evaluate)["loss"]);
    let [found, expected] = [told(&classify), classify].map(|line| bench.json(&line));
    for (found, expected) in
        found[0]["predictions"].as_array().unwrap().iter().zip(expected[0]["predictions"].as_array().unwrap())
    {
        assert_eq!(found["label"], expected["label"]);
        close(&found["logit"], &expected["logit"]);
    }

    let measured =
        bench.json(&told("bench --mode train --model micro --batch-size 2 --image-size 64 --steps 1 --json"));
    assert_eq!(measured["device"], device, "{measured}");
    assert!(measured["images_per_second"].as_f64().unwrap() > 0.0, "{measured}");
    // What the processor could do at most says nothing about another device.
    assert_eq!(measured["share_of_peak"].is_null(), device != "cpu", "{measured}");
}
