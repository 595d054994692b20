"""Convolutional kernels computed by neural-tangents and JAX alone; none of this package's code.

Written to conv_fixture.json, which the fast tests read. Run: python tests/baselines/methods/conv_fixture.py
(needs neural-tangents: make test-ntk installs it; only its import goes through our shim). Images are small, since its
pooling ends the process at larger ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_suffix(".json")
SHAPE = (4, 4, 3)
NETWORKS = {"convnet 2": ("conv", "conv", "pool", "conv", "pool"), "plain 2": ("conv", "conv")}


def network(stax, layers):
    """The kernel function of the published W_std and b_std."""
    scales, made = {"W_std": 2.0**0.5, "b_std": 0.1}, []
    for layer in layers:
        if layer == "conv":
            made += [stax.Conv(1, (3, 3), padding="SAME", **scales), stax.Relu()]
        else:
            made += [stax.AvgPool((2, 2), (2, 2))]
    return stax.serial(*made, stax.Flatten(), stax.Dense(1, **scales))[2]


def compute():
    """Return two sets of images and the kernels between them as lists of float64."""
    import jax

    from analytic_dd.baselines.methods.neural_tangents import load

    rng = np.random.default_rng(20211206)
    X, X2 = (rng.standard_normal((n, int(np.prod(SHAPE)))).astype(np.float32).astype(np.float64) for n in (2, 3))
    found = {"X": X.tolist(), "X2": X2.tolist()}
    with jax.enable_x64(True):
        for name, layers in NETWORKS.items():
            both = network(load().stax, layers)(X.reshape(-1, *SHAPE), X2.reshape(-1, *SHAPE), ("ntk", "nngp"))
            found |= {f"{of} {name}": np.asarray(getattr(both, of)).tolist() for of in ("ntk", "nngp")}
    return found


if __name__ == "__main__":
    found = compute()
    PATH.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n")
