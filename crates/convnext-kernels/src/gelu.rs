//! Exact GELU (with erf, not tanh) and its derivative, on SIMD registers.
//!
//! With the derivative, which needs exp(-x^2 / 2) anyway, erf is a polynomial times that; alone, GELU is
//! cheaper without any exponential.

use pulp::Simd;

/// The coefficients of erf(z) = 1 - (a1 t + ... + a5 t^5) exp(-z^2), t = 1 / (1 + p z), z >= 0
/// (Abramowitz and Stegun 7.1.26, absolute error at most 1.5e-7).
const P: f32 = 0.327_591_1;
const A: [f32; 5] = [0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4];

/// 1 / sqrt(2 pi).
const BELL_AT_ZERO: f32 = 0.398_942_3;

/// GELU(x) = x Phi(x), and its derivative Phi(x) + x phi(x). Both within 1e-6.
#[inline(always)]
pub(crate) fn gelu_and_derivative<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let (cdf, bell) = normal(simd, x);
    let density = simd.mul_f32s(bell, simd.splat_f32s(BELL_AT_ZERO));
    (simd.mul_f32s(x, cdf), simd.mul_add_e_f32s(x, density, cdf))
}

/// The coefficients of p in 1 - Phi(a) = (1/2) / p(a)^16 for a >= 0, the lowest first (the form of Abramowitz
/// and Stegun 7.1.28); `fits/gelu.py` made them.
const ROOT: [f32; 7] =
    [1.0, 0.049_864_14, 0.021_157_296, 0.003_249_316_2, 5.971_802e-5, 4.138_365e-5, 6.333_025e-6];

/// GELU(x) = x Phi(x) = max(x, 0) - |x| (1 - Phi(|x|)), within 1e-6.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value: f32| simd.splat_f32s(value);
    let size = simd.abs_f32s(x);
    let [c0, c1, c2, c3, c4, c5, c6] = ROOT;
    let mut power = splat(c6);
    for coefficient in [c5, c4, c3, c2, c1, c0] {
        power = simd.mul_add_e_f32s(power, size, splat(coefficient));
    }
    // To the sixteenth; where that overflows, the tail is 0 as it should be.
    for _ in 0..4 {
        power = simd.mul_f32s(power, power);
    }
    let tail = simd.div_f32s(splat(-0.5), power);
    simd.mul_add_e_f32s(size, tail, simd.max_f32s(x, splat(0.0)))
}

/// The normal distribution function Phi(x), and exp(-x^2 / 2).
#[inline(always)]
fn normal<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let splat = |value: f32| simd.splat_f32s(value);
    let bell = exp_of_negative(simd, simd.mul_f32s(simd.mul_f32s(x, x), splat(-0.5)));
    let p = splat(P * std::f32::consts::FRAC_1_SQRT_2);
    let t = simd.div_f32s(splat(1.0), simd.mul_add_e_f32s(simd.abs_f32s(x), p, splat(1.0)));
    let mut polynomial = splat(A[4]);
    for coefficient in [A[3], A[2], A[1], A[0]] {
        polynomial = simd.mul_add_e_f32s(polynomial, t, splat(coefficient));
    }
    // 1 - Phi(|x|).
    let tail = simd.mul_f32s(simd.mul_f32s(polynomial, t), simd.mul_f32s(bell, splat(0.5)));
    let negative = simd.less_than_f32s(x, splat(0.0));
    let cdf = simd.select_f32s(negative, tail, simd.sub_f32s(splat(1.0), tail));
    (cdf, bell)
}

/// exp(x) for x <= 0: 2^n times a polynomial on half an octave around 0 (Cephes' coefficients). That of NaN depends on the
/// instruction set.
#[inline(always)]
pub(crate) fn exp_of_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value: f32| simd.splat_f32s(value);
    // Below, the result is subnormal.
    let x = simd.max_f32s(x, splat(-87.0));
    // Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
    let magic = splat(12_582_912.0);
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), magic);
    let n = simd.sub_f32s(shifted, magic);
    let r = simd.mul_add_e_f32s(n, splat(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, splat(2.121_944_4e-4), r);
    let mut polynomial = splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        polynomial = simd.mul_add_e_f32s(polynomial, r, splat(coefficient));
    }
    let polynomial = simd.mul_add_e_f32s(polynomial, simd.mul_f32s(r, r), simd.add_f32s(r, splat(1.0)));
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(polynomial), exponent))
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::isa::isa_levels;
    use crate::lanes::{load, store};

    struct Both<'a> {
        x: &'a [f32],
        gelu: &'a mut [f32],
        /// GELU again, without its derivative.
        alone: &'a mut [f32],
        derivative: &'a mut [f32],
    }

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for at in (0..self.x.len()).step_by(S::F32_LANES) {
                let x = load(simd, self.x, at);
                let (value, derivative) = gelu_and_derivative(simd, x);
                store(simd, self.gelu, at, value);
                store(simd, self.alone, at, gelu(simd, x));
                store(simd, self.derivative, at, derivative);
            }
        }
    }

    /// Phi in f64 from its series, and for large |x| from the continued fraction of its tail.
    fn normal_cdf(x: f64) -> f64 {
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if x.abs() > 5.0 {
            let fraction = (1..60).rev().fold(0.0, |rest, k| f64::from(k) / (x.abs() + rest));
            let tail = density / (x.abs() + fraction);
            return if x > 0.0 { 1.0 - tail } else { tail };
        }
        let (mut term, mut sum) = (x, x);
        for k in 1..200 {
            term *= x * x / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 + density * sum
    }

    #[test]
    fn gelu_and_its_derivative_are_within_a_millionth_everywhere() {
        let x: Vec<f32> =
            (-200_000..=200_000).map(|i| i as f32 * 1e-4).chain([-1e30, -100.0, 100.0, 1e30]).collect();
        for (name, arch) in isa_levels() {
            let [mut value, mut alone, mut derivative] = [(); 3].map(|()| vec![0.0; x.len()]);
            arch.dispatch(Both { x: &x, gelu: &mut value, alone: &mut alone, derivative: &mut derivative });
            for (((&x, &value), &alone), &derivative) in x.iter().zip(&value).zip(&alone).zip(&derivative) {
                let in_f64 = f64::from(x);
                let cdf = normal_cdf(in_f64);
                let density = (-in_f64 * in_f64 / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                // Above 10, the spacing of f32 exceeds a millionth.
                let bound = 1e-6 * (in_f64 / 10.0).max(1.0);
                for value in [value, alone] {
                    assert!((f64::from(value) - in_f64 * cdf).abs() < bound, "{name}: gelu({x}) = {value}");
                }
                let exact = cdf + in_f64 * density;
                assert!((f64::from(derivative) - exact).abs() < 1e-6, "{name}: gelu'({x}) = {derivative}");
            }
        }
    }
}
