//! Every model of the table passes the same test: shapes, finite values, a gradient for every
//! parameter, strides of the features, and the way through a weight file and back.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use burn::prelude::*;
use convnext_core::{
    ClassNames, FcmaeConfig, FcmaeObjective, MODELS, ModelConfig, Preprocessing, Seed, WeightMetadata,
};
use convnext_nn::{ConvNext, DropPath, Fcmae, for_each_parameter, tensor_values};
use convnext_train::{load_classifier, load_fcmae, save_weights};

/// Above this many parameters a model, its gradients, its arrays and its file are too much for a test
/// suite: that leaves out `huge`, which is held to its exact count elsewhere, without being allocated.
const LARGEST: u64 = 400_000_000;

/// Names and values of all parameters, as one checksum each.
fn checksums<M: Module>(model: &M) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for_each_parameter(model, |parameter| {
        let sum = tensor_values(parameter.values())
            .into_iter()
            .fold(0_u64, |sum, value| sum.rotate_left(5) ^ u64::from(value.to_bits()));
        found.push((parameter.name(), sum));
    });
    found
}

#[test]
fn every_model_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let tracked = Device::flex().autodiff();
    for size in MODELS.iter().filter(|size| size.parameters <= LARGEST) {
        let name = size.name;
        let config = ModelConfig { classes: 3, ..size.config() };
        let model = ConvNext::new(&config, Seed(1), &tracked).unwrap();
        let waves: Vec<f32> = (0..3 * 64 * 32).map(|i| (i as f32 * 0.37).sin()).collect();
        let images = Tensor::<4>::from_data(TensorData::new(waves, [1, 3, 64, 32]), &tracked);

        let features = model.features(images.clone(), &DropPath::none()).unwrap();
        for (stage, map) in features.iter().enumerate() {
            let stride = 4 << stage;
            assert_eq!(map.dims(), [1, size.width << stage, 64 / stride, 32 / stride], "{name}");
        }
        let logits = model.forward(images, &DropPath::none()).unwrap();
        assert_eq!(logits.dims(), [1, 3], "{name}");
        let finite = |values: Vec<f32>| values.iter().all(|value| value.is_finite());
        assert!(finite(tensor_values(logits.clone())), "{name}");
        let gradients = logits.square().sum().backward();
        for_each_parameter(&model, |parameter| {
            let gradient = parameter.gradient(&gradients);
            assert!(
                gradient.is_some_and(|gradient| finite(tensor_values(gradient))),
                "{name}: {}",
                parameter.name()
            );
        });

        let written = {
            let classes = ClassNames(["a", "b", "c"].map(str::to_owned).into());
            WeightMetadata::of_classifier(&config, classes, Preprocessing::for_size(32, 3))
        };
        save_weights(&path, &model, &written).unwrap();
        let (loaded, read) = load_classifier(&path, &Device::flex()).unwrap();
        assert_eq!(read, written, "{name}");
        assert_eq!(checksums(&loaded), checksums(&model), "{name}");
    }
}

#[test]
fn an_autoencoder_goes_through_a_file_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let config = FcmaeConfig::new(convnext_core::find_model("v1-micro").unwrap().config());
    let model = Fcmae::new(&config, Seed(1), &Device::flex()).unwrap();
    let written =
        WeightMetadata::of_fcmae(&config, FcmaeObjective::default(), Preprocessing::for_size(32, 3));
    save_weights(&path, &model, &written).unwrap();
    let (loaded, _, read) = load_fcmae(&path, &Device::flex()).unwrap();
    assert_eq!(read, written);
    assert_eq!(checksums(&loaded), checksums(&model));
    let refused = load_classifier(&path, &Device::flex()).unwrap_err().to_string();
    assert!(refused.contains("without classes") && refused.contains("finetune"), "{refused}");
}
