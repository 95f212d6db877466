//! Property: whatever is done to a mask file or a recipe, reading it neither panics nor takes memory that
//! the size of the file does not explain, and says which file is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use convnext::core::PatchGrid;
use convnext::read_mask;
use convnext::train::{FinetuneRecipe, InitFrom, PretrainRecipe};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Tests run one after the other, so that each sees its own memory only.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const CASES: usize = 3000;

/// Memory that any reading takes, and bytes of memory for a byte of a file: a parser keeps tables of
/// small values.
const ALLOWANCE: usize = 256 << 10;
const FACTOR: usize = 200;

/// A generator of numbers that never changes.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// What parsers stumble over.
const STUMBLING: [&str; 18] = [
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    ".",
    "-1",
    "1e999",
    "99999999999999999999",
    "nan",
    "\0",
    "\u{feff}",
    "\\u0000",
    "[[[[[[[[[[[[[[[[[[[[",
    "#",
    "\r",
];

fn damage(text: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let place = random.below(text.len() + 1);
        match random.below(5) {
            0 if place < text.len() => text[place] ^= 1 << random.below(8),
            1 => text.truncate(place),
            2 => {
                let piece = text[place..place + random.below(text.len() - place + 1)].to_vec();
                text.splice(place..place, piece);
            }
            3 => {
                let piece = STUMBLING[random.below(STUMBLING.len())].repeat(1 + random.below(300));
                text.splice(place..place, piece.into_bytes());
            }
            _ => {
                let piece = STUMBLING[random.below(STUMBLING.len())];
                text.splice(place..place, piece.bytes());
            }
        }
    }
}

/// Reads a file damaged in thousands of ways; some are still fine, most are not.
fn check<T, E: Display>(whole: &str, name: &str, read: impl Fn(&Path) -> Result<T, E>) {
    let _alone = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut fine = 0;
    let nested = ["[", "{\"a\":", "a = [", "[a.", "a = {b ="].map(|piece| piece.repeat(20_000).into_bytes());
    let mut random = Random(3);
    let damaged = (0..CASES).map(|_| {
        let mut text = whole.as_bytes().to_vec();
        damage(&mut text, &mut random);
        text
    });
    for text in nested.into_iter().chain(damaged) {
        fs::write(&path, &text).unwrap();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let result = read(&path);
        let taken = MEMORY.peak_usage() - before;
        assert!(taken <= FACTOR * text.len() + ALLOWANCE, "{taken} bytes for {} bytes", text.len());
        match result {
            Ok(_) => fine += 1,
            Err(error) => {
                let message = error.to_string();
                // A value out of its range is named itself, wherever it came from.
                assert!(message.contains(name) || message.contains("must be"), "{message}");
            }
        }
    }
    read(&path).err();
    fs::write(&path, whole).unwrap();
    assert!(read(&path).is_ok(), "the undamaged file is fine");
    assert!((1..CASES).contains(&fine), "{fine} of {CASES} were read");
}

#[test]
fn masks() {
    let grid = PatchGrid { rows: 7, columns: 7 };
    check(r#"{"kept": [0, 3, 17, 48, 5]}"#, "mask.json", |path| read_mask(path, grid));
}

#[test]
fn recipes_of_pretraining() {
    let whole = include_str!("../../convnext-train/recipes/pretrain-plain.toml");
    check(whole, "recipe.toml", |path| PretrainRecipe::load(path.to_str().unwrap(), &[]));
}

#[test]
fn recipes_of_finetuning() {
    let whole = include_str!("../../convnext-train/recipes/finetune-plain.toml");
    check(whole, "recipe.toml", |path| FinetuneRecipe::load(path.to_str().unwrap(), &[], InitFrom::Scratch));
}

#[test]
fn settings_of_the_command_line() {
    check("training.betas=[0.9, 0.95]", "setting", |path| {
        let setting = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        PretrainRecipe::load("plain", &[setting]).map_err(|error| format!("setting: {error}"))
    });
}
