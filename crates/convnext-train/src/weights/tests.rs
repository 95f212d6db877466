use std::path::PathBuf;

use convnext_core::{
    DecoderConfig, DecoderKind, EncoderKind, FcmaeConfig, Preprocessing, ResponseNorm, find_model,
};
use convnext_nn::{for_each_parameter, replace_parameters, tensor_values};

use super::*;

#[test]
fn classes_are_the_same_under_names_or_synsets_in_the_same_order() {
    let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
    let known = names(&["tench", "goldfish"]);
    assert!(
        are_same_classes(&known, &known) && are_same_classes(&known, &names(&["n01440764", "n01443537"]))
    );
    for other in [&["n01443537", "n01440764"][..], &["goldfish", "tench"], &["tench"], &["tench", "cod"]] {
        assert!(!are_same_classes(&known, &names(other)), "{other:?}");
    }
}

fn micro(response_norm: Option<ResponseNorm>, layer_scale: Option<f64>) -> ModelConfig {
    let micro = find_model("micro").unwrap().config();
    ModelConfig { classes: 0, stem_stride: 1, response_norm, layer_scale, ..micro }
}

/// Weights of the paper's autoencoder of this backbone, whose every value is 0.25.
fn of_quarters(folder: &Path, encoder: &ModelConfig) -> PathBuf {
    quarters_of(folder, &FcmaeConfig::new(encoder.clone()))
}

/// The same of any autoencoder.
fn quarters_of(folder: &Path, config: &FcmaeConfig) -> PathBuf {
    let model = Fcmae::new(config, Seed(0), &Device::flex()).unwrap();
    let model = replace_parameters(model, |parameter| Some(parameter.values() * 0.0 + 0.25));
    let path = folder.join("weights.safetensors");
    let preprocessing = Preprocessing::for_size(32, 3);
    let metadata = WeightMetadata::of_fcmae(config, FcmaeObjective::default(), preprocessing);
    save_weights(&path, &model, &metadata).unwrap();
    path
}

/// The names that begin so and did not get the values of the weights.
fn fresh<M: Module>(model: &M, part: &str) -> Vec<String> {
    let mut names = Vec::new();
    for_each_parameter(model, |parameter| {
        if tensor_values(parameter.values()).iter().any(|&value| value != 0.25) {
            names.push(parameter.name());
        }
    });
    names.retain(|name| name.starts_with(part));
    names
}

#[test]
fn what_differs_in_the_blocks_starts_fresh_and_the_rest_goes_on() {
    use ResponseNorm as R;
    let (grn, l1) = (Some(R::Grn), Some(R::GrnL1));
    let folder = tempfile::tempdir().unwrap();
    for (from, to, names) in [
        ((grn, None), (grn, None), &[][..]),
        ((grn, None), (None, None), &[]),
        // The same tensors, but learned for something else.
        ((grn, None), (l1, None), &["grn.gamma", "grn.beta"]),
        ((None, None), (Some(R::Bn), None), &["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]),
        (
            (Some(R::Se), None),
            (Some(R::Cbam), None),
            &["cbam.fc1.weight", "cbam.fc2.weight", "cbam.conv.weight"],
        ),
        ((Some(R::Bn), Some(1.0)), (Some(R::Bn), None), &[]),
        ((Some(R::Bn), None), (Some(R::Bn), Some(0.5)), &["gamma"]),
        ((Some(R::Bn), Some(1.0)), (Some(R::Bn), Some(0.5)), &[]),
    ] {
        let [from, to] = [micro(from.0, from.1), micro(to.0, to.1)];
        let path = of_quarters(folder.path(), &from);
        let parts = StartParts {
            left_out: &|_| &[],
            fresh: &[],
            blocks: Some(ModelBlocks { backbone: &to, decoder: None }),
        };
        let model = ConvNext::new(&to, Seed(1), &Device::flex()).unwrap();
        let found = fresh(&start_from_with(model, &path, &parts).unwrap(), "stages.0.");
        let expected: Vec<String> = names.iter().map(|name| format!("stages.0.0.{name}")).collect();
        assert_eq!(found, expected, "{:?} to {:?}", from.response_norm, to.response_norm);
        // Who does not ask for another block gets none.
        let model = ConvNext::new(&to, Seed(1), &Device::flex()).unwrap();
        let has_same_tensors = tensor_shapes(&model).iter().map(|(name, _)| name.clone()).eq(tensor_shapes(
            &ConvNext::new(&from, Seed(1), &Device::flex()).unwrap(),
        )
        .into_iter()
        .map(|(name, _)| name));
        assert_eq!(start_from(model, &path, &|_| false).is_ok(), has_same_tensors);
    }
}

#[test]
fn what_differs_in_the_blocks_of_a_decoder_starts_fresh_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut to = FcmaeConfig::new(micro(Some(ResponseNorm::Grn), None));
    let path = of_quarters(folder.path(), &to.encoder);
    to.decoder.response_norm = Some(ResponseNorm::GrnL1);
    let blocks = ModelBlocks { backbone: &to.encoder, decoder: Some(&to.decoder) };
    let parts = StartParts { left_out: &|_| &[], fresh: &[], blocks: Some(blocks) };
    let model = Fcmae::new(&to, Seed(1), &Device::flex()).unwrap();
    let model = start_from_with(model, &path, &parts).unwrap();
    assert_eq!(fresh(&model, ""), ["decoder.0.grn.gamma", "decoder.0.grn.beta"]);
}

#[test]
fn another_decoder_starts_fresh_and_the_same_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let of_kind = |kind, encoder_kind| {
        let mut config = FcmaeConfig::new(micro(Some(ResponseNorm::Grn), None));
        config.encoder_kind = encoder_kind;
        config.decoder = DecoderConfig { depth: 1, ..DecoderConfig::new(kind, &config.encoder) };
        config
    };
    let [four, eight] = [4, 8].map(|heads| DecoderKind::Transformer { heads });
    for (from, to, encoder_kind, is_other) in [
        (four, DecoderKind::UNet, EncoderKind::Sparse, true),
        (DecoderKind::ConvNext, four, EncoderKind::Sparse, true),
        (four, eight, EncoderKind::Sparse, true),
        (four, four, EncoderKind::Sparse, false),
        (four, four, EncoderKind::Tokens, false),
        (DecoderKind::UNet, DecoderKind::UNet, EncoderKind::Tokens, false),
    ] {
        let path = quarters_of(folder.path(), &of_kind(from, EncoderKind::Sparse));
        let to = of_kind(to, encoder_kind);
        let blocks = ModelBlocks { backbone: &to.encoder, decoder: Some(&to.decoder) };
        let parts = StartParts { left_out: &|_| &[], fresh: &[], blocks: Some(blocks) };
        let model = Fcmae::new(&to, Seed(1), &Device::flex()).unwrap();
        let model = start_from_with(model, &path, &parts).unwrap();
        let mut expected = Vec::new();
        for_each_parameter(&model, |parameter| {
            let name = parameter.name();
            let is_of_decoder = !name.starts_with(ENCODER_PREFIX) && name != "encoder_token";
            if name == "encoder_token" || is_other && is_of_decoder {
                expected.push(name);
            }
        });
        assert_eq!(fresh(&model, ""), expected, "{from:?} to {:?}, {encoder_kind:?}", to.decoder.kind);
    }
}
