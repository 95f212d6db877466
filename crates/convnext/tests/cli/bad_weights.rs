//! Weight files that are missing, broken, foreign or of another model: code 1 and the file's name.

use predicates::str::contains;
use serde_json::{Map, Value};

use super::bench::{Bench, Refusal, convnext};
use super::weights::{autoencoder, classifier, foreign, with_header};

/// The commands that read weights; W stands for the file.
const COMMANDS: [&str; 6] = [
    "classify photo.png --weights W",
    "evaluate --data labelled --weights W",
    "reconstruct photo.png --weights W --out out",
    "finetune --data labelled --init W --steps 1 --out out",
    "pretrain --data labelled --init W --steps 1 --out out",
    "inspect W",
];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw("photo.png", "vertical", 0);
    bench.draw_classes("labelled", 2);
    bench
}

/// All `commands` on a file with these bytes must say `words` and its name.
fn refuse(bench: &Bench, commands: &[&str], file: &str, words: &[&str]) {
    let lines: Vec<String> = commands.iter().map(|command| command.replace('W', file)).collect();
    let words: Vec<&str> = words.iter().copied().chain([file]).collect();
    let refusals: Vec<Refusal> = lines.iter().map(|line| (&line[..], &words[..])).collect();
    bench.refuse(1, &refusals);
    assert!(!bench.exists("out"), "an output folder was made for weights that cannot be used");
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_named_and_read() {
    use std::os::unix::ffi::OsStrExt;

    let bench = bench();
    let inspect = |name: &[u8]| {
        convnext().current_dir(bench.path("")).arg("inspect").arg(std::ffi::OsStr::from_bytes(name)).assert()
    };
    inspect(b"gone\xff.pt").code(1).stderr(contains("gone\u{fffd}.pt does not exist"));
    let there = bench.path("").join(std::ffi::OsStr::from_bytes(b"there\xff.safetensors"));
    std::fs::write(there, classifier()).unwrap();
    inspect(b"there\xff.safetensors").success();
}

#[cfg(unix)]
#[test]
fn weights_from_a_pipe_or_a_device_are_refused() {
    refuse(&bench(), &COMMANDS, "/dev/null", &["cannot be read from a pipe", "name a file"]);
}

#[test]
fn missing_weights() {
    refuse(&bench(), &COMMANDS, "gone.safetensors", &["does not exist", "check the path"]);
}

#[test]
fn broken_weights() {
    let good = classifier();
    let huge_header = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    for (name, bytes, hint) in [
        ("cut-off", &good[..good.len() / 2], "copy it again"),
        ("without-its-end", &good[..good.len() - 1], "copy it again"),
        ("cut-off-early", &good[..100], "copy it again"),
        ("garbage", &[0xd7; 4096], "not a safetensors file"),
        ("words", b"These are my weights.\n", "not a safetensors file"),
        ("page", b"<!DOCTYPE html><html><title>404</title></html>", "not a safetensors file"),
        ("empty", b"", "not a safetensors file"),
        ("huge-header", &huge_header, "not a safetensors file"),
        ("pytorch", b"PK\x03\x04 and so on and so forth", "copy the file again"),
    ] {
        let bench = bench();
        let file = format!("{name}.safetensors");
        bench.write(&file, bytes);
        refuse(&bench, &COMMANDS, &file, &[hint]);
    }
}

#[test]
fn overlapping_tensors() {
    let bench = bench();
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 12]].concat();
    bench.write("overlapping", bytes);
    refuse(&bench, &COMMANDS, "overlapping", &["overlapping"]);
}

/// The file would call `os.system` in PyTorch.
#[test]
fn a_malicious_pytorch_file_is_refused_and_not_executed() {
    let bench = bench();
    for (name, bytes) in [
        ("evil.pt", &include_bytes!("../../../convnext-io/tests/fixtures/evil.pt")[..]),
        ("evil_setstate.pt", include_bytes!("../../../convnext-io/tests/fixtures/evil_setstate.pt")),
    ] {
        bench.write(name, bytes);
        refuse(&bench, &COMMANDS, name, &["which"]);
    }
}

#[test]
fn a_folder_in_place_of_weights() {
    let bench = bench();
    bench.make_folder("folder.safetensors");
    refuse(&bench, &COMMANDS, "folder.safetensors", &["holds no weights, only nothing"]);
}

#[test]
fn foreign_weights() {
    let bench = bench();
    bench.write("foreign.safetensors", foreign());
    refuse(&bench, &COMMANDS[..5], "foreign.safetensors", &["no `convnext` metadata says which model"]);
}

#[test]
fn weights_of_the_wrong_kind() {
    let bench = bench();
    bench.write("autoencoder.safetensors", autoencoder());
    bench.write("classifier.safetensors", classifier());
    refuse(
        &bench,
        &COMMANDS[..2],
        "autoencoder.safetensors",
        &["a classifier is needed", "convnext finetune --init"],
    );
    refuse(
        &bench,
        &COMMANDS[2..3],
        "classifier.safetensors",
        &["holds a classifier", "masked autoencoder", "convnext pretrain wrote"],
    );
}

#[test]
fn weights_of_another_model() {
    let bench = bench();
    bench.write("autoencoder.safetensors", autoencoder());
    let start = "--data labelled --init W --steps 1 --out out";
    for (settings, found) in [
        ("--model atto", "atto, stem stride 1"),
        ("--stem-stride 4", "micro, stem stride 4"),
        ("--model v1-micro", "v1-micro"),
        ("--widths 8,16,24,32", "custom (depths 1-1-2-1, widths 8-16-24-32), stem stride 1"),
    ] {
        let lines = ["pretrain", "finetune"].map(|command| format!("{command} {start} {settings}"));
        let words =
            ["'micro, stem stride 1'", found, "leave --model, --depths, --widths and --stem-stride out"];
        refuse(&bench, &lines.each_ref().map(|line| &line[..]), "autoencoder.safetensors", &words);
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let rename = |header: &mut Map<String, Value>| {
        let tensor = header.remove("head.weight").unwrap();
        header.insert("hat.weight".into(), tensor);
    };
    let misshape = |header: &mut Map<String, Value>| {
        let shape = &mut header["head.weight"]["shape"];
        shape.as_array_mut().unwrap().reverse();
    };
    let bench = bench();
    bench.write("renamed.safetensors", with_header(classifier(), rename));
    bench.write("misshapen.safetensors", with_header(classifier(), misshape));
    for file in ["renamed.safetensors", "misshapen.safetensors"] {
        refuse(&bench, &COMMANDS[..2], file, &["head.weight", "[3, 128]"]);
    }
}

#[test]
fn metadata_that_cannot_be_understood() {
    let bench = bench();
    let spoil = |header: &mut Map<String, Value>| header["__metadata__"]["convnext"] = "{".into();
    bench.write("spoilt.safetensors", with_header(classifier(), spoil));
    refuse(&bench, &COMMANDS, "spoilt.safetensors", &["metadata", "changed, or written by a newer version"]);
}

#[test]
fn metadata_that_asks_for_the_impossible() {
    let bench = bench();
    let mut lines = Vec::new();
    for (number, (from, to)) in [
        (r#""stem_stride":1"#, r#""stem_stride":0"#),
        (r#""stem_stride":1"#, r#""stem_stride":3"#),
        (r#""image_size":32"#, r#""image_size":0"#),
        (r#""image_size":32"#, r#""image_size":4"#),
        (r#""widths":[16"#, r#""widths":[0"#),
        (r#""depths":[1"#, r#""depths":[0"#),
        (r#""input_channels":3"#, r#""input_channels":0"#),
        (r#""image_size":32"#, r#""image_size":100000000"#),
    ]
    .into_iter()
    .enumerate()
    {
        let change = |header: &mut Map<String, Value>| {
            let text = &mut header["__metadata__"]["convnext"];
            let changed = text.as_str().unwrap().replace(from, to);
            assert_ne!(text.as_str(), Some(&changed[..]), "no {from} in {text}");
            *text = changed.into();
        };
        for (kind, weights, commands) in
            [("classifier", classifier(), &COMMANDS[..2]), ("autoencoder", autoencoder(), &COMMANDS[2..3])]
        {
            let file = format!("{kind}-{number}.safetensors");
            bench.write(&file, with_header(weights, change));
            lines.extend(commands.iter().map(|command| (command.replace('W', &file), [file.clone()])));
        }
    }
    let lines: Vec<(&str, [&str; 1])> = lines.iter().map(|(line, [file])| (&line[..], [&file[..]])).collect();
    bench.refuse(1, &lines.iter().map(|(line, words)| (*line, &words[..])).collect::<Vec<Refusal>>());
}
