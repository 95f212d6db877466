//! Labels from CSV files: what they may say, what is refused by line, and damage of every kind.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use convnext_core::Seed;
use convnext_data::{
    DataError, Dataset, Image, Split, open_for_evaluation, open_labelled, open_part, open_parts,
};
use peak_alloc::PeakAlloc;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tempfile::TempDir;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Tests run one after the other, so that each sees its own memory only.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Memory that any opening of the data takes.
const ALLOWANCE: usize = 256 << 10;

/// Six images below one folder; the label file lies beside them.
struct Data {
    folder: TempDir,
}

impl Data {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("data/all");
        fs::create_dir_all(&images).unwrap();
        let image = Image::new(2, 2, 3, vec![9; 12]).unwrap();
        for number in 0..6 {
            image.save_png(&images.join(format!("{number}.png"))).unwrap();
        }
        Self { folder }
    }

    fn images(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn labels(&self, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join("labels.csv");
        fs::write(&path, text).unwrap();
        path
    }
}

/// `class:file` of every image.
fn contents(dataset: &Dataset) -> Vec<String> {
    let file = |name: &str| Path::new(name).file_stem().unwrap().to_string_lossy().into_owned();
    (0..dataset.len())
        .map(|i| format!("{}:{}", dataset.classes().name(dataset.label(i).unwrap()), file(&dataset.name(i))))
        .collect()
}

#[test]
fn columns_paths_and_splits_are_understood() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    let labels = data.labels(
        "\u{feff}Label, weight ,PATH,split\r\n dog ,1,all/3.png,train\r\n\"cat, big\",2,./all/0.png,\r\ndog,3,1.png,VAL\r\ndog,4,all\\5.png,train\r\n",
    );
    let opened = open_labelled(&data.images(), Some(&labels), 0.5, Seed(0)).unwrap();
    assert!(!opened.held_out);
    assert_eq!(contents(&opened.train), ["cat, big:0", "dog:3", "dog:5"]);
    assert_eq!(contents(&opened.validation), ["dog:1"]);
    assert_eq!(contents(&open_for_evaluation(&data.images(), Some(&labels)).unwrap()), ["dog:1"]);
    assert_ne!(opened.train.fingerprint(), opened.validation.fingerprint());
}

#[test]
fn delimiters_names_of_columns_ids_and_repeated_rows_are_understood() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    let absolute = data.images().join("all/2.png");
    for text in [
        "file_name;class\nall/0.png;a\nall/1.png;b\nall/2.png;b\n",
        "image\ttarget\nall/0.png\ta\n1\tb\n2\tb",
        "id,label\n0,a\nall/1,b\n2.png,b\n",
        // From the folder of the label file on.
        "path,label\ndata/all/0.png,a\ndata/all/1.png,b\n./data/all/2.png,b\n",
        "File,Label\n0.png,a\n\n,\n  \n0.png,a\n1.png,b,\n2.png,b\nall/2.png,b\n",
        &format!("filename,label\n0,a\n1,b\n{},b\n", absolute.display()),
        "path,label,width,set\n0.png,a,4,x\n1.png,b,4,z\n2.png, b ,4,y\n",
    ] {
        let labels = data.labels(text);
        let opened = open_for_evaluation(&data.images(), Some(&labels)).unwrap();
        assert_eq!(contents(&opened), ["a:0", "b:1", "b:2"], "{text}");
    }
    let marked =
        "path,label,Subset\n0.png,a,Training\n1.png,b,TRAIN\n2.png,a,dev\n3.png,a,Eval\n4.png,b,test\n";
    let labels = data.labels(marked);
    let (opened, test) = open_parts(&data.images(), Some(&labels), 0.5, Seed(0)).unwrap();
    assert_eq!(
        (contents(&opened.train), contents(&opened.validation)),
        (vec!["a:0".into(), "b:1".into()], vec!["a:2".into()])
    );
    assert_eq!(contents(&test.unwrap().images), ["a:3", "b:4"]);
}

#[test]
fn rows_for_a_test_are_for_a_test_alone() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    let labels = data
        .labels("path,label,split\n0.png,a,train\n1.png,a,train\n2.png,b,\n3.png,b,train\n4.png,b,test\n");
    let opened = open_labelled(&data.images(), Some(&labels), 0.5, Seed(0)).unwrap();
    assert!(opened.held_out);
    assert_eq!((opened.train.len(), opened.validation.len()), (2, 2));
    let part = |split| open_part(&data.images(), Some(&labels), split).map(|part| contents(&part.images));
    assert_eq!(part(Some(Split::Test)).unwrap(), ["b:4"]);
    assert_eq!(part(Some(Split::Train)).unwrap(), ["a:0", "a:1", "b:2", "b:3"]);
    let message = part(None).unwrap_err().to_string();
    assert!(
        message.contains("no validation part but test rows") && message.contains("--split test"),
        "{message}"
    );
    let message = part(Some(Split::Validation)).unwrap_err().to_string();
    assert!(message.contains("no validation part, but train rows, test rows"), "{message}");
}

#[test]
fn paths_that_could_be_several_images_are_refused() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    fs::create_dir_all(data.images().join("more")).unwrap();
    fs::copy(data.images().join("all/1.png"), data.images().join("more/1.png")).unwrap();
    let message = |text: &str| {
        let labels = data.labels(text);
        open_for_evaluation(&data.images(), Some(&labels)).unwrap_err().to_string()
    };
    for text in ["id,label\n0,a\n1,b", "id,label\n0,a\n1.png,b"] {
        let message = message(text);
        assert!(message.contains("could be any of all/1.png, more/1.png"), "{message}");
    }
    let elsewhere = message("path,label\n/elsewhere/0.png,a");
    assert!(elsewhere.contains("no image '/elsewhere/0.png'"), "{elsewhere}");
}

#[test]
fn other_encodings_are_refused_and_letters_compared() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    let wide: Vec<u8> = "path,label\n0.png,a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [wide.clone(), [vec![0xff, 0xfe], wide].concat()] {
        let labels = data.labels(bytes);
        let message = open_for_evaluation(&data.images(), Some(&labels)).unwrap_err().to_string();
        assert!(message.contains("line 1: it is no UTF-8 text but UTF-16"), "{message}");
    }
    let labels = data.labels(b"path,label\n0.png,a\n1.png,caf\xe9\n");
    let message = open_for_evaluation(&data.images(), Some(&labels)).unwrap_err().to_string();
    assert!(message.contains("line 3: it is no UTF-8 text, but perhaps Latin-1"), "{message}");
    fs::rename(data.images().join("all/0.png"), data.images().join("all/cafe\u{301}.png")).unwrap();
    let labels = data.labels("path,label\nall/caf\u{e9}.png,caf\u{e9}\nall/1.png,cafe\u{301} \n");
    let opened = open_for_evaluation(&data.images(), Some(&labels)).unwrap();
    assert_eq!(opened.classes().0, ["caf\u{e9}"]);
    assert_eq!(opened.len(), 2);
}

#[test]
fn without_a_split_images_are_held_out_as_from_folders() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    let text: String = (0..6).map(|i| format!("all/{i}.png,{}\n", if i < 3 { "a" } else { "b" })).collect();
    let labels = data.labels(format!("path,label\n{text}"));
    let folders = data.folder.path().join("folders");
    for i in 0..6 {
        let class = folders.join(if i < 3 { "a" } else { "b" });
        fs::create_dir_all(&class).unwrap();
        fs::copy(data.images().join(format!("all/{i}.png")), class.join(format!("{i}.png"))).unwrap();
    }
    let by_file = open_labelled(&data.images(), Some(&labels), 0.34, Seed(5)).unwrap();
    let by_folder = open_labelled(&folders, None, 0.34, Seed(5)).unwrap();
    assert!(by_file.held_out);
    assert_eq!(contents(&by_file.train), contents(&by_folder.train));
    assert_eq!(contents(&by_file.validation), contents(&by_folder.validation));
    assert_eq!(open_for_evaluation(&data.images(), Some(&labels)).unwrap().len(), 6);
}

#[test]
fn mistakes_are_named_by_line() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    for (text, words) in [
        ("", "no column 'path'"),
        ("path,colour\nall/0.png,a", "no column 'label'"),
        ("all/0.png;a\nall/1.png;b", "line 1: there is no column 'path'"),
        ("image,file,label\nall/0.png,,a", "'image' and 'file' could both be 'path'"),
        ("path,label\n", "labels no image"),
        ("path,label\nall/0.png,a\nall/9.png,b", "line 3: there is no image 'all/9.png'"),
        ("path,label\nall/0.png,a\n./all/0.png,b", "line 3: './all/0.png' has a label already, in line 2"),
        ("path,label\nall/0.png,", "line 2: path or label is empty"),
        ("path,label\nall/0.png,a,b", "line 2: it has 3 fields, but the header has 2"),
        ("path,label\nall/0.png", "line 2: it has 1 fields, but the header has 2"),
        (
            "path,label,split\n0.png,a,train\n0.png,a,val",
            "line 3: '0.png' is in the part 'train' already, in line 2",
        ),
        (
            "path,label\n0.png,0.37\n1.png,0.5",
            "line 2: the label '0.37' is a number with decimals: this is regression",
        ),
        ("path,label\n0.png,a\n1.png,a;b", "line 3: the label 'a;b' is a list: this is multi-label"),
        ("path,label,split\nall/0.png,a,tomorrow", "split 'tomorrow' is none of train, training, val"),
        (
            "path,label,Set\n0.png,a,train\n1.png,b,x",
            "'Set' tells the part of other rows, but 'x' is none of",
        ),
        ("path,label\nall/0.png,a\nall/1.png,a", "1 class(es)"),
        ("path,label,split\n0.png,a,\n1.png,b,\n2.png,c,val", "'c'"),
    ] {
        let labels = data.labels(text);
        let message = open_labelled(&data.images(), Some(&labels), 0.5, Seed(0)).unwrap_err().to_string();
        assert!(message.contains("labels.csv") && message.contains(words), "{text:?}: {message}");
    }
    let missing = data.folder.path().join("gone.csv");
    let message = open_for_evaluation(&data.images(), Some(&missing)).unwrap_err().to_string();
    assert!(message.contains("gone.csv"), "{message}");
}

/// Changes some bytes of a text: flips, cuts, doubles, and puts in what parsers stumble over.
fn damage(text: &mut Vec<u8>, random: &mut SmallRng) {
    const STUMBLING: [&[u8]; 10] =
        [b"\"", b"\"\"", b",", b"\r", b"\n", b"\0", b"\xff\xfe", b"../", b",,,,,,,,,,,,", b"val"];
    for _ in 0..random.random_range(1..6) {
        let place = random.random_range(0..=text.len());
        match random.random_range(0..5) {
            0 if place < text.len() => text[place] ^= 1 << random.random_range(0..8),
            1 => text.truncate(place),
            2 => {
                let end = random.random_range(place..=text.len());
                let piece = text[place..end].to_vec();
                text.splice(place..place, piece);
            }
            3 => {
                let count = random.random_range(1..2000);
                text.splice(place..place, std::iter::repeat_n(b'x', count));
            }
            _ => {
                let piece = STUMBLING[random.random_range(0..STUMBLING.len())];
                text.splice(place..place, piece.iter().copied());
            }
        }
    }
}

#[test]
fn damaged_files_are_read_or_refused_within_their_size() {
    let _alone = ONE_AT_A_TIME.lock();
    let data = Data::new();
    let whole = "path,label,split\nall/0.png,a,train\n\"all/1.png\",\"b, c\",train\nall/2.png,a,val\n3.png,\"b, c\",test\n";
    let mut random = SmallRng::seed_from_u64(11);
    let mut read = 0;
    for _ in 0..3000 {
        let mut text = whole.as_bytes().to_vec();
        damage(&mut text, &mut random);
        let labels = data.labels(&text);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let opened = open_labelled(&data.images(), Some(&labels), 0.5, Seed(0));
        let taken = MEMORY.peak_usage() - before;
        assert!(taken <= 16 * text.len() + ALLOWANCE, "{taken} bytes for {} bytes", text.len());
        match opened {
            Ok(_) => read += 1,
            Err(DataError::Labels { path, .. } | DataError::UnknownClass { path, .. }) => {
                assert!(path.contains("labels.csv"), "{path}");
            }
            Err(other) => panic!("{other}: {:?}", String::from_utf8_lossy(&text)),
        }
    }
    assert!((30..2900).contains(&read), "{read} of 3000 were read");
}
