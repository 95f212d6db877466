//! `--config`: the arguments of a recorded run, below those that are typed.

mod argument;
mod recorded;
mod recorded_model;
mod replaced;
mod typed;
mod usual;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, Command};
use convnext::train::{config_file, read_config};
use toml::Table;

use self::argument::Argument;
use self::recorded::{arguments_of, without_other_decoder};
use self::replaced::{gives_way, overrides};
use self::typed::{has_flag, typed_flags, value_of};
use self::usual::without_usual;
use super::finetune::FinetuneArguments;
use super::pretrain::PretrainArguments;

/// The command of this name, if its runs can be repeated.
fn command(name: &str) -> Option<Command> {
    match name {
        "pretrain" => Some(PretrainArguments::augment_args(Command::new("pretrain"))),
        "finetune" => Some(FinetuneArguments::augment_args(Command::new("finetune"))),
        _ => None,
    }
}

/// The command line with the arguments of the run that `--config` names, as far as they are not typed as well, or exclude
/// what is; as it is where there is no `--config`.
///
/// Says on standard error what is repeated, unless it shall be quiet or not `speak`.
///
/// # Errors
/// When the run cannot be read, is none, was made by the other command, or has a model that no argument names.
pub(crate) fn with_recorded(typed: Vec<OsString>, speak: bool) -> anyhow::Result<Vec<OsString>> {
    let Some(command) = typed.iter().skip(1).find_map(|word| command(word.to_str()?)) else {
        return Ok(typed);
    };
    let flags = typed_flags(&typed, &command);
    let Some(run) = value_of(&flags, "--config").map(PathBuf::from) else { return Ok(typed) };
    let (file, settings) = (config_file(&run), read_config(&run)?);
    if !settings.contains_key("model") {
        bail!(
            "{} is no record of a run, because it has no model; for a recipe give --recipe FILE, and leave --config out",
            file.display()
        );
    }
    let kind = if settings.get("recipe").is_some_and(|recipe| recipe.get("masking").is_some()) {
        "pretrain"
    } else {
        "finetune"
    };
    if command.get_name() != kind {
        bail!(
            "{} is the run of `convnext {kind}`; repeat it with that command, or leave --config out",
            run.display()
        );
    }
    let mut recorded = recorded_arguments(&settings, |flag| value_of(&flags, flag))
        .map_err(|error| anyhow!("{}: {error}", file.display()))?;
    recorded.push(("--recipe", file.into()));
    if speak && !has_flag(&flags, "--quiet") && !typed.iter().any(|word| word == "-q") {
        let overrides = overrides(&command, &flags, &recorded);
        let but = if overrides.is_empty() { String::new() } else { format!(", but for {overrides}") };
        writeln!(io::stderr(), "repeating {} as it was recorded{but}", run.display())?;
    }
    recorded.retain(|(flag, _)| !flags.iter().any(|typed| gives_way(&command, flag, typed)));
    Ok(typed.into_iter().chain(recorded.into_iter().map(in_one_word)).collect())
}

/// The arguments of a recorded run, but for its recipe, that do not follow from what is typed; `typed` has the value of a
/// flag, if it is typed.
fn recorded_arguments<'t>(
    settings: &Table,
    typed: impl Fn(&str) -> Option<&'t OsStr>,
) -> anyhow::Result<Vec<Argument>> {
    let recorded = arguments_of(settings, typed("--init"))?;
    without_usual(without_other_decoder(recorded, &typed), settings, &typed)
}

/// An argument as `--flag=value`.
fn in_one_word((flag, value): Argument) -> OsString {
    let mut argument = OsString::from(flag);
    if !value.is_empty() {
        argument.push("=");
        argument.push(value);
    }
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn other_command_lines_stay_as_they_are() {
        for line in ["convnext", "convnext classify --config x", "convnext pretrain --out x"] {
            assert_eq!(with_recorded(words(line), true).unwrap(), words(line));
        }
    }
}
