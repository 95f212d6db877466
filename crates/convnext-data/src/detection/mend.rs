//! From annotations as files have them to objects inside of their images.

use convnext_core::{BoundingBox, ImageSize};

use crate::detection::annotated::{AnnotatedFile, AnnotatedObject};
use crate::detection::bounds::{are_near, around_rings, beyond};
use crate::detection::quirks::{Quirk, Quirks};
use crate::instances::coco_region::Region;
use crate::instances::instance::{Instance, InstanceMask};

/// Mends the objects of an image of this size. Those that cannot be mended are left out and counted.
///
/// # Errors
/// In words, for run lengths that are damaged or of another size.
pub(crate) fn mended(
    image: AnnotatedFile,
    size: ImageSize,
    crowd_as_object: bool,
    (quirks, name): (&mut Quirks, &dyn Fn() -> String),
) -> Result<Vec<Instance>, String> {
    let factors = if image.is_relative { [size.width as f64, size.height as f64] } else { [1.0, 1.0] };
    let mut found = Vec::with_capacity(image.objects.len());
    for object in image.objects {
        let id = object.id;
        let mut mender = Mender { size, quirks, place: &|| format!("annotation {id} of {}", name()) };
        let object = if image.is_relative { scaled(object, factors) } else { object };
        let instance = mender.instance(object, crowd_as_object);
        found.extend(instance.map_err(|why| format!("annotation {id}: {why}"))?);
    }
    Ok(found)
}

struct Mender<'a> {
    size: ImageSize,
    quirks: &'a mut Quirks,
    place: &'a dyn Fn() -> String,
}

impl Mender<'_> {
    fn count(&mut self, quirk: Quirk) {
        self.quirks.add(quirk, self.place);
    }

    fn instance(
        &mut self,
        object: AnnotatedObject,
        crowd_as_object: bool,
    ) -> Result<Option<Instance>, String> {
        let AnnotatedObject { class, bounds, region, area, is_crowd, is_ignored, .. } = object;
        let had_region = region != Region::None;
        let mask = self.mask(region)?;
        if mask.is_none() && bounds.is_none() {
            self.count(Quirk::Empty);
            return Ok(None);
        }
        if mask.is_none() && had_region {
            self.count(Quirk::NoRegion);
        }
        let Some(bounds) = self.bounds(bounds, mask.as_ref()) else { return Ok(None) };
        let area = area.filter(|&area| area > 0.0).unwrap_or_else(|| self.area(mask.as_ref(), bounds));
        if is_crowd && crowd_as_object && !is_ignored {
            self.count(Quirk::Crowd);
        }
        let is_crowd = is_ignored || is_crowd && !crowd_as_object;
        Ok(Some(Instance { class, bounds, mask, area, is_crowd }))
    }

    /// The region without what is none.
    fn mask(&mut self, region: Region) -> Result<Option<InstanceMask>, String> {
        match region {
            Region::None => Ok(None),
            Region::Rings(mut rings) => {
                let all = rings.len();
                rings.retain(|ring| ring.len() >= 6 && ring.len().is_multiple_of(2));
                (rings.len()..all).for_each(|_| self.count(Quirk::ShortRing));
                Ok((!rings.is_empty()).then_some(InstanceMask::Rings(rings)))
            }
            Region::Counts { .. } | Region::Text { .. } => {
                let pixels = region.pixels(self.size)?.filter(|pixels| pixels.area() > 0);
                Ok(pixels.map(InstanceMask::RunLengths))
            }
        }
    }

    /// The box inside of the image; `None` for one without area there.
    fn bounds(&mut self, bounds: Option<BoundingBox>, mask: Option<&InstanceMask>) -> Option<BoundingBox> {
        let size = self.size;
        let of_region = || mask.map(|mask| mask.run_lengths(size).bounds()).unwrap_or_default();
        let bounds = match bounds {
            None => {
                self.count(Quirk::NoBox);
                of_region()
            }
            Some(bounds) if mask.is_some_and(|mask| self.is_off(bounds, mask)) => {
                self.count(Quirk::OffBox);
                of_region()
            }
            Some(bounds) => bounds,
        };
        let clipped = bounds.clipped(self.size);
        if !clipped.has_area() {
            self.count(Quirk::Outside);
            return None;
        }
        if beyond(bounds, self.size) > 0.5 {
            self.count(Quirk::Clipped);
        }
        Some(clipped)
    }

    /// `true` if a box is not the one of a region that has pixels in the image.
    fn is_off(&self, bounds: BoundingBox, mask: &InstanceMask) -> bool {
        let region = match mask {
            InstanceMask::Rings(rings) => around_rings(rings).unwrap_or_default(),
            InstanceMask::RunLengths(pixels) => pixels.bounds(),
        };
        let [bounds, region] = [bounds, region].map(|bounds| bounds.clipped(self.size));
        let is_near = bounds.has_area() && are_near(bounds, region);
        !is_near && mask.run_lengths(self.size).area() > 0
    }

    fn area(&self, mask: Option<&InstanceMask>, bounds: BoundingBox) -> f64 {
        mask.map_or_else(|| bounds.area(), |mask| mask.run_lengths(self.size).area() as f64)
    }
}

/// An object whose coordinates are fractions, in pixels.
fn scaled(object: AnnotatedObject, [x, y]: [f64; 2]) -> AnnotatedObject {
    let region = match object.region {
        Region::Rings(mut rings) => {
            for corner in rings.iter_mut().flat_map(|ring| ring.as_chunks_mut::<2>().0) {
                *corner = [corner[0] * x, corner[1] * y];
            }
            Region::Rings(rings)
        }
        other => other,
    };
    AnnotatedObject { bounds: object.bounds.map(|bounds| bounds.scaled([x, y])), region, ..object }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize { height: 10, width: 20 };

    fn mend(object: AnnotatedObject) -> (Option<Instance>, Vec<String>) {
        let image = AnnotatedFile { objects: vec![object], ..AnnotatedFile::default() };
        let mut quirks = Quirks::default();
        let found = mended(image, SIZE, false, (&mut quirks, &|| "a.png".into())).unwrap();
        (found.into_iter().next(), quirks.remarks().into_iter().map(|remark| remark.sentence()).collect())
    }

    fn object(bounds: Option<[f64; 4]>, region: Region) -> AnnotatedObject {
        let bounds = bounds.map(BoundingBox::of_corner_and_size);
        AnnotatedObject { id: 3, bounds, region, ..AnnotatedObject::default() }
    }

    fn square() -> Vec<f64> {
        vec![2.0, 1.0, 6.0, 1.0, 6.0, 4.0, 2.0, 4.0]
    }

    #[test]
    fn short_rings_are_left_out_and_the_box_stays() {
        let short = vec![1.0, 1.0, 5.0, 5.0];
        let (found, said) = mend(object(None, Region::Rings(vec![short.clone(), square()])));
        let found = found.unwrap();
        assert_eq!((found.bounds.edges(), found.area), ([2.0, 1.0, 6.0, 4.0], 12.0));
        assert_eq!(said[0], "1 ring of fewer than three corners is left out; in annotation 3 of a.png");
        assert!(said[1].contains("gets its box from its region"), "{said:?}");
        let (found, said) = mend(object(Some([1.0, 1.0, 2.0, 3.0]), Region::Rings(vec![short.clone()])));
        let found = found.unwrap();
        assert_eq!((found.mask, found.area), (None, 6.0));
        assert!(said[1].contains("has no region and keeps its box"), "{said:?}");
        let (found, said) = mend(object(None, Region::Rings(vec![short])));
        assert!(found.is_none() && said[1].contains("neither box nor region"), "{said:?}");
    }

    #[test]
    fn boxes_away_from_their_regions_are_made_from_them() {
        for bounds in [[10.0, 5.0, 4.0, 3.0], [0.0; 4], [2.0, 1.0, 4.0, 0.0], [30.0, 1.0, 4.0, 3.0]] {
            let (found, said) = mend(object(Some(bounds), Region::Rings(vec![square()])));
            assert_eq!(found.unwrap().bounds.edges(), [2.0, 1.0, 6.0, 4.0], "{bounds:?}");
            assert!(said[0].contains("not around its region"), "{said:?}");
        }
        let (found, said) = mend(object(Some([1.5, 0.0, 5.0, 4.0]), Region::Rings(vec![square()])));
        assert_eq!((found.unwrap().bounds.left, said), (1.5, Vec::new()));
    }

    #[test]
    fn boxes_are_cut_off_at_the_image() {
        let (found, said) = mend(object(Some([-4.0, 2.0, 30.0, 4.0]), Region::None));
        assert_eq!(found.unwrap().bounds.edges(), [0.0, 2.0, 20.0, 6.0]);
        assert!(said[0].contains("reaches beyond its image"), "{said:?}");
        for outside in [[30.0, 1.0, 4.0, 4.0], [3.0, 3.0, 0.0, 4.0], [3.0, 3.0, -2.0, 4.0]] {
            let (found, said) = mend(object(Some(outside), Region::None));
            assert!(found.is_none() && said[0].contains("without area"), "{said:?}");
        }
        // A hundredth of a pixel is rounding.
        assert_eq!(mend(object(Some([0.0, 0.0, 20.01, 10.0]), Region::None)).1, Vec::<String>::new());
    }

    #[test]
    fn crowds_are_kept_or_taken_as_objects() {
        let crowd = || AnnotatedObject { is_crowd: true, ..object(Some([1.0, 1.0, 2.0, 2.0]), Region::None) };
        assert!(mend(crowd()).0.unwrap().is_crowd);
        let image = AnnotatedFile { objects: vec![crowd()], ..AnnotatedFile::default() };
        let mut quirks = Quirks::default();
        let found = mended(image, SIZE, true, (&mut quirks, &|| String::new())).unwrap();
        assert!(!found[0].is_crowd && quirks.remarks()[0].what.contains("taken as one object"));
        let ignored = AnnotatedObject { is_ignored: true, ..crowd() };
        let image = AnnotatedFile { objects: vec![ignored], ..AnnotatedFile::default() };
        let mut quirks = Quirks::default();
        let found = mended(image, SIZE, true, (&mut quirks, &|| String::new())).unwrap();
        assert!(found[0].is_crowd && quirks.remarks().is_empty());
    }

    #[test]
    fn damaged_run_lengths_are_refused_and_empty_ones_are_no_region() {
        let counts = |size, counts| object(Some([0.0, 0.0, 1.0, 1.0]), Region::Counts { size, counts });
        for damaged in [counts([10, 20], vec![0, 999]), counts([20, 10], vec![0, 3])] {
            let image = AnnotatedFile { objects: vec![damaged], ..AnnotatedFile::default() };
            let why = mended(image, SIZE, false, (&mut Quirks::default(), &|| String::new())).unwrap_err();
            assert!(why.starts_with("annotation 3: "), "{why}");
        }
        assert_eq!(mend(counts([10, 20], vec![200])).0.unwrap().mask, None);
    }

    #[test]
    fn fractions_become_pixels() {
        let ring = vec![0.0, 0.0, 0.5, 0.0, 0.5, 0.5];
        let image = AnnotatedFile {
            is_relative: true,
            objects: vec![object(Some([0.0, 0.0, 0.5, 0.5]), Region::Rings(vec![ring]))],
            ..AnnotatedFile::default()
        };
        let found = mended(image, SIZE, false, (&mut Quirks::default(), &|| String::new())).unwrap();
        assert_eq!(found[0].bounds.corner_and_size(), [0.0, 0.0, 10.0, 5.0]);
        let Some(InstanceMask::Rings(rings)) = &found[0].mask else { panic!("no rings") };
        assert_eq!(rings[0], [0.0, 0.0, 10.0, 0.0, 10.0, 5.0]);
    }
}
