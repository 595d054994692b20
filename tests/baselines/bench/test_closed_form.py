"""The closed form among the baselines: exact through the library's solver, with the map that KIP draws."""

import numpy as np
import pytest

from analytic_dd.baselines.bench.closed_form import (
    ClosedFormConfig,
    closed_form,
    closed_form_kernel,
    map_named,
    weights_of_set,
)
from analytic_dd.baselines.bench.protocol import Protocol, score
from analytic_dd.baselines.bench.set_file import load_set, save_set
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernel_config import own_kernel
from analytic_dd.baselines.methods.krr import krr_accuracy
from analytic_dd.errors import DataError
from analytic_dd.files import write_npz
from analytic_dd.model import DatasetSource, FitOptions, fit_source
from analytic_dd.ridge import ridge_weights


@pytest.mark.parametrize(
    "options", [{}, {"features": "fcnn"}, {"mode": "nearest"}, {"distilled_ridge": 1e-3, "labels": "learned"}]
)
@pytest.mark.parametrize("per_class", [1, 3])
def test_ridge_regression_on_the_set_is_that_on_all_the_data(digits, options, per_class, ratio):
    found = closed_form(digits, points_per_class=per_class, seed=1, config=options)
    phi = map_named(found.config["features"], digits, seed=1)
    fit = FitOptions(ridge=found.learned["original_ridge"])
    W = fit_source(DatasetSource(digits), phi, fit, rng=np.random.default_rng(0)).weights
    Phis, ridge = phi(found.inputs), found.learned["ridge"]
    condition = np.linalg.cond(Phis)
    assert ratio(ridge_weights(Phis, found.y, ridge=ridge), W, size=Phis.shape[1], amplification=condition**2) < 30
    assert found.x.shape == (10 * per_class, 8, 8)
    assert found.ledger.wall_seconds > 0.0


def test_the_map_is_the_one_that_kip_draws(digits):
    kip = distill("kip", digits, seed=3, config={"features": "fcnn", "steps": 0, "labels": "fixed"})
    ours = closed_form(digits, seed=3, config={"features": "fcnn"})
    X = np.random.default_rng(0).standard_normal((4, 64))
    theirs, mine = (kernel.feature_map(X) for kernel in (own_kernel(kip, digits), closed_form_kernel(ours, digits)))
    assert np.array_equal(theirs, mine)
    assert not np.array_equal(mine, map_named("fcnn", digits, seed=4)(X))


def test_a_loss_is_fitted_and_found_again_on_the_set(digits, ratio):
    """T18: the softmax model of all the data, by means as labels, which networks may train on too."""
    found = closed_form(digits, points_per_class=1, config={"loss": "softmax", "original_ridge": 300.0})
    phi = map_named("identity", digits, seed=0)
    fit = FitOptions(loss="softmax", ridge=300.0)
    wanted = fit_source(DatasetSource(digits), phi, fit, rng=np.random.default_rng(0)).weights
    assert found.weights is None  # the claim of a set is one of ridge regression
    X = next(DatasetSource(digits).blocks(len(digits.y_train)))[0]
    condition = (np.linalg.norm(X, 2) ** 2 + 300.0) / 300.0
    assert ratio(weights_of_set(found, phi), wanted, size=len(X), amplification=condition) < 30
    assert score("krr-own", found, digits, protocol=Protocol()).details["loss"] == "softmax"
    for options, words in (
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"loss": "softmax", "mode": "gradients"}, "is for loss='squared'"),
        ({"loss": "softmax", "original_ridge": "loo"}, "use ridge='validation'"),
    ):
        with pytest.raises(ValueError, match=words):
            ClosedFormConfig(**options)


def test_its_accuracy_is_that_of_all_the_data(digits):
    found = closed_form(digits)
    options = FitOptions(ridge=found.learned["original_ridge"])
    phi = map_named("identity", digits, seed=0)
    model = fit_source(DatasetSource(digits), phi, options, rng=np.random.default_rng(0))
    mean, std = digits.statistics()
    X = np.concatenate([block for block, _ in digits.blocks("test", mean=mean, std=std)])
    wanted = float(np.mean((X @ model.weights.T).argmax(axis=1) == digits.y_test))
    kernel = closed_form_kernel(found, digits)
    assert krr_accuracy(found.inputs, found.y, digits, kernel, ridge=0.0) == wanted


def test_equal_seeds_give_equal_sets_and_options_are_checked(digits):
    one, same, other = (closed_form(digits, points_per_class=2, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.inputs, same.inputs)
    assert not np.array_equal(one.inputs, other.inputs)
    with pytest.raises(ValueError, match="did you mean features"):
        closed_form(digits, config={"feature": "fcnn"})
    with pytest.raises(ValueError, match="unknown mode 'nearst'"):
        ClosedFormConfig(mode="nearst")


def test_a_set_comes_back_from_its_file_as_it_was(digits, tmp_path):
    kip = distill("kip", digits, config={"steps": 2, "target_batch": 50})
    save_set(tmp_path / "set.npz", kip, budget=3.0)
    again, facts = load_set(tmp_path / "set.npz")
    assert facts == {"budget": 3.0}
    for name, value in vars(kip).items():
        same = np.array_equal if isinstance(value, np.ndarray) else lambda a, b: a == b
        assert same(getattr(again, name), value), name


def test_another_file_is_no_set(tmp_path):
    write_npz(tmp_path / "other.npz", {"x": np.zeros(3)})
    with pytest.raises(DataError, match="is not a set of a baseline"):
        load_set(tmp_path / "other.npz")


def test_a_loss_at_no_step_is_no_set(digits, tmp_path):
    save_set(tmp_path / "set.npz", distill("kip", digits, config={"steps": 1, "target_batch": 50}), budget=3.0)
    with np.load(tmp_path / "set.npz") as file:
        stored = dict(file)
    write_npz(tmp_path / "set.npz", stored | {"losses": np.full_like(stored["losses"], np.inf)})
    with pytest.raises(DataError, match="is not a set of a baseline"):
        load_set(tmp_path / "set.npz")
