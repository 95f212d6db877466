//! A box as its deltas from another one, which is what the heads learn (Girshick et al. 2014).
//!
//! As `DeltaXYWHBBoxCoder` of mmdet 3.3 (Apache-2.0).

use convnext_core::BoundingBox;

/// Side of an object over that of its anchor at the least; the most is its inverse.
pub(crate) const MIN_SIDE_RATIO: f64 = 16.0 / 1000.0;

/// The standard deviations that deltas are divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxCoder {
    /// Of x, y, the logarithms of width and height.
    pub deviations: [f64; 4],
}

impl BoxCoder {
    /// The coder of anchors.
    pub const ANCHORS: Self = Self { deviations: [1.0; 4] };

    /// The coder of the box head's regions.
    pub const REGIONS: Self = Self { deviations: [0.1, 0.1, 0.2, 0.2] };

    /// The deltas from `base` to `target`: of the centres in sides of `base`, and the logarithms of the
    /// ratios of the sides. Both boxes must have an area.
    pub fn encode(&self, base: &BoundingBox, target: &BoundingBox) -> [f64; 4] {
        let ([x, y], [target_x, target_y]) = (centre(base), centre(target));
        let deltas = [
            (target_x - x) / base.width(),
            (target_y - y) / base.height(),
            (target.width() / base.width()).ln(),
            (target.height() / base.height()).ln(),
        ];
        std::array::from_fn(|at| deltas[at] / self.deviations[at])
    }

    /// The box at these deltas from `base`. Sides change by no more than a factor of 62.5.
    pub fn decode(&self, base: &BoundingBox, deltas: [f64; 4]) -> BoundingBox {
        let limit = MIN_SIDE_RATIO.ln().abs();
        let [x, y, width, height]: [f64; 4] = std::array::from_fn(|at| deltas[at] * self.deviations[at]);
        let [base_x, base_y] = centre(base);
        let [x, y] = [base_x + base.width() * x, base_y + base.height() * y];
        let half_width = 0.5 * (base.width() * width.clamp(-limit, limit).exp());
        let half_height = 0.5 * (base.height() * height.clamp(-limit, limit).exp());
        BoundingBox {
            left: x - half_width,
            top: y - half_height,
            right: x + half_width,
            bottom: y + half_height,
        }
    }
}

/// The middle of a box.
fn centre(of: &BoundingBox) -> [f64; 2] {
    [(of.left + of.right) * 0.5, (of.top + of.bottom) * 0.5]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_comes_back_from_its_deltas() {
        let base = BoundingBox { left: 2.0, top: -3.0, right: 10.0, bottom: 7.0 };
        let target = BoundingBox { left: 4.5, top: 1.0, right: 5.5, bottom: 21.0 };
        for coder in [BoxCoder::ANCHORS, BoxCoder::REGIONS] {
            let found = coder.decode(&base, coder.encode(&base, &target)).edges();
            for (found, expected) in found.iter().zip(target.edges()) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
        assert_eq!(BoxCoder::REGIONS.encode(&base, &base), [0.0; 4]);
        let largest = BoxCoder::ANCHORS.decode(&base, [0.0, 0.0, 9.0, -9.0]);
        assert!((largest.width() - 500.0).abs() < 1e-9, "{largest:?}");
        assert!((largest.height() - 0.16).abs() < 1e-9, "{largest:?}");
    }
}
