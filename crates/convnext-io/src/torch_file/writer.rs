//! Writes what `torch.save({"model": state_dict})` writes, so that `torch.load` reads it, with `weights_only` too.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rawzip::ZipArchiveWriter;

use crate::array::NamedArray;
use crate::element_type::ElementType;
use crate::error::IoError;
use crate::replace_file::replace_file;

/// The folder in the archive, as torch calls it when it writes to a stream.
const FOLDER: &str = "archive";

/// The version of torch's format.
const VERSION: &[u8] = b"3\n";

/// Writes arrays as a file of PyTorch: under a key, such as the `model` of the official code, or as a bare state dict.
///
/// # Errors
/// [`IoError::InvalidArray`] before anything is written; [`IoError::Write`] with the path.
pub(crate) fn write_torch_file(path: &Path, arrays: &[NamedArray], key: Option<&str>) -> Result<(), IoError> {
    for array in arrays {
        array.check_length()?;
    }
    replace_file(path, |file| write_archive(file, arrays, key))
        .map_err(|source| IoError::Write { path: path.to_owned(), source })
}

fn write_archive(file: &File, arrays: &[NamedArray], key: Option<&str>) -> io::Result<()> {
    let mut archive = ZipArchiveWriter::new(io::BufWriter::new(file));
    let mut record = |name: &str, bytes: &[u8]| -> io::Result<()> {
        let failed = |error: rawzip::Error| io::Error::other(error.to_string());
        let (mut entry, data) = archive.new_file(format!("{FOLDER}/{name}")).start().map_err(failed)?;
        let mut data = data.wrap(&mut entry);
        data.write_all(bytes)?;
        let (_, sums) = data.finish().map_err(failed)?;
        entry.finish(sums).map(drop).map_err(failed)
    };
    record("data.pkl", &pickle(arrays, key))?;
    record("byteorder", b"little")?;
    for (number, array) in arrays.iter().enumerate() {
        record(&format!("data/{number}"), &array.bytes)?;
    }
    record("version", VERSION)?;
    archive.finish().map_err(|error| io::Error::other(error.to_string()))?.flush()
}

/// The structure, as instructions of pickle's second protocol.
fn pickle(arrays: &[NamedArray], key: Option<&str>) -> Vec<u8> {
    let mut pickle = Instructions(vec![0x80, 2]);
    if let Some(key) = key {
        pickle.raw(b"}");
        pickle.text(key);
    }
    pickle.ordered_dictionary();
    pickle.raw(b"(");
    for (number, array) in arrays.iter().enumerate() {
        pickle.text(&array.name);
        pickle.tensor(number, array);
    }
    pickle.raw(b"u");
    if key.is_some() {
        pickle.raw(b"s");
    }
    pickle.raw(b".");
    pickle.0
}

struct Instructions(Vec<u8>);

impl Instructions {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.raw(b"X");
        self.raw(&(text.len() as u32).to_le_bytes());
        self.raw(text.as_bytes());
    }

    fn global(&mut self, module: &str, name: &str) {
        self.raw(format!("c{module}\n{name}\n").as_bytes());
    }

    fn number(&mut self, number: usize) {
        match i32::try_from(number) {
            Ok(number) => {
                self.raw(b"J");
                self.raw(&number.to_le_bytes());
            }
            // Nine bytes in two's complement, so that the first bit is no sign.
            Err(_) => {
                self.raw(&[0x8a, 9]);
                self.raw(&(number as u64).to_le_bytes());
                self.raw(&[0]);
            }
        }
    }

    fn numbers(&mut self, numbers: &[usize]) {
        self.raw(b"(");
        for &number in numbers {
            self.number(number);
        }
        self.raw(b"t");
    }

    fn ordered_dictionary(&mut self) {
        self.global("collections", "OrderedDict");
        self.raw(b")R");
    }

    /// A tensor over a storage of its own.
    fn tensor(&mut self, key: usize, array: &NamedArray) {
        let count = array.shape.iter().product();
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.raw(b"((");
        self.text("storage");
        self.global("torch", storage(array.element_type));
        self.text(&key.to_string());
        self.text("cpu");
        self.number(count);
        self.raw(b"tQ");
        self.number(0);
        self.numbers(&array.shape);
        self.numbers(&strides(&array.shape));
        // Without gradient, without hooks.
        self.raw(b"\x89");
        self.ordered_dictionary();
        self.raw(b"tR");
    }
}

/// Elements from one index of an axis to the next, in C order.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn storage(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::F64 => "DoubleStorage",
        ElementType::F32 => "FloatStorage",
        ElementType::F16 => "HalfStorage",
        ElementType::Bf16 => "BFloat16Storage",
        ElementType::I64 => "LongStorage",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_files::by_name;
    use crate::torch_file::TorchFile;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.pt");
        let arrays = vec![
            NamedArray::from_f32("stages.0.0.grn.gamma", [1, 1, 1, 3], &[1.0, -2.0, f32::MIN_POSITIVE]),
            NamedArray {
                name: "ü".into(),
                element_type: ElementType::Bf16,
                shape: vec![300, 2],
                bytes: vec![7; 1200],
            },
            NamedArray {
                name: "h".into(),
                element_type: ElementType::F16,
                shape: vec![],
                bytes: vec![0, 60],
            },
            NamedArray {
                name: "empty".into(),
                element_type: ElementType::F64,
                shape: vec![0, 4],
                bytes: vec![],
            },
            NamedArray::from_i64("seen", (1 << 40) + 1),
        ];
        for (key, prefix) in [(Some("model"), "model."), (None, "")] {
            write_torch_file(&path, &arrays, key).unwrap();
            let file = File::open(&path).unwrap();
            let size = file.metadata().unwrap().len();
            let read = TorchFile::open_archive(&path, file, size).unwrap().read_arrays(|_| true).unwrap();
            let named =
                |array: &NamedArray| NamedArray { name: format!("{prefix}{}", array.name), ..array.clone() };
            assert_eq!(read, by_name(arrays.iter().map(named).collect()));
        }
    }
}
