//! Products and sums of counts. What is beyond 64 bits is the largest number instead of a wrong one.

/// The product of these counts; [`u64::MAX`] where it is larger.
pub(crate) fn product<const N: usize>(factors: [u64; N]) -> u64 {
    factors.into_iter().fold(1, u64::saturating_mul)
}

/// The sum of these counts; [`u64::MAX`] where it is larger.
pub(crate) fn sum(terms: impl IntoIterator<Item = u64>) -> u64 {
    terms.into_iter().fold(0, u64::saturating_add)
}
