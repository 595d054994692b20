"""The battery of the matching methods: seeds, resume, counts, every shape of data, divergence, digits and MNIST."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.bench.evaluate import evaluate
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.errors import DivergenceError

FOLDER = Path(os.environ.get("ANALYTIC_DD_DATA") or "data")
METHODS = ("dm", "dc", "dsa")
SMALL = {"width": 4, "depth": 2, "batch": 8}
LOOPS = {"outer": 2, "inner": 3, "net_batch": 4}  # of DC and DSA


def options(method, **others):
    """Options of a small run."""
    return SMALL | ({} if method == "dm" else LOOPS) | others


def small(shape=(8, 8), sizes=(20, 9, 1), dtype=np.uint8):
    """Images of three classes with means of their own: one smaller than a batch, one of a single image."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = 128 + 40 * y.reshape(-1, *[1] * len(shape)) + 30 * rng.standard_normal((len(y), *shape))
    return data.Dataset.from_arrays(np.clip(x, 0, 255).astype(dtype), y, name="small", split=False)


@pytest.mark.parametrize("method", METHODS)
def test_two_runs_are_identical_and_leave_the_random_state_alone(method):
    before, numpy_before = torch.get_rng_state(), str(np.random.mtrand._rand.get_state())
    one = distill(method, small(), points_per_class=2, config=options(method, steps=3))
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.mtrand._rand.get_state()) == numpy_before
    torch.rand(1)
    two = distill(method, small(), points_per_class=2, config=options(method, steps=3))
    assert np.array_equal(one.inputs, two.inputs)
    assert [loss for _, _, loss in one.losses] == [loss for _, _, loss in two.losses]
    other = distill(method, small(), points_per_class=2, seed=1, config=options(method, steps=3))
    assert not np.array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_is_the_run_bit_for_bit(method, tmp_path):
    state, config = tmp_path / "state.npz", options(method, momentum=0.9)
    whole = distill(method, small(), points_per_class=2, config=config | {"steps": 4})
    half = distill(method, small(), points_per_class=2, config=config | {"steps": 2}, state_file=state)
    again = distill(method, small(), points_per_class=2, config=config | {"steps": 4}, state_file=state, resume=True)
    assert not np.array_equal(half.inputs, whole.inputs)
    assert np.array_equal(again.inputs, whole.inputs)
    assert [loss for _, _, loss in again.losses] == [loss for _, _, loss in whole.losses]
    counts = [
        {k: v for k, v in run.ledger.to_dict().items() if k.endswith(("ward", "steps"))} for run in (again, whole)
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("method", METHODS)
def test_the_velocity_is_part_of_the_state(method, tmp_path):
    state = tmp_path / "state.npz"
    once = {} if method == "dm" else {"outer": 1}
    distill(method, small(), config=options(method, steps=1, lr=1e-3, **once), state_file=state)
    with np.load(state) as stored:
        start = distill(method, small(), config=options(method, steps=0))
        moved = stored["state/images"] - start.inputs.reshape(3, 1, 8, 8)
        assert np.allclose(moved, -1e-3 * stored["state/sgd/images"], rtol=0, atol=1e-6)
        assert np.abs(stored["state/sgd/images"]).max() > 0.0


@pytest.mark.parametrize("method", METHODS)
def test_the_ledger_counts_what_is_done_by_hand(method):
    """Two steps; classes give 8, 8 and 1 real samples a batch; 2 images a class; inner batches of 4 and 2."""
    ledger = distill(method, small(), points_per_class=2, config=options(method, steps=2)).ledger
    found = (ledger.real_forward, ledger.real_backward, ledger.synthetic_forward, ledger.synthetic_backward)
    if method == "dm":
        assert found == (2 * 17, 0, 2 * 6, 2 * 6)
        assert ledger.network_steps == 0
    else:  # 2 turns a step: 2 backward passes of a synthetic image in each; 3 epochs between them
        assert found == (2 * 2 * 17, 2 * 2 * 17, 2 * (2 * 6 + 3 * 6), 2 * (2 * 2 * 6 + 3 * 6))
        assert ledger.network_steps == 2 * 3 * 2
    assert (ledger.steps, ledger.kernel_entries, ledger.expert_bytes) == (2, 0, 0)


@pytest.mark.parametrize("per_class", [1, 3])
@pytest.mark.parametrize("shape", [(8, 8), (6, 9, 3), (8, 5, 1), (28, 28)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_every_shape_of_images_and_small_classes(method, shape, per_class):
    dataset = small(shape)
    found = distill(method, dataset, points_per_class=per_class, config=options(method, steps=2, batch=256))
    start = distill(method, dataset, points_per_class=per_class, config=options(method, steps=0))
    assert found.x.shape == (3 * per_class, *dataset.image_shape)
    assert np.isfinite(found.inputs).all()
    moved = np.abs(found.inputs - start.inputs).max(axis=1) > 0.0
    assert moved[: 2 * per_class].all()  # points of the third class, real at the start, are its only image already
    assert np.array_equal(found.y, np.eye(3)[np.repeat([0, 1, 2], per_class)])


@pytest.mark.parametrize("method", METHODS)
def test_a_perceptron_is_a_network_too(method):
    config = {"network": "mlp", "width": 6, "steps": 2}
    found = distill(method, small(), config=config)
    other = distill(method, small(), config=config | {"depth": 1})
    assert found.config["depth"] == 2
    assert not np.array_equal(found.inputs, other.inputs)


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_rows_of_numbers_are_data(method):
    config = {"network": "mlp", "width": 6, "steps": 2} | ({"augment": False} if method == "dm" else {})
    assert distill(method, small((11,), dtype=np.float64), config=config).x.shape == (3, 11)
    with pytest.raises(ValueError, match="halvings leave no pixel of 1 x 11; lower depth, or use an MLP for rows"):
        distill(method, small((11,)), config={"steps": 1})


def test_rows_are_not_augmented():
    with pytest.raises(ValueError, match="1 x 11 pixels are rows, not images; switch augmentation off"):
        distill("dm", small((11,)), config={"network": "mlp", "steps": 1})


@pytest.mark.parametrize("method", METHODS)
def test_real_and_noise_are_two_starts(method):
    dataset = small()
    real = distill(method, dataset, points_per_class=2, config=options(method, steps=0, init="real"))
    noise = distill(method, dataset, points_per_class=2, config=options(method, steps=0, init="noise"))
    rows = dataset.x_train.reshape(30, -1)
    for x, label in zip(real.x.reshape(6, -1), real.classes_of_points, strict=True):
        assert any(np.allclose(x, row, atol=1e-3) for row in rows[dataset.y_train == label])
    assert abs(noise.inputs.mean()) < 0.25
    assert noise.inputs.std() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_diverges_names_step_and_knob_and_keeps_the_last_good_state(method, tmp_path):
    state = tmp_path / "state.npz"
    with pytest.raises(DivergenceError, match=rf"{method}: the loss of step 0 is nan; lower lr .*1e\+30 now.*state"):
        distill(method, small(), config=options(method, lr=1e30, init="real", steps=9), state_file=state)
    with np.load(state) as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files if name.startswith("state/"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"network": "convnets"}, "unknown network 'convnets'; choose from convnet, mlp; did you mean convnet?"),
        ({"init": "zeros"}, "unknown init 'zeros'; choose from real, noise"),
        ({"batch": 0}, "batch must be >= 1, got 0"),
        ({"depth": 0}, "depth must be >= 1, got 0"),
        ({"width": 0}, "width must be >= 1, got 0"),
        ({"steps": -1}, "steps must be >= 0, got -1"),
        ({"lr": 0.0}, "lr must be > 0 and momentum in"),
        ({"momentum": 1.0}, "momentum in .0, 1., got .* and 1.0"),
        ({"lrs": 1.0}, "unknown option 'lrs'; .* did you mean lr?"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_options_that_do_not_fit_are_refused(method, config, message):
    with pytest.raises(ValueError, match=message):
        distill(method, small(), config=config)


def test_gradient_matching_names_the_loops_it_needs():
    with pytest.raises(ValueError, match="not for 2; set outer and inner"):
        distill("dc", small(), points_per_class=2, config={"steps": 1})


DIGITS = {"depth": 2, "width": 32, "batch": 64}


@pytest.fixture(scope="module")
def digits():
    """The digits of scikit-learn, 8 x 8."""
    return data.load("digits")


@pytest.fixture(scope="module")
def scored(digits):
    """Return the mean test accuracy of two networks trained on a set."""

    def score(inputs, labels, *, augment=False):
        found = evaluate(
            inputs, labels, digits, width=32, depth=2, nets=2, augment=augment, epochs=500 if augment else None
        )
        return found.mean

    return score


def class_means(dataset):
    """Return the mean images (k, d), normalised, and their classes."""
    mean, std = dataset.statistics()
    rows = ((dataset.x_train.reshape(len(dataset.x_train), -1, len(mean)) - mean) / std).reshape(-1, dataset.d)
    k = len(dataset.classes)
    return np.stack([rows[dataset.y_train == label].mean(axis=0) for label in range(k)]), np.arange(k)


def test_random_digits_and_class_means_score_what_they_should(digits, scored):
    start = distill("dm", digits, config=DIGITS | {"steps": 0})
    random, means = scored(start.inputs, start.classes_of_points), scored(*class_means(digits))
    print(f"random {random:.3f}, class means {means:.3f}")
    assert 0.55 <= random <= 0.75
    assert 0.80 <= means <= 0.92


@pytest.mark.parametrize(
    ("method", "config", "least"),
    [
        ("dm", {"steps": 60, "digits": True}, 0.82),
        ("dc", {"steps": 80, "init": "real"}, 0.82),
        ("dsa", {"steps": 80, "digits": True}, 0.86),
    ],
)
def test_ten_digits_train_a_network(method, config, least, digits, scored):
    found = distill(method, digits, config=DIGITS | config)
    score = scored(found.inputs, found.classes_of_points, augment=method == "dsa")
    print(f"{method} {score:.3f}")
    assert score >= least


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "mnist").is_dir(), reason="no MNIST in $ANALYTIC_DD_DATA")
@pytest.mark.parametrize(
    ("method", "config"),
    [("dm", {"steps": 100, "digits": True}), ("dc", {"steps": 300, "lr": 1.0, "init": "real"})],
)
def test_on_mnist_ten_images_beat_the_class_means(method, config):
    """There the class means are a weak control: what beats them has distilled."""
    whole = data.load("mnist", offline=True)
    x, y = whole.x_train[:10_000], whole.y_train[:10_000]
    mnist = data.Dataset.from_arrays(x, y, whole.x_test, whole.y_test, name="mnist")
    found = distill(method, mnist, config={"depth": 3, "width": 16, "batch": 64} | config)
    settings = {"width": 16, "depth": 3, "nets": 2}
    score = evaluate(found.inputs, found.classes_of_points, mnist, **settings).mean
    means = evaluate(*class_means(mnist), mnist, **settings).mean
    print(f"{method} {score:.3f}, class means {means:.3f}")
    assert score >= means + 0.05
