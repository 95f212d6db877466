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
    let ModelConfig { name, depths, widths, grn, layer_scale, classes, .. } = model;
    assert_eq!((name.as_str(), depths, widths), ("custom", &[1, 1, 2, 1], &[2, 3, 4, 5]));
    assert_eq!((grn, layer_scale, classes, model.stem_stride), (&true, &false, &3, 4));
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
    assert_eq!((fcmae.decoder.depth, fcmae.decoder.width, fcmae.decoder.grn), (1, 4, true));
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

#[test]
fn counters_are_read_exactly() {
    let arrays = read_all(&fixture("counters.pt")).unwrap();
    assert_eq!(arrays, expected("counters.safetensors"));
    let count = |name: &str| (arrays[name].to_i64().unwrap(), arrays[name].shape.len());
    assert_eq!((count("num_batches_tracked"), count("negative")), (((1 << 40) + 1, 0), (-3, 1)));
}

#[test]
fn code_is_refused_by_its_name() {
    for (name, global) in [
        ("evil.pt", "posix.system"),
        ("evil_setstate.pt", "__main__.Stateful"),
        ("module.pt", "torch.nn.modules.linear.Linear"),
        ("module_stream.pt", "torch.nn.modules.linear.Linear"),
    ] {
        check_path_refused(&fixture(name), &[global, "nothing was run", "state_dict()"]);
    }
    let cases: [(&[u8], &str); 8] = [
        (b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", "os.system"),
        (b"\x80\x02(X\x02\0\0\0lsios\nsystem\n.", "os.system"),
        (b"\x80\x02(cos\nsystem\nX\x02\0\0\0lso.", "os.system"),
        (b"\x80\x02cnumpy.lib\nrun\n)R.", "numpy.lib.run"),
        (b"\x80\x02}X\x05\0\0\0model}X\x01\0\0\0a}(cbuiltins\neval\nNusss.", "builtins.eval"),
        (b"\x80\x02ctorch.storage\n_load_from_bytes\n)R.", "torch.storage._load_from_bytes"),
        (b"\x80\x04\x8c\x05torch\x8c\x0c_utils.eval\"\x93.", "torch._utils.eval\\\""),
    ];
    for (pickle, global) in cases {
        check_refused(&archive(pickle, &[]), &["asks for", global]);
    }
    assert!(!Path::new("convnext-was-here").exists());
}

#[test]
fn what_is_no_plain_data_is_refused() {
    let nested = [b"\x80\x02".as_slice(), &[b'('; 300]].concat();
    let endless = [b"\x80\x02".as_slice(), &vec![b'N'; 2 << 20]].concat();
    let cases: [(&[u8], &str); 17] = [
        (b"", "it is truncated"),
        (b"\x80\x02}", "it is truncated"),
        (b"\x80\x00.", "protocol 0"),
        (b"\x80\x02.", "takes a value where there is none"),
        (b"\x80\x02N(.", "takes a value where there is none"),
        (b"\x80\x02N}u.", "ends a collection that did not begin"),
        (b"\x80\x02\x82\x01.", "opcode 0x82 at byte 2"),
        (b"\x80\x02(icollections\nOrderedDict\n.", "INST"),
        (b"\x80\x02h\x05.", "recalls value 5"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01R.", "needs a tuple"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01K\x02\x86R.", "2 arguments make no Dict"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "make no Storage"),
        (b"\x80\x02K\x01)R.", "calls something that is no name"),
        (b"\x80\x02K\x01\x85Q.", "refers to something that is no storage"),
        (b"\x80\x02}(K\x01u.", "key without a value"),
        (&nested, "nests deeper than 256"),
        (&endless, "more than 1048576 opcodes"),
    ];
    for (pickle, why) in cases {
        check_refused(&archive(pickle, &[]), &["the structure of", why, "copy the file again"]);
    }
}

#[test]
fn circles_and_depth_do_no_harm() {
    // A list in itself, and 100 000 lists in each other.
    let circle = b"\x80\x02]q\0h\0a.".to_vec();
    let deep = [b"\x80\x02".as_slice(), &[b']'; 100_000], &[b'a'; 99_999], b"."].concat();
    let dictionary = b"\x80\x02}q\0X\x01\0\0\0ah\0s.".to_vec();
    for pickle in [circle, deep, dictionary] {
        check_refused(&archive(&pickle, &[]), &["holds no dictionary of tensors"]);
    }
}

#[test]
fn tensors_must_lie_in_their_storage() {
    let storage = [0; 24];
    let with = |pickle: Vec<u8>| archive(&pickle, &[("0", &storage)]);
    let (_folder, path) = file_with(&with(tensor_pickle(6, 1, &[2, 2], &[3, 1])));
    assert_eq!(open(&path).unwrap().tensors()[0].shape, [2, 2]);
    let cases: [(i32, i32, &[i32], &[i32]); 9] = [
        (6, 2, &[2, 2], &[3, 1]),
        (6, -1, &[2], &[1]),
        (6, 0, &[-2], &[1]),
        (6, 0, &[2], &[-1]),
        (6, 0, &[7], &[0]),
        (6, 0, &[i32::MAX; 3], &[0; 3]),
        (6, 0, &[2, 2], &[i32::MAX, i32::MAX]),
        (6, 0, &[1, 1], &[1]),
        (6, 0, &[1; 9], &[1; 9]),
    ];
    for (stored, offset, size, stride) in cases {
        check_refused(
            &with(tensor_pickle(stored, offset, size, stride)),
            &["tensor model.a", "outside its storage"],
        );
    }
    for stored in [5, 7, -1, i32::MAX] {
        check_refused(
            &with(tensor_pickle(stored, 0, &[1], &[1])),
            &["tensor model.a", "in a record of 24 bytes"],
        );
    }
    check_refused(
        &archive(&tensor_pickle(6, 0, &[1], &[1]), &[]),
        &["tensor model.a", "data/0, which is missing"],
    );
}

#[test]
fn views_may_not_grow_beyond_the_file() {
    // 3000 names of one tensor that fills the file.
    let one = tensor_pickle(6000, 0, &[6000], &[1]);
    let (head, end) = (&one[..one.len() - 3], b"ss.");
    let mut pickle = [head, b"q\x01s"].concat();
    for index in 0..3000 {
        let name = format!("{index:06}");
        pickle.extend([b"X\x06\0\0\0", name.as_bytes(), b"h\x01s"].concat());
    }
    pickle.extend(&end[1..]);
    let (_folder, path) = file_with(&archive(&pickle, &[("0", &[0; 24_000])]));
    let message = read_all(&path).unwrap_err().to_string();
    assert!(message.contains("tensor model.0000") && message.contains("larger than the file"), "{message}");
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
        stream.objects().iter().map(|(name, class)| (name.as_str(), class.as_str())).collect();
    assert_eq!(objects, [("path", "pathlib.PurePosixPath"), ("state.date", "datetime.date")]);
}

#[test]
fn a_stream_that_is_cut_off_or_damaged_is_refused() {
    let intact = fs::read(fixture("stream.pt")).unwrap();
    for end in [intact.len() - 1, intact.len() - 30] {
        check_refused(&intact[..end], &["is truncated", "copy the file again"]);
    }
    check_refused(&intact[..200], &["it is truncated"]);
    let changed = |from: &[u8], to: &[u8]| {
        let at = intact.windows(from.len()).position(|window| window == from).unwrap();
        [&intact[..at], to, &intact[at + from.len()..]].concat()
    };
    check_refused(&changed(b"little_endian\x94\x88", b"little_endian\x94\x89"), &["big-endian"]);
    check_refused(&changed(b"M\xe9\x03", b"M\xea\x03"), &["of another version"]);
    check_refused(b"\x80\x04}.\x80\x04}.", &["bare pickle", "torch.save did not write"]);
}

#[test]
fn programs_and_other_formats_are_refused_with_the_reason() {
    let program =
        zip([("a/data.pkl".to_owned(), &b"\x80\x02}."[..]), ("a/constants.pkl".to_owned(), b"")].into_iter());
    check_refused(&program, &["torch.jit.save", "state dict"]);
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    check_refused(&tar, &["tar archive"]);
    check_refused(b"\x1f\x8b\x08\0\0\0\0\0\0", &["compressed with gzip; unpack"]);
}

#[test]
fn other_archives_are_refused() {
    let pickle = tensor_pickle(6, 0, &[6], &[1]);
    let record = |name: &str| (name.to_owned(), pickle.as_slice());
    check_refused(&zip([record("word/document.xml")].into_iter()), &["no data.pkl"]);
    check_refused(&zip([record("a/b/data.pkl")].into_iter()), &["no data.pkl"]);
    check_refused(&zip([record("a/data.pkl"), record("a/data.pkl")].into_iter()), &["two records"]);
    let big: [(String, &[u8]); 2] = [record("a/data.pkl"), ("a/byteorder".to_owned(), b"big")];
    check_refused(&zip(big.into_iter()), &["big-endian"]);
    let message = read_weights(&fixture("legacy.pt")).unwrap_err().to_string();
    assert!(message.contains("is foreign"), "{message}");
}

#[test]
fn a_changed_record_is_found_by_its_sum() {
    let mut bytes = archive(&tensor_pickle(6, 0, &[6], &[1]), &[("0", &[7; 24])]);
    let at = bytes.windows(24).position(|window| window == [7; 24]).unwrap();
    bytes[at] = 8;
    let (_folder, path) = file_with(&bytes);
    let message = read_all(&path).unwrap_err().to_string();
    assert!(message.contains("damaged") && message.contains("copy the file again"), "{message}");
}
