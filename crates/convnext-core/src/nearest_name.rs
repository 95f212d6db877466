//! The name that somebody probably meant, for messages about unknown names.

use strsim::osa_distance;

/// The shortest part of a name that says which one is meant.
const TELLING: usize = 4;

/// The most letters that may differ: names such as `paper-tiny` and `paper-nano` have much in common.
const MAX_TYPOS: usize = 2;

/// A suggestion for a message about the unknown `name`: `; did you mean 'atto'?`, or nothing where no known name is
/// similar.
///
/// A name is similar when a third of its letters differ, at most two, or when one of the two contains the other, as in
/// `convnextv2_atto`.
///
/// ```
/// use convnext_core::did_you_mean;
///
/// assert_eq!(did_you_mean("ato", ["atto", "tiny"]), "; did you mean 'atto'?");
/// assert_eq!(did_you_mean("giant", ["atto", "tiny"]), "");
/// ```
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or(String::new(), |meant| format!("; did you mean '{meant}'?"))
}

fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let known: Vec<(&str, String)> = known
        .into_iter()
        .map(|known| (known, known.to_lowercase()))
        .filter(|(_, lower)| !lower.is_empty())
        .collect();
    let typo = (known.iter().map(|(original, lower)| (osa_distance(&name, lower), *original)))
        .filter(|(distance, _)| {
            *distance <= ((name.chars().count() + 1) / 3).clamp(1, MAX_TYPOS) && *distance < name.len()
        })
        .min_by_key(|(distance, _)| *distance);
    let part_of_name = || {
        let parts = known.iter().filter(|(_, lower)| lower.len() >= TELLING && name.contains(lower.as_str()));
        parts.max_by_key(|(_, lower)| lower.len())
    };
    let longer = || {
        let longer = known.iter().filter(|(_, lower)| name.len() >= TELLING && lower.contains(&name));
        longer.min_by_key(|(_, lower)| lower.len())
    };
    typo.map(|(_, meant)| meant).or_else(|| part_of_name().or_else(longer).map(|(meant, _)| *meant))
}

/// The suggestion for what serde says about an unknown key or value: ``unknown field `epoch`, expected one of `epochs`,
/// `steps` ``; nothing for other messages.
pub fn did_you_mean_of_serde(message: &str) -> String {
    let Some(start) = ["unknown field `", "unknown variant `"].iter().find_map(|start| message.find(start))
    else {
        return String::new();
    };
    // Every second piece stands between two marks.
    let mut quoted = message[start..].split('`').skip(1).step_by(2);
    quoted.next().map_or(String::new(), |name| did_you_mean(name, quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_names_of_other_programs_are_understood() {
        let models = ["atto", "femto", "tiny", "base", "v1-atto", "v1-tiny", "v1-small", "micro"];
        for (name, meant) in [
            ("ato", Some("atto")),
            ("Atto", Some("atto")),
            ("v1_tiny", Some("v1-tiny")),
            ("bsae", Some("base")),
            ("convnextv2_tiny", Some("tiny")),
            ("small", Some("v1-small")),
            ("giant", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, models), meant, "{name}");
        }
    }

    #[test]
    fn messages_of_serde_name_what_was_expected() {
        let message = "unknown field `epoch`, expected one of `batch_size`, `epochs`, `steps`\n";
        assert_eq!(did_you_mean_of_serde(message), "; did you mean 'epochs'?");
        assert_eq!(
            did_you_mean_of_serde("unknown variant `singel`, expected `single` or `group`"),
            "; did you mean 'single'?"
        );
        assert_eq!(did_you_mean_of_serde("missing field `epochs`"), "");
    }
}
