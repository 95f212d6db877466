//! `config.json`, of timm or transformers.

use convnext_core::{ClassNames, Interpolation};
use serde::Deserialize;

use super::computation::Computation;
use super::forms::{Labels, Numbers, Size};
use super::settings::{PackageConfig, PackageCrop};

/// transformers' `problem_type` of a softmax.
const SINGLE_LABEL: &str = "single_label_classification";

/// `config.json`, of either program.
#[derive(Deserialize)]
pub(super) struct Description {
    // timm's, with what it says about the weights either nested or, as in old files, beside the rest.
    pretrained_cfg: Option<TimmConfig>,
    #[serde(flatten)]
    plain: TimmConfig,
    #[serde(flatten)]
    computation: Computation,
    // Those of transformers.
    image_size: Option<Size>,
    id2label: Option<Labels>,
    /// Activation by which its pipelines make probabilities of logits.
    problem_type: Option<String>,
}

/// timm's `pretrained_cfg`.
#[derive(Default, Deserialize)]
struct TimmConfig {
    /// Channels, height, width.
    input_size: Option<[usize; 3]>,
    crop_pct: Option<f64>,
    crop_mode: Option<String>,
    interpolation: Option<String>,
    mean: Option<Numbers>,
    std: Option<Numbers>,
    num_classes: Option<usize>,
    label_names: Option<Labels>,
    license: Option<String>,
}

impl Description {
    pub(super) fn into_config(self) -> PackageConfig {
        let Self { pretrained_cfg, plain, computation, image_size, id2label, problem_type } = self;
        let timm = pretrained_cfg.unwrap_or_default();
        let input =
            timm.input_size.or(plain.input_size).map(|[_, height, width]| Size::Sides([height, width]));
        let mut remarks = computation.remarks();
        if problem_type.as_deref().is_some_and(|problem| problem != SINGLE_LABEL) {
            let problem = problem_type.unwrap_or_default();
            remarks.push(format!(
                "problem_type is {problem}, but weights of other programs are taken for classifiers of one class an image: \
                 take logits, not probabilities"
            ));
        }
        let mode = timm.crop_mode.or(plain.crop_mode);
        let crop = crop(mode.as_deref(), timm.crop_pct.or(plain.crop_pct), &mut remarks);
        let filter = timm.interpolation.or(plain.interpolation);
        let interpolation = filter.and_then(|name| interpolation(&name, &mut remarks));
        let labels = plain.label_names.or(timm.label_names).or(id2label).filter(|labels| !labels.is_empty());
        let class_names = labels.map(|labels| ClassNames(labels.in_order().unwrap_or_default()));
        let counted = class_names.as_ref().map(ClassNames::len).filter(|&count| count > 0);
        if class_names.is_some() && counted.is_none() {
            remarks.push("the names of classes are not used: their numbers do not go from 0 on".to_owned());
        }
        let classes = plain.num_classes.or(timm.num_classes);
        PackageConfig {
            image_size: input.or(image_size).map(Size::sides),
            crop,
            mean: timm.mean.or(plain.mean).map(Numbers::into_list),
            std: timm.std.or(plain.std).map(Numbers::into_list),
            interpolation,
            classes: classes.or(counted),
            class_names,
            licence: timm.license.or(plain.license),
            remarks,
        }
    }
}

/// timm's modes (`create_transform`): cutting out the centre, warping, and filling up to a square.
fn crop(mode: Option<&str>, share: Option<f64>, remarks: &mut Vec<String>) -> Option<PackageCrop> {
    match mode {
        None | Some("center") => share.map(PackageCrop::Centre),
        Some("squash") => {
            if let Some(share) = share.filter(|&share| share != 1.0) {
                remarks.push(format!("crop_pct is {share} with crop_mode squash: the whole image is warped"));
            }
            Some(PackageCrop::Whole)
        }
        Some(other) => {
            remarks.push(format!("crop_mode {other} is not supported: the centre is cut out"));
            share.map(PackageCrop::Centre)
        }
    }
}

fn interpolation(name: &str, remarks: &mut Vec<String>) -> Option<Interpolation> {
    let found = Interpolation::PILLOW.into_iter().find(|filter| filter.name() == name);
    if found.is_none() {
        remarks.push(format!("interpolation {name} is not supported: images are resized bicubic"));
    }
    found
}
