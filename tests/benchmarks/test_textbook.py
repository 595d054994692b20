"""The textbook that the iterative methods are timed against has their losses and their gradients, in float64."""

import json
import sys

import numpy as np
import pytest
import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.registry import method_type
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import unrolled_gradient
from analytic_dd.baselines.nets.augment import OPERATIONS, Augmentation
from analytic_dd.data import Dataset

SHAPES = [(8, 8), (8, 8, 3), (28, 28)]
NETWORK = {"width": 5, "depth": 2}
SIZE, AMPLIFICATION = 1_000, 1e3  # sums over the pixels and images of a batch; norms divide by small spreads
K, IPC = 3, 2


@pytest.fixture(scope="module")
def book(scripts_as_modules):
    return scripts_as_modules("textbook")["textbook"]


@pytest.fixture(params=SHAPES, ids=str)
def made(request, book):
    """Return a function that starts a method on random bytes in float64, and an equal network of the textbook."""

    def make(method, **options):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (40, *request.param), dtype=np.uint8), np.arange(40) % K
        task = Task.of(Dataset.from_arrays(x, y, name="noise", split=False), dtype=torch.float64)
        kind = method_type(method)
        found = kind(task, configured(kind.config_type, options), points_per_class=IPC, seed=0, ledger=Ledger())
        found.start()
        net = book.convnet(task.shape, K, **NETWORK).double()
        return found, net

    return make


def given(net, weights):
    """Give a network of the textbook the weights of ours."""
    for target, value in zip(net.parameters(), weights.values(), strict=True):
        target.data.copy_(value)
    return net


def leaf(images):
    return images.detach().clone().requires_grad_()


def agree(ratio, *pairs):
    """Whether each pair agrees to rounding."""
    return all(ratio(got, wanted.detach(), size=SIZE, amplification=AMPLIFICATION) < 30 for got, wanted in pairs)


@pytest.mark.parametrize("method", ["dm", "dc", "dsa"])
def test_matching_methods_have_the_loss_and_the_gradient_of_the_textbook(book, made, ratio, method):
    once = {} if method == "dm" else {"outer": 1, "inner": 1}
    ours, net = made(method, **NETWORK, batch=7, lr=0.5, momentum=0.0, init="real", **once)
    rng, generator, images = ours.rng(0), ours.generator(0), leaf(ours.images)
    given(net, ours.draw_network(generator))
    pairs = []
    for label in range(K):
        real, synthetic = ours.task.images(ours.task.draw(label, 7, rng)), images[label * IPC :][:IPC]
        if method != "dc":
            drawn = ours.augmentation.draw(1, generator)
            real, synthetic = (book.augmented(x, drawn.operation, drawn.values) for x in (real, synthetic))
        pairs.append((real, synthetic))
    loss = book.dm_loss(net, pairs) if method == "dm" else book.dc_loss(net, pairs)
    (slope,) = torch.autograd.grad(loss, images)
    start, reported = ours.images.clone(), ours.step(0)
    assert agree(ratio, (reported, loss), ((start - ours.images) / 0.5, slope))


def test_trajectory_matching_has_the_loss_and_the_gradients_of_the_textbook(book, made, ratio):
    sizes = {"student_steps": 3, "expert_span": 1, "max_start": 1, "lr_img": 0.5, "lr_lr": 1e-3, "lr_0": 0.1}
    ours, net = made("mtt", **NETWORK, **sizes, momentum=0.0, experts=1, expert_batch=8)
    ours.rng(0).integers(1)
    expert, generator, images = ours.experts[0], ours.generator(0), leaf(ours.images)
    drawn = [ours.augmentation.draw(K * IPC, generator) for _ in range(3)]
    first, target = (book.vector(given(net, expert.at(epoch))) for epoch in (0, 1))
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)

    def seen(step):
        return book.augmented(images, drawn[step].operation, drawn[step].values)

    loss = book.mtt_loss(net, first, target, seen, ours.classes_of_points, lr, 3)
    by_images, by_lr = torch.autograd.grad(loss, [images, lr])
    start, reported = ours.images.clone(), ours.step(0)
    moved = -ours.log_lr / (1e-3 / 0.1**2) / 0.1  # log eta moves by lr_lr / lr_0^2 times eta dL/d eta
    assert agree(ratio, (reported, loss), ((start - ours.images) / 0.5, by_images), (moved, by_lr))


def test_unrolled_distillation_has_the_loss_and_the_gradients_of_the_textbook(book, made, ratio):
    ours, net = made("dd", **NETWORK, inits=2, inner_steps=2, inner_epochs=2, batch=9, init="real", step_size=0.1)
    weights, (real, labels), images = ours.initial_weights(0), ours.real_batch(0), leaf(ours.variables["images"])
    starts = [book.vector(given(net, {name: value[one] for name, value in weights.items()})) for one in range(2)]
    sizes = ours.step_sizes.clone().requires_grad_()
    batches = [(images[rows], ours.classes_of_points[rows]) for rows in ours.rows]
    loss = book.dd_loss(net, starts, batches, sizes, (real, labels.argmax(dim=1)))
    by_images, by_sizes = torch.autograd.grad(loss, [images, sizes])
    found = unrolled_gradient(
        ours.inner_loss, lambda w: ours.summed_loss(w, real, labels), weights, ours.variables, ours.step_sizes
    )
    assert agree(ratio, (found.value, loss), (found.variables["images"], by_images), (found.step_sizes, by_sizes))


def test_kernel_inducing_points_have_the_loss_and_the_gradient_of_the_textbook(book, made, ratio):
    ours, _ = made("kip", target_batch=21)
    x, rows = leaf(ours.x), torch.from_numpy(ours.task.draw_balanced(21, ours.rng(0)))
    targets = ours.task.as_rows(ours.task.images(rows[6:]))  # a point that is its own target has no derivative there
    x.data.add_(0.1 * torch.from_numpy(np.random.default_rng(1).standard_normal(x.shape)))
    loss = book.kip_loss(x, ours.y, targets, ours.target.labels(rows[6:]))
    (slope,) = torch.autograd.grad(loss, x)
    mine = leaf(x)
    value = ours.loss(mine, ours.y, rows[6:])
    assert agree(ratio, (value.detach(), loss), (torch.autograd.grad(value, mine)[0], slope))


def test_solved_labels_are_those_of_the_textbook(book, made, ratio):
    ours, _ = made("label-solve")
    ours.x = ours.x + 0.1 * torch.from_numpy(np.random.default_rng(1).standard_normal(ours.x.shape))
    ours.step(0)
    targets = torch.nn.functional.one_hot(ours.task.classes_of, K).double() - 1.0 / K
    wanted = book.solved_labels(ours.x, ours.task.as_rows(ours.task.images(torch.arange(40))), targets)
    assert agree(ratio, (ours.y, wanted))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("count", [1, 5])
def test_operations_are_those_of_the_textbook(book, ratio, operation, count):
    augmentation, generator = Augmentation((operation,)), torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, 9, 9, generator=generator, dtype=torch.float64)
    for _ in range(5):
        drawn = augmentation.draw(count, generator)
        values = {name: value.double() for name, value in drawn.values.items()}
        assert agree(ratio, (augmentation(images, drawn), book.augmented(images, operation, values)))


def test_draws_of_the_textbook_have_the_parameters_of_every_operation(book):
    for operation in OPERATIONS:
        chosen, values = book.drawn(4, (operation,))
        wanted = Augmentation((operation,)).draw(4, torch.Generator()).values
        assert (chosen, {name: len(value) for name, value in values.items()}) == (operation, dict.fromkeys(wanted, 4))


def test_a_row_is_recorded_as_it_comes(scripts_as_modules, tmp_path, monkeypatch, capsys):
    """An interrupt loses the row that it meets; the run that goes on makes those that are missing."""
    steps = scripts_as_modules("iterative_steps", "measurement", "records")["iterative_steps"]
    path, made = tmp_path / "iterative_steps_quick.json", []

    def measured(script, both, repeats):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(both[0][1]["method"])
        return [[{"seconds": 1.0 + turn, "wall": 1.0, "megabytes": 1.0}] for turn in range(2)]

    monkeypatch.setattr(steps.measurement, "alternating", measured)
    words = ["iterative_steps", "--quick", "--out", str(tmp_path), "--data", "mnist", "--methods", "dm", "dc", "dsa"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(KeyboardInterrupt):
        steps.main()
    assert [row["method"] for row in json.loads(path.read_text())["rows"]] == ["dc", "dm"]
    made.clear()
    monkeypatch.setattr(sys, "argv", [*words, "--missing"])
    steps.main()
    assert made == ["dsa"]
    content = json.loads(path.read_text())
    assert [row["method"] for row in content["rows"]] == ["dc", "dm", "dsa"]
    path.write_text(json.dumps(content | {"hardware": "another"}))
    monkeypatch.setattr(sys, "argv", words[:-1])
    with pytest.raises(SystemExit, match="has rows of other hardware"):
        steps.main()
    made.clear()
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(KeyboardInterrupt):
        steps.main()
    assert [row["method"] for row in json.loads(path.read_text())["rows"]] == ["dc", "dm"]


@pytest.mark.parametrize("method", ["kip", "label-solve", "dm", "dc", "dsa", "mtt", "dd"])
def test_steps_of_both_are_timed(scripts_as_modules, method):
    scripts = scripts_as_modules("iterative_steps", "benchmark_tables")
    steps, tables = scripts["iterative_steps"], scripts["benchmark_tables"]
    assert method in steps.METHODS
    n = 5_000 if method == "kip" else 60
    case = {"method": method, "data": "mnist", "ipc": 1, "n": n, "part": 64, "width": 4, "steps": 1}
    found = [[getattr(steps, name)(**case) | {"megabytes": 1.0}] for name in ("ours", "textbook")]
    row = steps.row(case, *found)
    assert row["ratio"] == row["textbook"]["seconds"] / row["ours"]["seconds"] > 0.0
    assert len(steps.cells(row)) == len(steps.HEADER)
    assert tables._beside(row)[1] == f"{row['ratio']:.2f}"
