//! Feature cosine distance (paper Figure 4): how different the maps of a layer's channels are.

/// The mean of `(1 - cos) / 2` over all pairs of channels of one image, the pairs of a channel with itself included
/// (paper section 4). 0 where all maps are one and the same, towards 0.5 where they have nothing in common.
///
/// Channels that are 0 everywhere in the image have no direction: they are left out, and counted by
/// [`ChannelActivity`](crate::ChannelActivity). `None` where no channel is left, and for maps of one position: these are
/// numbers, and the distance would only tell their signs.
///
/// # Shapes
/// - rows: `[positions, channels]`
pub fn feature_cosine_distance(rows: &[f32], channels: usize) -> Option<f64> {
    if rows.len() <= channels {
        return None;
    }
    let mut squares = vec![0.0_f64; channels];
    for row in rows.chunks_exact(channels) {
        for (square, &value) in squares.iter_mut().zip(row) {
            *square += f64::from(value) * f64::from(value);
        }
    }
    let live = squares.iter().filter(|&&square| square > 0.0).count();
    if live == 0 {
        return None;
    }
    let inverse_norms: Vec<f64> =
        squares.iter().map(|&square| if square > 0.0 { square.sqrt().recip() } else { 0.0 }).collect();
    // The sum of all cosines is the squared length of the sum of all maps, each scaled to length 1.
    let cosines: f64 = rows
        .chunks_exact(channels)
        .map(|row| {
            let sum: f64 =
                row.iter().zip(&inverse_norms).map(|(&value, &inverse)| f64::from(value) * inverse).sum();
            sum * sum
        })
        .sum();
    let pairs = live as f64 * live as f64;
    Some(0.5 * (1.0 - cosines / pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pairs, as the definition says it.
    fn by_pairs(rows: &[f32], channels: usize) -> f64 {
        let map = |channel: usize| rows.chunks_exact(channels).map(move |row| f64::from(row[channel]));
        let dot = |left, right| map(left).zip(map(right)).map(|(x, y)| x * y).sum::<f64>();
        let live: Vec<usize> = (0..channels).filter(|&channel| dot(channel, channel) > 0.0).collect();
        let pairs = live.iter().flat_map(|&left| live.iter().map(move |&right| (left, right)));
        let distances = pairs.map(|(left, right)| {
            0.5 * (1.0 - dot(left, right) / (dot(left, left) * dot(right, right)).sqrt())
        });
        distances.sum::<f64>() / (live.len() * live.len()) as f64
    }

    #[test]
    fn it_is_the_mean_over_all_pairs_of_live_channels() {
        let mut rows: Vec<f32> = (0..35).map(|index| ((index * 37 % 23) as f32 - 11.0) / 7.0).collect();
        for row in rows.chunks_exact_mut(5) {
            row[3] = 0.0;
        }
        let found = feature_cosine_distance(&rows, 5).unwrap();
        assert!((found - by_pairs(&rows, 5)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn equal_maps_have_no_distance_and_opposite_ones_half() {
        assert!(feature_cosine_distance(&[1.0, 2.0, 3.0, 6.0], 2).unwrap().abs() < 1e-12);
        assert!((feature_cosine_distance(&[1.0, -1.0, 3.0, -3.0], 2).unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn zeros_have_no_distance_at_all() {
        assert_eq!(feature_cosine_distance(&[0.0; 6], 3), None);
    }

    /// Bug: numbers above 0 were all one and the same map, as if the features had collapsed.
    #[test]
    fn maps_of_one_position_have_no_distance() {
        assert_eq!(feature_cosine_distance(&[1.0, 2.0, 3.0], 3), None);
        assert_eq!(feature_cosine_distance(&[1.0, -2.0, 3.0], 3), None);
    }
}
