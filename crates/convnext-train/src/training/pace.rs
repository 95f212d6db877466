//! Pace of a run: the time of its steps, and the time that is left.

use std::time::Instant;

use convnext_core::counted;

use crate::words::duration_in_words;

/// First steps of a process that are not timed: they fill caches and pools, and tune kernels.
pub(crate) const WARM_UP: usize = 2;

/// Timed steps after which a duration is said.
const ENOUGH_STEPS: usize = 10;

/// Seconds after which it is said with fewer.
const ENOUGH_SECONDS: f64 = 10.0;

/// Time of the steps of this process, with everything between them, such as validations.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Steps, the warm-up's included.
    steps: usize,
    /// End of the warm-up.
    since: Option<Instant>,
    /// Images of the timed steps.
    images: usize,
    is_told: bool,
}

impl Pace {
    /// Takes notice of a step that was just made.
    pub(crate) fn step(&mut self, images: usize) {
        self.steps += 1;
        match self.since {
            None if self.steps >= WARM_UP => self.since = Some(Instant::now()),
            None => {}
            Some(_) => self.images += images,
        }
    }

    /// Steps after the warm-up, and the seconds since then; `None` before there are any.
    fn timed(&self) -> Option<(usize, f64)> {
        let steps = self.steps.checked_sub(WARM_UP).filter(|&steps| steps > 0)?;
        Some((steps, self.since?.elapsed().as_secs_f64()))
    }

    /// Seconds that so many steps take; `None` as long as too little is known.
    pub(crate) fn seconds_of(&self, steps: usize) -> Option<f64> {
        let (timed, seconds) = self.timed()?;
        Some(seconds / timed as f64 * steps as f64)
    }

    /// `true` if enough steps were timed.
    pub(crate) fn is_known(&self) -> bool {
        self.timed().is_some_and(|(steps, seconds)| steps >= ENOUGH_STEPS || seconds >= ENOUGH_SECONDS)
    }

    /// Images a second; 0 as long as no step was timed.
    pub(crate) fn images_per_second(&self) -> f64 {
        self.timed().map_or(0.0, |(_, seconds)| self.images as f64 / seconds)
    }

    /// The duration of the run in words, once: as soon as it is known, before `left` more steps are made.
    pub(crate) fn estimate(&mut self, left: usize, resumed: bool) -> Option<String> {
        if self.is_told || left == 0 || !self.is_known() {
            return None;
        }
        self.is_told = true;
        let all = self.steps + left;
        let duration = duration_in_words(self.seconds_of(all)?);
        let speed = self.images_per_second();
        let rest = if resumed { "the rest, " } else { "" };
        Some(format!("about {duration} for {rest}{}, at {speed:.1} img/s", counted(all, "step", "steps")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_do_not_count_and_the_duration_is_said_once() {
        let mut pace = Pace::default();
        let said: Vec<bool> = (0..20_usize)
            .map(|step| {
                pace.step(4);
                pace.estimate(19 - step, false).is_some()
            })
            .collect();
        assert_eq!(said.iter().position(|&said| said), Some(WARM_UP + ENOUGH_STEPS - 1));
        assert_eq!(said.iter().filter(|&&said| said).count(), 1);
        assert_eq!(pace.images, 4 * 18);
    }

    #[test]
    fn a_run_that_is_over_has_no_duration_to_come() {
        let mut pace = Pace::default();
        (0..20).for_each(|_| pace.step(1));
        assert_eq!(pace.estimate(0, false), None);
        assert!(pace.estimate(5, true).unwrap().contains("for the rest, 25 steps, at"));
        assert_eq!(Pace::default().seconds_of(3), None);
    }
}
