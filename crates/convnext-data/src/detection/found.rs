//! The images and annotations of a data set, before they are compared.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convnext_core::counted;

use crate::datasets::dataset::Dataset;
use crate::datasets::files::Files;
use crate::datasets::list_images::list_images_beside;
use crate::datasets::listing::Listing;
use crate::datasets::relative::{last, parent, stem};
use crate::datasets::side_files::{SideFiles, side_files, side_names};
use crate::detection::coco;
use crate::detection::data::DetectionLayout;
use crate::detection::error::AnnotationError;
use crate::detection::gathered::Gathered;
use crate::detection::yolo::data_file::{DataFile, PlacedDataFile};
use crate::detection::yolo::gather::{YoloFiles, gather as yolo_gather, has_labels};
use crate::detection::{labelme, voc};
use crate::error::DataError;
use crate::instances::coco_files::{coco_files, read_coco};

/// Images and annotations of a data set.
pub(crate) struct Found {
    /// Folder or archive.
    pub(crate) root: String,
    /// All files, by their paths from the root on.
    pub(crate) listing: Arc<Listing>,
    pub(crate) files: Dataset,
    /// Names of images that no file of annotations lists.
    pub(crate) images_alone: Vec<String>,
    pub(crate) gathered: Gathered,
}

/// Extensions of files with annotations of images, besides COCO's.
const ANNOTATIONS: [&str; 4] = ["txt", "yaml", "yml", "xml"];

impl Found {
    /// Finds the annotations of a folder or an archive, or reads those of a file that is named.
    pub(crate) fn of(path: &Path, layout: &DetectionLayout) -> Result<Self, DataError> {
        if layout.annotations.is_none() && is_yaml(path) && path.is_file() {
            let root = yaml_root(path)?;
            let layout = DetectionLayout { annotations: Some(path.to_owned()), ..layout.clone() };
            return Self::of(&root, &layout);
        }
        let listing = list_images_beside(path, &ANNOTATIONS)?.with_images()?;
        let gathered = gather(path, &listing, layout)?;
        if gathered.images.is_empty() && gathered.unusable.is_empty() {
            return Err(none(&listing));
        }
        let mut is_listed = vec![false; listing.images.len()];
        gathered
            .images
            .iter()
            .map(|image| image.file)
            .chain(gathered.claimed())
            .for_each(|file| is_listed[file] = true);
        let alone = listing.images.iter().zip(is_listed).filter(|(_, is_listed)| !is_listed);
        let (root, images_alone) = (listing.name(""), alone.map(|(path, _)| listing.name(path)).collect());
        let listing = Arc::new(listing);
        let files = Dataset::new(Files::Listed(Arc::clone(&listing)));
        Ok(Self { root, listing, files, images_alone, gathered })
    }
}

/// The annotations of the first kind that is there: COCO's, YOLO's with `data.yaml`, LabelMe's, VOC's, YOLO's without it.
fn gather(path: &Path, listing: &Listing, layout: &DetectionLayout) -> Result<Gathered, DataError> {
    if let Some(file) = &layout.annotations {
        return of_file(path, file, listing, layout);
    }
    let files = coco_files(path, listing)?;
    if !files.is_empty() {
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        let mut gathered = coco::gather(listing, files, layout, false)?;
        gathered.decisions.push(format!("COCO's JSON: {}", some(&names)));
        gathered.decisions.extend(unused(path, listing, &names)?);
        return Ok(gathered);
    }
    let texts = side_files(path, listing, |file| has_extension(file, &["txt", "yaml", "yml"]))?;
    if let Some(data) = data_file(listing, &texts)? {
        return yolo(listing, &texts, Some(data), layout);
    }
    let files = labelme::labelme_files(path, listing)?;
    if !files.is_empty() {
        return Ok(labelme::gather(listing, files));
    }
    let mut files = side_files(path, listing, |file| has_extension(file, &["xml"]))?;
    files.retain(|_, bytes| voc::is_voc(bytes));
    if !files.is_empty() {
        return voc::gather(listing, &files, &texts);
    }
    match has_labels(listing, &texts) {
        true => yolo(listing, &texts, None, layout),
        false => Err(none(listing)),
    }
}

fn has_extension(file: &str, extensions: &[&str]) -> bool {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// What is said of files that may be annotations of images in other layouts, beside COCO's.
fn unused(path: &Path, listing: &Listing, coco: &[String]) -> Result<Option<String>, DataError> {
    let images: HashSet<&str> = listing.images.iter().map(stem).collect();
    let is_other = |file: &str| {
        has_extension(file, &["txt", "xml", "json"])
            && images.contains(stem(file))
            && !coco.iter().any(|own| own == file)
    };
    let files = side_names(path, listing, is_other)?;
    let count = counted(files.len(), "other file is", "other files are");
    Ok((!files.is_empty())
        .then(|| format!("{count} called as images are, and not read beside COCO's JSON: {}", some(&files))))
}

/// The first of some names.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn yolo(
    listing: &Listing,
    texts: &SideFiles,
    data: Option<PlacedDataFile>,
    layout: &DetectionLayout,
) -> Result<Gathered, DataError> {
    yolo_gather(listing, &YoloFiles { texts, data }, layout)
}

/// The `data.yaml` nearest to the top, under whatever name.
fn data_file(listing: &Listing, texts: &SideFiles) -> Result<Option<PlacedDataFile>, DataError> {
    let mut files: Vec<&String> = texts.keys().filter(|path| !path.ends_with(".txt")).collect();
    files.sort_by_key(|path| (path.matches('/').count(), path.len()));
    for path in files {
        match DataFile::read(&texts[path]) {
            Ok(Some(data)) => {
                let (name, folder) = (listing.name(path), parent(path).to_owned());
                return Ok(Some(PlacedDataFile { name, folder, data }));
            }
            Ok(None) => {}
            // Others lie beside images as well.
            Err(found) if last(path).starts_with("data.") || is_meant(&texts[path]) => {
                return Err(wrong(listing.name(path), found));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

/// `true` for text with the names of classes and a part to train on, be it damaged.
fn is_meant(text: &[u8]) -> bool {
    let has = |key: &str| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(key.as_bytes()));
    has("names:") && has("train:")
}

/// `true` for a `data.yaml`, whatever its name.
fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The folder that the paths of a `data.yaml` begin at, or else that of the file.
fn yaml_root(file: &Path) -> Result<PathBuf, DataError> {
    let name = file.display().to_string();
    let bytes = fs::read(file).map_err(|source| DataError::io("read", &name, source))?;
    let data = DataFile::read(&bytes).map_err(|found| wrong(name, found))?;
    let folder = match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => folder.to_owned(),
        None => PathBuf::from("."),
    };
    let named = data.and_then(|data| data.root).filter(|root| root != ".").map(|root| folder.join(root));
    Ok(named.filter(|root| root.is_dir()).unwrap_or(folder))
}

/// Reads a file of annotations that was named.
fn of_file(
    path: &Path,
    file: &Path,
    listing: &Listing,
    layout: &DetectionLayout,
) -> Result<Gathered, DataError> {
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|source| DataError::io("open", &name, source))?;
    if is_yaml(file) {
        let bytes = fs::read(file).map_err(|source| DataError::io("read", &name, source))?;
        let data = DataFile::read(&bytes).map_err(|found| wrong(name.clone(), found))?;
        let data = data.ok_or_else(|| wrong(name.clone(), "it has no names of classes".into()))?;
        let texts = side_files(path, listing, |file| file.to_lowercase().ends_with(".txt"))?;
        return yolo(listing, &texts, Some(PlacedDataFile { name, folder: String::new(), data }), layout);
    }
    let read = match read_coco(opened) {
        Some(read) => read,
        None => Err("it is no JSON with COCO's images, annotations and categories".to_owned()),
    };
    let json = read.map_err(|found| wrong(name.clone(), found))?;
    coco::gather(listing, vec![(name, Ok(json))], layout, true)
}

fn wrong(path: String, found: String) -> DataError {
    let advice = "take COCO's JSON of instances, or YOLO's data.yaml".to_owned();
    AnnotationError::File { path, found, advice }.into()
}

fn none(listing: &Listing) -> DataError {
    DataError::Layout {
        path: listing.name(""),
        found: format!("it holds {} images and no annotations of objects", listing.images.len()),
        advice: "put COCO's JSON beside the images or into annotations/, YOLO's labels/ with data.yaml, LabelMe's JSON or \
                 VOC's XML beside each image; or name a file with --annotations"
            .into(),
    }
}
