//! Preprocessing of a foreign model that nothing beside its file describes.

use std::path::Path;

use convnext_core::{
    ClassificationTask, DetectionTask, Fit, Geometry, ImageSize, Interpolation, ModelConfig, Preprocessing,
    SegmentationTask, WeightMetadata, imagenet_mean,
};

use super::dialect::Dialect;

/// Parts of the names of official files that tell the size of the images (docs/facts.md, "Released files").
const SIZES: [(&str, usize); 3] = [("224", 224), ("384", 384), ("512", 512)];

/// Part of the names of segmentation networks that were trained on larger crops than 512 pixels, and what their images
/// are resized to (docs/facts.md, "F. Segmentation").
const LARGER_CROPS: (&str, Fit) = ("640x640", Fit { long: 2560, short: 640, pad: 1 });

/// To what torchvision resizes the shorter side of images, of which its weights take the centre of [`TORCHVISION_CROP`]
/// pixels (`ConvNeXt_Tiny_Weights.IMAGENET1K_V1` and the others, whose filter is bilinear).
const TORCHVISION_RESIZES: [(&str, usize); 4] =
    [("v1-tiny", 236), ("v1-small", 230), ("v1-base", 232), ("v1-large", 232)];
const TORCHVISION_CROP: usize = 224;

/// The metadata with the usual preprocessing of files under such names, and what there is to say about it: that a classifier's
/// is a guess, or anything's for which other words were found that are not followed (`is_asked`).
pub(super) fn complete(
    path: &Path,
    metadata: WeightMetadata,
    dialect: Dialect,
    is_asked: bool,
) -> (WeightMetadata, Option<String>) {
    let is_classifier = metadata.task.is::<ClassificationTask>();
    let has_crops = metadata.task.is::<SegmentationTask>() || metadata.task.is::<DetectionTask>();
    let told = by_name(path, &metadata).filter(|_| !has_crops);
    let is_told = told.is_some();
    let of_torchvision =
        || torchvision(&metadata).filter(|_| is_classifier && dialect == Dialect::Torchvision);
    let preprocessing = told
        .or_else(of_torchvision)
        .or_else(|| larger_crops(path, &metadata))
        .unwrap_or_else(|| metadata.preprocessing.clone());
    let is_guess = is_classifier && metadata.class_count() > 0 && !is_told;
    let remark = (is_guess || is_asked).then(|| {
        let statistics = match preprocessing.mean == imagenet_mean(preprocessing.channels()) {
            true => "the statistics of ImageNet".to_owned(),
            false => format!("mean {:?} and standard deviation {:?}", preprocessing.mean, preprocessing.std),
        };
        format!(
            "{}: images are prepared with {}, {}, and {statistics}{}",
            path.display(),
            preprocessing.geometry.to_string().trim_start_matches("of "),
            preprocessing.interpolation.name(),
            if is_asked { "" } else { "; nothing beside the file says otherwise" }
        )
    });
    (WeightMetadata { preprocessing, ..metadata }, remark)
}

/// By the size in the name of an official file.
fn by_name(path: &Path, metadata: &WeightMetadata) -> Option<Preprocessing> {
    let name = path.file_stem()?.to_string_lossy().into_owned();
    let (_, size) = SIZES.into_iter().find(|(part, _)| name.split('_').any(|found| found == *part))?;
    name.starts_with("convnext").then(|| Preprocessing::for_size(size, metadata.preprocessing.channels()))
}

/// As torchvision prepares images for its own weights of this size.
fn torchvision(metadata: &WeightMetadata) -> Option<Preprocessing> {
    let model: ModelConfig = metadata.convnext().ok()?;
    let (_, resized) = TORCHVISION_RESIZES.into_iter().find(|(name, _)| *name == model.name)?;
    let crop = TORCHVISION_CROP as f64 / resized as f64;
    Some(Preprocessing {
        geometry: Geometry::CentreCrop { size: ImageSize::square(TORCHVISION_CROP), crop },
        interpolation: Interpolation::Bilinear,
        ..Preprocessing::for_size(TORCHVISION_CROP, metadata.preprocessing.channels())
    })
}

/// By the size of the crops in the name of a segmentation network.
fn larger_crops(path: &Path, metadata: &WeightMetadata) -> Option<Preprocessing> {
    let (part, fit) = LARGER_CROPS;
    let name = path.file_stem()?.to_string_lossy().into_owned();
    let is_larger = metadata.task.is::<SegmentationTask>() && name.split('_').any(|found| found == part);
    is_larger.then(|| Preprocessing { geometry: Geometry::Fit(fit), ..metadata.preprocessing.clone() })
}

#[cfg(test)]
mod tests {
    use convnext_core::{ClassNames, find_model};

    use super::*;

    fn metadata(model: &str, classes: usize) -> WeightMetadata {
        let model = ModelConfig { classes, ..find_model(model).unwrap().config() };
        WeightMetadata::of_classifier(&model, ClassNames::default(), Preprocessing::for_size(224, 3))
    }

    #[test]
    fn official_names_tell_the_size_of_images() {
        for (name, size, is_told) in [
            ("convnextv2_base_22k_384_ema.pt", 384, true),
            ("convnextv2_huge_22k_512_ema.pt", 512, true),
            ("convnextv2_base_22k_224_ema.pt", 224, true),
            ("mine_384.pt", 224, false),
        ] {
            let (found, remark) = complete(Path::new(name), metadata("base", 2), Dialect::Official, false);
            assert_eq!(found.preprocessing, Preprocessing::for_size(size, 3), "{name}");
            assert_eq!(remark.is_none(), is_told, "{name}: {remark:?}");
        }
    }

    /// `resize_size` of torchvision's weights.
    #[test]
    fn weights_of_torchvision_are_given_the_images_of_torchvision() {
        for (model, resized) in [("v1-tiny", 236), ("v1-small", 230), ("v1-base", 232), ("v1-large", 232)] {
            let path = Path::new("convnext-983f1562.pth");
            let (found, remark) = complete(path, metadata(model, 1000), Dialect::Torchvision, false);
            let Geometry::CentreCrop { size, crop } = found.preprocessing.geometry else { panic!("{model}") };
            assert_eq!((size, (224.0 / crop) as usize), (224.into(), resized), "{model}");
            assert_eq!(found.preprocessing.interpolation, Interpolation::Bilinear);
            assert!(remark.unwrap().contains("bilinear"));
        }
        let (other, _) = complete(Path::new("x"), metadata("v1-atto", 1000), Dialect::Torchvision, false);
        assert_eq!(other.preprocessing, Preprocessing::for_size(224, 3));
    }

    #[test]
    fn the_preprocessing_of_a_classifier_that_nothing_describes_is_said() {
        let remark = |classes| complete(Path::new("x.pt"), metadata("base", classes), Dialect::Timm, false).1;
        let said = remark(2).unwrap();
        assert!(said.contains("x.pt: images are prepared with 224 px, centre crop 0.875, bicubic"), "{said}");
        // Trainings that start from an encoder choose for themselves.
        assert_eq!(remark(0), None);
    }
}
