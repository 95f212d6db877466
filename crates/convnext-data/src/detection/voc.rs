//! Pascal VOC's XML file for each image (facts, "Others").

use std::collections::{BTreeSet, HashMap};

use convnext_core::{BoundingBox, ImageSize};
use roxmltree::{Document, Node};

use crate::datasets::class_name::canonical_name;
use crate::datasets::image_lookup::{Lookup, split_of, split_of_image};
use crate::datasets::listed_names::ImageNames;
use crate::datasets::listing::Listing;
use crate::datasets::part_lists::{PartLists, names_a_part};
use crate::datasets::relative::{parent, stem};
use crate::datasets::side_files::SideFiles;
use crate::detection::annotated::{AnnotatedFile, AnnotatedObject, AnnotationSource};
use crate::detection::gathered::Gathered;
use crate::detection::quirks::Quirk;
use crate::error::DataError;
use crate::loading::corrupt_file::CorruptFile;

/// `true` for a file of VOC. CVAT's of many images begins with `<annotations>`.
pub(crate) fn is_voc(bytes: &[u8]) -> bool {
    const TAG: &[u8] = b"<annotation";
    let after = memchr::memmem::find(bytes, TAG).and_then(|at| bytes.get(at + TAG.len()));
    after.is_some_and(|byte| *byte == b'>' || byte.is_ascii_whitespace())
}

/// Reads the files of all images. Classes are the names, sorted. `lists` may hold VOC's lists of parts.
///
/// # Errors
/// [`DataError::Layout`] for lists of parts, as [`PartLists::read`] says.
pub(crate) fn gather(listing: &Listing, files: &SideFiles, lists: &SideFiles) -> Result<Gathered, DataError> {
    let images = Images { lookup: Lookup::of(listing), by_stem: by_stem(listing) };
    let mut gathered = Gathered::default();
    for (path, bytes) in files {
        if let Err(why) = read(listing, &images, path, bytes, &mut gathered) {
            gathered.unusable.push(CorruptFile { name: listing.name(path), why });
        }
    }
    gathered.sort_classes();
    let category_ids = vec![None; gathered.classes.len()];
    gathered.sources.push(AnnotationSource { name: listing.name(""), category_ids });
    gathered.decisions.push(format!("VOC's XML files: {}", gathered.images.len()));
    // Not all images: masks of segmentation are called as those that they belong to.
    let named: BTreeSet<usize> =
        gathered.claimed().chain(images.by_stem.values().copied().flatten()).collect();
    divide(&mut gathered, listing, lists, &named)?;
    Ok(gathered)
}

/// Divides images by lists of parts, whose lines name some of these, and says what is unusual in the lists.
fn divide(
    gathered: &mut Gathered,
    listing: &Listing,
    lists: &SideFiles,
    named: &BTreeSet<usize>,
) -> Result<(), DataError> {
    let claims = gathered.claims();
    // Which image annotations that cannot be used are of is not known; these are told, and not the lists.
    let may_have_annotations = |image: usize| claims.contains_key(&image) || !gathered.unusable.is_empty();
    let mut names = ImageNames::of(listing, named.iter().map(|&image| (image, may_have_annotations(image))));
    // An image may be called otherwise than its annotations, and a list name either.
    let mut claimed: Vec<(&usize, &String)> = claims.iter().collect();
    claimed.sort_unstable();
    for (&image, file) in claimed {
        names.add(stem(file), (image, true));
    }
    let lists = PartLists::read(listing, lists, is_list, &names, "an image that has annotations")?;
    let Some(lists) = lists else { return Ok(()) };
    for image in &mut gathered.images {
        image.split = lists.split(image.file);
    }
    let remarks = lists.remarks(listing, gathered.images.iter().map(|image| image.file));
    gathered.decisions.extend(remarks);
    Ok(())
}

struct Images<'a> {
    lookup: Lookup<'a>,
    /// Images by their names without extension, where there is one.
    by_stem: HashMap<&'a str, Option<usize>>,
}

fn by_stem(listing: &Listing) -> HashMap<&str, Option<usize>> {
    let mut found: HashMap<&str, Option<usize>> = HashMap::new();
    for (image, path) in listing.images.iter().enumerate() {
        found.entry(stem(path)).and_modify(|image| *image = None).or_insert(Some(image));
    }
    found
}

/// `true` for a list of a part.
pub(crate) fn is_list(path: &str) -> bool {
    parent(path).ends_with("ImageSets/Main") && names_a_part(path)
}

fn read(
    listing: &Listing,
    images: &Images<'_>,
    path: &str,
    bytes: &[u8],
    gathered: &mut Gathered,
) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let document = Document::parse(text).map_err(|error| format!("it is no XML: {error}"))?;
    let root = document.root_element();
    let name = text_of(root, "filename").unwrap_or_default();
    let file = images.find(listing, path, name)?;
    gathered.claim(file, path)?;
    let objects = objects(root, path, gathered)?;
    let split = split_of(path).or_else(|| split_of_image(listing.images.get(file)));
    let (stated, id) = (size(root), gathered.images.len() as i64 + 1);
    gathered.images.push(AnnotatedFile { file, id, stated, split, objects, ..AnnotatedFile::default() });
    Ok(())
}

impl Images<'_> {
    /// The image of a file of annotations. The name in it is often that of another folder or extension, or of the file that
    /// it was copied from, so that the image that is called as the file comes first.
    fn find(&self, listing: &Listing, path: &str, name: &str) -> Result<usize, String> {
        let named = self.lookup.find(name, parent(path), split_of(path));
        let own = named.filter(|&image| stem(listing.images.get(image)) == stem(path));
        let found = own.or_else(|| self.of_stem(stem(path))).or(named).or_else(|| self.of_stem(stem(name)));
        found.ok_or_else(|| format!("its image {name} is not there, nor one called {}", stem(path)))
    }

    /// The only image of this name without extension.
    fn of_stem(&self, name: &str) -> Option<usize> {
        self.by_stem.get(name).copied().flatten()
    }
}

/// The objects of a file.
fn objects(root: Node<'_, '_>, path: &str, gathered: &mut Gathered) -> Result<Vec<AnnotatedObject>, String> {
    let mut objects = Vec::new();
    for (id, object) in (1..).zip(root.children().filter(|child| child.has_tag_name("object"))) {
        let class = text_of(object, "name").ok_or(format!("object {id} has no name"))?;
        let bounds = bounds(object).ok_or(format!("object {id} has no bndbox of four numbers"))?;
        let is_ignored = text_of(object, "difficult") == Some("1");
        if is_ignored {
            gathered.quirks.add(Quirk::Difficult, || format!("object {id} of {path}"));
        }
        let (class, bounds) = (gathered.class(&canonical_name(class)), Some(bounds));
        objects.push(AnnotatedObject { id, class, bounds, is_ignored, ..AnnotatedObject::default() });
    }
    Ok(objects)
}

/// The text of a child.
fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let child = node.children().find(|child| child.has_tag_name(name))?;
    child.text().map(str::trim).filter(|text| !text.is_empty())
}

fn number_of(node: Node<'_, '_>, name: &str) -> Option<f64> {
    text_of(node, name)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The stated size; some programs write 0.
fn size(root: Node<'_, '_>) -> Option<ImageSize> {
    let size = root.children().find(|child| child.has_tag_name("size"))?;
    let [height, width] = ["height", "width"].map(|side| number_of(size, side).unwrap_or_default() as usize);
    (height > 0 && width > 0).then_some(ImageSize { height, width })
}

/// A box, whose numbers are those of its first and last pixels from 1 on.
fn bounds(object: Node<'_, '_>) -> Option<BoundingBox> {
    let bounds = object.children().find(|child| child.has_tag_name("bndbox"))?;
    let side = |name: &str| number_of(bounds, name).map(f64::trunc);
    Some(BoundingBox {
        left: side("xmin")? - 1.0,
        top: side("ymin")? - 1.0,
        right: side("xmax")?,
        bottom: side("ymax")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_cvat_are_others() {
        assert!(is_voc(b"<annotation>") && is_voc(b"<?xml?><annotation verified='yes'>"));
        assert!(!is_voc(b"<annotations><image/></annotations>") && !is_voc(b"<annotation"));
    }
}
