"""analytic_dd.judge (T16) against exact errors; analytic_dd.features (T8) by round trips, bounded ranges by T4'."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analytic_dd import features
from analytic_dd.distill import Exact, Problem, distill_features
from analytic_dd.judge import certify_recovery
from analytic_dd.ridge import ridge_weights
from proofs_check.check import Check
from proofs_check.implementation.judge import Dyadics, Judge, cond, exact_refit, probe, to_float
from proofs_check.matrix import weights

__all__ = ["CHECKS"]


@probe("T16")
def certificate(F: Dyadics, judge: Judge) -> Iterator[float]:
    """certify_recovery reports the exact error and its two parts, for sets that are wrong within and out of the span"""
    for m, k, p, r in ((4, 3, 6, 4), (3, 2, 6, 2), (7, 3, 5, 5)):
        W, Phi, Y, lam = F.draw(k, p), F.draw(m, p, r), F.draw(m, k), F.scalar()
        for ridge in (None, lam):
            Ws = weights(Phi, Y, ridge)
            out, size = W - W @ Phi.plus @ Phi, to_float(W.norm2)
            number = 0.0 if ridge is None else to_float(ridge)
            got = certify_recovery(to_float(W), to_float(Phi), to_float(Y), ridge=number)
            slack = 10.0 * cond(to_float(Phi)) ** 2
            yield judge.ratio(got.relative_error, (to_float((Ws - W).norm2) / size) ** 0.5, slack)
            if out.norm2 != 0:
                yield judge.ratio(got.out_of_span, (to_float(out.norm2) / size) ** 0.5, slack)
            yield judge.ratio(got.in_span, (to_float((Ws - W + out).norm2) / size) ** 0.5, slack)
            yield judge.true(got.verdict == "fail" and got.rank == r)


@probe("T16")
def verdicts(F: Dyadics, judge: Judge) -> Iterator[float]:
    """verdicts: an exact set passes with a ratio below 30, the same set fails after a change of 1e-8"""
    W, Y = to_float(F.draw(3, 6)), to_float(F.draw(4, 3))
    for ridge, root in ((0.0, "large"), (0.5, "large"), (0.5, "small")):
        scale = max(1.0, 2.0 * np.sqrt(2.0 * ridge) * float(np.linalg.norm(np.linalg.pinv(Y).T @ W, 2)))
        got = distill_features(W, scale * Y, ridge=ridge, root=root)
        good = certify_recovery(W, got.features, got.labels, ridge=ridge)
        yield judge.true(good.verdict == "pass" and good.ratio < 30.0)
        shift = 1.0 + (
            1e-6 if judge.shift > 1.0 else 0.0
        )  # negated: the good set is claimed to be one part in 10^6 off
        exact = (
            float(np.linalg.norm(exact_refit(F, got.features, got.labels, ridge) - shift * W) / np.linalg.norm(W))
            if ridge
            else 0.0
        )
        yield abs(good.relative_error - exact) / (np.finfo(np.float64).eps * 10.0 * good.amplification)
        bad = certify_recovery(W, got.features, got.labels * (1.0 + 1e-8), ridge=ridge)
        yield judge.true(bad.verdict == "fail" or bad.bound > 3e-9)


@probe("T16")
def certificate_with_intercept(F: Dyadics, judge: Judge) -> Iterator[float]:
    """with an intercept the weights are compared about the means, and b by the predictions of the worst output"""
    m, k, p = 5, 2, 7
    W, b, Phi, Y, lam = F.draw(k, p), F.draw(1, k), F.draw(m, p), F.draw(m, k), F.scalar()
    average, one = (1 / F.number(m)) * F.ones(1, m), F.ones(m)
    mean, mean_y = average @ Phi, average @ Y
    Ws = weights(Phi - one @ mean, Y - one @ mean_y, lam)
    bs = mean_y - mean @ Ws.T
    got = certify_recovery(to_float(W), to_float(Phi), to_float(Y), ridge=to_float(lam), intercept=to_float(b)[0])
    slack = 10.0 * cond(to_float(Phi)) ** 2
    yield judge.ratio(got.relative_error, to_float((Ws - W).norm2 / W.norm2) ** 0.5, slack)
    wanted, found = to_float(Phi @ W.T + one @ b), to_float(Phi @ Ws.T + one @ bs)
    errors = np.linalg.norm(found - wanted, axis=0) / np.linalg.norm(wanted, axis=0)
    yield judge.ratio(got.prediction_error, errors.max(), slack)


def _maps(theorem: str) -> list[tuple[features.FeatureMap, float]]:
    """Maps, with the size of features that they are tried on."""
    return {
        "T8a": [(features.Identity(5), 1.0), (features.RandomFourier(7, 4, lengthscale=2.0, rng=0), 5.0)],
        "T8b": [
            (features.FullyConnected([7, 6, 4], activation="leaky_relu", bias=True, rng=1), 3.0),
            (features.FullyConnected([6, 6, 5], activation="tanh", rng=2), 4.0),
            (features.FullyConnected([6, 5], activation="asinh", rng=3), 2.0),
            (features.FullyConnected([6, 5], activation="bent_identity", rng=4), 2.0),
        ],
        "T8c": [
            (features.Convolutional((6, 6), [2], stride=2, rng=5), 1.0),
            (features.Convolutional((5, 6), [1], padding="valid", rng=6), 1.0),
        ],
        "T8d": [
            (features.InvertibleNetwork(6, coupling="additive", rng=7), 1.0),
            (features.InvertibleNetwork(6, coupling="affine", rng=8), 4.0),
            (features.InvertibleNetwork(6, coupling="residual", rng=9), 1.0),
        ],
        "T8e": [(features.DeepLinear([6, 5, 4], rng=10), 1.0)],
    }[theorem]


def _round_trips(theorem: str) -> Check:
    @probe(theorem)
    def round_trips(F: Dyadics, judge: Judge) -> Iterator[float]:
        """the package's maps and their pre-images: phi(preimage(c Phi)) = c Phi, c from scale_into_range"""
        for phi, size in _maps(theorem):
            Phi = size * to_float(F.draw(3, phi.p)) / 5.0
            Phi = Phi * phi.scale_into_range(Phi)
            yield judge.true(bool(phi.in_range(Phi)))
            near = 0.1 * to_float(F.draw(3, phi.d))
            for X in (phi.preimage(Phi), phi.preimage(Phi, near=near)):
                yield judge.ratio(phi(X), Phi, phi.condition())

    return round_trips


@probe("T8a", instances=1, deep=3)
def fourier_constants(F: Dyadics, judge: Judge) -> Iterator[float]:
    """random Fourier features: |phi|^2 = 1 for pairs, the box is sqrt(2/p), a kernel mean of exp(-|x-y|^2 / (2 l^2))"""
    pairs = features.RandomFourier(5, 8, lengthscale=1.5, form="sincos", rng=0)
    yield judge.ratio((pairs(to_float(F.draw(4, 5))) ** 2).sum(axis=1), np.ones(4), 10.0)
    phi = features.RandomFourier(3, 20_000, lengthscale=2.0, rng=1)
    X = np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5]])
    values = phi(X)
    yield judge.true(abs(float(values[0] @ values[1]) - np.exp(-2.25 / 8.0)) < 0.03)
    yield judge.true(abs(float(values[0] @ values[0]) - 1.0) < 0.03)


@probe("T8e", instances=1)
def deep_linear(F: Dyadics, judge: Judge) -> Iterator[float]:
    """deep linear maps are affine; project is the projector on what features span; NTK features are those gradients"""
    X = to_float(F.draw(4, 3))
    for phi in (
        features.DeepLinear([3, 2, 6], rng=0),
        features.DeepLinear([3, 4, 7], bias=True, rng=1),
        features.NeuralTangent([3, 2, 1], bias=True, rng=2),
    ):
        B, c = phi.affine()
        yield judge.ratio(phi(X), X @ B.T + c, 10.0)
        span = np.hstack([B, c[:, None]]) if np.any(c) else B
        basis = np.linalg.svd(span, full_matrices=False)[0][:, : np.linalg.matrix_rank(span)]
        W = to_float(F.draw(2, phi.p))
        yield judge.ratio(phi.project(W), W @ basis @ basis.T, 10.0 * cond(span))
        yield judge.ratio(phi.preimage(phi(X)) @ B.T + c, phi(X), 10.0 * phi.condition())
    ntk = features.NeuralTangent([3, 2, 1], bias=True, rng=2)
    (W1, b1), (W2, _) = ntk.parameters
    rows = [np.concatenate([np.outer(W2[0], x).ravel(), W2[0], W1 @ x + b1, [1.0]]) for x in X]
    yield judge.ratio(ntk(X), np.array(rows), 10.0)


@probe("T8a")
def through_bounded_maps(F: Dyadics, judge: Judge) -> Iterator[float]:
    """distil through bounded maps: features, labels and ridge are scaled together (T4'), then the refit is W itself"""
    for phi in (
        features.RandomFourier(7, 5, lengthscale=2.0, rng=0),
        features.FullyConnected([7, 5], activation="tanh", rng=2),
    ):
        X, Y = to_float(F.draw(12, 7)) / 5.0, to_float(F.draw(12, 3))
        W = ridge_weights(phi(X), Y, ridge=0.5)
        limit = 1.0 / (4.0 * float(np.linalg.norm(W, 2)) ** 2)
        for ridge in (0.0, 0.5 * limit):
            got = Exact(distilled_ridge=ridge).build(Problem(W, phi, np.random.default_rng(0)))
            refit = exact_refit(F, phi(got.inputs), got.distilled.labels, got.distilled.ridge)
            slack = phi.condition() * max(1.0, got.distilled.amplification)
            yield judge.ratio(refit, W, slack)
            yield judge.true(
                certify_recovery(
                    W, phi(got.inputs), got.distilled.labels, ridge=got.distilled.ridge, map_condition=phi.condition()
                ).verdict
                == "pass"
            )


CHECKS = [
    certificate,
    verdicts,
    certificate_with_intercept,
    *(_round_trips(theorem) for theorem in ("T8a", "T8b", "T8c", "T8d", "T8e")),
    fourier_constants,
    deep_linear,
    through_bounded_maps,
]
