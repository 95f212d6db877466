//! Position of a parameter in a backbone.

/// The part of a backbone that a parameter belongs to, by its official name (facts B1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackbonePart {
    /// The stem, which is downsampling 0, or the downsampling before another stage.
    Downsampling {
        /// The stage after it.
        stage: usize,
    },
    /// A block.
    Block {
        /// Its stage.
        stage: usize,
        /// Its place in the stage.
        block: usize,
    },
    /// Norms of the outputs, and everything that is no backbone.
    Outside,
}

/// Prefix of a backbone's names inside of a larger network, in OpenMMLab's files (facts B6).
const PREFIX: &str = "backbone.";

impl BackbonePart {
    /// The part of a name, with or without `backbone.` before it.
    pub(crate) fn of(name: &str) -> Self {
        let mut parts = name.strip_prefix(PREFIX).unwrap_or(name).split('.');
        let part = parts.next();
        let mut number = || parts.next().and_then(|text| text.parse::<usize>().ok());
        match (part, number(), number()) {
            (Some("downsample_layers"), Some(stage), _) => Self::Downsampling { stage },
            (Some("stages"), Some(stage), Some(block)) => Self::Block { stage, block },
            _ => Self::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_part_with_and_without_a_prefix() {
        let block = BackbonePart::Block { stage: 2, block: 14 };
        for (name, expected) in [
            ("downsample_layers.0.1.bias", BackbonePart::Downsampling { stage: 0 }),
            ("downsample_layers.3.0.weight", BackbonePart::Downsampling { stage: 3 }),
            ("stages.2.14.grn.gamma", block),
            ("stages.2.14", block),
            ("norm.weight", BackbonePart::Outside),
            ("norm3.weight", BackbonePart::Outside),
            ("head.bias", BackbonePart::Outside),
            ("mask_token", BackbonePart::Outside),
            ("stages.weight", BackbonePart::Outside),
        ] {
            assert_eq!(BackbonePart::of(name), expected, "{name}");
            assert_eq!(BackbonePart::of(&format!("{PREFIX}{name}")), expected, "{name} with its prefix");
            assert_eq!(BackbonePart::of(&format!("neck.{name}")), BackbonePart::Outside, "{name} of a neck");
        }
    }
}
