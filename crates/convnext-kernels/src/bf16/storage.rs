//! Storage of activations as bf16x2 lanes: rows column-packed, and row pairs for weight gradients. GELU is a
//! polynomial within the rounding error.

use pulp::Simd;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2, unpack};
use crate::bf16::gelu;
use crate::lanes::{load_bf16x2, store_bf16x2};
use crate::registers::{Place, Registers, load_halves, registers, store_halves};
use crate::storage::{F32s, Storage, WithStorage};

impl<B: Bf16x2> Storage for B {
    type Simd = <B as Bf16x2>::Simd;
    type Lane = u32;

    #[inline(always)]
    fn simd(self) -> <B as Bf16x2>::Simd {
        Bf16x2::simd(self)
    }

    #[inline(always)]
    fn places(columns: usize) -> Registers {
        registers(columns, <B as Bf16x2>::Simd::F32_LANES)
    }

    #[inline(always)]
    fn load_f32(self, values: &[f32], place: Place) -> [F32s<Self>; 2] {
        load_halves(Bf16x2::simd(self), values, place)
    }

    #[inline(always)]
    fn store_f32(self, values: &mut [f32], place: Place, registers: [F32s<Self>; 2]) {
        store_halves(Bf16x2::simd(self), values, place, registers);
    }

    #[inline(always)]
    fn load(self, row: &[u32], place: Place) -> [F32s<Self>; 2] {
        let simd = Bf16x2::simd(self);
        unpack(simd, load_bf16x2(simd, row, place.lane))
    }

    #[inline(always)]
    fn store(self, row: &mut [u32], place: Place, [low, high]: [F32s<Self>; 2]) {
        store_bf16x2(Bf16x2::simd(self), row, place.lane, self.pack(low, high));
    }

    /// The row pair is padded, see [`crate::bf16::rows`].
    #[inline(always)]
    fn store_row_pair(
        self,
        row_pair: &mut [u32],
        _: usize,
        place: Place,
        [first, second]: [[F32s<Self>; 2]; 2],
    ) {
        let simd = Bf16x2::simd(self);
        let [low, high] = place.columns;
        store_bf16x2(simd, &mut row_pair[..place.end_of_low], low, self.pack(first[0], second[0]));
        store_bf16x2(simd, row_pair, high, self.pack(first[1], second[1]));
    }

    #[inline(always)]
    fn gelu(self, x: F32s<Self>) -> F32s<Self> {
        gelu::gelu(Bf16x2::simd(self), x)
    }

    #[inline(always)]
    fn gelu_and_derivative(self, x: F32s<Self>) -> (F32s<Self>, F32s<Self>) {
        gelu::gelu_and_derivative(Bf16x2::simd(self), x)
    }
}

/// A kernel on bf16x2 lanes, for [`crate::bf16::implementation::Bf16::dispatch`].
pub(crate) struct OnBf16x2<W>(pub(crate) W);

impl<W: WithStorage<u32>> WithBf16x2 for OnBf16x2<W> {
    type Output = ();

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) {
        self.0.with_storage(ops);
    }
}
