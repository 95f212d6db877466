//! Independence of an image from its batch, its neighbours and earlier batches.

use burn::module::Module;
use convnext_core::{EncoderKind, FcmaeObjective, ModelConfig, PatchGrid, Seed};
use convnext_nn::{ConvNext, DropPath, Fcmae, SitePyramid, replace_parameters, tensor_values};

use crate::common::device::test_device;
use crate::common::{assert_close, relative_error, ruled};
use crate::{fcmae, images, masks, micro};

#[test]
fn an_inference_follows_parameters_that_changed_after_another() {
    let device = test_device();
    for name in ["micro", "v1-micro"] {
        let build = || ruled(ConvNext::new(&micro(name, 2), Seed(0), &device).unwrap());
        let change = |model| replace_parameters(model, |parameter| Some(parameter.values() * 1.5));
        let run = |model: &ConvNext| {
            let logits = model.forward(images([2, 3, 32, 32], &device), &DropPath::none()).unwrap();
            tensor_values(logits)
        };
        let used = build();
        let before = run(&used);
        assert_eq!(run(&used), before, "{name}");
        let changed = run(&change(used));
        assert_eq!(changed, run(&change(build())), "{name}");
        assert_ne!(changed, before, "{name}");
    }
}

#[test]
fn an_inference_after_a_training_step_tracks_no_gradient() {
    let device = test_device().autodiff();
    let model = ruled(ConvNext::new(&micro("micro", 2), Seed(0), &device).unwrap());
    let shape = [2, 3, 16, 16];
    let trained = model.forward(images(shape, &device), &DropPath::none()).unwrap();
    let plain = images(shape, &device.clone().inner());
    let found = model.valid().forward(plain, &DropPath::none()).unwrap();
    assert!(trained.device().is_autodiff() && !found.device().is_autodiff());
    assert_eq!(tensor_values(trained.inner()), tensor_values(found));
}

#[test]
fn batches_of_other_shapes_in_between_change_nothing() {
    let device = test_device();
    let model = ruled(ConvNext::new(&micro("micro", 2), Seed(0), &device).unwrap());
    let logits = |shape| tensor_values(model.forward(images(shape, &device), &DropPath::none()).unwrap());
    // One after the other and in turns; two differ in one side, two in their pixels beyond the last stride
    // alone.
    let shapes = [[2, 3, 16, 16], [2, 3, 16, 32], [1, 3, 16, 16], [2, 3, 17, 16], [2, 3, 16, 17]];
    let alone = shapes.map(|shape| {
        let fresh = ruled(ConvNext::new(&micro("micro", 2), Seed(0), &device).unwrap());
        tensor_values(fresh.forward(images(shape, &device), &DropPath::none()).unwrap())
    });
    for _ in 0..2 {
        assert!(shapes.iter().zip(&alone).all(|(&shape, alone)| logits(shape) == *alone));
    }
}

#[test]
fn an_image_does_not_depend_on_its_neighbours() {
    let device = test_device();
    let pixels = images([3, 3, 24, 24], &device);
    let masks = masks(PatchGrid { rows: 3, columns: 3 }, 3);
    let model = ruled(ConvNext::new(&micro("micro", 1), Seed(0), &device).unwrap());
    let auto = ruled(Fcmae::new(&fcmae("micro", EncoderKind::Sparse), Seed(0), &device).unwrap());
    let logits = model.forward(pixels.clone(), &DropPath::none()).unwrap();
    let objective = FcmaeObjective::default();
    let predictions = auto.forward(pixels.clone(), &masks, objective).unwrap().predictions;
    let removed = masks[0].removed().len();
    for image in 0..3 {
        let alone = pixels.clone().narrow(0, image, 1);
        let own = model.forward(alone.clone(), &DropPath::none()).unwrap();
        assert_close("logits", &tensor_values(own), &tensor_values(logits.clone().narrow(0, image, 1)), 1e-6);
        let own = auto.forward(alone, &masks[image..image + 1], objective).unwrap().predictions;
        let rows = predictions.clone().narrow(0, image * removed, removed);
        assert_close("predictions", &tensor_values(own), &tensor_values(rows), 1e-6);
    }
}

#[test]
fn a_dropped_branch_leaves_the_image_as_it_was() {
    let device = test_device();
    let config = ModelConfig { depths: [2, 1, 1, 1], ..micro("micro", 1) };
    let model = ruled(ConvNext::new(&config, Seed(0), &device).unwrap());
    let pixels = images([2, 3, 16, 16], &device);
    let first_stage = |scales: [[f32; 2]; 2]| {
        let mut scales: Vec<Vec<f32>> = scales.map(|scales| scales.to_vec()).to_vec();
        scales.extend([[1.0; 2]; 3].map(|scales| scales.to_vec()));
        let [map, ..] = model.features(pixels.clone(), &DropPath::from_scales(scales)).unwrap();
        [0, 1].map(|image| tensor_values(map.clone().narrow(0, image, 1)))
    };
    let whole = first_stage([[1.0, 1.0], [1.0, 1.0]]);
    let plain = model.features(pixels.clone(), &DropPath::none()).unwrap();
    assert_close("factor 1 changes nothing", &whole.concat(), &tensor_values(plain[0].clone()), 1e-6);

    // The second image skips both blocks: what leaves the stage is what the stem put in.
    let dropped = first_stage([[1.0, 0.0], [1.0, 0.0]]);
    assert_close("the other image", &dropped[0], &whole[0], 1e-6);
    let sites = SitePyramid::dense(&config, 2, 16, 16, &device).unwrap();
    let mut stem_only = model.clone();
    stem_only.backbone.stages[0].clear();
    let [stem, ..] = stem_only.backbone.forward(pixels.clone(), &sites, &DropPath::none()).unwrap();
    let stem = tensor_values(stem.narrow(0, 256, 256).reshape([16, 16, 16]).permute([2, 0, 1]));
    assert_close("the dropped image", &dropped[1], &stem, 1e-6);

    // Each block has its own factors: dropping the first or the second is not the same.
    let first = first_stage([[1.0, 0.0], [1.0, 1.0]]);
    let second = first_stage([[1.0, 1.0], [1.0, 0.0]]);
    assert!(relative_error(&first[1], &second[1]) > 1e-2);
}
