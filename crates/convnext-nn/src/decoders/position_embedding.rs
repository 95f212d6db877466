//! The fixed position embedding of MAE: sines and cosines of the coordinates of patches.
//!
//! Follows `get_2d_sincos_pos_embed` of github.com/facebookresearch/mae, `util/pos_embed.py` (CC BY-NC 4.0; the formula,
//! not the text). What is different: maps may be wider than high, and there is no class token.

/// The lowest frequency is 1 over almost this.
const LARGEST_PERIOD: f64 = 10_000.0;

/// The embedding of each patch of a map, row by row, `[height * width, channels]`: the first half of the channels embeds the
/// column and the second the row, each half first sines, then cosines. `channels` is a multiple of 4.
pub(crate) fn position_embedding([height, width]: [usize; 2], channels: usize) -> Vec<f32> {
    let count = channels / 4;
    let frequencies: Vec<f64> =
        (0..count).map(|index| LARGEST_PERIOD.powf(-(index as f64) / count as f64)).collect();
    let embed = |place: usize| {
        let angles = frequencies.iter().map(move |frequency| place as f64 * frequency);
        angles.clone().map(f64::sin).chain(angles.map(f64::cos))
    };
    let of_patch = |patch: usize| embed(patch % width).chain(embed(patch / width));
    (0..height * width).flat_map(of_patch).map(|value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get_2d_sincos_pos_embed` for 8 channels: frequencies 1 and 1/100.
    #[test]
    fn columns_come_before_rows_and_sines_before_cosines() {
        let found = position_embedding([2, 3], 8);
        assert_eq!(found[..8], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        let [one, hundredth] = [1.0_f64, 0.01];
        let of_one = [one.sin(), hundredth.sin(), one.cos(), hundredth.cos()].map(|value| value as f32);
        // The second patch of the first row, and the first of the second row.
        assert_eq!(found[8..16], [&of_one[..], &[0.0, 0.0, 1.0, 1.0]].concat());
        assert_eq!(found[24..32], [&[0.0, 0.0, 1.0, 1.0][..], &of_one].concat());
    }
}
