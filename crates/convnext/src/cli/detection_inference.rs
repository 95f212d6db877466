//! Arguments about how a detector looks for objects.

use anyhow::bail;
use clap::Args;
use convnext::detect::{DetectOptions, Suppression, Tiles};

use super::values::{count, tile_overlap, tile_side};

/// How a detector looks for objects.
#[derive(Debug, Args)]
pub(crate) struct DetectionInferenceArguments {
    /// What becomes of boxes that lie on better ones: hard drops them, soft-linear and soft-gaussian lower their scores [default: that of the weights' recipe]
    #[arg(long, value_name = "RULE")]
    pub(crate) nms: Option<Suppression>,
    /// Objects of an image at most [default: 100]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) max: Option<usize>,
    /// For large images: look at tiles of this side in pixels, from 32 to 16384, as well as at the whole, and merge what is found;
    /// 0 looks at the whole alone [default: that of the training]
    #[arg(long, value_name = "N", value_parser = tile_side)]
    pub(crate) tile: Option<usize>,
    /// Share of a tile that the next one covers as well, from 0 to 0.9 [default: 0.2]
    #[arg(long, value_name = "R", value_parser = tile_overlap, requires = "tile")]
    pub(crate) overlap: Option<f64>,
}

impl DetectionInferenceArguments {
    /// `true` if any of them is given.
    pub(crate) fn are_given(&self) -> bool {
        self.nms.is_some() || self.max.is_some() || self.tile.is_some() || self.overlap.is_some()
    }

    /// The options: those asked for, and for the rest those of the weights.
    ///
    /// # Errors
    /// When tiles that nothing looks at shall overlap.
    pub(crate) fn options(&self, of_weights: DetectOptions) -> anyhow::Result<DetectOptions> {
        if self.tile == Some(0) && self.overlap.is_some() {
            bail!("--overlap is about tiles, and --tile 0 looks at whole images alone; leave --overlap out");
        }
        let overlap = self.overlap.unwrap_or(Tiles::OVERLAP);
        let tiles = match self.tile {
            None => of_weights.tiles,
            Some(0) => None,
            Some(side) => Some(Tiles { side, overlap }),
        };
        Ok(DetectOptions {
            suppression: self.nms.unwrap_or(of_weights.suppression),
            at_most: self.max.unwrap_or(of_weights.at_most),
            tiles,
            ..of_weights
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: an overlap beside `--tile 0` was accepted, and nothing was done with it.
    #[test]
    fn an_overlap_needs_tiles() {
        let options = |tile, overlap| {
            let arguments = DetectionInferenceArguments { nms: None, max: None, tile, overlap };
            arguments.options(DetectOptions::default())
        };
        let words = options(Some(0), Some(0.5)).unwrap_err().to_string();
        assert!(words.contains("leave --overlap out"), "{words}");
        assert_eq!(options(Some(0), None).unwrap().tiles, None);
        assert_eq!(options(Some(64), Some(0.5)).unwrap().tiles, Some(Tiles { side: 64, overlap: 0.5 }));
    }
}
