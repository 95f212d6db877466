//! Which implementation runs a block on the CPU: alternatives to GRN that no kernel knows run on the reference
//! implementation, GRN, its variants and the plain block on the kernels.
//!
//! Notation: S rows, C channels, E = 4C.

use std::sync::Arc;

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Autodiff, Flex, TensorMetadata, flex::FlexTensor};
use burn::tensor::{DType, FloatDType, TensorData};
use convnext_core::ResponseNorm;
use convnext_kernels::{Precision, Sites};

use crate::ops::block::BlockBackend;
use crate::ops::block_flex::FlexBlock;
use crate::ops::block_plan::{
    Activations, BlockParameters, BlockPlan, LayerScaleParameters, Placement, ResponseParameters,
};
use crate::ops::block_reference::block_reference;
use crate::ops::graph::{leaf, vjp};
use crate::ops::kernels::BlockKernels;
use crate::ops::reference_kernels::Reference;

const CHANNELS: usize = 4;

/// Values without a pattern that these tests could miss.
fn tensor(dtype: DType, shape: &[usize], phase: f64) -> FlexTensor {
    let values = (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.7 + phase).sin());
    let data = TensorData::new(values.collect::<Vec<f64>>(), shape.to_vec());
    Flex::float_from_data(data.convert_dtype(dtype), &Default::default())
}

/// The parameters of a block with this normalisation; of Lrn it has none.
fn parameters(norm: ResponseNorm, dtype: DType) -> BlockParameters<Flex> {
    let (c, e) = (CHANNELS, 4 * CHANNELS);
    let make = |shape: &[usize], phase| tensor(dtype, shape, phase);
    BlockParameters {
        depthwise_weight: make(&[c, 1, 7, 7], 0.1),
        depthwise_bias: make(&[c], 0.2),
        norm_weight: make(&[c], 0.3),
        norm_bias: make(&[c], 0.4),
        expand_weight: make(&[e, c], 0.5),
        expand_bias: make(&[e], 0.6),
        project_weight: make(&[c, e], 0.7),
        project_bias: make(&[c], 0.8),
        response: response_parameters(norm, dtype),
        layer_scale: LayerScaleParameters::Absent,
    }
}

fn response_parameters(norm: ResponseNorm, dtype: DType) -> ResponseParameters<Flex> {
    let (c, e) = (CHANNELS, 4 * CHANNELS);
    let make = |shape: &[usize], phase| tensor(dtype, shape, phase);
    let [reduce, expand] = [make(&[c / 4, e], 0.9), make(&[e, c / 4], 1.0)];
    match norm {
        ResponseNorm::Lrn => ResponseParameters::Absent,
        ResponseNorm::Ln => ResponseParameters::LayerNorm { weight: make(&[e], 0.9), bias: make(&[e], 1.0) },
        ResponseNorm::Bn => ResponseParameters::BatchNorm {
            weight: make(&[e], 0.9),
            bias: make(&[e], 1.0),
            mean: make(&[e], 1.1),
            variance: Flex::float_add_scalar(make(&[e], 1.2), 2.0.into()),
        },
        ResponseNorm::Se => ResponseParameters::SqueezeExcite { reduce, expand },
        ResponseNorm::Cbam => ResponseParameters::Cbam { reduce, expand, kernel: make(&[1, 2, 7, 7], 1.1) },
        _ => ResponseParameters::Grn { gamma: make(&[1, 1, 1, e], 0.9), beta: make(&[1, 1, 1, e], 1.0) },
    }
}

fn plan(sites: &Sites, response_norm: ResponseNorm) -> BlockPlan {
    BlockPlan {
        sites: Arc::new(sites.clone()),
        drop_path_scales: Some(vec![1.0, 1.5]),
        response_norm: Some(response_norm),
        activations: Activations::Save,
        precision: Precision::F32,
        packing: None,
    }
}

fn placement(sites: &Sites) -> Placement<Flex> {
    if sites.is_dense() {
        return Placement::Dense;
    }
    let positions: Vec<i32> = sites.positions().iter().map(|&place| place as i32).collect();
    let data = TensorData::new(positions, [sites.rows()]);
    Placement::Kept { positions: Flex::int_from_data(data, &Default::default()) }
}

/// The left half of one map and the right half of another, of 8x8 sites each.
fn halves() -> Sites {
    Sites::tiled([2, 2], 4, vec![vec![0, 2], vec![1, 3]]).unwrap()
}

/// The output and the gradients of rows and parameters, under the automatic differentiation of the CPU.
fn run(
    sites: &Sites,
    response_norm: ResponseNorm,
    rows: FlexTensor,
    parameters: BlockParameters<Flex>,
) -> Vec<FlexTensor> {
    let output_gradient = tensor(rows.dtype(), &[sites.rows(), CHANNELS], 2.0);
    let rows = leaf::<Flex>(rows);
    let parameters: BlockParameters<Autodiff<Flex>> = parameters.map(leaf::<Flex>);
    let leaves = [vec![rows.clone()], parameters.clone().into_tensors()].concat();
    let placement = placement(sites).convert();
    let output = Autodiff::<Flex>::block(rows, parameters, placement, plan(sites, response_norm));
    let values = output.primitive().clone();
    [vec![values], vjp::<Flex>(output, output_gradient, &leaves)].concat()
}

/// [`run`] on the same rows and parameters every time.
fn run_example(sites: &Sites, response_norm: ResponseNorm, dtype: DType) -> Vec<FlexTensor> {
    run(sites, response_norm, tensor(dtype, &[sites.rows(), CHANNELS], 0.0), parameters(response_norm, dtype))
}

fn values(tensor: &FlexTensor) -> Vec<f64> {
    let tensor = Flex::float_cast(tensor.clone(), FloatDType::F64);
    tensor.to_contiguous().as_slice::<f64>().unwrap().to_vec()
}

/// The largest difference of two lists of tensors, relative to the largest value of each tensor.
fn difference(found: &[FlexTensor], expected: &[FlexTensor]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let of_one = |(found, expected): (&FlexTensor, &FlexTensor)| {
        assert_eq!(found.shape(), expected.shape());
        let (found, expected) = (values(found), values(expected));
        let size = expected.iter().fold(1e-3, |size: f64, value| size.max(value.abs()));
        found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / size).fold(0.0, f64::max)
    };
    found.iter().zip(expected).map(of_one).fold(0.0, f64::max)
}

#[test]
fn kernels_decline_the_norms_and_types_that_they_do_not_know() {
    let sites = halves();
    let supports = |norm, dtype| FlexBlock::supports(&plan(&sites, norm), dtype);
    use ResponseNorm as R;
    for norm in [R::Grn, R::GrnStandardised, R::GrnSum, R::GrnNoResidual, R::GrnNoNorm, R::Identity] {
        assert!(supports(norm, DType::F32) && !supports(norm, DType::F64), "{norm:?}");
    }
    for norm in [R::GrnAverage, R::GrnL1, R::GrnNoPool, R::Lrn, R::Bn, R::Ln, R::Se, R::Cbam] {
        assert!(!supports(norm, DType::F32), "{norm:?}");
    }
}

#[test]
fn every_norm_in_f32_with_kernels_or_without_is_that_of_f64() {
    let sites = halves();
    let grn = run_example(&sites, ResponseNorm::Grn, DType::F32);
    for norm in ResponseNorm::ALL.into_iter().filter(|&norm| norm != ResponseNorm::Grn) {
        let [found, exact] = [DType::F32, DType::F64].map(|dtype| run_example(&sites, norm, dtype));
        // GrnNoPool divides by means that almost vanish.
        let tolerance = if norm == ResponseNorm::GrnNoPool { 1e-2 } else { 1e-4 };
        assert!(difference(&found, &exact) < tolerance, "{norm:?}: {}", difference(&found, &exact));
        assert!(difference(&found[..1], &grn[..1]) > 1e-3, "{norm:?}");
    }
}

#[test]
fn kept_tiles_equal_the_dense_map_that_they_make() {
    let dense = Sites::dense(2, 8, 4).unwrap();
    for norm in ResponseNorm::ALL {
        let [kept, dense] = [&halves(), &dense].map(|sites| run_example(sites, norm, DType::F64));
        assert!(difference(&kept, &dense) < 1e-9, "{norm:?}");
    }
}

#[test]
fn gradients_of_every_norm_are_derivatives() {
    for norm in ResponseNorm::ALL {
        check_gradients(norm);
    }
}

fn check_gradients(norm: ResponseNorm) {
    const STEP: f64 = 1e-5;
    let (sites, dtype) = (halves(), DType::F64);
    let inputs = || {
        let rows = tensor(dtype, &[sites.rows(), CHANNELS], 0.0);
        [vec![rows], parameters(norm, dtype).into_tensors()].concat()
    };
    let weights = values(&tensor(dtype, &[sites.rows(), CHANNELS], 2.0));
    let loss = |place: usize, index: usize, step: f64| -> f64 {
        let mut inputs = inputs();
        let mut moved = values(&inputs[place]);
        moved[index] += step;
        let data = TensorData::new(moved, inputs[place].shape());
        inputs[place] = Flex::float_from_data(data, &Default::default());
        let mut inputs = inputs.into_iter();
        let rows = inputs.next().unwrap();
        let parameters: BlockParameters<Flex> = parameters(norm, dtype).map(|_| inputs.next().unwrap());
        let output = Flex::block(rows, parameters, placement(&sites), plan(&sites, norm));
        values(&output).iter().zip(&weights).map(|(value, weight)| value * weight).sum()
    };
    let gradients = &run_example(&sites, norm, dtype)[1..];
    for (place, gradient) in gradients.iter().enumerate() {
        let gradient = values(gradient);
        for index in [0, gradient.len() * 2 / 3] {
            let slope = (loss(place, index, STEP) - loss(place, index, -STEP)) / (2.0 * STEP);
            let error = (slope - gradient[index]).abs();
            assert!(
                error <= 1e-5 * slope.abs().max(1.0),
                "{norm:?}, {place} [{index}]: {slope}, not {}",
                gradient[index]
            );
        }
    }
}

#[test]
fn the_plain_block_runs_on_the_kernels() {
    let sites = halves();
    let [rows, dout] = [0.0, 2.0].map(|phase| tensor(DType::F32, &[sites.rows(), CHANNELS], phase));
    let (plan, p) = (plan(&sites, ResponseNorm::Grn), || parameters(ResponseNorm::Grn, DType::F32));
    let (output, saved) = FlexBlock::forward_saving(rows.clone(), p(), placement(&sites), &plan);
    let gradients = FlexBlock::backward(saved, p(), placement(&sites), &plan, dout);
    let expected = [vec![output, gradients.rows], gradients.parameters.into_tensors()].concat();
    let found = run_example(&sites, ResponseNorm::Grn, DType::F32);
    assert!(found.iter().zip(&expected).all(|(a, b)| values(a) == values(b)));
    let reference = block_reference::<Flex>(rows, p(), placement(&sites), &plan);
    assert_ne!(values(&found[0]), values(&reference), "the reference rounds otherwise");
    assert!(difference(&found[..1], &[reference]) < 1e-5);
}

#[test]
fn a_block_saves_as_much_as_its_setting_says() {
    let sites = halves();
    let rows = tensor(DType::F32, &[sites.rows(), CHANNELS], 0.0);
    let bytes = |activations| {
        let plan = BlockPlan { activations, ..plan(&sites, ResponseNorm::Grn) };
        let p = parameters(ResponseNorm::Grn, DType::F32);
        let (_, saved) = FlexBlock::forward_saving(rows.clone(), p, placement(&sites), &plan);
        FlexBlock::saved_bytes(&saved)
    };
    let input = <Reference as BlockKernels<Flex>>::saved_bytes(&rows);
    assert_eq!(input, 64 * CHANNELS * size_of::<f32>());
    assert_eq!(bytes(Activations::Recompute), input);
    assert_eq!(bytes(Activations::Save), 6 * input);
    assert_eq!(bytes(Activations::SaveBf16), 3 * input);
}
