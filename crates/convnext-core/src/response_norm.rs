//! GRN and its rivals in its place in the block (paper section 4, Tables 2 and 16; docs/facts.md, "GRN", "GRN
//! ablations").

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// The normalisation of the hidden channels, after the GELU of a block.
///
/// Notation: X are the hidden channels of an image, `[sites, 4C]`, gamma and beta learned, `[4C]`, and zero in a fresh
/// block. G aggregates each channel over the sites, N normalises over the channels. Sites are the kept ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseNorm {
    /// Global Response Normalization: `gamma X N(G(X)) + beta + X` with G the L2 norm, and N the division by the mean
    /// over the channels (paper equations 1 to 3).
    Grn,
    /// GRN with G the mean over the sites, which has a sign; N divides by the mean of the absolute values, because a
    /// mean of signed ones may vanish (Table 2a).
    GrnAverage,
    /// GRN with G the L1 norm (Table 2a).
    GrnL1,
    /// GRN with N the standardisation: less the mean over the channels, over their standard deviation (Table 2b).
    GrnStandardised,
    /// GRN with N the division by the sum over the channels, as equation 2 is printed (Table 2b).
    GrnSum,
    /// GRN without the residual: `gamma X N(G(X)) + beta` (Table 2c).
    GrnNoResidual,
    /// GRN without N: `gamma X G(X) + beta + X` (Table 16b).
    GrnNoNorm,
    /// GRN without G: `gamma X N(X) + beta + X`, where N divides each value by the mean over the channels of its site.
    /// That mean may vanish: the row that the paper calls unstable (Table 16c).
    GrnNoPool,
    /// Neither G nor N: `gamma X + beta + X` (Table 16a).
    Identity,
    /// Local Response Normalization with AlexNet's constants: each value over a power of the sum of squares of five
    /// neighbouring channels (Table 2d). It has no parameters.
    Lrn,
    /// Batch norm over the kept sites of a batch, with scale and shift (Table 2d).
    Bn,
    /// LayerNorm over the channels of each site, with scale and shift (Table 2d).
    Ln,
    /// Squeeze and excite: a gate for each channel of an image (Table 2e).
    Se,
    /// Convolutional block attention: a gate for each channel of an image, then one for each site (Table 2e).
    Cbam,
}

impl ResponseNorm {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 14] = [
        Self::Grn,
        Self::GrnAverage,
        Self::GrnL1,
        Self::GrnStandardised,
        Self::GrnSum,
        Self::GrnNoResidual,
        Self::GrnNoNorm,
        Self::GrnNoPool,
        Self::Identity,
        Self::Lrn,
        Self::Bn,
        Self::Ln,
        Self::Se,
        Self::Cbam,
    ];

    /// The name of a block without any, on the command line.
    pub const NONE: &str = "none";

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grn => "grn",
            Self::GrnAverage => "grn-average",
            Self::GrnL1 => "grn-l1",
            Self::GrnStandardised => "grn-standardised",
            Self::GrnSum => "grn-sum",
            Self::GrnNoResidual => "grn-no-residual",
            Self::GrnNoNorm => "grn-no-norm",
            Self::GrnNoPool => "grn-no-pool",
            Self::Identity => "identity",
            Self::Lrn => "lrn",
            Self::Bn => "bn",
            Self::Ln => "ln",
            Self::Se => "se",
            Self::Cbam => "cbam",
        }
    }

    /// Its name in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Grn => "GRN",
            Self::GrnAverage => "GRN by averages",
            Self::GrnL1 => "GRN by L1 norms",
            Self::GrnStandardised => "GRN by standardisation",
            Self::GrnSum => "GRN by sums",
            Self::GrnNoResidual => "GRN without its residual",
            Self::GrnNoNorm => "GRN without its normalisation",
            Self::GrnNoPool => "GRN without its aggregation",
            Self::Identity => "the identity with GRN's parameters",
            Self::Lrn => "local response normalisation",
            Self::Bn => "batch norm",
            Self::Ln => "LayerNorm",
            Self::Se => "squeeze and excite",
            Self::Cbam => "CBAM",
        }
    }

    /// The one of this name; `None` for [`Self::NONE`].
    ///
    /// # Errors
    /// [`ConfigError::UnknownResponseNorm`] with all names that exist.
    pub fn find(name: &str) -> Result<Option<Self>, ConfigError> {
        if name == Self::NONE {
            return Ok(None);
        }
        Self::ALL.into_iter().find(|norm| norm.name() == name).map(Some).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).into_iter().chain([Self::NONE]).collect::<Vec<_>>();
            ConfigError::UnknownResponseNorm { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// `true` if its parameters are GRN's scale and shift.
    pub const fn has_grn_parameters(self) -> bool {
        match self {
            Self::Grn
            | Self::GrnAverage
            | Self::GrnL1
            | Self::GrnStandardised
            | Self::GrnSum
            | Self::GrnNoResidual
            | Self::GrnNoNorm
            | Self::GrnNoPool
            | Self::Identity => true,
            Self::Lrn | Self::Bn | Self::Ln | Self::Se | Self::Cbam => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_and_are_found() {
        for norm in ResponseNorm::ALL {
            assert_eq!(serde_json::to_string(&norm).unwrap(), format!("\"{}\"", norm.name()));
            assert_eq!(ResponseNorm::find(norm.name()), Ok(Some(norm)));
        }
        assert_eq!(ResponseNorm::find("none"), Ok(None));
        let error = ResponseNorm::find("gnr").unwrap_err().to_string();
        assert!(error.contains("'gnr'") && error.contains("did you mean 'grn'"), "{error}");
        assert!(error.contains("grn-no-pool, identity, lrn, bn, ln, se, cbam, none"), "{error}");
    }
}
