//! Masks of many objects as few label maps, so that transforms move them as they move label maps.

use convnext_core::{BoundingBox, ImageSize};

use crate::instances::run_lengths::RunLengths;
use crate::pixels::label_map::LabelMap;
use crate::transforms::drawn::DrawnTransform;

/// Masks of an image. Those that do not overlap share a map; the labels of a map are of its masks, and ignored is where
/// none is. Moved so, each mask is what it would be as a map of its own.
#[derive(Debug, Clone)]
pub(crate) struct InstanceMaps {
    maps: Vec<LabelMap>,
    /// Map and label of each mask.
    places: Vec<Option<(usize, u16)>>,
}

/// A map that is being filled.
struct Open {
    map: LabelMap,
    bounds: Vec<BoundingBox>,
}

impl InstanceMaps {
    /// The masks of an image of this size, `None` for objects without one.
    pub(crate) fn pack<'a>(masks: impl Iterator<Item = Option<&'a RunLengths>>, size: ImageSize) -> Self {
        let mut open: Vec<Open> = Vec::new();
        let mut places = Vec::new();
        for mask in masks {
            places.push(mask.map(|mask| {
                let bounds = mask.bounds();
                let fits = |open: &Open| {
                    open.bounds.len() < usize::from(LabelMap::IGNORED) && open.has_room(mask, bounds)
                };
                let at = open.iter().position(fits).unwrap_or_else(|| {
                    open.push(Open { map: LabelMap::of_one(size, LabelMap::IGNORED), bounds: Vec::new() });
                    open.len() - 1
                });
                (at, open[at].add(mask, bounds))
            }));
        }
        Self { maps: open.into_iter().map(|open| open.map).collect(), places }
    }

    /// The masks after all steps of a transform.
    pub(crate) fn moved(&self, drawn: &DrawnTransform) -> Self {
        let maps = self.maps.iter().map(|map| drawn.apply_to_labels(map.clone()));
        Self { maps: maps.collect(), places: self.places.clone() }
    }

    /// The masks as they were packed, `None` for objects without one.
    pub(crate) fn unpack(self) -> Vec<Option<RunLengths>> {
        let mut of_maps: Vec<Vec<Option<RunLengths>>> = self.maps.iter().map(masks_of).collect();
        let mut found = Vec::with_capacity(self.places.len());
        for place in &self.places {
            found.push(place.map(|(map, label)| {
                let mask = of_maps[map].get_mut(usize::from(label)).and_then(Option::take);
                mask.unwrap_or_else(|| RunLengths::of_ranges(&[], self.maps[map].size()))
            }));
        }
        found
    }
}

impl Open {
    /// `true` if a mask shares no pixel with those of the map.
    fn has_room(&self, mask: &RunLengths, bounds: BoundingBox) -> bool {
        let overlaps = |other: &BoundingBox| bounds.shared_area(other) > 0.0;
        if !self.bounds.iter().any(overlaps) {
            return true;
        }
        pixels(mask).all(|(x, y)| self.map.labels[y * self.map.width + x] == LabelMap::IGNORED)
    }

    fn add(&mut self, mask: &RunLengths, bounds: BoundingBox) -> u16 {
        let label = self.bounds.len() as u16;
        for (x, y) in pixels(mask) {
            self.map.labels[y * self.map.width + x] = label;
        }
        self.bounds.push(bounds);
        label
    }
}

/// Columns and rows of the pixels of a mask.
fn pixels(mask: &RunLengths) -> impl Iterator<Item = (usize, usize)> + '_ {
    let height = mask.size().height;
    mask.ranges().flat_map(move |(start, end)| (start..end).map(move |at| (at / height, at % height)))
}

/// The mask of each label of a map.
fn masks_of(map: &LabelMap) -> Vec<Option<RunLengths>> {
    let mut ranges: Vec<Vec<(usize, usize)>> = Vec::new();
    for x in 0..map.width {
        let mut before = LabelMap::IGNORED;
        for y in 0..map.height {
            let label = map.labels[y * map.width + x];
            let at = x * map.height + y;
            if label != LabelMap::IGNORED {
                let label_ranges = of_label(&mut ranges, label);
                match label_ranges.last_mut() {
                    Some(last) if label == before => last.1 = at + 1,
                    _ => label_ranges.push((at, at + 1)),
                }
            }
            before = label;
        }
    }
    let size = map.size();
    ranges.iter().map(|ranges| (!ranges.is_empty()).then(|| RunLengths::of_ranges(ranges, size))).collect()
}

fn of_label(ranges: &mut Vec<Vec<(usize, usize)>>, label: u16) -> &mut Vec<(usize, usize)> {
    let label = usize::from(label);
    if ranges.len() <= label {
        ranges.resize(label + 1, Vec::new());
    }
    &mut ranges[label]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::resized_cut::ResizedCut;
    use crate::transforms::step::Step;

    const SIZE: ImageSize = ImageSize { height: 14, width: 17 };

    fn disc(x: f64, y: f64, radius: f64) -> RunLengths {
        let inside = |at: usize| {
            let (dx, dy) = ((at % SIZE.width) as f64 - x, (at / SIZE.width) as f64 - y);
            dx * dx + dy * dy <= radius * radius
        };
        RunLengths::of_rows(&(0..SIZE.pixels()).map(inside).collect::<Vec<_>>(), SIZE)
    }

    #[test]
    fn masks_of_shared_maps_move_as_those_of_their_own() {
        let discs = [disc(3.0, 3.0, 3.0), disc(5.0, 4.0, 3.0), disc(13.0, 9.0, 3.5), disc(16.0, 0.0, 0.0)];
        let masks: Vec<Option<&RunLengths>> = discs.iter().map(Some).chain([None]).collect();
        let packed = InstanceMaps::pack(masks.iter().copied(), SIZE);
        assert_eq!(packed.maps.len(), 2);
        let same = packed.clone().unpack();
        assert_eq!(same.iter().map(Option::as_ref).collect::<Vec<_>>(), masks);
        let (resized, size) = (ImageSize { height: 21, width: 12 }, ImageSize { height: 9, width: 10 });
        let cut = ResizedCut { resized, left: 1, top: 2, size };
        let drawn = DrawnTransform { steps: vec![Step::ResizedCut(cut), Step::Mirror] };
        let moved = packed.moved(&drawn).unpack();
        for (mask, moved) in masks.iter().zip(moved) {
            let alone = mask.map(|mask| {
                InstanceMaps::pack([Some(mask)].into_iter(), SIZE).moved(&drawn).unpack().remove(0).unwrap()
            });
            assert_eq!(moved, alone);
        }
    }

    #[test]
    fn masks_that_are_cut_away_are_empty() {
        let disc = disc(3.0, 3.0, 2.0);
        let size = ImageSize::square(4);
        let cut = ResizedCut { resized: SIZE, left: 10, top: 8, size };
        let drawn = DrawnTransform { steps: vec![Step::ResizedCut(cut)] };
        let moved = InstanceMaps::pack([Some(&disc)].into_iter(), SIZE).moved(&drawn).unpack();
        assert_eq!(moved[0].as_ref().unwrap().area(), 0);
    }
}
