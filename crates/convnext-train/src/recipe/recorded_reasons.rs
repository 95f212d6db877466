//! Claim and reasons of a recipe that is used once more, as a run recorded it.

use super::given::Given;

/// Keys that a rate is made for.
const OF_STEP: [&str; 2] = ["training.batch_size", "training.accumulate"];

/// The claim and the reasons of a named recipe that are true of a training with these settings.
pub(super) fn still_true(claim: String, reasons: Vec<String>, given: &Given) -> (String, Vec<String>) {
    if let Some(claim) = &given.other_claim {
        return (claim.clone(), Vec::new());
    }
    (claim, reasons.into_iter().filter(|reason| is_still_true(reason, given)).collect())
}

/// A reason begins with its key: that of a rule goes on with ` =`, that of a given value with a colon.
fn is_still_true(reason: &str, given: &Given) -> bool {
    let key = reason.split([' ', ':']).next().unwrap_or_default();
    let has_other_step = given.batch_is_found_later || OF_STEP.iter().any(|key| given.is_given(key));
    let is_rate_of_step = key.ends_with("learning_rate") && reason.contains("batch size of");
    let is_outdated = given.is_given(key) || (has_other_step && is_rate_of_step);
    !is_outdated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::given::Setting;

    const RATE: &str =
        "from_scratch.learning_rate = 0.1: for 0.3 M parameters and a batch size of 8, from scratch";

    fn kept(given: &Given) -> (String, Vec<String>) {
        let reasons = [RATE, "training.batch_size: 8 from --batch-size", "training.epochs = 3: few images"];
        still_true("Made.".to_owned(), reasons.map(str::to_owned).to_vec(), given)
    }

    #[test]
    fn reasons_for_what_is_given_anew_go() {
        let of = |given: &Given| kept(given).1;
        assert_eq!(of(&Given::default()).len(), 3);
        let batch = vec![Setting::new("training.batch_size", 4, "--batch-size")];
        assert_eq!(of(&Given { flags: batch, ..Given::default() }), ["training.epochs = 3: few images"]);
        let settings = ["training.learning_rate=1", "training.steps=9"].map(str::to_owned).to_vec();
        let left = of(&Given { settings, ..Given::default() });
        assert_eq!(left, ["training.batch_size: 8 from --batch-size"]);
        assert!(!of(&Given { batch_is_found_later: true, ..Given::default() }).contains(&RATE.to_owned()));
    }

    #[test]
    fn nothing_of_another_training_is_true_of_this_one() {
        let given = Given { other_claim: Some("As in r1.".to_owned()), ..Given::default() };
        assert_eq!(kept(&given), ("As in r1.".to_owned(), Vec::new()));
    }
}
