"""Cells in processes of their own: the same rows, what a signal costs, and that nothing is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from analytic_dd import cli
from analytic_dd.baselines.bench import child
from analytic_dd.baselines.bench.journal import read_rows
from analytic_dd.baselines.bench.set_file import load_set
from analytic_dd.baselines.methods import registry
from analytic_dd.cluster import over_dask

MORTALS = """
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from analytic_dd.baselines import Method, register
from analytic_dd.baselines.methods.method import Config

@dataclass(frozen=True)
class MortalConfig(Config):
    steps: int = 1
    by: str = "SIGKILL"

@register
class Mortal(Method):
    name = "mortal"
    config_type = MortalConfig

    def start(self):
        self.images = self.task.real_images(self.points_per_class, self.rng(-1))

    def step(self, index):
        if self.config.by == "sleep":
            Path("pid").write_text(str(os.getpid()))
            time.sleep(60)
        elif not Path("spared").exists():
            os.kill(os.getpid(), signal.Signals[self.config.by])
        return 0.0

    def state(self):
        return {"images": self.images}

    def restore(self, state):
        self.images = state["images"].clone()

    def result(self):
        return self.images, torch.nn.functional.one_hot(self.classes_of_points, self.task.k).double()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with data and a module of methods that die."""
    rng, y = np.random.default_rng(0), np.repeat(np.arange(3), 20)
    x = np.clip(60 * y[:, None, None] + 40 + 30 * rng.standard_normal((60, 4, 5)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "small.npz", x_train=x, y_train=y, x_test=x[::2], y_test=y[::2])
    (tmp_path / "mortals.py").write_text(MORTALS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(registry.METHODS)
    yield tmp_path
    registry.METHODS.clear()
    registry.METHODS.update(before)


def words(*methods):
    """The command for one predictor."""
    command = ["bench", "--data", "small.npz", "--seeds", "0", "--predictors", "ridge", "--offline", "--out", "out"]
    return [*command, "--methods", *methods]


def rows_of(folder, out="out"):
    return {row["variant"] or row["method"]: row for row in read_rows(folder / out / "bench.jsonl")}


def test_a_killed_cell_is_a_failed_row_with_its_signal_and_a_resume_tries_it_again(folder, capfd):
    methods = ["mortals:Mortal:by=SIGKILL", "mortals:Mortal:by=SIGSEGV", "random", "kip:steps=2,target_batch=20"]
    assert cli.main(words(*methods)) == 1
    rows = rows_of(folder)
    assert "was ended by SIGKILL, as when memory is out" in rows["by=SIGKILL"]["error"]
    assert "was ended by SIGSEGV; --resume tries the cell again" in rows["by=SIGSEGV"]["error"]
    assert [rows[name]["accuracy"] is None for name in rows] == [True, True, False, False]
    assert "by=SIGSEGV, small, IPC 1, seed 0, ridge: ChildProcessError: its process" in capfd.readouterr().err
    (folder / "spared").touch()
    assert cli.main([*words(*methods), "--resume"]) == 0
    assert all(row["accuracy"] is not None for row in rows_of(folder).values())
    here = [*words(*methods), "--in-process"]
    assert cli.main([*here[: here.index("out")], "here", *here[here.index("out") + 1 :]]) == 0
    for name, row in rows_of(folder, "here").items():
        assert row["accuracies"] == rows_of(folder)[name]["accuracies"]
        assert row["settings"] == rows_of(folder)[name]["settings"]


def alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_ends(folder, how):
    """Ctrl-C reaches the command; a child of a command that was killed ends by itself.

    The one that is killed is a program without a guard, which no child runs again.
    """
    command = words("random", "mortals:Mortal:by=sleep")
    (folder / "program.py").write_text(
        f"from analytic_dd import cli\nprint('begun', flush=True)\ncli.main({command})\n"
    )
    started = ["-m", "analytic_dd", *command] if how == signal.SIGINT else ["program.py"]
    process = subprocess.Popen([sys.executable, *started], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pid = folder / "pid"
    while process.poll() is None and not (pid.exists() and pid.read_text()):
        time.sleep(0.05)
    sleeping = int(pid.read_text())
    assert alive(sleeping)
    process.send_signal(how)
    said, error = process.communicate(timeout=60)
    assert said.count("begun") == (how == signal.SIGKILL)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "what is done stays, go on with --resume" in error
        assert "Traceback" not in error
    until = time.monotonic() + 30
    while alive(sleeping) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(sleeping)
    assert list(rows_of(folder)) == ["random"]


def test_methods_that_another_process_cannot_import_stay_in_this_one(monkeypatch):
    assert child.available()

    class Here(registry.method_type("dm")):
        name = "here"
        __module__ = "__main__"

    monkeypatch.setitem(registry.METHODS, "here", Here)
    assert not child.available()


def test_a_cell_in_a_process_of_its_own_has_the_workers_of_dask_and_the_same_bits(folder):
    from distributed import Client, LocalCluster

    method = "kip:kernel=convnet-ntk,depth=1,steps=1,target_batch=3"
    here = words(method)
    here[here.index("out")] = "here"
    assert cli.main([*here, "--in-process"]) == 0
    options = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster, Client(cluster) as client:
        with over_dask(client):
            assert cli.main(words(method)) == 0
        assert "on_worker" in cluster.scheduler.task_prefixes
    with Client(processes=False, n_workers=1, dashboard_address=None) as client, over_dask(client):
        assert cli.main([*words("random"), "--out", "inside"]) == 0  # no other process can come to these workers
    one, other = (load_set(next((folder / out / "sets").iterdir()))[0] for out in ("here", "out"))
    assert np.array_equal(one.inputs, other.inputs)
