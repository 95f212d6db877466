//! Files that are refused.

use super::*;

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

/// Bug: the imaginary part of a conjugated tensor, which PyTorch saves with a note that it is negated, was read with
/// the wrong sign.
#[test]
fn negated_and_conjugated_tensors_are_refused() {
    check_path_refused(&fixture("negated.pt"), &["tensor model.a", "negated", "resolve_neg()"]);
    let plain = tensor_pickle(6, 0, &[6], &[1]);
    let (start, end) = plain.split_at(plain.len() - b"tRss.".len());
    let with = |metadata: &[u8]| archive(&[start, metadata, end].concat(), &[("0", &[0; 24])]);
    for nothing in ["}", "N"] {
        let (_folder, path) = file_with(&with(nothing.as_bytes()));
        assert_eq!(open(&path).unwrap().tensors()[0].shape, [6]);
    }
    check_refused(&with(b"}X\x04\0\0\0conj\x88s"), &["tensor model.a", "conjugated", "resolve_conj()"]);
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
