//! Shards made for tests, and what is read from them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use convnext_data::{DataError, Dataset, Decoding, Image, Orientation};
use tempfile::TempDir;

/// The bytes of a small PNG whose first value is `value`.
pub(crate) fn png(value: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    Image::new(2, 1, 3, vec![value; 6]).unwrap().save_png(&path).unwrap();
    fs::read(path).unwrap()
}

/// Writes a shard of these members.
pub(crate) fn shard(path: PathBuf, members: &[(&str, &[u8])]) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut builder = tar::Builder::new(File::create(&path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.finish().unwrap();
    path
}

/// Shards of `per_shard` images, with the numbers of the images modulo `classes` as labels.
pub(crate) fn numbered(folder: &Path, shards: usize, per_shard: usize, classes: usize) {
    for number in 0..shards {
        let samples: Vec<(String, Vec<u8>, String, String)> = (0..per_shard)
            .map(|i| number * per_shard + i)
            .map(|i| {
                (format!("{i:04}.png"), png(i as u8), format!("{i:04}.cls"), format!("{}\n", i % classes))
            })
            .collect();
        let members: Vec<(&str, &[u8])> = samples
            .iter()
            .flat_map(|(image, bytes, file, label)| [(&image[..], &bytes[..]), (&file[..], label.as_bytes())])
            .collect();
        shard(folder.join(format!("part-{number}.tar")), &members);
    }
}

/// Label and first value of each image.
pub(crate) fn content(dataset: &Dataset) -> Vec<(Option<usize>, u8)> {
    (0..dataset.len())
        .map(|i| {
            (dataset.label(i), dataset.image(i, &Decoding::new(3, Orientation::Honour)).unwrap().bytes()[0])
        })
        .collect()
}

/// A folder that does not exist yet, in one that goes away.
pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    (folder, path)
}

/// Message of the error.
pub(crate) fn message(result: Result<impl Sized, DataError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}
