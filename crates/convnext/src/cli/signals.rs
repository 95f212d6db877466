//! Signals that ask for an early end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use convnext::train::Interruption;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use super::ending::EXIT_INTERRUPTED;

/// The signals that came so far.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    requeue: Arc<AtomicBool>,
}

impl Signals {
    /// Catches Ctrl-C and SIGTERM, which ask for a stop, and SIGUSR1, by which schedulers ask for room. A second Ctrl-C or SIGTERM
    /// ends the program at once, unless it `is_launched`: a launcher may send a signal that reached the ranks already.
    ///
    /// # Errors
    /// When the system does not let signals be caught.
    pub(crate) fn catch(is_launched: bool) -> io::Result<Self> {
        let signals = Self { stop: Arc::default(), requeue: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            if !is_launched {
                // In this order: the first one looks at the flag before the second one sets it.
                let code = i32::from(EXIT_INTERRUPTED);
                register_conditional_shutdown(signal, code, Arc::clone(&signals.stop))?;
            }
            register(signal, Arc::clone(&signals.stop))?;
        }
        #[cfg(unix)]
        register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.requeue))?;
        Ok(signals)
    }

    /// What was asked for.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        let asked = |flag: &AtomicBool, meaning| flag.load(Ordering::Relaxed).then_some(meaning);
        asked(&self.requeue, Interruption::Requeue).or_else(|| asked(&self.stop, Interruption::Stop))
    }
}
