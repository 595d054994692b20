"""Random Fourier features: the kernels they approximate, the branch of arccos, the box and the circles (T8a)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_approximation import RBFSampler
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features import RandomFourier, median_lengthscale

D, P = 7, 5


def points(rows: int = 6, d: int = D) -> np.ndarray:
    return 0.7 * np.random.default_rng(0).standard_normal((rows, d))


KERNELS = {
    "gaussian": ({"kernel": "gaussian"}, lambda X, scale: rbf_kernel(X, gamma=1 / (2 * scale**2))),
    "orthogonal": (
        {"kernel": "gaussian", "orthogonal": True},
        lambda X, scale: rbf_kernel(X, gamma=1 / (2 * scale**2)),
    ),
    "laplace": ({"kernel": "laplace"}, lambda X, scale: laplacian_kernel(X, gamma=1 / scale)),
    "matern-1/2": ({"kernel": "matern", "nu": 0.5}, lambda X, scale: Matern(scale, nu=0.5)(X)),
    "matern-5/2": ({"kernel": "matern", "nu": 2.5}, lambda X, scale: Matern(scale, nu=2.5)(X)),
    "matern-1.1": ({"kernel": "matern", "nu": 1.1}, lambda X, scale: Matern(scale, nu=1.1)(X)),
}


@pytest.mark.parametrize("form", ["cos", "sincos"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_inner_products_approximate_the_exact_kernel(kernel: str, form: str) -> None:
    """Mean of p terms of size <= 2: the error is below 6 / sqrt(p); another lengthscale is not (negative test)."""
    options, exact = KERNELS[kernel]
    p, X = 20000, points()
    Phi = RandomFourier(D, p, lengthscale=1.7, rng=1, form=form, **options)(X)
    assert np.abs(Phi @ Phi.T - exact(X, 1.7)).max() < 6 / math.sqrt(p)
    assert np.abs(Phi @ Phi.T - exact(X, 1.3)).max() > 6 / math.sqrt(p)


def test_orthogonal_frequencies_have_less_variance_and_condition_near_one() -> None:
    X = points()
    exact = rbf_kernel(X, gamma=1 / (2 * 4.0))

    def error(orthogonal: bool) -> float:
        maps = [RandomFourier(D, D, lengthscale=2.0, rng=s, orthogonal=orthogonal) for s in range(200)]
        return float(np.mean([np.sum((phi(X) @ phi(X).T - exact) ** 2) for phi in maps]))

    assert error(True) < error(False)
    assert RandomFourier(60, 60, lengthscale=1.0, rng=0, orthogonal=True).condition() < 2 * math.pi * 2


def test_same_form_as_scikit_learn_rbf_sampler(ratio) -> None:
    phi, X = RandomFourier(D, P, lengthscale=2.0, rng=0), points()
    oracle = RBFSampler(n_components=P, gamma=1 / 8).fit(X)
    oracle.random_weights_, oracle.random_offset_ = phi._A.T, phi._b
    angles = np.linalg.norm(X) * np.linalg.norm(phi._A) + np.linalg.norm(phi._b)  # a cosine is off by that of its angle
    assert ratio(phi(X), oracle.transform(X), size=D, amplification=angles) < 30


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_sign_and_period_are_nearest_to_the_reference(ratio, scale: float) -> None:
    """No other branch +-arccos + 2 pi j - b of any coordinate is nearer to A x_ref (T8a)."""
    phi = RandomFourier(D, P, lengthscale=2.0, rng=0)
    Phi = phi.radius * np.random.default_rng(1).uniform(-1, 1, (4, P))
    near = scale * points(4)
    T, reference = phi._preimage(Phi, near) @ phi._A.T, near @ phi._A.T
    angle = np.arccos(Phi / phi.radius)
    branches = [s * angle + 2 * np.pi * j - phi._b for s, j in itertools.product((1, -1), range(-40, 41))]
    best = np.min([np.abs(branch - reference) for branch in branches], axis=0)
    lost = np.linalg.cond(phi._A) * np.linalg.norm(reference) / np.linalg.norm(best)  # in x, and in the difference
    assert ratio(np.abs(T - reference), best, size=D, amplification=lost + np.max(1 / np.sin(angle))) < 30
    assert best.max() <= np.pi


def test_weights_are_recovered_exactly_and_not_only_up_to_scale(ratio) -> None:
    """T4': features, labels and ridge scaled together give W through the map; features alone do not."""
    rng, ridge = np.random.default_rng(2), 0.3
    phi, Y, Phi = RandomFourier(D, P, lengthscale=2.0, rng=0), rng.standard_normal((3, 2)), rng.standard_normal((3, P))

    def weights(Phi: np.ndarray, Y: np.ndarray, ridge: float) -> np.ndarray:
        return Y.T @ np.linalg.solve(Phi @ Phi.T + ridge * np.eye(3), Phi)

    c = phi.scale_into_range(Phi)
    F = phi(phi.preimage(c * Phi))
    assert c < 1
    amplification = phi.condition() * np.linalg.cond(Phi @ Phi.T + ridge * np.eye(3))
    assert ratio(weights(F, c * Y, c * c * ridge), weights(Phi, Y, ridge), size=P, amplification=amplification) < 30
    assert np.abs(weights(F, Y, ridge) - weights(Phi, Y, ridge)).max() > 0.01


def test_scale_fills_the_box(ratio) -> None:
    phi = RandomFourier(D, P, lengthscale=2.0, rng=0)
    Phi = np.random.default_rng(3).standard_normal((4, P))
    c = phi.scale_into_range(Phi)
    assert ratio(np.abs(c * Phi).max(), phi.radius, size=1) < 30
    assert phi.in_range(np.full((1, P), phi.radius))
    check = phi.in_range(np.array([[0.0, 0, 0, 0, 0], [0, 0, -1.5 * phi.radius, 0, 0]]))
    assert (check.row, check.column) == (1, 2)
    assert ratio(check.excess, 0.5 * phi.radius, size=1) < 30


def test_more_features_than_inputs_exist_but_have_no_preimage() -> None:
    phi = RandomFourier(D, 2 * D, lengthscale=2.0, rng=0)
    assert phi.kind == "general"
    assert phi(points()).shape == (6, 2 * D)
    assert phi.condition() == math.inf
    for refused in (phi.preimage, phi.in_range, phi.scale_into_range):
        with pytest.raises(InfeasibleError, match=r"at most d = 7 frequencies \(T8a\), got 14") as caught:
            refused(phi(points()))
        assert (caught.value.theorem, caught.value.value, caught.value.limit) == ("T8a", 14, 7)


def test_sincos_range_is_a_product_of_circles(ratio) -> None:
    phi = RandomFourier(D, 6, lengthscale=2.0, rng=0, form="sincos")
    X = points()
    radii = phi(X)[:, :3] ** 2 + phi(X)[:, 3:] ** 2
    assert ratio(radii, np.full_like(radii, phi.radius**2), size=1) < 30
    assert phi.in_range(phi(X))
    assert ratio(phi.scale_into_range(4.0 * phi(X)), 0.25, size=1) < 30
    assert not phi.in_range(phi(X) * (1 + 1e-13))
    with pytest.raises(RangeError, match="one common radius"):
        phi.scale_into_range(np.random.default_rng(0).standard_normal((2, 6)))
    with pytest.raises(RangeError, match="one common radius"):
        phi.scale_into_range(0.5 * phi(X))
    assert ratio(phi.preimage(phi(X), near=X), X, size=D, amplification=phi.condition()) < 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengthscale": 0.0}, "lengthscale must be finite and > 0, got 0.0"),
        ({"lengthscale": 1.0, "kernel": "rbf"}, "kernel must be one of gaussian, laplace, matern, got 'rbf'"),
        ({"lengthscale": 1.0, "kernel": "matern", "nu": 0}, "nu must be finite and > 0"),
        ({"lengthscale": 1.0, "form": "sin"}, "form must be cos or sincos, got 'sin'"),
        ({"lengthscale": 1.0, "form": "sincos"}, "p must be even for form='sincos', got 5; use 6"),
        ({"lengthscale": 1.0, "kernel": "laplace", "orthogonal": True}, "isotropic"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomFourier(D, P, rng=0, **options)


def test_median_lengthscale_is_the_median_of_all_distances(ratio) -> None:
    X = 100.0 + points(9)
    pairs = list(itertools.combinations(X, 2))
    rng = np.random.default_rng(0)
    gaussian = np.median([np.linalg.norm(a - b) for a, b in pairs])
    laplace = np.median([np.abs(a - b).sum() for a, b in pairs])
    for got, wanted in (
        (median_lengthscale(X, rng=rng), gaussian),
        (median_lengthscale(X, rng=rng, kernel="laplace"), laplace),
        (median_lengthscale(3.0 * X, rng=rng), 3.0 * gaussian),
        (2.0**660 * median_lengthscale(2.0**-660 * X, rng=rng), gaussian),  # no square underflows
        (2.0**-660 * median_lengthscale(2.0**660 * X, rng=rng), gaussian),
    ):
        assert ratio(got, wanted, size=D, amplification=100.0) < 30  # differences of numbers near 100
    many = np.random.default_rng(1).standard_normal((3000, 4))
    drawn = median_lengthscale(many, rng=rng, rows=500) / median_lengthscale(many, rng=rng)
    assert 0.95 < drawn < 1.05  # of a sixth of the rows


@pytest.mark.parametrize("power", [-660, 660])
@pytest.mark.parametrize("p", [3, 5])
def test_the_unit_of_the_inputs_changes_no_feature(power, p) -> None:
    X = np.random.default_rng(0).standard_normal((9, 5))
    one = RandomFourier(5, p, lengthscale=2.0, rng=0)
    other = RandomFourier(5, p, lengthscale=2.0 * 2.0**power, rng=0)
    assert np.array_equal(other(2.0**power * X), one(X))
    assert np.array_equal(other.preimage(one(X)), 2.0**power * one.preimage(one(X)))
    assert other.condition() == one.condition()
