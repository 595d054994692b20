"""The original model is the same whichever way its sums and its leave-one-out samples were made."""

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.features import FullyConnected, Identity
from analytic_dd.model import DatasetSource, FitOptions, fit_source


@pytest.fixture(scope="module")
def colours():
    """Bytes with three channels."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (300, 4, 4, 3), dtype=np.uint8)
    x[..., 1] //= 3
    return data.Dataset.from_arrays(x, (x[:, 0, 0] * [[1, 3, 1]]).argmax(1), channels="last")


def fit(dataset, phi, *, centred=False, sample_weight=None, clock=None, **options):
    source = DatasetSource(dataset, centred=centred, weights=sample_weight)
    return fit_source(source, phi, FitOptions(**options), rng=np.random.default_rng(0), clock=clock)


@pytest.mark.parametrize("options", [{}, {"intercept": True}, {"centred": True}, {"ridge": "gcv"}, {"ridge": 3.0}])
@pytest.mark.parametrize("name", ["digits", "colours"])
def test_sums_of_bytes_make_the_model_of_normalised_samples(request, monkeypatch, ratio, name, options):
    dataset = request.getfixturevalue(name)
    fast = fit(dataset, Identity(dataset.d), **options)
    monkeypatch.setattr(DatasetSource, "bytes_of", lambda *_: None)
    slow = fit(dataset, Identity(dataset.d), **options)
    assert ratio(fast.ridge, slow.ridge, size=dataset.d) < 30
    if slow.choice is not None and slow.choice.criterion == "loo":
        assert np.array_equal(fast.choice.scores, slow.choice.scores)
    values = slow.statistics.spectrum().values
    amplification = (values[0] + slow.ridge) / slow.ridge
    assert ratio(fast.weights, slow.weights, size=64, amplification=amplification) < 30
    n = len(dataset.y_train)
    assert fast.statistics.n == n
    assert ratio(fast.statistics.G, slow.statistics.G, size=np.sqrt(n)) < 30


def test_sums_of_bytes_are_used_for_bytes_and_float64_only(digits, monkeypatch):
    monkeypatch.setattr("analytic_dd.model.fit.ByteSums", lambda *_: pytest.fail("bytes"))
    floats = data.Dataset.from_arrays(digits.x_train.astype(float), digits.y_train)
    fit(floats, Identity(64))
    fit(digits, Identity(64), dtype=np.float32)
    fit(digits, Identity(64), sample_weight=np.ones(len(digits.y_train)))
    fit(digits, FullyConnected([64, 32], rng=0))
    with pytest.raises(pytest.fail.Exception):
        fit(digits, Identity(64))


@pytest.mark.parametrize("weighted", [False, True])
def test_features_that_were_kept_score_as_those_that_are_mapped_again(digits, monkeypatch, weighted):
    n = len(digits.y_train)
    monkeypatch.setattr("analytic_dd.model.fit.LOO_SAMPLES", 500)
    phi = FullyConnected([64, 32], rng=0)
    options = {"sample_weight": np.random.default_rng(1).random(n)} if weighted else {}
    clock, again = Clock(), Clock()
    kept = fit(digits, phi, clock=clock, **options)
    monkeypatch.setattr("analytic_dd.ridge.fit._KEPT_BYTES", 0)
    mapped = fit(digits, phi, clock=again, **options)
    assert n <= clock.mapped < n + 50  # but for samples that float32 cannot decide
    assert again.mapped == n + 500
    assert np.array_equal(kept.choice.scores, mapped.choice.scores)
    assert np.array_equal(kept.weights, mapped.weights)
    assert kept.choice.samples == mapped.choice.samples <= 500


OPTIONS = [
    {},
    {"intercept": True},
    {"centred": True, "ridge": "gcv"},
    {"ridge": 0.0},
    {"ridge": 1e-3, "solver": "refined", "intercept": True},
    {"weighted": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("features", ["identity", "fcnn"])
def test_torch_makes_the_model_that_numpy_makes(digits, ratio, features, options):
    phi = Identity(64) if features == "identity" else FullyConnected([64, 48, 40], rng=0)
    if options == {"weighted": True}:
        options = {"sample_weight": np.random.default_rng(1).uniform(0.5, 2.0, len(digits.y_train))}
    here, there = fit(digits, phi, **options), fit(digits, phi, device="cpu:0", **options)
    values = here.statistics.spectrum().values
    assert ratio(there.ridge, here.ridge, size=64) < 30
    assert (there.solver, there.label_kind) == (here.solver, here.label_kind)
    if there.choice is not None:
        lost = here.choice.scores * (1.0 + values[0] / here.choice.ridges)
        assert ratio((there.choice.scores - here.choice.scores) / lost, 0.0, size=64, unit=1.0) < 30
    least = values[values > 1e-12 * values[0]][-1]
    lost = (values[0] + here.ridge) / (least + here.ridge)
    for one, other, amplification in (
        (here.weights, there.weights, lost),
        (here.statistics.G, there.statistics.G, 1.0),
    ):
        assert isinstance(other, np.ndarray)
        assert ratio(other, one, size=64, amplification=amplification) < 30
    assert (there.intercept is None) is (here.intercept is None)


def test_float32_maps_on_a_device_too(digits, ratio):
    phi = FullyConnected([64, 48], rng=0)
    here, there = (fit(digits, phi, device=device, dtype=np.float32, ridge=1.0) for device in ("cpu", "cpu:0"))
    values = here.statistics.spectrum().values
    lost = np.sqrt((values[0] + 1.0) / (values[-1] + 1.0))
    assert 0.0 < ratio(there.weights, here.weights, size=8, amplification=lost, eps=2.0**-23) < 30


def test_a_device_that_is_not_here_is_refused(digits):
    for device in ("cuda:63", "nonsense"):
        with pytest.raises(ValueError, match="use device='cpu'"):
            fit(digits, Identity(64), device=device)
