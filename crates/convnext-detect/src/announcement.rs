//! What a detection training says before it begins.

use convnext_core::{DetectorRules, counted};
use convnext_data::{DetectionData, Orientation};

use crate::detect_job::DetectJob;

/// The network, what it learns from and how, in words; `images` were there before they became tiles.
pub(crate) fn announcement(job: &DetectJob, data: &DetectionData, images: usize, steps: &str) -> String {
    let DetectJob { model, head, recipe, .. } = job;
    let objects: u64 = data.train.objects_per_class().iter().sum();
    let learned = data.train.len();
    let in_images = match learned == images {
        true => counted(images, "image", "images"),
        false => format!("{learned} tiles of {}", counted(images, "image", "images")),
    };
    format!(
        "training {} with {} of {} channels {} to find {} of {} in {in_images} ({} for validation), images of at most {}: \
         {steps}{}",
        model.name,
        if head.masks { "Mask R-CNN" } else { "Faster R-CNN" },
        head.head_width,
        if job.run.is_from_weights() { "from weights" } else { "from scratch" },
        counted(objects as usize, "object", "objects"),
        counted(model.classes, "class", "classes"),
        data.validation.len(),
        recipe.input.image_size.with_unit(),
        remarks(job, data, objects as usize),
    )
}

/// What there is to say of the objects and of how they are looked for, a line each.
fn remarks(job: &DetectJob, data: &DetectionData, objects: usize) -> String {
    let mut lines: Vec<String> =
        data.decisions.iter().map(|decision| format!("objects: {decision}")).collect();
    if data.train.orientation() == Orientation::Ignore {
        lines.push(
            "objects: detect needs --ignore-orientation, so that it sees images as they were learned"
                .to_owned(),
        );
    }
    let without = objects - data.train.objects_with_masks();
    if job.head.masks && without > 0 {
        lines.push(format!("objects: {without} have no mask and are learned by their boxes alone"));
    }
    if let Some(side) = job.recipe.augmentation.tile {
        lines.push(format!(
            "tiles: validation looks at tiles of {side} px as well as at whole images, and so do evaluate and detect"
        ));
    }
    if job.head.rules == DetectorRules::Torchvision {
        lines.push(
            "rules: anchors, regions and masks are torchvision's as in the weights to start from; targets and losses are \
             MMDetection's; neither ONNX nor files of other programs can hold what comes out"
                .to_owned(),
        );
    }
    lines.iter().map(|line| format!("\n  {line}")).collect()
}
