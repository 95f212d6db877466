//! Weights in several files: an index in JSON, as transformers writes it, says which tensor is in which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use crate::array::NamedArray;
use crate::error::{IoError, read_error};
use crate::tensor_file::TensorFile;
use crate::tensor_info::TensorInfo;

/// Larger indices are refused; that of a model of a thousand tensors has 0.1 MB.
const MAX_INDEX_BYTES: u64 = 1 << 26;

/// The files of an index, open.
pub(crate) struct Shards {
    /// In the order of their names.
    files: Vec<TensorFile>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

/// Tensors and their files. A map would forget all but the last file of a tensor.
struct WeightMap(Vec<(String, String)>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = WeightMap;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("names of tensors with names of files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(WeightMap(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Shards {
    /// Opens all files of an index.
    ///
    /// # Errors
    /// [`IoError::BadIndex`] for what is no index, or one that contradicts its files; [`IoError::MissingShards`]; what
    /// is wrong with one of the files.
    pub(crate) fn open(path: &Path) -> Result<Self, IoError> {
        let of_tensor = files_of_tensors(path)?;
        let names = names_of_files(path, &of_tensor)?;
        let bad = |why: String| IoError::BadIndex { path: path.to_owned(), why };
        let mut files = Vec::new();
        let mut found: BTreeMap<String, &str> = BTreeMap::new();
        for name in names {
            let Some(file) = TensorFile::open(&path.with_file_name(name))? else {
                return Err(bad(format!("{name} is an index and no file of tensors")));
            };
            for tensor in file.tensors() {
                if let Some(other) = found.insert(tensor.name.clone(), name) {
                    return Err(bad(format!("{} is in {other} and in {name}", tensor.name)));
                }
            }
            files.push(file);
        }
        match of_tensor.iter().find(|(tensor, file)| found.get(*tensor) != Some(&file.as_str())) {
            Some((tensor, file)) => Err(bad(format!("{tensor} is not in {file}"))),
            None => Ok(Self { files }),
        }
    }

    /// Bytes of all files but the index.
    pub(crate) fn size(&self) -> u64 {
        self.files.iter().map(TensorFile::size).sum()
    }

    /// The tensors of all files, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let mut tensors: Vec<TensorInfo> = self.files.iter().flat_map(TensorFile::tensors).collect();
        tensors.sort_by(|left, right| left.name.cmp(&right.name));
        tensors
    }

    /// Reads the tensors whose names are `wanted`.
    pub(crate) fn read_arrays(
        &mut self,
        wanted: impl Fn(&str) -> bool + Copy,
    ) -> Result<BTreeMap<String, NamedArray>, IoError> {
        let mut arrays = BTreeMap::new();
        for file in &mut self.files {
            arrays.extend(file.read_arrays(wanted)?);
        }
        Ok(arrays)
    }
}

/// The file of each tensor, by an index.
fn files_of_tensors(path: &Path) -> Result<BTreeMap<String, String>, IoError> {
    let bad = |why: String| IoError::BadIndex { path: path.to_owned(), why };
    let fail = |source| read_error(path, source);
    let mut text = Vec::new();
    File::open(path).map_err(fail)?.take(MAX_INDEX_BYTES).read_to_end(&mut text).map_err(fail)?;
    let Index { weight_map: WeightMap(entries) } =
        serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    let mut of_tensor = BTreeMap::new();
    for (tensor, file) in entries {
        match of_tensor.get(&tensor) {
            Some(before) if *before != file => {
                return Err(bad(format!("it names two files for {tensor}")));
            }
            _ => of_tensor.insert(tensor, file),
        };
    }
    Ok(of_tensor)
}

/// The names of the files of an index, which all are beside it.
fn names_of_files<'a>(
    path: &Path,
    of_tensor: &'a BTreeMap<String, String>,
) -> Result<BTreeSet<&'a str>, IoError> {
    let bad = |why: String| IoError::BadIndex { path: path.to_owned(), why };
    let names: BTreeSet<&str> = of_tensor.values().map(String::as_str).collect();
    if names.is_empty() {
        return Err(bad("it names no file".to_owned()));
    }
    if let Some(name) =
        names.iter().find(|name| Path::new(name).components().count() != 1 || name.contains(".."))
    {
        return Err(bad(format!("{name:?} is no name of a file beside it")));
    }
    let missing: Vec<String> = (names.iter())
        .filter(|name| !path.with_file_name(name).is_file())
        .map(|&name| name.to_owned())
        .collect();
    if !missing.is_empty() {
        return Err(IoError::MissingShards { path: path.to_owned(), missing });
    }
    Ok(names)
}

/// All files of weights: the file itself, or an index and what it names, as far as it can be understood.
///
/// # Errors
/// [`IoError::Read`] when the file cannot be read.
pub fn files_of(path: &Path) -> Result<Vec<std::path::PathBuf>, IoError> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut limited = file.take(MAX_INDEX_BYTES);
    let mut first = [0];
    let fail = |source| read_error(path, source);
    let mut files = vec![path.to_owned()];
    if limited.read(&mut first).map_err(fail)? == 1 && first == *b"{" {
        text.push(b'{');
        limited.read_to_end(&mut text).map_err(fail)?;
        if let Ok(Index { weight_map: WeightMap(entries) }) = serde_json::from_slice(&text) {
            let names: BTreeSet<String> = entries.into_iter().map(|(_, file)| file).collect();
            files.extend(names.into_iter().map(|name| path.with_file_name(name)));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_index_of_indices_is_refused_without_opening_them() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("weights.index.json");
        fs::write(&index, r#"{"weight_map": {"norm.weight": "weights.index.json"}}"#).unwrap();
        let message = Shards::open(&index).err().unwrap().to_string();
        assert!(message.contains("weights.index.json is an index and no file of tensors"), "{message}");
    }

    #[test]
    fn counters_are_read_and_other_integers_refused() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("weights.index.json");
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        for name in ["counters.safetensors", "integers.pt"] {
            fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
        }
        let map = r#"{"weight_map": {"num_batches_tracked": "counters.safetensors", "model.steps": "integers.pt"}}"#;
        fs::write(&index, map).unwrap();
        let open = || Shards::open(&index).unwrap();
        let arrays = open().read_arrays(|name| name != "model.steps").unwrap();
        assert_eq!(arrays["num_batches_tracked"].to_i64().unwrap(), (1 << 40) + 1);
        let message = open().read_arrays(|_| true).unwrap_err().to_string();
        assert!(message.contains("tensor model.steps") && message.contains("type I32"), "{message}");
    }
}
