//! COCO's annotations with the images that they are about.

use std::collections::{BTreeMap, HashMap};

use convnext_core::counted;

use crate::datasets::class_name::canonical_name;
use crate::datasets::image_lookup::{Lookup, split_of, split_of_image};
use crate::datasets::listed::listed;
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::relative::parent;
use crate::instances::coco_files::CocoFile;
use crate::instances::coco_json::{CocoAnnotation, CocoCategory, CocoImage, CocoJson};
use crate::instances::coco_region::Region;
use crate::pixels::label_map::LabelMap;
use crate::segmentation::class_table::{ClassTable, TableClass};
use crate::segmentation::coco::maps::{AnnotatedImage, LabelledRegion};
use crate::segmentation::error::MaskError;
use crate::segmentation::value::MaskValue;

/// Images with annotations of all files.
#[derive(Debug, Default)]
pub(crate) struct CocoData {
    pub(crate) images: Vec<AnnotatedImage>,
    pub(crate) splits: Vec<Option<Split>>,
    pub(crate) remarks: Vec<String>,
    classes: ClassTable,
    /// Where each image of the data set is listed, in words.
    places: HashMap<usize, String>,
}

/// The name of what no region covers.
const BACKGROUND: &str = "background";

impl CocoData {
    /// Reads files of annotations. Classes of different files are the same when their names are.
    ///
    /// # Errors
    /// [`MaskError::Masks`] for another kind of file, and for images that are not there.
    pub(crate) fn read(listing: &Listing, files: Vec<CocoFile>) -> Result<Self, MaskError> {
        let mut data = Self::default();
        data.classes.classes.push(TableClass {
            name: BACKGROUND.into(),
            ids: vec![0],
            ..TableClass::default()
        });
        for (path, read) in files {
            let wrong = |found: String| MaskError::Masks {
                path: listing.name(&path),
                found,
                advice: "take COCO's JSON with the regions of instances, as in instances_train.json".into(),
            };
            let json = read.map_err(wrong)?;
            json.check_regions().map_err(wrong)?;
            data.add(listing, &path, json).map_err(wrong)?;
        }
        data.remarks.push(
            "regions of COCO's annotations: smaller ones lie above larger ones, later ones above equal ones, and what none \
             covers is 'background'"
                .into(),
        );
        Ok(data)
    }

    /// The name of the class that is drawn with this number.
    pub(crate) fn category(&self, number: u16) -> Option<&str> {
        self.classes.classes.get(usize::from(number)).map(|class| class.name.as_str())
    }

    /// The classes: the background and then the categories. Without the background its pixels are ignored.
    pub(crate) fn table(&self, with_background: bool) -> ClassTable {
        let mut table = self.classes.clone();
        table.ignored.push(MaskValue::Id(LabelMap::IGNORED));
        if !with_background {
            table.classes.remove(0);
            table.ignored.push(MaskValue::Id(0));
        }
        table
    }

    fn add(&mut self, listing: &Listing, path: &str, json: CocoJson) -> Result<(), String> {
        let ids = self.categories(path, &json);
        let lookup = Lookup::of(listing);
        let split = split_of(path);
        let mut positions: HashMap<i64, (usize, String)> = HashMap::new();
        let mut missing = Vec::new();
        for listed_image in json.images {
            let size = Some(listed_image.size()?);
            let CocoImage { id, file_name, .. } = listed_image;
            if let Some((_, other)) = positions.get(&id) {
                if *other != file_name {
                    return Err(format!("image {id} is {other} as well as {file_name}"));
                }
                continue;
            }
            let Some(image) = lookup.find(&file_name, parent(path), split) else {
                missing.push(file_name);
                continue;
            };
            let name = format!("{}, image {file_name}", listing.name(path));
            if let Some(other) = self.places.insert(image, format!("image {id} of {path}")) {
                return Err(format!("its image {id}, {file_name}, is {other} as well; keep one of them"));
            }
            positions.insert(id, (self.images.len(), file_name.clone()));
            self.splits.push(split.or_else(|| split_of_image(listing.images.get(image))));
            self.images.push(AnnotatedImage { image, name, size, regions: Vec::new() });
        }
        if !missing.is_empty() {
            return Err(format!(
                "{} of its images are not there or not found for sure: {}",
                missing.len(),
                listed(&missing)
            ));
        }
        self.regions(path, json.annotations, &ids, &positions);
        Ok(())
    }

    /// The number of each category of a file. A category without annotations that is the group of others, as Roboflow
    /// writes first, is none.
    fn categories(&mut self, path: &str, json: &CocoJson) -> HashMap<i64, u16> {
        let groups = json.groups();
        let sorted: BTreeMap<i64, &CocoCategory> =
            json.categories.iter().map(|category| (category.id, category)).collect();
        let mut ids = HashMap::new();
        for (id, category) in sorted {
            let name = canonical_name(&category.name);
            if groups.contains(&id) {
                self.remarks.push(format!("{path}: the category '{name}' is a group of others and no class"));
                continue;
            }
            let known = self.classes.classes.iter().position(|class| class.name == name);
            let number = known.unwrap_or(self.classes.classes.len()) as u16;
            if known.is_none() {
                self.classes.classes.push(TableClass { name, ids: vec![number], ..TableClass::default() });
            }
            ids.insert(id, number);
        }
        ids
    }

    fn regions(
        &mut self,
        path: &str,
        annotations: Vec<CocoAnnotation>,
        ids: &HashMap<i64, u16>,
        positions: &HashMap<i64, (usize, String)>,
    ) {
        let (mut elsewhere, mut nameless, mut empty, mut ignored) = (0, 0, 0, 0);
        for CocoAnnotation { image_id, category_id, segmentation, iscrowd, ignore, .. } in annotations {
            let Some(&(at, _)) = positions.get(&image_id) else {
                elsewhere += 1;
                continue;
            };
            let Some(&id) = category_id.and_then(|category| ids.get(&category)) else {
                nameless += 1;
                continue;
            };
            if !has_pixels(&segmentation) {
                empty += 1;
                continue;
            }
            ignored += usize::from(ignore);
            // What is ignored lies below objects, as crowds do.
            let (id, is_crowd) = if ignore { (LabelMap::IGNORED, true) } else { (id, iscrowd) };
            self.images[at].regions.push(LabelledRegion { id, region: segmentation, is_crowd });
        }
        if ignored > 0 {
            let annotations = counted(ignored, "annotation", "annotations");
            let number = LabelMap::IGNORED;
            self.remarks.push(format!(
                "{path}: {annotations} to be ignored: drawn below objects as {number}, which is ignored"
            ));
        }
        for (count, what) in [
            (elsewhere, "annotations of images that are not listed"),
            (nameless, "annotations of no category"),
            (empty, "annotations without a region of three corners"),
        ] {
            if count > 0 {
                self.remarks.push(format!("{path}: {count} {what} are left out"));
            }
        }
    }
}

/// `true` if a region may have pixels.
fn has_pixels(region: &Region) -> bool {
    match region {
        Region::None => false,
        Region::Rings(rings) => rings.iter().any(|ring| ring.len() >= 6),
        Region::Counts { .. } | Region::Text { .. } => true,
    }
}
