mod refusals;

use std::fs;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use convnext_core::{ClassNames, FcmaeConfig, FcmaeObjective, Geometry, Preprocessing};
use safetensors::tensor::TensorView;
use tempfile::TempDir;

use super::*;
use crate::test_files::{arrays_of, by_name, file_with, random_numbers, speck};
use crate::{Header, WeightFile, read_header, read_weights};

fn metadata() -> WeightMetadata {
    let classes = ClassNames(vec!["cat".into(), "Hündin \"Δ\"".into()]);
    let metadata = WeightMetadata::of_classifier(&speck(), classes, Preprocessing::for_size(32, 1));
    metadata.with_recipe("epochs = 1".into())
}

fn arrays() -> Vec<NamedArray> {
    let bytes = |size: usize, count: usize| {
        (0..size * count).map(|index| (index * 37 % 251) as u8).collect::<Vec<u8>>()
    };
    let array = |name: &str, element_type: ElementType, shape: &[usize]| NamedArray {
        name: name.into(),
        element_type,
        shape: shape.to_vec(),
        bytes: bytes(element_type.size(), shape.iter().product()),
    };
    let arrays = [
        NamedArray::from_f32("more.bias", [3], &[f32::NAN, -0.0, f32::INFINITY]),
        array("stem.weight", ElementType::Bf16, &[3, 1, 5]),
        array("a \"quoted\" näme", ElementType::F16, &[1]),
        array("scalar", ElementType::F64, &[]),
        NamedArray::from_i64("seen", (1 << 40) + 1),
        array("nothing", ElementType::F32, &[4, 0]),
        array("also nothing", ElementType::F32, &[0]),
        array("more.weight", ElementType::F32, &[2, 128]),
    ];
    [arrays.into(), arrays_of(&metadata())].concat()
}

/// A safetensors file made of this header and this many bytes of tensors.
fn file_from(header: &str, data: usize) -> (TempDir, PathBuf) {
    let prefix = (header.len() as u64).to_le_bytes();
    file_with(&[prefix.as_slice(), header.as_bytes(), &vec![0; data]].concat())
}

/// Both readers refuse the file, naming it and each of the words.
fn check_refused(path: &Path, words: &[&str]) {
    let messages = [read_weights(path).unwrap_err().to_string(), read_header(path).unwrap_err().to_string()];
    for message in messages {
        for word in words.iter().copied().chain([path.to_str().unwrap()]) {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    }
}

#[test]
fn reading_gives_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let (config, objective) = (FcmaeConfig::new(speck()), FcmaeObjective::default());
    let autoencoder = WeightMetadata::of_fcmae(&config, objective, metadata().preprocessing);
    for (arrays, metadata) in [(arrays(), metadata()), (arrays_of(&autoencoder), autoencoder)] {
        write_weights(&path, &arrays, &metadata).unwrap();
        assert_eq!(read_weights(&path).unwrap(), WeightFile { arrays: by_name(arrays), metadata });
    }
}

#[test]
fn random_shapes_types_and_rates_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut random = random_numbers(1);
    let types = [ElementType::F64, ElementType::F32, ElementType::F16, ElementType::Bf16, ElementType::I64];
    for _ in 0..50 {
        let mut arrays = arrays_of(&metadata());
        for index in 0..random(12) {
            let element_type = types[random(types.len())];
            let shape: Vec<usize> = (0..random(5)).map(|_| random(5)).collect();
            let size = shape.iter().product::<usize>() * element_type.size();
            let bytes = (0..size).map(|_| random(256) as u8).collect();
            arrays.push(NamedArray { name: format!("{}.{index}", random(9)), element_type, shape, bytes });
        }
        // Numbers with all their digits: without serde_json's `float_roundtrip` one in some comes back changed.
        let crop = random(1 << 30).max(1) as f64 / (1_u64 << 30) as f64 * 0.937;
        let size = [8 + 8 * random(4), 8 + 8 * random(4)].into();
        let preprocessing =
            Preprocessing { geometry: Geometry::CentreCrop { size, crop }, ..metadata().preprocessing };
        let metadata = WeightMetadata { preprocessing, ..metadata() };
        write_weights(&path, &arrays, &metadata).unwrap();
        assert_eq!(read_weights(&path).unwrap(), WeightFile { arrays: by_name(arrays), metadata });
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, arrays: &[NamedArray]| {
        let path = folder.path().join(name);
        write_weights(&path, arrays, &metadata()).unwrap();
        fs::read(path).unwrap()
    };
    let first = write("first", &arrays());
    for attempt in 0..8 {
        let mut arrays = arrays();
        arrays.rotate_left(attempt % 7);
        assert_eq!(first, write("again", &arrays));
    }
}

#[test]
fn the_safetensors_crate_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write_weights(&path, &arrays(), &metadata()).unwrap();
    let bytes = fs::read(path).unwrap();
    let (header, info) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!((header + 8) % 8, 0);
    let entries = info.metadata().as_ref().unwrap();
    assert_eq!(entries["format"], "pt");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for array in arrays() {
        let tensor = tensors.tensor(&array.name).unwrap();
        assert_eq!((tensor.shape(), tensor.data()), (array.shape.as_slice(), array.bytes.as_slice()));
        let start = info.info(&array.name).unwrap().data_offsets.0;
        assert_eq!(start % array.element_type.size(), 0, "{} is not aligned", array.name);
    }
}

/// `counters.safetensors` is what PyTorch saves of a batch norm, see `make_fixtures.py`.
#[test]
fn counters_are_written_as_pytorch_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let arrays = [
        NamedArray::from_f32("weight", [2], &[1.0; 2]),
        NamedArray::from_f32("bias", [2], &[0.0; 2]),
        NamedArray::from_f32("running_mean", [2], &[0.0; 2]),
        NamedArray::from_f32("running_var", [2], &[1.0; 2]),
        NamedArray::from_i64("num_batches_tracked", (1 << 40) + 1),
        NamedArray { shape: vec![1], ..NamedArray::from_i64("negative", -3) },
    ];
    write_weights(&path, &arrays, &metadata()).unwrap();
    let of_pytorch = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/counters.safetensors");
    let [ours, theirs] = [&path, &of_pytorch].map(|path| {
        let mut file = SafetensorsFile::open(path).unwrap();
        (file.tensors(), file.read_arrays(|_| true).unwrap())
    });
    assert_eq!(ours, theirs);
    assert_eq!(theirs.1["num_batches_tracked"].to_i64().unwrap(), (1 << 40) + 1);
}

#[test]
fn headers_of_ours_and_of_others_are_read_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write_weights(&path, &arrays(), &metadata()).unwrap();
    let header = read_header(&path).unwrap();
    assert_eq!((header.metadata, header.foreign), (Some(metadata()), false));
    assert_eq!(header.size, fs::metadata(&path).unwrap().len());
    let names: Vec<String> = header.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    assert_eq!(names, by_name(arrays()).into_keys().collect::<Vec<_>>());
    let stem = header.tensors.last().unwrap();
    assert_eq!((stem.dtype.as_str(), stem.shape.as_slice()), ("BF16", [3, 1, 5].as_slice()));

    let foreign =
        r#"{"steps":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}"#;
    let (_folder, path) = file_from(foreign, 8);
    let tensor = TensorInfo { name: "steps".into(), dtype: "I64".into(), shape: vec![] };
    let size = 8 + foreign.len() as u64 + 8;
    assert_eq!(
        read_header(&path).unwrap(),
        Header { tensors: vec![tensor], metadata: None, foreign: true, origin: None, size }
    );
}

/// Bug: a tensor that is left out refused the file when its type is one that is not read.
#[test]
fn types_of_what_is_left_out_do_not_matter() {
    let intact = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/timm_v2.safetensors");
    let bytes = fs::read(&intact).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let mask = TensorView::new(Dtype::BOOL, vec![2], &[0, 1]).unwrap();
    let with_mask = tensors.into_iter().chain([("neck.mask".to_owned(), mask)]);
    let (_folder, path) = file_with(&safetensors::serialize(with_mask, None).unwrap());
    assert_eq!(read_weights(&path).unwrap().arrays, read_weights(&intact).unwrap().arrays);
    assert_eq!(read_header(&path).unwrap().origin.unwrap().left_out, ["neck.mask"]);
    let message = SafetensorsFile::open(&path).unwrap().read_arrays(|_| true).unwrap_err().to_string();
    assert!(message.contains("tensor neck.mask") && message.contains("type BOOL"), "{message}");
}

#[test]
fn invalid_arrays_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let one = |name: &str, values: &[f32]| NamedArray::from_f32(name, [1], values);
    for (arrays, words) in [
        (vec![one("a", &[1.0, 2.0])], "tensor a: 8 bytes do not make the shape [1] of F32"),
        (vec![one("a", &[1.0]), one("a", &[2.0])], "tensor a: two arrays have this name"),
        (vec![one("__metadata__", &[1.0])], "reserved"),
    ] {
        let error = write_weights(&folder.path().join("w"), &arrays, &metadata()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn failed_writes_name_the_path_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("occupied");
    fs::create_dir(&occupied).unwrap();
    for path in [folder.path().join("none/weights.safetensors"), occupied, "/".into()] {
        let message = write_weights(&path, &arrays(), &metadata()).unwrap_err().to_string();
        assert!(message.contains(&format!("cannot write {}:", path.display())), "{message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_full_disk_keeps_the_old_file() {
    /// Takes a number of bytes, then says that the disk is full.
    struct FullDisk(usize);

    impl Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let (folder, path) = file_with(b"old");
    let error =
        replace_file(&path, |_| write_all(FullDisk(100), &[&arrays()[0]], BTreeMap::new())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let message = IoError::Write { path, source: error }.to_string();
    assert!(message.contains("weights.safetensors") && message.contains("has space left"), "{message}");
}

#[cfg(unix)]
#[test]
fn others_may_read_the_file_as_far_as_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, plain) = file_with(b"as any other file");
    let path = folder.path().join("new.safetensors");
    write_weights(&path, &arrays(), &metadata()).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(path), mode(plain));
}
