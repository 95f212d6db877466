//! What Global Response Normalization makes of the L2 norms of the channels, and its variants (paper Tables 2 and 16).
//!
//! Notation: E channels, G their norms over the kept sites of an image, M the mean of G with an epsilon.

use crate::epsilon::EPSILON;

/// GRN, or a variant of it that has the same norms: `gamma X N(G) + beta`, and `+ X` with a residual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrnVariant {
    /// N.
    pub normalisation: Normalisation,
    /// `true` for GRN itself (Table 2c).
    pub is_residual: bool,
}

/// N of a GRN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalisation {
    /// `G / M`, which is GRN's.
    Mean,
    /// `(G - mean) / deviation` over the channels (Table 2b).
    Standardised,
    /// `1 / M`, one factor for all channels (Table 2b).
    Sum,
    /// `G` itself (Table 16b).
    Norm,
    /// 1, whatever G is (Table 16a).
    One,
}

impl GrnVariant {
    /// GRN itself.
    pub const GRN: Self = Self { normalisation: Normalisation::Mean, is_residual: true };

    /// The factor of X without that of the beta.
    pub(crate) fn scale(self, gamma: f32, factor: f32) -> f32 {
        if self.is_residual { 1.0 + gamma * factor } else { gamma * factor }
    }
}

impl Normalisation {
    /// Writes N of an image's norms into `factors`; gives what they were divided by.
    pub(crate) fn normalise(self, norms: &[f32], factors: &mut [f32]) -> f32 {
        let mean = mean(norms.iter().copied());
        let divisor = mean as f32 + EPSILON;
        let map = |factors: &mut [f32], of: &dyn Fn(f32) -> f32| {
            factors.iter_mut().zip(norms).for_each(|(factor, norm)| *factor = of(*norm));
        };
        match self {
            Self::Mean => map(factors, &|norm| norm / divisor),
            Self::Standardised => {
                let squares = norms.iter().map(|norm| (f64::from(*norm) - mean).powi(2)).sum::<f64>();
                let deviation = (squares / norms.len() as f64 + f64::from(EPSILON)).sqrt();
                map(factors, &|norm| ((f64::from(norm) - mean) / deviation) as f32);
                return deviation as f32;
            }
            Self::Sum => map(factors, &|_| 1.0 / divisor),
            Self::Norm => map(factors, &|norm| norm),
            Self::One => map(factors, &|_| 1.0),
        }
        divisor
    }

    /// Writes `dG / G` into `through`, from dN of an image, its norms, N, and what [`Self::normalise`] gave.
    ///
    /// - `G / M`: `dG = dN / M - (sum of dN G) / (E M^2)`
    /// - standardised, by the deviation d: `dG = (dN - mean of dN - N mean of (dN N)) / d`
    /// - `1 / M`: `dG = -(sum of dN) / (E M^2)`
    pub(crate) fn backward(
        self,
        gradients: &[f32],
        [norms, factors]: [&[f32]; 2],
        divisor: f32,
        through: &mut [f32],
    ) {
        let values = || gradients.iter().zip(norms).zip(factors);
        let write = |through: &mut [f32], of: &dyn Fn(f32, f32, f32) -> f32| {
            for (through, ((gradient, norm), factor)) in through.iter_mut().zip(values()) {
                *through = of(*gradient, *norm, *factor) / norm;
            }
        };
        match self {
            Self::Mean => {
                let weighted = mean(values().map(|((gradient, norm), _)| gradient * norm));
                let common = weighted as f32 / (divisor * divisor);
                write(through, &|gradient, _, _| gradient / divisor - common);
            }
            Self::Standardised => {
                let shift = mean(gradients.iter().copied()) as f32;
                let slope = mean(values().map(|((gradient, _), factor)| gradient * factor)) as f32;
                write(through, &|gradient, _, factor| (gradient - shift - factor * slope) / divisor);
            }
            Self::Sum => {
                let common = mean(gradients.iter().copied()) as f32 / (divisor * divisor);
                write(through, &|_, _, _| -common);
            }
            Self::Norm => write(through, &|gradient, _, _| gradient),
            Self::One => through.fill(0.0),
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = values.len();
    values.map(f64::from).sum::<f64>() / count as f64
}
