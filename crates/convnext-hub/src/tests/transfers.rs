//! Tests of how bytes arrive, or do not.

use std::fs;
use std::thread;

use super::{blobs, content, quietly, start, unfinished, words};
use crate::test_server::{Fault, model, sha256};
use crate::{HubError, HubSettings, fetch};

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
    settings.retry.retries = 0;
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
fn a_size_that_nobody_tells_is_that_of_the_transfer() {
    let (hub, cache) = start();
    hub.spoil_answers(&[Fault::Header("x-linked-size", "")]);
    let fetched = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap();
    assert_eq!(fs::read(fetched.weights).unwrap(), content());
}
