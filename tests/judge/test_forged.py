"""A stored set of any kind whose weights are not those of its points does not pass, in whatever units they are.

Byte, tolerance and several-ridge sets have certificates of their own weights: what they lose of the original model
is a claim about data, which no file shows.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import FitOptions, distill
from analytic_dd.distill import chosen

N, SIDE, K = 60, 5, 3
CLASSES = np.arange(N) % K
KINDS = {  # options of the construction, and whether there is an intercept
    "all": ({"mode": "exact"}, False),
    "all, with an intercept": ({"mode": "exact"}, True),
    "bytes": ({"mode": "nearest", "points_per_class": 5, "pixels": "bytes"}, True),
    "16 bits": ({"mode": "nearest", "points_per_class": 5, "pixels": "uint16"}, False),
    "in a box": ({"mode": "nearest", "points_per_class": 3, "box": True}, False),
    "fewer points than classes": ({"mode": "few", "points": 2}, True),
    "several ridges": ({"mode": "exact", "ridges": (0.1, 1.0, 50.0)}, False),
    "several ridges and intercepts": ({"mode": "exact", "ridges": (0.1, 1.0, 50.0)}, True),
    "steps to a tolerance": ({"mode": "trajectory", "steps": 6, "tolerance": 0.1}, True),
    "near copies": ({"mode": "near-copies", "bases": 2}, False),
}


@functools.cache
def made(kind):
    words, intercept = KINDS[kind]
    rng = np.random.default_rng(0)
    X = 40.0 * (3.0 * np.eye(K, SIDE**2)[CLASSES] + rng.standard_normal((N, SIDE**2))) + 100.0
    pixels = np.clip(np.round(X), 0, 255).astype(np.uint8).reshape(N, SIDE, SIDE)
    ridge = {} if "ridges" in words else {"ridge": 4.0}
    return distill(pixels, CLASSES, construction=chosen(**words), fit=FitOptions(intercept=intercept, **ridge))


def in_units(stored, outputs, features):
    """The same set with outputs (k,) and features in other units; integers of pixels are left out."""
    y, ridges = np.asarray(outputs), [float(np.ldexp(each, 2 * features)) for each in stored.ridges]

    def scaled(A, shape, f=0):
        return None if A is None else np.ldexp(A, y.reshape(shape) - f)

    several = {"distilled_ridges": ridges} if stored.path is not None else {}
    return replace(
        stored,
        inputs=np.ldexp(stored.inputs, features),
        y=scaled(stored.y, (1, -1)),
        w=scaled(stored.w, (-1, 1), features),
        intercept=scaled(stored.intercept, (-1,)),
        path=scaled(stored.path, (1, -1, 1), features),
        path_intercepts=scaled(stored.path_intercepts, (1, -1)),
        levels=None,
        low=None,
        step=None,
        meta=stored.meta | {"distilled_ridge": ridges[0]} | several,
    )


FORGERIES = {  # of the weights (k, p) and the intercepts (k,) of one ridge
    "an output with its sign turned": lambda W, b: (W * [[1.0], [-1.0], [1.0]], b),
    "an output that is lost": lambda W, b: (W * [[1.0], [0.0], [1.0]], b),
    "an output a millionth too large": lambda W, b: (W * [[1.0], [1.0 + 1e-6], [1.0]], b),
    "an output in another unit": lambda W, b: (np.ldexp(W, [[0], [-300], [0]]), b),
    "a weight": lambda W, b: (W + 1e-6 * np.abs(W).max(axis=1, keepdims=True) * np.eye(K, W.shape[1])[[1, 0, 2]], b),
    "outputs in another order": lambda W, b: (W[::-1], b),
    "unrelated weights": lambda W, b: (np.abs(W).max(axis=1, keepdims=True) * np.eye(K, W.shape[1]), b),
    "an intercept": lambda W, b: (W, None if b is None else b * np.array([1.0, 1.0 + 1e-4, 1.0])),
}


def forged(stored, forgery):
    """The set with forged weights, of its last ridge where it has several."""
    if stored.path is None:
        W, b = FORGERIES[forgery](stored.w, stored.intercept)
        return replace(stored, w=W, intercept=b)
    W, b = FORGERIES[forgery](stored.path[-1], None if stored.path_intercepts is None else stored.path_intercepts[-1])
    intercepts = None if b is None else np.concatenate([stored.path_intercepts[:-1], b[None]])
    return replace(stored, path=np.concatenate([stored.path[:-1], W[None]]), path_intercepts=intercepts)


@pytest.mark.parametrize("units", [((0, 0, 0), 0), ((0, 480, -480), 150), ((-300, 17, 400), -200)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_forged_weights_pass(kind, units):
    stored = in_units(made(kind), *units)
    assert [found.verdict for found in stored.certificates()] == ["pass"] * len(stored.ridges)
    passed = [name for name in FORGERIES if forged(stored, name).verify().verdict != "fail"]
    assert passed == ([] if stored.intercept is not None else ["an intercept"])  # which it then does not have


@pytest.mark.parametrize("kind", ["several ridges", "several ridges and intercepts"])
def test_weights_of_one_ridge_do_not_pass_for_another(kind):
    stored = made(kind)
    for order in ([0, 2, 1], [0, 1, 1]):
        b = None if stored.path_intercepts is None else stored.path_intercepts[order]
        assert replace(stored, path=stored.path[order], path_intercepts=b).verify().verdict == "fail"
    near = [1.0, 1.0 + 1e-5, 1.0]
    ridges = [ridge * factor for ridge, factor in zip(stored.ridges, near, strict=True)]
    assert replace(stored, meta=stored.meta | {"distilled_ridges": ridges}).verify().verdict == "fail"


@pytest.mark.parametrize("kind", ["bytes", "16 bits"])
def test_integers_that_lose_the_original_weights_do_not_pass_for_them(kind):
    """What a byte set certifies are the weights that its integers carry; those of the data are others."""
    stored = made(kind)
    found = replace(stored, w=made("all" if stored.intercept is None else "all, with an intercept").w).verify()
    assert (stored.verify().verdict, found.verdict) == ("pass", "fail")
    assert 0.5 < found.relative_error / stored.meta["error_to_original"] < 2.0
