//! Goes through the headers of a shard.

use std::{fs::File, io, io::Read, path::Path};

use serde_json::Value;
use tar::{Archive, Entry, EntryType};

use super::{
    Place,
    index::{IndexedImage, Label, LabelNames},
};
use crate::datasets::extensions::has_image_extension;
use crate::datasets::linked_members::LinkedMembers;
use crate::datasets::relative::member_path;
use crate::datasets::tar_extent::{BLOCK, Extent};
use crate::error::DataError;

/// The longest text of a label that is read.
const MAX_LABEL: u64 = 1 << 20;

/// What a shard holds.
pub(crate) struct Scanned {
    /// All images with their labels.
    pub(crate) images: Vec<IndexedImage>,
    /// The labels that are names.
    pub(crate) names: LabelNames,
    /// What is left out or not understood, in words.
    pub(crate) remarks: Vec<String>,
}

/// All images of a shard with their labels.
///
/// # Errors
/// [`DataError::Archive`] with the name of the shard when it is damaged or ends too early.
pub(crate) fn scan(path: &Path) -> Result<Scanned, DataError> {
    let mut scanner = Scanner::default();
    scanner.scan(path).map_err(|error| {
        let path = path.display().to_string();
        DataError::Archive { path, why: error.to_string() }
    })?;
    Ok(scanner.found())
}

#[derive(Default)]
struct Scanner {
    images: Vec<IndexedImage>,
    names: LabelNames,
    /// The key of the members that are being read.
    key: String,
    image: Option<Place>,
    label: Option<Label>,
    /// Images that no sample has.
    left_out: usize,
    /// Images that are none.
    linked: LinkedMembers,
    /// The first label that could not be understood.
    unclear: Option<String>,
}

impl Scanner {
    fn scan(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let mut extent = Extent::of(Some(file.metadata()?.len()));
        for entry in Archive::new(&mut file).entries_with_seek()? {
            let entry = entry?;
            extent.pass(&entry)?;
            let Some(member) = member_path(&entry.path()?) else { continue };
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => self.visit(&member, entry)?,
                EntryType::Directory => {}
                _ if has_image_extension(Path::new(&member)) => self.linked.add(&member),
                _ => {}
            }
        }
        extent.check_end()?;
        self.finish_sample();
        Ok(())
    }

    fn visit(&mut self, member: &str, entry: Entry<'_, impl Read>) -> io::Result<()> {
        let name = member.rfind('/').map_or(0, |slash| slash + 1);
        let Some(dot) = member[name..].find('.').map(|dot| name + dot) else { return Ok(()) };
        let (key, extension) = (&member[..dot], member[dot + 1..].to_ascii_lowercase());
        if key != self.key {
            self.finish_sample();
            key.clone_into(&mut self.key);
        }
        match extension.as_str() {
            "cls" => self.label = Some(self.class_label(member, entry)?),
            // A class file says it better.
            "json" if self.label.is_none() => self.label = self.json_label(member, entry)?,
            _ if has_image_extension(Path::new(member)) => {
                if extension.contains('.') || self.image.is_some() {
                    self.left_out += 1;
                } else {
                    self.image = Some(place(&entry)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The label of a `.cls`: a number, or else the name of a class.
    fn class_label(&mut self, member: &str, entry: Entry<'_, impl Read>) -> io::Result<Label> {
        let mut text = Vec::new();
        entry.take(MAX_LABEL).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let label = match text.trim() {
            "" => Label::NONE,
            // Some write -1 where there is no label.
            text => match text.parse::<i64>() {
                Ok(number) => u64::try_from(number).map_or(Label::NONE, Label::number),
                Err(_) => self.names.label(text),
            },
        };
        if label == Label::NONE {
            self.unclear.get_or_insert_with(|| member.to_owned());
        }
        Ok(label)
    }

    /// The label of a `.json`: the number or name under `label`, `cls` or `class`. Files without one are
    /// common, for they hold all kinds of things.
    fn json_label(&mut self, member: &str, entry: Entry<'_, impl Read>) -> io::Result<Option<Label>> {
        let mut text = Vec::new();
        entry.take(MAX_LABEL).read_to_end(&mut text)?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let found = ["label", "cls", "class"].iter().find_map(|field| value.get(field));
        let label = match found {
            Some(Value::Number(number)) => number.as_u64().map_or(Label::NONE, Label::number),
            Some(Value::String(name)) if !name.is_empty() => self.names.label(name),
            Some(_) => Label::NONE,
            None => return Ok(None),
        };
        if label == Label::NONE {
            self.unclear.get_or_insert_with(|| member.to_owned());
        }
        Ok(Some(label))
    }

    /// What was found, at the end.
    fn found(self) -> Scanned {
        let Self { images, names, left_out, linked, unclear, .. } = self;
        let left_out = (left_out > 0).then(|| {
            format!(
                "{left_out} images are second ones of their key, or their names go on after the first dot; they are left out"
            )
        });
        let unclear =
            unclear.map(|member| format!("{member} and perhaps others hold no label that can be understood"));
        let remarks = [left_out, linked.summary(), unclear].into_iter().flatten().collect();
        Scanned { images, names, remarks }
    }

    /// Takes up the sample whose members have been read.
    fn finish_sample(&mut self) {
        let label = self.label.take().unwrap_or(Label::NONE);
        if let Some(place) = self.image.take() {
            self.images.push(IndexedImage { place, label });
        }
    }
}

/// Location of the bytes of a member.
fn place(entry: &Entry<'_, impl Read>) -> io::Result<Place> {
    let too_large = || io::Error::other("it has more than 2 TiB, or an image of more than 4 GiB");
    let block = u32::try_from(entry.raw_file_position() / BLOCK).map_err(|_| too_large())?;
    let length = u32::try_from(entry.size()).map_err(|_| too_large())?;
    Ok(Place { block, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_are_links_are_counted_and_not_lost_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        for member in ["1.png", "2.png", "1.cls"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, member, "elsewhere/0.png").unwrap();
        }
        builder.into_inner().unwrap();
        let mut scanner = Scanner::default();
        scanner.scan(&path).unwrap();
        let found = scanner.found();
        assert!(
            found.images.is_empty() && found.remarks[0].starts_with("2 member(s)"),
            "{:?}",
            found.remarks
        );
    }
}
