//! Batch size and gradient accumulation that were asked for, as far as the default recipe follows them.

/// Batch size and gradient accumulation that were asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AskedBatch {
    /// Images of a batch; `None` leaves them to the recipe.
    pub size: Option<usize>,
    /// Batches of a step; `None` leaves them to the recipe.
    pub accumulate: Option<usize>,
    /// `true` if the batch becomes another one once the recipe is made, which does not know it.
    pub is_found_later: bool,
}

impl AskedBatch {
    /// Images of a step where the default's batch has `of_auto`.
    pub fn images_per_step(self, of_auto: usize) -> usize {
        self.size.unwrap_or(of_auto).saturating_mul(self.accumulate.unwrap_or(1))
    }

    /// The same in words, such as `a batch size of 16`.
    pub fn in_words(self, of_auto: usize) -> String {
        let whose = if self.is_found_later { "auto's" } else { "a" };
        let size = format!("{whose} batch size of {}", self.size.unwrap_or(of_auto));
        match self.accumulate {
            None | Some(1) => size,
            Some(batches) => format!("{batches} times {size}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_what_was_asked_for() {
        let of = |size, accumulate, is_found_later| {
            let asked = AskedBatch { size, accumulate, is_found_later };
            (asked.images_per_step(16), asked.in_words(16))
        };
        assert_eq!(of(None, None, false), (16, "a batch size of 16".to_owned()));
        assert_eq!(of(Some(8), Some(1), false), (8, "a batch size of 8".to_owned()));
        assert_eq!(of(None, Some(4), false), (64, "4 times a batch size of 16".to_owned()));
        assert_eq!(of(None, None, true), (16, "auto's batch size of 16".to_owned()));
    }
}
