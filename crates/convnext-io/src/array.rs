//! One tensor of a file: name, element type, shape, bytes.

use std::borrow::Cow;

use convnext_core::BATCH_COUNTER;

use crate::element_type::ElementType;
use crate::error::IoError;

/// A tensor as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedArray {
    /// Its name, such as `stages.0.0.dwconv.weight`.
    pub name: String,
    /// The format of its elements.
    pub element_type: ElementType,
    /// Its shape, slowest axis first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements in C order, little-endian.
    pub bytes: Vec<u8>,
}

/// A tensor to be written. Its bytes are asked for when their turn comes, so that a writer never holds
/// more than one tensor.
pub trait ArraySource {
    /// Its name.
    fn name(&self) -> &str;
    /// The format of its elements.
    fn element_type(&self) -> ElementType;
    /// Its shape, slowest axis first.
    fn shape(&self) -> &[usize];
    /// Its elements in C order, little-endian.
    fn bytes(&self) -> Cow<'_, [u8]>;
    /// Finds what can be found wrong before anything is written.
    ///
    /// # Errors
    /// [`IoError::InvalidArray`].
    fn check(&self) -> Result<(), IoError> {
        Ok(())
    }
}

impl ArraySource for NamedArray {
    fn name(&self) -> &str {
        &self.name
    }

    fn element_type(&self) -> ElementType {
        self.element_type
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn check(&self) -> Result<(), IoError> {
        self.check_length()
    }
}

impl NamedArray {
    /// An [`ElementType::F32`] array. A shape that does not fit the values is found by
    /// [`Self::to_f32`] and [`crate::write_weights`].
    pub fn from_f32(name: impl Into<String>, shape: impl Into<Vec<usize>>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.into(), element_type: ElementType::F32, shape: shape.into(), bytes }
    }

    /// A scalar of [`ElementType::I64`], of shape `[]`, as PyTorch's `num_batches_tracked`.
    pub fn from_i64(name: impl Into<String>, value: i64) -> Self {
        let bytes = value.to_le_bytes().to_vec();
        Self { name: name.into(), element_type: ElementType::I64, shape: Vec::new(), bytes }
    }

    /// The elements as `f32`: exact for the narrower types, rounded to nearest from `f64`
    /// (values beyond the range of `f32` become infinite).
    ///
    /// # Errors
    /// [`IoError::InvalidArray`] when the bytes do not fit the shape, or are integers.
    pub fn to_f32(&self) -> Result<Vec<f32>, IoError> {
        self.check_length()?;
        self.check_float()?;
        Ok(match self.element_type {
            ElementType::F64 => self.convert(|bytes| f64::from_le_bytes(bytes) as f32),
            ElementType::F32 => self.convert(f32::from_le_bytes),
            ElementType::F16 => self.convert(|bytes| f16_to_f32(u16::from_le_bytes(bytes))),
            ElementType::Bf16 => {
                self.convert(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))
            }
            ElementType::I64 => unreachable!("integers were refused"),
        })
    }

    /// The one integer of a scalar, of shape `[]`, or of shape `[1]` as other programs write it.
    ///
    /// # Errors
    /// [`IoError::InvalidArray`] when the bytes do not fit the shape, or are something else.
    pub fn to_i64(&self) -> Result<i64, IoError> {
        self.check_length()?;
        match (self.element_type, <[u8; 8]>::try_from(self.bytes.as_slice())) {
            (ElementType::I64, Ok(bytes)) => Ok(i64::from_le_bytes(bytes)),
            (found, _) => {
                let why = format!(
                    "holds {found} of shape {:?} where one integer (I64) is needed; take the original file",
                    self.shape
                );
                Err(IoError::InvalidArray { name: self.name.clone(), why })
            }
        }
    }

    /// `true` for what only counts in a network: the batches that a batch norm has seen.
    pub(crate) fn is_counter(&self) -> bool {
        self.name.rsplit('.').next() == Some(BATCH_COUNTER)
    }

    /// Refuses what its name does not let expect: integers anywhere but in a counter, and anything else in one.
    ///
    /// # Errors
    /// [`IoError::InvalidArray`] with the name.
    pub(crate) fn check_kind(&self) -> Result<(), IoError> {
        if self.is_counter() { self.to_i64().map(drop) } else { self.check_float() }
    }

    /// Refuses integers, where only floating-point numbers make sense.
    ///
    /// # Errors
    /// [`IoError::InvalidArray`] with the name.
    pub fn check_float(&self) -> Result<(), IoError> {
        if self.element_type.is_float() {
            return Ok(());
        }
        let why = format!(
            "holds integers ({}) where floating-point numbers are needed; convert it to F32, F64, F16 or BF16",
            self.element_type
        );
        Err(IoError::InvalidArray { name: self.name.clone(), why })
    }

    /// Checks that the bytes are exactly those of the shape.
    pub(crate) fn check_length(&self) -> Result<(), IoError> {
        let expected =
            (self.shape.iter()).try_fold(self.element_type.size(), |size, &side| size.checked_mul(side));
        if expected == Some(self.bytes.len()) {
            return Ok(());
        }
        Err(IoError::InvalidArray {
            name: self.name.clone(),
            why: format!(
                "{} bytes do not make the shape {:?} of {}",
                self.bytes.len(),
                self.shape,
                self.element_type
            ),
        })
    }

    fn convert<const SIZE: usize>(&self, from_bytes: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
        let (elements, _) = self.bytes.as_chunks::<SIZE>();
        elements.iter().map(|&bytes| from_bytes(bytes)).collect()
    }
}

/// Every half-precision number is a single-precision number, so this is exact.
fn f16_to_f32(bits: u16) -> f32 {
    let exponent = u32::from(bits >> 10) & 0x1f;
    let mantissa = u32::from(bits) & 0x3ff;
    let power_of_two = |exponent: u32| f32::from_bits((exponent + 102) << 23); // 2^(exponent - 25)
    let magnitude = match exponent {
        0 => mantissa as f32 * power_of_two(1),
        31 => f32::from_bits(0x7f80_0000 | mantissa << 13),
        _ => (1024 + mantissa) as f32 * power_of_two(exponent),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(element_type: ElementType, bytes: &[u8]) -> NamedArray {
        let shape = vec![bytes.len() / element_type.size()];
        NamedArray { name: "x".into(), element_type, shape, bytes: bytes.to_vec() }
    }

    #[test]
    fn f32_is_unchanged() {
        let values = [0.0, -0.0, 1.5, f32::MIN_POSITIVE / 2.0, f32::MAX, f32::NEG_INFINITY];
        let back = NamedArray::from_f32("x", [2, 3], &values).to_f32().unwrap();
        assert_eq!(back.map_bits(), values.to_vec().map_bits());
    }

    #[test]
    fn other_types_are_converted() {
        let f64_bytes: Vec<u8> = [0.1_f64, -3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(array(ElementType::F64, &f64_bytes).to_f32().unwrap(), [0.1_f32, -3.0]);
        assert_eq!(array(ElementType::Bf16, &[0x80, 0x3f, 0x49, 0xc0]).to_f32().unwrap(), [1.0, -3.140_625]);
        assert_eq!(array(ElementType::F16, &[0x00, 0x3c, 0x48, 0xc2]).to_f32().unwrap(), [1.0, -3.140_625]);
    }

    #[test]
    fn integers_are_exact_and_no_floats() {
        for value in [0, -1, (1 << 24) + 1, (1 << 53) + 1, i64::MIN, i64::MAX] {
            let scalar = NamedArray::from_i64("seen", value);
            assert_eq!((scalar.to_i64().unwrap(), scalar.shape.as_slice()), (value, &[][..]));
            assert_eq!(NamedArray { shape: vec![1], ..scalar.clone() }.to_i64().unwrap(), value);
            let message = scalar.to_f32().unwrap_err().to_string();
            assert!(message.contains("tensor seen: holds integers (I64)"), "{message}");
        }
        for other in [
            array(ElementType::I64, &[0; 16]),
            array(ElementType::I64, &[]),
            array(ElementType::F64, &[0; 8]),
            NamedArray { shape: vec![2], ..NamedArray::from_i64("x", 7) },
        ] {
            let message = other.to_i64().unwrap_err().to_string();
            assert!(message.contains("tensor x: "), "{message}");
        }
    }

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x0001, 2.0_f32.powi(-24)),
            (0x03ff, 1023.0 * 2.0_f32.powi(-24)),
            (0x0400, 2.0_f32.powi(-14)),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(f16_to_f32(bits).to_bits(), value.to_bits(), "{bits:#06x}");
            assert_eq!(f16_to_f32(bits | 0x8000).to_bits(), (-value).to_bits(), "-{bits:#06x}");
        }
        assert!((0x7c01..0x8000).all(|bits| f16_to_f32(bits).is_nan()));
        let finite: Vec<f32> = (0..=0x7c00).map(f16_to_f32).collect();
        assert!(finite.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn bytes_must_fit_the_shape() {
        for shape in [vec![3], vec![], vec![usize::MAX, 2]] {
            let message =
                NamedArray::from_f32("head.bias", shape, &[1.0, 2.0]).to_f32().unwrap_err().to_string();
            assert!(message.contains("head.bias") && message.contains("8 bytes"), "{message}");
        }
        assert_eq!(NamedArray::from_f32("scalar", [], &[2.0]).to_f32().unwrap(), [2.0]);
        assert!(NamedArray::from_f32("empty", [0, 5], &[]).to_f32().unwrap().is_empty());
    }

    trait MapBits {
        fn map_bits(self) -> Vec<u32>;
    }

    impl MapBits for Vec<f32> {
        fn map_bits(self) -> Vec<u32> {
            self.into_iter().map(f32::to_bits).collect()
        }
    }
}
