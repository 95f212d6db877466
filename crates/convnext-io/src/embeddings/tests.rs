use std::fs;

use convnext_core::Preprocessing;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

use super::*;

const WIDTH: usize = 3;

fn metadata() -> EmbeddingMetadata {
    EmbeddingMetadata {
        model: "micro".into(),
        layer: "pooled".into(),
        image_size: Some(32.into()),
        preprocessing: Some(Preprocessing {
            mean: vec![0.1],
            std: vec![0.3],
            ..Preprocessing::for_size(32, 1)
        }),
        ignore_orientation: false,
        weights: "weights.safetensors".into(),
        checksum: 7,
        sources: vec!["photos".into()],
    }
}

fn name(index: usize) -> String {
    format!("photos/{index} ü.jpg")
}

fn vector(index: usize) -> Vec<f32> {
    (0..WIDTH).map(|place| (index * WIDTH + place) as f32 / 7.0).collect()
}

/// More vectors than a group of parquet.
const COUNT: usize = 5000;

fn written(extension: &str, count: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("vectors.{extension}"));
    let mut writer = EmbeddingWriter::create(&path, WIDTH, &metadata()).unwrap();
    (0..count).for_each(|index| writer.push(&name(index), &vector(index)).unwrap());
    assert!(!path.exists());
    writer.finish().unwrap();
    (folder, path)
}

#[test]
fn an_index_gives_back_what_was_written() {
    for count in [0, 1, COUNT] {
        let (_folder, path) = written("safetensors", count);
        let index = EmbeddingIndex::open(&path).unwrap();
        assert_eq!((index.metadata(), index.width()), (&metadata(), WIDTH));
        assert!(index.names().iter().cloned().eq((0..count).map(name)));
        let mut seen = 0;
        index
            .for_each(|index, found| {
                assert_eq!(found, vector(index));
                seen += 1;
            })
            .unwrap();
        assert_eq!(seen, count);
        let bytes = fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("embeddings").unwrap().shape(), [count, WIDTH]);
    }
}

#[test]
fn npy_files_have_a_header_of_fixed_length_and_names_beside_them() {
    let (folder, path) = written("npy", 2);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 128 + 4 * 2 * WIDTH);
    let header = String::from_utf8_lossy(&bytes[10..128]);
    assert!(header.contains("'shape': (2, 3)") && header.ends_with('\n'), "{header}");
    assert_eq!(bytes[128 + 12..128 + 16], vector(1)[0].to_le_bytes());
    let names = fs::read_to_string(folder.path().join("vectors.npy.names.txt")).unwrap();
    assert_eq!(names, "photos/0 ü.jpg\nphotos/1 ü.jpg\n");
}

#[test]
fn parquet_files_have_a_row_for_each_vector() {
    let (_folder, path) = written("parquet", COUNT);
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap();
    assert!(entries.iter().any(|entry| entry.value.as_ref().is_some_and(|value| value.contains("pooled"))));
    let mut count = 0;
    for (index, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        assert_eq!(row.get_string(0).unwrap(), &name(index));
        let list = row.get_list(1).unwrap();
        let values: Vec<f32> = list
            .elements()
            .iter()
            .map(|field| match field {
                parquet::record::Field::Float(value) => *value,
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(values, vector(index));
        count += 1;
    }
    assert_eq!(count, COUNT);
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    for extension in ["safetensors", "npy", "parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("vectors.{extension}"));
        let mut writer = EmbeddingWriter::create(&path, WIDTH, &metadata()).unwrap();
        let message = writer.push("short", &[1.0]).unwrap_err().to_string();
        assert!(message.contains("1 values, but the file is of 3"), "{message}");
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn other_endings_and_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused =
        EmbeddingWriter::create(&folder.path().join("x.csv"), 1, &metadata()).unwrap_err().to_string();
    assert!(refused.contains(".parquet"), "{refused}");
    let refused =
        EmbeddingWriter::create(Path::new("no/such/x.npy"), 1, &metadata()).unwrap_err().to_string();
    assert!(refused.contains("no/such/x.npy"), "{refused}");
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dense.safetensors");
    assert!(EmbeddingIndex::open(&weights).unwrap_err().to_string().contains("convnext embed"));
}

/// Bug: elements of every type of four bytes were taken for F32.
#[test]
fn elements_of_another_type_are_no_embeddings() {
    for (expected, other) in [("\"F32\"", "\"I32\""), ("\"U8\"", "\"I8\"")] {
        let (_folder, path) = written("safetensors", 2);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(expected.len()).position(|window| window == expected.as_bytes()).unwrap();
        bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
        fs::write(&path, bytes).unwrap();
        let error = EmbeddingIndex::open(&path).unwrap_err();
        assert!(matches!(error, IoError::NoEmbeddings { .. }), "{other}: {error}");
    }
}
