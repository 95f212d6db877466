//! YOLO's labels as objects.

use convnext_core::counted;

use crate::datasets::class_name::canonical_name;
use crate::datasets::image_lookup::split_of_image;
use crate::datasets::listing::Listing;
use crate::datasets::relative::{last, without_extension};
use crate::datasets::side_files::SideFiles;
use crate::detection::annotated::{AnnotatedFile, AnnotationSource};
use crate::detection::data::DetectionLayout;
use crate::detection::error::AnnotationError;
use crate::detection::gathered::Gathered;
use crate::detection::quirks::Quirk;
use crate::detection::yolo::data_file::PlacedDataFile;
use crate::detection::yolo::places::Places;
use crate::detection::yolo::rows::read_rows;
use crate::error::DataError;
use crate::loading::corrupt_file::CorruptFile;

/// The label files and lists beside images, with the names of the classes where a file has them.
pub(crate) struct YoloFiles<'a> {
    /// All text files.
    pub(crate) texts: &'a SideFiles,
    /// The `data.yaml`.
    pub(crate) data: Option<PlacedDataFile>,
}

/// `true` if an image has a label file whose first row is one, for data without `data.yaml`.
pub(crate) fn has_labels(listing: &Listing, texts: &SideFiles) -> bool {
    let label_path = label_places(listing, texts);
    let labels = listing.images.iter().filter_map(|image| texts.get(&label_path(image)));
    let first =
        labels.flat_map(|text| text.split(|byte| *byte == b'\n')).find(|row| !row.trim_ascii().is_empty());
    first.is_some_and(|row| read_rows(row, None).is_ok())
}

/// Reads labels. Images without a label file have no objects.
///
/// # Errors
/// [`AnnotationError::File`] when a place of a part has no images, no image has a label file, or a class has no name.
pub(crate) fn gather(
    listing: &Listing,
    files: &YoloFiles<'_>,
    layout: &DetectionLayout,
) -> Result<Gathered, DataError> {
    let mut gathered = Gathered::default();
    let places = files.data.as_ref().filter(|file| !file.data.places.is_empty()).map(|file| {
        let PlacedDataFile { name, folder, data } = file;
        let (texts, allow_missing) = (files.texts, layout.allow_missing);
        Places { listing, texts, name, folder, data, allow_missing }.splits()
    });
    let splits = places.transpose()?.map(|(splits, said)| {
        gathered.decisions.extend(said);
        splits
    });
    let keypoints = files.data.as_ref().and_then(|file| file.data.keypoints);
    gathered.decisions.extend(keypoints.map(|_| "keypoints are not used".to_owned()));
    let label_path = label_places(listing, files.texts);
    let mut used = 0;
    let mut expected: Option<String> = None;
    let mut largest: Option<(usize, String)> = None;
    for (file, path) in listing.images.iter().enumerate() {
        let split = match &splits {
            // Images outside of the places that are named are left out.
            Some(splits) if !splits.contains_key(&file) => continue,
            Some(splits) => splits.get(&file).copied(),
            None => split_of_image(path),
        };
        let label = label_path(path);
        used += usize::from(files.texts.contains_key(&label));
        expected.get_or_insert_with(|| label.clone());
        let text = files.texts.get(&label).map_or(&[][..], Vec::as_slice);
        let objects = match read_rows(text, keypoints) {
            Ok((objects, repeated)) => {
                (0..repeated).for_each(|_| gathered.quirks.add(Quirk::Repeated, || label.clone()));
                objects
            }
            Err(why) => {
                let name = listing.name(&label);
                // It has a file, which cannot be read.
                let _ = gathered.claim(file, &label);
                gathered.unusable.push(CorruptFile { name, why });
                continue;
            }
        };
        if let Some(class) = objects.iter().map(|object| object.class).max()
            && largest.as_ref().is_none_or(|(known, _)| class > *known)
        {
            largest = Some((class, label));
        }
        let id = gathered.images.len() as i64 + 1;
        let (is_relative, stated, source) = (true, None, 0);
        gathered.images.push(AnnotatedFile { file, id, stated, source, split, is_relative, objects });
    }
    if let Some(label) = expected.filter(|_| used == 0) {
        let (path, found) =
            (listing.name(""), format!("no image has a label file, as {label} for the first"));
        let advice = "put labels/ beside images/, or each file beside its image".to_owned();
        return Err(AnnotationError::File { path, found, advice }.into());
    }
    say_labels(&mut gathered, used);
    name_classes(&mut gathered, listing, files, layout, largest)?;
    Ok(gathered)
}

fn say_labels(gathered: &mut Gathered, used: usize) {
    let empty = gathered.images.iter().filter(|image| image.objects.is_empty()).count();
    let labels = counted(used, "label file", "label files");
    gathered.decisions.push(format!("YOLO's labels: {labels}"));
    if empty > 0 {
        let images = counted(empty, "image has", "images have");
        gathered.decisions.push(format!("{images} no objects: all of them is background"));
    }
}

/// The names of `data.yaml`, or of `classes.txt`, or of a model, or numbers.
fn name_classes(
    gathered: &mut Gathered,
    listing: &Listing,
    files: &YoloFiles<'_>,
    layout: &DetectionLayout,
    largest: Option<(usize, String)>,
) -> Result<(), DataError> {
    /// The largest number of classes without names that few objects may have.
    const MAX_UNNAMED: usize = 1000;
    let count = largest.as_ref().map_or(0, |(class, _)| class + 1);
    let objects: usize = gathered.images.iter().map(|image| image.objects.len()).sum();
    let list = || files.texts.iter().find(|(path, _)| last(path) == "classes.txt");
    let (source, names) = match (&files.data, list()) {
        (Some(PlacedDataFile { name, data, .. }), _) if !data.names.is_empty() => {
            (name.clone(), data.names.clone())
        }
        (_, Some((path, text))) => (listing.name(path), names_of_lines(&String::from_utf8_lossy(text))),
        _ if layout.model.as_ref().is_none_or(|model| model.len() < count)
            && count > MAX_UNNAMED.max(objects) =>
        {
            let (path, found) =
                (listing.name(""), format!("there are {objects} objects, and one of class {}", count - 1));
            let advice = "name the classes in data.yaml".to_owned();
            return Err(AnnotationError::File { path, found, advice }.into());
        }
        _ => match layout.model.as_ref().filter(|model| model.len() >= count) {
            Some(model) => ("the model".to_owned(), model.0.clone()),
            None => {
                gathered.unnamed = true;
                let names = (0..count).map(|class| format!("class_{class}"));
                ("the numbers of the labels".to_owned(), names.collect())
            }
        },
    };
    if let Some((class, label)) = largest.filter(|(class, _)| *class >= names.len()) {
        let (path, found) =
            (listing.name(&label), format!("it has the class {class}, but {source} names {}", names.len()));
        let advice = "name every class from 0 on in data.yaml".to_owned();
        return Err(AnnotationError::File { path, found, advice }.into());
    }
    gathered.decisions.push(format!("{} from {source}", counted(names.len(), "class", "classes")));
    let category_ids = vec![None; names.len()];
    gathered.sources.push(AnnotationSource { name: listing.name(""), category_ids });
    gathered.classes = names;
    Ok(())
}

/// The names of `classes.txt`, one in a line. Each line has its number, an empty one within them as well.
fn names_of_lines(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let name = |(class, line): (usize, &str)| match canonical_name(line) {
        name if name.is_empty() => format!("class_{class}"),
        name => name,
    };
    text.lines().enumerate().map(name).collect()
}

/// Where the label files of all images are: in `labels/`, or each beside its image where none lies there.
fn label_places(listing: &Listing, texts: &SideFiles) -> fn(&str) -> String {
    let are_in =
        |place: fn(&str) -> String| listing.images.iter().any(|image| texts.contains_key(&place(image)));
    if are_in(label_beside) && !are_in(label_path) { label_beside } else { label_path }
}

/// The label file beside an image.
fn label_beside(image: &str) -> String {
    format!("{}.txt", without_extension(image))
}

/// The label file of an image: in `labels/` for the last `images/` of its path, or beside it.
fn label_path(image: &str) -> String {
    let rooted = format!("/{}", without_extension(image));
    let place = match rooted.rsplit_once("/images/") {
        Some((before, after)) => format!("{before}/labels/{after}"),
        None => rooted,
    };
    format!("{}.txt", place.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lie_where_yolo_has_them() {
        for (image, label) in [
            ("images/train/a.b.jpg", "labels/train/a.b.txt"),
            ("images/x/images/a.jpg", "images/x/labels/a.txt"),
            ("train/images/a.jpg", "train/labels/a.txt"),
            ("a.jpg", "a.txt"),
            ("my_images/a.jpg", "my_images/a.txt"),
        ] {
            assert_eq!(label_path(image), label);
        }
    }
}
