r"""The original model of a loss (T18): the minimiser over all samples, and its ridge from samples that are held out.

    sum_i w_i (A(z_i) - y_i.z_i) + ridge / 2 |W|^2,    z_i = W phi_i + b

Newton's method reads the samples about a hundred times, so their features are kept where they fit into 2 GiB, and
mapped again in every pass where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.arrays import in_double, to_numpy
from analytic_dd.losses import GLMWeights, Loss, as_loss, stream_glm_weights
from analytic_dd.model.stream import FeatureStream
from analytic_dd.ridge import RidgeChoice, require_scale
from analytic_dd.ridge.choice import choose

__all__ = ["LossFit", "Moments", "fit_loss"]

_KEPT_BYTES = 2 * 2**30  # of features in float64
_HELD_OUT = 0.2  # of the samples that take part in the choice of the ridge
_RIDGES = np.geomspace(1e-8, 1e-1, 15)  # times the trace of the Gram matrix: two a decade
_ROUGHLY = 1e-2  # relative length of the last step while ridges are compared
_WORSE = 4  # ridges in a row, two decades, that are worse than the best: smaller ones are not tried

Blocks = Callable[[], Iterable[tuple[Any, ...]]]


@dataclass(frozen=True)
class Moments:
    """Weighted means and sums of squares of features and labels: what is kept of the data beside the model."""

    n: int
    p: int
    k: int
    weight: float  # the sum of the sample weights
    mean_phi: np.ndarray  # (p,)
    mean_y: np.ndarray  # (k,)
    squares: np.ndarray  # (p,): the diagonal of the Gram matrix

    @property
    def trace(self) -> float:
        """The trace of the Gram matrix."""
        return float(np.sum(self.squares))

    def centred(self) -> Moments:
        """Return the moments of features and labels about their means."""
        squares = np.maximum(self.squares - self.weight * self.mean_phi**2, 0.0)
        return replace(self, squares=squares, mean_phi=0.0 * self.mean_phi, mean_y=0.0 * self.mean_y)


@dataclass(frozen=True)
class LossFit:
    """The minimiser of a loss on a stream, its ridge, how that was chosen (None: it was given), and the moments."""

    minimiser: GLMWeights
    ridge: float
    choice: RidgeChoice | None
    moments: Moments
    loss: str

    @property
    def reason(self) -> str:
        """How far the solver came, in one line."""
        found = self.minimiser
        return f"{found.solver} on the {self.loss} loss: gradient {found.gradient:.1e} after {found.passes} passes"


def fit_loss(
    stream: FeatureStream,
    *,
    loss: str,
    ridge: float | str | None,
    intercept: bool,
    samples: int,
    rng: np.random.Generator,
) -> LossFit:
    """Fit the penalised loss on all samples of a stream.

    Theorem: T18 (the original model).

    Parameters
    ----------
    stream : FeatureStream
    loss : {"softmax", "logistic", "poisson", "squared"}
    ridge : float or "validation"
        Absolute, or chosen: the models of up to 15 ridges on four fifths of at most ``samples`` samples are scored on
        the last fifth, by accuracy for classes and by the loss for outputs; ties go to the larger ridge. Each starts
        at the model of the ridge above it; the path ends where four ridges in a row are worse than the best.
    intercept : bool
    samples : int
    rng : numpy.random.Generator
        Draws the samples that take part in the choice.

    Raises
    ------
    InfeasibleError
        T18e: ridge = 0 and samples that are separated; an intercept for a class that no sample has.
    ValueError
        Labels that are no data of the loss; classes for a loss of counts; features whose squares are no numbers.
    """
    source, model = stream.source, as_loss(loss)
    if source.classified and loss == "poisson":
        raise ValueError("loss='poisson' is for counts, got classes; use loss='softmax', or give counts as floats")
    with stream.clock.rest_of("moments"), np.errstate(over="ignore", invalid="ignore"):  # no number is refused below
        blocks, moments = _kept(stream, model)
    require_scale(moments, moments, "validation" if ridge is None else ridge)
    choice = start = None
    if isinstance(ridge, str):
        with stream.clock.rest_of("choice"):
            choice, start = _choose(stream, model, intercept=intercept, samples=samples, rng=rng)
        ridge = choice.ridge
    assert ridge is not None
    with stream.clock.rest_of("solve"):
        found = stream_glm_weights(blocks, loss=model, ridge=ridge, intercept=intercept, start=start)
    return LossFit(found, float(ridge), choice, moments, loss)


def _kept(stream: FeatureStream, loss: Loss) -> tuple[Blocks, Moments]:
    """Return the blocks for many passes, and the moments; labels that are no data are refused at once."""
    fits = 8 * stream.source.n * stream.feature_map.p <= _KEPT_BYTES
    kept: list[tuple[Any, ...]] = []
    n, totals = 0, np.zeros(2 * stream.feature_map.p + stream.source.k + 1)
    for Phi, Y, *weights in stream.blocks(stage="features"):
        loss.require_targets(in_double(Y), first=n)
        F, T = (np.asarray(to_numpy(A), dtype=np.float64) for A in (Phi, Y))
        w = np.asarray(to_numpy(weights[0])) if weights else np.ones(len(F))
        totals += np.concatenate([w @ F, w @ F**2, w @ T, [w.sum()]])
        n += len(F)
        if fits:
            kept.append((_own(Phi), Y, *weights))
    p, weight = stream.feature_map.p, float(totals[-1])
    phi, squares, y = totals[:p], totals[p : 2 * p], totals[2 * p : -1]
    moments = Moments(n, p, len(y), weight, phi / weight, y / weight, squares)
    return (lambda: kept) if fits else stream.blocks, moments


def _own(Phi: Any) -> Any:
    """Copy a block, because the next one may reuse its memory."""
    return Phi.copy() if isinstance(Phi, np.ndarray) else Phi


def _choose(
    stream: FeatureStream, loss: Loss, *, intercept: bool, samples: int, rng: np.random.Generator
) -> tuple[RidgeChoice, GLMWeights]:
    """Score the ridges of a grid on samples that are held out, from the largest down to where scores get worse.

    The model of the best one comes along: the fit to all samples starts there.
    """
    rows = rng.permutation(stream.source.n)[:samples]
    held_out = _held_out(rows, stream.source.groups[rows])
    if not len(held_out):
        raise ValueError(
            "ridge='validation' holds a fifth of the samples of each class out, and no class has enough; give the "
            "ridge as a number"
        )
    train, test = (_drawn(stream, np.sort(some)) for some in (np.setdiff1d(rows, held_out), held_out))
    trace = sum(float(np.sum(to_numpy(block[0]) ** 2)) for block in train)
    scoring = "accuracy" if stream.source.classified else f"{loss.name} loss"
    ridges, scores, sign = (trace or 1.0) * _RIDGES, [], 1.0 if scoring == "accuracy" else -1.0
    found: list[GLMWeights] = []
    for ridge in ridges[::-1]:
        start = found[-1] if found else None
        found.append(
            stream_glm_weights(train, loss=loss, ridge=float(ridge), intercept=intercept, start=start, settled=_ROUGHLY)
        )
        scores.append(_score(loss, found[-1], test, scoring))
        if len(scores) > _WORSE and max(sign * one for one in scores[-_WORSE:]) < max(sign * one for one in scores):
            break
    ridges, scored = ridges[-len(scores) :], np.array(scores[::-1])
    choice = choose(ridges, scored, criterion="validation", scoring=scoring, samples=len(held_out))
    return choice, found[::-1][int(np.flatnonzero(ridges == choice.ridge)[0])]


def _held_out(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return a fifth of each class, so that none is left out of the fit."""
    found = [rows[groups == group] for group in np.unique(groups)]
    return np.concatenate([some[: round(_HELD_OUT * len(some))] for some in found])


def _drawn(stream: FeatureStream, rows: np.ndarray) -> list[tuple[Any, ...]]:
    return [(_own(Phi), *rest) for Phi, *rest in stream.blocks(rows)]


def _score(loss: Loss, model: GLMWeights, blocks: list[tuple[Any, ...]], scoring: str) -> float:
    """Return the weighted mean score of a model."""
    total, weight = 0.0, 0.0
    for Phi, Y, *weights in blocks:
        Z = in_double(Phi) @ model.weights.T
        Z = to_numpy(Z if model.intercept is None else Z + model.intercept[None, :])
        T = np.asarray(to_numpy(Y), dtype=np.float64)
        w = np.asarray(to_numpy(weights[0])) if weights else np.ones(len(T))
        right = T[np.arange(len(T)), Z.argmax(axis=1)] if scoring == "accuracy" else loss.value(Z, T)
        total, weight = total + float(w @ right), weight + float(w.sum())
    return total / weight
