//! Shares in percent, for tables.

use convnext::train::ClassScores;

/// Precision, recall and F1 in percent; a dash where there is none.
pub(super) fn percents(scores: ClassScores) -> Vec<String> {
    [scores.precision, scores.recall, scores.f1].map(percent).to_vec()
}

/// A share in percent; a dash where there is none.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", 100.0 * share))
}
