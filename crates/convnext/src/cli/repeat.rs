//! `--config`: the arguments of a recorded run, below those that are typed.

mod recorded;
mod typed;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use convnext::train::{config_file, read_config};

use self::recorded::arguments_of;
use self::typed::{has_flag, value_of};

/// The flag that names the run to repeat.
const CONFIG: &str = "--config";

/// Commands whose runs can be repeated.
const COMMANDS: [&str; 2] = ["pretrain", "finetune"];

/// Flags that say where and how a run is computed, and change no recorded setting.
const WITHOUT_EFFECT: [&str; 12] = [
    CONFIG,
    "--out",
    "--dry-run",
    "--resume",
    "--extend",
    "--strict",
    "--checkpoint-every",
    "--cache",
    "--threads",
    "--device",
    "--quiet",
    "--verbose",
];

/// The command line with the arguments of the run that `--config` names, as far as they are not typed as well; as it is
/// where there is no `--config`.
///
/// # Errors
/// When the run cannot be read, was made by the other command, or has a model that no argument names.
pub(crate) fn with_recorded(typed: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let is_command = |word: &&OsString| word.to_str().is_some_and(|word| COMMANDS.contains(&word));
    let (Some(command), Some(run)) = (typed.iter().skip(1).find(is_command), value_of(&typed, CONFIG)) else {
        return Ok(typed);
    };
    let run = PathBuf::from(run);
    let settings = read_config(&run)?;
    let kind = if settings.get("recipe").is_some_and(|recipe| recipe.get("masking").is_some()) {
        "pretrain"
    } else {
        "finetune"
    };
    if command.to_str() != Some(kind) {
        bail!(
            "{} is the run of `convnext {kind}`; repeat it with that command, or leave --config out",
            run.display()
        );
    }
    let mut recorded = arguments_of(&settings, &typed)?;
    recorded.push(("--recipe", config_file(&run).into()));
    if !has_flag(&typed, "--quiet") && !has_flag(&typed, "-q") {
        let overrides = overrides(&typed, &recorded);
        let but = if overrides.is_empty() { String::new() } else { format!(", but for {overrides}") };
        writeln!(io::stderr(), "repeating {} as it was recorded{but}", run.display())?;
    }
    let added = recorded.into_iter().filter(|(flag, _)| !has_flag(&typed, flag)).map(|(flag, value)| {
        let mut argument = OsString::from(flag);
        if !value.is_empty() {
            argument.push("=");
            argument.push(value);
        }
        argument
    });
    let added: Vec<OsString> = added.collect();
    Ok([typed, added].concat())
}

/// What is typed in place of what was recorded, such as `--seed=2 (was 1)`.
fn overrides(typed: &[OsString], recorded: &[(&str, OsString)]) -> String {
    let flags = typed.iter().filter_map(|word| word.to_str()?.split('=').next());
    let flags = flags.filter(|word| word.starts_with("--") && !WITHOUT_EFFECT.contains(word));
    let described: Vec<String> = flags
        .map(|flag| {
            let value = value_of(typed, flag).filter(|value| !value.to_string_lossy().starts_with("--"));
            let value = value.map_or(String::new(), |value| format!(" {}", value.display()));
            let before = recorded.iter().find(|(known, before)| *known == flag && !before.is_empty());
            let before = before.map_or(String::new(), |(_, before)| format!(" (was {})", before.display()));
            format!("{flag}{value}{before}")
        })
        .collect();
    described.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_typed_is_named_with_what_it_replaces() {
        let typed = words("convnext pretrain --config=run --out x --seed 3 --quick --threads 2");
        assert_eq!(overrides(&typed, &[("--seed", "1".into())]), "--seed 3 (was 1), --quick");
    }

    #[test]
    fn other_command_lines_stay_as_they_are() {
        for line in ["convnext", "convnext classify --config x", "convnext pretrain --out x"] {
            assert_eq!(with_recorded(words(line)).unwrap(), words(line));
        }
    }
}
