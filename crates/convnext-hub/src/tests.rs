//! Tests of `fetch` against a server that behaves like the hub.

#[cfg(unix)]
mod python;
mod servers;
mod transfers;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::test_server::{COMMIT, Fault, SIGNATURE, TOKEN, TestHub, model, sha256};
use crate::{Fetched, HubError, HubModel, HubSettings, fetch};

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &[u8] = br#"{"pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.5, 0.5, 0.5]}}"#;

/// Larger than what lies in the buffers of a connection.
fn content() -> Vec<u8> {
    (0..3_000_000_u32).map(|index| (index ^ (index >> 9)) as u8).collect()
}

fn hub() -> TestHub {
    TestHub::start().with_file(WEIGHTS, &content()).with_file("config.json", CONFIG)
}

fn quietly(model: &HubModel, settings: &HubSettings) -> Result<Fetched, HubError> {
    fetch(model, settings, &mut |_, _| ())
}

fn blobs(cache: &Path) -> PathBuf {
    cache.join("models--me--net/blobs")
}

fn unfinished(cache: &Path) -> PathBuf {
    blobs(cache).join(format!("{}.incomplete", sha256(&content())))
}

/// The error as its words, which must never tell a secret.
fn words(error: &HubError) -> String {
    let words = format!("{error} {error:?}");
    assert!(!words.contains(TOKEN) && !words.contains(SIGNATURE), "{words}");
    error.to_string()
}

/// The commit that weights are from, which is the name of their folder in the cache.
fn commit_of(fetched: &Fetched) -> &str {
    fetched.weights.parent().and_then(Path::file_name).unwrap().to_str().unwrap()
}

/// A hub and an empty cache.
fn start() -> (TestHub, TempDir) {
    (hub(), tempfile::tempdir().unwrap())
}

#[test]
fn weights_and_their_description_come_into_the_cache() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    let mut steps = vec![];
    let fetched = fetch(&model("me/net"), &settings, &mut |done, total| steps.push((done, total))).unwrap();
    let size = content().len() as u64;
    assert_eq!(fs::read(&fetched.weights).unwrap(), content());
    assert_eq!(commit_of(&fetched), COMMIT);
    assert!(fetched.downloaded);
    assert_eq!(fs::read(fetched.weights.with_file_name("config.json")).unwrap(), CONFIG);
    assert_eq!((steps[0], *steps.last().unwrap()), ((0, size), (size, size)));
    assert!(steps.is_sorted(), "progress goes back");

    let again = quietly(&model("me/net"), &settings).unwrap();
    assert!(!again.downloaded);
    assert_eq!(again.weights, fetched.weights);
    assert_eq!(hub.ranges().len(), 1, "downloaded twice");
}

#[test]
fn released_checkpoints_bring_their_licence() {
    let (hub, cache) = start();
    let fetched = quietly(&model("timm/convnextv2_atto.fcmae"), &hub.settings(cache.path())).unwrap();
    assert_eq!(fetched.licence.as_deref(), Some("CC BY-NC 4.0"));
    let unknown = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert_eq!(unknown.licence, None);
    let stated = TestHub::start()
        .with_file(WEIGHTS, b"weights")
        .with_file("config.json", br#"{"pretrained_cfg": {"license": "mit"}}"#);
    let other = quietly(&model("me/other"), &stated.settings(cache.path())).unwrap();
    assert_eq!(other.licence.as_deref(), Some("mit"));
}

#[test]
fn pytorch_files_are_the_second_choice() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start().with_file("pytorch_model.bin", b"weights");
    let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert!(fetched.weights.ends_with("pytorch_model.bin"));
    assert!(!fetched.weights.with_file_name("config.json").exists());
}

#[test]
fn an_absent_description_is_remembered() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start().with_file(WEIGHTS, b"weights");
    for _ in 0..2 {
        quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    }
    let asked = hub.requests().iter().filter(|request| request.path.ends_with("config.json")).count();
    assert_eq!(asked, 1);
}

/// Bug: a bare 404, as anything between here and the hub may answer, counted for ever as the word of the hub that the
/// repository has no such file.
#[test]
fn a_bare_404_does_not_hide_a_description_for_ever() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    let config = quietly(&model("me/net"), &settings).unwrap().weights.with_file_name("config.json");
    fs::remove_file(&config).unwrap();
    let commit = HubModel::new("me/net", Some(COMMIT)).unwrap();
    hub.spoil_answers(&[Fault::Status(404)]);
    quietly(&commit, &settings).unwrap();
    assert!(!config.exists());
    quietly(&commit, &settings).unwrap();
    assert!(config.is_file());
}

/// Bug: where the description failed after the weights had come, the next call had nothing to download but that, and the
/// licence was never shown.
#[test]
fn the_licence_is_shown_when_the_description_comes_late() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start()
        .with_file(WEIGHTS, b"weights")
        .with_file("config.json", br#"{"pretrained_cfg": {"license": "mit"}}"#);
    let settings = hub.settings(cache.path());
    // The hub is asked about the weights and sends them, and then knows nothing more.
    let sound = Fault::Header("x-sound", "");
    hub.spoil_answers(&[sound.clone(), sound, Fault::Status(400)]);
    quietly(&model("me/net"), &settings).unwrap_err();
    let fetched = quietly(&model("me/net"), &settings).unwrap();
    assert!(fetched.downloaded, "the licence is shown after downloads alone");
    assert_eq!(fetched.licence.as_deref(), Some("mit"));
    assert!(!quietly(&model("me/net"), &settings).unwrap().downloaded);
}

#[test]
fn transformers_repositories_have_two_descriptions() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start()
        .with_file(WEIGHTS, b"weights")
        .with_file("config.json", br#"{"image_size": 224}"#)
        .with_file("preprocessor_config.json", br#"{"size": 64, "image_mean": [0.5]}"#);
    let weights = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap().weights;
    let [config, preprocessor] =
        ["config.json", "preprocessor_config.json"].map(|name| weights.with_file_name(name));
    let config = convnext_io::PackageConfig::read(&config, Some(&preprocessor)).unwrap();
    assert_eq!((config.image_size, config.mean), (Some(64.into()), Some(vec![0.5])));
}

#[test]
fn without_the_hub_the_cache_is_used() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    let fetched = quietly(&model("me/net"), &settings).unwrap();
    let asked = hub.requests().len();
    let expected = Fetched { downloaded: false, ..fetched };

    let offline = HubSettings { offline: true, ..settings.clone() };
    assert_eq!(quietly(&model("me/net"), &offline).unwrap(), expected);
    let commit = HubModel::new("me/net", Some(COMMIT)).unwrap();
    assert_eq!(quietly(&commit, &settings).unwrap(), expected);
    assert_eq!(hub.requests().len(), asked, "somebody was asked");

    hub.spoil_answers(&[Fault::Status(500)]);
    assert_eq!(quietly(&model("me/net"), &settings).unwrap(), expected);
    let nowhere = HubSettings { endpoint: "http://127.0.0.1:1".into(), ..settings };
    assert_eq!(quietly(&model("me/net"), &nowhere).unwrap(), expected);
}

/// Bug: weights in the cache that were named by their commit were refused without an answer of the hub, which was asked
/// for the files that describe them and were not there.
#[test]
fn without_the_hub_cached_weights_need_no_description() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    let fetched = quietly(&model("me/net"), &settings).unwrap();
    let config = fetched.weights.with_file_name("config.json");
    fs::remove_file(&config).unwrap();
    let expected = Fetched { downloaded: false, ..fetched };

    let commit = HubModel::new("me/net", Some(COMMIT)).unwrap();
    let nowhere = HubSettings { endpoint: "http://127.0.0.1:1".into(), ..settings.clone() };
    assert_eq!(quietly(&commit, &nowhere).unwrap(), expected);
    hub.spoil_answers(&vec![Fault::Status(503); 1 + settings.retry.retries as usize]);
    assert_eq!(quietly(&commit, &settings).unwrap(), expected);
    assert!(!config.exists());
    quietly(&commit, &settings).unwrap();
    assert!(config.is_file());
}

#[test]
fn offline_and_unknown_says_how_to_get_it() {
    let (hub, cache) = start();
    let offline = HubSettings { offline: true, ..hub.settings(cache.path()) };
    let error = quietly(&model("me/net"), &offline).unwrap_err();
    assert!(words(&error).contains("unset HF_HUB_OFFLINE"), "{error}");
    assert!(hub.requests().is_empty());
}

#[test]
fn a_branch_that_moved_is_followed() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    let old = quietly(&model("me/net"), &settings).unwrap();
    let commit = "2".repeat(40);
    hub.commit(&commit, WEIGHTS, b"newer");
    let new = quietly(&model("me/net"), &settings).unwrap();
    assert_eq!((commit_of(&new), new.downloaded), (commit.as_str(), true));
    assert_eq!(fs::read(new.weights).unwrap(), b"newer");
    assert_eq!(fs::read(old.weights).unwrap(), content());
    let offline = HubSettings { offline: true, ..settings };
    assert_eq!(commit_of(&quietly(&model("me/net"), &offline).unwrap()), commit);
}

#[test]
fn revisions_may_have_slashes() {
    let (hub, cache) = start();
    let model = HubModel::new("me/net", Some("refs/pr/1")).unwrap();
    quietly(&model, &hub.settings(cache.path())).unwrap();
    let note = cache.path().join("models--me--net/refs/refs/pr/1");
    assert_eq!(fs::read_to_string(note).unwrap(), COMMIT);
}

#[test]
fn a_cache_that_cannot_be_written_is_told_by_its_path() {
    let (hub, cache) = start();
    fs::write(cache.path().join("models--me--net"), "a file").unwrap();
    let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
    assert!(words(&error).contains("models--me--net"), "{error}");
    assert!(words(&error).contains("HF_HUB_CACHE"), "{error}");
}

#[test]
fn a_link_whose_content_was_removed_is_made_anew() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    quietly(&model("me/net"), &settings).unwrap();
    fs::remove_file(blobs(cache.path()).join(sha256(&content()))).unwrap();
    let fetched = quietly(&model("me/net"), &settings).unwrap();
    assert!(fetched.downloaded);
    assert_eq!(fs::read(fetched.weights).unwrap(), content());
}
