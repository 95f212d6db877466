//! Annotations compared with their images, and mended.

use convnext_core::{ClassNames, counted};

use crate::datasets::dataset::Dataset;
use crate::datasets::in_parallel::in_parallel;
use crate::datasets::parts::Split;
use crate::detection::annotated::AnnotatedFile;
use crate::detection::data::DetectionLayout;
use crate::detection::doubts::BoxDoubts;
use crate::detection::error::AnnotationError;
use crate::detection::found::Found;
use crate::detection::gathered::Gathered;
use crate::detection::mend::mended;
use crate::detection::quirks::AnnotationRemark;
use crate::detection::set::{Entry, SharedEntries};
use crate::detection::sizes::{FileSizes, check_size, file_sizes, orientation};
use crate::error::DataError;
use crate::instances::instance::Instance;
use crate::loading::corrupt_file::CorruptFile;
use crate::pixels::orientation::Orientation;

/// A data set with mended annotations.
pub(crate) struct Checked {
    pub(crate) root: String,
    /// Number of images with annotations, usable or not.
    pub(crate) total: usize,
    pub(crate) shared: SharedEntries,
    /// The part of each entry.
    pub(crate) splits: Vec<Option<Split>>,
    pub(crate) decisions: Vec<String>,
    pub(crate) remarks: Vec<AnnotationRemark>,
    /// Images that cannot be read, or whose annotations cannot be used.
    pub(crate) unusable: Vec<CorruptFile>,
    pub(crate) images_alone: Vec<String>,
}

impl Checked {
    /// Reads the size of every image, on so many threads or on all cores, and mends its annotations. `progress` is called
    /// with the number of images done, and that of all.
    ///
    /// # Errors
    /// [`AnnotationError::File`] for boxes that are not meant as they stand.
    pub(crate) fn of(
        found: Found,
        layout: &DetectionLayout,
        threads: Option<usize>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, DataError> {
        let Found { root, listing, files, images_alone, gathered } = found;
        let total = gathered.images.len() + gathered.unusable.len();
        let mut unusable = gathered.unusable.clone();
        let sizes = sizes(&files, &gathered.images, threads, &mut progress, &mut unusable);
        let orientation = orientation(&gathered.images, &sizes);
        check_boxes(&gathered, &sizes, orientation)?;
        let Gathered { images, classes, unnamed, sources, mut quirks, mut decisions, .. } = gathered;
        decisions.extend(said_of(orientation));
        decisions.extend(alone(&images_alone));
        let (mut entries, mut splits) = (Vec::with_capacity(total), Vec::with_capacity(total));
        for (image, sizes) in images.into_iter().zip(sizes) {
            let Some(sizes) = sizes else { continue };
            let (file, id, source, split) = (image.file, image.id, image.source, image.split);
            let (size, name) = (sizes.with(orientation), || listing.images.get(file).to_owned());
            let fits = check_size(image.stated, sizes, orientation);
            match fits.and_then(|()| mended(image, size, layout.crowd_as_object, (&mut quirks, &name))) {
                Ok(instances) => {
                    entries.push(Entry { file, id, source, size, tile: None, instances: instances.into() });
                    splits.push(split);
                }
                Err(why) => unusable.push(CorruptFile { name: files.name(file), why }),
            }
        }
        decisions.extend(crowds(&entries, &classes));
        decisions.extend(outside_of_parts(&splits));
        let (classes, remarks) = (ClassNames(classes), quirks.remarks());
        let category_ids = sources.into_iter().map(|source| source.category_ids).collect();
        let shared =
            SharedEntries { files, entries, classes, unnamed, category_ids, orientation, root: root.clone() };
        Ok(Self { root, total, shared, splits, decisions, remarks, unusable, images_alone })
    }
}

/// The sizes of images; those that cannot be read are added to what is unusable.
fn sizes(
    files: &Dataset,
    images: &[AnnotatedFile],
    threads: Option<usize>,
    progress: &mut impl FnMut(usize, usize),
    unusable: &mut Vec<CorruptFile>,
) -> Vec<Option<FileSizes>> {
    let look = |at: usize| file_sizes(files, images[at].file);
    let results = in_parallel(images.len(), threads, look, |done| progress(done, images.len()));
    let mut read = |(result, image): (Result<FileSizes, DataError>, &AnnotatedFile)| {
        let unread = |error: DataError| {
            unusable.push(CorruptFile { name: files.name(image.file), why: error.reason() });
        };
        result.map_err(unread).ok()
    };
    results.into_iter().zip(images).map(&mut read).collect()
}

fn said_of(orientation: Orientation) -> Option<String> {
    (orientation == Orientation::Ignore)
        .then(|| "annotations are of images without the turn in their EXIF data, which is ignored".to_owned())
}

/// Refuses a file whose boxes are corners or fractions.
fn check_boxes(
    gathered: &Gathered,
    sizes: &[Option<FileSizes>],
    orientation: Orientation,
) -> Result<(), DataError> {
    let mut doubts: Vec<BoxDoubts> = gathered.sources.iter().map(|_| BoxDoubts::default()).collect();
    for (image, sizes) in gathered.images.iter().zip(sizes) {
        if let (Some(sizes), Some(doubts)) = (sizes, doubts.get_mut(image.source)) {
            doubts.add(image, sizes.with(orientation));
        }
    }
    let guess =
        doubts.iter().zip(&gathered.sources).find_map(|(doubts, source)| Some((doubts.guess()?, source)));
    let Some((found, source)) = guess else { return Ok(()) };
    let (path, found) = (source.name.clone(), found.to_owned());
    let advice = "write boxes as left, top, width and height in pixels".to_owned();
    Err(AnnotationError::File { path, found, advice }.into())
}

/// What is said of images that no file of annotations lists.
fn alone(names: &[String]) -> Option<String> {
    let first = names.first()?;
    let images = counted(names.len(), "image is", "images are");
    Some(format!("{images} in no annotations, as {first}, and left out"))
}

/// What is said of classes most of whose regions are crowds.
fn crowds(entries: &[Entry], classes: &[String]) -> Vec<String> {
    let mut counts = vec![[0_usize; 2]; classes.len()];
    for Instance { class, is_crowd, .. } in entries.iter().flat_map(|entry| &entry.instances) {
        counts[*class][usize::from(*is_crowd)] += 1;
    }
    let most = counts.iter().zip(classes).filter(|([objects, crowds], _)| crowds > objects);
    most.map(|([objects, crowds], class)| {
        let all = objects + crowds;
        format!(
            "{crowds} of the {all} annotations of '{class}' are crowds (iscrowd), which are not learned; if each is one \
             object, say --crowd-as-object"
        )
    })
    .collect()
}

/// What is said of images that lie in no part where others do.
fn outside_of_parts(splits: &[Option<Split>]) -> Option<String> {
    let outside = splits.iter().filter(|split| split.is_none()).count();
    let images = counted(outside, "image with annotations lies", "images with annotations lie");
    (outside > 0 && outside < splits.len())
        .then(|| format!("{images} outside of the parts for training, validation and test: left out"))
}
