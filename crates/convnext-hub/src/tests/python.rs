//! Is our cache that of Python? `tests/fixtures/hub_cache.txt` lists what Python's `huggingface_hub` makes of a
//! repository, and its maker `hub_cache.py` checks that Python finds the files again in what is listed.

use std::fs;
use std::path::Path;

use super::commit_of;
use crate::test_server::{COMMIT, TestHub, model};
use crate::{HubSettings, fetch};

const LISTING: &str = include_str!("../../tests/fixtures/hub_cache.txt");

/// The files of `hub_cache.py`.
const WEIGHTS: &[u8] = b"not really weights";
const CONFIG: &[u8] = br#"{"pretrained_cfg": {"input_size": [3, 64, 64]}}"#;

/// Every file as path and content in JSON, every link as path and target, sorted.
fn listing(root: &Path, folder: &Path, lines: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_symlink() {
            lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
        } else if path.is_dir() {
            listing(root, &path, lines);
        } else {
            let content = serde_json::to_string(&fs::read_to_string(&path).unwrap()).unwrap();
            lines.push(format!("{name}\t{content}"));
        }
    }
}

#[test]
fn python_finds_what_we_download() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::start().with_file("model.safetensors", WEIGHTS).with_file("config.json", CONFIG);
    fetch(&model("me/net"), &hub.settings(cache.path()), &mut |_, _| ()).unwrap();
    let mut lines = vec![];
    listing(cache.path(), cache.path(), &mut lines);
    assert_eq!(lines, LISTING.lines().collect::<Vec<_>>());
}

#[test]
fn we_find_what_python_downloaded() {
    let cache = tempfile::tempdir().unwrap();
    for line in LISTING.lines() {
        let (name, link) = match line.split_once(" -> ") {
            Some((name, target)) => (name, Some(target)),
            None => (line.split('\t').next().unwrap(), None),
        };
        let path = cache.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match link {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => {
                let content: String = serde_json::from_str(line.split_once('\t').unwrap().1).unwrap();
                fs::write(path, content).unwrap();
            }
        }
    }
    let offline = HubSettings { offline: true, ..HubSettings::new(cache.path()) };
    let fetched = fetch(&model("me/net"), &offline, &mut |_, _| ()).unwrap();
    assert_eq!(fs::read(&fetched.weights).unwrap(), WEIGHTS);
    assert!(fetched.weights.with_file_name("config.json").is_file());
    assert_eq!((commit_of(&fetched), fetched.downloaded), (COMMIT, false));
}
