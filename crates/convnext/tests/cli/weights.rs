//! Weight files for tests that are not about training: trained once and then copied into each test's
//! folder. And broken ones.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::bench::Bench;

/// An autoencoder for images of 32 pixels: 4 x 4 patches, of which 6 are kept.
pub(super) fn autoencoder() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let bench = Bench::new();
        bench.draw_classes("photos", 4);
        bench.succeed(
            "pretrain --data photos --model micro --image-size 32 --stem-stride 1 --steps 2 --batch-size 6 \
             --out run",
        );
        bench.read("run/weights.safetensors")
    });
    &BYTES
}

/// A classifier of the three classes for images of 32 pixels, which is right more often than not.
pub(super) fn classifier() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let bench = Bench::new();
        bench.draw_classes("labelled", 16);
        bench.succeed(
            "finetune --data labelled --init none --model micro --image-size 32 --stem-stride 1 --steps 10 \
             --batch-size 12 --val-fraction 0.1 --out run",
        );
        bench.read("run/weights.safetensors")
    });
    &BYTES
}

/// Changes the header of a safetensors file and leaves the rest.
pub(super) fn with_header(file: &[u8], change: impl FnOnce(&mut Map<String, Value>)) -> Vec<u8> {
    let (length, rest) = file.split_at(8);
    let (header, values) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut header: Map<String, Value> = serde_json::from_slice(header).unwrap();
    change(&mut header);
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, values].concat()
}

/// A valid file from another program.
pub(super) fn foreign() -> Vec<u8> {
    with_header(&[2_u64.to_le_bytes().as_slice(), b"{}", &[0; 8]].concat(), |header| {
        header.insert("layer.weight".into(), json!({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}));
    })
}
