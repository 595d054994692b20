"""Random Fourier features, and where in the box their exact pre-images lie (T8a)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, cached_rows, eps_of, namespace
from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features.base import FeatureMap, Kind, draw_seed
from analytic_dd.features.ranges import Box, Circles, Open, RangeCheck, box_check
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.right_inverse import SquareInverse, nearest_solution, right_inverse, spectral_norm
from analytic_dd.features.sizes import Sizes, as_count
from analytic_dd.features.spectral import draw_frequencies, median_lengthscale

__all__ = ["RandomFourier"]

_CIRCLE_RTOL = 64  # times eps bounds the rounding of |(cos, sin)| = 1 after one division


@dataclass(frozen=True)
class FourierOptions(MapOptions):
    """What text may say of :class:`RandomFourier`."""

    p: int | None = option(None, "number of features; as many as inputs by default")
    lengthscale: float | str = option("median", "a number, or the median distance of training inputs")
    kernel: str = option("gaussian", "gaussian, laplace or matern")
    nu: float | None = option(None, "smoothness of the Matern kernel, 1.5 by default")
    form: str = option("cos", "cos or sincos")
    orthogonal: bool = option(False, "orthogonal frequencies: less variance, a better condition")

    def sizes(self, d: int, *, image_shape: tuple[int, ...]) -> Sizes:
        """Return the sizes of the map."""
        return RandomFourier.sizes(d=d, p=d if self.p is None else self.p, form=self.form)

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map."""
        if self.nu is not None and self.kernel != "matern":
            raise ValueError(
                f"nu is an option of kernel=matern, got nu={self.nu} with kernel={self.kernel}; leave one of them out"
            )
        lengthscale = self.lengthscale
        if lengthscale == "median":
            if sample is None:
                raise ValueError("lengthscale=median needs training inputs (sample=...); give a number, lengthscale=10")
            lengthscale = median_lengthscale(sample, rng=rng, kernel=self.kernel)
        elif isinstance(lengthscale, str):
            raise ValueError(f"lengthscale must be a number or median, got {lengthscale!r}")
        return RandomFourier(
            d,
            d if self.p is None else self.p,
            lengthscale=float(lengthscale),
            rng=rng,
            kernel=self.kernel,
            nu=1.5 if self.nu is None else self.nu,
            form=self.form,
            orthogonal=self.orthogonal,
        )


@register("rff", FourierOptions)
class RandomFourier(FeatureMap):
    """Random Fourier features of a shift-invariant kernel, with exact pre-images for p <= d.

        form="cos":      phi(x) = sqrt(2/p) cos(A x + b),            A (p, d), b uniform on [0, 2 pi)
        form="sincos":   phi(x) = sqrt(2/p) [cos(A x), sin(A x)],    A (p/2, d)

    phi(x).phi(y) has mean k(x - y) for rows of A drawn from the spectral law of k (Bochner).

    Theorem: T8a.

    Parameters
    ----------
    d, p : int
        Sizes of an input and of a feature vector; p is even for ``form="sincos"``.
    lengthscale : float
        l > 0 in the kernel, in units of the inputs; see :func:`analytic_dd.features.median_lengthscale`.
    kernel : {"gaussian", "laplace", "matern"}
        exp(-|x-y|_2^2 / (2 l^2)) has normal frequencies / l, and exp(-|x-y|_1 / l) has Cauchy ones / l in each
        coordinate. The Matern kernel of smoothness ``nu`` (exp(-|x-y|_2 / l) for 1/2) has those of a multivariate t
        with 2 nu degrees of freedom, / l.
    nu : float
        Smoothness of the Matern kernel, > 0.
    form : {"cos", "sincos"}
        The range of "cos" is the box |phi_i| <= sqrt(2/p), into which ``scale_into_range`` brings any features. The
        range of "sincos" is a product of circles, which scaling alone does not reach.
    orthogonal : bool
        Whether frequencies are orthogonal within blocks of d (Gaussian and Matern). The kernel is the same with less
        variance, and pre-images have a condition near 1 in place of 10^4.
    rng : numpy.random.Generator or int
        It draws the frequencies and phases; an integer is the seed itself.

    Raises
    ------
    ValueError
        An option is out of its range.

    Notes
    -----
    ``kind`` is "surjective" for "cos" with p <= d, onto the box, and otherwise "general". A pre-image solves A x = t
    with t_i = +-arccos(phi_i / sqrt(2/p)) + 2 pi j - b_i. Sign and period are those nearest to A x_ref (x_ref = 0 by
    default), and x is the solution nearest to x_ref.

    *Cost.* One QR of A^T at the first pre-image.
    *Numerics.* An error of eps |A| |x| in A x is at most sqrt(2/p) eps |A| |x| in the features, which is eps *
    condition() relative to features that fill the box.

    References
    ----------
    Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007 (both forms; Gaussian, Laplacian).
    Rasmussen, Williams, "Gaussian processes for machine learning", 2006, eq. 4.15 (the Matern spectral density).
    Yu, Suresh, Choromanski, Holtmann-Rice, Kumar, "Orthogonal random features", NIPS 2016.

    Examples
    --------
    >>> phi = RandomFourier(4, 3, lengthscale=2.0, rng=0)
    >>> Phi = np.array([[0.5, -0.8, 0.0]])
    >>> np.allclose(phi(phi.preimage(Phi)), Phi)
    True
    >>> phi.scale_into_range(np.array([[2.0, 0.0, 0.0]])) < math.sqrt(2 / 3) / 2
    True
    >>> phi.preimage(np.array([[2.0, 0.0, 0.0]]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.RangeError: features must lie in the range of rff: |phi_i| <= sqrt(2/p) = 0.816; row 0, column \
0 is outside by 1.18; scale features, labels and ridge together by scale_into_range(Phi) (ridge by its square)
    """

    def __init__(
        self,
        d: int,
        p: int,
        *,
        lengthscale: float,
        kernel: str = "gaussian",
        nu: float = 1.5,
        form: str = "cos",
        orthogonal: bool = False,
        rng: np.random.Generator | int,
    ) -> None:
        self.d, self.p = int(d), int(p)
        if self.d < 1 or self.p < 1:
            raise ValueError(f"sizes d and p must be >= 1, got {d} and {p}")
        if not 0.0 < lengthscale < math.inf:
            raise ValueError(f"lengthscale must be finite and > 0, got {lengthscale}; try median_lengthscale(X)")
        if form not in ("cos", "sincos"):
            raise ValueError(f"form must be cos or sincos, got {form!r}")
        if form == "sincos" and self.p % 2:
            raise ValueError(f"p must be even for form='sincos', got {p}; use {p + 1}")
        self.lengthscale, self.kernel, self.nu = float(lengthscale), kernel, float(nu)
        self.form, self.orthogonal, self.seed = form, bool(orthogonal), draw_seed(rng)
        stream, rows = self._stream(), self.p if form == "cos" else self.p // 2
        frequencies = draw_frequencies(rows, self.d, kernel=kernel, nu=self.nu, orthogonal=self.orthogonal, rng=stream)
        self._A = frequencies / self.lengthscale
        self._b = stream.uniform(0.0, 2 * np.pi, rows)
        self.kind: Kind = "surjective" if form == "cos" and self.p <= self.d else "general"

    @classmethod
    def sizes(cls, *, d: int, p: int, form: str = "cos", **options: Any) -> Sizes:
        """Return d, p and the numbers of the frequencies and phases."""
        rows = as_count("p", p) // (2 if form == "sincos" else 1)
        return Sizes(as_count("d", d), p, rows * (d + 1))

    @property
    def radius(self) -> float:
        """sqrt(2/p), the half side of the box and the radius of the circles."""
        return math.sqrt(2.0 / self.p)

    def _map(self, X: Array) -> Array:
        xp = namespace(X)
        T = X @ self._like(X, self._A).T
        if self.form == "cos" and isinstance(T, np.ndarray):
            b = self._like(X, self._b)
            for rows in cached_rows(T):
                T[rows] += b
                np.cos(T[rows], out=T[rows])
                T[rows] *= self.radius
            return T
        if self.form == "cos":
            return xp.cos(T + self._like(X, self._b)) * self.radius
        return xp.concat([xp.cos(T), xp.sin(T)], axis=1) * self.radius

    @property
    def range(self) -> Box | Circles | Open:
        """The box or the circles; with more frequencies than inputs it has no closed form."""
        if len(self._A) > self.d:
            return Open(self.p, f"{len(self._A)} frequencies of {self.d} inputs")
        if self.form == "sincos":
            return Circles(self.p, self.radius)
        return Box(self.p, -self.radius, self.radius, f"|phi_i| <= sqrt(2/p) = {self.radius:.3g}")

    def _jvp(self, X: Array, V: Array) -> Array:
        return self._derivative(X, V @ self._like(V, self._A).T)

    def _vjp(self, X: Array, U: Array) -> Array:
        xp, T = namespace(X), self._angles(X)
        half = T.shape[1]
        S = -U[:, :half] * xp.sin(T)
        S = S if self.form == "cos" else S + U[:, half:] * xp.cos(T)
        return (self.radius * S) @ self._like(U, self._A)

    def _jacobian(self, x: Array) -> Array:
        return self._derivative(x, self._like(x, self._A).T).T

    def _angles(self, X: Array) -> Array:
        T = X @ self._like(X, self._A).T
        return T + self._like(X, self._b) if self.form == "cos" else T

    def _derivative(self, X: Array, dT: Array) -> Array:
        """Return the change of the features for a change dT of the angles."""
        xp, T = namespace(X), self._angles(X)
        down = -xp.sin(T) * dT
        return self.radius * (down if self.form == "cos" else xp.concat([down, xp.cos(T) * dT], axis=1))

    def in_range(self, Phi: Array) -> RangeCheck:
        """Say whether ``Phi`` is in the closed box, or on the circles to within 64 eps of their radius.

        Raises
        ------
        InfeasibleError
            With more frequencies than inputs the range has no closed form.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        self._refuse()
        xp = namespace(Phi)
        if self.form == "cos":
            reason = f"|phi_i| <= sqrt(2/p) = {self.radius:.3g}"
            return box_check((xp.abs(Phi / self.radius) - 1.0) * self.radius, reason, closed=True)
        rtol = _CIRCLE_RTOL * eps_of(Phi)
        reason = f"(phi_i, phi_(i + p/2)) on circles of radius {self.radius:.3g} to within {rtol * self.radius:.1g}"
        return box_check((xp.abs(self._radii(Phi) - 1.0) - rtol) * self.radius, reason, closed=True)

    def scale_into_range(self, Phi: Array) -> float:
        """Return the largest c <= 1 that brings ``Phi`` into the box, or pairs of one common radius onto the circles.

        Raises
        ------
        InfeasibleError
            There are more frequencies than inputs.
        RangeError
            The pairs of "sincos" have different radii, or smaller ones.
        """
        as_matrix(Phi, "Phi", columns=self.p)
        self._refuse()
        xp = namespace(Phi)
        if self.form == "cos":
            largest = float(xp.max(xp.abs(Phi))) / self.radius
            return 1.0 if largest <= 1.0 else (1.0 - 4 * eps_of(Phi)) / largest
        radii = self._radii(Phi)
        low, high = float(xp.min(radii)), float(xp.max(radii))
        rtol = _CIRCLE_RTOL * eps_of(Phi)
        if high - low <= rtol * high and low >= 1.0 - rtol:
            return min(1.0, 2.0 / (low + high))
        raise RangeError(
            f"pairs must have one common radius >= {self.radius:.3g} to be scaled onto the circles, got "
            f"{low * self.radius:.3g} to {high * self.radius:.3g}; use form='cos', or points whose features span (T10)"
        )

    def _radii(self, Phi: Array) -> Array:
        """Return the sizes of the pairs in units of the radius, (m, p/2)."""
        xp = namespace(Phi)
        half = self.p // 2
        return xp.hypot(Phi[:, :half], Phi[:, half:]) / self.radius

    def _refuse(self) -> None:
        rows = self._A.shape[0]
        if rows > self.d:
            raise InfeasibleError(
                f"exact pre-images need at most d = {self.d} frequencies (T8a), got {rows}; use p <= "
                f"{self.d if self.form == 'cos' else 2 * self.d}, or points whose features span the features (T10)",
                theorem="T8a",
                value=rows,
                limit=self.d,
            )

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        xp = namespace(Phi)
        A, P = self._like(Phi, self._A), self._like(Phi, self._inverse)
        turn = 2 * math.pi
        at = 0.0 if near is None else near @ A.T
        if self.form == "cos":
            b = self._like(Phi, self._b)
            angle = xp.acos(Phi / self.radius)
            up, down = (t + turn * xp.round((at - t) / turn) for t in (angle - b, -angle - b))
            T = xp.where(xp.abs(up - at) <= xp.abs(down - at), up, down)
        else:
            half = self.p // 2
            angle = xp.atan2(Phi[:, half:], Phi[:, :half])
            T = angle + turn * xp.round((at - angle) / turn)
        return nearest_solution(A, P, T, None if A.shape[0] == A.shape[1] else near)

    @cached_property
    def _inverse(self) -> np.ndarray | SquareInverse:
        """A^+."""
        return right_inverse(self._A, theorem="T8a")

    def flops(self) -> float:
        """Return 2 d p, or d p for "sincos", where each frequency makes two features."""
        return 2.0 * self._A.size

    def condition(self) -> float:
        """Return 2 pi |A| |A^+| (spectral norms), infinite for more frequencies than inputs.

        It is relative to features that fill the box, where an argument up to 2 pi has a cosine up to 1. Smaller
        features lose as many digits as they are smaller, and a reference far from 0 as many as A x_ref exceeds 2 pi.
        The usual error is far smaller for the very unequal frequencies of the Laplace kernel.
        """
        if self._A.shape[0] > self.d:
            return math.inf
        return 2 * math.pi * spectral_norm([self._A]) * spectral_norm([self._inverse])
