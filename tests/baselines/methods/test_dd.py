"""Unrolled distillation of images and of labels: hand derivation, differences, first weights, trained networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analytic_dd import data
from analytic_dd.baselines.bench.own_steps import own_accuracies, trained_networks
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.dd import WEIGHTS, DdConfig, UnrolledDistillation, schedule
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.ld import LabelDistillation, LdConfig
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import UNROLLS, descend, unrolled_gradient
from analytic_dd.baselines.nets.network import MultiLayerPerceptron

SMALL = {"network": "mlp", "width": 6, "depth": 1, "batch": 9, "inner_steps": 2, "inner_epochs": 2, "step_size": 0.3}
EXPERTS = {"experts": 4, "expert_epochs": 2, "expert_lr": 0.1, "expert_batch": 8}


def small(sizes=(20, 9, 1)):
    """Images of three classes with means of their own."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = np.clip(128 + 40 * y[:, None, None, None] + 30 * rng.standard_normal((len(y), 4, 5, 3)), 0, 255)
    return data.Dataset.from_arrays(x.astype(np.uint8), y, name="small", split=False, channels="last")


def method(config=None, kind=UnrolledDistillation, *, per_class=2, dtype=torch.float64, seed=0):
    """A method after its start, without a driver."""
    options = kind.config_type(**SMALL | EXPERTS | (config or {}))
    task = Task.of(small(), dtype=dtype)
    found = kind(task, options, points_per_class=per_class, seed=seed, ledger=Ledger())
    found.start()
    return found


def same(one, other):
    """Whether two dictionaries of tensors are the same bits."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("unroll", UNROLLS)
def test_one_step_of_a_linear_softmax_has_the_derivative_of_the_hand(unroll, ratio):
    r"""One step W_1 = W - eta G, b_1 = b - eta g on m images x_j with labels y_j; loss L of the real batch.

    p_j = softmax(W x_j + b), G = mean (p_j - y_j) x_j^T, g = mean (p_j - y_j); Q = dL/dW_1, q = dL/db_1:
    dL/d eta = -<Q, G> - <q, g>;  dL/dx_j = -(eta / m) (Q^T (p_j - y_j) + W^T (diag p_j - p_j p_j^T) (Q x_j + q)).
    """
    rng = np.random.default_rng(0)
    k, d, m, n, eta = 3, 5, 4, 11, 0.7
    W, b, x, X = (rng.standard_normal(size) for size in ((k, d), k, (m, d), (n, d)))
    y, Y = np.eye(k)[rng.integers(k, size=m)], np.eye(k)[rng.integers(k, size=n)]

    def softmax(z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    P = softmax(x @ W.T + b)
    G, g = (P - y).T @ x / m, (P - y).mean(axis=0)
    R = softmax(X @ (W - eta * G).T + b - eta * g) - Y
    Q, q = R.T @ X / n, R.mean(axis=0)
    by_eta = -np.sum(Q * G) - q @ g
    bend = [(np.diag(p) - np.outer(p, p)) @ (Q @ one + q) for p, one in zip(P, x, strict=True)]
    by_x = -(eta / m) * ((P - y) @ Q + np.array(bend) @ W)

    network = MultiLayerPerceptron((1, 1, d), k, widths=())
    tensors = [torch.from_numpy(value) for value in (W, b, x, X, y, Y)]
    W, b, x, X, y, Y = tensors
    found = unrolled_gradient(
        lambda w, v, step: F.cross_entropy(network.logits(w, v["images"][:, None, None]), y),
        lambda w: F.cross_entropy(network.logits(w, X[:, None, None]), Y),
        {"classifier.weight": W, "classifier.bias": b},
        {"images": x},
        torch.tensor([eta], dtype=torch.float64),
        unroll=unroll,
    )
    assert ratio(found.step_sizes, np.array([by_eta]), size=d * n) < 30
    assert ratio(found.variables["images"], by_x, size=d * n) < 30


CASES = [
    (UnrolledDistillation, {"step_sizes": "each"}),
    (UnrolledDistillation, {"step_sizes": "one", "weights": "fixed"}),
    (UnrolledDistillation, {"weights": "pretrained-random", "inits": 2, "unroll": "graph"}),
    (UnrolledDistillation, {"network": "convnet", "width": 3, "depth": 2, "scheme": "he", "init": "real"}),
    (LabelDistillation, {"lr_step": 0.01}),
    (LabelDistillation, {"lr_step": 0.01, "step_sizes": "one", "weights": "pretrained-fixed"}),
]


@pytest.mark.parametrize(("kind", "config"), CASES, ids=str)
def test_a_step_moves_what_is_learned_along_central_differences(kind, config, ratio):
    """Plain gradient descent with lr 1 shows the gradient of the sum over the networks."""
    found = method(config | {"optimizer": "sgd", "momentum": 0.0, "lr": 1.0, "lr_step": 1.0}, kind)
    (name, start), sizes, h = *found.variables.items(), found.log_sizes.clone(), 1e-6
    weights, (images, labels) = found.initial_weights(0), found.real_batch(0)

    def loss(value=start, log_sizes=sizes):
        last = descend(found.inner_loss, weights, {name: value}, log_sizes.exp().expand(4))
        return float(found.summed_loss(last, images, labels))

    networks = found.config.networks
    assert ratio(found.step(0), loss() / networks, size=100) < 30
    moved = {"value": start - found.variables[name], "log_sizes": sizes - found.log_sizes}
    for key, given in (("value", start), ("log_sizes", sizes)):
        for seed in range(2):
            way = torch.randn(given.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            up, down = (loss(**{key: given + shift * way}) for shift in (h, -h))
            assert float((moved[key] * way).sum()) == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=1e-8)


def test_stacked_networks_have_the_sum_of_their_losses(ratio):
    dd = method({"inits": 3})
    weights, (images, labels) = dd.initial_weights(0), dd.real_batch(0)
    apart = [
        F.cross_entropy(
            dd.network.logits({name: value[net] for name, value in weights.items()}, images), labels.argmax(1)
        )
        for net in range(3)
    ]
    assert ratio(dd.summed_loss(weights, images, labels), sum(apart), size=100) < 30


def test_random_weights_are_new_in_every_step():
    dd = method({"inits": 3})
    one, two = dd.initial_weights(0), dd.initial_weights(1)
    assert len(one["0.weight"]) == 3
    assert same(one, dd.initial_weights(0))
    every = torch.cat([one["0.weight"], two["0.weight"], dd.unseen_weights(2)["0.weight"]])
    assert len({value.sum().item() for value in every}) == 8


def test_fixed_weights_are_the_same_in_every_step_and_when_they_are_scored():
    dd = method({"weights": "fixed", "inits": 3})
    one = dd.initial_weights(0)
    assert len(one["0.weight"]) == 1
    assert same(one, dd.initial_weights(7))
    assert same(one, dd.unseen_weights(5))
    assert not same(one, method({"weights": "fixed"}, seed=1).initial_weights(0))


def test_pretrained_fixed_weights_are_those_of_the_first_expert():
    dd = method({"weights": "pretrained-fixed"})
    one = dd.initial_weights(0)
    wanted = dd.experts[0].at(2)
    assert all(torch.equal(value[0], wanted[name]) for name, value in one.items())
    assert same(one, dd.initial_weights(3))
    assert dd.experts.counted == {0}
    assert dd.ledger.expert_bytes == dd.network.size() * 8  # the last weights alone, in float64


def test_pretrained_random_weights_are_experts_and_scored_are_others():
    dd, seen = method({"weights": "pretrained-random", "inits": 3}), set()
    experts = {dd.experts[index].at(2)["0.weight"].sum().item(): index for index in range(6)}
    for index in range(12):
        chosen = [experts[value.sum().item()] for value in dd.initial_weights(index)["0.weight"]]
        assert len(set(chosen)) == 3
        seen |= set(chosen)
    assert seen == {0, 1, 2, 3}
    assert [experts[value.sum().item()] for value in dd.unseen_weights(2)["0.weight"]] == [4, 5]
    assert method({"weights": "pretrained-random", "inits": 9}).config.networks == 4


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_kind_of_first_weights_lowers_the_loss(weights):
    dd = method({"weights": weights, "batch": 30, "lr": 0.1, "lr_step": 0.1, "halve_every": 0}, dtype=torch.float32)
    losses = [dd.step(index) for index in range(30)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_the_set_is_seen_in_parts_with_equally_many_of_each_class():
    parts = schedule(3, 4, parts=4, inner_steps=4, inner_epochs=2)
    assert [rows.tolist() for rows in parts[:4]] == [[i, 4 + i, 8 + i] for i in range(4)]
    assert all(torch.equal(one, two) for one, two in zip(parts[:4], parts[4:], strict=True))
    assert [len(rows) for rows in schedule(3, 4, parts=2, inner_steps=3, inner_epochs=1)] == [6, 6, 6]
    assert [rows.tolist() for rows in schedule(2, 1, parts=9, inner_steps=2, inner_epochs=1)] == [[0, 1], [0, 1]]
    uneven = schedule(2, 5, parts=3, inner_steps=3, inner_epochs=1)
    assert sorted(torch.cat(uneven).tolist()) == list(range(10))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_step_sizes_stay_positive_and_are_learned(optimizer):
    dd = method({"optimizer": optimizer, "lr_step": 0.5, "lr": 0.05})
    for index in range(10):
        dd.step(index)
    assert bool((dd.step_sizes > 0.0).all())
    learned = dd.learned()
    assert list(learned) == ["step_size", *(f"step_size {step}" for step in range(4))]
    assert learned["step_size"] == pytest.approx(np.mean([learned[f"step_size {step}"] for step in range(4)]))
    one = method({"step_sizes": "one"})
    one.step(0)
    assert list(one.learned()) == ["step_size"]
    assert len(set(one.step_sizes.tolist())) == 1


def test_step_sizes_stay_where_their_rate_is_zero(ratio):
    for kind, config in ((UnrolledDistillation, {"lr_step": 0.0}), (LabelDistillation, {})):
        found = method(config, kind)
        found.step(0)
        assert ratio(found.learned()["step_size"], 0.3, size=1) < 30


def test_rates_are_halved_when_they_should_be():
    dd, moves = method({"halve_every": 2, "lr": 0.1, "lr_step": 0.2}), []
    for index in range(5):
        dd.step(index)
        moves.append((dd.optimizer.lr, dd.optimizer_sizes.lr))
    assert moves == [(0.1, 0.2), (0.1, 0.2), (0.05, 0.1), (0.05, 0.1), (0.025, 0.05)]


def test_label_distillation_keeps_real_images_and_gives_probabilities(ratio):
    ld = method({"confidence": 0.8, "batch": 30}, LabelDistillation, per_class=3)
    images, labels = ld.result()
    rows = ld.task.images(torch.arange(30)).flatten(1)
    for image, label in zip(images.flatten(1), ld.classes_of_points, strict=True):
        assert any(torch.equal(image, row) for row in rows[ld.task.classes_of == label])
    assert ratio(labels, 0.1 + 0.7 * F.one_hot(ld.classes_of_points, 3).double(), size=1) < 30
    for index in range(3):
        ld.step(index)
    after, moved = ld.result()
    assert torch.equal(after, images)
    assert float((moved - labels).abs().max()) > 1e-3
    assert ratio(moved.sum(dim=1), torch.ones(9), size=3) < 30
    assert float(moved.min()) > 0.0


@pytest.mark.parametrize("name", ["dd", "ld"])
@pytest.mark.parametrize("weights", ["fixed", "pretrained-fixed"])
@pytest.mark.parametrize("step_sizes", ["each", "one"])
def test_networks_made_again_from_a_result_have_the_loss_of_the_distillation(name, weights, step_sizes, ratio):
    """With a batch of all samples, the loss that step 3 reports is that of the set after three steps."""
    config = SMALL | EXPERTS | {"weights": weights, "step_sizes": step_sizes, "batch": 30, "lr_step": 0.1, "lr": 0.1}
    dataset = small()
    result = distill(name, dataset, points_per_class=2, config=config | {"steps": 3})
    reported = distill(name, dataset, points_per_class=2, config=config | {"steps": 4}).losses[3][2]
    network, found = trained_networks(result, dataset, nets=5)
    assert len(found) == 1
    task = Task.of(dataset)
    loss = F.cross_entropy(network.logits(found[0], task.images(torch.arange(30))), task.classes_of)
    assert ratio(loss, reported, size=100, eps=2.0**-23) < 30


@pytest.mark.parametrize("weights", ["random", "pretrained-random"])
def test_networks_made_again_start_from_weights_that_no_step_has_seen(weights):
    config = SMALL | EXPERTS | {"weights": weights, "steps": 1}
    result = distill("dd", small(), config=config)
    network, found = trained_networks(result, small(), nets=3)
    assert len(found) == 3
    assert len({float(one["0.weight"].sum()) for one in found}) == 3
    again = trained_networks(result, small(), nets=3)[1]
    assert all(same(one, other) for one, other in zip(found, again, strict=True))
    assert network.shapes() == MultiLayerPerceptron((3, 4, 5), 3, widths=(6,)).shapes()


def test_the_score_of_an_attack_says_which_part_of_the_class_is_taken(ratio):
    dataset = small((8, 9, 7))
    dataset = replace(dataset, x_test=dataset.x_train, y_test=dataset.y_train)
    attack = {"attack": True, "attack_class": 2, "target_class": 1}
    result = distill("dd", dataset, config=SMALL | attack | {"steps": 1})
    network, found = trained_networks(result, dataset, nets=3)
    images = Task.of(dataset).images(np.flatnonzero(dataset.y_test == 2))
    decided = torch.stack([network.logits(one, images).argmax(dim=1) for one in found])
    _, details = own_accuracies(result, dataset, nets=3)
    assert list(details) == ["taken"]
    assert ratio(details["taken"], float((decided == 1).double().mean()), size=decided.numel(), unit=1.0) < 30
    assert own_accuracies(distill("dd", dataset, config=SMALL | {"steps": 1}), dataset)[1] == {}


def test_sets_of_other_methods_have_no_steps_of_their_own():
    result = distill("label-solve", small())
    with pytest.raises(ValueError, match=r"got 'label-solve'; use evaluate"):
        trained_networks(result, small())


def test_defaults_are_published():
    config = DdConfig()
    assert (config.inner_steps, config.inner_epochs, config.unrolled, config.inits) == (10, 3, 30, 4)
    assert (config.batch, config.step_size, config.lr, config.scheme, config.init) == (
        1024,
        0.02,
        0.01,
        "xavier",
        "noise",
    )
    assert (config.weights, config.optimizer, config.step_sizes) == ("random", "adam", "each")
    labels = LdConfig()
    assert (labels.inner_steps, labels.inner_epochs, labels.parts, labels.step_size) == (10, 1, 2, 0.01)
    assert (labels.batch, labels.init, labels.lr_step) == (1024, "real", 0.0)


def test_an_attack_puts_one_class_for_another_in_real_batches_and_in_networks():
    """The networks are pre-trained; after the steps of the set they take class 0 for class 1 and keep class 2."""
    options = {
        "weights": "pretrained-fixed",
        "batch": 30,
        "optimizer": "adam",
        "decay": 0.5,
        "lr": 0.1,
        "expert_epochs": 20,
    }
    sizes = (20, 20, 20)
    dataset = small(sizes)
    task = Task.of(dataset, dtype=torch.float64)

    def attacked(steps):
        config = DdConfig(**SMALL | EXPERTS | options | {"attack": True, "attack_class": 0, "target_class": 1})
        dd = UnrolledDistillation(task, config, points_per_class=1, seed=0, ledger=Ledger())
        dd.start()
        for index in range(steps):
            _, labels = dd.real_batch(index)
            assert not labels[:, 0].any()
            dd.step(index)
        weights = descend(dd.inner_loss, dd.unseen_weights(1), dd.variables, dd.step_sizes)
        logits = dd.network.logits({name: value[0] for name, value in weights.items()}, task.images(np.arange(60)))
        found = logits.argmax(dim=1)
        return float((found[:20] == 1).double().mean()), float((found[40:] == 2).double().mean())

    assert attacked(0)[0] < 0.5
    taken, kept = attacked(60)
    assert taken > 0.8
    assert kept > 0.8


def test_experts_of_another_data_set_are_those_that_it_trains(tmp_path):
    def stored(name, x, y):
        np.savez(tmp_path / name, x_train=x, y_train=y, x_test=x, y_test=y, channels="last")
        return str(tmp_path / name)

    x, y = small((9, 9, 9)).x_train[..., ::-1, :], np.repeat([0, 1, 2], 9)
    config = {"weights": "pretrained-fixed", "expert_data": stored("other.npz", x, y)}
    dd = method(config)
    there = Task.of(data.load(config["expert_data"]), dtype=torch.float64)
    direct = UnrolledDistillation(there, dd.config, points_per_class=2, seed=0, ledger=Ledger())
    direct.start()
    assert same(dd.initial_weights(0), direct.initial_weights(0))
    assert not same(dd.initial_weights(0), method({"weights": "pretrained-fixed"}).initial_weights(0))
    with pytest.raises(ValueError, match="expert_data must have 3 classes of images"):
        method(config | {"expert_data": stored("two.npz", x, y % 2)})
