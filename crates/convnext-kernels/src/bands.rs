//! Row bands of the maps of a batch for the convolution, and the runs of kept sites in them.

use std::ops::Range;

use aligned_vec::{AVec, avec};

use crate::sites::Sites;

/// Side of the convolution's kernel, and the border that it needs.
pub(crate) const SIDE: usize = 7;
pub(crate) const BORDER: usize = SIDE / 2;

/// Maximum rows of a band of a dense map, and the minimum where there are few images; else it is the kernel's side, because
/// each band copies the rows around it.
const MAX_ROWS: usize = 16;
const MIN_ROWS: usize = 4;

/// Fewer images than this do not make enough bands of small maps.
const FEW_IMAGES: usize = 4;

/// Adjacent kept sites in a row of the map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SiteRun {
    /// The activation row of the first site.
    pub(crate) row: usize,
    pub(crate) y: usize,
    pub(crate) x: usize,
    pub(crate) sites: usize,
}

/// Consecutive rows of one image's map.
#[derive(Debug)]
pub(crate) struct Band {
    /// Indices of the image's runs and, among them, the band's.
    image: Range<usize>,
    pub(crate) runs: Range<usize>,
    /// Activation rows of the band's runs, contiguous.
    pub(crate) rows: Range<usize>,
    /// Rows of the map, from the first to the last one.
    pub(crate) height: Range<usize>,
}

/// The bands of a batch.
#[derive(Debug)]
pub(crate) struct Bands {
    pub(crate) runs: Vec<SiteRun>,
    pub(crate) bands: Vec<Band>,
    pub(crate) width: usize,
}

impl Bands {
    /// Cuts the active images.
    pub(crate) fn new(sites: &Sites, is_active: impl Fn(usize) -> bool) -> Self {
        let width = sites.width();
        let mut this = Self { runs: Vec::new(), bands: Vec::new(), width };
        for image in (0..sites.images()).filter(|&image| is_active(image)) {
            let begin = this.runs.len();
            let mut row = image * sites.rows_per_image();
            for (top, left) in sites.tiles(image) {
                let [height, width] = sites.tile();
                for y in top..top + height {
                    this.runs.push(SiteRun { row, y, x: left, sites: width });
                    row += width;
                }
            }
            this.cut(begin, sites);
        }
        this
    }

    /// Cuts the runs of an image, from index `begin` on.
    fn cut(&mut self, begin: usize, sites: &Sites) {
        let image = begin..self.runs.len();
        let [tile_height, _] = sites.tile();
        // A dense map is cut into enough bands for the cores even when it is one of few; with small tiles
        // an image has so few sites that it is one band; else a band is a row of tiles.
        let min_rows = if sites.images() < FEW_IMAGES { MIN_ROWS } else { SIDE };
        let height = match (sites.is_dense(), tile_height) {
            (true, height) => height.div_ceil(4).clamp(min_rows, MAX_ROWS),
            (false, 0..4) => sites.height(),
            (false, side) => side,
        };
        let mut start = begin;
        while start < image.end {
            let band = self.runs[start].y / height;
            let count = self.runs[start..].iter().take_while(|run| run.y / height == band).count();
            let runs = start..start + count;
            let (first, last) = (self.runs[start], self.runs[start + count - 1]);
            let top = self.runs[runs.clone()].iter().map(|run| run.y).min().unwrap_or(first.y);
            let bottom = self.runs[runs.clone()].iter().map(|run| run.y).max().unwrap_or(last.y);
            let rows = first.row..last.row + last.sites;
            self.bands.push(Band { image: image.clone(), runs, rows, height: top..bottom + 1 });
            start += count;
        }
    }

    /// The runs of the image in a band's receptive field.
    pub(crate) fn around(&self, band: &Band) -> impl Iterator<Item = &SiteRun> {
        let (top, bottom) = (band.height.start.saturating_sub(BORDER), band.height.end + BORDER);
        self.runs[band.image.clone()].iter().filter(move |run| (top..bottom).contains(&run.y))
    }

    /// Sites from one row of a band's map to the next.
    pub(crate) fn stride(&self) -> usize {
        self.width + 2 * BORDER
    }

    /// An empty map for a band and `lanes` channels.
    pub(crate) fn empty_map(&self, band: &Band, lanes: usize) -> AVec<f32> {
        avec![0.0; (band.height.len() + 2 * BORDER) * self.stride() * lanes]
    }

    /// Offset in a band's map of the window of a run's first site.
    pub(crate) fn corner(&self, band: &Band, run: &SiteRun) -> usize {
        (run.y - band.height.start) * self.stride() + run.x
    }
}
