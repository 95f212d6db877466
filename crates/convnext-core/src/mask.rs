//! Patch grid and mask of FCMAE (paper section 3.1; docs/facts.md, "Masking").

use rand::seq::SliceRandom;

use crate::config::ModelConfig;
use crate::error::ConfigError;
use crate::seed::{Purpose, Seed};

/// The patches of an image: `rows` x `columns` squares, counted row by row. Their side is
/// [`ModelConfig::patch_size`] pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchGrid {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub columns: usize,
}

impl PatchGrid {
    /// The grid of an image of `height` x `width` pixels under the patches of a model.
    ///
    /// # Errors
    /// [`ConfigError::ImageNotPatches`] when a side is no multiple of the patch.
    pub fn of_image(config: &ModelConfig, height: usize, width: usize) -> Result<Self, ConfigError> {
        let patch = config.patch_size();
        for side in [height, width] {
            if side == 0 || side % patch != 0 {
                return Err(ConfigError::ImageNotPatches {
                    height,
                    width,
                    patch,
                    stem_stride: config.stem_stride,
                    suggestion: ((side + patch / 2) / patch).max(1) * patch,
                });
            }
        }
        Ok(Self { rows: height / patch, columns: width / patch })
    }

    /// Number of patches.
    pub fn patches(&self) -> usize {
        self.rows * self.columns
    }
}

/// Number of `patches` that stay visible when the fraction `ratio` is removed:
/// `floor(patches x (1 - ratio))`, so 19 of 49 at 0.6.
pub fn kept_count(patches: usize, ratio: f64) -> usize {
    (patches as f64 * (1.0 - ratio)) as usize
}

/// [`kept_count`] where it leaves something to see and something to predict.
///
/// # Errors
/// [`ConfigError::NothingToDo`] when the ratio would keep no patch or remove none.
pub fn usable_kept_count(patches: usize, ratio: f64) -> Result<usize, ConfigError> {
    let kept = kept_count(patches, ratio);
    if kept == 0 || kept >= patches {
        return Err(ConfigError::NothingToDo { ratio, kept, patches });
    }
    Ok(kept)
}

/// The patches of one image that the encoder sees. All others are *removed* and to be predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    grid: PatchGrid,
    kept: Vec<usize>,
}

impl Mask {
    /// A mask from the indices of the kept patches (row by row), in any order.
    ///
    /// # Errors
    /// [`ConfigError::BadMask`] when the grid has no patch, when an index is out of range or is duplicated, when none is
    /// kept, or when none is removed.
    pub fn from_kept(grid: PatchGrid, mut kept: Vec<usize>) -> Result<Self, ConfigError> {
        let bad = |why: String| ConfigError::BadMask { rows: grid.rows, columns: grid.columns, why };
        if grid.patches() == 0 {
            return Err(bad("the grid has no patch".into()));
        }
        kept.sort_unstable();
        if let Some(pair) = kept.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(bad(format!("patch {} is duplicated", pair[0])));
        }
        match kept.last() {
            None => Err(bad("none is kept".into())),
            Some(&last) if last >= grid.patches() => {
                Err(bad(format!("patch {last} does not exist, the last is {}", grid.patches() - 1)))
            }
            Some(_) if kept.len() == grid.patches() => Err(bad("none is removed".into())),
            Some(_) => Ok(Self { grid, kept }),
        }
    }

    /// A fresh random mask: every set of [`kept_count`] patches is equally likely.
    ///
    /// The choice depends on (seed, epoch, sample) only, so an image has another one in each epoch.
    ///
    /// # Errors
    /// [`ConfigError::NothingToDo`] when the ratio would keep no patch or remove none.
    pub fn random(
        grid: PatchGrid,
        ratio: f64,
        seed: Seed,
        epoch: u64,
        sample: u64,
    ) -> Result<Self, ConfigError> {
        let patches = grid.patches();
        let kept = usable_kept_count(patches, ratio)?;
        let mut indices: Vec<usize> = (0..patches).collect();
        let (chosen, _) = indices.partial_shuffle(&mut seed.stream(Purpose::Mask, epoch, sample), kept);
        let mut chosen = chosen.to_vec();
        chosen.sort_unstable();
        Ok(Self { grid, kept: chosen })
    }

    /// The patches of the image.
    pub fn grid(&self) -> PatchGrid {
        self.grid
    }

    /// Indices of the kept patches, ascending.
    pub fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// Indices of the removed patches, ascending.
    pub fn removed(&self) -> Vec<usize> {
        let keeps = self.keeps();
        (0..keeps.len()).filter(|&patch| !keeps[patch]).collect()
    }

    /// For every patch, `true` if it is kept.
    pub fn keeps(&self) -> Vec<bool> {
        let mut keeps = vec![false; self.grid.patches()];
        for &patch in &self.kept {
            keeps[patch] = true;
        }
        keeps
    }

    /// The mask at a finer resolution: each patch becomes `scale` x `scale` sites.
    /// Returns, row by row, whether each site of the `(rows x scale) x (columns x scale)` map is kept.
    pub fn upsample(&self, scale: usize) -> Vec<bool> {
        let keeps = self.keeps();
        let (height, width) = (self.grid.rows * scale, self.grid.columns * scale);
        let patch_of = |y: usize, x: usize| (y / scale) * self.grid.columns + x / scale;
        (0..height * width).map(|site| keeps[patch_of(site / width, site % width)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;

    const GRID: PatchGrid = PatchGrid { rows: 7, columns: 7 };

    #[test]
    fn counts_are_those_of_the_release() {
        let expected = [44, 39, 34, 29, 24, 19, 14, 9, 4];
        for (tenths, kept) in (1..).zip(expected) {
            assert_eq!(kept_count(49, f64::from(tenths) / 10.0), kept, "ratio 0.{tenths}");
        }
    }

    #[test]
    fn every_visit_has_its_own_mask_and_can_be_repeated() {
        let mask = |epoch, sample| Mask::random(GRID, 0.6, Seed(7), epoch, sample).unwrap();
        assert_eq!(mask(0, 0), mask(0, 0));
        assert_ne!(mask(0, 0), mask(1, 0));
        assert_ne!(mask(0, 0), mask(0, 1));
        assert_eq!(mask(3, 4).kept().len(), 19);
        assert_eq!(mask(3, 4).removed().len(), 30);
    }

    #[test]
    fn all_patches_are_equally_likely() {
        let mut counts = [0_u32; 49];
        for sample in 0..4900 {
            for &patch in Mask::random(GRID, 0.6, Seed(1), 0, sample).unwrap().kept() {
                counts[patch] += 1;
            }
        }
        // 4900 draws of 19 in 49: mean 1900, standard deviation 34.
        for (patch, count) in counts.into_iter().enumerate() {
            assert!((1730..2070).contains(&count), "patch {patch} was kept {count} times");
        }
    }

    #[test]
    fn upsampling_repeats_each_patch() {
        let mask = Mask::from_kept(PatchGrid { rows: 2, columns: 3 }, vec![4, 0]).unwrap();
        let rows: Vec<String> = mask
            .upsample(2)
            .chunks(6)
            .map(|row| row.iter().map(|&kept| if kept { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(rows, ["##....", "##....", "..##..", "..##.."]);
    }

    #[test]
    fn bad_masks_and_ratios_say_why() {
        for (kept, expected) in
            [(vec![], "none is kept"), (vec![1, 1], "patch 1 is duplicated"), (vec![49], "the last is 48")]
        {
            let message = Mask::from_kept(GRID, kept).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(Mask::from_kept(GRID, (0..49).collect()).is_err());
        assert!(Mask::random(GRID, 0.99, Seed(0), 0, 0).is_err());
        assert!(Mask::random(PatchGrid { rows: 1, columns: 1 }, 0.5, Seed(0), 0, 0).is_err());
    }

    #[test]
    fn a_grid_without_patches_is_refused_in_words() {
        for (rows, columns) in [(0, 0), (0, 7), (7, 0)] {
            for kept in [vec![], vec![0]] {
                let message = Mask::from_kept(PatchGrid { rows, columns }, kept).unwrap_err().to_string();
                assert!(message.contains("the grid has no patch"), "{message}");
            }
        }
    }

    #[test]
    fn images_must_be_whole_patches() {
        let config = find_model("atto").unwrap().config();
        assert_eq!(PatchGrid::of_image(&config, 224, 256).unwrap(), PatchGrid { rows: 7, columns: 8 });
        let message = PatchGrid::of_image(&config, 200, 224).unwrap_err().to_string();
        assert!(message.contains("patch of 32 pixels") && message.contains("192"), "{message}");
    }
}
