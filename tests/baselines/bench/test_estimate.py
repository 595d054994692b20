"""Estimates of a plan and refusals before it: passes as the ledger counts them, operations, memory, one line."""

import json

import numpy as np
import pytest
import torch

from analytic_dd import cli, data
from analytic_dd.baselines.bench import estimate as estimate_module
from analytic_dd.baselines.bench.estimate import (
    COUNTED,
    LATENCY,
    THROUGHPUT,
    estimates,
    forward_flops,
    gpu_seconds,
    made,
    work,
)
from analytic_dd.baselines.bench.plan import SetCell, Variant, parse_variant, plan
from analytic_dd.baselines.bench.protocol import Protocol
from analytic_dd.baselines.bench.requirements import activation_bytes, least_bytes, require_possible
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron

SIZES = {"width": 4, "depth": 2}
MTT = {"student_steps": 3, "expert_span": 1, "max_start": 1, "lr_img": 1.0, "lr_lr": 0.0, "lr_0": 0.01, "experts": 1}
DIGITS = data.load("digits")
BY_NAME = {DIGITS.name: DIGITS}


def method(name, options, ipc=2):
    return made(SetCell(Variant(name, "", options), DIGITS.name, ipc, 0, ()), DIGITS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dc", {"outer": 3, "inner": 2, "net_batch": 7, "batch": 150}),
        ("dsa", {"outer": 2, "inner": 1, "batch": 150}),
        ("dm", {"batch": 150}),
        ("mtt", MTT),
        ("dd", {"network": "convnet", "inits": 1, "inner_steps": 2, "inner_epochs": 1, "batch": 30}),
    ],
)
def test_passes_of_a_step_are_those_that_the_ledger_counts(name, options):
    found = method(name, SIZES | options)
    found.start()
    found.step(0)
    found.step(1)
    counted = work(found)
    for each in COUNTED:
        assert getattr(found.ledger, each) == 2 * counted.step[each] + counted.once[each], each
    assert counted.calls > 0


def test_operations_of_a_network_are_counted():
    wanted = 2.0 * 9 * (1024 * 3 * 128 + (256 + 64) * 128 * 128) + 2.0 * 10 * 2048
    assert forward_flops(ConvNet((3, 32, 32), 10)) == wanted
    assert forward_flops(ConvNet((1, 28, 28), 10)) == wanted - 2.0 * 9 * 1024 * 2 * 128


def test_the_published_half_second_of_trajectory_matching_is_that_of_its_calls(ratio):
    options = {"student_steps": 50, "steps": 1, "max_start": 2, "expert_span": 2, "unroll": "recompute"}
    found = method("mtt", MTT | options, ipc=1)
    counted = work(found)
    flops = 10 * 50 * (2 + 2 * 3) * forward_flops(ConvNet((1, 8, 8), 10))
    experts = 3 * len(DIGITS.y_train) * 3 * forward_flops(ConvNet((1, 8, 8), 10))
    calls = 250 + 2 * counted.once.get("network_steps", 0) + counted.first
    assert ratio(gpu_seconds(found, counted), (flops + experts) / THROUGHPUT + LATENCY * calls, size=10) < 30
    assert LATENCY * 250 == 0.5


def cells(texts, **more):
    options = {"ipcs": [1], "seeds": [0, 1], "predictors": ["mlp"], "config": {}} | more
    return plan([DIGITS], [one for text in texts for one in parse_variant(text)], **options)


def test_estimates_say_what_they_rest_on_and_are_measured_once_for_all_seeds(monkeypatch, ratio):
    measured = []
    monkeypatch.setattr(estimate_module, "measured_rate", lambda network, **_: measured.append(network) or 1e9)
    monkeypatch.setattr(estimate_module, "measured_step", lambda found: measured.append(found) or 0.5)
    protocol = Protocol(nets=2, epochs=3, mlp_width=5)
    found = list(estimates(cells(["dm:steps=7,width=4,depth=2", "kip:steps=6", "random"]), BY_NAME, protocol=protocol))
    assert [type(one).__name__ for one in measured] == ["MultiLayerPerceptron", "ConvNet", "KernelInducingPoints"]
    dm, _, kip, _, random, _ = found
    real = sum(min(256, int(np.sum(DIGITS.y_train == label))) for label in range(10))
    assert dm.passes == 7 * (real + 20)
    size = forward_flops(ConvNet((1, 8, 8), 10, width=4, depth=2))
    assert ratio(dm.seconds, 7 * (real + 10 + 2 * 10) * size / 1e9, size=10) < 30
    assert dm.gpu_hours > 0.0
    assert "counted operations at 1 Gflop/s measured here" in str(dm)
    assert (kip.seconds, kip.gpu_hours, kip.passes) == (3.0, None, None)
    assert "from a step measured here" in str(kip)
    assert "no GPU estimate" in str(kip)
    assert (random.steps, random.seconds) == (0, 0.0)
    mlp = forward_flops(MultiLayerPerceptron((1, 8, 8), 10, widths=(5, 128)))
    wanted = (
        2 * (3 * 3 * 10 + len(DIGITS.y_test)) * forward_flops(MultiLayerPerceptron((1, 8, 8), 10, widths=(5, 5))) / 1e9
    )
    assert random.scoring == pytest.approx(wanted, rel=1e-12)
    assert mlp > 0.0
    assert "seed 1" in found[1].cell


def test_a_measured_step_takes_time_and_runs_nothing_else():
    found = list(estimates(cells(["kip:steps=3,target_batch=20"], seeds=[0]), BY_NAME, protocol=Protocol(nets=1)))
    assert found[0].seconds > 0.0
    assert found[0].steps == 3


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("mtt", {}, "mtt, digits, IPC 1, seed 0 must fail: nothing is published for 10 classes .* set student_steps"),
        ("dm:depth=5", {}, "dm:depth=5, digits, .* halvings leave no pixel of 8 x 8"),
        ("dc:width=4,depth=2", {"ipcs": [3]}, "loops are published for 1, 10, 20, 30, 40, 50 .* not for 3"),
        ("random", {"predictors": ["convnet"], "protocol": Protocol(depth=5)}, "random, .* halvings leave no pixel"),
        ("random", {"predictors": ["lenet"]}, "LeNet takes images of 12 x 12"),
        ("lgm:features=network:nosuch.module:make", {}, "lgm:.* must fail: .*nosuch"),
        ("dd:width=4,depth=2,attack=true,target_class=12", {}, "attack_class and target_class must be below 10"),
    ],
)
def test_what_must_fail_is_refused_with_the_cell_and_the_reason(text, more, words):
    protocol = more.pop("protocol", Protocol())
    with pytest.raises(ValueError, match=words):
        require_possible(cells([text], **more), BY_NAME, protocol=protocol)


def test_too_little_memory_is_refused_before_a_run():
    small = cells(["kip:target_batch=500", "dm:width=4,depth=2", "random"])
    require_possible(small, BY_NAME, protocol=Protocol())
    found = method("kip", {"target_batch": 500}, ipc=10)
    assert least_bytes(found)["the kernel matrices with their gradients"] == 2 * 8 * 100 * 600
    with pytest.raises(
        ValueError, match=r"kip.* must fail: the kernel matrices .* take \S+ GB .* and 5e-05 GB are free"
    ):
        require_possible(small, BY_NAME, protocol=Protocol(), free=5e4)
    with pytest.raises(ValueError, match=r"the experts take .* GB at least, .* keep experts in a folder"):
        require_possible(cells(["mtt:experts=100"], settings="small"), BY_NAME, protocol=Protocol(), free=1e6)


def test_activations_are_what_the_layers_give():
    network = ConvNet((1, 8, 8), 10, width=4, depth=2)
    wanted = 3 * 4 * 64 + 4 * 16 + 3 * 4 * 16 + 4 * 4 + 16 + 10
    assert activation_bytes(network) == 4.0 * wanted
    assert not any(one._forward_hooks for one in network.modules())
    assert all(value.is_meta for value in network.parameters())


def test_the_command_line_estimates_and_refuses_and_writes_nothing(capsys, tmp_path):
    words = ["bench", "--methods", "kip:steps=300,target_batch=20", "random", "--predictors", "mlp", "--seeds", "0"]
    words += ["--config", "evaluate.nets=1", "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--estimate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "300 steps; " in lines[0]
    assert lines[-1].startswith("in all ")
    assert cli.main([*words, "--estimate", "--json"]) == 0
    assert [one["steps"] for one in json.loads(capsys.readouterr().out)["estimates"]] == [300, 0]
    assert cli.main([*words, "--dry-run", "--methods", "mtt"]) == 2
    error = capsys.readouterr().err
    assert "must fail" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert torch.is_grad_enabled()
