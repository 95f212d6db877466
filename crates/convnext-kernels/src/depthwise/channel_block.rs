//! The channels of one register, and the zero-padded map of a band that they are copied into.

use pulp::Simd;

use crate::bands::{BORDER, Band, Bands, SIDE};
use crate::lanes::load;

/// Taps of a channel.
pub(crate) const TAPS: usize = SIDE * SIDE;

/// One register's channels of all rows.
pub(crate) struct ChannelBlock<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) channels: usize,
    /// The first channel.
    pub(crate) first_channel: usize,
}

impl ChannelBlock<'_> {
    #[inline(always)]
    pub(crate) fn load<S: Simd>(&self, simd: S, row: usize) -> S::f32s {
        load(simd, &self.rows[row * self.channels..][..self.channels], self.first_channel)
    }
}

/// Copies the sites in the receptive field of a band into its map. Sites that are not kept stay 0.
#[inline(always)]
pub(crate) fn fill<S: Simd>(
    simd: S,
    bands: &Bands,
    band: &Band,
    block: &ChannelBlock<'_>,
    map: &mut [S::f32s],
) {
    for run in bands.around(band) {
        let place = (run.y + BORDER - band.height.start) * bands.stride() + run.x + BORDER;
        for (row, site) in (run.row..).zip(&mut map[place..][..run.sites]) {
            *site = block.load(simd, row);
        }
    }
}
