//! Weights and runs of earlier versions are read and go on.

use toml::Table;

use super::bench::Bench;
use super::precedence::{FINETUNE, PRETRAIN, bench, config, trained};
use super::weights::{autoencoder, classifier, with_header};

/// The header of a file before architecture and objective were told apart.
const OLD_HEADER: &str = r#"{"kind":"fcmae","fcmae":{"encoder":{"name":"micro","depths":[1,1,2,1],
    "widths":[16,32,64,128],"grn":true,"layer_scale":null,"classes":0,"input_channels":3,"stem_stride":1,
    "drop_path":0.0,"head_init_scale":1.0},"encoder_kind":"sparse","decoder":{"depth":1,"width":128,"grn":true,
    "layer_scale":false},"mask_ratio":0.75,"normalize_target":true},"preprocessing":{"image_size":32,"crop":null,
    "mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]},"classes":[],"recipe":"claim = \"old\"\n"}"#;

#[test]
fn weights_of_the_first_layout_are_read() {
    let bench = bench();
    let old = with_header(autoencoder(), |header| {
        header["__metadata__"]["convnext"] = OLD_HEADER.into();
    });
    bench.write("start.safetensors", old);
    let metadata = bench.json("inspect start.safetensors --json")["metadata"].take();
    assert_eq!(metadata["task"]["mask_ratio"], 0.75);
    bench.succeed(&format!("{PRETRAIN} --out pretrained"));
    assert_eq!(trained(&bench, "pretrained")["task"]["mask_ratio"], 0.75);
    bench.succeed(&format!("{FINETUNE} --out classifier"));
    bench.succeed("reconstruct photos --weights start.safetensors --out images");
    let classifier = with_header(classifier(), |header| {
        let text = &mut header["__metadata__"]["convnext"];
        let new = r#""stem_stride":1"#;
        let old =
            text.as_str().unwrap().replace(new, r#""stem_stride":1,"drop_path":0.3,"head_init_scale":0.001"#);
        *text = old.replace(r#""layer_scale":false"#, r#""layer_scale":null"#).into();
    });
    bench.write("classifier.safetensors", classifier);
    bench.succeed("evaluate --data photos --weights classifier.safetensors");
}

/// Turns the configuration of a run into what an earlier version wrote.
fn make_old(bench: &Bench, run: &str) {
    let mut config = config(bench, run);
    let recipe = config["recipe"].clone();
    let model = config["model"].as_table_mut().unwrap();
    let of_model = |model: &mut Table, drop_path: f64, head_init: f64| {
        if model.remove("layer_scale").and_then(|on| on.as_bool()) == Some(true) {
            model.insert("layer_scale".into(), 1e-6.into());
        }
        model.insert("drop_path".into(), drop_path.into());
        model.insert("head_init_scale".into(), head_init.into());
    };
    if let Some(encoder) = model.get_mut("encoder") {
        of_model(encoder.as_table_mut().unwrap(), 0.0, 1.0);
        model.insert("mask_ratio".into(), recipe["masking"]["ratio"].clone());
        model.insert("normalize_target".into(), recipe["masking"]["normalize_target"].clone());
    } else {
        let drop_path = recipe["regularization"]["drop_path"].as_float().unwrap();
        of_model(model, drop_path, recipe["from_scratch"]["head_init"].as_float().unwrap());
    }
    config.remove("preprocessing").unwrap();
    config["recipe"].as_table_mut().unwrap().remove("reasons");
    bench.write(&format!("{run}/config.toml"), toml::to_string(&config).unwrap());
}

#[test]
fn runs_of_an_earlier_version_go_on() {
    let bench = bench();
    for line in [
        "pretrain --data photos --model v1-micro --image-size 32 --stem-stride 1 --batch-size 4 --mask-ratio 0.7",
        "finetune --data photos --model micro --image-size 32 --stem-stride 1 --batch-size 4 \
         --set regularization.drop_path=0.3",
    ] {
        let name = line.split(' ').next().unwrap();
        bench.succeed(&format!("{line} --epochs 3 --out {name}-whole"));
        bench.succeed(&format!("{line} --epochs 2 --out {name}"));
        make_old(&bench, name);
        // The schedule of a longer run is another one, so the weights of the first two epochs are as well.
        bench.succeed(&format!("{line} --epochs 2 --resume --out {name}"));
        bench.refuse(
            1,
            &[(&format!("{line} --epochs 2 --seed 1 --resume --out {name}"), &["seed was 0, is 1"])],
        );
        bench.succeed(&format!("{line} --epochs 3 --resume --extend --out {name}"));
        let steps = |run: &str| bench.read_text(&format!("{run}/summary.json")).contains("\"epochs\": 3");
        assert!(steps(name) && steps(&format!("{name}-whole")), "{name}");
        assert!(config(&bench, name).contains_key("preprocessing"), "{name}");
    }
}

#[test]
fn an_old_run_whose_preprocessing_would_change_is_refused() {
    let bench = bench();
    let own = with_header(classifier(), |header| {
        let text = &mut header["__metadata__"]["convnext"];
        *text = text.as_str().unwrap().replace("[0.485,0.456,0.406]", "[0.5,0.5,0.5]").into();
    });
    bench.write("start.safetensors", own);
    bench.succeed(&format!("{FINETUNE} --out run"));
    assert_eq!(config(&bench, "run")["preprocessing"]["mean"].as_array().unwrap()[0].as_float(), Some(0.5));
    make_old(&bench, "run");
    bench.refuse(1, &[(&format!("{FINETUNE} --resume --out run"), &["preprocessing.mean was", "0.5"])]);
}
