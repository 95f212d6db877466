"""Fits the polynomial p in src/gelu.rs: 1 - Phi(a) = (1/2) / p(a)^16 for a >= 0.

    python fits/gelu.py        # needs numpy and scipy; prints p and the errors in f32

p(0) = 1. Minimises the maximum error of a (1 - Phi(a)) by iteratively reweighted Gauss-Newton (Lawson's
method). The form is that of Abramowitz and Stegun 7.1.28, for other
weights.
"""

import numpy as np
from scipy.special import ndtr

DEGREE = 6
POWER = 16
END = 7.0
POINTS = 1500
ROUNDS = 400


def fit():
    a = (np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS) + 1) / 2 * END
    tail = ndtr(-a)
    powers = np.vander(a / END, DEGREE + 1, increasing=True)[:, 1:]
    weights = np.ones(POINTS)
    # A start: the root of the inverse, where it can be seen.
    near = a < 4
    coefficients, *_ = np.linalg.lstsq(powers[near], (0.5 / tail[near]) ** (1 / POWER) - 1, rcond=None)
    best = (np.inf, coefficients)
    for _ in range(ROUNDS):
        p = 1 + powers @ coefficients
        errors = a * (0.5 * p**-POWER - tail)
        if np.abs(errors).max() < best[0]:
            best = (np.abs(errors).max(), coefficients)
        slope = (a * -0.5 * POWER * p ** (-POWER - 1))[:, None] * powers
        root = np.sqrt(weights)
        step, *_ = np.linalg.lstsq(slope * root[:, None], -errors * root, rcond=None)
        coefficients = coefficients + step
        weights *= (np.abs(errors) / np.abs(errors).max() + 1e-9) ** 0.3
        weights /= weights.mean()
    print(f"error of the fit {best[0]:.1e}")
    return np.concatenate([[1], best[1] / END ** np.arange(1, DEGREE + 1)])


def in_f32(p, x, fused):
    """GELU as the kernel computes it, with multiply-adds rounded once or twice."""
    f32 = np.float32

    def multiply_add(a, b, c):
        if fused:
            return (a.astype(np.float64) * b.astype(np.float64) + np.float64(c)).astype(f32)
        return a * b + f32(c)

    x = x.astype(f32)
    a = np.abs(x)
    value = np.full_like(a, f32(p[-1]))
    with np.errstate(over="ignore"):
        for coefficient in p[-2::-1]:
            value = multiply_add(value, a, coefficient)
        for _ in range(4):
            value = value * value
        return multiply_add(-a, f32(0.5) / value, np.maximum(x, 0))


def main():
    p = fit()
    print("p", [str(np.float32(value)) for value in p])
    x = np.concatenate([np.linspace(-10, 10, 1_600_001), [-1e3, -1e30]])
    exact = x.astype(np.float32).astype(np.float64)
    for fused in (True, False):
        gelu = in_f32(p, x, fused)
        error = np.abs(gelu.astype(np.float64) - exact * ndtr(exact))
        print(f"fused {fused}: error of GELU {error.max():.2e} at {exact[error.argmax()]:.2f}")


if __name__ == "__main__":
    main()
