//! Decides what the values of masks mean, and says so.

use convnext_core::{ClassNames, counted};

use crate::datasets::listed::listed;
use crate::pixels::label_map::LabelMap;
use crate::segmentation::class_file::read_class_file;
use crate::segmentation::class_table::{ClassTable, TableClass};
use crate::segmentation::known::KnownData;
use crate::segmentation::learned_classes::LearnedClasses;
use crate::segmentation::palette_check::check_palettes;
use crate::segmentation::refusal::{self, Refusal};
use crate::segmentation::rule::LabelRule;
use crate::segmentation::seen::SeenValues;
use crate::segmentation::table_numbers::with_numbers;
use crate::segmentation::value::MaskValue;

/// Value that borders of objects have by convention, and no class, unless there are higher numbers.
const BORDER: u16 = 255;

/// Numbers without gaps up to this one are levels rather than classes where most pixels are 0 or 255.
const SMOOTHED: u16 = 192;

/// Everything that decides besides the masks.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// A table of classes and its origin.
    pub(crate) table: Option<(ClassTable, String)>,
    pub(crate) known: Option<KnownData>,
    /// Classes of a model, which nothing in the data names.
    pub(crate) model: Option<LearnedClasses>,
    /// Values to ignore.
    pub(crate) ignored: Vec<u16>,
    /// 0 is ignored, and classes begin at 1.
    pub(crate) reduce_zero_label: bool,
    /// The masks are those of full ADE20K by their names.
    pub(crate) full_ade: bool,
    /// The masks are drawn of annotations, so that their numbers are our own.
    pub(crate) are_drawn: bool,
}

/// Classes of masks, and the labels of their values.
#[derive(Debug, PartialEq)]
pub(crate) struct Decided {
    pub(crate) rule: LabelRule,
    pub(crate) classes: ClassNames,
    /// `true` if nothing names the classes, a model neither, so that their names are made of their numbers.
    pub(crate) unnamed: bool,
    /// The numbers of each class, as [`crate::SegmentationData::numbers`].
    pub(crate) numbers: Vec<Vec<u16>>,
    /// A colour of each class, or none.
    pub(crate) palette: Vec<[u8; 3]>,
    /// What was decided, in words.
    pub(crate) decisions: Vec<String>,
}

impl Wishes {
    /// `true` if palettes mean their colours: the table has colours and no numbers.
    pub(crate) fn by_colour(&self) -> bool {
        self.table.as_ref().is_some_and(|(table, _)| table.has_colours() && !table.has_ids())
    }

    /// Decides.
    ///
    /// # Errors
    /// [`Refusal`] with what does not fit.
    pub(crate) fn decide(&self, seen: &SeenValues) -> Result<Decided, Refusal> {
        check_palettes(&seen.palettes, self.table.as_ref())?;
        let mut decisions = Vec::new();
        let has_colours = seen.values.keys().any(|value| matches!(value, MaskValue::Colour(_)));
        let named = self.table.as_ref().is_some_and(|(table, _)| table.has_colours());
        let greys = if has_colours && !named { seen.as_greys() } else { None };
        if has_colours && !named && greys.is_none() {
            return Err(refusal::colours(seen, self.full_ade));
        }
        if greys.is_some() {
            decisions.push("colours whose three channels are equal are read as numbers".to_owned());
        }
        let by_colour = has_colours && greys.is_none();
        let seen = greys.as_ref().unwrap_or(seen);
        let ids = seen.ids();
        if by_colour && !ids.is_empty() {
            return Err(refusal::mixed(seen));
        }
        let unnamed = self.table.is_none() && self.known.is_none() && self.model.is_none();
        let table = self.table(seen, by_colour, &mut decisions)?.without_ignored(&self.ignored);
        let rule = self.rule(&table, seen, by_colour, greys.is_some(), &mut decisions)?;
        match table.classes.len() {
            0 | 1 => Err(refusal::too_few(&table.names(), seen)),
            classes if classes >= usize::from(LabelMap::IGNORED) - 1 => Err(refusal::too_many(classes)),
            _ => {
                let (classes, palette) = (table.names(), table.palette());
                let numbers = if by_colour || self.are_drawn { Vec::new() } else { table.numbers() };
                Ok(Decided { rule, classes, unnamed, numbers, palette, decisions })
            }
        }
    }

    /// The table of the classes: the one that is given, or the known data set's, or one made of what the masks hold.
    fn table(
        &self,
        seen: &SeenValues,
        by_colour: bool,
        decisions: &mut Vec<String>,
    ) -> Result<ClassTable, Refusal> {
        let first = u16::from(self.reduce_zero_label);
        if let Some((table, source)) = &self.table {
            let classes = counted(table.classes.len(), "class", "classes");
            if by_colour {
                self.check_colours(table, source)?;
                decisions.push(format!("{classes} by their colours, from {source}"));
                return Ok(table.clone());
            }
            if table.has_ids() {
                if self.reduce_zero_label {
                    return Err(refusal::reduced_table(source));
                }
                decisions.push(format!("{classes} by their numbers, from {source}"));
                return Ok(table.clone());
            }
            let (table, order) = with_numbers(table, &self.without_ignored(seen), first);
            decisions.push(format!("{classes} from {source}, {order}"));
            return Ok(table);
        }
        match self.known {
            Some(known) => self.known_table(known, seen, decisions),
            None => self.made_table(seen, first, decisions),
        }
    }

    /// Refuses what makes no sense where colours are the classes.
    fn check_colours(&self, table: &ClassTable, source: &str) -> Result<(), Refusal> {
        if let Some((colour, names)) = table.repeated_colour() {
            return Err(refusal::repeated_colour(source, MaskValue::Colour(colour), names));
        }
        match (self.ignored.is_empty(), self.reduce_zero_label) {
            (false, _) => Err(refusal::colours_without_numbers("--ignore-index")),
            (true, true) => Err(refusal::colours_without_numbers("--reduce-zero-label")),
            (true, false) => Ok(()),
        }
    }

    /// The numbers that are not to be ignored, sorted.
    fn without_ignored(&self, seen: &SeenValues) -> Vec<u16> {
        seen.ids().into_iter().filter(|id| !self.ignored.contains(id)).collect()
    }

    fn known_table(
        &self,
        known: KnownData,
        seen: &SeenValues,
        decisions: &mut Vec<String>,
    ) -> Result<ClassTable, Refusal> {
        let table = read_class_file(known.name(), known.table().as_bytes()).unwrap_or_default();
        let table = known.with_ids_of_files(table);
        let classes = table.classes.len();
        decisions.push(format!("{classes} classes of {}, by its paths", known.name()));
        if known != KnownData::Ade20k {
            return Ok(table);
        }
        // Masks as they come have no 255; tools that take 1 from every number write it in the place of 0.
        let is_reduced = seen.values.contains_key(&MaskValue::Id(BORDER));
        match (is_reduced, self.reduce_zero_label) {
            (true, true) => Err(refusal::reduced_twice()),
            (true, false) => {
                decisions.push("the masks hold 255, so 1 was taken from their numbers already".into());
                Ok(table.numbered(0))
            }
            (false, _) => {
                decisions.push("0 is none of the classes and ignored".into());
                Ok(ClassTable { ignored: vec![MaskValue::Id(0)], ..table })
            }
        }
    }

    /// A class for each number up to the highest one.
    fn made_table(
        &self,
        seen: &SeenValues,
        first: u16,
        decisions: &mut Vec<String>,
    ) -> Result<ClassTable, Refusal> {
        let ids = self.without_ignored(seen);
        if let Some(model) = &self.model {
            let (table, order) = model.table(&ids, first);
            let classes = counted(model.names.len(), "class", "classes");
            decisions.push(format!("{classes} of the model, {order}"));
            return Ok(table);
        }
        if ids == [0, BORDER] && first == 0 {
            decisions.push(format!(
                "masks of 0 and 255: two classes, of which 255 ({:.2} % of the pixels) is the second",
                seen.percent(MaskValue::Id(BORDER))
            ));
            return Ok(of_numbers([("background".to_owned(), 0), ("foreground".to_owned(), BORDER)]));
        }
        let goes_on = ids.last().is_some_and(|&last| last > BORDER);
        let is_class = |&id: &u16| (id != BORDER || goes_on) && id >= first;
        let classes: Vec<u16> = ids.into_iter().filter(is_class).collect();
        let Some(&last) = classes.last() else {
            return Err(refusal::too_few(&ClassNames::default(), seen));
        };
        let all: Vec<u16> = (first..=last).filter(|id| !self.ignored.contains(id)).collect();
        let absent: Vec<u16> = all.iter().copied().filter(|id| !classes.contains(id)).collect();
        check_order(&classes, absent.len(), seen)?;
        decisions.push(format!(
            "{} by the numbers that the masks hold, {first} to {last}",
            counted(all.len(), "class", "classes")
        ));
        if classes.contains(&BORDER) {
            decisions.push(format!(
                "{BORDER} is a class, because there are higher numbers; --ignore-index {BORDER} ignores it"
            ));
        }
        if !absent.is_empty() {
            let hint = if absent == [0] { "; if classes begin at 1, say --reduce-zero-label" } else { "" };
            decisions.push(format!("no pixel has the number {}{hint}", listed(&absent)));
        }
        Ok(of_numbers(all.into_iter().map(|id| (format!("class_{id}"), id))))
    }

    /// The labels of all values, with those that are ignored.
    fn rule(
        &self,
        table: &ClassTable,
        seen: &SeenValues,
        by_colour: bool,
        greys: bool,
        decisions: &mut Vec<String>,
    ) -> Result<LabelRule, Refusal> {
        let mut labels = table.labels();
        let mut ignore = |value: MaskValue| labels.insert(value, None).is_none();
        self.ignored.iter().for_each(|&id| {
            ignore(MaskValue::Id(id));
        });
        if self.reduce_zero_label {
            ignore(MaskValue::Id(0));
        }
        if self.known == Some(KnownData::CityscapesIds) {
            (0..=33).filter(|id| !table.classes.iter().any(|class| class.ids.contains(id))).for_each(|id| {
                ignore(MaskValue::Id(id));
            });
        }
        let border = MaskValue::Id(BORDER);
        if !by_colour && !labels.contains_key(&border) {
            labels.insert(border, None);
        }
        let ignored: Vec<String> = (seen.values.keys())
            .filter(|value| labels.get(value) == Some(&None))
            .map(|&value| format!("{value} ({:.2} % of the pixels)", seen.percent(value)))
            .collect();
        if !ignored.is_empty() {
            decisions.push(format!("ignored: {}", ignored.join(", ")));
        }
        let unknown: Vec<MaskValue> =
            seen.values.keys().copied().filter(|value| !labels.contains_key(value)).collect();
        if !unknown.is_empty() || seen.others > 0 {
            return Err(refusal::unknown(&unknown, seen, table.classes.len()));
        }
        Ok(LabelRule::new(labels, by_colour, greys))
    }
}

/// Refuses numbers that are no classes in order: levels between black and white, or with most of them absent.
fn check_order(ids: &[u16], absent: usize, seen: &SeenValues) -> Result<(), Refusal> {
    let has_gaps = absent > ids.len();
    let are_high = ids.last().is_some_and(|&last| last >= SMOOTHED);
    match (seen.is_smoothed() && (has_gaps || are_high), has_gaps) {
        (true, _) => Err(refusal::smoothed(ids)),
        (false, true) => Err(refusal::gaps(ids)),
        (false, false) => Ok(()),
    }
}

/// Classes by name and number.
fn of_numbers(classes: impl IntoIterator<Item = (String, u16)>) -> ClassTable {
    let class = |(name, id)| TableClass { name, ids: vec![id], ..TableClass::default() };
    ClassTable { classes: classes.into_iter().map(class).collect(), ..ClassTable::default() }
}

#[cfg(test)]
mod tests;
