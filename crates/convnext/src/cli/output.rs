//! Results on standard output, progress on standard error.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use convnext::train::Summary;
use serde::Serialize;

/// Prints a value as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_text(&serde_json::to_string_pretty(value)?)
}

/// Prints text and a line end.
pub(crate) fn print_text(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Prints a result before its page is written: a page that cannot be written costs no result, and where nobody reads the
/// result, there is a page. `last` is the line that says where the page is, if there is to be one.
pub(crate) fn print_then_write(
    print: impl FnOnce() -> anyhow::Result<()>,
    write: impl FnOnce() -> anyhow::Result<()>,
    last: Option<String>,
) -> anyhow::Result<()> {
    let printed = print();
    write()?;
    printed?;
    last.map_or(Ok(()), |line| print_text(&line))
}

/// A path as a shell takes it for one word, for a command to paste.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    // Only a zero byte cannot be quoted, and no path has one.
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), Cow::into_owned)
}

/// The early end of a run for the end of a line of its results; empty where it made all steps.
pub(crate) fn stopped_in_words(summary: &Summary) -> String {
    summary.stopped_early.as_ref().map_or(String::new(), |stop| format!("; {stop}"))
}

/// Prints text and a line end on standard error. That nobody reads it is no reason to end a training.
pub(crate) fn print_progress(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A table with a head; columns from `numbers_from` on are aligned to the right.
pub(crate) fn table(head: &[&str], numbers_from: usize, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let align = |(column, text): (usize, String)| {
        let side = if column >= numbers_from { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text).set_alignment(side)
    };
    table.set_header(head.iter().map(|&text| text.to_owned()).enumerate().map(align));
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(align));
    }
    table.trim_fmt()
}

/// A number with commas between thousands.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with commas between thousands and its noun.
pub(crate) fn counted_in_thousands(count: usize, one: &str, several: &str) -> String {
    format!("{} {}", thousands(count as u64), if count == 1 { one } else { several })
}

/// `true` when whoever read our output has gone, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: an evaluation of hours was lost because its page could not be written.
    #[test]
    fn a_page_that_cannot_be_written_costs_no_result() {
        let mut done = Vec::new();
        let failed = print_then_write(
            || {
                done.push("printed");
                Ok(())
            },
            || Err(anyhow::anyhow!("no room")),
            Some("page: there".to_owned()),
        );
        assert_eq!(failed.unwrap_err().to_string(), "no room");
        assert_eq!(done, ["printed"]);
    }

    #[test]
    fn a_result_that_nobody_reads_costs_no_page() {
        let mut is_written = false;
        let failed = print_then_write(
            || Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            || {
                is_written = true;
                Ok(())
            },
            None,
        );
        assert!(is_broken_pipe(&failed.unwrap_err()) && is_written);
    }

    #[test]
    fn paths_are_words_of_a_shell() {
        assert_eq!(shell_word(Path::new("runs/a-1/weights.safetensors")), "runs/a-1/weights.safetensors");
        for path in ["two words", "it's", "run <b>x<", "a;b&c$d`e\"f\\g"] {
            let word = shell_word(Path::new(path));
            assert_ne!(word, path);
            assert_eq!(shlex::split(&word), Some(vec![path.to_owned()]), "{word}");
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (value, text) in [(7, "7"), (999, "999"), (1000, "1,000"), (660_289_640, "660,289,640")] {
            assert_eq!(thousands(value), text);
        }
    }
}
