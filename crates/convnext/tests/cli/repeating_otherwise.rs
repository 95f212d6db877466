//! `--config` with other settings beside it: what then does not hold any more, and what is said of it.

use super::bench::Bench;

/// A run from scratch of a few steps on grey images.
const GREY: &str =
    "finetune --init none --model micro --image-size 32 --stem-stride 1 --channels 1 --steps 1";

#[test]
fn the_value_range_is_that_of_the_images_and_of_the_weights() {
    let bench = Bench::new();
    bench.draw_levels("eight", 4);
    bench.draw_counts("deep", 4, "png", 4000);
    bench.succeed(&format!("{GREY} --data eight --out eight-bit"));
    bench.succeed("finetune --config eight-bit --data deep --out other-data");
    assert_eq!(bench.range("other-data")["deep"][0][1], 4000.0);
    // What was asked for is kept with the same images and start.
    bench.succeed(&format!("{GREY} --data deep --range 0,900 --out asked"));
    bench.succeed("finetune --config asked --data deep/ --seed 1 --out again");
    assert_eq!(bench.range("again")["deep"][0], serde_json::json!([0.0, 900.0]));
    bench.succeed("finetune --config asked --init other-data/weights.safetensors --out other-start");
    assert_eq!(bench.range("other-start"), bench.range("other-data"));
}
