//! `--config` with other settings beside it: what then does not hold any more, and what is said of it.

use predicates::prelude::*;
use predicates::str::contains;

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

#[test]
fn a_recorded_flag_gives_way_to_one_that_excludes_it() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 5);
    let run = "finetune --data labelled --init none --model micro --image-size 32 --steps 1";
    bench.succeed(&format!("{run} --label-fraction 0.5 --fast-decode --out run"));
    bench.run("finetune --config run --labels-per-class 2 --cache ram --out other").success().stderr(
        contains(
            "but for --labels-per-class 2 (was --label-fraction 0.5), --cache ram (was --fast-decode)\n",
        ),
    );
    let config: toml::Table = bench.read_text("other/config.toml").parse().unwrap();
    assert!(!config.contains_key("label_fraction") && !config.contains_key("fast_decode"), "{config}");
    assert_eq!(config["labels_per_class"].as_integer(), Some(2));
    bench.succeed("finetune --config other --label-fraction 0.5 --out back");
}

#[test]
fn what_is_given_beside_it_is_named_once_and_only_where_it_differs() {
    let bench = Bench::new();
    bench.draw_levels("grey", 4);
    bench.succeed(&format!("{GREY} --data grey --out run"));
    bench
        .run(
            "finetune --config run --data grey/ --seed 0 --set training.betas=[0.8,0.9] --set training.ema=0.5 \
             --range 0,1 --quick -v --out other",
        )
        .success()
        .stderr(contains(
            "as it was recorded, but for --set training.betas=[0.8,0.9], --set training.ema=0.5, --range 0,1, --quick\n",
        ));
    bench.run("finetune --config run --data grey --out same").success().stderr(contains("but for").not());
}
