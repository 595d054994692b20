"""Stored sets that stand for all later samples, after such samples came or were forgotten (T23)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

import numpy as np

from analytic_dd.arrays import Array, as_matrix, eps_of, to_numpy
from analytic_dd.data import pixels
from analytic_dd.distill import future
from analytic_dd.distill.future import FutureSet
from analytic_dd.distill.spanning import describe
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.io import DistilledSet
from analytic_dd.judge.certificate import MEANINGFUL
from analytic_dd.linalg import singular_values, thin_svd

__all__ = ["update"]

# What meta says of the fit to the data before, and is not true of the new model
_OF_THE_FIT = ("certificate", "error_to_original", "ridge_choice", "solver_reason", "seconds")


@overload
def update(distilled: DistilledSet, Phi: Array, Y: Array, *, sign: int = 1) -> DistilledSet: ...
@overload
def update(distilled: FutureSet, Phi: Array, Y: Array, *, sign: int = 1) -> FutureSet: ...
def update(distilled: Any, Phi: Array, Y: Array, *, sign: int = 1) -> Any:
    r"""Return the set after new samples came (``sign=+1``) or samples of the data were forgotten (``sign=-1``).

    Of a :class:`FutureSet` see :func:`analytic_dd.distill.update`. A :class:`DistilledSet` of ``Future()`` or of
    ``--mode future`` comes back as another, whose points are pre-images under its map and whose certificate is new.

    Theorem: T23a, T23b (new samples), T23c (forgotten ones).

    Parameters
    ----------
    distilled : DistilledSet, or FutureSet
    Phi : (n, p) array
        Features in the subspace of the set: ``distilled.feature_map`` of inputs, which are  (x - mean) / std  for
        samples x in the data's units.
    Y : (n, k) array
        Labels as the set was made with: rows of 0 and 1 for classes. A FutureSet takes new classes too.
    sign : {+1, -1}

    Returns
    -------
    DistilledSet, or FutureSet
        As it came. ``meta["updates"]`` lists the samples and signs of each update.

    Raises
    ------
    InfeasibleError
        T23b: features outside of the subspace. T23c: samples to be forgotten that the data cannot hold.
    TypeError
        The set has no subspace: it is of another construction, or stored by an older version.
        A DistilledSet whose ridge is so small that rounding leaves less than six digits of the new W.
    ShapeError, ValueError
        Sizes that do not fit, new classes for a DistilledSet; another sign.

    Notes
    -----
    *Cost.* That of :func:`analytic_dd.distill.update`, pre-images of the points, and a certificate. *Numerics.* W after
    an update has a relative error of  eps (s1^2 + ridge) / ridge  for the largest singular value s1 of the features of
    the set, at each update again. The certificate says that the set has the stored W, to rounding; ``meta["updates"]``
    has this error in ``weights_known_to``.

    Examples
    --------
    >>> from analytic_dd import FitOptions, distill, ridge_weights
    >>> from analytic_dd.distill import Future
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((60, 6)), np.arange(60) % 3
    >>> memory = distill(X, y, construction=Future(dimensions=6), fit=FitOptions(ridge=1.0))
    >>> Y = np.eye(3)[y]
    >>> left = update(memory, X[:2], Y[:2], sign=-1)
    >>> bool(np.allclose(left.w, ridge_weights(X[2:], Y[2:], ridge=1.0))), left.verify().verdict
    (True, 'pass')
    >>> update(distill(X, y), X[:2], Y[:2])
    Traceback (most recent call last):
        ...
    TypeError: the set has no subspace: it fixes the present model only, or an older version stored it; build it with
    future_set or Future() (T23b)
    """
    if not isinstance(distilled, DistilledSet) or distilled.subspace is None:
        return future.update(distilled, Phi, Y, sign=sign)
    phi, meta, k = distilled.feature_map, distilled.meta, len(distilled.w)
    as_matrix(Y, "Y")
    if Y.shape[1] != k:
        raise ShapeError(f"Y must have {k} columns, one for each class of the set, got {Y.shape[1]}")
    Phi, Y = (np.asarray(to_numpy(A), dtype=np.float64) for A in (as_matrix(Phi, "Phi"), Y))
    c = float(meta["label_scale"])  # features, labels and the root of the ridge were scaled into the range by it (T4')
    memory = FutureSet(phi(distilled.inputs), distilled.y, distilled.ridge, distilled.subspace, distilled.w)
    known = _known_to(memory, meta)
    built = future.update(memory, c * Phi, c * Y, sign=sign)
    spectrum = thin_svd(built.features, rcond=max(built.features.shape) * eps_of(built.features))
    new = describe(built.features, built.labels, built.ridge, theorem=built.theorem, spectrum=spectrum)
    into = phi.scale_into_range(new.features)
    new = new if into == 1.0 else new.scaled(into)
    inputs = np.asarray(phi.preimage(new.features), dtype=np.float64)
    shape = distilled.x.shape[1:]
    meta = meta | {
        "theorem": new.theorem,
        "points": len(new),
        "distilled_ridge": new.ridge,
        "label_scale": c * into,
        "samples": int(meta.get("samples", 0)) + sign * len(Phi),
        "updates": [*meta.get("updates", []), {"samples": len(Phi), "sign": sign, "weights_known_to": known}],
        "diagnostics": new.diagnostics(),
        "data": {"name": f"{meta['data']['name']}, updated"},  # no SHA-256: nobody has these samples in one place
    }
    found = replace(
        distilled,
        inputs=inputs,
        x=pixels(inputs, distilled.mean, distilled.std, shape),
        y=np.asarray(new.labels, dtype=np.float64),
        w=np.asarray(built.weights, dtype=np.float64),
        meta={name: value for name, value in meta.items() if name not in _OF_THE_FIT},
        class_means=None,  # of samples that are no longer all, or the only ones
    )
    return replace(found, meta=found.meta | {"certificate": found.certify().to_dict()})


def _known_to(memory: FutureSet, meta: Mapping[str, Any]) -> float:
    """Return the relative error that rounding leaves of W after one more update; refuse one that is large."""
    largest = float(singular_values(memory.features)[0])
    before = sum(float(one["weights_known_to"]) for one in meta.get("updates", []))
    known = float(np.finfo(np.float64).eps) * (largest**2 / memory.ridge + 1.0) + before
    if known > MEANINGFUL:
        raise InfeasibleError(
            f"T23: W after an update must be known to {MEANINGFUL:g}, got {known:.2g} for ridge {memory.ridge:.3g} "
            f"beside the largest squared singular value {largest**2:.3g}; make the set at a larger ridge",
            theorem="T23b",
            value=known,
            limit=MEANINGFUL,
        )
    return known
