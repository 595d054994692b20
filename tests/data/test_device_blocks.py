"""Blocks converted on the device are those converted on the host."""

import sys

import numpy as np
import pytest
import torch

from analytic_dd.baselines.methods.task import Task
from analytic_dd.data import Dataset
from analytic_dd.data.blocks import device_blocks, normalised_blocks, require_device
from analytic_dd.errors import DataError

N = 23
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (N, 3, 4, 3), dtype=np.uint8), rng.integers(0, 5, N)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", [None, np.array([7, 1, 1, 22, 0])])
def test_blocks_are_those_of_the_host(images, ratio, device, dtype, order):
    mean, std = np.array([100.0, 0.1, 3.0]), np.array([50.0, 1 / 3, 70.0])
    got = list(device_blocks(*images, rows=5, mean=mean, std=std, device=device, dtype=dtype, order=order))
    wanted = list(normalised_blocks(*images, 5, order, mean, std))
    assert len(got) == len(wanted)
    for (X, y), (host, labels) in zip(got, wanted, strict=True):
        assert X.device.type == device
        assert X.dtype == getattr(torch, dtype)
        assert y.dtype == torch.int64
        assert ratio(X.cpu(), host, size=10, eps=float(np.finfo(dtype).eps)) < 30
        assert np.array_equal(y.cpu(), labels)


def test_blocks_are_kept_while_others_are_made(images):
    """The staging memory is used again; what was given out is not."""
    blocks = list(device_blocks(*images, rows=2, mean=np.zeros(1), std=np.ones(1)))
    assert np.array_equal(torch.cat([X for X, _ in blocks]), images[0].reshape(N, -1))


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64", "bool"])
def test_other_dtypes_pass(dtype, rng):
    x = (10 * rng.standard_normal((N, 4))).astype(dtype)
    X = torch.cat([X for X, _ in device_blocks(x, np.zeros(N, int), rows=7, mean=np.zeros(1), std=np.ones(1))])
    assert np.array_equal(X, x.astype(float))


def test_channels_and_options_are_checked(images):
    options = {"rows": 2, "mean": np.zeros(1), "std": np.ones(1)}
    with pytest.raises(DataError, match="samples of 36 entries do not have 5 channels"):
        next(device_blocks(*images, **(options | {"mean": np.zeros(5)})))
    with pytest.raises(ValueError, match="dtype must be float64 or float32"):
        next(device_blocks(*images, **(options | {"dtype": "float16"})))


@pytest.mark.parametrize("device", ["mps", "cuda:99", "meta", "nowhere"])
def test_a_device_that_cannot_compute_in_double_is_named(device):
    with pytest.raises(ValueError, match=f"no device '{device}' with float64 here .*; use device='cpu'") as refused:
        require_device(device)
    assert len(str(refused.value)) < 250, "torch's own reason lists all of its backends"


def test_a_device_without_torch_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"device 'cuda' needs torch; pip install 'analytic-dd\[torch\]'"):
        require_device("cuda")


def test_arrays_that_may_only_be_read_are_taken_without_a_warning(tmp_path, recwarn):
    for name, array in (("x", np.arange(24, dtype=np.uint8).reshape(8, 3)), ("y", np.arange(8) % 2)):
        np.save(tmp_path / f"{name}.npy", array)
    x, y = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy")
    blocks = list(device_blocks(x, y, rows=3, mean=np.zeros(1), std=np.ones(1)))
    assert [label for _, labels in blocks for label in labels.tolist()] == [0, 1] * 4
    task = Task.of(Dataset.from_arrays(x, y))
    assert task.stored.reshape(8, 3).tolist() == x.tolist()
    assert not recwarn.list
