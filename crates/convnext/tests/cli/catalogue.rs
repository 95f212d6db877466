//! What one finds out without data: models, help, version.

use predicates::str::contains;

use super::bench::Bench;

#[test]
fn models_are_listed_with_exact_counts() {
    let rows = Bench::new().json("models --json");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 19);
    for (name, parameters) in [("atto", 3_708_400), ("huge", 660_289_640), ("v1-xlarge", 350_196_968)] {
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(row["parameters"], parameters, "{row}");
    }
    let ours: Vec<_> = rows.iter().filter(|row| row["in_paper"] == false).map(|row| &row["name"]).collect();
    assert_eq!(ours, ["micro", "v1-micro"]);
}

#[test]
fn models_print_a_table() {
    Bench::new().run("models").success().stdout(contains("3,708,400")).stdout(contains("v1-xlarge"));
}

/// Table 7 of the paper: parameters, and FLOPs at 512x2048 and 640x2560.
#[test]
fn segmentation_networks_are_listed_as_in_the_paper() {
    let bench = Bench::new();
    let rows = bench.json("models --task segmentation --json");
    let rows = rows.as_array().unwrap();
    let find = |name| rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let rounded = |value: &serde_json::Value, unit: f64| (value.as_f64().unwrap() / unit).round();
    for (name, parameters, flops) in [
        ("tiny", 6029.0, [939.0, 1467.0]),
        ("base", 12223.0, [1170.0, 1828.0]),
        ("large", 23518.0, [1573.0, 2458.0]),
    ] {
        let row = find(name);
        assert_eq!(rounded(&row["parameters"], 1e4), parameters, "{row}");
        let found = [0, 1].map(|size| rounded(&row["costs"][size]["flops"], 1e9));
        assert_eq!(found, flops, "{row}");
    }
    let huge = find("huge");
    assert_eq!((rounded(&huge["parameters"], 1e4), &huge["head_width"]), (70681.0, &512.into()));
    assert_eq!(
        (rounded(&huge["costs"][1]["flops"], 1e9), &huge["costs"][1]["image_size"]),
        (5113.0, &serde_json::json!([640, 2560]))
    );
    assert_eq!(find("nano")["head_width"], 128);
    let wide = bench.json("models atto --task segment --head-width 256 --json");
    assert_eq!(rounded(&wide[0]["parameters"], 1e4), 1147.0);
    bench.run("models tiny --task segment").success().stdout(contains("938.92 G"));
    bench.refuse(1, &[("models atto --head-width 64", &["--task segment"])]);
}

/// Table 6 of the paper, and of ConvNeXt's for V1: parameters, and FLOPs at 1280x800.
#[test]
fn detectors_are_listed_as_in_the_paper() {
    let bench = Bench::new();
    let rows = bench.json("models --task detection --json");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 19);
    let find = |name| rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let rounded = |value: &serde_json::Value, unit: f64| (value.as_f64().unwrap() / unit).round();
    for (name, parameters) in [("tiny", 4814.0), ("base", 10809.0), ("large", 21707.0), ("huge", 67873.0)] {
        assert_eq!(rounded(&find(name)["parameters"], 1e4), parameters, "{name}");
    }
    for (name, flops) in [("v1-tiny", 262.0), ("base", 486.0), ("large", 875.0), ("huge", 2525.0)] {
        assert_eq!(rounded(&find(name)["costs"][0]["flops"], 1e9), flops, "{name}");
    }
    assert_eq!(find("tiny")["costs"][0]["image_size"], serde_json::json!([1280, 800]));
    let widths = |row: &serde_json::Value| ["head_width", "box_width"].map(|key| row[key].as_u64());
    assert_eq!(widths(find("tiny")), [Some(256), Some(1024)]);
    assert_eq!(widths(find("nano")), [Some(64), Some(256)]);
    let narrow = bench.json("models tiny --task detect --head-width 32 --box-width 48 --json");
    assert_eq!(widths(&narrow[0]), [Some(32), Some(48)]);
    assert!(narrow[0]["parameters"].as_u64() < find("tiny")["parameters"].as_u64());
    bench.run("models v1-tiny --task detect").success().stdout(contains("262.11 G"));
    for command in ["models atto --box-width 64", "models atto --task segment --box-width 64"] {
        bench.refuse(1, &[(command, &["--task detect"])]);
    }
    bench.refuse(1, &[("models atto --task detect --head-width 70000", &["head width", "65536"])]);
}

#[test]
fn released_checkpoints_are_listed_with_their_licence() {
    let bench = Bench::new();
    let rows = bench.json("models --released --json");
    let rows = rows.as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == "tiny.fcmae_ft_in22k_in1k_384").unwrap();
    assert_eq!(row["repository"], "timm/convnextv2_tiny.fcmae_ft_in22k_in1k_384");
    assert_eq!((&row["image_size"], &row["licence"]), (&384.into(), &"CC BY-NC 4.0".into()));
    bench.run("models --released").success().stdout(contains("hf:timm/convnextv2_atto.fcmae "));
}

#[test]
fn every_command_has_help_with_examples() {
    let bench = Bench::new();
    let commands = [
        "",
        "quickstart",
        "models",
        "recipes",
        "recipes show",
        "data",
        "data check",
        "data split",
        "data pack",
        "data convert",
        "pretrain",
        "finetune",
        "evaluate",
        "classify",
        "segment",
        "detect",
        "analyze",
        "embed",
        "nearest",
        "reconstruct",
        "inspect",
        "convert",
        "export",
        "report",
        "compare",
        "study",
        "study list",
        "study show",
        "study run",
        "bench",
        "completions",
        "man",
    ];
    for command in commands {
        let help = bench.succeed(&format!("{command} --help"));
        assert!(help.contains("Examples:\n"), "{command}:\n{help}");
        assert!(help.contains(&format!("  convnext {command}")), "{command}:\n{help}");
    }
    for command in commands[1..].iter().filter(|command| !command.contains(char::is_whitespace)) {
        bench.run("--help").success().stdout(contains(format!("\n  {command} ")));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    Bench::new().run("--version").success().stdout(concat!("convnext ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_a_command_the_help_is_shown() {
    Bench::new().run("").code(2).stderr(contains("Usage: convnext"));
}

#[test]
fn completions_know_commands_and_flags() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.succeed(&format!("completions {shell}"));
        for word in ["reconstruct", "mask-ratio"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    bench.run("completions tcsh").failure().code(2);
}

#[test]
fn man_pages_of_every_command_are_written() {
    let bench = Bench::new();
    bench.succeed("man --out pages/man1");
    assert!(bench.read_text("pages/man1/convnext.1").contains("quickstart"));
    let page = bench.read_text("pages/man1/convnext-pretrain.1");
    for word in ["FCMAE", "mask\\-ratio", "Examples"] {
        assert!(page.contains(word), "no {word} in {page}");
    }
}
