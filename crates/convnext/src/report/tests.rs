mod detection;
mod stability;

use std::fs;

use convnext_train::ValidationResult;
use tempfile::TempDir;

use super::*;

/// One red pixel.
const IMAGE: &[u8] = b"\x89PNG not really";

fn run(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("images")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn report(folder: &TempDir) -> String {
    fs::read_to_string(write_report(folder.path()).unwrap()).unwrap()
}

const PRETRAINING: &str = "data = 'photos'\nseed = 3\n[model.encoder]\nname = 'atto'\n[recipe]\nclaim = 'good'\n[recipe.training]\nepochs = 2.0\n";
const METRICS: &str = r#"{"step":1,"epoch":0,"loss":0.9,"learning_rate":0.0,"images_per_second":3.0}
{"step":2,"epoch":0,"loss":0.7,"learning_rate":0.1,"images_per_second":3.5}
{"epoch":0,"step":2,"train_loss":0.8,"validation_top1":0.25,"validation_loss":1.5}
"#;
const EVALUATION: &str = r#"{"images":2,"top1":0.5,"top5":1.0,"loss":0.6,
 "classes":[{"label":"<script>alert(1)</script>","images":2,"correct":1,"accuracy":0.5}],
 "confusion":[{"label":"<script>alert(1)</script>","predicted":"dog","images":1},{"label":"<script>alert(1)</script>","predicted":"<script>alert(1)</script>","images":1}],
 "mistakes":[{"image":"a&b.png","label":"<script>alert(1)</script>","predicted":"dog","probability":0.98,"thumbnail":"IMAGE"}]}"#;

#[test]
fn a_pretraining_shows_curves_and_reconstructions() {
    let summary = r#"{"steps":2,"epochs":1,"images":9,"seconds":75.2,"last":{"epoch":0,"step":2,"train_loss":0.8},
        "corrupt":[{"name":"bad <1>.jpg","why":"cut"}]}"#;
    let folder = run(&[("config.toml", PRETRAINING), ("metrics.jsonl", METRICS), ("summary.json", summary)]);
    fs::write(folder.path().join("images/reconstruction-01.png"), IMAGE).unwrap();
    let page = report(&folder);
    for words in [
        "Pre-training run of atto",
        "finished: 2 steps in 1 epoch of 9 images",
        "<dt>duration</dt><dd>1m 15s</dd>",
        "<svg",
        "data:image/png;base64,iVBORyBub3QgcmVhbGx5".trim_end_matches("iVBORyBub3QgcmVhbGx5"),
        "reconstructed",
        "bad &lt;1&gt;.jpg",
    ] {
        assert!(page.contains(words), "'{words}' is missing");
    }
}

/// Bug: the features that a pre-training watches on images that it learns from, and the sizes of its weights, were called
/// those of validation images.
#[test]
fn features_of_a_pretraining_are_not_those_of_validation_images() {
    let metrics = r#"{"epoch":0,"step":2,"train_loss":0.8,"validation_grn_gamma":0.25}
{"epoch":1,"step":4,"train_loss":0.7,"validation_grn_gamma":0.5}
"#;
    let evaluation = r#"{"kind":"fcmae","metrics":[{"name":"grn_gamma","label":"size of GRN's gamma","value":0.5,
        "direction":"higher","unit":"none"}]}"#;
    let files = [("config.toml", PRETRAINING), ("metrics.jsonl", metrics), ("evaluation.json", evaluation)];
    let (one, other) = (run(&files), run(&files));
    let both = compare_runs(&[one.path().to_owned(), other.path().to_owned()]).unwrap();
    let place = one.path().join("comparison.html");
    write_run_comparison(&place, &both).unwrap();
    for page in [report(&one), fs::read_to_string(place).unwrap()] {
        assert!(page.contains("<figcaption>Size of GRN's gamma</figcaption>"), "{page}");
        assert!(!page.contains("on the validation images"));
    }
}

#[test]
fn names_of_users_are_harmless_and_nothing_is_loaded() {
    let config = "data = '<b>'\n[model]\nname = 'atto'\n";
    let folder = run(&[
        ("config.toml", config),
        ("metrics.jsonl", METRICS),
        ("evaluation.json", &EVALUATION.replace("IMAGE", "images/mistake-01.png")),
    ]);
    fs::write(folder.path().join("images/mistake-01.png"), IMAGE).unwrap();
    let page = report(&folder);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    assert!(page.contains("; true: <b>") && page.contains("a&amp;b.png") && page.contains("not finished: 2"));
    let without_namespaces = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!without_namespaces.contains("http:") && !without_namespaces.contains("https:"));
    for source in page.split("src=\"").skip(1) {
        assert!(source.starts_with("data:"), "{}", &source[..40]);
    }
}

#[test]
fn a_run_of_before_kinds_has_the_page_of_a_classifier() {
    let page = |evaluation: &str| {
        let folder = run(&[
            ("config.toml", "[model]\nname = 'atto'\n"),
            ("metrics.jsonl", METRICS),
            ("evaluation.json", evaluation),
        ]);
        fs::write(folder.path().join("images/mistake-01.png"), IMAGE).unwrap();
        report(&folder)
    };
    let old = EVALUATION.replace("IMAGE", "images/mistake-01.png");
    let found = page(&old);
    for words in [
        "Supervised training run of atto",
        "<figcaption>Top-1 on the validation images</figcaption>",
        "top-1 in %",
        "<figcaption>Loss</figcaption>",
        "2 images: top-1 50.0 %, top-5 100.0 %, loss 0.6000",
        "Confusion",
        "Most confident errors",
    ] {
        assert!(found.contains(words), "'{words}' is missing");
    }
    let measured: ValidationResult = serde_json::from_str(&old).unwrap();
    let new = serde_json::to_string(&measured).unwrap();
    assert!(new.contains(r#""kind":"classification""#), "{new}");
    assert_eq!(page(&new), found);
}

#[test]
fn a_task_that_the_report_does_not_know_has_curves_and_a_table() {
    let metrics = r#"{"epoch":0,"step":2,"train_loss":0.8,"validation_miou":0.25,"ema_validation_miou":0.5,"validation_error":null}
{"epoch":1,"step":4,"train_loss":0.7,"validation_miou":0.5,"ema_validation_miou":0.75,"validation_error":null}
"#;
    let evaluation = r#"{"kind":"<segmentation>","metrics":[
        {"name":"miou","label":"mean <IoU>","value":0.5,"direction":"higher","unit":"fraction"},
        {"name":"error","value":null,"direction":"lower","unit":"none"}],
        "left_out":[{"name":"cut.png","why":"it ends"}],"classes":"not those of a classifier"}"#;
    let page = report(&run(&[
        ("config.toml", "[model]\nname = 'atto'\n"),
        ("metrics.jsonl", metrics),
        ("evaluation.json", evaluation),
    ]));
    for words in [
        "Training run of atto",
        "<figcaption>Mean &lt;IoU&gt; on the validation images</figcaption>",
        "moving average",
        "<th scope=\"row\">mean &lt;IoU&gt;</th><td>50.00 %</td><td class=\"text\">higher</td>",
        "<th scope=\"row\">error</th><td>not measured</td><td class=\"text\">lower</td>",
        "cut.png: it ends",
    ] {
        assert!(page.contains(words), "'{words}' is missing");
    }
    assert!(!page.contains("<IoU>"), "a label is not escaped");
    assert!(!page.contains("Confusion") && !page.contains("Error on the validation images"));
}

#[test]
fn epochs_of_any_version_lie_where_they_ended() {
    let whole = r#"{"epoch":0,"step":4,"train_loss":0.8,"validation_top1":0.25}
{"epoch":1,"step":8,"train_loss":0.7,"validation_top1":0.5}
"#;
    let within = r#"{"epoch":2,"step":9,"epochs":2.25,"train_loss":0.6,"validation_top1":0.75}
{"epoch":2,"step":12,"epochs":3.0,"train_loss":0.6}
{"epoch":4,"step":20,"epochs":5.0,"train_loss":0.6,"validation_top1":0.5}
"#;
    let places = |metrics: &str| -> Vec<f64> {
        let page = report(&run(&[("config.toml", "[model]\nname = 'x'"), ("metrics.jsonl", metrics)]));
        let figure = page.split("<figcaption>Top1 on the validation images").nth(1).unwrap();
        let points = figure.split("stroke-width=\"2\" points=\"").nth(1).unwrap().split('"').next().unwrap();
        points.split_whitespace().map(|point| point.split(',').next().unwrap().parse().unwrap()).collect()
    };
    let found = places(&format!("{whole}{within}"));
    let axis = found.last().unwrap() - found[0];
    let epochs: Vec<f64> = found.iter().map(|place| 1.0 + 4.0 * (place - found[0]) / axis).collect();
    let expected = [1.0, 2.0, 2.25, 5.0];
    assert!(
        epochs.len() == 4 && epochs.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.02),
        "{epochs:?}"
    );
}

#[test]
fn a_classifier_without_labelled_images_was_not_measured() {
    let evaluation = r#"{"kind":"classification","metrics":[],"images":0,"top1":null,"top5":null,"loss":null,
        "classes":[],"confusion":[],"mistakes":[]}"#;
    let page = report(&run(&[("config.toml", "[model]\nname = 'x'"), ("evaluation.json", evaluation)]));
    assert!(page.contains("0 images: top-1 not measured, top-5 not measured, loss not measured"));
}

#[test]
fn many_classes_are_listed() {
    let classes: Vec<String> =
        (0..40).map(|i| format!(r#"{{"label":"c{i}","images":3,"correct":1,"accuracy":0.3}}"#)).collect();
    let pairs: Vec<String> = (0..40)
        .map(|i| format!(r#"{{"label":"c{i}","predicted":"c{}","images":{i}}}"#, (i + 1) % 40))
        .collect();
    let text = format!(
        r#"{{"images":2,"top1":0.5,"top5":1,"loss":1,"classes":[{}],"confusion":[{}],"mistakes":[]}}"#,
        classes.join(","),
        pairs.join(",")
    );
    let page = report(&run(&[("config.toml", "[model]\nname='x'"), ("evaluation.json", &text)]));
    assert_eq!(page.matches("td class=\"text\"").count(), 30);
}

#[test]
fn an_unfinished_run_with_a_cut_line_is_reported_on() {
    let cut = format!("{METRICS}{{\"step\":3,\"ep");
    let page = report(&run(&[("config.toml", PRETRAINING), ("metrics.jsonl", &cut)]));
    assert!(page.contains("not finished: 2 steps made"));
    let page = report(&run(&[("config.toml", PRETRAINING)]));
    assert!(page.contains("No step was made yet"));
}

#[test]
fn what_is_no_run_or_damaged_is_named() {
    let message = |folder: &TempDir| write_report(folder.path()).unwrap_err().to_string();
    assert!(message(&run(&[])).contains("no run folder"));
    let broken = run(&[("config.toml", PRETRAINING), ("metrics.jsonl", "{\"step\":1}\nnonsense\n")]);
    assert!(message(&broken).contains("metrics.jsonl is damaged: line 1"));
    for path in ["../secret.png", "/etc/passwd"] {
        let text = EVALUATION.replace("IMAGE", path);
        let escaping = run(&[("config.toml", PRETRAINING), ("evaluation.json", &text)]);
        assert!(message(&escaping).contains("not inside of the run folder"), "{path}");
    }
}

#[test]
fn the_head_says_what_is_known_of_the_run_and_no_claim() {
    let record = r#"{"version":"0.1.0","command":["convnext","pretrain","--data","my photos"],"started":1795904424,
        "total_steps":40,"images":1,"validation_images":0,
        "machine":{"processor":"Z80","threads":1,"device":"CPU","instruction_set":"avx2","precision":"f32"}}"#;
    let config = format!("{PRETRAINING}batch_size = 8\naccumulate = 4\nbase_learning_rate = 0.5\n");
    let page = report(&run(&[("config.toml", &config), ("metrics.jsonl", METRICS), ("run.json", record)]));
    for words in [
        "<dt>state</dt><dd>not finished: 2 of 40 steps made, about 6m 16s left</dd>",
        "<dt>images</dt><dd>1 for training</dd>",
        "<dt>batch size</dt><dd>8, with gradient accumulation over 4: 32 per step</dd>",
        "<dt>learning rate</dt><dd>0.0625 at most (0.5 per 256 images, 32 per step)</dd>",
        "<dt>length</dt><dd>2 epochs, 40 steps</dd>",
        "<dt>machine</dt><dd>Z80, 1 thread, avx2; device CPU, precision f32</dd>",
        "<dt>started</dt><dd>2026-11-28 22:20:24 UTC</dd>",
        "<dt>command</dt><dd>convnext pretrain --data 'my photos'</dd>",
    ] {
        assert!(page.contains(words), "'{words}' is missing");
    }
    let shown = page.replace("claim = 'good'", "");
    assert!(!shown.contains("good"), "the claim of a recipe is no result");
}

#[test]
fn losses_of_training_and_validation_share_a_chart() {
    let metrics = format!(
        "{METRICS}{}\n",
        r#"{"epoch":1,"step":4,"train_loss":0.7,"validation_top1":0.5,"validation_loss":1.25}"#
    );
    let evaluation = EVALUATION.replace("\"thumbnail\":\"IMAGE\"", "\"thumbnail\":null");
    let page = report(&run(&[
        ("config.toml", "[model]\nname = 'x'"),
        ("metrics.jsonl", &metrics),
        ("evaluation.json", &evaluation),
    ]));
    let chart = page.split("<figcaption>Loss</figcaption>").nth(1).unwrap();
    let chart = chart.split("</figure>").next().unwrap();
    for words in ["training, each step", "training, mean of the epoch", "validation"] {
        assert!(chart.contains(words), "'{words}' is missing");
    }
    assert!(!page.contains("Loss on the validation images"));
}

#[test]
fn one_seed_has_no_mean_and_no_standard_deviation() {
    let page = |seeds: usize| {
        let folder = run(&[]);
        let result = |seed: usize| format!(r#"{{"seed":{seed},"from_fcmae":0.9,"from_scratch":0.8}}"#);
        let results: Vec<String> = (0..seeds).map(result).collect();
        let spread = r#"{"mean":0.5,"deviation":null}"#;
        let text = format!(
            r#"{{"labels_per_class":10,"seeds":[{}],"from_fcmae":{spread},"from_scratch":{spread},"difference":{spread},"seconds":1}}"#,
            results.join(",")
        );
        fs::write(folder.path().join(COMPARISON_FILE), text).unwrap();
        for name in (0..seeds).flat_map(|seed| {
            ["pretrained", "from-fcmae", "from-scratch"].map(|name| format!("seed-{seed}/{name}"))
        }) {
            fs::create_dir_all(folder.path().join(&name)).unwrap();
            fs::write(folder.path().join(&name).join("config.toml"), PRETRAINING).unwrap();
        }
        report(&folder)
    };
    let words = ["Means over the 2 seeds", "standard deviation across seeds"];
    let (one, two) = (page(1), page(2));
    assert!(words.iter().all(|words| two.contains(words) && !one.contains(words)), "{one}");
}
