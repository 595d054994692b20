"""Label Solve through the driver: stationary at the ridge of its predictor, counts, digits."""

import numpy as np
import pytest
import torch

from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernel_config import own_kernel
from analytic_dd.baselines.methods.krr import krr_accuracy, predict, ridge_value


def training_loss(found, dataset, labels, *, scale=1.0):
    """Half the mean squared error on the training set, by the predictor of the set with another ridge."""
    kernel = own_kernel(found, dataset)
    x = torch.from_numpy(found.inputs)
    mean, std = dataset.statistics()
    X = np.concatenate([X for X, _ in dataset.blocks("train", mean=mean, std=std)])
    Y = torch.nn.functional.one_hot(torch.from_numpy(dataset.y_train.astype(np.int64)), 10).double()
    Y = Y - 0.1 if found.config["centred"] else Y
    ridge = scale * ridge_value(kernel(x).trace(), len(x), relative=found.config["ridge_relative"])
    return 0.5 * ((predict(kernel, x, labels, torch.from_numpy(X), ridge=ridge) - Y) ** 2).mean()


@pytest.mark.parametrize("options", [{"kernel": "ntk"}, {"kernel": "rbf"}, {"features": "fcnn"}], ids=str)
def test_labels_are_stationary_at_the_ridge_of_the_predictor(options, digits, ratio):
    found = distill("label-solve", digits, config=options | {"ridge_relative": 1e-2})
    y = torch.from_numpy(found.y)
    loss = float(training_loss(found, digits, y))
    size = {"size": len(digits.x_train), "amplification": 1e3}  # m / 1e-2 is the largest condition of the system
    assert ratio(found.losses[0][2], loss, **size) < 30
    rng = np.random.default_rng(0)
    for _ in range(5):
        step = torch.from_numpy(rng.standard_normal(y.shape))
        up, down = (float(training_loss(found, digits, y + h * step)) for h in (1e-3, -1e-3))
        assert ratio(up, down, **size) < 30  # stationary: the slope is (up - down) / 2e-3
        assert min(up, down) > loss
    moved = 1.01 * y
    assert float(training_loss(found, digits, moved)) > loss
    assert float(training_loss(found, digits, y, scale=3.0)) > loss  # with the ridge of another predictor they are not


def test_on_digits_solved_labels_beat_one_hot_ones_by_ten_points(digits):
    kernel = own_kernel(distill("label-solve", digits), digits)
    sets = [[distill("label-solve", digits, seed=s, config={"steps": n}) for s in range(3)] for n in (1, 0)]
    solved, random = ([krr_accuracy(one.inputs, one.y, digits, kernel) for one in group] for group in sets)
    assert 0.55 <= np.mean(random) <= 0.75
    assert min(np.subtract(solved, random)) > 0.10


def test_the_ledger_has_the_counts_made_by_hand(digits):
    n = len(digits.y_train)
    kernel = distill("label-solve", digits, points_per_class=2).ledger
    assert (kernel.kernel_entries, kernel.real_forward, kernel.steps) == (400 + 20 * n, 0, 1)
    finite = distill("label-solve", digits, points_per_class=2, config={"features": "fcnn"}).ledger
    assert (finite.kernel_entries, finite.real_forward, finite.synthetic_forward) == (0, n, 20)


def test_kip_starts_where_label_solve_ends_but_for_its_own_draw(digits):
    """KIP with solved labels and no step is Label Solve on its own real samples."""
    found = distill("kip", digits, config={"steps": 0, "labels": "solved"})
    loss = float(training_loss(found, digits, torch.from_numpy(found.y)))
    assert float(training_loss(found, digits, 1.01 * torch.from_numpy(found.y))) > loss
    assert float(training_loss(found, digits, 0.99 * torch.from_numpy(found.y))) > loss
