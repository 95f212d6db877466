//! `convnext convert`: to other programs and back.

use burn::module::Module;
use burn::tensor::Device;
use convnext::core::{
    ClassNames, FcmaeConfig, FcmaeObjective, ModelConfig, Preprocessing, ResponseNorm, Seed, WeightMetadata,
    find_model,
};
use convnext::nn::{ConvNext, Fcmae};
use convnext::train::save_weights;
use serde_json::{Value, json};

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("own.safetensors", classifier());
    bench.write("pretrained.safetensors", autoencoder());
    bench.draw("image.png", CLASSES[2], 1);
    bench
}

/// Fresh weights of any shape, as `NAME.safetensors`.
fn write_fresh(bench: &Bench, name: &str, model: &ModelConfig) {
    let fresh = ConvNext::new(model, Seed(3), &Device::flex()).unwrap();
    let preprocessing = Preprocessing::for_size(64, model.input_channels);
    let metadata = WeightMetadata::of_classifier(model, ClassNames::default(), preprocessing);
    save(bench, name, &fresh, &metadata);
}

fn save<M: Module>(bench: &Bench, name: &str, model: &M, metadata: &WeightMetadata) {
    save_weights(&bench.path(&format!("{name}.safetensors")), model, metadata).unwrap();
}

/// A small model with the stem of the official code.
fn official() -> ModelConfig {
    ModelConfig { classes: 3, ..find_model("micro").unwrap().config() }
}

fn answer(bench: &Bench, weights: &str) -> Value {
    bench.json(&format!("classify image.png --weights {weights} --json"))
}

#[test]
fn the_answer_is_the_same_under_the_names_of_every_program() {
    let bench = bench();
    write_fresh(&bench, "fresh", &official());
    let own = answer(&bench, "own.safetensors");
    for (from, to) in
        [("fresh", "official"), ("own", "timm"), ("own", "hf"), ("fresh", "timm"), ("fresh", "hf")]
    {
        let (from, out) = (format!("{from}.safetensors"), format!("{from}-{to}.safetensors"));
        assert_eq!(bench.succeed(&format!("convert {from} {out} --to {to}")), format!("{out}\n"));
        assert_eq!(answer(&bench, &out), answer(&bench, &from), "{to}");
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
    write_fresh(&bench, "fresh", &official());
    bench.succeed("convert fresh.safetensors official.pt --to official");
    let contents = bench.json("inspect official.pt --json");
    assert_eq!((&contents["foreign"], &contents["metadata"]["task"]["classes"]), (&true.into(), &json!([])));
    assert_eq!(contents["metadata"]["backbone"]["classes"], 3);
}

#[test]
fn an_encoder_is_converted_and_fine_tuned_again() {
    let bench = bench();
    bench.succeed("convert pretrained.safetensors encoder.pt --to hf");
    bench.draw_classes("labelled", 8);
    bench.succeed(
        "finetune --data labelled --init encoder.pt --image-size 32 --steps 2 --batch-size 6 --out run",
    );
    let said = bench.succeed("convert pretrained.safetensors encoder-timm --to timm");
    assert_eq!(said, "encoder-timm/model.safetensors\nencoder-timm/config.json\n");
}

#[test]
fn our_metadata_in_a_converted_file_counts_and_not_the_configuration_beside_it() {
    let bench = bench();
    for (to, changed) in [("timm", "config.json"), ("hf", "preprocessor_config.json")] {
        bench.succeed(&format!("convert own.safetensors {to} --to {to}"));
        let said = bench.succeed(&format!("inspect {to}"));
        let names = if to == "hf" { "transformers under convnextv2" } else { to };
        assert!(said.starts_with(&format!("names of {names}, with our metadata:\nclassifier")), "{said}");
        let line = format!("classify image.png --weights {to}");
        bench.run(&line).success().stderr("");
        let file = format!("{to}/{changed}");
        let config = bench.read_text(&file);
        let other =
            config.replace(r#""bicubic""#, r#""bilinear""#).replace(r#""resample": 3"#, r#""resample": 2"#);
        assert_ne!(other, config);
        bench.write(&file, other);
        let words = "the metadata in the file counts, not the configuration beside it";
        bench.run(&line).success().stderr(predicates::str::contains(words).count(1));
    }
}

#[test]
fn weights_that_are_not_finite_are_not_handed_on() {
    let bench = bench();
    let mut bytes = bench.read("own.safetensors");
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    bench.write("nan.safetensors", bytes);
    let words = &["nan.safetensors", "not finite"][..];
    bench.refuse(
        1,
        &[
            ("convert nan.safetensors out.pt --to timm", words),
            ("export --weights nan.safetensors --out out.onnx", words),
        ],
    );
    assert!(!bench.exists("out.pt") && !bench.exists("out.onnx"));
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

#[test]
fn weights_are_not_overwritten_by_their_conversion() {
    let bench = bench();
    bench.succeed("convert own.safetensors hf --to hf");
    bench.write("sub/own.safetensors", classifier());
    let files = ["own.safetensors", "hf/model.safetensors", "hf/config.json", "hf/preprocessor_config.json"];
    let before = files.map(|file| bench.read(file));
    let words: &[&str] = &["weights that are converted", "another OUT"];
    bench.refuse(
        1,
        &[
            ("convert own.safetensors own.safetensors --to timm", words),
            ("convert own.safetensors ./hf/../own.safetensors --to official", words),
            ("convert hf hf --to timm", words),
            ("convert hf ./hf/ --to hf", words),
            ("convert hf hf/model.safetensors --to timm", words),
            ("convert hf/model.safetensors hf --to timm", words),
            ("convert sub sub --to timm", words),
        ],
    );
    assert!(before == files.map(|file| bench.read(file)));
    assert!(!bench.exists("sub/config.json"));
    // Another file in the same folder takes nothing away.
    bench.succeed("convert own.safetensors other.safetensors --to timm");
    // Bug: any other file was replaced without a word.
    let line = "convert own.safetensors other.safetensors --to hf";
    let converted = bench.read("other.safetensors");
    bench.refuse(1, &[(line, &["other.safetensors is there already", "another OUT", "--overwrite"])]);
    assert!(bench.read("other.safetensors") == converted);
    bench.succeed(&format!("{line} --overwrite"));
    assert!(bench.read("other.safetensors") != converted);
}

/// Whether a program has models of this shape: what `tests/packages/check.py` finds by loading them there.
fn exists(to: &str, model: &ModelConfig) -> bool {
    let both = model.has_grn() && model.layer_scale.is_some();
    match to {
        "timm" => model.stem_stride != 2,
        "hf" => !both,
        _ => model.stem_stride == 4 && !both,
    }
}

/// Converts one model to every program: it comes back, or is refused before anything is written.
fn convert_to_all(bench: &Bench, name: &str, model: &ModelConfig) {
    for to in ["timm", "hf", "official"] {
        let out = format!("{name}-{to}{}", if to == "official" { ".pt" } else { "" });
        let line = format!("convert {name}.safetensors {out} --to {to}");
        if !exists(to, model) {
            bench.refuse(1, &[(&line, &["; "])]);
            assert!(!bench.exists(&out), "{line}");
            continue;
        }
        bench.succeed(&line);
        let file = if to == "official" { out } else { format!("{out}/model.safetensors") };
        let found = bench.json(&format!("inspect {file} --json"))["metadata"]["backbone"].take();
        let shape = [found["stem_stride"].clone(), found["input_channels"].clone(), found["classes"].clone()];
        assert_eq!(json!(shape), json!([model.stem_stride, model.input_channels, model.classes]), "{line}");
    }
}

#[test]
fn every_stem_channel_and_class_count_is_converted_or_refused() {
    let bench = Bench::new();
    for family in ["micro", "v1-micro"] {
        for stem_stride in [4, 2, 1] {
            for input_channels in [1, 3, 5] {
                for classes in [0, 1, 2, 10] {
                    // Small, so that all of them together are.
                    let (name, widths) = ("custom".to_owned(), [4, 8, 12, 16]);
                    let row = find_model(family).unwrap().config();
                    let model = ModelConfig { name, widths, stem_stride, input_channels, classes, ..row };
                    let name = format!("{family}-{stem_stride}-{input_channels}-{classes}");
                    write_fresh(&bench, &name, &model);
                    convert_to_all(&bench, &name, &model);
                }
            }
        }
    }
}

#[test]
fn ablations_and_autoencoders_are_converted_or_refused() {
    let bench = Bench::new();
    let blocks = [(Some(ResponseNorm::Grn), Some(1.0)), (None, None)];
    for (number, (response_norm, layer_scale)) in blocks.into_iter().enumerate() {
        for stem_stride in [4, 2, 1] {
            let model = ModelConfig { response_norm, layer_scale, stem_stride, ..official() };
            let name = format!("ablation-{number}-{stem_stride}");
            write_fresh(&bench, &name, &model);
            convert_to_all(&bench, &name, &model);
        }
    }
    for stem_stride in [4, 2, 1] {
        let fcmae = FcmaeConfig::new(ModelConfig { stem_stride, ..official() });
        let fresh = Fcmae::new(&fcmae, Seed(3), &Device::flex()).unwrap();
        let name = format!("fcmae-{stem_stride}");
        let preprocessing = Preprocessing::for_size(64, 3);
        let metadata = WeightMetadata::of_fcmae(&fcmae, FcmaeObjective::default(), preprocessing);
        save(&bench, &name, &fresh, &metadata);
        convert_to_all(&bench, &name, &fcmae.encoder);
    }
}
