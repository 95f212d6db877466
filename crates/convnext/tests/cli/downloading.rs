//! Weights by name: a hub on this machine answers. Its every misbehaviour is tested in `convnext-hub`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use predicates::prelude::*;
use predicates::str::contains;
use sha2::{Digest, Sha256};

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier};

const COMMIT: &str = "2222222222222222222222222222222222222222";

/// Starts a hub with files under `/ORG/NAME/resolve/REVISION/FILE`; its address.
fn hub(files: Vec<(&str, Vec<u8>)>) -> String {
    counting_hub(files).0
}

/// The same, and how often it was asked what the branch `main` is.
fn counting_hub(files: Vec<(&str, Vec<u8>)>) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let files: Arc<BTreeMap<String, Vec<u8>>> =
        Arc::new(files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes)).collect());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let files = files.clone();
            let counter = counter.clone();
            thread::spawn(move || answer(stream, &files, &counter));
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, asked: &AtomicUsize) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    asked.fetch_add(usize::from(path.contains("/resolve/main/")), Ordering::Relaxed);
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let content = match parts[..] {
        [organisation, name, "resolve", _, file] => files.get(&format!("{organisation}/{name}/{file}")),
        _ => None,
    };
    let known =
        files.keys().any(|file| path.trim_start_matches('/').starts_with(&file[..file.rfind('/').unwrap()]));
    let (status, code) = match (content, known) {
        (Some(_), _) => (200, ""),
        (None, true) => (404, "EntryNotFound"),
        (None, false) => (404, "RepoNotFound"),
    };
    let body = content.map(Vec::as_slice).unwrap_or_default();
    let tag: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let head = format!(
        "HTTP/1.1 {status} Status\r\nconnection: close\r\nx-repo-commit: {COMMIT}\r\nx-error-code: {code}\r\n\
         etag: \"{tag}\"\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { &[] } else { body };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Of a hub at an address, with a cache in the folder.
fn variables(address: &str) -> [(&'static str, &str); 4] {
    [("HF_ENDPOINT", address), ("HF_HOME", "cache"), ("HF_HUB_OFFLINE", ""), ("HF_HUB_CACHE", "")]
}

#[test]
fn a_model_is_downloaded_once_with_its_licence_and_then_used_offline() {
    let bench = Bench::new();
    bench.draw("image.png", CLASSES[0], 1);
    let config = br#"{"license": "a licence of its own"}"#.to_vec();
    let address =
        hub(vec![("me/mine/model.safetensors", classifier().to_vec()), ("me/mine/config.json", config)]);
    let line = "classify image.png --weights hf:me/mine@main --top-k 1";
    let first = bench.run_with(line, &variables(&address)).success();
    let first = first.stderr(contains("licence of the weights: a licence of its own"));
    let said = first.get_output().stdout.clone();
    assert!(String::from_utf8_lossy(&said).contains('%'));
    let second = bench.run_with(line, &variables(&address)).success();
    second.stdout(said.clone()).stderr(contains("licence").not());
    let offline = [("HF_HOME", "cache"), ("HF_HUB_OFFLINE", "1"), ("HF_HUB_CACHE", "")];
    bench.run_with(line, &offline).success().stdout(said);
    let elsewhere = [("HF_HOME", "empty"), ("HF_HUB_OFFLINE", "1"), ("HF_HUB_CACHE", "")];
    bench.run_with(line, &elsewhere).code(1).stderr(contains("HF_HUB_OFFLINE"));
}

#[test]
fn a_command_asks_once_what_a_name_means() {
    let bench = Bench::new();
    bench.draw_classes("data/val", 2);
    let (address, asked) = counting_hub(vec![("me/mine/model.safetensors", classifier().to_vec())]);
    let line = "evaluate --data data --weights hf:me/mine@main";
    bench.run_with(line, &variables(&address)).success();
    let before = asked.load(Ordering::Relaxed);
    bench.run_with(line, &variables(&address)).success();
    assert_eq!(asked.load(Ordering::Relaxed) - before, 1, "two answers may be two commits");
}

#[test]
fn short_names_are_those_of_released_checkpoints() {
    let bench = Bench::new();
    let address = hub(vec![("timm/convnextv2_atto.fcmae/model.safetensors", autoencoder().to_vec())]);
    let run = |line| bench.run_with(line, &variables(&address));
    run("inspect atto.fcmae")
        .success()
        .stderr(contains("CC BY-NC 4.0"))
        .stdout(contains("masked autoencoder"));
    bench.draw_classes("labelled", 4);
    run("finetune --data labelled --init atto.fcmae --image-size 32 --steps 1 --batch-size 4 --out run")
        .success();
}

#[test]
fn what_is_not_there_is_said() {
    let bench = Bench::new();
    let address = hub(vec![("me/mine/readme.md", vec![])]);
    let run = |line| bench.run_with(line, &variables(&address));
    run("inspect hf:me/other").code(1).stderr(contains("me/other"));
    run("inspect hf:me/mine").code(1).stderr(contains("model.safetensors"));
    run("inspect hf:mine").code(2).stderr(contains("organisation"));
}
