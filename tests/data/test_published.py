"""The real sets, where ``$ANALYTIC_DD_DATA`` has them."""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from analytic_dd.data import load

FOLDER = Path(os.environ.get("ANALYTIC_DD_DATA") or "/nowhere")

# MD5 of the unpacked files as published
MNIST = {
    "x_train": (0x803, "6bbc9ace898e44ae57da46a324031adb"),
    "y_train": (0x801, "a25bea736e30d166cdddb491f175f624"),
    "x_test": (0x803, "2646ac647ad5339dbf082846283269ea"),
    "y_test": (0x801, "27ae3e4e09519cfbb04c329615203637"),
}


@pytest.mark.skipif(not (FOLDER / "mnist").is_dir(), reason="no MNIST in $ANALYTIC_DD_DATA")
def test_mnist_is_the_published_one():
    mnist = load("mnist", offline=True)
    assert (mnist.name, mnist.classes) == ("MNIST", tuple(range(10)))
    for part, (magic, md5) in MNIST.items():
        values = getattr(mnist, part)
        header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
        assert hashlib.md5(header + values.astype(np.uint8).tobytes()).hexdigest() == md5, part
    mean, std = mnist.statistics()
    assert round(mean[0] / 255, 4) == 0.1307  # the two numbers that every tutorial on MNIST has
    assert round(std[0] / 255, 4) == 0.3081


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "cifar10-jpeg.tar.xz").is_file(), reason="no CIFAR-10 (JPEG) in $ANALYTIC_DD_DATA")
def test_cifar10_from_jpeg_files():
    cifar = load("cifar10", offline=True)
    assert cifar.name == "CIFAR-10 (JPEG)"
    assert (cifar.x_train.shape, cifar.x_test.shape) == ((50_000, 32, 32, 3), (10_000, 32, 32, 3))
    assert np.bincount(cifar.y_train).tolist() == [5000] * 10
    assert np.bincount(cifar.y_test).tolist() == [1000] * 10
    assert cifar.classes[0] == "airplane"
    assert cifar.classes[9] == "truck"
    mean, std = cifar.statistics()
    # JPEG at quality 75 keeps the means of the published set and smooths a little.
    assert np.all(np.abs(mean - [125.3, 123.0, 113.9]) < 0.2)
    assert np.all(np.abs(std - [63.0, 62.1, 66.7]) < 1.0)
