//! The official PyTorch names of parameters (facts B1, B2).
//!
//! Parameters already have PyTorch's shapes; only the downsampling layers are called otherwise in PyTorch.

use crate::counter::COUNTER_CONTAINER;
use crate::state::STATE_CONTAINER;

/// The official name of a parameter for its path in our modules:
/// `encoder.downsampling.0.conv.weight` is `encoder.downsample_layers.1.1.weight`.
fn official_name(path: &[String]) -> String {
    let parts: Vec<&str> = path.iter().map(String::as_str).filter(|&part| part != "backbone").collect();
    let (prefix, rest) = match parts.split_first() {
        Some((&"encoder", rest)) => ("encoder.", rest),
        _ => ("", &parts[..]),
    };
    let name = match rest {
        ["stem", "conv", leaf] => format!("downsample_layers.0.0.{leaf}"),
        ["stem", "norm", leaf] => format!("downsample_layers.0.1.{leaf}"),
        ["downsampling", index, layer, leaf] => {
            let stage = index.parse::<usize>().map_or_else(|_| (*index).to_owned(), |i| (i + 1).to_string());
            format!("downsample_layers.{stage}.{}.{leaf}", usize::from(*layer == "conv"))
        }
        other => other.join("."),
    };
    format!("{prefix}{name}")
}

/// Where in a model a visitor is.
#[derive(Default)]
pub(crate) struct Path {
    names: Vec<String>,
    /// States around it.
    states: usize,
    /// Counters around it.
    counters: usize,
}

impl Path {
    /// Goes into a part of a module. What a [`crate::ModelState`] or a [`crate::Counter`] holds is called as if that were
    /// not there.
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        match container {
            STATE_CONTAINER => self.states += 1,
            COUNTER_CONTAINER => self.counters += 1,
            _ => self.names.push(name.to_owned()),
        }
    }

    pub(crate) fn leave(&mut self, container: &str) {
        match container {
            STATE_CONTAINER => self.states -= 1,
            COUNTER_CONTAINER => self.counters -= 1,
            _ => drop(self.names.pop()),
        }
    }

    /// The official name of what lies here.
    pub(crate) fn official_name(&self) -> String {
        official_name(&self.names)
    }

    pub(crate) fn is_in_state(&self) -> bool {
        self.states > 0
    }

    pub(crate) fn is_in_counter(&self) -> bool {
        self.counters > 0
    }
}
