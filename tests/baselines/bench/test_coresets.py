"""Coresets: greedy choices by hand, scores that find mislabelled samples, rows of their classes."""

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.baselines.bench.controls import control_set
from analytic_dd.baselines.bench.coresets import CORESETS, ShortRun, coreset_rows, herded, k_centers

SHORT = ShortRun(epochs=5, width=8, nets=2, batch=16, draws=10, set_epochs=20, scored=60)


def bars(n=40, wrong=()):
    """Horizontal and vertical bars with noise; the rows ``wrong`` have the other label."""
    rng = np.random.default_rng(0)
    x = 20.0 * rng.standard_normal((2 * n, 8, 8)) + 100.0
    x[:n, ::2] += 100.0
    x[n:, :, ::2] += 100.0
    y = np.repeat([0, 1], n)
    y[list(wrong)] = 1 - y[list(wrong)]
    return data.Dataset.from_arrays(np.clip(x, 0, 255).astype(np.uint8), y, name="bars", split=False)


def test_herding_is_the_greedy_choice_of_the_mean(rng):
    Z = rng.standard_normal((13, 4))
    chosen = herded(Z, 5)
    for size in range(1, 6):
        found = np.linalg.norm(Z[chosen[:size]].mean(axis=0) - Z.mean(axis=0))
        rest = [row for row in range(13) if row not in chosen[: size - 1]]
        others = [np.linalg.norm(Z[[*chosen[: size - 1], row]].mean(axis=0) - Z.mean(axis=0)) for row in rest]
        assert found == pytest.approx(min(others), rel=1e-12)
    assert sorted(herded(Z, 99)) == list(range(13))


def test_centres_are_the_farthest_of_those_before(rng):
    Z = rng.standard_normal((13, 4))
    chosen = k_centers(Z, 5)
    assert chosen[0] == np.argmin(np.linalg.norm(Z - Z.mean(axis=0), axis=1))
    for size in range(1, 5):
        distances = np.linalg.norm(Z[:, None] - Z[chosen[:size]][None], axis=2).min(axis=1)
        assert chosen[size] == np.argmax(distances)
    assert len(set(chosen)) == 5


@pytest.mark.parametrize("name", ["el2n", "forgetting"])
def test_scores_of_training_choose_samples_whose_label_is_wrong(name):
    wrong = (3, 50)
    dataset = bars(wrong=wrong)
    rows = coreset_rows(name, dataset, 1, seed=0, run=SHORT)
    assert sorted(rows) == sorted(wrong)


@pytest.mark.parametrize("name", CORESETS)
def test_rows_are_of_their_class_and_depend_on_the_seed_alone(name):
    dataset = bars()
    rows = coreset_rows(name, dataset, 3, seed=1, run=SHORT)
    assert dataset.y_train[rows].tolist() == [0] * 3 + [1] * 3
    assert len(set(rows)) == 6
    assert np.array_equal(rows, coreset_rows(name, dataset, 3, seed=1, run=SHORT))


def test_a_coreset_is_a_control_and_a_small_class_repeats():
    few = bars(n=2)
    inputs, labels = control_set("k-center", few, 3, seed=0)
    assert inputs.shape == (6, 64)
    assert labels.argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="unknown coreset 'kcenter'"):
        coreset_rows("kcenter", few, 1, seed=0)


def test_optimised_images_leave_out_draws_that_teach_what_is_wrong():
    """Three of ten labels are wrong: half of all draws have right labels alone, and the best fifth is among them."""
    wrong = {*range(12), *range(40, 52)}
    dataset = bars(wrong=sorted(wrong))
    drawn = [coreset_rows("optimised", dataset, 1, seed=seed, run=SHORT) for seed in range(2)]
    assert not any(wrong & {int(row) for row in rows} for rows in drawn)
    assert len({tuple(rows) for rows in drawn}) > 1
