mod refusals;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use convnext_core::{FcmaeTask, ModelConfig};
use safetensors::SafeTensors;

use super::*;
use crate::test_files::file_with;
use crate::{read_header, read_weights};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The arrays of a safetensors file, read with another crate.
fn expected(name: &str) -> BTreeMap<String, NamedArray> {
    let bytes = fs::read(fixture(name)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let array = |(name, view): (String, safetensors::tensor::TensorView)| {
        let element_type = ElementType::from_dtype(view.dtype()).unwrap();
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        (name.clone(), NamedArray { name, element_type, shape, bytes })
    };
    tensors.tensors().into_iter().map(array).collect()
}

fn open(path: &Path) -> Result<TorchFile, IoError> {
    TorchFile::open_archive(path, File::open(path).unwrap(), fs::metadata(path).unwrap().len())
}

fn read_all(path: &Path) -> Result<BTreeMap<String, NamedArray>, IoError> {
    open(path)?.read_arrays(|_| true)
}

/// An archive as `torch.save` lays it out, of this structure and these storages.
fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut records = vec![("data.pkl".to_owned(), pickle), ("byteorder".to_owned(), b"little".as_slice())];
    records.extend(storages.iter().map(|&(key, bytes)| (format!("data/{key}"), bytes)));
    zip(records.iter().map(|(name, bytes)| (format!("archive/{name}"), *bytes)))
}

fn zip<'a>(records: impl Iterator<Item = (String, &'a [u8])>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in records {
        let (mut entry, config) = archive.new_file(&name).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// A structure of protocol 2: `{"model": {NAME: tensor}}`, the tensor over `FloatStorage` "0".
fn tensor_pickle(stored: i32, offset: i32, size: &[i32], stride: &[i32]) -> Vec<u8> {
    let text = |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let int = |number: i32| [b"J".as_slice(), &number.to_le_bytes()].concat();
    let tuple = |numbers: &[i32]| {
        [b"(".to_vec(), numbers.iter().flat_map(|&number| int(number)).collect(), b"t".to_vec()].concat()
    };
    let storage = [
        b"(".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(stored),
        b"tQ".to_vec(),
    ];
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    let end = b"\x89ccollections\nOrderedDict\n)RtRss.".to_vec();
    let start = [b"\x80\x02}".to_vec(), text("model"), b"}".to_vec(), text("a")].concat();
    [start, rebuild, storage.concat(), int(offset), tuple(size), tuple(stride), end].concat()
}

fn check_refused(bytes: &[u8], words: &[&str]) {
    let (_folder, path) = file_with(bytes);
    check_path_refused(&path, words);
}

/// Both readers refuse the file, naming it and each of the words.
fn check_path_refused(path: &Path, words: &[&str]) {
    for error in [read_weights(path).unwrap_err(), read_header(path).unwrap_err()] {
        let message = error.to_string();
        for word in words.iter().copied().chain([path.to_str().unwrap()]) {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
    }
}

#[test]
fn a_training_checkpoint_of_timm_is_read_bit_for_bit() {
    let read = read_weights(&fixture("dense.pt")).unwrap();
    assert_eq!(read.arrays, expected("dense.safetensors"));
    let model = &read.metadata.convnext().unwrap();
    let ModelConfig { name, depths, widths, layer_scale, classes, .. } = model;
    assert_eq!((name.as_str(), depths, widths), ("custom", &[1, 1, 2, 1], &[2, 3, 4, 5]));
    assert_eq!((model.has_grn(), layer_scale, classes, model.stem_stride), (true, &None, &3, 4));
    assert_eq!(read.metadata.class_names().name(2), "class_2");
    let safetensors = read_weights(&fixture("dense.safetensors")).unwrap();
    assert_eq!(read, safetensors);
    let header = read_header(&fixture("dense.pt")).unwrap();
    assert_eq!((header.metadata, header.foreign), (Some(read.metadata), true));
    assert_eq!(header.tensors, read_header(&fixture("dense.safetensors")).unwrap().tensors);
}

#[test]
fn a_sparse_autoencoder_becomes_dense() {
    let read = read_weights(&fixture("sparse.pt")).unwrap();
    assert_eq!(read.arrays, expected("sparse.safetensors"));
    let fcmae = read.metadata.task_as::<FcmaeTask>().unwrap().config(&read.metadata.convnext().unwrap());
    assert_eq!((fcmae.encoder.depths, fcmae.encoder.widths), ([1, 2, 1, 1], [2, 3, 4, 5]));
    assert_eq!(
        (fcmae.decoder.depth, fcmae.decoder.width, fcmae.decoder.response_norm.is_some()),
        (1, 4, true)
    );
    assert_eq!(read, read_weights(&fixture("sparse.safetensors")).unwrap());
    // A test on kernels that are their own mirror images would prove nothing.
    let kernel = read.arrays["encoder.stages.0.0.dwconv.weight"].to_f32().unwrap();
    assert_ne!(kernel[1], kernel[7]);
    let header = read_header(&fixture("sparse.pt")).unwrap();
    assert_eq!(header.tensors, read_header(&fixture("sparse.safetensors")).unwrap().tensors);
}

#[test]
fn all_strides_and_types_are_read() {
    let arrays = read_all(&fixture("mixed.pt")).unwrap();
    assert_eq!(arrays, expected("mixed.safetensors"));
    assert!(arrays["empty"].bytes.is_empty() && arrays["scalar"].shape.is_empty());
}

/// Bug: an `OrderedDict` made of a list of pairs, as Python 2 saves it, was read as an empty one.
#[test]
fn dictionaries_made_of_pairs_are_read() {
    let path = fixture("pairs.pt");
    let header = read_header(&path).unwrap();
    let origin = header.origin.unwrap();
    assert_eq!((origin.prefix.as_str(), origin.average), ("model_ema.", true));
    assert_eq!(read_weights(&path).unwrap().arrays, expected("dense.safetensors"));
}

#[test]
fn counters_are_read_exactly() {
    let arrays = read_all(&fixture("counters.pt")).unwrap();
    assert_eq!(arrays, expected("counters.safetensors"));
    let count = |name: &str| (arrays[name].to_i64().unwrap(), arrays[name].shape.len());
    assert_eq!((count("num_batches_tracked"), count("negative")), (((1 << 40) + 1, 0), (-3, 1)));
}

#[test]
fn only_tensors_with_names_make_a_model() {
    check_refused(&archive(b"\x80\x02K\x01.", &[]), &["holds no dictionary"]);
    check_refused(&archive(b"\x80\x02}X\x05\0\0\0epochK\x01s.", &[]), &["only [epoch]", "state_dict()"]);
    check_refused(&archive(b"\x80\x02}X\x05\0\0\0modelK\x01s.", &[]), &["only [model]"]);
    check_refused(
        &archive(b"\x80\x02}X\x05\0\0\0model}X\x01\0\0\0aK\x01ss.", &[]),
        &["holds no dictionary", "only [model]"],
    );
    let path = fixture("integers.pt");
    let header = read_header(&path).unwrap();
    assert_eq!((header.tensors[0].dtype.as_str(), header.metadata), ("I32", None));
    let message = read_all(&path).unwrap_err().to_string();
    assert!(message.contains("tensor model.steps") && message.contains("I32"), "{message}");
}

#[test]
fn a_list_of_tensors_is_not_passed_over_in_silence() {
    let text = |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let whole = tensor_pickle(6, 0, &[2, 3], &[3, 1]);
    let before = [b"\x80\x02}".to_vec(), text("model"), b"}".to_vec(), text("a")].concat().len();
    let tensor = &whole[before..whole.len() - b"ss.".len()];
    let pickle =
        [b"\x80\x02}", &*text("ema"), b"](", tensor, tensor, b"es", &*text("a"), tensor, b"s."].concat();
    let (_folder, path) = file_with(&archive(&pickle, &[("0", &[0; 24])]));
    let file = open(&path).unwrap();
    assert_eq!(file.tensors().len(), 1);
    assert_eq!(file.objects().get("ema"), Some(&NoTensor::Tensors(2)));
}

#[test]
fn tensors_are_found_in_every_dictionary_and_named_by_their_keys() {
    let path = fixture("stream.pt");
    let file = File::open(&path).unwrap();
    let size = file.metadata().unwrap().len();
    let stream = TorchFile::open_stream(&path, file, size).unwrap();
    let names: Vec<String> = stream.tensors().into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(names, ["list.1.b", "state.deep.er.a", "state.half", "view"]);
    let arrays = stream.read_arrays(|name| name != "state.half").unwrap();
    assert_eq!(arrays.len(), 3);
    assert_eq!(arrays["state.deep.er.a"].to_f32().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(arrays["view"].to_f32().unwrap(), [1.0, 4.0]);
    assert_eq!(arrays["list.1.b"].shape, [2, 2]);
    let objects: Vec<(&str, &str)> =
        stream.objects().iter().map(|(name, found)| (name.as_str(), found.class().unwrap())).collect();
    assert_eq!(objects, [("path", "pathlib.PurePosixPath"), ("state.date", "datetime.date")]);
}
