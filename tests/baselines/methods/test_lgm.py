"""Linear gradient matching: the gradient of a linear head, and what a set reaches."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines import distill
from analytic_dd.baselines.methods import lgm
from analytic_dd.baselines.methods.lgm import head_gradient


def test_the_gradient_is_that_of_cross_entropy(ratio):
    generator = torch.Generator().manual_seed(0)
    Phi, W = (torch.randn(size, generator=generator, dtype=torch.float64) for size in ((11, 7), (3, 7)))
    classes, leaf = torch.arange(11) % 3, W.clone().requires_grad_()
    torch.nn.functional.cross_entropy(Phi @ leaf.T, classes).backward()
    assert ratio(head_gradient(Phi, classes, W).numpy(), leaf.grad.numpy(), size=11) < 30


def test_the_whole_data_as_a_set_have_the_gradient_of_the_data():
    """Of a balanced data set: the loss is the rounding of 1 - cos in float32."""
    digits = data.load("digits")
    rows = np.concatenate([np.flatnonzero(digits.y_train == label)[:3] for label in range(10)])
    few = digits.only(rows)
    found = distill("lgm", few, points_per_class=3, config={"features": "fcnn", "batch": 3, "steps": 1})
    assert abs(found.losses[0][2]) < 30 * 2.0**-23


@pytest.mark.parametrize("block", [1, 4, 11])
def test_the_gradient_by_blocks_is_that_of_all(ratio, monkeypatch, block):
    generator = torch.Generator().manual_seed(0)
    sizes = (11, 5), (5, 7), (3, 7), (3, 7)
    X, A, W, wanted = (torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes)
    classes = torch.arange(11) % 3
    leaf = X.clone().requires_grad_()
    found = head_gradient(torch.tanh(leaf @ A), classes, W)
    loss = 1.0 - torch.cosine_similarity(found.reshape(-1), wanted.reshape(-1), dim=0)
    loss.backward()
    monkeypatch.setattr(lgm, "_BLOCK", block)
    method = SimpleNamespace(map=lambda rows: torch.tanh(rows @ A), classes_of_points=classes)
    by_blocks = lgm.LinearGradientMatching._loss(method, X, wanted, W)
    assert ratio(by_blocks[0], loss.item(), size=11) < 30
    assert ratio(by_blocks[1].numpy(), leaf.grad.numpy(), size=11) < 30


def test_steps_bring_the_gradients_nearer():
    options = {"features": "fcnn:activation=tanh,bias=true", "steps": 60, "lr": 0.05, "levels": 2, "augment": False}
    losses = [loss for _, _, loss in distill("lgm", data.load("digits"), config=options).losses]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
