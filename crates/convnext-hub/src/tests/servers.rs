//! Tests of servers that refuse, have trouble, or are no hub at all.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::{WEIGHTS, quietly, start, words};
use crate::test_server::{Fault, TOKEN, TestHub, model};
use crate::{HubError, HubModel, HubSettings, Token};

#[test]
fn refusals_say_what_to_do() {
    let (hub, cache) = start();
    let without = hub.settings(cache.path());
    let with = hub.settings_with_token(cache.path());
    let wrong = HubSettings { token: Token::new("hf_other"), ..without.clone() };
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
fn trouble_of_the_hub_passes() {
    let (hub, cache) = start();
    hub.spoil_answers(&[Fault::Status(503), Fault::Status(429), Fault::Silence]);
    hub.spoil_bytes(&[Fault::Status(502)]);
    let mut settings = hub.settings(cache.path());
    settings.retry.read_timeout = Duration::from_millis(500);
    quietly(&model("me/net"), &settings).unwrap();
}

#[test]
fn retries_have_an_end() {
    let (hub, cache) = start();
    hub.spoil_answers(&vec![Fault::Status(503); 9]);
    let error = quietly(&model("me/net"), &hub.settings(cache.path())).unwrap_err();
    assert!(words(&error).contains("answered with status 503 (so it goes)"), "{error}");
    assert_eq!(hub.requests().len(), 4);
}

#[test]
fn read_timeouts_are_reported() {
    let (hub, cache) = start();
    let mut settings = hub.settings(cache.path());
    settings.retry.retries = 0;
    settings.retry.read_timeout = Duration::from_millis(100);
    hub.spoil_answers(&[Fault::Silence]);
    let error = quietly(&model("me/net"), &settings).unwrap_err();
    assert!(matches!(error, HubError::Interrupted { .. }), "{error}");
    assert!(words(&error).contains(&hub.endpoint), "{error}");
}

#[test]
fn a_refused_connection_is_told_at_once() {
    let cache = tempfile::tempdir().unwrap();
    // The port was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let settings = HubSettings { endpoint, ..HubSettings::new(cache.path()) };
    let error = quietly(&model("me/net"), &settings).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(words(&error).contains("HF_HUB_OFFLINE=1"), "{error}");
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

/// Bug: what TLS refuses, certificates among it, counted as a connection that broke, and was tried again.
#[test]
fn what_tls_refuses_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(b"HTTP/1.1 400 No TLS here\r\n\r\n").unwrap();
        // Until the other side has understood.
        let _ = stream.read_to_end(&mut vec![]);
    });
    let cache = tempfile::tempdir().unwrap();
    let endpoint = format!("https://127.0.0.1:{port}");
    let settings = HubSettings { endpoint, ..HubSettings::new(cache.path()) };
    let error = quietly(&model("me/net"), &settings).unwrap_err();
    assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
    assert!(words(&error).contains("SSL_CERT_FILE"), "{error}");
    asked.join().unwrap();
}
