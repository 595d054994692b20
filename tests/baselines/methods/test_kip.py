"""KIP: gradients, the envelope, every kind of labels, counts, digits."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernel_config import own_kernel
from analytic_dd.baselines.methods.kernels import FeatureKernel, InfiniteNetwork
from analytic_dd.baselines.methods.kip import LABELS, KernelInducingPoints, KipConfig
from analytic_dd.baselines.methods.krr import feature_loss, kernel_loss, krr_accuracy, ridge_value
from analytic_dd.baselines.methods.solved_labels import feature_labels, labels_in_graph
from analytic_dd.baselines.methods.task import Task
from analytic_dd.features import FullyConnected

FEATURES = [{"features": "fcnn:width=9"}, {"features": "rff:p=13"}, {"kernel": "linear"}, {"kernel": "rbf"}]
EVERY = [*FEATURES, {"kernel": "nngp", "depth": 2}, {"kernel": "ntk"}]


def small(n=60, shape=(3, 4), k=3, seed=0):
    """Images with class means, as bytes; one channel; classes of different sizes, one of a single image."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), np.minimum(rng.geometric(0.5, n - k), k - 1) - 1 + (k == 1)])
    y[y == k - 1] = 0
    y[k - 1] = k - 1  # a class of one image
    x = np.clip(128 + 40 * y.reshape(-1, *[1] * len(shape)) + 30 * rng.standard_normal((n, *shape)), 0, 255)
    return data.Dataset.from_arrays(x.astype(np.uint8), y, name="small", split=False)


def method(config, per_class=2, dataset=None, seed=0):
    """KIP after its start, without a driver."""
    task = Task.of(dataset or small(), dtype=torch.float64)
    config = KipConfig(**{"target_batch": 20} | config)
    found = KernelInducingPoints(task, config, points_per_class=per_class, seed=seed, ledger=Ledger())
    found.start()
    found.x = found.x + 0.1 * torch.from_numpy(np.random.default_rng(1).standard_normal(found.x.shape))
    return found


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("options", EVERY, ids=lambda options: "-".join(map(str, options.values())))
def test_the_gradient_is_that_of_central_differences(options, labels):
    kip = method(options | {"labels": labels})
    rows = kip._rows(0)
    y = kip.solved() if labels == "solved" else kip.y
    x = kip.x.requires_grad_()
    (gradient,) = torch.autograd.grad(kip.loss(x, y, rows), x)
    rng, h = np.random.default_rng(2), 1e-5
    for _ in range(3):
        step = torch.from_numpy(rng.standard_normal(x.shape))
        up, down = (float(kip.loss(x.detach() + shift * step, y, rows)) for shift in (h, -h))
        assert float((gradient * step).sum()) == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("labels", ["fixed", "learned"])
def test_the_gradient_in_the_labels_is_that_of_central_differences(labels):
    kip = method({"kernel": "ntk", "labels": labels})
    y, rows = kip.y.requires_grad_(), kip._rows(0)
    assert torch.autograd.gradcheck(lambda Y: kip.loss(kip.x, Y, rows), y)


@pytest.mark.parametrize("options", EVERY, ids=lambda options: "-".join(map(str, options.values())))
def test_on_the_whole_set_detached_labels_have_the_gradient_of_the_graph(options, ratio):
    """Envelope theorem: the labels are stationary, so how they move does not matter."""
    made = {}
    for labels in ("solved", "solved-in-graph", "fixed"):
        kip = method(options | {"labels": labels, "target_batch": 0, "ridge_relative": 1e-2})
        x = kip.x.requires_grad_()
        loss = kip.loss(x, kip.solved() if labels == "solved" else kip.y, None)
        made[labels] = torch.autograd.grad(loss, x)[0]
    # 5e-15 (rff) to 2e-13 (fcnn, 9 features): the amplification is the condition of the system of the labels
    assert ratio(made["solved"], made["solved-in-graph"], size=60, amplification=100.0) < 30
    assert ratio(made["fixed"], made["solved-in-graph"], size=60, amplification=100.0) > 1e6


def test_detached_labels_have_the_gradient_of_the_graph_to_rounding_where_the_system_is_well_conditioned(ratio):
    rng = np.random.default_rng(0)
    Xs, X, Y = (torch.from_numpy(rng.standard_normal(size)) for size in ((6, 40), (500, 40), (500, 3)))
    x = Xs.requires_grad_()
    solved = feature_labels(Xs.detach(), X.T @ X, Y.T @ X, 0.1)
    in_graph = labels_in_graph(x @ x.T, X @ x.T, Y, 0.1)
    gradients = [torch.autograd.grad(feature_loss(x, X, labels, Y, 0.1), x)[0] for labels in (solved, in_graph)]
    assert ratio(*gradients, size=500) < 30


def test_on_a_batch_the_graph_has_one_more_term():
    found = []
    for labels in ("solved", "solved-in-graph"):
        kip = method({"kernel": "ntk", "labels": labels})
        x = kip.x.requires_grad_()
        found.append(torch.autograd.grad(kip.loss(x, kip.solved(), kip._rows(0)), x)[0])
    assert float(torch.linalg.norm(found[0] - found[1]) / torch.linalg.norm(found[1])) > 1e-3


def test_a_loss_whose_batch_has_given_way_to_another_is_not_differentiated():
    """Batches share their memory, and a gradient from the samples of another batch would be wrong."""
    kip = method({"kernel": "ntk"})
    x = kip.x.requires_grad_()
    first, second = (kip.loss(x, kip.y, kip._rows(index)) for index in range(2))
    assert bool(torch.isfinite(torch.autograd.grad(second, x)[0]).all())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(first, x)


@pytest.mark.parametrize("labels", LABELS)
def test_with_features_kernel_matrices_and_weights_give_the_same_loss(labels, ratio):
    kip = method({"features": "fcnn:width=6", "labels": labels})
    kernel, rows = kip.kernel, kip._rows(0)
    y = kip.solved() if labels.startswith("solved") else kip.y
    K_ss, lam = kernel(kip.x), ridge_value(kernel(kip.x).trace(), 6, relative=1e-6)
    X = kip.task.as_rows(kip.task.images(rows))
    wanted = kernel_loss(K_ss, kernel(X, kip.x), y, kip.target.labels(rows), lam)
    assert ratio(kip.loss(kip.x, y, rows)[None], wanted[None], size=20, amplification=1e6) < 30  # 1 / ridge_relative


def test_the_loss_from_sums_is_the_loss_of_the_whole_set(ratio):
    kip = method({"features": "fcnn:width=6", "labels": "fixed", "target_batch": 0})
    every = torch.arange(kip.task.n)
    assert ratio(kip.loss(kip.x, kip.y, None)[None], kip.loss(kip.x, kip.y, every)[None], size=60) < 30


def test_features_that_are_not_kept_give_the_same_run():
    runs = [
        distill("kip", small(), config={"features": "fcnn", "labels": labels, "steps": 3, "feature_memory": memory})
        for labels in ("fixed", "solved", "solved-in-graph")
        for memory in (1e9, 0.0)
    ]
    for kept, again in zip(runs[::2], runs[1::2], strict=True):
        assert np.array_equal(kept.inputs, again.inputs)
        assert np.array_equal(kept.y, again.y)
    assert [run.ledger.real_forward for run in runs[:2]] == [60, 3 * 60]  # a batch of 5,000 is every sample


def test_the_reference_gradient_of_neural_tangents(ratio):
    """Loss and gradient of KIP computed in JAX alone, with a target that is one of the points."""
    stored = json.loads(Path(__file__).with_name("ntk_fixture.json").read_text())
    oracle = {name: torch.tensor(value, dtype=torch.float64) for name, value in stored.items()}
    for depth in (1, 2, 3):
        for scales, values in {"published": (2.0**0.5, 0.1), "other": (1.3, 0.7)}.items():
            kernel, x = InfiniteNetwork(depth, "ntk", *values), oracle["X"].clone().requires_grad_()
            K = kernel(x)
            lam = ridge_value(K.trace(), 5, relative=1e-6)
            loss = kernel_loss(K, kernel(oracle["X2"], x), oracle["Ys"], oracle["Yt"], lam)
            wanted = oracle[f"gradient {depth} {scales}"]
            half = 2.0**-26  # the arc cosine at the point that is its own target keeps half of the digits
            assert ratio(loss.detach(), oracle[f"loss {depth} {scales}"], size=1, eps=half) < 30
            assert ratio(torch.autograd.grad(loss, x)[0], wanted, size=1, eps=half) < 30


COUNTS = {  # real forward, synthetic forward, synthetic backward, kernel entries of 4 steps; n 60, m 6, batch 20
    ("ntk", "fixed"): (0, 0, 24, 4 * (36 + 120)),
    ("ntk", "learned"): (0, 0, 24, 4 * (36 + 120)),
    ("ntk", "solved"): (0, 0, 24, 4 * (36 + 120 + 36 + 360)),
    ("ntk", "solved-in-graph"): (0, 0, 24, 4 * (36 + 120 + 360)),
    ("fcnn", "fixed"): (60, 24, 24, 4 * 36),
    ("fcnn", "solved"): (60, 48, 24, 4 * 36),
    ("fcnn", "solved-in-graph"): (60, 24, 24, 4 * (36 + 360)),
}


@pytest.mark.parametrize(("name", "labels"), COUNTS)
def test_the_ledger_has_the_counts_made_by_hand(name, labels):
    even = data.Dataset.from_arrays(small().x_train, np.arange(60) % 3, name="even", split=False)
    config = {"features" if name == "fcnn" else "kernel": name, "labels": labels, "target_batch": 20, "steps": 4}
    ledger = distill("kip", even, points_per_class=2, config=config).ledger
    counted = (ledger.real_forward, ledger.synthetic_forward, ledger.synthetic_backward, ledger.kernel_entries)
    assert counted == COUNTS[name, labels]
    assert (ledger.steps, ledger.network_steps, ledger.real_backward) == (4, 0, 0)


def test_a_map_of_the_caller_is_the_one_that_is_used():
    phi = FullyConnected([12, 12], rng=17)
    found = distill("kip", small(), config={"features": phi, "steps": 1, "labels": "fixed"})
    kernel = own_kernel(found, small())
    assert isinstance(kernel, FeatureKernel)
    assert kernel.feature_map == phi
    json.dumps(found.config)


def test_the_kernel_of_a_result_is_made_again():
    for config in ({"features": "rff:p=13"}, {"kernel": "rbf"}):
        found = distill("kip", small(), seed=5, config=config | {"steps": 0})
        task = Task.of(small(), dtype=torch.float64)
        kip = KernelInducingPoints(task, KipConfig(**config), points_per_class=1, seed=5, ledger=Ledger())
        kip.start()
        X = torch.from_numpy(found.inputs)
        assert torch.equal(own_kernel(found, small())(X), kip.kernel(X))


def test_published_options_depend_on_what_is_given():
    kernel, finite = KipConfig(), KipConfig(features="fcnn")
    assert (kernel.kernel, kernel.labels, kernel.lr, kernel.centred, kernel.steps) == ("ntk", "fixed", 0.04, True, 300)
    assert (finite.kernel, finite.labels, finite.lr) == (None, "solved-in-graph", 0.01)
    assert (finite.centred, finite.steps, finite.target_batch) == (False, 30_000, 5_000)
    assert KipConfig(features="fcnn", labels="fixed", lr=0.5, centred=True).lr == 0.5
    assert [KipConfig(kernel=f"{name}-ntk").depth for name in ("conv", "convnet", "myrtle")] == [1, 3, 5]


@pytest.mark.parametrize("labels", ["fixed", "learned", "solved"])
def test_on_digits_ten_points_score_more_than_ninety_per_cent(labels):
    digits = data.load("digits")
    config = {"kernel": "ntk", "target_batch": 200, "steps": 60, "labels": labels}
    found = distill("kip", digits, config=config)
    kernel = own_kernel(found, digits)
    start = distill("kip", digits, config=config | {"steps": 0})
    random = krr_accuracy(start.inputs, np.eye(10), digits, kernel)
    assert 0.55 <= random <= 0.75
    assert krr_accuracy(found.inputs, found.y, digits, kernel) > 0.90


def test_on_digits_finite_features_reach_the_accuracy_of_all_the_data():
    digits = data.load("digits")
    found = distill("kip", digits, config={"features": "fcnn", "labels": "solved", "steps": 300, "target_batch": 0})
    assert krr_accuracy(found.inputs, found.y, digits, own_kernel(found, digits)) > 0.90
