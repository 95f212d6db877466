//! The official PyTorch names of parameters ("B. Checkpoint formats" in `docs/facts.md`).
//!
//! Parameters already have PyTorch's shapes; only stem, downsampling layers, two layers of a decode head, and some of a
//! detector have other names in PyTorch.

use crate::state::STATE_CONTAINER;

/// The type of [`crate::Counter`] as Burn passes it to visitors; it has no crate, so no other type may have
/// this name.
const COUNTER_CONTAINER: &str = "Struct:Counter";

/// The official name of a parameter from its path in our modules:
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
        ["stage_norms", index, leaf] => format!("norm{index}.{leaf}"),
        // The kind of a decoder is no part of the names of its layers; the paper's has nothing but blocks.
        ["decoder", "ConvNext", "blocks", rest @ ..] => format!("decoder.{}", rest.join(".")),
        ["decoder", _, rest @ ..] => format!("decoder.{}", rest.join(".")),
        // A sequence in PyTorch, whose first part is the pool.
        ["decode_head", "psp_modules", index, rest @ ..] => {
            format!("decode_head.psp_modules.{index}.1.{}", rest.join("."))
        }
        // mmcv's `ConvModule`s.
        ["neck", layers, index, leaf] => format!("neck.{layers}.{index}.conv.{leaf}"),
        ["mask_head", "convs", index, leaf] => format!("roi_head.mask_head.convs.{index}.conv.{leaf}"),
        ["mask_head", rest @ ..] => format!("roi_head.mask_head.{}", rest.join(".")),
        ["box_head", rest @ ..] => format!("roi_head.bbox_head.{}", rest.join(".")),
        other => other.join("."),
    };
    format!("{prefix}{name}")
}

/// A visitor's path in a model.
#[derive(Default)]
pub(crate) struct Path {
    names: Vec<String>,
    /// Enclosing states.
    states: usize,
    /// Enclosing counters.
    counters: usize,
}

impl Path {
    /// Enters a submodule. A [`crate::ModelState`] or [`crate::Counter`] adds nothing to the names of its
    /// contents.
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

    /// The official name at this path.
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
