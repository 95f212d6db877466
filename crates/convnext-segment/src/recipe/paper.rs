//! Choice of the paper's row for a segmentation (Table 7; appendix A.4).

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
    let (size, of_22k) = (ModelSize::of_paper(context.model), is_of_22k(context.init_from));
    let row = match (size.map(|size| (size.family, size.name_in_family())), context.init_from) {
        (Some((Family::V1, name)), _) => format!("paper-ade20k-v1-{name}"),
        (Some((Family::V2, "tiny")), _) => "ade20k-tiny".to_owned(),
        (Some((Family::V2, name)), _) if of_22k => format!("paper-ade20k-{name}-22k"),
        (Some((Family::V2, name)), _) => format!("paper-ade20k-{name}"),
        (None, _) => String::new(),
    };
    if names.any(|known| known == row) {
        return Ok(row);
    }
    let why = format!(
        "the paper segments with base, large, huge, v1-base and v1-large, not with {} {}; name one of its rows, or leave \
         --recipe out: the default suits any model and data",
        context.model.name, context.init_from
    );
    Err(TrainError::Recipe { name: "paper".to_owned(), why })
}

/// With at least so many classes, weights are taken for those of ImageNet-22K.
const CLASSES_OF_22K: usize = 20_000;

fn is_of_22k(init_from: InitFrom) -> bool {
    matches!(init_from, InitFrom::Classifier { classes } if classes >= CLASSES_OF_22K)
}
