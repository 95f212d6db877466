//! Tests of `fetch` against a server that behaves like the hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use super::test_server::{COMMIT, Fault, SIGNATURE, TOKEN, TestHub, model, sha256};
use super::{Fetched, HubError, HubModel, HubSettings, fetch};

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
    assert_eq!(fetched.commit, COMMIT);
    assert!(fetched.downloaded);
    assert_eq!(fetched.config.unwrap().image_size, Some(64));
    assert_eq!(fs::read(fetched.config_file.unwrap()).unwrap(), CONFIG);
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
}

#[test]
fn pytorch_files_are_the_second_choice() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start().with_file("pytorch_model.bin", b"weights");
    let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert!(fetched.weights.ends_with("pytorch_model.bin"));
    assert_eq!((fetched.config, fetched.config_file), (None, None));
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

#[test]
fn transformers_repositories_have_two_descriptions() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start()
        .with_file(WEIGHTS, b"weights")
        .with_file("config.json", br#"{"image_size": 224}"#)
        .with_file("preprocessor_config.json", br#"{"size": 64, "image_mean": [0.5]}"#);
    let config = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap().config.unwrap();
    assert_eq!((config.image_size, config.mean), (Some(64), Some(vec![0.5])));
}

#[test]
fn refusals_say_what_to_do() {
    let (hub, cache) = start();
    let without = hub.settings(cache.path());
    let with = hub.settings_with_token(cache.path());
    let wrong = HubSettings { token: super::Token::new("hf_other"), ..without.clone() };
    let revision = HubModel::new("me/net", Some("v9")).unwrap();
    let cases = [
        (quietly(&model("me/missing"), &without), "knows no repository me/missing; check the name"),
        (quietly(&model("me/missing"), &with), "knows no repository me/missing; check the name"),
        (quietly(&model("me/gated"), &without), "refuses me/gated (401): it needs a token"),
        (quietly(&model("me/gated"), &wrong), "refuses me/gated (403): the token may not read it"),
        (quietly(&revision, &without), "me/net has no revision \"v9\""),
        (
            quietly(&model("me/net"), &TestHub::start().settings(cache.path())),
            "holds none of model.safetensors",
        ),
    ];
    for (result, expected) in cases {
        let words = words(&result.unwrap_err());
        assert!(words.contains(expected), "{words:?} without {expected:?}");
    }
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "refusals left something in the cache");
    quietly(&model("me/gated"), &with).unwrap();
}

#[test]
fn a_token_is_sent_to_the_hub_alone() {
    let (hub, cache) = start();
    quietly(&model("me/net"), &hub.settings_with_token(cache.path())).unwrap();
    let endpoint_host = hub.endpoint.trim_start_matches("http://");
    let (to_hub, to_others): (Vec<_>, Vec<_>) =
        hub.requests().into_iter().partition(|request| request.host == endpoint_host);
    assert!(!to_hub.is_empty() && !to_others.is_empty());
    for request in to_hub {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"), "{request:?}");
    }
    for request in to_others {
        assert!(request.host.starts_with("localhost:"), "{request:?}");
        assert!(!format!("{request:?}").contains(TOKEN), "{request:?}");
    }
}

#[test]
fn a_cut_transfer_goes_on_where_it_stopped() {
    let (hub, cache) = start();
    hub.spoil_bytes(&[Fault::Cut(1_000_000), Fault::Cut(500_000), Fault::Status(503)]);
    let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert_eq!(fs::read(fetched.weights).unwrap(), content());
    assert_eq!(hub.ranges(), ["", "bytes=1000000-", "bytes=1500000-", "bytes=1500000-"]);
}

#[test]
fn an_interrupted_download_goes_on_in_the_next_call() {
    let (hub, cache) = start();
    let mut settings = hub.settings(cache.path());
    settings.patience.retries = 0;
    hub.spoil_bytes(&[Fault::Cut(1_000_000)]);
    let error = quietly(&model("me/net"), &settings).unwrap_err();
    assert!(
        words(&error).starts_with("only 1000000 of 3000000 bytes of model.safetensors arrived"),
        "{error}"
    );
    // Nothing that is not whole may be found, by us or by others.
    let names: Vec<_> =
        fs::read_dir(blobs(cache.path())).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [unfinished(cache.path())]);
    assert!(!cache.path().join("models--me--net/snapshots").exists());
    let offline = HubSettings { offline: true, ..settings.clone() };
    assert!(matches!(quietly(&model("me/net"), &offline), Err(HubError::NotCached { .. })));

    let mut first = None;
    let fetched = fetch(&model("me/net"), &settings, &mut |done, _| {
        first.get_or_insert(done);
    });
    assert_eq!(fs::read(fetched.unwrap().weights).unwrap(), content());
    assert_eq!(first, Some(1_000_000));
    assert_eq!(hub.ranges(), ["", "bytes=1000000-"]);
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    let (hub, cache) = start();
    hub.spoil_bytes(&[Fault::Cut(1_000_000), Fault::IgnoreRange]);
    let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert_eq!(fs::read(fetched.weights).unwrap(), content());
}

#[test]
fn a_server_that_sends_nothing_new_is_given_up() {
    for fault in [Fault::Cut(0), Fault::CutWithoutRanges(9)] {
        let (hub, cache) = start();
        hub.spoil_bytes(&[Fault::Cut(9)]);
        hub.spoil_bytes(&vec![fault; 9]);
        let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
        assert!(matches!(error, HubError::Truncated { found: 9, .. }), "{error}");
        // Once and three times again.
        assert_eq!(hub.ranges(), ["", "bytes=9-", "bytes=9-", "bytes=9-"]);
    }
}

#[test]
fn damaged_bytes_are_thrown_away() {
    let (hub, cache) = start();
    hub.spoil_bytes(&[Fault::WrongByte]);
    let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
    assert!(matches!(error, HubError::WrongHash { .. }), "{error}");
    assert!(words(&error).contains(&sha256(&content())), "{error}");
    assert_eq!(fs::read_dir(blobs(cache.path())).unwrap().count(), 0);
    quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
}

#[test]
fn a_wrong_beginning_of_somebody_else_is_replaced() {
    for length in [10, content().len(), content().len() + 1] {
        let (hub, cache) = start();
        fs::create_dir_all(blobs(cache.path())).unwrap();
        fs::write(unfinished(cache.path()), vec![0; length]).unwrap();
        let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
        assert_eq!(fs::read(fetched.weights).unwrap(), content(), "{length}");
    }
}

#[test]
fn trouble_of_the_hub_passes() {
    let (hub, cache) = start();
    hub.spoil_answers(&[Fault::Status(503), Fault::Status(429), Fault::Silence]);
    hub.spoil_bytes(&[Fault::Status(502)]);
    quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
}

#[test]
fn patience_has_an_end() {
    let (hub, cache) = start();
    hub.spoil_answers(&vec![Fault::Status(503); 9]);
    let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
    assert!(words(&error).contains("answered with status 503 (so it goes)"), "{error}");
    assert_eq!(hub.requests().len(), 4);
}

#[test]
fn silence_is_told_after_a_while() {
    let (hub, cache) = start();
    let mut settings = hub.settings(cache.path());
    settings.patience.retries = 0;
    hub.spoil_answers(&[Fault::Silence]);
    let error = quietly(&model("me/net"), &settings).unwrap_err();
    assert!(matches!(error, HubError::Interrupted { .. }), "{error}");
    assert!(words(&error).contains(&hub.endpoint), "{error}");
}

#[test]
fn a_refused_connection_is_told_at_once() {
    let cache = tempfile::tempdir().unwrap();
    // The port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let settings = HubSettings { endpoint, ..HubSettings::new(cache.path()) };
    let error = quietly(&model("me/net"), &settings).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(words(&error).contains("HF_HUB_OFFLINE=1"), "{error}");
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
    assert_eq!((new.commit.as_str(), new.downloaded), (commit.as_str(), true));
    assert_eq!(fs::read(new.weights).unwrap(), b"newer");
    assert_eq!(fs::read(old.weights).unwrap(), content());
    let offline = HubSettings { offline: true, ..settings };
    assert_eq!(quietly(&model("me/net"), &offline).unwrap().commit, commit);
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
fn several_at_once_download_once() {
    let (hub, cache) = start();
    let settings = hub.settings(cache.path());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let fetched = quietly(&model("me/net"), &settings).unwrap();
                assert_eq!(fs::read(fetched.weights).unwrap(), content());
            });
        }
    });
    assert_eq!(hub.ranges(), [""]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_what_is_missing() {
    let (hub, cache) = start();
    fs::create_dir_all(blobs(cache.path())).unwrap();
    std::os::unix::fs::symlink("/dev/full", unfinished(cache.path())).unwrap();
    let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
    assert!(matches!(error, HubError::DiskFull { missing: Some(3_000_000), .. }), "{error}");
    assert!(words(&error).contains("make room for 3000000 bytes"), "{error}");
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
fn servers_that_are_no_hub_are_refused() {
    let headers = [
        Fault::Circle,
        Fault::Header("x-repo-commit", ""),
        Fault::Header("x-repo-commit", "../../../../../../../../../../etc"),
        Fault::Header("x-linked-etag", "\"../../../../../../../../../../etc/passwd\""),
        // The content is longer than this.
        Fault::Header("x-linked-size", "7"),
    ];
    for fault in headers {
        let (hub, cache) = start();
        hub.spoil_answers(std::slice::from_ref(&fault));
        let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
        assert!(matches!(error, HubError::BadAnswer { .. }), "{fault:?}: {error}");
        assert!(words(&error).contains("HF_ENDPOINT"), "{fault:?}: {error}");
    }
    let (hub, cache) = start();
    hub.spoil_bytes(&[Fault::Cut(9), Fault::OtherRange]);
    let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
    assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
}

#[test]
fn an_address_of_the_hub_that_moved_is_followed_without_the_token() {
    let (hub, cache) = start();
    let settings = hub.settings_with_token(cache.path());
    let other_name = hub.endpoint.replace("127.0.0.1", "localhost");
    let there = HubSettings { endpoint: other_name, ..settings };
    // As http://huggingface.co leads to https://huggingface.co.
    let location = format!("{}/me/net/resolve/main/{WEIGHTS}", hub.endpoint);
    hub.spoil_answers(&[Fault::Moved(location)]);
    quietly(&model("me/net"), &there).unwrap();
    let (first, second) = (&hub.requests()[0], &hub.requests()[1]);
    assert!(first.headers.contains_key("authorization") && !second.headers.contains_key("authorization"));
    assert_eq!(second.host, hub.endpoint.trim_start_matches("http://"));
}

#[test]
fn a_size_that_nobody_tells_is_that_of_the_transfer() {
    let (hub, cache) = start();
    hub.spoil_answers(&[Fault::Header("x-linked-size", "")]);
    let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert_eq!(fs::read(fetched.weights).unwrap(), content());
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
