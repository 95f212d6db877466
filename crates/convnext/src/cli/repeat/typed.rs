//! Flags and values of a command line as it was typed.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// A flag as it was typed, such as `--seed`, with its value if it takes one.
#[derive(Debug, PartialEq)]
pub(super) struct TypedFlag {
    pub(super) flag: String,
    pub(super) value: Option<OsString>,
}

/// The long flags among the words of a command line, from left to right. The command knows which of them take the next
/// word for their value, whatever that looks like.
pub(super) fn typed_flags(words: &[OsString], command: &Command) -> Vec<TypedFlag> {
    let takes_value = |flag: &str| {
        let named = |argument: &&clap::Arg| argument.get_long() == flag.strip_prefix("--");
        command.get_arguments().find(named).is_some_and(|argument| argument.get_action().takes_values())
    };
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        // A path that is no Unicode has to stand beside its flag.
        let Some(word) = word.to_str().filter(|word| word.starts_with("--")) else { continue };
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.into())),
            None => (word, takes_value(word).then(|| words.next().cloned()).flatten()),
        };
        found.push(TypedFlag { flag: flag.to_owned(), value });
    }
    found
}

/// `true` if a flag is typed.
pub(super) fn has_flag(typed: &[TypedFlag], flag: &str) -> bool {
    typed.iter().any(|typed| typed.flag == flag)
}

/// Value of a typed flag.
pub(super) fn value_of<'t>(typed: &'t [TypedFlag], flag: &str) -> Option<&'t OsStr> {
    typed.iter().find(|typed| typed.flag == flag)?.value.as_deref()
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn flags_are_found_with_their_values() {
        let words = "convnext finetune --seed=3 --data --odd --quick -v --range -1,2 --set a=1 --set b=2";
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        let with_value = ["seed", "data", "range", "set"].map(|name| Arg::new(name).long(name));
        let quick = Arg::new("quick").long("quick").action(ArgAction::SetTrue);
        let typed = typed_flags(&words, &Command::new("finetune").args(with_value).arg(quick));
        let found: Vec<(&str, Option<&str>)> = (typed.iter())
            .map(|typed| (&*typed.flag, typed.value.as_ref().and_then(|value| value.to_str())))
            .collect();
        let expected = [
            ("--seed", Some("3")),
            ("--data", Some("--odd")),
            ("--quick", None),
            ("--range", Some("-1,2")),
            ("--set", Some("a=1")),
            ("--set", Some("b=2")),
        ];
        assert_eq!(found, expected);
        assert_eq!(value_of(&typed, "--data"), Some("--odd".as_ref()));
        assert!(has_flag(&typed, "--quick") && !has_flag(&typed, "--odd") && !has_flag(&typed, "--see"));
    }
}
