//! The epsilon that both normalisations share.

/// Epsilon of LayerNorm's variance and of GRN's mean norm.
pub(crate) const EPSILON: f32 = 1e-6;
