"""The live comparison with neural-tangents. Run: make test-ntk. Without the package they fail, none is skipped."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.driver import distill
from analytic_dd.baselines.methods.kernels import InfiniteNetwork
from analytic_dd.baselines.methods.kip import KernelInducingPoints, KipConfig
from analytic_dd.baselines.methods.neural_tangents import NeuralTangentsKernel, load
from analytic_dd.baselines.methods.task import Task

HERE = Path(__file__).parent


@pytest.fixture
def fixture_script():
    spec = importlib.util.spec_from_file_location("ntk_fixture", HERE / "ntk_fixture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "neural_tangents", None)
    with pytest.raises(ImportError, match=r"needs the extra ntk: pip install 'analytic-dd\[ntk\]', then") as caught:
        distill("kip", data.load("digits"), config={"engine": "neural-tangents", "steps": 1})
    assert "\n" not in str(caught.value)


@pytest.mark.ntk
def test_the_shim_leaves_nothing_behind():
    import jax

    assert load().__version__ == "0.6.5"
    assert not hasattr(jax.core, "JaxprEqn")
    assert "jax.util" not in sys.modules


@pytest.mark.ntk
def test_the_committed_fixture_is_what_is_computed_now(fixture_script):
    import json

    stored = json.loads((HERE / "ntk_fixture.json").read_text())
    now = fixture_script.compute()
    assert stored.keys() == now.keys()
    for name, value in now.items():
        limit = 1e-7 if "gradient" in name or "loss" in name or ("ntk" in name and "between" in name) else 1e-13
        assert np.allclose(value, stored[name], rtol=limit, atol=limit), name


@pytest.mark.ntk
@pytest.mark.parametrize("of", ["ntk", "nngp"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_kernels_agree_on_digits_and_on_random_rows(depth, of):
    ours, theirs = InfiniteNetwork(depth, of), NeuralTangentsKernel(depth=depth, of=of)
    X = torch.from_numpy(np.random.default_rng(depth).standard_normal((30, 17)))
    digits = torch.from_numpy(data.load("digits").x_train[:40].reshape(40, -1).astype(np.float64))
    for A, B in ((X[:11], X[11:]), (digits[:15], digits[15:])):
        wanted = theirs(A, B)
        assert float((ours(A, B) - wanted).abs().max() / wanted.abs().max()) <= 1e-13
    for A in (X, digits):
        wanted = theirs(A)
        difference = (ours(A) - wanted).abs() / wanted.abs().max()
        # theirs takes the arc cosine on the diagonal too, of 1 - eps; ours is that of the closed form (test_kernels.py)
        assert float(difference.diagonal().max()) <= (1e-7 if of == "ntk" else 1e-13)
        assert float(difference.fill_diagonal_(0.0).max()) <= 1e-13


def kip(engine, labels):
    task = Task.of(data.load("digits"), dtype=torch.float64)
    config = KipConfig(engine=engine, labels=labels, target_batch=200)
    found = KernelInducingPoints(task, config, points_per_class=2, seed=0, ledger=Ledger())
    found.start()
    return found


@pytest.mark.ntk
@pytest.mark.parametrize("labels", ["fixed", "solved", "solved-in-graph"])
def test_both_engines_have_the_same_loss_and_gradient(labels):
    """The points are among the targets (real samples), where the arc cosine has lost half of its digits."""
    made = []
    for engine in ("torch", "neural-tangents"):
        found = kip(engine, labels)
        y = found.solved() if labels == "solved" else found.y
        rows = torch.arange(found.task.n) if labels == "fixed" else found._rows(0)
        x = found.x.requires_grad_()
        loss = found.loss(x, y, rows)
        made.append((float(loss.detach()), torch.autograd.grad(loss, x)[0]))
    (ours, gradient), (theirs, wanted) = made
    assert ours == pytest.approx(theirs, rel=1e-7)
    assert float(torch.linalg.norm(gradient - wanted) / torch.linalg.norm(wanted)) < 1e-7  # 3e-8 is expected


@pytest.mark.ntk
def test_both_engines_learn_the_same_set():
    runs = [
        distill("kip", data.load("digits"), config={"engine": engine, "target_batch": 200, "steps": 10})
        for engine in ("torch", "neural-tangents")
    ]
    assert np.abs(runs[0].inputs - runs[1].inputs).max() < 1e-4  # Adam divides by small gradients
    assert [loss for *_, loss in runs[0].losses] == pytest.approx([loss for *_, loss in runs[1].losses], rel=1e-6)


@pytest.mark.ntk
def test_on_images_of_one_pixel_the_convolutional_kernel_is_a_fully_connected_one(ratio):
    """Of a 3 x 3 filter with zero padding one weight of nine is used: s / 9 in the convolutions."""
    X, X2 = torch.from_numpy(np.random.default_rng(1).standard_normal((10, 5))).split((4, 6))
    hidden = InfiniteNetwork(1, W_std=2.0**0.5 / 3.0, b_std=0.1)
    process = InfiniteNetwork(1, "nngp", W_std=2.0**0.5 / 3.0, b_std=0.1)
    inner, b = 2.0 / 9.0, 0.01  # after the ReLU: K' = (K - b) / s, T' = (T - K) / s; the last layer has s = 2
    K, T = process(X, X2), hidden(X, X2)
    wanted = 2.0 * (T - K) / inner + 2.0 * (K - b) / inner + b
    got = NeuralTangentsKernel((1, 1, 5))(X, X2)
    assert ratio(got, wanted, size=X.shape[1], amplification=2.0 / inner) < 30


@pytest.mark.ntk
def test_gradients_of_the_convolutional_kernel_are_those_of_central_differences():
    kernel = NeuralTangentsKernel((2, 2, 3), depth=2)
    X, X2 = (A.clone() for A in torch.from_numpy(np.random.default_rng(1).standard_normal((7, 12))).split((3, 4)))
    assert torch.autograd.gradcheck(kernel, (X.requires_grad_(), X2.requires_grad_()))
    assert torch.autograd.gradcheck(lambda A: kernel(A)[0, 1:].sum(), X)  # the diagonal is noisy, as above
