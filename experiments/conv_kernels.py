"""Label Solve and KIP on CIFAR-10 with the kernel of the published convolutional network, and what a pair costs.

Images of 16 x 16 pixels are means over 2 x 2. Costs are CPU seconds of one thread, so that other programs on the
machine count little; a pair of images is an entry of a kernel matrix.

Run: python experiments/conv_kernels.py [--part cost label-solve kip workers] [--size 16 32] [--targets N] [--steps N]
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import records
import torch

from analytic_dd import data
from analytic_dd.baselines import distill
from analytic_dd.baselines.methods.conv_kernel import ConvolutionalKernel, convnet, myrtle
from analytic_dd.baselines.methods.kernel_config import own_kernel
from analytic_dd.baselines.methods.krr import krr_accuracy
from analytic_dd.cluster import over_dask

COSTS = [(size, f"convnet {depth}") for size in (8, 16, 32) for depth in (1, 2, 3)] + [
    (8, "myrtle 5"),
    (16, "myrtle 5"),
]
PARTS = ("cost", "label-solve", "kip", "workers")
KEYS = ("part", "size", "case")


def network(case: str, size: int, *, of: str = "ntk") -> ConvolutionalKernel:
    """Return the kernel of ``convnet 3`` or ``myrtle 5`` for colour images."""
    name, depth = case.split()
    if name == "myrtle":
        return ConvolutionalKernel((size, size, 3), myrtle(int(depth)), "average", of)
    return ConvolutionalKernel((size, size, 3), convnet(int(depth)), "flatten", of)


def cost(size: int, case: str, seed: int) -> dict[str, Any]:
    """Return CPU seconds of a pair, forward and for the gradient, the less of two runs."""
    kernel, rng = network(case, size), np.random.default_rng(seed)
    count = max(2, 48 // size)
    X, X2 = torch.from_numpy(rng.standard_normal((2, count, 3 * size * size)))
    numbers = [len(rows) * len(columns) for rows, columns in kernel._sides]
    forward, gradient = [], []
    for _ in range(2):
        leaf, start = X.clone().requires_grad_(), time.process_time()
        K = kernel(leaf, X2)
        forward.append(time.process_time() - start)
        torch.autograd.grad(K.sum(), leaf)
        gradient.append(time.process_time() - start - forward[-1])
    row = {"part": "cost", "size": size, "case": case, "pairs_of_pixels": max(numbers)}
    return row | {"forward": min(forward) / count**2, "gradient": min(gradient) / count**2}


def cifar(size: int, *, targets: int, tests: int, seed: int) -> data.Dataset:
    """Return a class-balanced part of CIFAR-10 at a size."""
    whole, rng = data.load("cifar10", offline=True), np.random.default_rng(seed)

    def part(x: np.ndarray, y: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.concatenate([rng.permutation(np.flatnonzero(y == label))[: count // 10] for label in range(10)])
        side = 32 // size
        cells = x[rows].reshape(-1, size, side, size, side, 3).mean(axis=(2, 4))
        return np.rint(cells).astype(np.uint8), y[rows]

    x, y = part(whole.x_train, whole.y_train, targets)
    x_test, y_test = part(whole.x_test, whole.y_test, tests)
    return data.Dataset.from_arrays(x, y, x_test, y_test, name=f"{whole.name} {size}x{size}")


def method(name: str, size: int, dataset: data.Dataset, steps: int, seed: int) -> dict[str, Any]:
    """Return the row of a run with ten images, and the accuracy of its ten real images with one-hot labels."""
    config: dict[str, Any] = {"kernel": "convnet-ntk"}
    config |= {"target_batch": 0, "steps": steps, "labels": "learned"} if name == "kip" else {}
    before = distill("kip", dataset, seed=seed, config={**config, "target_batch": 0, "steps": 0, "labels": "fixed"})
    found, kernel = distill(name, dataset, seed=seed, config=config), own_kernel(before, dataset)
    accuracies = [krr_accuracy(one.inputs, one.y, dataset, kernel) for one in (before, found)]
    row = {"part": name, "size": size, "case": "convnet 3", "targets": len(dataset.y_train), "steps": found.steps}
    row |= {"tests": len(dataset.y_test), "before": accuracies[0], "after": accuracies[1]}
    row |= {"first_loss": found.losses[0][2], "last_loss": found.losses[-1][2], "entries": found.ledger.kernel_entries}
    return row | {"cpu_seconds": found.ledger.cpu_seconds}


def workers(size: int, seed: int, *, rounds: int) -> list[dict[str, Any]]:
    """Return seconds of the same gradient by one worker and by two in turns, and whether the bits agree."""
    kernel, rng = network("convnet 3", size), np.random.default_rng(seed)
    X, X2 = (torch.from_numpy(rng.standard_normal((n, 3 * size * size))) for n in (10, 12))
    gradients, rows = [], {count: {"wall": [], "cpu": [], "busiest": [], "load": []} for count in (1, 2)}
    for count in (1, 2) * rounds:
        row, load = rows[count], os.getloadavg()[0]
        with over_dask(count) as client:
            kernel(X[:2], X2[:2])  # the workers import what they need
            before, leaf = client.run(time.process_time), X.clone().requires_grad_()
            start = time.perf_counter()
            gradients.append(torch.autograd.grad(kernel(leaf, X2).sum(), leaf)[0])
            row["wall"].append(time.perf_counter() - start)
            spent = [at - before[name] for name, at in client.run(time.process_time).items()]
        for name, value in (("cpu", sum(spent)), ("busiest", max(spent)), ("load", load)):
            row[name].append(value)
    equal = all(torch.equal(gradients[0], one) for one in gradients[1:])
    return [{"part": "workers", "size": size, "case": str(n), "same_bits": equal, **row} for n, row in rows.items()]


def main() -> None:
    """Run the parts, and record each row as it is made."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", nargs="+", type=int, default=[16, 32])
    parser.add_argument("--targets", type=int, default=500)
    parser.add_argument("--tests", type=int, default=500)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="of the part workers")
    options = parser.parse_args()
    path = records.path_of(options, "conv_kernels")

    def keep(*rows: dict[str, Any]) -> None:
        for row in rows:
            print(row, flush=True)
        every = records.with_others(path, rows, KEYS, seed=options.seed)
        records.record(path, every, seed=options.seed)

    torch.set_num_threads(1)
    if "cost" in options.part:
        for size, case in COSTS[:4] if options.quick else COSTS:
            keep(cost(size, case, options.seed))
    for size in options.size:
        for name in (one for one in ("label-solve", "kip") if one in options.part):
            dataset = cifar(size, targets=options.targets, tests=options.tests, seed=options.seed)
            keep(method(name, size, dataset, options.steps, options.seed))
        if "workers" in options.part:
            keep(*workers(size, options.seed, rounds=options.rounds))


if __name__ == "__main__":
    main()
