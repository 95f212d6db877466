//! Writing a data set as shards.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tar::{Builder, Header};

use crate::datasets::dataset::Dataset;
use crate::datasets::extensions::{extension_of, has_image_extension};
use crate::datasets::partial_folder::{PartialFolder, failed};
use crate::datasets::shards::classes::CLASSES_FILE;
use crate::datasets::tar_extent::BLOCK;
use crate::error::DataError;

/// Summary of the shards that [`pack`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackSummary {
    /// Number of shards.
    pub shards: usize,
    /// Number of images in them.
    pub images: usize,
    /// Bytes of all shards.
    pub bytes: u64,
}

/// Writes the images of a data set as shards `shard-000000.tar`, `shard-000001.tar` and so on into the
/// folder `out`, which is made if needed.
///
/// The images keep their order, and their files every byte. Each gets its number as its key: `000000000.jpg`,
/// beside it `000000000.cls` with the number of its class if it has one. The names of the classes go to
/// `classes.txt`. Opened again, the shards are the same images with the same labels, and the same data set
/// gives the same bytes. A shard takes at most `shard_bytes`, or a single image.
///
/// An epoch shuffles the images of shards among neighbours only, so images that are sorted by class should be
/// packed in another order: see [`Dataset::shuffled`].
///
/// `progress` is called with the number of images done after each one. The shards get their places, one by one, when
/// all are written; before that, and after an error until then, there are none. Where one cannot get its place, those
/// before it keep theirs, and a next call refuses the folder until they are removed. A process that is killed leaves
/// a hidden folder in `out`, which ends in `.partial`.
///
/// # Errors
/// [`DataError::Layout`] when `out` holds files, or when the name of a class has a line break or is empty;
/// [`DataError::OutOfRange`] when `shard_bytes` is 0; those of [`Dataset::read`]; [`DataError::Io`] with the file that
/// cannot be written.
pub fn pack(
    dataset: &Dataset,
    out: &Path,
    shard_bytes: u64,
    progress: impl FnMut(usize),
) -> Result<PackSummary, DataError> {
    check_shard_bytes(shard_bytes)?;
    check_class_names(dataset)?;
    let partial = PartialFolder::create(out)?;
    let summary = write_shards(dataset, partial.path(), shard_bytes, progress)?;
    partial.publish(None)?;
    Ok(summary)
}

/// Writes the parts of a data set as [`pack`] does, each to the folder of its name in `out`, and returns their summaries.
/// All appear together, the first one last, which should be the one for training: without it, the others do not look
/// whole.
///
/// `progress` is called with the number of images of all parts that are done.
///
/// # Errors
/// Those of [`pack`].
pub fn pack_parts(
    parts: &[(&str, Dataset)],
    out: &Path,
    shard_bytes: u64,
    mut progress: impl FnMut(usize),
) -> Result<Vec<PackSummary>, DataError> {
    check_shard_bytes(shard_bytes)?;
    parts.iter().try_for_each(|(_, dataset)| check_class_names(dataset))?;
    let partial = PartialFolder::create(out)?;
    let (mut summaries, mut before) = (Vec::with_capacity(parts.len()), 0);
    for (name, dataset) in parts {
        let folder = partial.path().join(name);
        fs::create_dir(&folder).map_err(|source| failed("create", &folder, source))?;
        let summary = write_shards(dataset, &folder, shard_bytes, |done| progress(before + done))?;
        before += summary.images;
        summaries.push(summary);
    }
    partial.publish(parts.first().map(|(name, _)| *name))?;
    Ok(summaries)
}

/// Writes shards and the names of the classes to a folder.
fn write_shards(
    dataset: &Dataset,
    folder: &Path,
    shard_bytes: u64,
    mut progress: impl FnMut(usize),
) -> Result<PackSummary, DataError> {
    let mut current = None::<Shard>;
    let mut summary = PackSummary { shards: 0, images: 0, bytes: 0 };
    for index in 0..dataset.len() {
        let sample = Sample::read(dataset, index)?;
        if let Some(full) = current.take_if(|shard| shard.bytes() + sample.size() > shard_bytes) {
            summary.add(full)?;
        }
        let shard = match &mut current {
            Some(shard) => shard,
            None => current.insert(Shard::create(folder, summary.shards)?),
        };
        shard.append(&sample)?;
        summary.images += 1;
        progress(summary.images);
    }
    if let Some(last) = current {
        summary.add(last)?;
    }
    if !dataset.classes().is_empty() {
        write_classes(dataset, folder)?;
    }
    Ok(summary)
}

impl PackSummary {
    /// Finishes a shard and counts it.
    fn add(&mut self, shard: Shard) -> Result<(), DataError> {
        self.shards += 1;
        self.bytes += shard.bytes();
        shard.finish()
    }
}

/// The members of one image.
struct Sample {
    image_name: String,
    image: Vec<u8>,
    label: Option<(String, String)>,
}

impl Sample {
    fn read(dataset: &Dataset, index: usize) -> Result<Self, DataError> {
        let image = dataset.read(index)?;
        let extension = extension(&dataset.file_name(index), &image);
        let label = dataset.label(index).map(|label| (format!("{index:09}.cls"), label.to_string()));
        Ok(Self { image_name: format!("{index:09}.{extension}"), image, label })
    }

    /// Bytes that it takes in a shard.
    fn size(&self) -> u64 {
        let member = |length: usize| BLOCK + (length as u64).next_multiple_of(BLOCK);
        member(self.image.len()) + self.label.as_ref().map_or(0, |(_, text)| member(text.len()))
    }
}

/// The extension of a file's name, or of its content where that is none of an image.
fn extension(name: &str, image: &[u8]) -> String {
    let path = Path::new(name);
    match path.extension().filter(|_| has_image_extension(path)) {
        Some(extension) => extension.to_string_lossy().to_ascii_lowercase(),
        None => extension_of(image).to_owned(),
    }
}

/// A shard that is being written.
struct Shard {
    path: PathBuf,
    builder: Builder<BufWriter<File>>,
    /// Bytes of all members.
    members: u64,
}

impl Shard {
    /// Blocks of zeros at the end.
    const END: u64 = 2 * BLOCK;

    fn create(folder: &Path, number: usize) -> Result<Self, DataError> {
        let path = folder.join(format!("shard-{number:06}.tar"));
        let file = File::create(&path).map_err(|source| failed("create", &path, source))?;
        Ok(Self { path, builder: Builder::new(BufWriter::new(file)), members: 0 })
    }

    /// Size of the file when it ends here.
    fn bytes(&self) -> u64 {
        self.members + Self::END
    }

    fn append(&mut self, sample: &Sample) -> Result<(), DataError> {
        self.members += sample.size();
        let label = sample.label.as_ref().map(|(name, text)| (name, text.as_bytes()));
        [Some((&sample.image_name, &sample.image[..])), label]
            .into_iter()
            .flatten()
            .try_for_each(|(name, bytes)| {
                // No times or owners: the same data set gives the same shards.
                let mut header = Header::new_ustar();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                self.builder.append_data(&mut header, name, bytes)
            })
            .map_err(|source| failed("write", &self.path, source))
    }

    /// Brings the shard to the disk.
    fn finish(self) -> Result<(), DataError> {
        let Self { path, builder, .. } = self;
        let finish =
            || builder.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all();
        finish().map_err(|source| failed("write", &path, source))
    }
}

fn write_classes(dataset: &Dataset, folder: &Path) -> Result<(), DataError> {
    let path = folder.join(CLASSES_FILE);
    let text: String = dataset.classes().0.iter().map(|name| format!("{name}\n")).collect();
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| failed("write", &path, source))
}

fn check_shard_bytes(shard_bytes: u64) -> Result<(), DataError> {
    DataError::check(shard_bytes > 0, "size of a shard in bytes", shard_bytes, "at least 1")
}

/// Names must be lines of their own.
fn check_class_names(dataset: &Dataset) -> Result<(), DataError> {
    match dataset.classes().0.iter().find(|name| name.is_empty() || name.contains(['\n', '\r'])) {
        None => Ok(()),
        Some(name) => Err(DataError::Layout {
            path: "the data set".into(),
            found: format!("the class {name:?} cannot be a line of {CLASSES_FILE}"),
            advice: "give the class a name without line breaks".into(),
        }),
    }
}
