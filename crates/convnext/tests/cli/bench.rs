//! A fresh folder in which commands are run as typed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use super::images::{CLASSES, Draw, save};

/// No command of these tests takes seconds on the CPU; a longer one hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// On another device each command first builds its shaders, which takes a software driver a minute.
const PATIENCE_ELSEWHERE: Duration = Duration::from_secs(900);

/// Names the device that the whole job is tried on; the CPU if it is not set.
pub(super) const TEST_DEVICE: &str = "CONVNEXT_TEST_DEVICE";

pub(super) fn convnext() -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("convnext");
    command.timeout(if env::var_os(TEST_DEVICE).is_some() { PATIENCE_ELSEWHERE } else { PATIENCE });
    command
}

/// What a command must be refused for: the command line, and what its message must say.
pub(super) type Refusal<'a> = (&'a str, &'a [&'a str]);

/// A folder of its own, which goes when it is dropped.
pub(super) struct Bench(TempDir);

impl Bench {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With `labelled`: 24 images to train on, and 6 to validate on.
    pub(super) fn labelled() -> Self {
        let bench = Self::new();
        bench.draw_classes("labelled/train", 8);
        bench.draw_classes("labelled/val", 2);
        bench
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Writes a file, and the folders above it.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.make_room(name), bytes).unwrap();
    }

    pub(super) fn make_folder(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    /// Draws one image of a class; its ending decides the format.
    pub(super) fn draw(&self, name: &str, class: &str, number: usize) {
        save(&Draw::of(class, number), &self.make_room(name));
    }

    /// Draws `count` images of each class into `folder/CLASS`, half PNG and half JPEG.
    pub(super) fn draw_classes(&self, folder: &str, count: usize) {
        for class in CLASSES {
            for number in 0..count {
                let ending = if number % 2 == 0 { "png" } else { "jpg" };
                self.draw(&format!("{folder}/{class}/{number:02}.{ending}"), class, number);
            }
        }
    }

    /// A JPEG of which the end is missing.
    pub(super) fn draw_truncated(&self, name: &str) {
        self.draw(name, CLASSES[0], 0);
        let bytes = self.read(name);
        self.write(name, &bytes[..bytes.len() / 2]);
    }

    fn make_room(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        path
    }

    /// Runs a command in the folder. The words of `line` are the arguments.
    pub(super) fn run(&self, line: &str) -> Assert {
        convnext().current_dir(&self.0).args(line.split_whitespace()).assert()
    }

    /// Runs a command with variables of the environment.
    pub(super) fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Assert {
        let variables = variables.iter().copied();
        convnext().current_dir(&self.0).envs(variables).args(line.split_whitespace()).assert()
    }

    /// Runs a command that works; what it prints.
    pub(super) fn succeed(&self, line: &str) -> String {
        let output = self.run(line).success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    }

    /// Runs a command that works and prints JSON.
    pub(super) fn json(&self, line: &str) -> Value {
        let text = self.succeed(line);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("convnext {line}: {error} in\n{text}"))
    }

    /// Runs commands that must end with `code`, with one clear message each. All are tried before the
    /// test fails.
    pub(super) fn refuse(&self, code: i32, refusals: &[Refusal]) {
        let wrong: Vec<String> = refusals
            .iter()
            .filter_map(|&(line, words)| Some((line, self.refuse_one(code, line, words).err()?)))
            .map(|(line, error)| format!("convnext {line}\n{error}"))
            .collect();
        assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), refusals.len(), wrong.join("\n"));
    }

    fn refuse_one(&self, code: i32, line: &str, words: &[&str]) -> Result<(), Box<dyn Error>> {
        let mut result = self
            .run(line)
            .try_code(code)?
            .try_stderr(contains("error:").count(1))?
            .try_stderr(contains("panicked").not())?
            .try_stdout(predicate::str::is_empty())?;
        for word in words {
            result = result.try_stderr(contains(*word))?;
        }
        Ok(())
    }
}
