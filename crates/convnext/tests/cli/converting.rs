//! `convnext convert`: to other programs and back.

use serde_json::{Value, json};

use super::bench::Bench;
use super::pictures::CLASSES;
use super::weights::{autoencoder, classifier};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("own.safetensors", classifier());
    bench.write("pretrained.safetensors", autoencoder());
    bench.draw("picture.png", CLASSES[2], 1);
    bench
}

fn answer(bench: &Bench, weights: &str) -> Value {
    bench.json(&format!("classify picture.png --weights {weights} --json"))
}

#[test]
fn the_answer_is_the_same_under_the_names_of_every_program() {
    let bench = bench();
    let own = answer(&bench, "own.safetensors");
    for (to, out) in
        [("official", "official.safetensors"), ("timm", "timm.safetensors"), ("hf", "hf.safetensors")]
    {
        assert_eq!(bench.succeed(&format!("convert own.safetensors {out} --to {to}")), format!("{out}\n"));
        assert_eq!(answer(&bench, out), own, "{to}");
    }
    // Without our metadata beside the tensors, files beside them say the rest.
    for to in ["timm", "hf"] {
        bench.succeed(&format!("convert own.safetensors {to} --to {to}"));
        let stripped =
            super::weights::with_header(&bench.read(&format!("{to}/model.safetensors")), |header| {
                header.remove("__metadata__");
            });
        bench.write(&format!("{to}/model.safetensors"), stripped);
        let found = answer(&bench, &format!("{to}/model.safetensors"));
        assert_eq!(found[0]["predictions"][0]["label"], own[0]["predictions"][0]["label"], "{to}");
    }
}

#[test]
fn classes_come_back_from_a_file_of_torch_without_names() {
    let bench = bench();
    bench.succeed("convert own.safetensors official.pt --to official");
    let contents = bench.json("inspect official.pt --json");
    assert_eq!((&contents["foreign"], &contents["metadata"]["classes"]), (&true.into(), &json!([])));
    assert_eq!(contents["metadata"]["model"]["classes"], 3);
}

#[test]
fn an_encoder_is_converted_and_fine_tuned_again() {
    let bench = bench();
    bench.succeed("convert pretrained.safetensors encoder.pt --to official");
    bench.draw_classes("labelled", 8);
    bench.succeed(
        "finetune --data labelled --init encoder.pt --image-size 32 --steps 2 --batch-size 6 --out run",
    );
    let said = bench.succeed("convert pretrained.safetensors encoder-timm --to timm");
    assert_eq!(said, "encoder-timm/model.safetensors\nencoder-timm/config.json\n");
}

#[test]
fn what_cannot_be_converted_is_refused() {
    let bench = bench();
    bench
        .run("convert own.safetensors folder --to official")
        .code(1)
        .stderr(predicates::str::contains(".pt"));
    bench.run("convert own.safetensors out.pt").code(2).stderr(predicates::str::contains("--to"));
    bench.run("convert gone.pt out.pt --to timm").code(1).stderr(predicates::str::contains("gone.pt"));
}
