r"""Integers near real pixels that still carry W: the code, the lattice, and the search for its scale (T24).

Pixels are  v = low + step l  for integers l, and inputs  (v - mean) / std . W is carried iff it lies in the row space
of the inputs (about their mean, with an intercept). Let C = W X^+ be its coefficients, C X = W; integers L in the place
of the levels T = (v - low) / step lose at most |C (L - T)| step / std. Cn is C in coordinates of its left singular
vectors, divided by the geometric mean of its singular values: the lattice (z, S Cn z) has the volume S^q of one with
orthonormal rows, and spends it where W needs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.linalg import pseudo_inverse, svd
from analytic_dd.linalg.lattice import combination_lattice

__all__ = ["BLOCK", "Integers", "Pixels", "combinations", "integers_near", "lost", "rounded"]

BLOCK = 110  # images to a lattice: the reduction costs about m^4
_TRIALS = 8
_LARGEST = 1e12  # S: beyond, float64 cannot tell the lattice's planes apart
_MARGIN = {255: 5.0, 65535: 64.0}  # levels that are kept free at both ends to begin with
_BITS = 2.0**24  # of low and step, so that low + step * level has no rounding in float64


@dataclass(frozen=True)
class Pixels:
    """Inputs X (m, d) that are  (v - mean) / std  of pixels v, and whether W is fitted with an intercept."""

    X: np.ndarray
    mean: np.ndarray | float = 0.0
    std: np.ndarray | float = 1.0
    about_mean: bool = False

    @property
    def values(self) -> np.ndarray:
        """The pixels v."""
        return np.asarray(self.X * self.std + self.mean)

    def inputs(self, values: np.ndarray) -> np.ndarray:
        """Return the inputs of other pixels."""
        return np.asarray((values - self.mean) / self.std)

    def centred(self, X: np.ndarray) -> np.ndarray:
        """Return what spans the rows that can carry W."""
        return X - X.mean(axis=0) if self.about_mean else X


@dataclass(frozen=True)
class Integers:
    """Levels (m, d) of one scale, with the error of W and the largest change."""

    levels: np.ndarray = field(repr=False)  # (m, d) float64 of integers
    low: float
    step: float
    error: float  # |W (I - X^+ X)| / |W| of the inputs of these levels
    largest: float  # largest distance of a level from the real one
    scale: float  # S; 0 where plain rounding is enough
    rounding_error: float = math.nan  # what plain rounding to the same levels would miss

    @property
    def values(self) -> np.ndarray:
        """The pixels low + step * level."""
        return np.asarray(self.low + self.step * self.levels)

    def facts(self) -> dict[str, float]:
        """Return everything but the levels."""
        names = ("low", "step", "error", "rounding_error", "scale")
        return {name: getattr(self, name) for name in names} | {"largest_change": self.largest}

    def beyond(self, top: int) -> float:
        """By how many levels the worst is outside of 0 .. top."""
        return max(float(-self.levels.min()), float(self.levels.max() - top), 0.0)


def lost(W: np.ndarray, X: np.ndarray) -> float:
    """Return |W (I - X^+ X)| / |W|."""
    _, s, Vt = svd(X)
    kept = Vt[s > max(X.shape) * 2.0**-52 * s[0]]
    return float(np.linalg.norm(W - (W @ kept.T) @ kept) / np.linalg.norm(W))


def combinations(W: np.ndarray, X: np.ndarray, *, weighted: bool = True) -> np.ndarray:
    """Return rows Cn (q, m) that span the rows of W X^+, orthogonal and of product 1.

    ``weighted``: their lengths are in the proportion of its singular values; else all are 1.
    """
    _, s, Vt = svd(W @ pseudo_inverse(X, rcond=1e-15))
    q, m = int(np.sum(s > max(W.shape) * 2.0**-52 * s[0])), len(X)
    if m <= q:
        raise InfeasibleError(
            f"T24: integers carry W in more points than its rank {q}, got {m}; take {max(2 * q, q + 8)} points or more",
            theorem="T24",
            value=m,
            limit=q + 1,
        )
    lengths = s[:q] / np.exp(np.mean(np.log(s[:q]))) if weighted else np.ones(q)
    return np.asarray(lengths[:, None] * Vt[:q])


def integers_near(
    W: np.ndarray,
    pixels: Pixels,
    *,
    top: int,
    wanted: float = 0.0,
    most: float = math.inf,
    code: tuple[float, float] | None = None,
    weighted: bool = True,
) -> Integers:
    """Return integers 0 .. top near the pixels that carry W with the wanted error, or with changes of at most ``most``.

    Raises
    ------
    InfeasibleError
        No more points than rank W; no scale reaches the error (the change).
    InfeasibleError
        The levels do not hold the changes that the error takes.
    RangeError
        A level outside 0 .. top with the given code.
    """
    Cn = combinations(W, pixels.centred(pixels.X), weighted=weighted)
    margin = _MARGIN[top]
    low, step = _code(pixels.values, top, margin) if code is None else code
    plain = rounded(W, pixels, low, step)
    if plain.error <= wanted and plain.beyond(top) == 0.0:  # so many images that their rows span the pixels
        return plain
    found = _searched(W, pixels, Cn, low, step, wanted, most)
    for _ in range(_TRIALS):
        if code is not None or found.beyond(top) == 0.0:
            break
        margin += 1.25 * found.beyond(top) + 1.0
        low, step = _code(pixels.values, top, margin)
        found = _searched(W, pixels, Cn, low, step, wanted, most)
    if found.beyond(top) > 0.0 and code is None:
        raise InfeasibleError(
            f"T24: {top + 1} levels do not hold the changes of up to {found.largest:.3g} that this error takes in "
            f"{len(pixels.X)} images; take more images, bits=16, or a larger error",
            theorem="T24",
            value=found.largest,
            limit=float(top),
        )
    if found.beyond(top) > 0.0:
        raise RangeError(
            f"levels must lie in 0 .. {top}, got {found.levels.min():g} .. {found.levels.max():g} with low = {low:g}, "
            f"step = {step:g}; take a code with a margin (clipping would lose W)"
        )
    return replace(found, rounding_error=rounded(W, pixels, low, step).error)


def rounded(W: np.ndarray, pixels: Pixels, low: float, step: float) -> Integers:
    """Return the levels that are nearest, pixel by pixel: plain rounding."""
    levels = np.rint((pixels.values - low) / step)
    error = lost(W, pixels.centred(pixels.inputs(low + step * levels)))
    largest = float(np.max(np.abs(levels - (pixels.values - low) / step)))
    return Integers(levels, low, step, error, largest, scale=0.0, rounding_error=error)


def _code(values: np.ndarray, top: int, margin: float) -> tuple[float, float]:
    """Low and step for which the pixels have the levels margin .. top - margin, or a little inside of them."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        raise ValueError("all pixels are equal: there is no range to code; pass code=(low, step)")
    kept = min(margin, top / 4.0)
    step = (high - low) / (top - 2.0 * kept)
    unit = 2.0 ** math.floor(math.log2(step)) / _BITS
    step = unit * math.ceil(step / unit)
    unit = 2.0 ** math.floor(math.log2(max(abs(low), step))) / _BITS
    return unit * math.floor((low - kept * step) / unit), step


def _searched(
    W: np.ndarray, pixels: Pixels, Cn: np.ndarray, low: float, step: float, wanted: float, most: float
) -> Integers:
    """Return the least S with the wanted error, or the largest whose changes are small enough, by the law of T24."""
    exponent = 1.0 - len(Cn) / len(pixels.X)

    def at(scale: float) -> Integers:
        return _at_scale(W, pixels, Cn, low, step, scale)

    if wanted > 0.0:
        scale = wanted ** (-1.0 / exponent)
        for _ in range(_TRIALS):
            found = at(min(scale, _LARGEST))
            if found.error <= wanted:
                return found
            if scale >= _LARGEST:
                break
            scale *= (2.0 * found.error / wanted) ** (1.0 / exponent)
        raise InfeasibleError(
            f"T24: integers must carry W to {wanted:.1e}, got {found.error:.1e} at the largest scale, with changes of "
            f"{found.largest:.3g} levels; take more images, bits=16, or a larger error",
            theorem="T24",
            value=found.error,
            limit=wanted,
        )
    best, lower, upper = at(1.0), 0.0, math.log(_LARGEST)
    least = best
    for _ in range(_TRIALS):
        middle = 0.5 * (lower + upper)
        found = at(math.exp(middle))
        if found.largest <= most:
            best = found if found.error < best.error or best.largest > most else best
            lower = middle
        else:
            upper = middle
    if best.largest > most:
        raise InfeasibleError(
            f"T24: changes of at most {most:g} levels are wanted, the lattice needs {least.largest:.3g}; allow more",
            theorem="T24",
            value=least.largest,
            limit=most,
        )
    return best


def _at_scale(W: np.ndarray, pixels: Pixels, Cn: np.ndarray, low: float, step: float, scale: float) -> Integers:
    """Return integers for one S; the target of each block of images holds what the blocks before it missed."""
    target = (pixels.values - low) / step
    levels = np.zeros_like(target)
    count = -(-len(target) // max(BLOCK, 2 * len(Cn)))
    missed = np.zeros((len(Cn), target.shape[1]))
    for block in (slice(start, None, count) for start in range(count)):
        C = Cn[:, block]
        wanted = C @ target[block] + missed
        levels[block] = combination_lattice(C, scale).nearest(target[block], wanted)
        missed = wanted - C @ levels[block]
    largest = float(np.max(np.abs(levels - target)))
    error = lost(W, pixels.centred(pixels.inputs(low + step * levels)))
    return Integers(levels, low, step, error, largest, float(scale))
