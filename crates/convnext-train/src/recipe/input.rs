//! Images that the network gets.

use convnext_core::ImageSize;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Size of images that nobody says anything about.
pub(crate) const USUAL_SIZE: ImageSize = ImageSize::square(224);

/// Images that the network gets, in every kind of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRecipe {
    /// Image size, a side in pixels or `[height, width]`; a recipe that states none suits any.
    pub image_size: ImageSize,
}

impl InputRecipe {
    /// Key of the image size in a recipe.
    pub const IMAGE_SIZE: &'static str = "input.image_size";
}

impl Default for InputRecipe {
    fn default() -> Self {
        Self { image_size: USUAL_SIZE }
    }
}

/// Tables that held the image size in earlier versions.
const EARLIER_TABLES: [&str; 2] = ["masking", "regularization"];

/// Brings a recipe of any version into today's words: the image size had other places, and deviations another name.
pub(crate) fn rename_recipe(recipe: &mut Table) {
    move_image_size(recipe);
    if let Some(deviations) = recipe.remove("departures") {
        recipe.insert("deviations".to_owned(), deviations);
    }
}

/// Moves an image size from where earlier versions had it to `[input]`, unless one is there.
fn move_image_size(recipe: &mut Table) {
    for table in EARLIER_TABLES {
        let Some(table) = recipe.get_mut(table).and_then(Value::as_table_mut) else { continue };
        let Some(size) = table.remove("image_size") else { continue };
        let input = recipe.entry("input").or_insert_with(|| Value::Table(Table::new()));
        if let Some(input) = input.as_table_mut() {
            input.entry("image_size").or_insert(size);
        }
    }
}

/// Today's key for one of any version: `masking.image_size` is `input.image_size` now.
pub(crate) fn key_of_today(key: &str) -> &str {
    let is_earlier = key
        .split_once('.')
        .is_some_and(|(table, last)| last == "image_size" && EARLIER_TABLES.contains(&table));
    if is_earlier { InputRecipe::IMAGE_SIZE } else { key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_earlier_versions_is_found() {
        let mut old: Table = toml::from_str("[masking]\nratio = 0.6\nimage_size = [64, 96]").unwrap();
        move_image_size(&mut old);
        let new: Table = toml::from_str("[masking]\nratio = 0.6\n[input]\nimage_size = [64, 96]").unwrap();
        assert_eq!(old, new);
        move_image_size(&mut old);
        assert_eq!(old, new);
    }

    #[test]
    fn only_the_image_size_has_another_key_now() {
        assert_eq!(key_of_today("regularization.image_size"), "input.image_size");
        assert_eq!(key_of_today("masking.ratio"), "masking.ratio");
        assert_eq!(key_of_today("image_size"), "image_size");
    }
}
