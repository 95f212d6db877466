//! Property: whatever is done to a weight file, reading it neither panics nor takes memory that the size of
//! the file does not explain, nor runs anything.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use convnext_io::{
    NamedArray, TRAINING_PREFIX, read_checkpoint, read_header, read_weights, write_checkpoint, write_weights,
};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Tests run one after the other, so that each sees its own memory only.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Memory that a reader may take for any file, mostly the buffer for the directory of an archive.
const ALLOWANCE: usize = 512 << 10;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// One file that is overwritten in place, because many file systems take long to replace a file.
struct Target {
    _folder: TempDir,
    path: PathBuf,
}

impl Target {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, b"").unwrap();
        Self { _folder: folder, path }
    }

    /// Reads these bytes as a file; `true` if they are weights.
    fn read(&self, bytes: &[u8], factor: usize) -> bool {
        let mut file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(bytes).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        drop(file);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let weights = read_weights(&self.path);
        let header = read_header(&self.path);
        let checkpoint = read_checkpoint(&self.path);
        let taken = MEMORY.peak_usage() - before;
        let allowed = factor * bytes.len() + ALLOWANCE;
        assert!(taken <= allowed, "{taken} bytes for a file of {} bytes: {header:?}", bytes.len());
        let errors = [weights.as_ref().err(), header.as_ref().err(), checkpoint.as_ref().err()];
        for error in errors.into_iter().flatten() {
            let message = error.to_string();
            assert!(message.contains(self.path.to_str().unwrap()), "{message}");
            assert!(message.len() < 5000, "{message}");
        }
        weights.is_ok()
    }
}

/// Draws numbers below its argument, the same in every run.
fn random_numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Changes a few bytes, cuts, repeats or overwrites with extreme numbers.
fn damage(intact: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = intact.to_vec();
    for _ in 0..=random(3) {
        let at = random(bytes.len().max(1)).min(bytes.len());
        let end = (at + 1 + random(16)).min(bytes.len());
        match random(7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            3 => {
                let extreme = [u64::MAX, 1 << 63, 1 << 40, 1 << 31, 0x7fff_ffff, 0][random(6)].to_le_bytes();
                let width = (end - at).min(1 << random(4));
                bytes[at..at + width.min(8)].copy_from_slice(&extreme[..width.min(8)]);
            }
            4 => {
                let from = random(bytes.len().max(1)).min(bytes.len());
                let copy = bytes[from..(from + end - at).min(bytes.len())].to_vec();
                bytes.splice(at..end, copy);
            }
            _ if at < bytes.len() => bytes[at] = random(256) as u8,
            _ => {}
        }
    }
    bytes
}

/// The records of an archive in their order.
fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let archive = rawzip::ZipArchive::from_slice(bytes).unwrap();
    let mut entries = archive.entries();
    let mut records = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        let name = String::from_utf8(entry.file_path().as_bytes().to_vec()).unwrap();
        records.push((name, archive.get_entry(entry.wayfinder()).unwrap().data().to_vec()));
    }
    records
}

fn zip(records: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in records {
        let (mut entry, config) = archive.new_file(name).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

#[test]
fn damaged_files_of_every_kind() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let ours = target.path.with_file_name("ours");
    fs::write(&target.path, fixture("sparse.pt")).unwrap();
    let weights = read_weights(&target.path).unwrap();
    let arrays: Vec<_> = weights.arrays.into_values().collect();
    write_weights(&ours, &arrays, &weights.metadata).unwrap();
    let checkpoint = target.path.with_file_name("checkpoint");
    let moment = NamedArray::from_f32(format!("{TRAINING_PREFIX}moment_1.mask_token"), [2], &[0.5, -0.5]);
    let state: Vec<_> = arrays.into_iter().chain([moment]).collect();
    write_checkpoint(&checkpoint, &state, &weights.metadata, r#"{"step":3}"#).unwrap();
    // The model is taken out of a checkpoint, and the checkpoint holds all.
    let read = read_checkpoint(&checkpoint).unwrap();
    assert_eq!((read.arrays.len(), read.progress.as_str()), (state.len(), r#"{"step":3}"#));
    assert_eq!(read_weights(&checkpoint).unwrap(), read_weights(&ours).unwrap());
    let files = [
        fixture("dense.pt"),
        fixture("sparse.pt"),
        fixture("dense.safetensors"),
        fs::read(ours).unwrap(),
        fs::read(checkpoint).unwrap(),
    ];
    let mut random = random_numbers(1);
    for intact in &files {
        assert!(target.read(intact, 4));
        for _ in 0..1000 {
            target.read(&damage(intact, &mut random), 4);
        }
    }
}

#[test]
fn damaged_headers() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let intact = fixture("dense.safetensors");
    let size = 8 + u64::from_le_bytes(*intact.first_chunk().unwrap()) as usize;
    let mut random = random_numbers(2);
    for _ in 0..2000 {
        let mut header = damage(&intact[8..size], &mut random);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut header);
        bytes.extend(&intact[size..]);
        target.read(&bytes, 8);
    }
}

/// The sums of an archive hide its structure from plain damage, so here they are made anew.
#[test]
fn damaged_structures_with_right_sums() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let mut random = random_numbers(3);
    let mut readable = 0;
    for name in ["dense.pt", "sparse.pt"] {
        let intact = unzip(&fixture(name));
        assert!(target.read(&zip(&intact), 4));
        for _ in 0..2000 {
            let mut records = intact.clone();
            records[0].1 = damage(&records[0].1, &mut random);
            readable += usize::from(target.read(&zip(&records), 64));
        }
    }
    // Some damage hits what is ignored: the damage is not so great that nothing is tested.
    assert!((20..3000).contains(&readable), "{readable}");
}

/// Streams have no sums, so that all damage reaches the structure; that of elements goes unseen.
#[test]
fn damaged_streams() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let mut random = random_numbers(5);
    let none = 0..1;
    for (name, is_model, expected) in [
        ("stream.pt", false, none.clone()),
        ("module_stream.pt", false, none.clone()),
        ("legacy.pt", false, none),
        ("dense_stream.pt", true, 20..800),
    ] {
        let intact = fixture(name);
        assert_eq!(target.read(&intact, 64), is_model, "{name}");
        let readable = (0..1000).filter(|_| target.read(&damage(&intact, &mut random), 64)).count();
        assert!(expected.contains(&readable), "{name}: {readable}");
    }
}

#[test]
fn damaged_indices() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let mut random = random_numbers(6);
    let mut shards = Vec::new();
    for (shard, name) in [("a.safetensors", "dense.safetensors"), ("b.pt", "mixed.pt")] {
        fs::write(target.path.with_file_name(shard), fixture(name)).unwrap();
        shards.push(format!(r#""head.bias{shard}": "{shard}", "x": "{shard}""#));
    }
    for map in [r#""head.bias": "a.safetensors", "scalar": "b.pt""#, &shards.join(", ")] {
        let index = format!(r#"{{"metadata": {{"total_size": 12}}, "weight_map": {{{map}}}}}"#);
        for _ in 0..500 {
            // The shards are larger than the index, but known.
            let padded = [damage(index.as_bytes(), &mut random), vec![b' '; 16_000]].concat();
            target.read(&padded, 64);
        }
    }
}

fn tiny_tensor(index: u32) -> String {
    format!(r#""{index:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},"#)
}

#[test]
fn structures_that_ask_for_much_memory() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let cases: [&[u8]; 7] = [b"]", b"N", b")", b"\x94", b"]\x94", b"ca\nb\n)R", b"ca\nb\n"];
    for pattern in cases {
        let pickle = [b"\x80\x04]".as_slice(), &pattern.repeat(1 << 19), b"."].concat();
        let record = ("a/data.pkl".to_owned(), pickle);
        // A list without items takes 32 bytes and its place on the stack 16, and both grow by doubling.
        assert!(!target.read(&zip(&[record]), 150));
    }
    let zeros = vec!["0"; 1 << 18].join(",");
    let many: String = (0..1 << 13).map(tiny_tensor).collect();
    let long = format!(r#""a":{{"dtype":"F32","shape":[{zeros}],"data_offsets":[0,0]}},"#);
    for tensors in [many, long] {
        let header = format!(r#"{{{tensors}"__metadata__":{{}}}}"#);
        let bytes = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat();
        assert!(!target.read(&bytes, 32));
    }
    // A directory that announces 2^16 - 1 entries, and a text that announces 2^31 bytes.
    let mut bytes = zip(&[("a/data.pkl".to_owned(), b"\x80\x02X\xff\xff\xff\x7f.".to_vec())]);
    assert!(!target.read(&bytes, 4));
    let end = bytes.len() - 22;
    bytes[end + 8..end + 12].fill(0xff);
    assert!(!target.read(&bytes, 4));
}

#[test]
fn nothing_is_run() {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let target = Target::new();
    let intact = unzip(&fixture("evil.pt"));
    let mut random = random_numbers(4);
    for _ in 0..500 {
        let mut records = intact.clone();
        records[0].1 = damage(&records[0].1, &mut random);
        assert!(!target.read(&zip(&records), 64));
    }
    // What the file does in Python.
    assert!(intact[0].1.windows(23).any(|window| window == b"touch convnext-was-here"));
    assert!(!Path::new("convnext-was-here").exists());
}
