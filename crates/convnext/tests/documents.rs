//! Console examples of README and guide: what a page shows is what the program prints.
//!
//! The examples of a page are run in order, in a folder with the samples: `digits/` (train and test), `photos/` (one
//! folder for each digit) and `photographs/`, and with `streets/`, drawn images with masks, and `cells/`, drawn images with
//! objects. Their output is compared line by line; decimal numbers and times match any others, a line of `...` any lines, and in blocks marked `learned`, which show what a training brought, all
//! numbers match any others. With `CONVNEXT_UPDATE_DOCUMENTS=1` the pages are rewritten with what was printed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use convnext::study::{PaperValue, STUDIES, read_study};
use tempfile::TempDir;

mod documents {
    pub(super) mod drawings;
    mod links;
}

use documents::drawings::{draw_cells, draw_streets};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// README, guide and what else has links, as paths from the root.
pub(crate) fn pages() -> Vec<PathBuf> {
    let guide = fs::read_dir(root().join("docs/guide")).unwrap();
    let guide = guide.map(|entry| Path::new("docs/guide").join(entry.unwrap().file_name()));
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(PathBuf::from);
    guide.filter(|path| path.extension().is_some_and(|extension| extension == "md")).chain(others).collect()
}

/// A command of a page, and what the page shows of its output.
struct Example {
    command: String,
    shown: Vec<String>,
    is_learned: bool,
    /// First line of what is shown.
    start: usize,
}

/// The examples in the blocks marked `console`, in order.
fn examples(lines: &[&str]) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut block: Option<bool> = None;
    for (number, line) in lines.iter().enumerate() {
        match (block, *line) {
            (None, "```console") => block = Some(false),
            (None, "```console learned") => block = Some(true),
            (Some(_), "```") => block = None,
            (Some(is_learned), line) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    let command = command.to_owned();
                    found.push(Example { command, shown: Vec::new(), is_learned, start: number + 1 });
                } else if let Some(example) = found.last_mut() {
                    example.shown.push(line.to_owned());
                }
            }
            (None, _) => {}
        }
    }
    found
}

/// A folder with the samples.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    convnext::write_samples(folder.path()).unwrap();
    std::os::unix::fs::symlink("digits/train", folder.path().join("photos")).unwrap();
    draw_streets(&folder.path().join("streets"));
    draw_cells(&folder.path().join("cells"));
    folder
}

fn run(example: &Example, folder: &Path) -> Vec<String> {
    let program = assert_cmd::cargo::cargo_bin!("convnext");
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let line = format!("{{ {}\n}} 2>&1", example.command);
    let done = Command::new("sh").args(["-c", &line]).current_dir(folder).env("PATH", path).output().unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    let is_refusal = printed.lines().any(|line| line.starts_with("error:"));
    assert!(done.status.success() || is_refusal, "{} ends with {}:\n{printed}", example.command, done.status);
    printed.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// A line with its numbers as `#` where these may differ, and columns one space apart.
fn comparable(line: &str, is_learned: bool) -> String {
    const UNITS: [&str; 4] = ["s", "ms", "min", "h"];
    // Which epoch is the best one may depend on the last digits, and a plan names checkpoints where they take long.
    let cut = |line, from| match str::split_once(line, from) {
        Some((before, _)) if is_learned => before,
        _ => line,
    };
    let line = cut(cut(line, ", best"), " validations of");
    let is_rule = |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, '─' | '-' | '━'));
    let words: Vec<&str> = line.split_whitespace().filter(|word| !is_rule(word)).collect();
    let mut comparable: Vec<String> = Vec::new();
    for word in words {
        let unit = word.trim_end_matches([',', '.', ')', ';']);
        let is_number =
            |word: &String| word.trim_start_matches('(').chars().all(|c| matches!(c, '#' | '0'..='9'));
        // A time is one thing, however many units it has: `903 ms`, `1.1 s` and `1m 3s` match each other.
        if UNITS.contains(&unit) && comparable.last().is_some_and(is_number) || is_compact_time(unit) {
            if comparable.last().is_some_and(|last| is_number(last) && UNITS.contains(&unit)) {
                comparable.pop();
            }
            if comparable.last().is_none_or(|last| last != "TIME") {
                comparable.push("TIME".to_owned());
            }
            comparable.extend((unit.len() < word.len()).then(|| word[unit.len()..].to_owned()));
            continue;
        }
        comparable.push(without_numbers(word, is_learned));
    }
    comparable.join(" ")
}

/// `true` for a part of a time that stands together, such as `1m` or `34s`.
fn is_compact_time(word: &str) -> bool {
    let number = word.trim_end_matches(['h', 'm', 's']);
    number.len() + 1 == word.len() && number.parse::<u64>().is_ok()
}

/// A word with `#` for its decimal numbers, or for all its numbers.
fn without_numbers(word: &str, all: bool) -> String {
    let mut text = String::new();
    let mut number = String::new();
    for character in word.chars().chain(['\0']) {
        let goes_on = character.is_ascii_digit() || (!number.is_empty() && matches!(character, '.' | ','));
        if goes_on {
            number.push(character);
            continue;
        }
        let digits = number.trim_end_matches(['.', ',']).to_owned();
        let is_any = all || digits.contains('.');
        text += if digits.is_empty() || !is_any { &digits } else { "#" };
        text += &number[digits.len()..];
        number.clear();
        text.push(character);
    }
    text.trim_end_matches('\0').to_owned()
}

/// `true` if the printed lines are those that are shown; `...` stands for any lines.
fn matches(shown: &[String], printed: &[String], is_learned: bool) -> bool {
    match shown {
        [] => printed.is_empty(),
        rest if rest[0] == "..." => {
            (0..=printed.len()).any(|skipped| matches(&rest[1..], &printed[skipped..], is_learned))
        }
        [first, rest @ ..] => printed.split_first().is_some_and(|(printed, others)| {
            comparable(first, is_learned) == comparable(printed, is_learned)
                && matches(rest, others, is_learned)
        }),
    }
}

fn check(page: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let folder = folder();
    let mut changed: Vec<(Example, Vec<String>)> = Vec::new();
    for example in examples(&lines) {
        let printed = run(&example, folder.path());
        if !matches(&example.shown, &printed, example.is_learned) {
            changed.push((example, printed));
        }
    }
    if std::env::var_os("CONVNEXT_UPDATE_DOCUMENTS").is_some() {
        let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        for (example, printed) in changed.into_iter().rev() {
            lines.splice(example.start..example.start + example.shown.len(), printed);
        }
        return fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let differences = changed.iter().map(|(example, printed)| {
        format!(
            "$ {}\nshown:\n{}\nprinted:\n{}",
            example.command,
            example.shown.join("\n"),
            printed.join("\n")
        )
    });
    let differences: Vec<String> = differences.collect();
    assert!(
        differences.is_empty(),
        "{page} shows what is not printed (CONVNEXT_UPDATE_DOCUMENTS=1 rewrites it)\n{}",
        differences.join("\n\n")
    );
}

macro_rules! pages_with_examples {
    ($($name:ident: $page:literal),* $(,)?) => {
        $(#[test] fn $name() { check($page); })*
        const WITH_EXAMPLES: &[&str] = &[$($page),*];
    };
}

pages_with_examples! {
    readme: "README.md",
    start: "docs/guide/start.md",
    own_images: "docs/guide/own-images.md",
    weights: "docs/guide/weights.md",
    recipes: "docs/guide/recipes.md",
    runs: "docs/guide/runs.md",
    detection: "docs/guide/detection.md",
    segmentation: "docs/guide/segmentation.md",
    studies: "docs/guide/studies.md",
    analysis: "docs/guide/analysis.md",
}

#[test]
fn every_page_with_examples_is_run() {
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        let has_examples = !examples(&text.lines().collect::<Vec<_>>()).is_empty();
        let is_listed = WITH_EXAMPLES.iter().any(|listed| Path::new(listed) == page);
        assert_eq!(has_examples, is_listed, "{}: examples, and in the list of this test", page.display());
    }
}

#[test]
fn the_numbers_that_studies_quote_stand_in_their_sections_of_the_papers_tables() {
    let text = fs::read_to_string(root().join("docs/results/paper-tables.md")).unwrap();
    for (name, _) in STUDIES {
        let named = format!("`convnext study run {name}`");
        let sections: String = text.split("\n## ").filter(|section| section.contains(&named)).collect();
        assert!(!sections.is_empty(), "no section names the study {name}");
        for row in read_study(name).unwrap().rows {
            let numbers = row.paper.iter().filter(|value| matches!(value, PaperValue::Number(_)));
            let numbers: Vec<String> = numbers.map(|value| format!(" {} ", value.in_words())).collect();
            // Units stand in the heads of columns.
            let words =
                row.name.split([' ', ',']).filter(|word| !["px", "epochs", "blocks", "width"].contains(word));
            let words: Vec<String> = words.map(str::to_lowercase).collect();
            let is_of_row = |line: &str| {
                let lower = line.to_lowercase();
                numbers.iter().all(|number| line.contains(number))
                    && words.iter().all(|word| lower.contains(word))
            };
            let is_there = numbers.is_empty() || sections.lines().any(is_of_row);
            assert!(is_there, "{name}: no line has {} with {numbers:?}", row.name);
        }
    }
}

/// What is computed takes no study.
const WITHOUT_STUDY: &str = "Sizes and costs";

#[test]
fn every_section_with_results_of_the_paper_beside_ours_names_a_study() {
    let text = fs::read_to_string(root().join("docs/results/paper-tables.md")).unwrap();
    let is_head = |pair: &[&str]| {
        pair[1].starts_with("|---") && ["paper", "ours"].iter().all(|word| pair[0].contains(word))
    };
    let mut checked = 0;
    for section in text.split("\n## ").skip(1) {
        let lines: Vec<&str> = section.lines().collect();
        let named = section.split("`convnext study run ").skip(1);
        let named: Vec<&str> = named.filter_map(|rest| rest.split(['`', ' ']).next()).collect();
        for name in &named {
            assert!(STUDIES.iter().any(|(known, _)| known == name), "{}: no study {name}", lines[0]);
        }
        if lines.windows(2).any(is_head) && lines[0] != WITHOUT_STUDY {
            assert!(!named.is_empty(), "{} names no study", lines[0]);
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn readme_and_architecture_stay_short() {
    for (page, most) in [("README.md", 1800), ("ARCHITECTURE.md", 2500)] {
        let words = fs::read_to_string(root().join(page)).unwrap().split_whitespace().count();
        assert!(
            words <= most,
            "{page} has {words} words, at most {most} are wanted: move the rest to the guide"
        );
    }
}

#[test]
fn numbers_match_where_they_may_differ() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let is_same = |a: &str, b: &str| matches(&lines(a), &lines(b), false);
    assert!(is_same("500 images: 28.40 %, 3 s", "500 images:  29.00 %, 14 s"));
    assert!(!is_same("500 images", "501 images"));
    assert!(is_same("1.6 s, 4.7 s left", "963 ms, 1m 3s left"));
    assert!(!is_same("1.6 s, 4.7 s left", "963 ms left"));
    assert!(is_same("a\n...\nd", "a\nb\nc\nd"));
    assert!(!is_same("a\n...\nd", "a\nb"));
    assert!(matches(&lines("cat 50 21"), &lines("cat 50 7"), true));
}
