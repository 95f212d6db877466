//! The intermediate results of a branch's backward.
//!
//! Notation: R rows of an image block, C channels, E = 4C.

use bytemuck::{cast_slice, cast_slice_mut};

use crate::bf16::rows::padded;
use crate::blocking::{ImageBlock, Segment};
use crate::buffer::Buffer;
use crate::element::Element;
use crate::storage::Lane;

/// The intermediate results of an image block's sweeps. `gradient`, `normal`, du and y are sides of the weight
/// gradients; where these are the rows themselves, du and y lie in `expanded` and `values`.
pub(crate) struct Buffers<'a, E: Element> {
    pub(crate) image_block: &'a ImageBlock,
    /// C and E.
    sizes: [usize; 2],
    /// u, `[R, E]`; becomes GELU'(u), then du.
    expanded: &'a mut [E::Lane],
    /// The branch's output gradient g, `[R, C]`.
    gradient: Buffer,
    /// LayerNorm's output, `[R, C]`.
    normal: Buffer,
    /// dy, `[R, E]`.
    dy: Buffer,
    /// h, `[R, E]`.
    values: Buffer,
    /// du and y, `[R, E]`, where they are row-packed; otherwise empty.
    du: Buffer,
    y: Buffer,
}

/// The slices of a row block.
pub(crate) struct Slices<'a, L> {
    pub(crate) segments: &'a [Segment],
    pub(crate) expanded: &'a mut [L],
    pub(crate) gradient: &'a mut [L],
    pub(crate) normal: &'a mut [L],
    pub(crate) dy: &'a mut [L],
    pub(crate) values: &'a mut [L],
    pub(crate) du: &'a mut [L],
    pub(crate) y: &'a mut [L],
}

impl<'a, E: Element> Buffers<'a, E> {
    pub(crate) fn new(
        image_block: &'a ImageBlock,
        expanded: &'a mut [E::Lane],
        [channels, width]: [usize; 2],
    ) -> Self {
        let by_rows = |columns| Buffer::take(image_block.rows.len() * E::Lane::count(columns));
        let side = |columns| match E::ROW_PACKS {
            true => Buffer::take(image_block.row_pairs() * padded(columns)),
            false => by_rows(columns),
        };
        Self {
            image_block,
            sizes: [channels, width],
            expanded,
            gradient: side(channels),
            normal: side(channels),
            dy: by_rows(width),
            values: by_rows(width),
            du: side(Self::copied(width)),
            y: side(Self::copied(width)),
        }
    }

    /// Columns of du and y as sides of their own.
    fn copied(width: usize) -> usize {
        if E::ROW_PACKS { width } else { 0 }
    }

    /// The slices of each row block.
    pub(crate) fn split(&mut self) -> Vec<Slices<'_, E::Lane>> {
        let (image_block, [channels, width]) = (self.image_block, self.sizes);
        let of_row = E::Lane::count(width);
        let copied = Self::copied(width);
        (image_block.row_blocks.iter())
            .zip(image_block.split_by_row_block(self.expanded, of_row))
            .zip(split_side::<E>(image_block, &mut self.gradient, channels))
            .zip(split_side::<E>(image_block, &mut self.normal, channels))
            .zip(image_block.split_by_row_block(cast_slice_mut(&mut self.dy), of_row))
            .zip(image_block.split_by_row_block(cast_slice_mut(&mut self.values), of_row))
            .zip(split_side::<E>(image_block, &mut self.du, copied))
            .zip(split_side::<E>(image_block, &mut self.y, copied))
            .map(|(((((((row_block, expanded), gradient), normal), dy), values), du), y)| Slices {
                segments: image_block.segments_of(row_block),
                expanded,
                gradient,
                normal,
                dy,
                values,
                du,
                y,
            })
            .collect()
    }

    /// `normal`, `gradient`, du and y.
    pub(crate) fn sides(&self) -> [&[E::Lane]; 4] {
        let [du, y] = match E::ROW_PACKS {
            true => [cast_slice(&self.du), cast_slice(&self.y)],
            false => [&*self.expanded, cast_slice(&self.values)],
        };
        [cast_slice(&self.normal), cast_slice(&self.gradient), du, y]
    }
}

/// Splits a side of a weight gradient by row block.
fn split_side<'a, E: Element>(
    image_block: &ImageBlock,
    side: &'a mut Buffer,
    columns: usize,
) -> Vec<&'a mut [E::Lane]> {
    match E::ROW_PACKS {
        true => image_block.split_row_pairs_by_row_block(cast_slice_mut(side), padded(columns)),
        false => image_block.split_by_row_block(cast_slice_mut(side), columns),
    }
}
