//! Which implementation runs a block on the CPU: a toy variant of GRN, which no kernel knows, runs on the
//! reference implementation, and the plain block on the kernels.
//!
//! Notation: S rows, C channels, E = 4C.

use std::sync::Arc;

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, flex::FlexTensor};
use burn::tensor::{DType, FloatDType, Shape, TensorData};
use convnext_kernels::{Precision, Sites};

use crate::ops::block::BlockBackend;
use crate::ops::block_flex::FlexBlock;
use crate::ops::block_plan::{
    Activations, BlockParameters, BlockPlan, GrnParameters, LayerScaleParameters, Placement, ResponseNorm,
};
use crate::ops::graph::{leaf, vjp};
use crate::ops::kernels::BlockKernels;
use crate::ops::reference::block_reference;
use crate::ops::reference_kernels::Reference;

/// The toy: `gamma * X * N(G(X)) + beta + X` as in GRN, where `G` is the mean absolute value of a channel over
/// the kept sites of one image, `[S, E]` to `[S, E]`.
pub(crate) fn mean_absolute_norm<B: Backend>(
    rows: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    images: usize,
) -> FloatTensor<B> {
    let (shape, channels) = (rows.shape(), rows.shape()[1]);
    let x = B::float_reshape(rows, Shape::new([images, shape[0] / images, channels]));
    let [gamma, beta] = [gamma, beta].map(|one| B::float_reshape(one, Shape::new([1, 1, channels])));
    let response = B::float_mean_dim(B::float_abs(x.clone()), 1);
    let normalised = B::float_div(response.clone(), B::float_mean_dim(response, 2));
    let scale = B::float_add_scalar(B::float_mul(normalised, gamma), 1.0_f64.into());
    B::float_reshape(B::float_add(B::float_mul(x, scale), beta), shape)
}

const CHANNELS: usize = 4;

/// Values without a pattern that these tests could miss.
fn tensor(dtype: DType, shape: &[usize], phase: f64) -> FlexTensor {
    let values = (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.7 + phase).sin());
    let data = TensorData::new(values.collect::<Vec<f64>>(), shape.to_vec());
    Flex::float_from_data(data.convert_dtype(dtype), &Default::default())
}

fn parameters(dtype: DType) -> BlockParameters<Flex> {
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
        grn: GrnParameters::Present { gamma: make(&[1, 1, 1, e], 0.9), beta: make(&[1, 1, 1, e], 1.0) },
        layer_scale: LayerScaleParameters::Absent,
    }
}

fn plan(sites: &Sites, response_norm: ResponseNorm) -> BlockPlan {
    BlockPlan {
        sites: Arc::new(sites.clone()),
        drop_path_scales: Some(vec![1.0, 1.5]),
        response_norm,
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
    run(sites, response_norm, tensor(dtype, &[sites.rows(), CHANNELS], 0.0), parameters(dtype))
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
    assert!(supports(ResponseNorm::Grn, DType::F32));
    assert!(!supports(ResponseNorm::Grn, DType::F64));
    assert!(!supports(ResponseNorm::MeanAbsolute, DType::F32));
}

#[test]
fn a_norm_of_the_reference_alone_runs_where_the_kernels_run() {
    let sites = halves();
    let toy = run_example(&sites, ResponseNorm::MeanAbsolute, DType::F32);
    let exact = run_example(&sites, ResponseNorm::MeanAbsolute, DType::F64);
    assert!(difference(&toy, &exact) < 1e-4);
    let other = run_example(&sites, ResponseNorm::Grn, DType::F32);
    assert!(difference(&toy[..1], &other[..1]) > 1e-2);
}

#[test]
fn kept_tiles_equal_the_dense_map_that_they_make() {
    let dense = Sites::dense(2, 8, 4).unwrap();
    for norm in [ResponseNorm::Grn, ResponseNorm::MeanAbsolute] {
        let [kept, dense] = [&halves(), &dense].map(|sites| run_example(sites, norm, DType::F32));
        assert!(difference(&kept, &dense) < 1e-5, "{norm:?}");
    }
}

#[test]
fn gradients_of_a_norm_of_the_reference_alone_are_derivatives() {
    const STEP: f64 = 1e-5;
    let (sites, norm, dtype) = (halves(), ResponseNorm::MeanAbsolute, DType::F64);
    let inputs = || {
        let rows = tensor(dtype, &[sites.rows(), CHANNELS], 0.0);
        [vec![rows], parameters(dtype).into_tensors()].concat()
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
        let parameters: BlockParameters<Flex> = parameters(dtype).map(|_| inputs.next().unwrap());
        let output = Flex::block(rows, parameters, placement(&sites), plan(&sites, norm));
        values(&output).iter().zip(&weights).map(|(value, weight)| value * weight).sum()
    };
    let gradients = &run_example(&sites, norm, dtype)[1..];
    for (place, gradient) in gradients.iter().enumerate() {
        let gradient = values(gradient);
        for index in [0, gradient.len() * 2 / 3] {
            let slope = (loss(place, index, STEP) - loss(place, index, -STEP)) / (2.0 * STEP);
            let error = (slope - gradient[index]).abs();
            assert!(error <= 1e-6 * slope.abs().max(1.0), "{place} [{index}]: {slope}, {}", gradient[index]);
        }
    }
}

#[test]
fn the_plain_block_runs_on_the_kernels() {
    let sites = halves();
    let [rows, dout] = [0.0, 2.0].map(|phase| tensor(DType::F32, &[sites.rows(), CHANNELS], phase));
    let (plan, p) = (plan(&sites, ResponseNorm::Grn), || parameters(DType::F32));
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
        let p = parameters(DType::F32);
        let (_, saved) = FlexBlock::forward_saving(rows.clone(), p, placement(&sites), &plan);
        FlexBlock::saved_bytes(&saved)
    };
    let input = <Reference as BlockKernels<Flex>>::saved_bytes(&rows);
    assert_eq!(input, 64 * CHANNELS * size_of::<f32>());
    assert_eq!(bytes(Activations::Recompute), input);
    assert_eq!(bytes(Activations::Save), 6 * input);
    assert_eq!(bytes(Activations::SaveBf16), 3 * input);
}
