//! Choice of the paper's row for a training.

use convnext_core::{Family, ImageSize, ModelConfig, ModelSize};

use super::init_from::InitFrom;
use super::input::USUAL_SIZE;
use super::reading::{FINETUNING, PRETRAINING, names, recipe_error};
use super::recipe_context::RecipeContext;
use crate::error::TrainError;

/// The choice that asks for the row that fits.
pub(super) const PAPER: &str = "paper";

/// With at least so many classes, data is taken for ImageNet-22K, which has 21,841.
const CLASSES_OF_22K: usize = 20_000;

/// The name of the recipe for the row of Tables 9 to 13 (and of V1's release, which the paper compares with) that
/// trains this model from these initial weights on so many classes at this size, if one was asked for.
///
/// # Errors
/// [`TrainError::Recipe`] when the paper has no such row, with the rows that it has for the model.
pub(super) fn finetuning_row(
    context: &RecipeContext<'_>,
    image_size: Option<ImageSize>,
) -> Result<String, TrainError> {
    let size = image_size.unwrap_or(USUAL_SIZE);
    let Some(model) = ModelSize::of_paper(context.model) else {
        let why = format!("'{}' is no model of the paper; {ADVICE}", context.model.name);
        return Err(recipe_error(PAPER, why));
    };
    let name = model.name_in_family();
    let many = context.class_sizes.len() >= CLASSES_OF_22K;
    let of_22k = matches!(context.init_from, InitFrom::Classifier { classes } if classes >= CLASSES_OF_22K);
    let at_224 = |row: String| if size == USUAL_SIZE { row } else { format!("{row}-{size}") };
    let row = match (model.family, context.init_from) {
        (Family::V2, InitFrom::Scratch) => at_224(format!("paper-v2-supervised-{name}")),
        (Family::V2, InitFrom::Pretrained) if many => at_224(format!("paper-22k-{name}")),
        (Family::V2, InitFrom::Pretrained) => at_224(format!("paper-{name}")),
        (Family::V1, InitFrom::Scratch) if many => at_224(format!("paper-v1-22k-{name}")),
        (Family::V1, InitFrom::Scratch) => at_224(format!("paper-v1-{name}")),
        (Family::V2, InitFrom::Classifier { .. }) if of_22k => format!("paper-22k-to-1k-{name}-{size}"),
        (Family::V1, InitFrom::Classifier { .. }) if of_22k => format!("paper-v1-22k-to-1k-{name}-{size}"),
        (Family::V1, InitFrom::Classifier { .. }) => format!("paper-v1-{name}-{size}"),
        (Family::V1, InitFrom::Pretrained) | (Family::V2, InitFrom::Classifier { .. }) => String::new(),
    };
    if names(FINETUNING).any(|known| known == row) {
        return Ok(row);
    }
    Err(no_row(context, model, size))
}

/// Advice where the paper has no row.
const ADVICE: &str = "name one of them, or leave --recipe out: the default suits any model and data";

/// The refusal of a training that the paper has no row for, with the rows that it has for the model.
fn no_row(context: &RecipeContext<'_>, model: &ModelSize, size: ImageSize) -> TrainError {
    let name = model.name_in_family();
    let of_model = |row: &&str| match model.family {
        Family::V1 => row.starts_with("paper-v1-") && row.split('-').any(|part| part == name),
        Family::V2 => !row.starts_with("paper-v1-") && row.split('-').any(|part| part == name),
    };
    let rows: Vec<&str> = names(FINETUNING).filter(of_model).collect();
    let rows = if rows.is_empty() { "none".to_owned() } else { rows.join(", ") };
    recipe_error(
        PAPER,
        format!(
            "the paper has no row for {} {} on {} classes at {}; for this model it has: {rows}; {ADVICE}",
            model.name,
            context.init_from,
            context.class_sizes.len(),
            size.with_unit()
        ),
    )
}

/// The claim of a recipe that was chosen so and is this row: not the row's own where the model's blocks are not those of its
/// size, whose result it claims.
pub(super) fn claim_for([choice, row]: [&str; 2], claim: String, model: &ModelConfig) -> String {
    let is_row = choice == PAPER || row.starts_with(PAPER);
    match model.block_differences().filter(|_| is_row) {
        Some(differences) => format!("As {row}, with {differences}."),
        None => claim,
    }
}

/// The name of the recipe for pre-training at this size (Table 8).
///
/// # Errors
/// [`TrainError::Recipe`] for other sizes than 224 and 384.
pub(super) fn pretraining_row(image_size: Option<ImageSize>) -> Result<String, TrainError> {
    let size = image_size.unwrap_or(USUAL_SIZE);
    let row = if size == USUAL_SIZE { PAPER.to_owned() } else { format!("{PAPER}-{size}") };
    match names(PRETRAINING).any(|known| known == row) {
        true => Ok(row),
        false => Err(recipe_error(PAPER, format!("the paper pre-trains at 224 and 384 px, not at {size}"))),
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{ResponseNorm, find_model};

    use super::*;
    use crate::recipe::finetune_recipe::FinetuneRecipe;
    use crate::recipe::given::Given;
    use crate::recipe::pretrain_recipe::PretrainRecipe;

    fn row(
        model: &str,
        init_from: InitFrom,
        classes: usize,
        image_size: Option<ImageSize>,
    ) -> Result<String, String> {
        let model = find_model(model).unwrap().config();
        let class_sizes = vec![10; classes];
        let images = 10 * classes;
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images, class_sizes: &class_sizes };
        finetuning_row(&context, image_size).map_err(|error| error.to_string())
    }

    #[test]
    fn other_blocks_have_the_row_of_their_size_and_no_claim_to_its_result() {
        use ResponseNorm as R;
        let class_sizes = vec![10; 1000];
        for (name, response_norm, row, words) in [
            ("base", None, "paper-base", "nothing in the place of GRN"),
            ("base", Some(R::Lrn), "paper-base", "local response normalisation in the place of GRN"),
            ("base", Some(R::Se), "paper-base", "squeeze and excite in the place of GRN"),
            ("v1-base", Some(R::Grn), "paper-v1-base", "GRN after the GELU"),
        ] {
            let model = ModelConfig { response_norm, ..find_model(name).unwrap().config() };
            let init_from = if name == "base" { InitFrom::Pretrained } else { InitFrom::Scratch };
            let context = RecipeContext {
                model: &model,
                init_from,
                head_only: false,
                images: 10_000,
                class_sizes: &class_sizes,
            };
            assert_eq!(finetuning_row(&context, None).unwrap(), row);
            let found = FinetuneRecipe::choose(PAPER, &Given::default(), &context).unwrap();
            let of_row = FinetuneRecipe::load(row, &[], init_from).unwrap();
            assert_eq!(found.claim, format!("As {row}, with {words}."));
            assert_eq!(FinetuneRecipe { claim: of_row.claim.clone(), ..found }, of_row);
            let found = PretrainRecipe::choose(PAPER, &Given::default(), &context).unwrap();
            assert_eq!(found.claim, format!("As paper, with {words}."));
            let plain = RecipeContext { model: &find_model(name).unwrap().config(), ..context };
            assert_eq!(FinetuneRecipe::choose(PAPER, &Given::default(), &plain).unwrap(), of_row);
        }
    }

    const OF_22K: InitFrom = InitFrom::Classifier { classes: 21_841 };

    #[test]
    fn every_row_is_chosen_by_what_it_trains() {
        for (model, init_from, classes, size, expected) in [
            ("atto", InitFrom::Pretrained, 1000, None, "paper-atto"),
            ("huge", InitFrom::Pretrained, 10, Some(224), "paper-huge"),
            ("nano", InitFrom::Pretrained, 21_841, None, "paper-22k-nano"),
            ("huge", InitFrom::Pretrained, 21_841, Some(384), "paper-22k-huge-384"),
            ("large", OF_22K, 1000, Some(384), "paper-22k-to-1k-large-384"),
            ("huge", OF_22K, 1000, Some(512), "paper-22k-to-1k-huge-512"),
            ("pico", InitFrom::Scratch, 1000, None, "paper-v2-supervised-pico"),
            ("v1-small", InitFrom::Scratch, 1000, None, "paper-v1-small"),
            ("v1-xlarge", InitFrom::Scratch, 21_841, None, "paper-v1-22k-xlarge"),
            ("v1-base", OF_22K, 1000, Some(224), "paper-v1-22k-to-1k-base-224"),
            ("v1-base", InitFrom::Classifier { classes: 1000 }, 1000, Some(384), "paper-v1-base-384"),
        ] {
            let size = size.map(ImageSize::square);
            assert_eq!(row(model, init_from, classes, size).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_the_paper_does_not_have_is_refused_with_what_it_has() {
        for (model, init_from, size, expected) in [
            ("huge", OF_22K, Some(224), "paper-22k-to-1k-huge-384, paper-22k-to-1k-huge-512"),
            ("atto", OF_22K, Some(224), "it has: paper-atto, paper-v2-supervised-atto"),
            ("atto", InitFrom::Pretrained, Some(160), "at 160 px"),
            ("huge", InitFrom::Scratch, None, "from scratch"),
            ("micro", InitFrom::Scratch, None, "'micro' is no model of the paper"),
            ("v1-pico", InitFrom::Scratch, None, "it has: none"),
        ] {
            let message = row(model, init_from, 1000, size.map(ImageSize::square)).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(pretraining_row(Some(384.into())).unwrap(), "paper-384");
        assert!(pretraining_row(Some(256.into())).unwrap_err().to_string().contains("not at 256"));
        let wide = Some(ImageSize::from([224, 320]));
        assert!(pretraining_row(wide).unwrap_err().to_string().contains("not at 224x320"));
        assert!(row("atto", InitFrom::Pretrained, 1000, wide).unwrap_err().contains("at 224 x 320 px"));
    }
}
