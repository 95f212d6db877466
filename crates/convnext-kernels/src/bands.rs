//! How the maps of a batch are cut into bands of rows for the convolution, and where their sites lie.

use std::ops::Range;

use aligned_vec::{AVec, avec};

use crate::Sites;

/// Side of the convolution's kernel, and the border that it needs.
pub(crate) const SIDE: usize = 7;
pub(crate) const BORDER: usize = SIDE / 2;

/// Most rows of a band of a dense map.
const MOST_ROWS: usize = 16;

/// Kept sites that are neighbours in a row of the map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// The activation row of the first site.
    pub(crate) row: usize,
    pub(crate) y: usize,
    pub(crate) x: usize,
    pub(crate) sites: usize,
}

/// Some rows of one image's map.
#[derive(Debug)]
pub(crate) struct Band {
    /// The lines of the image and, among them, those of the band.
    image: Range<usize>,
    pub(crate) lines: Range<usize>,
    /// Activation rows of the band's lines: they lie side by side.
    pub(crate) rows: Range<usize>,
    /// From the first to the last line of the map.
    pub(crate) height: Range<usize>,
}

/// How the work on a batch is cut.
#[derive(Debug)]
pub(crate) struct Bands {
    pub(crate) lines: Vec<Line>,
    pub(crate) bands: Vec<Band>,
    pub(crate) width: usize,
}

impl Bands {
    /// Cuts the images that `takes_part` names.
    pub(crate) fn new(sites: &Sites, takes_part: impl Fn(usize) -> bool) -> Self {
        let width = sites.width();
        let mut this = Self { lines: Vec::new(), bands: Vec::new(), width };
        for image in (0..sites.images()).filter(|&image| takes_part(image)) {
            let begin = this.lines.len();
            let mut row = image * sites.rows_per_image();
            for (top, left) in sites.tiles(image) {
                let [height, width] = sites.tile();
                for y in top..top + height {
                    this.lines.push(Line { row, y, x: left, sites: width });
                    row += width;
                }
            }
            this.cut(begin, sites);
        }
        this
    }

    /// Cuts the lines of an image, from `begin` on.
    fn cut(&mut self, begin: usize, sites: &Sites) {
        let image = begin..self.lines.len();
        let [tile_height, _] = sites.tile();
        // A dense map is cut into enough bands for the cores even when it is the only one; small tiles
        // are so few sites that an image is one band; else a band is a row of tiles.
        let height = match (sites.is_dense(), tile_height) {
            (true, height) => height.div_ceil(4).clamp(SIDE, MOST_ROWS),
            (false, 0..4) => sites.height(),
            (false, side) => side,
        };
        let mut start = begin;
        while start < image.end {
            let band = self.lines[start].y / height;
            let count = self.lines[start..].iter().take_while(|line| line.y / height == band).count();
            let lines = start..start + count;
            let (first, last) = (self.lines[start], self.lines[start + count - 1]);
            let top = self.lines[lines.clone()].iter().map(|line| line.y).min().unwrap_or(first.y);
            let bottom = self.lines[lines.clone()].iter().map(|line| line.y).max().unwrap_or(last.y);
            let rows = first.row..last.row + last.sites;
            self.bands.push(Band { image: image.clone(), lines, rows, height: top..bottom + 1 });
            start += count;
        }
    }

    /// The lines of the image that a band's outputs depend on.
    pub(crate) fn around(&self, band: &Band) -> impl Iterator<Item = &Line> {
        let (top, bottom) = (band.height.start.saturating_sub(BORDER), band.height.end + BORDER);
        self.lines[band.image.clone()].iter().filter(move |line| (top..bottom).contains(&line.y))
    }

    /// Sites from one row of a band's map to the next.
    pub(crate) fn stride(&self) -> usize {
        self.width + 2 * BORDER
    }

    /// An empty map for a band and `lanes` channels.
    pub(crate) fn empty_map(&self, band: &Band, lanes: usize) -> AVec<f32> {
        avec![0.0; (band.height.len() + 2 * BORDER) * self.stride() * lanes]
    }

    /// The place in a band's map where the window of a line's first site begins.
    pub(crate) fn corner(&self, band: &Band, line: &Line) -> usize {
        (line.y - band.height.start) * self.stride() + line.x
    }
}
