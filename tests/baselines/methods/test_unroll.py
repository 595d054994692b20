"""The unrolled descent: closed forms, differences, the two ways to differentiate it, what each keeps in memory."""

import numpy as np
import pytest
import torch
from torch.func import vmap
from torch.nn import functional as F

from analytic_dd.baselines.methods.unroll import UNROLLS, descend, gradient, passes, unrolled_gradient
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron, stacked

NETWORK = ConvNet((2, 5, 4), 3, width=4, depth=2)


def normal(*shape, seed=0, dtype=torch.float64):
    """A tensor of standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def quadratic(size=7, seed=0):
    """Return H, positive definite with eigenvalues 0.5 to 3, and q."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((size, size)))[0]
    H = (Q * np.linspace(0.5, 3.0, size)) @ Q.T
    return torch.from_numpy(H), torch.from_numpy(rng.standard_normal(size))


def quadratic_loss(H):
    """The loss w H w / 2 - q w, whose data are q."""

    def loss(weights, variables, step):
        w = weights["w"]
        return 0.5 * w @ H @ w - variables["q"] @ w

    return loss


def classifier_loss(network=NETWORK, m=6):
    """The loss of a network on soft labels, whose data are images and logits of labels."""

    def loss(weights, variables, step):
        rows = torch.arange(m) if step % 2 else torch.arange(m // 2)  # batches that differ by the step
        labels = torch.softmax(variables["logits"][rows], dim=1)
        return F.cross_entropy(network.logits(weights, variables["images"][rows]), labels)

    return loss


def classifier():
    """Weights, data and an objective of the last weights."""
    weights = NETWORK.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
    data = {"images": normal(6, 2, 5, 4, seed=1), "logits": normal(6, 3, seed=2)}
    x, y = normal(9, 2, 5, 4, seed=3), torch.arange(9) % 3
    return weights, data, lambda w: F.cross_entropy(NETWORK.logits(w, x), y)


@pytest.mark.parametrize("steps", [0, 1, 2, 9])
def test_a_descent_on_a_quadratic_has_its_closed_form(steps, ratio):
    """w_N = (I - (I - eta H)^N) H^-1 q from w_0 = 0."""
    (H, q), eta = quadratic(), 0.3
    zero, sizes = torch.zeros(7, dtype=torch.float64), torch.full((steps,), eta, dtype=torch.float64)
    w = descend(quadratic_loss(H), {"w": zero}, {"q": q}, sizes)["w"]
    eye = np.eye(7)
    wanted = (eye - np.linalg.matrix_power(eye - eta * H.numpy(), steps)) @ np.linalg.solve(H.numpy(), q.numpy())
    assert ratio(w, wanted, size=7 * (steps + 1), amplification=6.0) < 30  # the condition of H


@pytest.mark.parametrize("unroll", UNROLLS)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_the_derivative_on_a_quadratic_has_its_closed_form(steps, unroll, ratio):
    """L = a w_N: dL/dq = (I - (I - eta H)^N) H^-1 a, dL/d eta = sum over steps of a (I - eta H)^(N-1-i) (q - H w_i)."""
    H, q = quadratic()
    a, eta = normal(7, seed=1), 0.3
    found = unrolled_gradient(
        quadratic_loss(H),
        lambda weights: a @ weights["w"],
        {"w": torch.zeros(7, dtype=torch.float64)},
        {"q": q},
        torch.full((steps,), eta, dtype=torch.float64),
        unroll=unroll,
    )
    shrink, Hn, w, slopes = np.eye(7) - eta * H.numpy(), H.numpy(), np.zeros(7), []
    for step in range(steps):
        force = q.numpy() - Hn @ w
        slopes.append(a.numpy() @ np.linalg.matrix_power(shrink, steps - 1 - step) @ force)
        w = w + eta * force
    wanted = (np.eye(7) - np.linalg.matrix_power(shrink, steps)) @ np.linalg.solve(Hn, a.numpy())
    assert ratio(found.variables["q"], wanted, size=7 * steps, amplification=6.0) < 30
    assert ratio(found.step_sizes, np.array(slopes), size=7 * steps, amplification=6.0) < 30
    assert ratio(found.value, a.numpy() @ w, size=7 * steps, amplification=6.0) < 30


@pytest.mark.parametrize("unroll", UNROLLS)
def test_no_steps_leave_the_weights_and_depend_on_nothing(unroll):
    weights, data, objective = classifier()
    none = torch.zeros(0, dtype=torch.float64)
    assert descend(classifier_loss(), weights, data, none) is weights
    found = unrolled_gradient(classifier_loss(), objective, weights, data, none, unroll=unroll)
    assert float(found.value) == float(objective(weights))
    assert found.step_sizes.shape == (0,)
    assert not any(bool(value.any()) for value in found.variables.values())


@pytest.mark.parametrize("unroll", UNROLLS)
@pytest.mark.parametrize("steps", [1, 4])
def test_the_derivative_is_that_of_central_differences(steps, unroll):
    weights, data, objective = classifier()
    sizes = 0.3 + 0.2 * torch.rand(steps, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    loss, h = classifier_loss(), 1e-6

    def value(images=data["images"], logits=data["logits"], sizes=sizes):
        return float(objective(descend(loss, weights, {"images": images, "logits": logits}, sizes)))

    found = unrolled_gradient(loss, objective, weights, data, sizes, unroll=unroll)
    assert float(found.value) == value()
    given = data | {"sizes": sizes}
    for name, slope in (found.variables | {"sizes": found.step_sizes}).items():
        for seed in range(2):
            way = normal(*given[name].shape, seed=10 + seed)
            up, down = (value(**{name: given[name] + shift * way}) for shift in (h, -h))
            assert float((slope * way).sum()) == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("steps", [1, 7])
def test_recomputing_and_the_whole_graph_agree_to_rounding(steps, ratio):
    weights, data, objective = classifier()
    sizes = torch.full((steps,), 0.2, dtype=torch.float64)
    one, other = (
        unrolled_gradient(classifier_loss(), objective, weights, data, sizes, unroll=unroll) for unroll in UNROLLS
    )
    assert torch.equal(one.value, other.value)
    assert ratio(one.step_sizes, other.step_sizes, size=100 * steps, amplification=10.0) < 30
    for name in data:
        assert ratio(one.variables[name], other.variables[name], size=100 * steps, amplification=10.0) < 30


@pytest.mark.parametrize("unroll", UNROLLS)
def test_stacked_networks_add_their_derivatives(unroll, ratio):
    """Several first weights by vmap: the sum of the objectives has the sum of the derivatives."""
    network = MultiLayerPerceptron((2, 5, 4), 3, widths=(6,))
    nets = [network.draw(torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in range(3)]
    data = {"images": normal(6, 2, 5, 4, seed=1), "logits": normal(6, 3, seed=2)}
    x, y, sizes = normal(9, 2, 5, 4, seed=3), torch.arange(9) % 3, torch.tensor([0.3, 0.1]).double()
    one = classifier_loss(network)

    def objective(w):
        return F.cross_entropy(network.logits(w, x), y)

    together = unrolled_gradient(
        lambda w, v, step: vmap(lambda each: one(each, v, step))(w).sum(),
        lambda w: vmap(objective)(w).sum(),
        stacked(nets),
        data,
        sizes,
        unroll=unroll,
    )
    apart = [unrolled_gradient(one, objective, net, data, sizes, unroll=unroll) for net in nets]
    assert ratio(together.value, sum(each.value for each in apart), size=100) < 30
    assert ratio(together.step_sizes, sum(each.step_sizes for each in apart), size=100) < 30
    for name in data:
        assert ratio(together.variables[name], sum(each.variables[name] for each in apart), size=100) < 30


def test_the_gradient_of_a_step_is_that_of_autograd_and_changes_nothing():
    weights, data, _ = classifier()
    found = gradient(classifier_loss(), weights, data, 1)
    wanted = torch.func.grad(lambda w: classifier_loss()(w, data, 1))(weights)
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert not any(value.requires_grad for value in (*weights.values(), *data.values(), *found.values()))


class Kept:
    """Counts bytes that autograd keeps for the way back."""

    def __init__(self):
        self.now = self.most = 0

    def pack(self, tensor):
        """Note a tensor that is kept."""
        return Parcel(self, tensor)


class Parcel:
    """A tensor that autograd keeps, for as long as it does."""

    def __init__(self, kept, tensor):
        self.kept, self.tensor = kept, tensor
        kept.now += tensor.numel() * tensor.element_size()
        kept.most = max(kept.most, kept.now)

    def __del__(self):
        self.kept.now -= self.tensor.numel() * self.tensor.element_size()


def most_kept(unroll, steps):
    """Return the most bytes that autograd keeps at a time."""
    weights, data, objective = classifier()
    kept = Kept()
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda parcel: parcel.tensor):
        unrolled_gradient(
            classifier_loss(), objective, weights, data, torch.full((steps,), 0.1, dtype=torch.float64), unroll=unroll
        )
    return kept.most


def test_the_memory_of_recomputing_does_not_grow_with_the_steps():
    """Steps alternate between a batch of 3 and one of 6, so that 2, 4 and 16 have the same largest one."""
    two, four, many = (most_kept("recompute", steps) for steps in (2, 4, 16))
    assert two == four == many > 0
    graph = [most_kept("graph", steps) for steps in (2, 4, 16)]
    assert graph[1] - graph[0] > 0.5 * two
    assert graph[2] - graph[0] == pytest.approx(7 * (graph[1] - graph[0]), rel=0.01)
    assert graph[2] > 5 * many


@pytest.mark.parametrize("unroll", UNROLLS)
def test_passes_are_those_that_are_made(unroll):
    """Count the samples that go through the network, and those that come back through its first layer."""
    network, seen = MultiLayerPerceptron((1, 2, 2), 3, widths=(5,)), {"forward": 0}
    images, labels = normal(4, 1, 2, 2), torch.tensor([0, 1, 2, 0])

    def loss(weights, variables, step):
        seen["forward"] += len(variables["images"])
        return F.cross_entropy(network.logits(weights, variables["images"]), labels)

    weights = network.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
    sizes = torch.full((3,), 0.1, dtype=torch.float64)
    unrolled_gradient(loss, lambda w: w["0.weight"].sum(), weights, {"images": images}, sizes, unroll=unroll)
    forward, backward = passes(4, 3, unroll=unroll)
    assert seen["forward"] == forward
    assert (forward, backward) == ((24, 36) if unroll == "recompute" else (12, 24))


def test_an_unroll_of_another_name_is_refused():
    weights, data, objective = classifier()
    with pytest.raises(ValueError, match="unknown unroll 'checkpoint'; choose from recompute, graph"):
        unrolled_gradient(classifier_loss(), objective, weights, data, torch.ones(1), unroll="checkpoint")
