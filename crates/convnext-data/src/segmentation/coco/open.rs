//! COCO's annotations with the images that they are about.

use std::collections::{BTreeMap, HashMap};

use crate::datasets::listing::Listing;
use crate::datasets::parts::{Named, Split};
use crate::datasets::relative::{last, parent};
use crate::segmentation::class_table::{ClassTable, TableClass};
use crate::segmentation::coco::json::{CocoAnnotation, CocoCategory, CocoImage, CocoJson, Region};
use crate::segmentation::coco::maps::{AnnotatedImage, LabelledRegion};
use crate::segmentation::error::MaskError;
use crate::segmentation::refusal::listed;
use crate::segmentation::side_files::SideFiles;
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
    pub(crate) fn read(listing: &Listing, files: &SideFiles) -> Result<Self, MaskError> {
        let mut data = Self::default();
        data.classes.classes.push(TableClass {
            name: BACKGROUND.into(),
            ids: vec![0],
            ..TableClass::default()
        });
        for (path, bytes) in files {
            let wrong = |found: String| MaskError::Masks {
                path: listing.name(path),
                found,
                advice: "take COCO's JSON with the regions of instances, as in instances_train.json".into(),
            };
            let json = CocoJson::read(bytes).map_err(wrong)?;
            data.add(listing, path, json).map_err(wrong)?;
        }
        data.remarks.push(
            "regions of COCO's annotations: smaller ones lie above larger ones, later ones above equal ones, and what none \
             covers is 'background'"
                .into(),
        );
        Ok(data)
    }

    /// The classes: the background and then the categories. Without the background its pixels are ignored.
    pub(crate) fn table(&self, with_background: bool) -> ClassTable {
        let mut table = self.classes.clone();
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
            let Some(image) = lookup.find(&file_name, split) else {
                missing.push(file_name);
                continue;
            };
            let name = format!("{}, image {file_name}", listing.name(path));
            if let Some(other) = self.places.insert(image, format!("image {id} of {path}")) {
                return Err(format!("its image {id}, {file_name}, is {other} as well; keep one of them"));
            }
            positions.insert(id, (self.images.len(), file_name.clone()));
            self.splits.push(split.or_else(|| split_of(listing.images.get(image))));
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
        let groups = |category: &CocoCategory| {
            let is_group = json
                .categories
                .iter()
                .any(|other| other.supercategory.as_deref() == Some(category.name.as_str()));
            let is_used =
                json.annotations.iter().any(|annotation| annotation.category_id == Some(category.id));
            category.id == 0 && is_group && !is_used
        };
        let sorted: BTreeMap<i64, &CocoCategory> =
            json.categories.iter().map(|category| (category.id, category)).collect();
        let mut ids = HashMap::new();
        for (id, category) in sorted {
            if groups(category) {
                let name = &category.name;
                self.remarks.push(format!("{path}: the category '{name}' is a group of others and no class"));
                continue;
            }
            let known = self.classes.classes.iter().position(|class| class.name == category.name);
            let number = known.unwrap_or(self.classes.classes.len()) as u16;
            if known.is_none() {
                let (name, numbers) = (category.name.clone(), vec![number]);
                self.classes.classes.push(TableClass { name, ids: numbers, ..TableClass::default() });
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
        let (mut elsewhere, mut nameless, mut empty) = (0, 0, 0);
        for CocoAnnotation { image_id, category_id, segmentation, iscrowd, .. } in annotations {
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
            let region = LabelledRegion { id, region: segmentation, is_crowd: iscrowd != 0 };
            self.images[at].regions.push(region);
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

/// The part that the name of a file or, nearer before farther, of one of its folders says.
fn split_of(path: &str) -> Option<Split> {
    let stem = last(path).rsplit_once('.').map_or(last(path), |(stem, _)| stem);
    Named::of(stem).split().or_else(|| parent(path).rsplit('/').find_map(|folder| Named::of(folder).split()))
}

/// Images by the last part of their path.
struct Lookup<'a> {
    listing: &'a Listing,
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Lookup<'a> {
    fn of(listing: &'a Listing) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (image, path) in listing.images.iter().enumerate() {
            by_name.entry(last(path)).or_default().push(image);
        }
        Self { listing, by_name }
    }

    /// The only file with this path at its end, or with this name; of several that in folders of the same part.
    fn find(&self, file_name: &str, split: Option<Split>) -> Option<usize> {
        let plain = file_name.replace('\\', "/");
        let names = [plain.clone(), decoded(&plain)];
        names.iter().find_map(|name| {
            let name = name.trim_start_matches('/');
            let same_name = self.by_name.get(last(name))?;
            let path = |image: usize| self.listing.images.get(image);
            let whole = |&image: &usize| path(image) == name || path(image).ends_with(&format!("/{name}"));
            let mut found: Vec<usize> = same_name.iter().copied().filter(whole).collect();
            if found.is_empty() {
                found.clone_from(same_name);
            }
            if found.len() > 1 {
                found.retain(|&image| split_of(path(image)) == split);
            }
            match found[..] {
                [image] => Some(image),
                _ => None,
            }
        })
    }
}

/// A name with `%20` and the like replaced by what they stand for.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
