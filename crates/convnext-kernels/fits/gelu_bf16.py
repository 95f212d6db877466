"""Fits the polynomials in src/bf16/gelu.rs: for |x| <= END, Phi(x) = 1/2 + x p(x^2) and GELU'(x) = 1/2 + x q(x^2).

    python fits/gelu_bf16.py        # needs numpy and scipy; prints p and q and the errors in f32

Beyond END both stay what they are there, and both are constrained to be exactly 1 and 0 at the ends.
Minimises the maximum error of GELU(x) = x Phi(x) and of GELU'(x) by linear programming.
"""

import numpy as np
from numpy.polynomial import Polynomial, chebyshev
from scipy.optimize import linprog
from scipy.special import ndtr

END = 4.2
POINTS = 4000


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def fit(function, terms, weight):
    x = END * np.cos(np.pi * (np.arange(POINTS) + 0.5) / (2 * POINTS))
    square = lambda x: 2 * (x / END) ** 2 - 1
    basis = lambda x: chebyshev.chebvander(square(x), terms - 1) * x[:, None]
    rows, wanted = basis(x) * weight(x)[:, None], (function(x) - 0.5) * weight(x)
    bound = np.ones((POINTS, 1))
    found = linprog(
        np.append(np.zeros(terms), 1),
        A_ub=np.block([[rows, -bound], [-rows, -bound]]),
        b_ub=np.concatenate([wanted, -wanted]),
        A_eq=np.append(basis(np.array([END]))[0], 0)[None, :],
        b_eq=[0.5],
        bounds=[(None, None)] * (terms + 1),
    )
    in_square = Polynomial(chebyshev.cheb2poly(found.x[:terms]))
    return in_square(Polynomial([-1, 2 / END**2])).coef.astype(np.float32)


def in_f32(coefficients, x):
    """1/2 + x p(x^2) as the kernel computes it, with multiply-adds rounded twice."""
    x = np.clip(x, np.float32(-END), np.float32(END))
    square, value = x * x, np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * square + coefficient
    return np.float32(0.5) + x * value


def main():
    x = np.linspace(-9, 9, 900_001).astype(np.float32)
    exact = x.astype(np.float64)
    p = fit(ndtr, 8, lambda x: np.maximum(x, 0.3))
    q = fit(lambda x: ndtr(x) + x * density(x), 9, np.ones_like)
    for name, coefficients in (("p", p), ("q", q)):
        print(name, [str(value) for value in coefficients])
    print(f"error of GELU {np.abs(x * in_f32(p, x) - exact * ndtr(exact)).max():.1e}")
    print(f"error of GELU' {np.abs(in_f32(q, x) - ndtr(exact) - exact * density(exact)).max():.1e}")


if __name__ == "__main__":
    main()
