"""Rows of a table are no images: each column has its own unit, in what is built and in what is said."""

import numpy as np
import pytest

from analytic_dd import distill, load_distilled
from analytic_dd.data import Dataset, Table, normalised
from analytic_dd.distill import Exact, Minimal, chosen
from analytic_dd.errors import DataError
from analytic_dd.export.format import hard_labels
from analytic_dd.model import FitOptions
from analytic_dd.plot import _drawable, thumbnails
from analytic_dd.report import describe, run

NAMES = ("age", "seconds since 1970", "income", "share")
EPS = np.finfo(float).eps


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.standard_normal((90, 4)) * [15.0, 30.0, 2e4, 1e-3] + [50.0, 1.7e9, 6e4, 0.5]


@pytest.fixture(scope="module")
def table(rows):
    """Two classes, one of which has a fifth of the samples."""
    y = (rows[:, 0] + rows[:, 2] / 1e3 > 137).astype(int)
    return Dataset.from_arrays(rows[:60], y[:60], rows[60:], y[60:], columns=NAMES, name="people")


@pytest.fixture(scope="module")
def quantities(rows):
    Y = rows[:, :1] + rows[:, 2:3] / 1e3
    return Table("prices", rows[:60], Y[:60], rows[60:], Y[60:], NAMES, ("price",))


@pytest.fixture
def made(tmp_path):
    """Distil into a folder; return the report, its text and the stored set."""

    def make(data, *, intercept=False, **options):
        report = run(
            data, "identity", chosen(**options), tmp_path, FitOptions(ridge=1.0, intercept=intercept), picture=False
        )
        return report.content, "\n".join(describe(report)), load_distilled(tmp_path)

    return make


@pytest.mark.parametrize("mode", ["nearest", "one-image", "near-copies"])
def test_changes_are_measured_in_deviations_of_a_column(table, made, ratio, mode):
    content, text, stored = made(table, mode=mode)
    facts = content["realistic"]
    change = stored.inputs - normalised(stored.references, stored.mean, stored.std)
    assert ratio(facts["largest_pixel_change"], np.abs(change).max(), size=4) < 30
    assert facts["eight_bit"] is None
    assert "deviations of its column" in text
    assert "image" not in facts["privacy"]
    if mode != "nearest":  # a hundredth of the range of each column, whatever the others measure
        spread = np.ptp(table.x_train, axis=0) / stored.std
        rounding = 30 * EPS * np.abs(stored.references).max(axis=0) / stored.std
        assert np.all(np.abs(change) <= 0.01 * spread + rounding)
        assert np.any(np.abs(change) > rounding)


def test_regressions_near_real_rows_say_that_they_publish_them(quantities, made):
    content, text, stored = made(quantities, intercept=True, mode="nearest")
    assert len(stored.inputs) == 2  # one output and the intercept, without asking
    assert stored.certify().verdict == "pass"
    assert content["realistic"]["label_agreement"] is None
    assert "privacy (T17): a realistic set publishes its reference rows" in text


def test_integer_pixels_of_a_table_are_refused(table, made):
    with pytest.raises(ValueError, match="the columns of a table have their own"):
        made(table, mode="nearest", points=12, pixels="bytes")


def test_a_mean_as_large_as_a_time_leaves_weights_of_rank_one(table, made):
    """The rounding of the mean, 1e9 times that of the deviations, is no second direction of two classes (T5)."""
    _, _, stored = made(table)
    assert np.abs(stored.w.sum(axis=0)).max() <= 30 * EPS * np.abs(stored.w).max()
    assert stored.certify().verdict == "pass"


def test_a_column_that_is_constant_to_rounding_does_not_hide_a_mean_of_features(rows, tmp_path):
    """Its mean is 1e16 deviations; random Fourier features have a mean whatever it is, and W is not about its own."""
    X = rows.copy()
    X[:, 3] = np.where(np.arange(len(X)) % 2, 0.3, 0.1 + 0.2)
    y = (np.arange(len(X)) % 3 == 0).astype(int)
    table = Dataset.from_arrays(X[:60], y[:60], X[60:], y[60:], columns=NAMES, name="people")
    run(table, "rff:p=4", chosen(), tmp_path, FitOptions(ridge=1.0), picture=False)
    W = load_distilled(tmp_path).w
    assert np.linalg.norm(W.sum(axis=0)) > 0.1 * np.linalg.norm(W)


def test_what_an_intercept_would_bring_is_said_where_it_is_much(table, made):
    content, text, _ = made(table)
    with_one, silent, whole = made(table, intercept=True)
    X, y = normalised(table.x_test, whole.mean, whole.std), table.y_test
    right = np.mean((X @ whole.w.T + whole.intercept).argmax(axis=1) == y)
    assert content["accuracies"]["original"] + 0.1 < content["accuracy_with_intercept"] == right
    assert "--intercept" in text
    assert with_one["accuracy_with_intercept"] is None
    assert "--intercept" not in silent


@pytest.mark.parametrize("mode", ["exact", "nearest"])
def test_rows_are_drawn_in_deviations_of_their_columns(table, made, mode):
    """On one scale of the data's units, a time in seconds would be white and all else black."""
    stored = made(table, mode=mode)[2]
    drawn = _drawable(stored)
    assert np.array_equal(drawn.x[:, 0], stored.inputs)
    for name in ("class_means", "references"):
        samples = getattr(stored, name)
        if samples is not None:
            assert np.array_equal(getattr(drawn, name)[:, 0], (samples - stored.mean) / stored.std)
    low, high = thumbnails(stored, most=2)[1:]
    assert np.abs(stored.inputs).max() >= max(-low, high)


@pytest.mark.parametrize("loss", ["squared", "softmax"])
def test_shares_of_classes_are_no_quantities(loss, rng):
    """A one-hot matrix, or probabilities."""
    X, Y = rng.standard_normal((40, 3)), rng.dirichlet(np.ones(3), 40)
    Y = Y if loss == "softmax" else np.eye(3)[Y.argmax(axis=1)]
    construction = Minimal() if loss == "softmax" else Exact()
    stored = distill(X, Y, construction=construction, fit=FitOptions(loss=loss, ridge=1.0))
    assert stored.meta["task"] == "classify"
    assert stored.meta["labels"] == ("learned" if loss == "softmax" else "one-hot")
    if loss == "squared":
        assert np.array_equal(hard_labels(stored, "dc")[0], np.arange(3))


def test_quantities_are_not_exported_as_classes(quantities, made):
    content, text, stored = made(quantities, intercept=True)
    assert content["task"] == "regress"
    assert "fixed labels" in text
    assert stored.meta["labels"] == "fixed"
    with pytest.raises(DataError, match="holds classes, and this set has quantities"):
        hard_labels(stored, "dc")
