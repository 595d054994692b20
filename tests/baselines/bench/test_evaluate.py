"""The protocol: what is trained is what the formulas say, and nothing sees the test part before the end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytic_dd.baselines.bench import evaluate as protocol
from analytic_dd.baselines.bench.controls import random_real
from analytic_dd.baselines.bench.evaluate import Networks, evaluate, targets_of
from analytic_dd.baselines.nets.named import network_named
from analytic_dd.data import Dataset
from analytic_dd.errors import DataError, ShapeError


@pytest.fixture(scope="module")
def small_set(digits):
    return random_real(digits, 1, seed=0)


def test_random_real_images_score_as_published_for_this_size_and_class_means_far_above(digits):
    from analytic_dd.baselines.bench.controls import means_of_parts

    options = {"width": 16, "depth": 2, "nets": 1}
    random = evaluate(*random_real(digits, 1, seed=0), digits, Networks(**options))
    means = evaluate(*means_of_parts(digits, 1, seed=0), digits, Networks(**options))
    assert 0.55 <= random.mean <= 0.75
    assert 0.80 <= means.mean <= 0.92
    assert random.diverged == means.diverged == 0
    assert random.epochs == 300


def test_equal_seeds_give_equal_bits_and_others_do_not(digits, small_set):
    options = {"width": 8, "depth": 2, "nets": 2, "epochs": 10}
    first, again, other = (evaluate(*small_set, digits, Networks(seed=seed, **options)) for seed in (0, 0, 1))
    assert first.accuracies == again.accuracies
    assert first.accuracies != other.accuracies
    assert len(set(first.accuracies)) == 2  # the networks differ


def test_a_network_does_not_depend_on_how_many_there_are(digits, small_set):
    options = {"network": "mlp", "width": 8, "epochs": 20}
    two, three = (evaluate(*small_set, digits, Networks(nets=nets, **options), together=False) for nets in (2, 3))
    assert three.accuracies[:2] == two.accuracies


def test_the_random_states_of_the_caller_are_untouched(digits, small_set):
    torch.manual_seed(3)
    before, rows = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    evaluate(*small_set, digits, Networks(width=8, depth=1, nets=2, epochs=2, augment=True))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(rows, np.random.get_state()[1])  # noqa: NPY002


class Sealed(Dataset):
    """A data set whose test samples cannot be had before it is opened; their number may be known."""

    opened = False

    @property
    def seal(self):
        return object.__getattribute__(self, "__dict__").get("opened", False)

    def _part(self, split):
        if split == "test" and not self.seal:
            raise AssertionError("the test part was read before the end")
        return super()._part(split)

    def validate(self):
        """Checked when it was made."""


def sealed(dataset):
    fields = ("name", "x_train", "y_train", "x_test", "y_test", "classes", "image_shape", "source")
    made = Sealed(**{name: getattr(dataset, name) for name in fields})

    class Hidden:
        """Test samples that have a length and nothing else."""

        def __init__(self, array):
            self.array = array

        def __len__(self):
            return len(self.array)

    object.__setattr__(made, "x_test", Hidden(dataset.x_test))
    object.__setattr__(made, "y_test", Hidden(dataset.y_test))
    return made


def test_the_test_part_is_not_read_before_all_networks_are_trained(digits, small_set, monkeypatch):
    closed, score, events = sealed(digits), protocol.test_accuracies, []

    def open_and_score(model, trained, dataset, device):
        events.append(len(trained))
        object.__setattr__(dataset, "x_test", digits.x_test)
        object.__setattr__(dataset, "y_test", digits.y_test)
        object.__setattr__(dataset, "opened", True)
        return score(model, trained, dataset, device)

    networks = Networks(width=8, depth=2, nets=2, epochs=5)
    with pytest.raises(AssertionError, match="before the end"):
        list(closed.blocks("test"))
    monkeypatch.setattr(protocol, "test_accuracies", open_and_score)
    found = evaluate(*small_set, closed, networks, together=False)
    assert events == [2]
    monkeypatch.setattr(protocol, "test_accuracies", score)
    assert found.accuracies == evaluate(*small_set, digits, networks, together=False).accuracies


def test_a_protocol_that_peeks_is_noticed(digits, small_set, monkeypatch):
    monkeypatch.setattr(protocol, "images_of", lambda inputs, dataset, device: list(dataset.blocks("test")))
    with pytest.raises(AssertionError, match="before the end"):
        evaluate(*small_set, sealed(digits), Networks(nets=1, epochs=1))


def test_soft_labels_that_are_classes_train_like_classes(digits, small_set):
    inputs, labels = small_set
    options = {"network": "mlp", "width": 8, "nets": 1, "epochs": 20}
    hard, soft, indices = (
        evaluate(inputs, y, digits, Networks(soft=choice, **options))
        for y, choice in ((labels, False), (labels, True), (labels.argmax(axis=1), False))
    )
    assert hard.accuracies == soft.accuracies == indices.accuracies
    assert (hard.labels, soft.labels, indices.labels) == ("hard", "soft", "hard")


def test_what_the_loss_sees_is_flagged():
    hard = np.eye(3)[[0, 2]]
    assert targets_of(hard, 3, m=2, soft=False)[1] == "hard"
    assert targets_of(hard - 1 / 3, 3, m=2, soft=False)[1] == "hard"
    targets, kind = targets_of(hard * 0.8 + 0.1, 3, m=2, soft=False)
    assert kind == "argmax"
    assert torch.equal(targets, torch.tensor(hard, dtype=torch.float32))
    targets, kind = targets_of(hard * 0.7 + 0.1, 3, m=2, soft=True)
    assert kind == "soft"
    assert targets[0].tolist() == pytest.approx([0.8, 0.1, 0.1])


@pytest.mark.parametrize(
    ("labels", "soft", "error", "words"),
    [
        (np.eye(3)[[0, 2]] - 1 / 3, True, ValueError, "smallest of -0.333"),
        (np.eye(3)[[0, 2]] * 2.0, True, ValueError, "other sums"),
        (np.full((2, 3), np.nan), False, ValueError, "finite"),
        (np.array([0, 3]), False, ValueError, r"0 \.\. 2"),
        (np.zeros((2, 4)), False, ShapeError, r"\(2, 3\)"),
        (np.zeros(2), False, ShapeError, r"\(2,\) class indices"),
    ],
)
def test_labels_that_cannot_be_trained_on_are_refused(labels, soft, error, words):
    with pytest.raises(error, match=words):
        targets_of(labels, 3, m=2, soft=soft)


def test_bad_requests_are_refused_in_one_line(digits, small_set):
    inputs, labels = small_set
    with pytest.raises(ShapeError, match=r"\(m, 64\)"):
        evaluate(inputs[:, :63], labels, digits)
    with pytest.raises(ValueError, match="unknown network 'resnet'"):
        evaluate(inputs, labels, digits, Networks("resnet"))
    with pytest.raises(ValueError, match="nets must be at least 1"):
        evaluate(inputs, labels, digits, Networks(nets=0))
    with pytest.raises(ValueError, match="one depth"):
        network_named("vgg11", (3, 32, 32), 10, depth=2)
    with pytest.raises(DataError, match="no test part"):
        evaluate(inputs, labels, replace(digits, x_test=digits.x_test[:0], y_test=digits.y_test[:0]))
    rows = Dataset.from_arrays(np.eye(6), [0, 1] * 3, np.eye(6), [0, 1] * 3)
    with pytest.raises(ValueError, match="MLP"):
        evaluate(np.eye(6), np.array([0, 1] * 3), rows)
    with pytest.raises(ValueError, match="rows, not images"):
        evaluate(np.eye(6), np.array([0, 1] * 3), rows, Networks("mlp", augment=True))


def test_rows_are_learned_by_the_mlp():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    X = np.eye(3)[y] @ rng.standard_normal((3, 5)) * 3.0 + rng.standard_normal((200, 5))
    rows = Dataset.from_arrays(X[:100], y[:100], X[100:], y[100:])
    inputs = (X[:100] - rows.statistics()[0]) / rows.statistics()[1]
    assert evaluate(inputs, y[:100], rows, Networks("mlp", nets=1, epochs=50)).mean > 0.8


def test_networks_that_diverge_are_counted_and_scored_as_they_are(digits, small_set):
    inputs, labels = small_set
    found = evaluate(inputs * 1e30, labels, digits, Networks("mlp", nets=2, epochs=5, lr=1e30))
    assert found.diverged == 2
    assert found.mean < 0.2


def test_digits_are_not_mirrored_and_other_images_are(digits):
    assert "flip" not in protocol.augmentation_of(digits).operations
    assert "flip" not in protocol.augmentation_of(replace(digits, name="MNIST, ZCA relative")).operations
    assert "flip" in protocol.augmentation_of(replace(digits, name="CIFAR-10 (JPEG)")).operations
