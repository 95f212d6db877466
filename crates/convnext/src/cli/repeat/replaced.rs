//! What is typed in place of what was recorded.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, Command};

use super::argument::Argument;
use super::typed::TypedFlag;

/// Flags that say where and how a run is computed, and change no recorded setting.
const WITHOUT_EFFECT: [&str; 13] = [
    "--config",
    "--out",
    "--dry-run",
    "--resume",
    "--extend",
    "--strict",
    "--checkpoint-every",
    "--cache",
    "--stall-timeout",
    "--threads",
    "--device",
    "--quiet",
    "--verbose",
];

/// Flags that change the named model, and give way to another one.
const OF_MODEL: [&str; 2] = ["--depths", "--widths"];

/// `true` if a recorded flag gives way to a typed one: the same, or one that does not go with it.
pub(super) fn gives_way(command: &Command, recorded: &str, typed: &TypedFlag) -> bool {
    let excludes = |flag: &str, other: &str| {
        let of = |argument: &&Arg, flag: &str| argument.get_long() == flag.strip_prefix("--");
        let argument = command.get_arguments().find(|argument| of(argument, flag));
        argument.is_some_and(|argument| {
            command.get_arg_conflicts_with(argument).iter().any(|argument| of(argument, other))
        })
    };
    let is_of_other_model = typed.flag == "--model" && OF_MODEL.contains(&recorded);
    recorded == typed.flag
        || is_of_other_model
        || excludes(recorded, &typed.flag)
        || excludes(&typed.flag, recorded)
}

/// What is typed in place of what was recorded, such as `--seed=2 (was 1)`; nothing where both are the same.
pub(super) fn overrides(command: &Command, typed: &[TypedFlag], recorded: &[Argument]) -> String {
    let described = typed.iter().filter_map(|typed| {
        let before = recorded.iter().filter(|(flag, _)| gives_way(command, flag, typed));
        let before: Vec<&Argument> = before.collect();
        let has_effect = !before.is_empty() || !WITHOUT_EFFECT.contains(&&*typed.flag);
        (has_effect && !before.iter().any(|recorded| is_same(typed, recorded)))
            .then(|| format!("{}{}", in_words(&typed.flag, typed.value.as_ref()), was(typed, &before)))
    });
    described.collect::<Vec<_>>().join(", ")
}

/// `true` if the same was recorded. A folder is the same with a slash at its end.
fn is_same(typed: &TypedFlag, (flag, before): &Argument) -> bool {
    let value = typed.value.clone().unwrap_or_default();
    typed.flag == *flag && (value == *before || Path::new(&value) == Path::new(before))
}

/// What gave way, in brackets: a value of the same flag, or another flag.
fn was(typed: &TypedFlag, before: &[&Argument]) -> String {
    let before = before.iter().filter_map(|(flag, value)| match typed.flag == *flag {
        true => (!value.is_empty()).then(|| value.display().to_string()),
        false => Some(in_words(flag, Some(value))),
    });
    let before = before.collect::<Vec<_>>().join(", ");
    if before.is_empty() { before } else { format!(" (was {before})") }
}

fn in_words(flag: &str, value: Option<&OsString>) -> String {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => format!("{flag} {}", value.display()),
        None => flag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;
    use crate::cli::repeat::typed::typed_flags;

    fn command() -> Command {
        let with_value = [
            "config", "out", "seed", "set", "data", "range", "threads", "lr", "labels", "cache", "model",
            "depths",
        ];
        let switches =
            ["quick", "fast-decode"].map(|name| Arg::new(name).long(name).action(ArgAction::SetTrue));
        let fraction = Arg::new("fraction").long("fraction").conflicts_with("labels");
        Command::new("pretrain")
            .args(with_value.map(|name| Arg::new(name).long(name)))
            .args(switches)
            .arg(fraction)
            .mut_arg("fast-decode", |fast| fast.conflicts_with("cache"))
    }

    fn described(line: &str, recorded: &[Argument]) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        overrides(&command(), &typed_flags(&words, &command()), recorded)
    }

    #[test]
    fn what_is_typed_is_named_with_what_it_replaces() {
        let seed = [("--seed", "1".into())];
        let line = "convnext pretrain --config=run --out x --seed 3 --quick -v --threads 2";
        assert_eq!(described(line, &seed), "--seed 3 (was 1), --quick");
        let twice = "--set a=1 --set b=2 --range 0,1 --range -1,2";
        assert_eq!(described(twice, &seed), "--set a=1, --set b=2, --range 0,1, --range -1,2");
    }

    #[test]
    fn what_is_typed_as_it_was_recorded_is_not_named() {
        let recorded = [("--data", "d/g16".into()), ("--seed", "1".into()), ("--fast-decode", "".into())];
        assert_eq!(described("--data d/g16/ --seed=1 --fast-decode --lr 1", &recorded), "--lr 1");
    }

    #[test]
    fn stages_give_way_to_another_model() {
        let recorded = [("--model", "micro".into()), ("--depths", "1,1,2,1".into()), ("--seed", "1".into())];
        assert_eq!(described("--model atto", &recorded), "--model atto (was micro, --depths 1,1,2,1)");
    }

    #[test]
    fn what_does_not_go_together_gives_way() {
        let recorded = [("--fraction", "0.5".into()), ("--fast-decode", "".into())];
        let said = described("--labels 4 --cache ram", &recorded);
        assert_eq!(said, "--labels 4 (was --fraction 0.5), --cache ram (was --fast-decode)");
        assert_eq!(
            described("--fraction 0.1", &[("--labels", "4".into())]),
            "--fraction 0.1 (was --labels 4)"
        );
        assert_eq!(described("--cache ram", &[]), "");
    }
}
