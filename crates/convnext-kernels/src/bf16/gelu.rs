//! GELU and its derivative for results that are rounded to bf16: polynomials without a division, within 1e-4
//! and 3e-4. The rounding error of values near 1 is up to 2e-3.

use pulp::Simd;

/// Beyond, Phi and GELU' are 0 and 1.
const END: f32 = 4.2;

/// p in Phi(x) = 1/2 + x p(x^2) and q in GELU'(x) = 1/2 + x q(x^2), the lowest coefficient first;
/// `fits/gelu_bf16.py` made them.
const P: [f32; 8] = [
    0.398_465_87,
    -0.065_528_2,
    0.009_298_229,
    -0.000_950_657_24,
    6.689_066_5e-5,
    -3.037_929_4e-6,
    7.941_332e-8,
    -9.017_521e-10,
];
const Q: [f32; 9] = [
    0.796_835_7,
    -0.262_461_2,
    0.056_379_154,
    -0.007_906_226,
    0.000_741_043_94,
    -4.570_203_6e-5,
    1.763_455_1e-6,
    -3.822_374e-8,
    3.516_321e-10,
];

/// GELU(x) = x Phi(x).
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (inside, square) = inside(simd, x);
    simd.mul_f32s(x, half_and(simd, inside, square, &P))
}

/// GELU and its derivative.
#[inline(always)]
pub(crate) fn gelu_and_derivative<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let (inside, square) = inside(simd, x);
    let value = simd.mul_f32s(x, half_and(simd, inside, square, &P));
    (value, half_and(simd, inside, square, &Q))
}

/// x clamped to [-END, END], and its square.
#[inline(always)]
fn inside<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let inside = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-END)), simd.splat_f32s(END));
    (inside, simd.mul_f32s(inside, inside))
}

/// 1/2 and x times the polynomial of its square.
#[inline(always)]
fn half_and<S: Simd, const N: usize>(simd: S, x: S::f32s, square: S::f32s, polynomial: &[f32; N]) -> S::f32s {
    let mut value = simd.splat_f32s(polynomial[N - 1]);
    for coefficient in polynomial[..N - 1].iter().rev() {
        value = simd.mul_add_e_f32s(value, square, simd.splat_f32s(*coefficient));
    }
    simd.mul_add_e_f32s(x, value, simd.splat_f32s(0.5))
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::isa::isa_levels;
    use crate::lanes::{load, store};

    /// These functions against the exact ones of the f32 kernels.
    struct Both<'a> {
        x: &'a [f32],
        errors: [&'a mut [f32]; 3],
    }

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let [alone, value, derivative] = self.errors;
            for at in (0..self.x.len()).step_by(S::F32_LANES) {
                let x = load(simd, self.x, at);
                let exact = crate::gelu::gelu_and_derivative(simd, x);
                let found = gelu_and_derivative(simd, x);
                store(simd, alone, at, simd.sub_f32s(gelu(simd, x), exact.0));
                store(simd, value, at, simd.sub_f32s(found.0, exact.0));
                store(simd, derivative, at, simd.sub_f32s(found.1, exact.1));
            }
        }
    }

    #[test]
    fn errors_are_far_below_the_rounding_error() {
        let x: Vec<f32> = (-100_000..=100_000).map(|i| i as f32 * 1e-4).chain([-1e30, 1e30]).collect();
        for (name, arch) in isa_levels() {
            let [mut alone, mut value, mut derivative] = [(); 3].map(|()| vec![0.0; x.len()]);
            arch.dispatch(Both { x: &x, errors: [&mut alone, &mut value, &mut derivative] });
            for (place, x) in x.iter().enumerate() {
                for (error, bound) in [(alone[place], 1e-4), (value[place], 1e-4), (derivative[place], 3e-4)]
                {
                    // For large |x|, Phi ends a rounding error away from 0 and 1.
                    assert!(error.abs() < bound + 2e-6 * x.abs(), "{name}: {error} at {x}");
                }
            }
        }
    }
}
