//! Choice of the paper's row for a detection (Table 6; appendix A.3).

use convnext_core::{Family, ModelSize};
use convnext_train::{InitFrom, RecipeContext, TrainError};

/// The name of the recipe for the row that trains this backbone from these weights, among those that there are.
///
/// # Errors
/// [`TrainError::Recipe`] when the paper has no such row.
pub(super) fn row(
    context: &RecipeContext<'_>,
    mut names: impl Iterator<Item = &'static str>,
) -> Result<String, TrainError> {
    let size = ModelSize::of_paper(context.model);
    let is_supervised = matches!(context.init_from, InitFrom::Classifier { .. });
    let row = match size.map(|size| (size.family, size.name_in_family())) {
        Some((Family::V1, name)) => format!("paper-coco-v1-{name}"),
        Some((Family::V2, "tiny")) => "coco-tiny".to_owned(),
        Some((Family::V2, name)) if is_supervised => format!("paper-coco-v2-supervised-{name}"),
        Some((Family::V2, name)) => format!("paper-coco-{name}"),
        None => String::new(),
    };
    if names.any(|known| known == row) {
        return Ok(row);
    }
    let why = format!(
        "the paper detects with base, large, huge, v1-base and v1-large, not with {} {}; name one of its rows, or leave \
         --recipe out: the default suits any model and data",
        context.model.name, context.init_from
    );
    Err(TrainError::Recipe { name: "paper".to_owned(), why })
}
