//! Files that name the classes of masks: CSV, TOML, or one name a line.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use serde::Deserialize;

use crate::datasets::class_name::canonical_name;
use crate::segmentation::class_table::{ClassTable, TableClass};
use crate::segmentation::error::MaskError;

/// Reads a file of classes, by its extension: `.toml` with a `[[class]]` each, `.txt` with a name a line, and else CSV.
///
/// CSV has a header with `name` and any of `id`, and `colour` (`color`) or `r`, `g`, `b`; it may be `class_dict.csv` of
/// CamVid. TOML has `name`, `id` or `ids`, `colour` or `colours`, a colour being `"#rrggbb"` or `[r, g, b]`. Rows of one
/// name are one class; `void`, `unlabelled` and `ignore` are ignored.
///
/// # Errors
/// [`MaskError::ClassFile`] with the line that is wrong.
pub(crate) fn read_class_file(name: &str, bytes: &[u8]) -> Result<ClassTable, MaskError> {
    let wrong = |line: u64, why: String| MaskError::ClassFile { path: name.to_owned(), line, why };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "it is no UTF-8 text".into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let extension = Path::new(name).extension().map(|found| found.to_string_lossy().to_lowercase());
    let table = match extension.as_deref() {
        Some("toml") => of_toml(text),
        Some("txt") => of_lines(text),
        _ => of_csv(text),
    };
    let table = table.map_err(|(line, why)| wrong(line, why))?;
    if table.classes.is_empty() {
        return Err(wrong(1, "it names no class".into()));
    }
    if let Some((value, [one, other])) = table.repeated() {
        return Err(wrong(1, format!("{value} is '{one}' as well as '{other}'")));
    }
    Ok(table)
}

type Wrong = (u64, String);

fn of_lines(text: &str) -> Result<ClassTable, Wrong> {
    let mut table = ClassTable::default();
    // labelme writes `__ignore__` first, whose number is -1.
    let named = |line: &String| !line.is_empty() && line != "__ignore__";
    for line in text.lines().map(canonical_name).filter(named) {
        table.add(TableClass { name: line, ..TableClass::default() });
    }
    Ok(table)
}

/// Columns of a CSV file.
struct Columns {
    name: usize,
    id: Option<usize>,
    colour: Option<usize>,
    channels: Option<[usize; 3]>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, String> {
        let find = |names: &[&str]| {
            header.iter().position(|column| names.contains(&column.trim().to_lowercase().as_str()))
        };
        let name = find(&["name", "class", "label", "classname"]);
        let name = name.ok_or("its first line has no column 'name'")?;
        let channel = |names| find(names);
        let [red, green, blue] = [channel(&["r", "red"]), channel(&["g", "green"]), channel(&["b", "blue"])];
        let channels = red.zip(green).zip(blue).map(|((red, green), blue)| [red, green, blue]);
        let id = find(&["id", "index", "value", "ids"]);
        Ok(Self { name, id, colour: find(&["colour", "color", "rgb", "hex"]), channels })
    }
}

fn of_csv(text: &str) -> Result<ClassTable, Wrong> {
    let delimiter = [b';', b'\t'].into_iter().find(|&mark| {
        let header = text.lines().next().unwrap_or_default();
        header.as_bytes().contains(&mark)
    });
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .trim(Trim::All)
        .comment(None)
        .from_reader(text.as_bytes());
    let broken = |error: csv::Error| (error.position().map_or(1, csv::Position::line), error.to_string());
    let columns = Columns::of(reader.headers().map_err(broken)?).map_err(|why| (1, why))?;
    let mut table = ClassTable::default();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(1, csv::Position::line);
        table.add(row(&record, &columns).map_err(|why| (line, why))?);
    }
    Ok(table)
}

fn row(record: &StringRecord, columns: &Columns) -> Result<TableClass, String> {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let name = canonical_name(field(columns.name));
    if name.is_empty() {
        return Err("a class has no name".into());
    }
    let number = |text: &str| text.parse().map_err(|_| format!("'{text}' is no number from 0 to 65535"));
    let level = |text: &str| text.parse().map_err(|_| format!("'{text}' is no level from 0 to 255"));
    let mut class = TableClass { name, ..TableClass::default() };
    if let Some(column) = columns.id {
        let ids = field(column).split([' ', '|', '+']).filter(|text| !text.is_empty());
        class.ids = ids.map(number).collect::<Result<_, _>>()?;
    }
    if let Some(channels) = columns.channels {
        let [red, green, blue] = channels.map(|column| level(field(column)));
        class.colours.push([red?, green?, blue?]);
    } else if let Some(text) = columns.colour.map(field).filter(|text| !text.is_empty()) {
        class.colours.push(colour(text)?);
    }
    Ok(class)
}

/// `#rrggbb`, or three levels with anything between them.
fn colour(text: &str) -> Result<[u8; 3], String> {
    let wrong = || format!("'{text}' is no colour such as #8000ff or 128 0 255");
    let text = text.trim();
    if let Some(digits) = text.strip_prefix('#').filter(|digits| digits.len() == 6) {
        let value = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
        return Ok([16, 8, 0].map(|shift| (value >> shift) as u8));
    }
    let levels = text.split(|mark: char| !mark.is_ascii_digit()).filter(|part| !part.is_empty());
    let levels: Vec<u8> = levels.map(|part| part.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    <[u8; 3]>::try_from(levels).map_err(|_| wrong())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlFile {
    class: Vec<TomlClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlClass {
    name: String,
    id: Option<u16>,
    #[serde(default)]
    ids: Vec<u16>,
    #[serde(alias = "color")]
    colour: Option<TomlColour>,
    #[serde(default, alias = "colors")]
    colours: Vec<TomlColour>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TomlColour {
    Text(String),
    Levels([u8; 3]),
}

fn of_toml(text: &str) -> Result<ClassTable, Wrong> {
    let line_of = |start: usize| 1 + text[..start.min(text.len())].matches('\n').count() as u64;
    let file: TomlFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        (line, error.message().to_owned())
    })?;
    let mut table = ClassTable::default();
    for TomlClass { name, id, ids, colour: one, colours } in file.class {
        let colours = one.into_iter().chain(colours).map(|found| match found {
            TomlColour::Text(text) => colour(&text),
            TomlColour::Levels(levels) => Ok(levels),
        });
        let name = canonical_name(&name);
        let ids = id.into_iter().chain(ids).collect();
        let colours =
            colours.collect::<Result<_, _>>().map_err(|why| (1, format!("class '{name}': {why}")))?;
        table.add(TableClass { name, ids, colours });
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segmentation::value::MaskValue;

    #[test]
    fn tables_of_every_form_say_the_same() {
        let csv = "id,name,colour\n1,road,#804080\n2,car,64 0 128\n3,car,64 0 192\n255,Void,0 0 0\n";
        let toml = "[[class]]\nname = 'road'\nid = 1\ncolour = [128, 64, 128]\n[[class]]\nname = 'car'\nids = [2, 3]\n\
                    colours = ['#400080', [64, 0, 192]]\n[[class]]\nname = 'void'\nid = 255\ncolor = '#000000'\n";
        let read = read_class_file("c.csv", csv.as_bytes()).unwrap();
        let same = read_class_file("c.toml", toml.as_bytes()).unwrap();
        assert_eq!((&read.classes, &read.ignored), (&same.classes, &same.ignored));
        assert_eq!(read.names().0, ["road", "car"]);
        assert_eq!(read.classes[1].ids, [2, 3]);
        assert_eq!(read.palette(), [[128, 64, 128], [64, 0, 128]]);
        let labels = read.labels();
        assert_eq!(labels[&MaskValue::Colour([64, 0, 192])], Some(1));
        assert_eq!(labels[&MaskValue::Id(255)], None);
        let camvid = "name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\n";
        assert!(read_class_file("class_dict.csv", camvid.as_bytes()).unwrap().has_colours());
        let lines = read_class_file("classes.txt", b"sky\nroad\n").unwrap().numbered(1);
        assert_eq!(lines.classes[1], TableClass { name: "road".into(), ids: vec![2], colours: vec![] });
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (name, text, expected) in [
            ("c.csv", "id,colour\n", "no column 'name'"),
            ("c.csv", "id,name\n1,a\nx,b\n", "line 3: 'x' is no number"),
            ("c.csv", "name,colour\na,12 13\n", "line 2: '12 13' is no colour"),
            ("c.csv", "id,name\n1,a\n1,b\n", "1 is 'a' as well as 'b'"),
            ("c.csv", "name\nvoid\n", "it names no class"),
            ("c.toml", "[[class]]\nname = 'a'\nnumber = 1\n", "line 3"),
        ] {
            let message = read_class_file(name, text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
