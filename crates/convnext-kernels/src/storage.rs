//! Storage of activations around the GEMMs, as a parameter: f32 as they are, or bf16x2 lanes, and the accuracy
//! of GELU that it deserves.

use bytemuck::Pod;
use pulp::{Simd, WithSimd};

use crate::gelu;
use crate::registers::{Place, Registers, bf16x2_count, load_halves, neighbouring_registers, store_halves};

/// An element of stored rows: an f32 value, or a bf16x2 lane.
pub(crate) trait Lane: Pod + Send + Sync {
    /// Lanes of a row of so many columns.
    fn count(columns: usize) -> usize;
}

impl Lane for f32 {
    #[inline(always)]
    fn count(columns: usize) -> usize {
        columns
    }
}

impl Lane for u32 {
    #[inline(always)]
    fn count(columns: usize) -> usize {
        bf16x2_count(columns)
    }
}

/// A register of f32 values.
pub(crate) type F32s<S> = <<S as Storage>::Simd as Simd>::f32s;

/// SIMD operations on stored rows, two registers of f32 values at a time.
pub(crate) trait Storage: Copy {
    type Simd: Simd;
    type Lane: Lane;

    fn simd(self) -> Self::Simd;

    /// The registers of a row of so many columns.
    fn places(columns: usize) -> Registers;

    /// Loads f32 values that belong to the columns of a place.
    fn load_f32(self, values: &[f32], place: Place) -> [F32s<Self>; 2];

    /// Stores f32 values that belong to the columns of a place.
    fn store_f32(self, values: &mut [f32], place: Place, registers: [F32s<Self>; 2]);

    /// Loads the values at a place of a row.
    fn load(self, row: &[Self::Lane], place: Place) -> [F32s<Self>; 2];

    /// Stores values at a place of a row.
    fn store(self, row: &mut [Self::Lane], place: Place, values: [F32s<Self>; 2]);

    /// Stores values of two neighbouring rows of so many columns, as a weight gradient reads them. The last
    /// row of a segment may have no second one.
    fn store_row_pair(
        self,
        row_pair: &mut [Self::Lane],
        columns: usize,
        place: Place,
        values: [[F32s<Self>; 2]; 2],
    );

    /// GELU(x).
    fn gelu(self, x: F32s<Self>) -> F32s<Self>;

    /// GELU(x) and its derivative.
    fn gelu_and_derivative(self, x: F32s<Self>) -> (F32s<Self>, F32s<Self>);
}

/// A kernel on stored rows.
pub(crate) trait WithStorage<L> {
    fn with_storage<S: Storage<Lane = L>>(self, storage: S);
}

/// f32 as they are, with exact GELU.
#[derive(Clone, Copy)]
pub(crate) struct Exact<S>(pub(crate) S);

impl<S: Simd> Storage for Exact<S> {
    type Simd = S;
    type Lane = f32;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn places(columns: usize) -> Registers {
        neighbouring_registers(columns, S::F32_LANES)
    }

    /// Checks the bounds of both registers at once.
    #[inline(always)]
    fn load_f32(self, values: &[f32], place: Place) -> [S::f32s; 2] {
        let [low, high] = place.columns;
        match S::as_simd_f32s(&values[low..]).0 {
            [first, second, ..] if high == low + S::F32_LANES => [*first, *second],
            _ => load_halves(self.0, values, place),
        }
    }

    #[inline(always)]
    fn store_f32(self, values: &mut [f32], place: Place, registers: [S::f32s; 2]) {
        let [low, high] = place.columns;
        match S::as_mut_simd_f32s(&mut values[low..]).0 {
            [first, second, ..] if high == low + S::F32_LANES => [*first, *second] = registers,
            _ => store_halves(self.0, values, place, registers),
        }
    }

    #[inline(always)]
    fn load(self, row: &[f32], place: Place) -> [S::f32s; 2] {
        self.load_f32(row, place)
    }

    #[inline(always)]
    fn store(self, row: &mut [f32], place: Place, values: [S::f32s; 2]) {
        self.store_f32(row, place, values);
    }

    #[inline(always)]
    fn store_row_pair(
        self,
        row_pair: &mut [f32],
        columns: usize,
        place: Place,
        [first, second]: [[S::f32s; 2]; 2],
    ) {
        let (row, next) = row_pair.split_at_mut(columns);
        self.store_f32(row, place, first);
        if !next.is_empty() {
            self.store_f32(next, place, second);
        }
    }

    #[inline(always)]
    fn gelu(self, x: S::f32s) -> S::f32s {
        gelu::gelu(self.0, x)
    }

    #[inline(always)]
    fn gelu_and_derivative(self, x: S::f32s) -> (S::f32s, S::f32s) {
        gelu::gelu_and_derivative(self.0, x)
    }
}

/// A kernel on f32 rows, for [`pulp::Arch::dispatch`].
pub(crate) struct OnExact<W>(pub(crate) W);

impl<W: WithStorage<f32>> WithSimd for OnExact<W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.with_storage(Exact(simd));
    }
}
