"""Marks of the networks that score: the learned step size, and the augmentation of gradient matching."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd.baselines.bench.evaluate import Networks, evaluate
from analytic_dd.baselines.bench.plan import parse_variant, reason_against
from analytic_dd.baselines.bench.protocol import Protocol, predictor_kind, score
from analytic_dd.baselines.bench.run import control_result
from analytic_dd.baselines.bench.table import summaries, table
from analytic_dd.baselines.nets.each_image import EachImage
from analytic_dd.data import Dataset

SMALL = Protocol(nets=2, epochs=3, epochs_augmented=4, mlp_width=5)


@pytest.fixture(scope="module")
def data():
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    x = rng.integers(0, 256, (30, 4, 5), dtype=np.uint8)
    return Dataset.from_arrays(x, y, x_test=x, y_test=y, name="small")


@pytest.fixture(scope="module")
def learned(data):
    """A set with a step size that was learned."""
    return replace(control_result("random", data, 2, seed=0), method="mtt", learned={"step_size": 0.37})


def test_the_learned_step_size_takes_the_place_of_that_of_the_protocol(data, learned):
    found = score("mlp+lr", learned, data, protocol=SMALL)
    assert found.details["lr"] == 0.37
    assert found.accuracies == score("mlp", learned, data, protocol=replace(SMALL, lr=0.37)).accuracies
    assert found.accuracies != score("mlp", learned, data, protocol=replace(SMALL, lr=1e-9)).accuracies


def test_a_set_without_a_learned_step_size_is_not_scored_with_one(data):
    control = control_result("random", data, 1, seed=0)
    with pytest.raises(ValueError, match=r"random learns no step size; leave mlp\+lr out"):
        score("mlp+lr", control, data, protocol=SMALL)
    variants = {name: parse_variant(name)[0] for name in ("mtt", "dd", "ld", "dc", "kip", "random", "full")}
    applies = {name for name, variant in variants.items() if reason_against("mlp+lr", variant, data) is None}
    assert applies == {"mtt", "dd", "ld"}


def test_the_learned_step_size_is_a_column_of_its_own():
    row = {"data": "small", "variant": "", "ipc": 1, "predictor": "mlp", "accuracy": 0.5, "seconds": 1.0}
    rows = [
        row | {"method": "mtt", "seed": seed, "learned": {"step_size": size}} for seed, size in enumerate([0.1, 0.3])
    ]
    rows.append(row | {"method": "closed-form", "seed": 0, "learned": {"ridge": 0.5}})
    assert summaries(rows)["small", 1, "mtt"]["mlp"].step_size == pytest.approx(0.2)
    text = table(rows)
    head, _, mtt, closed = (line.split() for line in text.splitlines()[:4])
    assert head == ["small", "IPC", "mlp", "learned", "lr", "seconds"]
    assert mtt[-2:] == ["0.2", "1"]
    assert closed[-2:] == ["50.0", "1"]
    assert "learned lr: the step size that a set was made for" in text
    assert "learned lr" not in table(rows[2:])


def test_the_augmentation_of_gradient_matching_is_a_mark(data, learned):
    networks = SMALL.networks("mlp+dc", full=False)
    assert (networks.augment, networks.epochs) == ("dc", 4)
    assert networks.course(data).augmentation == EachImage()
    found = score("mlp+dc", learned, data, protocol=SMALL)
    assert found.accuracies == evaluate(learned.inputs, learned.y, data, networks).accuracies
    assert SMALL.networks("mlp", full=False).course(data).augmentation is None
    with pytest.raises(ValueError, match="augment must be true, false or 'dc', got 'siamese'"):
        Networks(augment="siamese")


@pytest.mark.parametrize("name", ["mlp+lr", "convnet+dsa+lr", "convnet+dc+soft", "mlp+dsa+soft+lr"])
def test_marks_come_in_one_order(name):
    assert predictor_kind(name) == "network"
    with pytest.raises(ValueError, match="unknown predictor"):
        predictor_kind("+".join([name.split("+")[0], *reversed(name.split("+")[1:]), "dsa", "dc"]))
