"""What every method must do: seeds, resume, interrupts, counts, every shape of data, divergence, options, a start.

A method is one row of ``ROWS``; the last test runs a method of a user's own through the same door.
"""

import contextlib
import functools
import itertools
import runpy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from analytic_dd import data
from analytic_dd.baselines import Config, distill, register
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.errors import DataError, DivergenceError

MATCHING = {"width": 4, "depth": 2, "batch": 8}
LOOPS = {"outer": 2, "inner": 3, "net_batch": 4}
UNROLLED = {"network": "convnet", "width": 4, "depth": 2, "experts": 2, "expert_lr": 0.1, "expert_batch": 8}
UNROLLED |= {"inits": 2, "inner_steps": 2, "batch": 16, "step_size": 0.1, "expert_epochs": 2}
MTT = {name: UNROLLED[name] for name in ("network", "width", "depth", "experts", "expert_lr", "expert_batch")}
MTT |= {"student_steps": 3, "expert_span": 1, "max_start": 2, "lr_img": 10.0, "lr_lr": 1e-3, "lr_0": 0.1}
MLP = {"network": "mlp", "width": 6, "depth": None}
EXPERT = 9 * 1 * 4 + 4 + 8 + 9 * 4 * 4 + 4 + 8 + 2 * 2 * 4 * 3 + 3  # parameters of the network on 8 x 8 pixels, by hand


@dataclass
class Row:
    """What the battery needs to know of a method.

    ``options`` are of a small run; ``others`` of more runs to be resumed; ``rows`` what data that are no images need;
    ``still`` what does not move; ``steps`` of a run; ``counts`` of two steps on ``small()`` with two points a class, by
    hand; ``divergent`` options that make the loss no number, with the words of the remedy; ``refused`` options.
    """

    options: dict = field(default_factory=dict)
    others: tuple = ()
    rows: dict = field(default_factory=dict)
    still: str = "y"
    steps: int = 3
    counts: dict = field(default_factory=dict)
    divergent: tuple = ()
    refused: tuple = ()


def unrolled_counts(steps):
    """Two networks, so many gradient steps of three images (six in two parts); 16 real samples a network."""
    synthetic, real = 2 * 2 * steps * 3, 2 * 2 * 16
    counts = {"synthetic_forward": synthetic, "synthetic_backward": 2 * synthetic, "network_steps": 2 * 2 * steps}
    return counts | {"real_forward": real, "real_backward": real}


SAMPLES = 17  # real samples of a step: classes of 20, 9 and 1 with batches of 8
ROWS = {
    "dm": Row(
        MATCHING,
        others=({"momentum": 0.9, "augment": False},),
        rows=MLP | {"depth": 1, "augment": False},
        counts={"real_forward": 2 * SAMPLES, "synthetic_forward": 2 * 6, "synthetic_backward": 2 * 6},
        divergent=(({"lr": 1e30}, "lower lr .*1e.30 now"),),
        refused=(
            (
                {"network": "convnets"},
                "unknown network 'convnets'; choose from convnet, mlp, linear; did you mean convnet?",
            ),
            ({"batch": 0}, "batch must be >= 1, got 0"),
            ({"momentum": 1.0}, "momentum must be in .0, 1., got 1.0"),
            ({"lrs": 1.0}, "unknown option 'lrs'; .* did you mean lr?"),
        ),
    ),
    "dc": Row(
        MATCHING | LOOPS | {"init": "real"},
        others=({"momentum": 0.9, "init": "noise"},),
        rows=MLP | {"depth": 1},
        counts={  # two turns a step with two backward passes of a synthetic image each; three epochs between them
            "real_forward": 2 * 2 * SAMPLES,
            "real_backward": 2 * 2 * SAMPLES,
            "synthetic_forward": 2 * (2 * 6 + 3 * 6),
            "synthetic_backward": 2 * (2 * 2 * 6 + 3 * 6),
            "network_steps": 2 * 3 * 2,
        },
        divergent=(({"lr": 1e30}, "lower lr .*1e.30 now"),),
        refused=(
            ({"init": "zeros"}, "unknown init 'zeros'; choose from real, noise"),
            ({"depth": 0}, "depth must be >= 1, got 0"),
            ({"steps": -1}, "steps must be >= 0, got -1"),
            ({"outer": None}, "not for 2; set outer and inner"),
            ({"outer": 0}, "outer must be >= 1, got 0"),
            ({"inner": -1}, "inner must be >= 0, got -1"),
            ({"net_batch": 0}, "net_batch must be >= 1"),
            ({"net_lr": 0.0}, "net_lr must be > 0 and finite, got 0.0"),
            ({"distance": "euclid"}, "unknown distance 'euclid'; choose from cosine, published"),
        ),
    ),
    "dsa": Row(
        MATCHING | LOOPS,
        others=({"momentum": 0.9},),
        rows=None,  # rows have no neighbours to augment by
        counts={
            "real_forward": 2 * 2 * SAMPLES,
            "real_backward": 2 * 2 * SAMPLES,
            "synthetic_forward": 2 * (2 * 6 + 3 * 6),
            "synthetic_backward": 2 * (2 * 2 * 6 + 3 * 6),
            "network_steps": 2 * 3 * 2,
        },
        divergent=(({"lr": 1e30}, "lower lr .*1e.30 now"),),
        refused=(({"width": 0}, "width must be >= 1, got 0"), ({"lr": 0.0}, "lr must be > 0 and finite, got 0.0")),
    ),
    "mtt": Row(
        MTT,
        others=({"momentum": 0.9}, {"synthetic_batch": 4, "unroll": "recompute", "init": "noise"}),
        rows=MLP | {"augment": False},
        counts={  # three student steps of six images; an expert: two epochs of 30 samples in 4 batches, 3 snapshots
            "synthetic_forward": 2 * 3 * 6,
            "synthetic_backward": 2 * 2 * 3 * 6,
            "real_forward": 2 * 30,
            "real_backward": 2 * 30,
            "network_steps": 2 * 3 + 2 * 4,
            "expert_bytes": 3 * 4 * EXPERT,
        },
        divergent=(
            ({"lr_img": 1e30}, "lower lr_img"),
            ({"lr_0": 1e30}, "step sizes up to 1e.30; lower lr_0"),
        ),
        refused=(
            ({"unroll": "checkpoint"}, "unknown unroll 'checkpoint'"),
            ({"expert_epochs": 1}, r"expert_epochs must be >= max_start - 1 \+ expert_span = "),
            ({"student_steps": -1}, "student_steps must be >= 0, got -1"),
            ({"expert_span": 0}, "expert_span must be >= 1, got 0"),
            ({"max_start": 0}, "max_start must be >= 1, got 0"),
            ({"synthetic_batch": 0}, "synthetic_batch must be >= 1, got 0"),
            ({"lr_img": 0.0}, "lr_img must be > 0 and finite, got 0.0"),
            ({"lr_0": -0.1}, "lr_0 must be > 0 and finite, got -0.1"),
            ({"lr_lr": -1e-5}, "lr_lr must be >= 0, got -1e-05"),
            ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ),
    ),
    "dd": Row(
        UNROLLED | {"inner_epochs": 2},
        others=(
            {"weights": "fixed", "optimizer": "sgd", "step_sizes": "one"},
            {"weights": "pretrained-random", "inits": 1, "halve_every": 2},
        ),
        rows=MLP,
        counts=unrolled_counts(4),
        divergent=(
            ({"lr": 1e30}, "lower lr .1e.30 now"),
            ({"step_size": 1e30}, "step sizes up to 1e.30; lower step_size"),
        ),
        refused=(
            ({"weights": "known"}, "unknown weights 'known'; choose from random, fixed, pretrained-random"),
            ({"step_sizes": "two"}, "unknown step_sizes 'two'; choose from each, one"),
            ({"optimizer": "adamw"}, "unknown optimizer 'adamw'; choose from adam, sgd; did you mean adam?"),
            ({"inits": 0}, "inits must be >= 1, got 0"),
            ({"inner_steps": 0}, "inner_steps must be >= 1, got 0"),
            ({"inner_epochs": 0}, "inner_epochs must be >= 1, got 0"),
            ({"parts": 0}, "parts must be >= 1, got 0"),
            ({"batch": 0}, "batch must be >= 1, got 0"),
            ({"halve_every": -1}, "halve_every must be >= 0, got -1"),
            ({"step_size": 0.0}, "step_size must be > 0 and finite, got 0.0"),
            ({"lr": float("nan")}, "lr must be > 0 and finite, got nan"),
            ({"lr_step": -1.0}, "lr_step must be >= 0"),
            ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ),
    ),
    "ld": Row(
        UNROLLED | {"lr_step": 0.1},
        others=({"weights": "pretrained-fixed"},),
        rows=MLP,
        still="inputs",
        counts=unrolled_counts(2),
        divergent=(({"lr_step": 1e4}, "lower lr_step .10000 now"),),
        refused=(
            ({"confidence": 1.0}, "confidence must be between 0 and 1, got 1.0"),
            ({"confidence": 0.0}, "confidence must be between 0 and 1, got 0.0"),
            ({"init": "noise"}, "keeps real images, got init 'noise'; leave init out"),
        ),
    ),
    "kip": Row(
        {"target_batch": 20},
        others=tuple(
            {**kernel, "labels": labels}
            for kernel, kinds in (
                ({"kernel": "ntk"}, ("learned", "solved", "solved-in-graph")),
                ({"features": "rff:p=13"}, ("fixed", "learned", "solved", "solved-in-graph")),
            )
            for labels in kinds
        ),
        counts={"synthetic_backward": 2 * 6, "kernel_entries": 2 * (6 * 6 + 6 * 15)},  # batches of 7, 7 and 1 samples
        divergent=(
            ({"lr": 1e200}, "lower lr or raise ridge_relative"),
            ({"lr": 1e200, "features": "fcnn", "labels": "solved"}, "lower lr or raise ridge_relative"),
        ),
        refused=(
            ({"labels": "solve"}, "unknown labels 'solve'; choose from fixed, .* did you mean solved?"),
            ({"kernel": "ntx"}, "unknown kernel 'ntx'; .* did you mean ntk?"),
            ({"kernel": "ntk", "features": "fcnn"}, "a kernel or features, not both"),
            (
                {"kernel": "conv-ntk", "engine": "neural-tangents", "pooling": True},
                "pooling=True is an option of conv-ntk",
            ),
            ({"kernel": "convnet-ntk", "pooling": True}, "pooling=True .* got convnet-ntk in torch"),
            ({"kernel": "myrtle-ntk", "depth": 3}, "Myrtle network has depth 5, 7 or 10, got 3"),
            ({"kernel": "rbf", "engine": "neural-tangents"}, "the engine neural-tangents has ntk, nngp and .* got rbf"),
            ({"engine": "jax"}, "unknown engine 'jax'"),
            ({"init": "zeros"}, "unknown init 'zeros'"),
            ({"ridge": -1.0}, "ridges must be > 0"),
            ({"ridge_relative": 0.0}, "ridges must be > 0"),
            ({"target_batch": -1}, "target_batch and steps must be >= 0"),
            ({"lr": 0.0}, "target_batch and steps must be >= 0 and lr > 0"),
            ({"depth": 0}, "depth must be >= 1"),
            ({"features": "fcn"}, "unknown features 'fcn'; .* did you mean fcnn?"),
            ({"features": {"map": "identity", "d": 7}}, "the feature map takes 7 numbers, the samples .* have 64"),
        ),
    ),
    "lgm": Row(
        {"features": "fcnn", "batch": 8},
        others=({"features": "rff:p=13", "levels": 3, "init": "noise"},),
        counts={"real_forward": 2 * SAMPLES, "synthetic_forward": 2 * 6, "synthetic_backward": 2 * 6},
        divergent=(({"lr": 1e38}, "lower lr .*1e.38 now"),),
        refused=(
            ({"features": "fcn"}, "unknown features 'fcn'; .* did you mean fcnn?"),
            ({"levels": 0}, "levels must be >= 1, got 0"),
            ({"lr": 0.0}, "lr must be > 0 and finite, got 0.0"),
        ),
    ),
    "cafe": Row(
        MATCHING
        | {"init": "real", "window": 2, "settled": 2.0, "grown": 2.0, "most_epochs": 3, "held": 8, "net_batch": 4},
        others=({"momentum": 0.9, "augment": True}, {"init": "noise", "most_updates": 3, "settled": 0.0}),
        rows=MLP | {"depth": 1},
        counts={  # two updates a step with three epochs between them, and an accuracy after each of these five
            "real_forward": 2 * (2 * SAMPLES + 5 * SAMPLES),
            "synthetic_forward": 2 * (2 * 6 + 3 * 6),
            "synthetic_backward": 2 * (2 * 6 + 3 * 6),
            "network_steps": 2 * 3 * 2,
        },
        divergent=(({"lr": 1e30}, "lower lr .*1e.30 now"),),
        refused=(
            ({"window": 0}, "window must be >= 1, got 0"),
            ({"grown": -0.1}, "grown must be >= 0, got -0.1"),
            ({"net_lr": 0.0}, "net_lr must be > 0 and finite, got 0.0"),
        ),
    ),
    "label-solve": Row(
        others=({"kernel": "rbf"}, {"features": "fcnn"}),
        still="inputs",
        steps=1,
        counts={"kernel_entries": 6 * 6 + 6 * 30, "steps": 1},
        refused=(({"steps": 2}, "Label Solve is one step, got steps = 2"),),
    ),
}
COUNTERS = ("real_forward", "real_backward", "synthetic_forward", "synthetic_backward", "network_steps")
COUNTERS += ("kernel_entries", "expert_bytes")
each_method = pytest.mark.parametrize("method", ROWS)


def small(shape=(8, 8), sizes=(20, 9, 1), dtype=np.uint8):
    """Images of three classes with means of their own: one smaller than a batch, one of a single image."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = 128 + 40 * y.reshape(-1, *[1] * len(shape)) + 30 * rng.standard_normal((len(y), *shape))
    return data.Dataset.from_arrays(np.clip(x, 0, 255).astype(dtype), y, name="small", split=False)


def run(method, steps=None, dataset=None, per_class=2, seed=0, more=None, **door):
    """A run of the row of a method."""
    row = ROWS[method]
    config = row.options | (more or {}) | {"steps": row.steps if steps is None else steps}
    return distill(method, dataset or small(), points_per_class=per_class, seed=seed, config=config, **door)


@functools.cache
def whole_run(method):
    """The run of the row, once: runs that were stopped are compared with it."""
    return run(method)


def counts(run):
    return {name: value for name, value in run.ledger.to_dict().items() if name in COUNTERS}


def assert_same(one, other):
    """The same bits of everything but the time."""
    assert np.array_equal(one.inputs, other.inputs)
    assert np.array_equal(one.y, other.y)
    assert one.learned == other.learned
    assert [loss for _, _, loss in one.losses] == [loss for _, _, loss in other.losses]
    assert counts(one) == counts(other)


def test_every_method_has_a_row():
    assert set(ROWS) == {name for name, kind in METHODS.items() if isinstance(kind, str)}


@contextlib.contextmanager
def another_torch():
    """torch as a caller may have set it: a default dtype and device, autocast, inference mode, a random state."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            yield
            assert torch.empty(1).device.type == "meta"  # its settings stand after a run
            assert torch.is_autocast_enabled("cpu")
            assert torch.is_inference_mode_enabled()
            assert (torch.get_default_dtype(), torch.get_float32_matmul_precision()) == (torch.float64, "medium")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_float32_matmul_precision("highest")


@each_method
def test_two_runs_are_identical_whatever_the_state_of_torch_and_leave_it_alone(method):
    one = whole_run(method)
    torch.rand(1)
    before, numpy_before = torch.get_rng_state(), str(np.random.mtrand._rand.get_state())
    with another_torch():
        other = run(method)
    assert torch.equal(torch.get_rng_state(), before)
    assert str(np.random.mtrand._rand.get_state()) == numpy_before
    assert_same(one, other)
    assert not np.array_equal(run(method, 1).inputs, run(method, 1, seed=1).inputs)


@pytest.mark.parametrize(
    ("method", "more"), [(method, more) for method, row in ROWS.items() for more in ({}, *row.others)], ids=str
)
def test_a_resumed_run_is_the_run_bit_for_bit(method, more, tmp_path):
    state, steps = tmp_path / "state.npz", ROWS[method].steps
    whole = run(method, more=more) if more else whole_run(method)
    half = run(method, steps // 2, more=more, state_file=state)
    again = run(method, more=more, state_file=state, resume=True)
    moved = "inputs" if ROWS[method].still == "y" else "y"
    assert not np.array_equal(getattr(half, moved), getattr(whole, moved))
    assert_same(again, whole)
    assert_same(run(method, more=more, state_file=state, resume=True), whole)  # a finished state stays as it is


@pytest.mark.parametrize("method", ["mtt", "kip", "ld"])  # the driver keeps and resumes all alike
def test_an_interrupt_keeps_the_state_and_a_resume_ends_as_if_there_was_none(method, tmp_path):
    state = tmp_path / "state.npz"

    def interrupt(done, loss, running):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(method, callback=interrupt, state_file=state)
    assert_same(run(method, state_file=state, resume=True), whole_run(method))


@pytest.mark.parametrize("method", ["dm", "label-solve"])  # the driver tells runs apart, whatever the method
def test_a_state_of_other_options_is_refused(method, tmp_path):
    state = tmp_path / "state.npz"
    run(method, 1, state_file=state)
    with pytest.raises(DataError, match=r"state of another run \(points_per_class, seed differ\)"):
        run(method, per_class=1, seed=1, state_file=state, resume=True)


@each_method
def test_the_ledger_counts_what_is_done_by_hand(method):
    found = run(method, 1 if ROWS[method].steps == 1 else 2, more={"experts": 1} if method == "mtt" else None)
    wanted = dict.fromkeys(COUNTERS, 0) | {"steps": 2} | ROWS[method].counts
    assert counts(found) | {"steps": found.ledger.steps} == wanted


@pytest.mark.parametrize(("shape", "per_class"), [((8, 8), 1), ((6, 9, 3), 3), ((8, 5, 1), 1), ((28, 28), 3)], ids=str)
@each_method
def test_every_shape_of_images_and_small_classes(method, shape, per_class):
    """A class of one image (points that coincide), and a batch larger than a class."""
    dataset, many = small(shape), {"batch": 1024} if "batch" in ROWS[method].options else {}
    found, start = (run(method, steps, dataset, per_class, more=many) for steps in (min(2, ROWS[method].steps), 0))
    assert found.x.shape == (3 * per_class, *dataset.image_shape)
    assert np.isfinite(found.inputs).all()
    assert np.isfinite(found.y).all()
    still = ROWS[method].still
    assert np.array_equal(getattr(found, still), getattr(start, still))
    moved = "inputs" if still == "y" else "y"
    change = np.abs(getattr(found, moved) - getattr(start, moved)).max(axis=1)
    assert (change[: 2 * per_class] > 0.0).all()  # a point of the third class may be its only image already


POWERS = [*zip(ROWS, itertools.cycle([-200, 200]), strict=False)]  # 1e-60 and 1e60: no float32


@pytest.mark.parametrize(("method", "power"), POWERS)
def test_the_unit_of_pixels_changes_nothing(method, power):
    dataset = small(dtype=np.float64)
    x = np.ldexp(dataset.x_train, power)
    scaled = data.Dataset.from_arrays(x, dataset.y_train, name="small", split=False)
    assert_same(run(method, 1, scaled), run(method, 1, dataset))


@pytest.mark.parametrize("method", [name for name, row in ROWS.items() if row.rows is not None])
def test_rows_of_numbers_are_data(method):
    found = run(method, 1, small((11,), dtype=np.float64), 1, more=ROWS[method].rows)
    assert found.x.shape == (3, 11)
    assert np.isfinite(found.inputs).all()


@pytest.mark.parametrize(
    ("method", "more", "knob"), [(name, *case) for name, row in ROWS.items() for case in row.divergent], ids=str
)
def test_a_run_that_diverges_names_step_and_knob_and_keeps_the_last_good_state(method, more, knob, tmp_path):
    state = tmp_path / "state.npz"
    with pytest.raises(DivergenceError, match=rf"{method}: .*step \d+.*{knob}.*; the state before it is in {state}"):
        run(method, 9, more=more, state_file=state)
    with np.load(state) as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files if name.startswith("state/"))


@pytest.mark.parametrize(
    ("method", "more", "message"), [(name, *case) for name, row in ROWS.items() for case in row.refused], ids=str
)
def test_options_that_do_not_fit_are_refused(method, more, message):
    with pytest.raises(ValueError, match=message):
        distill(method, small(), points_per_class=2, config=ROWS[method].options | {"steps": 1} | more)


@pytest.mark.parametrize("method", ["dm", "dc", "dsa", "mtt", "dd", "kip", "cafe"])
def test_real_and_noise_are_two_starts(method):
    dataset = small()
    real, noise = (run(method, 0, dataset, more={"init": init}) for init in ("real", "noise"))
    rows = dataset.x_train.reshape(30, -1)
    for x, label in zip(real.x.reshape(6, -1), real.classes_of_points, strict=True):
        unit = 30 * 2.0**-23 * 255  # inputs are of float32
        assert any(np.abs(x - row).max() <= unit for row in rows[dataset.y_train == label])
    assert abs(noise.inputs.mean()) < 0.25
    assert noise.inputs.std() == pytest.approx(1.0, abs=0.15)


@each_method
def test_too_little_memory_on_the_device_says_what_to_lower(method, monkeypatch):
    def full(self, index):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(method_type(method), "step", full)
    with pytest.raises(MemoryError, match=f"{method} on cpu ran out of memory; lower the batch"):
        run(method)


def test_a_method_of_a_users_own_is_registered_by_a_decorator(monkeypatch):
    shrinking = runpy.run_path(str(Path(__file__).parents[1] / "shrinking_methods.py"))["Shrinking"]
    with monkeypatch.context() as patch:
        patch.setattr("analytic_dd.baselines.methods.registry.METHODS", dict(METHODS))
        patch.setattr("analytic_dd.baselines.methods.driver.method_type", method_type)
        assert register(shrinking) is register(shrinking) is method_type("shrinking") is shrinking
        found, start = (distill("shrinking", small(), config={"steps": steps}) for steps in (3, 0))
        assert np.array_equal(found.inputs, start.inputs / 8.0)
        assert found.config == {"steps": 3}
        with pytest.raises(ValueError, match="there is another method with the name 'kip'"):
            register(type("Other", (shrinking,), {"name": "kip"}))
    with pytest.raises(ValueError, match="unknown method 'shrinking'"):
        method_type("shrinking")
    assert shrinking.config_type is Config


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module:Kind", "cannot import the method no_such_module:Kind"),
        ("json:Kind", "cannot import the method json:Kind .*no attribute 'Kind'"),
        ("json:JSONDecoder", "json:JSONDecoder is not a method; derive a class"),
    ],
)
def test_what_is_no_method_is_refused(path, words):
    with pytest.raises(ValueError, match=words):
        method_type(path)
