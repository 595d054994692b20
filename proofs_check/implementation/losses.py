"""analytic_dd.losses, labels.glm, distill.hard_labels and judge (T18) against gradients in balls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flint import arb, arb_mat, ctx

from analytic_dd.distill import hard_label_features
from analytic_dd.errors import InfeasibleError
from analytic_dd.judge import certify_loss, lambert_count
from analytic_dd.labels import glm_labels
from analytic_dd.losses import glm_weights
from proofs_check.implementation.judge import Dyadics, Judge, cond, probe, to_float

__all__ = ["CHECKS"]

_LOSSES = ("squared", "softmax", "logistic", "poisson")


def _means(loss: str, rows: list[list[arb]]) -> list[list[arb]]:
    if loss == "softmax":
        powers = [[z.exp() for z in row] for row in rows]
        return [[x / sum(row, arb(0)) for x in row] for row in powers]
    of_one = {
        "squared": lambda z: z,
        "logistic": lambda z: 1 / (1 + (-z).exp()),
        "poisson": lambda z: z.exp(),
    }[loss]
    return [[of_one(z) for z in row] for row in rows]


def _ball(A: np.ndarray) -> arb_mat:
    return arb_mat([[arb(float(x)) for x in row] for row in np.atleast_2d(A)])


def _gradient(
    loss: str,
    Phi: np.ndarray,
    Y: np.ndarray,
    W: np.ndarray,
    ridge: float,
    w: np.ndarray | None = None,
    b: object = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients by W and by the intercept of float64 numbers, in 200 bits, rounded once."""
    ctx.prec = 200
    Z = (_ball(Phi) * _ball(W).transpose()).tolist()
    shift = [arb(0)] * len(W) if b is None else [arb(float(x)) for x in b]
    Z = [[z + s for z, s in zip(row, shift, strict=True)] for row in Z]
    weights = np.ones(len(Phi)) if w is None else w
    R = arb_mat(
        [
            [arb(float(v)) * (m - arb(float(y))) for m, y in zip(row, labels, strict=True)]
            for row, labels, v in zip(_means(loss, Z), Y, weights, strict=True)
        ]
    )
    of_weights = R.transpose() * _ball(Phi) + arb(float(ridge)) * _ball(W)
    table = [[float(x.mid()) for x in row] for row in of_weights.tolist()]
    of_intercept = [float(sum((row[j] for row in R.tolist()), arb(0)).mid()) for j in range(len(W))]
    return np.array(table), np.array(of_intercept)


def _model(F: Dyadics, m: int, k: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """W with columns that sum to 0 to rounding, and m points whose rows span it."""
    base = 0.125 * to_float(F.draw(k, k - 1)) @ to_float(F.draw(k - 1, p))
    W = 0.25 * (base - base.mean(axis=0))
    rows = np.linalg.svd(W)[2]
    points = np.vstack([rows[: k - 1], to_float(F.draw(m - k + 1, p - k + 1)) @ rows[k - 1 :] / 4.0])
    return W / max(1.0, float(np.abs(W).max())), to_float(F.draw(m, m)) @ points / 4.0


def _size(loss: str, Phi: np.ndarray, Y: np.ndarray, W: np.ndarray, ridge: float) -> float:
    logits = Phi @ W.T
    growth = float(np.exp(np.abs(logits).max())) if loss == "poisson" else 1.0
    return float(
        np.linalg.norm(Phi) * (np.linalg.norm(Y) + growth * np.linalg.norm(logits)) + ridge * np.linalg.norm(W)
    )


@probe("T18a", instances=1, deep=60)
def labels_of_losses(F: Dyadics, judge: Judge) -> Iterator[float]:
    """glm_labels: the gradient at W vanishes for all four losses, with weights and with an intercept"""
    m, k, p = 6, 3, 7
    W, Phi = _model(F, m, k, p)
    w, b = np.array([1.0, 0.5, 2.0, 0.25, 1.0, 4.0]), to_float(F.draw(1, k))[0] / 8.0
    extra = np.vstack([Phi, Phi.mean(axis=0) + np.linalg.svd(W)[2][: k - 1]])
    for loss in _LOSSES:
        for points, options in (
            (Phi, {}),
            (Phi, {"weights": w}),
            (extra, {"intercept": b}),
            (extra, {"intercept": b, "weights": np.linspace(0.5, 2.0, len(extra))}),
        ):
            made = glm_labels(points, W, loss=loss, ridge=0.25, **options)
            Y = made.labels * judge.shift
            got = _gradient(loss, points, Y, W, 0.25, options.get("weights"), options.get("intercept"))
            slack = 2.0**-52 * len(points) * cond(points) ** 2 * _size(loss, points, Y, W, 0.25) * 4.0
            parts = got if "intercept" in options else got[:1]
            yield max(float(np.linalg.norm(part)) for part in parts) / slack


@probe("T18b")
def probabilities(F: Dyadics, judge: Judge) -> Iterator[float]:
    """glm_labels: probabilities up to the largest ridge and not beyond; an uncentred W is refused"""
    W, Phi = _model(F, 5, 3, 6)
    largest = glm_labels(Phi, W, loss="softmax", ridge=0.0).largest_ridge * judge.shift
    below, above = (glm_labels(Phi, W, loss="softmax", ridge=t * largest) for t in (1.0 - 1e-7, 1.0 + 1e-7))
    yield judge.true(below.admissible and below.labels.min() >= 0.0)
    yield judge.true(not above.admissible and above.labels.min() < 0.0)
    yield judge.ratio(below.labels.sum(axis=1), np.ones(5) * judge.shift / judge.shift, 10.0 * cond(Phi))
    yield judge.refuses(InfeasibleError, lambda: glm_labels(Phi, W + 1.0, loss="softmax", ridge=0.1))


@probe("T18d")
def one_hot_points(F: Dyadics, judge: Judge) -> Iterator[float]:
    """hard_label_features: the gradient vanishes for one-hot labels, one copy below the limit and two above"""
    W, _ = _model(F, 4, 4, 6)
    limit = 0.5 / float(np.linalg.norm(W @ W.T))
    for share, copies in ((0.9, 1), (1.1, 2), (4.5, 5)):
        built = hard_label_features(W, np.eye(4), ridge=share * limit)
        yield judge.true(built.copies == copies)
        gradient = _gradient("softmax", built.features, built.labels, W * judge.shift, built.ridge)[0]
        size = _size("softmax", built.features, built.labels, W, built.ridge)
        yield float(np.linalg.norm(gradient)) / (2.0**-52 * len(built) * size * cond(W) / (1.0 - built.contraction))


@probe("T18a")
def minimisers(F: Dyadics, judge: Judge) -> Iterator[float]:
    """glm_weights: the gradient vanishes at the minimiser it returns, for all four losses, with an intercept"""
    n, p, k = 24, 3, 3
    Phi = to_float(F.draw(n, p)) / 4.0
    raw = np.abs(to_float(F.draw(n, k))) + 0.125
    targets = {
        "squared": raw,
        "softmax": raw / raw.sum(axis=1, keepdims=True),
        "logistic": raw / (1.0 + raw),
        "poisson": raw,
    }
    for loss in _LOSSES:
        Y = targets[loss]
        fit = glm_weights(Phi, Y, loss=loss, ridge=0.5, intercept=True)
        W = fit.weights * judge.shift
        got = _gradient(loss, Phi, Y, W, 0.5, None, fit.intercept)
        size = float(np.linalg.norm(Phi) * (np.linalg.norm(Y) + 1.0)) + 0.5 * float(np.linalg.norm(W))
        yield max(float(np.linalg.norm(part)) for part in got) / (2.0**-52 * n * size)


@probe("T18a")
def loss_certificate(F: Dyadics, judge: Judge) -> Iterator[float]:
    """certify_loss: an exact set passes, at ridge 0 too; a change of 1e-7 of its labels, ridge or intercept fails"""
    W, Phi = _model(F, 6, 3, 7)
    for loss in _LOSSES:
        ridge = min(1.0, 0.5 * glm_labels(Phi, W, loss=loss, ridge=0.0).largest_ridge)
        Y = glm_labels(Phi, W, loss=loss, ridge=ridge).labels * judge.shift
        found = certify_loss(W, Phi, Y, loss=loss, ridge=ridge)
        yield judge.true(found.verdict == "pass" and found.ratio < 30.0)
        gradient = float(np.linalg.norm(_gradient(loss, Phi, Y, W, ridge)[0])) / (ridge * float(np.linalg.norm(W)))
        yield judge.true(gradient <= found.relative_error + found.bound)
        yield judge.true(certify_loss(W, Phi, Y * (1.0 + 1e-7), loss=loss, ridge=ridge).verdict == "fail")
        yield judge.true(certify_loss(W, Phi, Y, loss=loss, ridge=ridge * (1.0 + 1e-6)).verdict == "fail")
        few = Phi[:3] / (1.0 + float(np.linalg.norm(Phi[:3])))  # at ridge 0: fewer points than features
        least = W @ np.linalg.pinv(few) @ few
        Y = glm_labels(few, least, loss=loss, ridge=0.0).labels * judge.shift
        yield judge.true(certify_loss(least, few, Y, loss=loss, ridge=0.0).ratio < 30.0)
        moved = (Y + 1e-4) / (1.0 + 3e-4)  # rows still sum to 1
        fit = glm_weights(few, moved, loss=loss, ridge=0.0)
        distance = float(np.linalg.norm(fit.weights - least)) / float(np.linalg.norm(least))
        found = certify_loss(least, few, moved, loss=loss, ridge=0.0)
        yield judge.true(found.verdict == "fail" and distance <= found.relative_error * (1.0 + 1e-6))


@probe("T18c")
def fewest_probabilities(F: Dyadics, judge: Judge) -> Iterator[float]:
    """lambert_count: the least m with m w((k - 1) / e) >= ridge |W|^2, w by balls"""
    ctx.prec = 200
    for k in (2, 3, 7):
        W = to_float(F.draw(k, 4))
        w = (arb(k - 1) / arb(1).exp()).lambertw()
        for ridge in (0.01, 0.5, 3.0):
            needed = arb(ridge) * sum((arb(float(x)) ** 2 for x in W.ravel()), arb(0)) / w * judge.shift**3000
            got = lambert_count(W, ridge=ridge)
            yield judge.true(bool(arb(got) >= needed) and (got == 1 or bool(arb(got - 1) < needed)))


@probe("T18e")
def no_minimiser(F: Dyadics, judge: Judge) -> Iterator[float]:
    """separated samples at ridge 0 are refused, and hard labels without a ridge"""
    Phi = to_float(F.draw(12, 3))
    side = (Phi[:, 0] > 0.0).astype(np.float64) if judge.shift == 1.0 else np.full(12, 0.5)
    Y = np.stack([side, 1.0 - side], axis=1)
    yield judge.refuses(InfeasibleError, lambda: glm_weights(Phi, Y, loss="softmax", ridge=0.0))
    yield judge.refuses(InfeasibleError, lambda: hard_label_features(Phi[:2] - Phi[:2].mean(0), np.eye(2), ridge=0.0))


CHECKS = [
    labels_of_losses,
    probabilities,
    one_hot_points,
    minimisers,
    loss_certificate,
    fewest_probabilities,
    no_minimiser,
]
