"""Kernels, and the loss and gradient of KIP, computed by neural-tangents and JAX alone; none of this package's code.

Written to ntk_fixture.json, which the fast tests read. Run: python tests/baselines/methods/ntk_fixture.py
(needs neural-tangents: make test-ntk installs it; only its import goes through our shim).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_suffix(".json")
SCALES = {"published": (2.0**0.5, 0.1), "other": (1.3, 0.7)}
RIDGE = 1e-6  # times trace / m


def points():
    """Rows X (5, 11), targets X2 (7, 11), of which the first is a row of X, and their labels."""
    rng = np.random.default_rng(20200808)
    X, X2 = rng.standard_normal((5, 11)), rng.standard_normal((7, 11))
    return X, np.concatenate([X[:1], X2[1:]]), rng.standard_normal((5, 3)), rng.standard_normal((7, 3))


def network(depth, W_std, b_std):
    """The kernel function of neural-tangents."""
    from analytic_dd.baselines.methods.neural_tangents import load

    stax = load().stax
    scales = {"W_std": W_std, "b_std": b_std}
    hidden = [layer for _ in range(depth) for layer in (stax.Dense(1, **scales), stax.Relu())]
    return stax.serial(*hidden, stax.Dense(1, **scales))[2]


def kip_loss(kernel, X, X2, Ys, Yt):
    """The loss of KIP in JAX."""
    import jax.numpy as jnp

    K = kernel(X, None, "ntk")
    ridge = RIDGE * jnp.trace(K) / len(X)
    predicted = kernel(X2, X, "ntk") @ jnp.linalg.solve(K + ridge * jnp.eye(len(X)), Ys)
    return 0.5 * jnp.mean((predicted - Yt) ** 2)


def compute():
    """Return everything as lists of float64."""
    import jax

    X, X2, Ys, Yt = points()
    made = {"X": X, "X2": X2, "Ys": Ys, "Yt": Yt}
    with jax.enable_x64(True):
        for scales, values in SCALES.items():
            for depth in (1, 2, 3):
                kernel = network(depth, *values)
                for of in ("ntk", "nngp"):
                    made[f"{of} {depth} {scales} gram"] = kernel(X, None, of)
                    made[f"{of} {depth} {scales} between"] = kernel(X, X2, of)
                loss, gradient = jax.value_and_grad(lambda A, kernel=kernel: kip_loss(kernel, A, X2, Ys, Yt))(X)
                made |= {f"loss {depth} {scales}": loss, f"gradient {depth} {scales}": gradient}
        return {name: np.asarray(value).tolist() for name, value in made.items()}


if __name__ == "__main__":
    with PATH.open("w") as stream:
        stream.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in compute().items()) + "\n}\n")
