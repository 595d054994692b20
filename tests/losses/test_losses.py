"""T18: a loss is A(z) - y.z; mean and Hessian are its derivatives, in every array library."""

import numpy as np
import pytest

from analytic_dd.arrays import to_numpy
from analytic_dd.errors import InfeasibleError
from analytic_dd.losses import LOSSES, as_loss

N, K = 7, 3
each_loss = pytest.mark.parametrize("name", LOSSES)
PLANTED = {
    "squared": lambda mu: mu,
    "softmax": lambda mu: np.abs(mu) / np.abs(mu).sum(1, keepdims=True),
    "logistic": lambda mu: 1 / (1 + np.exp(-mu)),
    "poisson": np.abs,
}


def logits(rng, scale=1.0):
    return scale * rng.standard_normal((N, K))


def directional(f, Z, V, h=2.0**-12):
    """A derivative by central differences, Richardson's step once: errors h^4, and eps / h of the values."""
    first = lambda h: (f(Z + h * V) - f(Z - h * V)) / (2 * h)  # noqa: E731
    return (4 * first(h / 2) - first(h)) / 3


@each_loss
def test_mean_is_the_gradient_of_the_value(ratio, rng, name):
    loss, Z, V = LOSSES[name], logits(rng), logits(rng)
    Y = PLANTED[name](logits(rng))
    slope = directional(lambda Z: loss.value(Z, Y), Z, V)
    unit = 1.0 + np.linalg.norm(loss.value(Z, Y))
    assert ratio(slope, np.sum((loss.mean(Z) - Y) * V, axis=1), size=2.0**12, unit=unit) < 30


@each_loss
def test_hessian_is_the_derivative_of_the_mean_and_curvature_its_product(ratio, rng, name):
    loss, Z, V = LOSSES[name], logits(rng), logits(rng)
    H = loss.hessian(Z)
    product = np.einsum("ijk,ik->ij", H, V)
    assert ratio(directional(loss.mean, Z, V), product, size=2.0**12, unit=1.0 + np.linalg.norm(loss.mean(Z))) < 30
    assert ratio(loss.curvature(loss.mean(Z), V), product, size=K) < 30
    assert np.array_equal(H, np.swapaxes(H, 1, 2))
    assert np.linalg.eigvalsh(H).min() > -30 * 2.0**-52 * np.abs(H).max()


def test_value_mean_and_hessian_in_every_library(library, ratio, rng):
    for name in LOSSES:
        loss, Z, Y = LOSSES[name], logits(rng), PLANTED[name](logits(rng))
        z, y = library.array(Z), library.array(Y)
        Z, Y = to_numpy(z).astype(np.float64), to_numpy(y).astype(np.float64)
        for got, wanted in (
            (loss.mean(z), loss.mean(Z)),
            (loss.value(z, y), loss.value(Z, Y)),
            (loss.hessian(z), loss.hessian(Z)),
        ):
            assert library.owns(got)
            assert ratio(got, wanted, size=K, amplification=10, eps=library.eps) < 30
        loss.require_targets(y)


@each_loss
def test_link_is_the_inverse_of_the_mean(ratio, rng, name):
    loss, mu = LOSSES[name], PLANTED[name](logits(rng))[0]
    assert ratio(loss.mean(loss.link(mu)[None])[0], mu, size=K) < 30


@pytest.mark.parametrize("name", ["softmax", "logistic"])
def test_probabilities_of_huge_logits_do_not_overflow(name):
    mu = LOSSES[name].mean(np.array([[1e4, -1e4, 0.0]]))
    assert np.isfinite(mu).all()
    assert mu[0, :2].tolist() == [1.0, 0.0]
    assert np.isfinite(LOSSES[name].value(np.array([[1e4, -1e4, 0.0]]), mu)).all()


@pytest.mark.parametrize(
    ("name", "label", "message"),
    [
        ("softmax", [0.5, 0.4, 0.2], "must sum to 1 in every row, got 1.1 in row 0"),
        ("softmax", [1.2, -0.2, 0.0], r"must be >= 0, got -0.2 at row 0, column 1"),
        ("logistic", [0.0, 1.5, 1.0], r"must be in 0 .. 1, got 1.5 at row 0, column 1"),
        ("poisson", [0.0, 3.0, -1.0], r"must be >= 0, got -1 at row 0, column 2"),
    ],
)
def test_labels_that_are_no_data_of_the_loss_are_refused(name, label, message):
    with pytest.raises(ValueError, match=message):
        LOSSES[name].require_targets(np.array([label]))


def test_largest_multiple_is_where_a_label_reaches_an_end(rng):
    mu = PLANTED["logistic"](logits(rng))
    for name, ends in (("softmax", (0.0,)), ("logistic", (0.0, 1.0)), ("poisson", (0.0,))):
        E = logits(rng)
        t = LOSSES[name].largest_multiple(mu, E)
        labels = mu + t * E
        rounding = 30 * 2.0**-52 * (1.0 + t * np.abs(E).max())
        assert min(np.abs(labels - end).min() for end in ends) < rounding
        assert labels.min() > -rounding
        assert labels.max() < (1 + rounding if 1.0 in ends else np.inf)
    assert LOSSES["poisson"].largest_multiple(mu, np.abs(E)) == np.inf
    assert LOSSES["squared"].largest_multiple(mu, E) == np.inf


def test_separation_needs_hard_labels_and_strict_sides():
    Z, Y = np.array([[2.0, 1.0], [0.0, 3.0]]), np.eye(2)
    for name in ("softmax", "logistic"):
        loss = LOSSES[name]
        assert loss.separated(Z - 1.5, Y)
        assert not loss.separated(Z[:, ::-1] - 1.5, Y)
        assert not loss.separated(Z - 1.5, 0.9 * Y + 0.05)
        assert not loss.separated(0.0 * Z, Y)
    assert not LOSSES["squared"].separated(Z, Y)


def test_an_intercept_without_a_sample_of_a_class_is_refused():
    with pytest.raises(InfeasibleError, match="the mean label of output 1 is 0") as caught:
        LOSSES["softmax"].require_mean(np.array([1.0 / 3, 0.0, 2.0 / 3]))
    assert (caught.value.theorem, caught.value.value) == ("T18e", 0.0)
    with pytest.raises(InfeasibleError, match="the mean label of output 0 is 1"):
        LOSSES["logistic"].require_mean(np.array([1.0]))
    LOSSES["squared"].require_mean(np.array([0.0]))


def test_unknown_losses_are_refused():
    assert as_loss(LOSSES["poisson"]) is LOSSES["poisson"]
    with pytest.raises(ValueError, match="unknown loss 'hinge'; choose from squared, softmax, logistic, poisson"):
        as_loss("hinge")
