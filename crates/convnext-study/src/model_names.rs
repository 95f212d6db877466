//! Placeholders for the models of a study: `{model}` is the first one, `{model2}` the second one, and so on.

const OPEN: &str = "{model";

/// The numbers of the models that a text asks for, from 1.
pub(crate) fn placeholders(text: &str) -> Vec<usize> {
    text.split(OPEN).skip(1).filter_map(|rest| number(rest).map(|(number, _)| number)).collect()
}

/// A text with the names of models in place of placeholders; `None` where it asks for one that there is not.
pub(crate) fn filled(text: &str, models: &[String]) -> Option<String> {
    let mut parts = text.split(OPEN);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match number(part) {
            Some((number, rest)) => {
                filled += models.get(number.checked_sub(1)?)?;
                filled += rest;
            }
            None => {
                filled += OPEN;
                filled += part;
            }
        }
    }
    Some(filled)
}

/// The number before a closing brace, 1 if there is none, and what follows.
fn number(rest: &str) -> Option<(usize, &str)> {
    let (digits, rest) = rest.split_once('}')?;
    let number = if digits.is_empty() { Some(1) } else { digits.parse().ok() };
    Some((number?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_filled_in_by_their_places() {
        let models = ["atto", "tiny"].map(str::to_owned);
        for (text, expected) in [
            ("v1-{model}", Some("v1-atto")),
            ("{model2} and {model}", Some("tiny and atto")),
            ("{model3}", None),
            ("{model0}", None),
            ("{modelling}", Some("{modelling}")),
        ] {
            assert_eq!(filled(text, &models).as_deref(), expected, "{text}");
        }
        assert_eq!(placeholders("{model} {model3} {models}"), [1, 3]);
    }
}
