//! Reasons why masks cannot be used as they are, with the remedy.

use convnext_core::ClassNames;

use crate::datasets::listed::listed;
use crate::segmentation::palettes::DifferingIndex;
use crate::segmentation::seen::SeenValues;
use crate::segmentation::value::MaskValue;

/// A reason and a remedy, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) found: String,
    pub(crate) advice: String,
    /// Position of a mask that shows it.
    pub(crate) example: Option<usize>,
}

fn refusal(found: String, advice: &str, example: Option<usize>) -> Refusal {
    Refusal { found, advice: advice.to_owned(), example }
}

fn first_of(seen: &SeenValues, value: Option<&MaskValue>) -> Option<usize> {
    value.and_then(|value| seen.values.get(value)).map(|seen| seen.first)
}

/// Colours that nothing names.
pub(super) fn colours(seen: &SeenValues, full_ade: bool) -> Refusal {
    let values: Vec<MaskValue> = seen.values.keys().copied().collect();
    let example = first_of(seen, values.iter().find(|value| value.grey().is_none()));
    if full_ade {
        let advice = "take the SceneParsing benchmark (ADEChallengeData2016), whose masks have one channel and 150 classes";
        let found = "they are those of full ADE20K, whose colours hold 3000 classes and instances";
        return refusal(found.into(), advice, example);
    }
    let count = if seen.others > 0 { "thousands of".to_owned() } else { values.len().to_string() };
    refusal(
        format!("they have {count} colours and nothing says what they mean: {}", listed(&values)),
        "name the classes and their colours with --classes FILE, a CSV file with the columns name, r, g, b",
        example,
    )
}

/// Masks of numbers and of colours.
pub(super) fn mixed(seen: &SeenValues) -> Refusal {
    let is_colour = |value: &&MaskValue| matches!(value, MaskValue::Colour(_));
    let example = first_of(seen, seen.values.keys().find(is_colour));
    refusal("some hold numbers and some colours".into(), "save all of them one way", example)
}

/// A colour of two classes.
pub(super) fn repeated_colour(source: &str, colour: MaskValue, [one, other]: [&str; 2]) -> Refusal {
    let found = format!("they have colours, and in {source} {colour} is '{one}' as well as '{other}'");
    refusal(found, "give each class a colour of its own, or those that are one class the same name", None)
}

/// An option about numbers for masks of colours.
pub(super) fn colours_without_numbers(option: &str) -> Refusal {
    let found = format!("they have colours and no numbers, of which {option} speaks");
    let advice = format!("leave out {option}; colours under the name void are ignored");
    refusal(found, &advice, None)
}

/// What helps where indices of palettes are no numbers of classes.
const BY_COLOUR: &str = "give --classes FILE with the columns name, r, g, b and no id, so that the colours decide; where the \
                         indices are right in spite of that, save the masks as greyscale";

/// An index of palettes with two colours.
pub(super) fn differing_palettes(differing: &DifferingIndex) -> Refusal {
    let DifferingIndex { index, colours, masks } = *differing;
    let [one, other] = colours.map(MaskValue::Colour);
    let found = format!("their palettes differ: {index} is {one} in one mask and {other} in another");
    refusal(found, BY_COLOUR, Some(masks[1]))
}

/// An index of palettes whose colour is that of another class of the table.
pub(super) fn contradicted_table(
    source: &str,
    (index, colour): (u16, [u8; 3]),
    [one, other]: [&str; 2],
    mask: usize,
) -> Refusal {
    let colour = MaskValue::Colour(colour);
    let found = format!(
        "the colour of {index} in the palette is {colour}, and in {source} {index} is '{one}' but {colour} is '{other}'"
    );
    refusal(found, BY_COLOUR, Some(mask))
}

/// A table whose numbers are those of the files already.
pub(super) fn reduced_table(source: &str) -> Refusal {
    let advice = "leave out --reduce-zero-label; a number that is no class needs no row but --ignore-index";
    refusal(format!("{source} says which number is which class, so none can be taken away"), advice, None)
}

/// A zero label that was reduced before.
pub(super) fn reduced_twice() -> Refusal {
    let found = "they hold 255, so 1 was taken from their numbers already";
    refusal(found.into(), "leave out --reduce-zero-label", None)
}

/// Fewer than two classes.
pub(super) fn too_few(classes: &ClassNames, seen: &SeenValues) -> Refusal {
    let values: Vec<MaskValue> = seen.values.keys().copied().collect();
    refusal(
        format!(
            "they leave {} class(es), and at least two are needed: the values found are {}",
            classes.len(),
            listed(&values)
        ),
        "say with --classes FILE which value is which class, and ignore fewer",
        None,
    )
}

/// More classes than labels.
pub(super) fn too_many(classes: usize) -> Refusal {
    refusal(format!("{classes} classes are more than 65533"), "are these numbers of instances?", None)
}

/// Masks that were black and white.
pub(super) fn smoothed(ids: &[u16]) -> Refusal {
    let levels = listed(ids);
    refusal(
        format!("they are black and white with values between, as smoothing and JPEG leave them: {levels}"),
        "save masks of 0 and 255 alone",
        None,
    )
}

/// Numbers far apart.
pub(super) fn gaps(ids: &[u16]) -> Refusal {
    let words = match ids.last() {
        Some(&last) if last > 1000 => "; numbers as high as these count instances",
        _ => "",
    };
    refusal(
        format!(
            "most of the numbers up to the highest are missing, so they are no classes in order: {}{words}",
            listed(ids)
        ),
        "say with --classes FILE (CSV with the columns id and name) which number is which class",
        None,
    )
}

/// Values that no class has.
pub(super) fn unknown(values: &[MaskValue], seen: &SeenValues, classes: usize) -> Refusal {
    let pixels: u64 = values.iter().map(|value| seen.values[value].pixels).sum::<u64>() + seen.others;
    let share = 100.0 * pixels as f64 / seen.pixels.max(1) as f64;
    let example = first_of(seen, values.first());
    let is_colour = values.iter().any(|value| matches!(value, MaskValue::Colour(_)));
    let many = if seen.others > 0 { " and thousands more" } else { "" };
    let found = format!(
        "values that are none of the {classes} classes: {}{many}, {share:.2} % of the pixels",
        listed(values)
    );
    let advice = match is_colour {
        true => {
            "add their colours to the table, under the name void to ignore them; colours between two others come from \
                 smoothed borders: save masks without smoothing and without JPEG"
        }
        false => "add them to the table, or ignore them with --ignore-index N",
    };
    refusal(found, advice, example)
}
