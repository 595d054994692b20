"""No false pass of a loss: random problems of any units and condition against their minimisers in 500 bits.

Run more of them, and see the worst ratio:  python -m pytest -m slow -s tests/judge/test_loss_stress.py
"""

import os
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from analytic_dd import glm_labels
from analytic_dd.errors import InfeasibleError, RangeError, RankWarning
from analytic_dd.judge import certify_loss

BITS = 500
UNITS = 498  # 2^498 = 1e150
LOSSES = ("softmax", "logistic", "poisson", "squared")
PLANTS = ("none", "weights", "labels", "features", "one output", "negated", "ridge", "shift", "intercept", "saddled")


@dataclass(frozen=True)
class Problem:
    """A small set near unit size, its sample weights, and the model that it is said to have."""

    loss: str
    W: np.ndarray
    b: np.ndarray | None
    F: np.ndarray
    Y: np.ndarray
    w: np.ndarray
    ridge: float
    plant: str = "none"


def matrix(A):
    return arb_mat([[arb(float(a)) for a in row] for row in A])


def middle(A):
    """The midpoints, so that radii do not grow from step to step."""
    return arb_mat([[a.mid() for a in row] for row in A.table()])


def parts(x):
    """Linear maps from parameters to weights (k p, N) and to logits (m k, N): W in the rows of F at ridge 0.

    Softmax sees no shift of all logits: intercepts sum to 0, and weights too where no ridge says so.
    """
    k, (m, p) = len(x.W), x.F.shape
    F, free = matrix(x.F), arb_mat(p, p, [arb(int(i == j)) for i in range(p) for j in range(p)])
    rows = free
    if x.ridge == 0.0:
        spanning = F if x.b is None else arb_mat([[F[i, j] - F[0, j] for j in range(p)] for i in range(1, m)])
        rows = spanning if spanning.nrows() < p else free
    zero = x.loss == "softmax"
    of_W = sum_to_zero(k, zero and x.ridge == 0.0)
    of_b = sum_to_zero(k, zero) if x.b is not None else []
    columns = [(c, i) for c in range(len(of_W)) for i in range(rows.nrows())]
    weights = [[of_W[c][j] * rows[i, a] for c, i in columns] + [arb(0)] * len(of_b) for j in range(k) for a in range(p)]
    seen = F * rows.transpose()
    logits = [
        [of_W[c][j] * seen[s, i] for c, i in columns] + [arb(unit[j]) for unit in of_b]
        for s in range(m)
        for j in range(k)
    ]
    intercepts = [[arb(0)] * len(columns) + [arb(unit[j]) for unit in of_b] for j in range(k)]
    return arb_mat(weights), arb_mat(logits), arb_mat(intercepts)


def sum_to_zero(k, whether):
    """A basis of all vectors of k numbers, or of those whose sum is 0."""
    if not whether:
        return [[int(i == j) for j in range(k)] for i in range(k)]
    return [[int(i == j) - int(j == k - 1) for j in range(k)] for i in range(k - 1)]


def probabilities(x, row):
    """Labels of softmax without a ridge are what their sum leaves of them: rounding of the sum is no label."""
    return [y / sum(row, arb(0)) for y in row] if x.loss == "softmax" and x.ridge == 0.0 else row


def means(loss, z, k):
    """Means and second derivatives (block by block) of the logits of all samples."""
    mu, second = [], arb_mat(len(z), len(z))
    for start in range(0, len(z), k):
        block = z[start : start + k]
        if loss == "softmax":
            top = max(block, key=lambda value: float(value.mid()))
            e = [(value - top).exp() for value in block]
            found = [value / sum(e, arb(0)) for value in e]
            for i in range(k):
                for j in range(k):
                    second[start + i, start + j] = found[i] * (int(i == j) - found[j])
        else:
            for i, value in enumerate(block):
                one = {"squared": lambda v: v, "poisson": lambda v: v.exp(), "logistic": lambda v: 1 / (1 + (-v).exp())}
                found = [*found, one[loss](value)] if i else [one[loss](value)]
                curvature = {"squared": arb(1), "poisson": found[i], "logistic": found[i] * (1 - found[i])}
                second[start + i, start + i] = curvature[loss]
        mu += found
    return mu, second


def minimiser(x):
    """W_s (k, p) and b_s (k,) by Newton's method from the model, or None where it does not converge."""
    ctx.prec = BITS
    k, (m, p) = len(x.W), x.F.shape
    weights, logits, intercepts = parts(x)
    of_model = arb_mat([[arb(float(value))] for value in x.W.ravel()])
    b = np.zeros(k) if x.b is None else x.b - (x.b.mean() if x.loss == "softmax" else 0.0)
    of_b = arb_mat([[arb(float(value))] for value in b])
    normal = weights.transpose() * weights + intercepts.transpose() * intercepts
    theta = middle(normal.solve(weights.transpose() * of_model + intercepts.transpose() * of_b))
    penalty = arb(x.ridge) * (weights.transpose() * weights)
    sample = [arb(float(x.w[s])) for s in range(m) for _ in range(k)]
    labels = [value for row in x.Y for value in probabilities(x, [arb(float(y)) for y in row])]
    for _ in range(200):
        z = [row[0] for row in (logits * theta).table()]
        mu, second = means(x.loss, z, k)
        pull = arb_mat([[w * (a - y)] for w, a, y in zip(sample, mu, labels, strict=True)])
        for i, w in enumerate(sample):
            for j in range(i - i % k, i - i % k + k):
                second[i, j] = w * second[i, j]
        gradient = logits.transpose() * pull + penalty * theta
        step = middle((logits.transpose() * middle(second) * logits + penalty).solve(gradient))
        longest = max(abs(float(row[0].mid())) for row in (logits * step).table())
        far = x.loss != "squared" and longest > 2.0  # logits of exponentials
        step = step * arb(2.0 / longest) if far else step
        theta = middle(theta - step)
        if norm(step) <= norm(theta) * arb(2) ** -200:
            W, c = weights * theta, intercepts * theta
            return [[W[j * p + a, 0] for a in range(p)] for j in range(k)], [c[j, 0] for j in range(k)]
    return None


def norm(A):
    return sum((a * a for row in A.table() for a in row), arb(0)).sqrt()


def true_error(x):
    """The distance of the minimiser in the units of the certificate; infinite where there is none near by."""
    try:
        found = minimiser(x)
    except ZeroDivisionError:
        return np.inf
    if found is None:
        return np.inf
    W, b = found
    unit, gap = np.ldexp(1.0, np.frexp(np.abs(x.F).max())[1]), np.zeros(len(x.W))
    if x.b is not None:
        given = x.b - (x.b.mean() if x.loss == "softmax" else 0.0)
        gap = np.array([float(one - arb(float(other))) for one, other in zip(b, given, strict=True)]) / unit
    away = [[float(s - arb(float(w))) for s, w in zip(*rows, strict=True)] for rows in zip(W, x.W, strict=True)]
    away, sizes = np.column_stack([np.array(away), gap]), np.linalg.norm(x.W, axis=1)
    if x.loss == "softmax":
        return np.linalg.norm(away) / sizes[sizes > 0.0].min()
    if x.b is not None:  # an output whose predictions are its intercept to the last bit is measured by that
        constant = np.all(x.F @ x.W.T + x.b == x.b, axis=0)
        sizes = np.where(constant, np.abs(x.b) / unit, sizes)
    return np.max(np.linalg.norm(away, axis=1) / sizes)


def draw(rng):
    """A set with labels of T18a for weights in the rows of its features, or with an error planted."""
    loss = str(rng.choice(LOSSES))
    k, m, p = int(rng.integers(2, 4)), int(rng.integers(2, 5)), int(rng.integers(1, 5))
    U, V = (np.linalg.qr(rng.standard_normal((side, min(m, p))))[0] for side in (m, p))
    F = (U * np.geomspace(1.0, 10.0 ** -(12.0 * rng.random() ** 2), min(m, p))) @ V.T
    b = rng.standard_normal(k) if rng.random() < 0.5 else None
    about = F if b is None else F - F.mean(axis=0)
    Z = rng.standard_normal((k, m)) * 10.0 ** rng.uniform(-3.0, 1.0)  # logits, within what the set can make
    W = Z @ np.linalg.pinv(about, rcond=1e-14).T if rng.random() < 0.7 else rng.standard_normal((k, m)) @ about
    W = W - W.mean(axis=0) if loss == "softmax" else W
    if rng.random() < 0.3 and loss != "softmax":
        W = W * 10.0 ** rng.uniform(-12.0, 0.0, (k, 1))
    w = rng.uniform(0.5, 2.0, m) if rng.random() < 0.3 else np.ones(m)
    limits = glm_labels(F, W, loss=loss, ridge=0.0, intercept=b, weights=w)
    ridge = 0.0 if rng.random() < 0.4 else float(min(10.0 ** rng.uniform(-9.0, 2.0), 0.9 * limits.largest_ridge))
    Y = glm_labels(F, W, loss=loss, ridge=ridge, intercept=b, weights=w).labels
    return planted(Problem(loss, W, b, F, Y, w, ridge), rng)


def planted(x, rng):
    """Spoil something by a relative error between rounding and 1."""
    plant, size = str(rng.choice(PLANTS)), 10.0 ** rng.uniform(-16.0, 0.0)
    W, one = x.W.copy(), int(rng.integers(len(x.W)))
    x = replace(x, plant=plant)
    if plant == "weights":
        return replace(x, W=W * (1.0 + size * rng.standard_normal(W.shape)))
    if plant == "labels":
        Y = x.Y * (1.0 + size * rng.standard_normal(x.Y.shape))
        return replace(x, Y=Y / Y.sum(axis=1, keepdims=True) if x.loss == "softmax" else Y)
    if plant == "features":
        return replace(x, F=x.F * (1.0 + size * rng.standard_normal(x.F.shape)))
    if plant in ("one output", "negated"):
        W[one] *= 1.0 + size if plant == "one output" else -1.0
    if plant == "shift":
        W = W + size * rng.standard_normal(len(x.F)) @ x.F
    if plant == "saddled":
        W = rng.standard_normal(W.shape) * np.linalg.norm(W)
    if plant == "intercept" and x.b is not None:
        return replace(x, b=x.b + size * rng.standard_normal(len(x.b)))
    return replace(x, W=W, ridge=x.ridge * (1.0 + size) if plant == "ridge" else x.ridge)


def judged(x, rng):
    """The certificate of the problem in units from 1e-150 to 1e150."""
    f, h = int(rng.integers(-UNITS // 2, UNITS // 2)), int(rng.integers(-UNITS // 2, UNITS // 2))
    arrays = np.ldexp(x.W, -f), np.ldexp(x.F, f), x.Y
    options = {"ridge": float(np.ldexp(x.ridge, 2 * f + h)), "intercept": x.b, "weights": np.ldexp(x.w, h)}
    found = certify_loss(*arrays, loss=x.loss, **options)
    assert found.verdict == certify_loss(x.W, x.F, x.Y, loss=x.loss, ridge=x.ridge, intercept=x.b, weights=x.w).verdict
    return found


def stress(count, seed):
    """Judge ``count`` problems; return the verdicts, and the largest error of a pass in units of its bound."""
    rng = np.random.default_rng(seed)
    verdicts, worst, checked = Counter(), 0.0, 0
    while verdicts.total() < count:
        try:
            x = draw(rng)
        except (InfeasibleError, RangeError, RankWarning):
            continue
        found = judged(x, rng)
        verdicts[found.verdict] += 1
        assert x.plant != "none" or found.verdict != "fail", (x, found)
        if found.verdict == "pass":
            error = true_error(x)
            worst = max(worst, error / found.bound)
            assert error < 2.0 * found.bound <= 2e-6, (x, found, error)  # a pass promises 1e-6
        elif found.relative_error < 1e-3 and found.bound < 1e-3:  # a bound of what is wrong is one too
            error = true_error(x)
            checked += int(np.isfinite(error))
            assert error <= 1.01 * found.relative_error + found.bound or np.isinf(error), (x, found)
    return verdicts, worst, checked


def test_no_false_pass():
    verdicts, worst, checked = stress(120, seed=1)
    assert verdicts["pass"] > 20
    assert verdicts["fail"] > 20
    assert checked > 10
    assert 0.0 < worst < 2.0


@pytest.mark.slow
def test_no_false_pass_among_many():
    count = int(os.environ.get("ANALYTIC_DD_STRESS", "5000"))
    verdicts, worst, checked = stress(count, seed=int(os.environ.get("ANALYTIC_DD_STRESS_SEED", "2")))
    print(f"\n{count} problems: {dict(verdicts)}; {checked} bounds of errors held")
    print(f"largest error / bound of a pass: {worst:.3g}")
    assert worst < 2.0
