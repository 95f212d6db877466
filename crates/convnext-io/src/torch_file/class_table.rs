//! Names and colours of classes that checkpoints of OpenMMLab keep beside their tensors: `classes` and `palette` in
//! `meta.dataset_meta`, in files of mmsegmentation before version 1 `CLASSES` and `PALETTE` in `meta`. Converted files mix
//! the two, so that both spellings are looked for in both places.

use super::pickle::Pickle;
use super::values::{Node, Value};

/// More classes than a label map can tell apart, or longer names, are none.
const MAX_CLASSES: usize = 65_535;
const MAX_NAME_LENGTH: usize = 256;

/// Classes as a checkpoint describes them; empty where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClassTable {
    /// Their names, in the order of the logits.
    pub(crate) names: Vec<String>,
    /// Red, green and blue of each.
    pub(crate) palette: Vec<[u8; 3]>,
}

/// The classes in a pickle.
pub(super) fn find(pickle: &Pickle) -> ClassTable {
    let Some(meta) = entry(pickle, pickle.root(), "meta") else { return ClassTable::default() };
    let places = [entry(pickle, meta, "dataset_meta"), Some(meta)];
    let list = |spellings: [&str; 2]| {
        let in_place = |place| spellings.map(|key| entry(pickle, place, key));
        let found = places.into_iter().flatten().flat_map(in_place).flatten();
        found.map(|list| items(pickle, list)).find(|items| !items.is_empty()).unwrap_or_default()
    };
    let (names, colours) = (list(["classes", "CLASSES"]), list(["palette", "PALETTE"]));
    if names.len().max(colours.len()) > MAX_CLASSES {
        return ClassTable::default();
    }
    let name = |&name| pickle.text(name).filter(|name| name.len() <= MAX_NAME_LENGTH).map(str::to_owned);
    ClassTable {
        names: names.iter().map(name).collect::<Option<_>>().unwrap_or_default(),
        palette: colours
            .iter()
            .map(|&value| colour(pickle, value))
            .collect::<Option<_>>()
            .unwrap_or_default(),
    }
}

/// The value of a key, if this is a dictionary that has it.
fn entry(pickle: &Pickle, value: Value, key: &str) -> Option<Value> {
    let Some(Node::Dict(entries)) = pickle.node(value) else { return None };
    entries.iter().find(|(found, _)| pickle.text(*found) == Some(key)).map(|&(_, value)| value)
}

/// The items of a list or tuple; none of anything else.
fn items<'p>(pickle: &'p Pickle, value: Value) -> &'p [Value] {
    match pickle.node(value) {
        Some(Node::List(items) | Node::Tuple(items)) => items,
        _ => &[],
    }
}

/// Red, green and blue from 0 to 255.
fn colour(pickle: &Pickle, value: Value) -> Option<[u8; 3]> {
    let level = |&level: &Value| match level {
        Value::Int(level) => u8::try_from(level).ok(),
        _ => None,
    };
    let levels = items(pickle, value).iter().map(level).collect::<Option<Vec<u8>>>()?;
    levels.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    fn dictionary(key: &str, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let entries: Vec<u8> =
            entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
        [b"}(".to_vec(), text(key), b"}(".to_vec(), entries, b"uu".to_vec()].concat()
    }

    fn list(items: &[Vec<u8>]) -> Vec<u8> {
        [b"](".to_vec(), items.concat(), b"e".to_vec()].concat()
    }

    fn colour(levels: &[u8]) -> Vec<u8> {
        list(&levels.iter().map(|&level| vec![b'K', level]).collect::<Vec<_>>())
    }

    fn found(object: &[u8]) -> ClassTable {
        find(&Pickle::read(&[b"\x80\x02", object, b"."].concat()).unwrap())
    }

    #[test]
    fn both_spellings_are_known_in_both_places() {
        let names = list(&[text("sky"), text("road")]);
        let palette = list(&[colour(&[1, 2, 3]), colour(&[4, 5, 255])]);
        let table =
            ClassTable { names: vec!["sky".into(), "road".into()], palette: vec![[1, 2, 3], [4, 5, 255]] };
        for [classes, colours] in [["CLASSES", "PALETTE"], ["classes", "palette"], ["classes", "PALETTE"]] {
            let entries = [(classes, names.clone()), (colours, palette.clone())];
            assert_eq!(found(&dictionary("meta", &entries)), table, "{classes}");
            let inner: Vec<u8> =
                entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
            let inner = [b"}(".to_vec(), inner, b"u".to_vec()].concat();
            assert_eq!(found(&dictionary("meta", &[("dataset_meta", inner)])), table, "{classes}");
        }
    }

    #[test]
    fn what_is_no_list_of_names_or_colours_is_none() {
        assert_eq!(found(&dictionary("other", &[])), ClassTable::default());
        let names = list(&[text("sky"), colour(&[1])]);
        let palettes = [list(&[colour(&[1, 2])]), list(&[text("red")]), text("red"), b"N".to_vec()];
        for palette in palettes {
            let table = found(&dictionary("meta", &[("CLASSES", names.clone()), ("PALETTE", palette)]));
            assert_eq!(table, ClassTable::default());
        }
        let long = list(&[text(&"x".repeat(MAX_NAME_LENGTH + 1))]);
        assert_eq!(found(&dictionary("meta", &[("CLASSES", long)])), ClassTable::default());
    }
}
