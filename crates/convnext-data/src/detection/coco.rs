//! COCO's annotations as objects.

use std::collections::{BTreeMap, HashMap, HashSet};

use convnext_core::{BoundingBox, ClassNames, ImageSize, counted};

use crate::datasets::class_name::canonical_name;
use crate::datasets::image_lookup::{Lookup, split_of, split_of_image};
use crate::datasets::listing::Listing;
use crate::datasets::parts::Split;
use crate::datasets::relative::{last, parent};
use crate::detection::annotated::{AnnotatedFile, AnnotatedObject, AnnotationSource};
use crate::detection::data::DetectionLayout;
use crate::detection::error::AnnotationError;
use crate::detection::gathered::Gathered;
use crate::detection::quirks::Quirk;
use crate::error::DataError;
use crate::instances::coco_files::CocoFile;
use crate::instances::coco_json::{CocoAnnotation, CocoCategory, CocoImage, CocoJson};

/// Reads files of annotations. Classes of different files are the same when their names are; those of the part that is
/// trained on, sorted by their ids, are the classes.
///
/// `is_named` says that the user named the file: its path then says nothing of a part, but the folders of images do.
///
/// # Errors
/// [`AnnotationError`] for another kind of file, for images that are not there and where none at all is there, and
/// [`DataError::UnknownClass`] for a category of another part.
pub(crate) fn gather(
    listing: &Listing,
    files: Vec<CocoFile>,
    layout: &DetectionLayout,
    is_named: bool,
) -> Result<Gathered, DataError> {
    let mut read = Vec::new();
    for (path, file) in files {
        let json = file.map_err(|found| wrong(listing.name(&path), found))?;
        let place = if is_named { 1 } else { place_of(split_of(&path)) };
        read.push((place, path, json));
    }
    read.sort_by(|(place, path, ..), (other, other_path, ..)| (place, path).cmp(&(other, other_path)));
    let first = read.first().map(|(place, ..)| *place);
    let mut data = Coco {
        listing,
        lookup: Lookup::of(listing),
        layout,
        is_named,
        gathered: Gathered::default(),
        places: HashMap::new(),
        without_images: None,
    };
    for (place, path, json) in read {
        data.add(&path, json, Some(place) == first)?;
    }
    match data.without_images {
        Some(error) if data.gathered.images.is_empty() => return Err(error.into()),
        _ if is_named => without_only_part(&mut data.gathered),
        _ => {}
    }
    Ok(data.gathered)
}

/// Images that are all of one part are data without parts: what was named is all that is wanted.
fn without_only_part(gathered: &mut Gathered) {
    let first = gathered.images.first().and_then(|image| image.split);
    if gathered.images.iter().all(|image| image.split == first) {
        gathered.images.iter_mut().for_each(|image| image.split = None);
    }
}

/// `true` for an id that was not listed before.
///
/// # Errors
/// In words, for one that is that of another image.
fn is_new(names: &mut HashMap<i64, String>, id: i64, file_name: &str) -> Result<bool, String> {
    match names.insert(id, file_name.to_owned()) {
        Some(other) if other != file_name => Err(format!("image {id} is {other} as well as {file_name}")),
        known => Ok(known.is_none()),
    }
}

/// The training part comes first, as it has the classes.
fn place_of(split: Option<Split>) -> usize {
    match split {
        Some(Split::Train) => 0,
        None => 1,
        Some(Split::Validation) => 2,
        Some(Split::Test) => 3,
    }
}

fn wrong(path: String, found: String) -> DataError {
    let advice = "take COCO's JSON of instances, as in instances_train.json, or name one with --annotations"
        .to_owned();
    AnnotationError::File { path, found, advice }.into()
}

/// The images of a file.
struct ListedImages {
    /// Positions among all images by ids; `None` for those that are not there.
    positions: HashMap<i64, Option<usize>>,
    /// Names of those that are not there.
    missing: Vec<String>,
}

struct Coco<'a> {
    listing: &'a Listing,
    lookup: Lookup<'a>,
    layout: &'a DetectionLayout,
    is_named: bool,
    gathered: Gathered,
    /// Where each image of the data set is listed, in words.
    places: HashMap<usize, String>,
    /// Said of the first file none of whose images is there, if no other file has any.
    without_images: Option<AnnotationError>,
}

impl Coco<'_> {
    fn add(&mut self, path: &str, json: CocoJson, has_classes: bool) -> Result<(), DataError> {
        let all = json.images.len();
        let keypoints = json.has_keypoints();
        let classes = self.categories(path, &json, has_classes)?;
        let source = self.gathered.sources.len();
        let first = self.gathered.images.len();
        let ListedImages { positions, missing } = self.images(path, source, json.images)?;
        if positions.is_empty() && !missing.is_empty() {
            self.say(path, &format!("none of its {} is there: left out", counted(all, "image", "images")));
            let path = self.name(path);
            self.without_images.get_or_insert(AnnotationError::AllMissing { path, names: missing });
            return Ok(());
        }
        match missing.len() {
            0 => {}
            count if self.layout.allow_missing => {
                let images = counted(count, "image that is not there is", "images that are not there are");
                self.say(path, &format!("{images} left out"));
            }
            count => {
                let (path, names) = (self.name(path), missing);
                return Err(AnnotationError::Missing { path, count, total: all, names }.into());
            }
        }
        if keypoints {
            self.say(path, "keypoints are not used");
        }
        let mut category_ids = vec![None; self.gathered.classes.len()];
        for (&id, &class) in &classes {
            category_ids[class] = category_ids[class].or(Some(id));
        }
        self.gathered.sources.push(AnnotationSource { name: path.to_owned(), category_ids });
        self.objects(path, json.annotations, &classes, &positions);
        let empty = self.gathered.images[first..].iter().filter(|image| image.objects.is_empty()).count();
        if empty > 0 {
            let images = counted(empty, "image has", "images have");
            self.say(path, &format!("{images} no objects: all of them is background"));
        }
        Ok(())
    }

    /// The name of a file in messages: one that the user named is anywhere.
    fn name(&self, path: &str) -> String {
        if self.is_named { path.to_owned() } else { self.listing.name(path) }
    }

    fn say(&mut self, path: &str, what: &str) {
        self.gathered.decisions.push(format!("{path}: {what}"));
    }

    /// The images that are there, by their ids, and the names of the others.
    fn images(
        &mut self,
        path: &str,
        source: usize,
        images: Vec<CocoImage>,
    ) -> Result<ListedImages, DataError> {
        // The folder of a file that was named is anywhere; its name tells images of one name apart.
        let split = split_of(if self.is_named { last(path) } else { path });
        let mut names: HashMap<i64, String> = HashMap::new();
        let mut positions = HashMap::new();
        let mut missing = Vec::new();
        for CocoImage { id, file_name, width, height } in images {
            if !is_new(&mut names, id, &file_name).map_err(|found| wrong(self.name(path), found))? {
                continue;
            }
            let find = |split| self.lookup.find(&file_name, parent(path), split);
            // What was named may list images of any part.
            let Some(file) = find(split).or_else(|| find(None).filter(|_| self.is_named)) else {
                missing.push(file_name);
                // Annotations of it are not those of an image that is not listed.
                positions.insert(id, None);
                continue;
            };
            let place = format!("image {id} of {}", last(path));
            if let Some(other) = self.places.insert(file, place) {
                let found = format!("its image {id}, {file_name}, is {other} as well; keep one of them");
                return Err(wrong(self.name(path), found));
            }
            let stated = (width > 0 && height > 0).then_some(ImageSize { height, width });
            let split =
                split.filter(|_| !self.is_named).or_else(|| split_of_image(self.listing.images.get(file)));
            positions.insert(id, Some(self.gathered.images.len()));
            let image = AnnotatedFile { file, id, stated, source, split, ..AnnotatedFile::default() };
            self.gathered.images.push(image);
        }
        if positions.values().all(Option::is_none) {
            positions.clear();
        }
        Ok(ListedImages { positions, missing })
    }

    /// The class of each category.
    fn categories(
        &mut self,
        path: &str,
        json: &CocoJson,
        has_classes: bool,
    ) -> Result<BTreeMap<i64, usize>, DataError> {
        let groups = json.groups();
        let sorted: BTreeMap<i64, &CocoCategory> =
            json.categories.iter().map(|category| (category.id, category)).collect();
        let mut classes: BTreeMap<i64, usize> = BTreeMap::new();
        for (id, category) in sorted {
            let name = canonical_name(&category.name);
            if groups.contains(&id) {
                self.say(path, &format!("the category '{name}' is a group of others and no class"));
                continue;
            }
            if let Some(other) = classes.values().find(|&&class| self.gathered.classes[class] == name) {
                let other = self.gathered.classes[*other].clone();
                self.say(path, &format!("several categories are called '{other}' and taken as one class"));
            }
            if has_classes {
                classes.insert(id, self.gathered.class(&name));
            } else if let Some(class) = self.gathered.classes.iter().position(|known| *known == name) {
                classes.insert(id, class);
            } else if json.annotations.iter().any(|annotation| annotation.category_id == Some(id)) {
                let known = ClassNames(self.gathered.classes.clone());
                return Err(DataError::unknown_class(name, self.name(path), &known));
            } else {
                self.say(path, &format!("the category '{name}' is none of the training part, and unused"));
            }
        }
        Ok(classes)
    }

    fn objects(
        &mut self,
        path: &str,
        annotations: Vec<CocoAnnotation>,
        classes: &BTreeMap<i64, usize>,
        positions: &HashMap<i64, Option<usize>>,
    ) {
        let mut ids = HashSet::new();
        let quirks = &mut self.gathered.quirks;
        for (at, annotation) in (0..).zip(annotations) {
            let CocoAnnotation {
                id, image_id, category_id, segmentation, bbox, area, iscrowd, ignore, ..
            } = annotation;
            let place = || format!("annotation {} of {path}", id.unwrap_or(at));
            if id.is_some_and(|id| !ids.insert(id)) {
                quirks.add(Quirk::RepeatedId, place);
            }
            let Some(&position) = positions.get(&image_id) else {
                quirks.add(Quirk::Elsewhere, place);
                continue;
            };
            let Some(position) = position else { continue };
            let Some(&class) = category_id.and_then(|category| classes.get(&category)) else {
                quirks.add(Quirk::Nameless, place);
                continue;
            };
            if ignore && !iscrowd {
                quirks.add(Quirk::Ignored, place);
            }
            self.gathered.images[position].objects.push(AnnotatedObject {
                id: id.unwrap_or(at),
                class,
                bounds: bbox.map(BoundingBox::of_corner_and_size),
                region: segmentation,
                area,
                is_crowd: iscrowd,
                is_ignored: ignore,
            });
        }
    }
}
