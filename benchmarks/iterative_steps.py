"""What does a step of each iterative method take, in seconds and memory, beside the method as its paper states it?

A process does one measurement with one thread: a step that is thrown away, then ``--steps`` steps. Those of the package
and of ``textbook`` alternate. The seconds are those of the processor, since others may use the machine, and the ratio
is the textbook's over ours: above 1 the package is faster. Images are random bytes: 10,000 for networks, as many as the
data set has for kernels. The network (depth 3, width 128) and the target batch of KIP are the published ones; real
batches, inner epochs and student steps are the published numbers over ``--part``. MTT at IPC 50 takes two student
steps, because the textbook keeps their graph. Both sides draw networks, batches and augmentation in a step; the package
also counts its passes, and neither scores or stores a set.

glibc gives the memory of large tensors back to the system and asks for it again, which takes part of the seconds; with
--keep-memory processes of both sides keep it (a record of its own).

Run: python benchmarks/iterative_steps.py [--quick] [--repeats 3] [--steps 1] [--part 4] [--methods dm dc] [--ipc 1 10]
     (some methods or sizes: their rows replace those that are recorded; after an interrupt: --missing)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import measurement

METHODS = ("kip", "label-solve", "dm", "dc", "dsa", "mtt", "dd")
KERNELS = METHODS[:2]
SAMPLES = {"cifar10": 50_000, "mnist": 60_000}
SHAPES = {"cifar10": (32, 32, 3), "mnist": (28, 28)}
IPCS, K, GOAL = (1, 10, 50), 10, 1.2
INNER = {1: 0, 10: 50, 50: 10}  # epochs between two updates of DC and DSA
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}  # bytes, of glibc
STUDENT = {1: 50, 10: 30, 50: 8}  # steps of MTT's student; 30 at IPC 50 as published

KEYS = ("data", "method", "ipc")
HEADER = ("method, data, IPC", "ours, s", "textbook, s", "ratio", "ours, MB", "textbook, MB")

Step = Callable[[int], Any]


def dataset(data: str, n: int) -> Any:
    """Return random images of ten classes, as bytes."""
    import numpy as np

    from analytic_dd.data import Dataset

    x = np.random.default_rng(0).integers(0, 256, (n, *SHAPES[data]), dtype=np.uint8)
    return Dataset.from_arrays(x, np.arange(n) % K, name=data, split=False)


def options(method: str, ipc: int, *, part: int, width: int) -> dict[str, Any]:
    """Return the options of the package for a step."""
    network = {"width": width, "depth": 3}
    if method in KERNELS:
        return {}
    if method == "mtt":
        steps = max(2, STUDENT[ipc] // part)
        sizes = {"student_steps": steps, "expert_span": 2, "max_start": 2, "lr_img": 1e-3, "lr_lr": 1e-7, "lr_0": 0.01}
        return network | sizes | {"experts": 1}
    if method == "dd":
        return network | {"inits": 1, "inner_epochs": 1, "inner_steps": max(1, 30 // part), "batch": 1024 // part}
    loops = {"outer": 1 if ipc == 1 else 2, "inner": INNER[ipc] // part}
    return network | {"batch": 256 // part, "init": "real"} | ({} if method == "dm" else loops)


def ours(method: str, data: str, ipc: int, *, n: int, part: int, width: int, steps: int) -> dict[str, Any]:
    """Time steps of the package."""
    from analytic_dd.baselines.ledger import Ledger
    from analytic_dd.baselines.methods.method import configured
    from analytic_dd.baselines.methods.registry import method_type
    from analytic_dd.baselines.methods.task import Task

    kind = method_type(method)
    task = Task.of(dataset(data, n), dtype=kind.dtype)
    config = configured(kind.config_type, options(method, ipc, part=part, width=width))
    running = kind(task, config, points_per_class=ipc, seed=0, ledger=Ledger())
    running.start()
    if method == "mtt":
        running.experts = _Untrained(running.network, running.experts)  # type: ignore[attr-defined]
    return timed(running.step, steps)


class _Untrained:
    """Experts whose snapshots are draws, since what they have learned does not matter to the time of a step."""

    def __init__(self, network: Any, experts: Any) -> None:
        import numpy as np
        import torch

        from analytic_dd.baselines.methods.experts import Trajectory
        from analytic_dd.baselines.nets.network import stacked

        drawn = [network.draw(torch.Generator().manual_seed(epoch)) for epoch in range(4)]
        self.found, self.counted = Trajectory(stacked(drawn), np.zeros((3, 2))), experts.counted

    def __getitem__(self, index: int) -> Any:
        return self.found


def textbook(method: str, data: str, ipc: int, *, n: int, part: int, width: int, steps: int) -> dict[str, Any]:
    """Time steps of the textbook, which normalises all images first; that is a part of Label Solve's one step."""
    import numpy as np
    import torch

    torch.manual_seed(0)
    given = dataset(data, n)
    stored = torch.from_numpy(given.x_train.reshape(n, *(*SHAPES[data], 1)[:3]))
    members = [np.flatnonzero(given.y_train == label) for label in range(K)]
    start = np.concatenate([rows[:ipc] for rows in members])
    facts = options(method, ipc, part=part, width=width) | {"method": method, "ipc": ipc}
    if method == "label-solve":
        points = _normalised(stored, torch.float64).reshape(n, -1)[start].clone()
        return timed(lambda index: _label_solve(_normalised(stored, torch.float64).reshape(n, -1), points), steps)
    x = _normalised(stored, torch.float64 if method == "kip" else torch.float32)
    images = x.reshape(n, -1) if method == "kip" else x.permute(0, 3, 1, 2).contiguous()
    book = {"kip": _kip, "mtt": _mtt, "dd": _dd}.get(method, _matching)
    return timed(book(images, members, images[start].clone(), facts), steps)


def _normalised(stored: Any, dtype: Any) -> Any:
    """Return images (n, h, w, c) less the mean of a channel, over its deviation."""
    x = stored.to(dtype)
    return (x - x.mean(dim=(0, 1, 2))) / x.std(dim=(0, 1, 2))


def _kip(x: Any, members: Any, start: Any, facts: Any) -> Step:
    import numpy as np
    import textbook as book
    import torch

    y, rng = book_labels(facts["ipc"]).double() - 1.0 / K, np.random.default_rng(0)
    points = start.requires_grad_()
    adam = torch.optim.Adam([points], lr=0.04)

    def step(index: int) -> None:
        rows = np.concatenate([rng.choice(found, 5_000 // K, replace=False) for found in members])
        targets = torch.nn.functional.one_hot(torch.from_numpy(rows % K), K).double() - 1.0 / K
        adam.zero_grad()
        book.kip_loss(points, y, x[rows], targets).backward()
        adam.step()

    return step


def _label_solve(x: Any, points: Any) -> None:
    import textbook as book
    import torch

    book.solved_labels(points, x, torch.nn.functional.one_hot(torch.arange(len(x)) % K, K).double() - 1.0 / K)


def _matching(x: Any, members: Any, start: Any, facts: Any) -> Step:
    import numpy as np
    import textbook as book
    import torch

    method, ipc, rng = facts["method"], facts["ipc"], np.random.default_rng(0)
    images, classes = start.requires_grad_(), torch.arange(K).repeat_interleave(ipc)
    sgd = torch.optim.SGD([images], lr=0.1, momentum=0.5)
    every = ("color", "crop", "cutout", "flip", "scale", "rotate")

    def pairs() -> Any:
        for label, rows in enumerate(members):
            real, synthetic = x[rng.choice(rows, facts["batch"], replace=False)], images[label * ipc :][:ipc]
            if method != "dc":
                chosen = book.drawn(1, every)
                real, synthetic = book.augmented(real, *chosen), book.augmented(synthetic, *chosen)
            yield real, synthetic

    def step(index: int) -> None:
        net, turns = book.convnet(tuple(x.shape[1:]), K, width=facts["width"]), facts.get("outer", 1)
        for turn in range(turns):
            loss = book.dm_loss(net, pairs()) if method == "dm" else book.dc_loss(net, pairs())
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            if turn < turns - 1:
                change = (lambda some: book.augmented(some, *book.drawn(len(some), every))) if method == "dsa" else None
                book.train(net, images.detach(), classes, epochs=facts["inner"], batch=256, change=change)

    return step


def _mtt(x: Any, members: Any, start: Any, facts: Any) -> Step:
    import textbook as book
    import torch

    images, classes = start.requires_grad_(), torch.arange(K).repeat_interleave(facts["ipc"])
    lr, net = torch.tensor(0.01, requires_grad=True), book.convnet(tuple(x.shape[1:]), K, width=facts["width"])
    sgd = torch.optim.SGD([{"params": [images], "lr": 1e-3}, {"params": [lr], "lr": 1e-7}], lr=0.0, momentum=0.5)
    first, target = (book.vector(book.convnet(tuple(x.shape[1:]), K, width=facts["width"])) for _ in range(2))
    every = ("color", "crop", "cutout", "flip", "scale", "rotate")

    def step(index: int) -> None:
        def seen(at: int) -> Any:
            return book.augmented(images, *book.drawn(len(images), every))

        sgd.zero_grad()
        book.mtt_loss(net, first, target, seen, classes, lr, facts["student_steps"]).backward()
        sgd.step()

    return step


def _dd(x: Any, members: Any, start: Any, facts: Any) -> Step:
    import textbook as book
    import torch

    ipc, count = facts["ipc"], facts["inner_steps"]
    images, classes = start.requires_grad_(), torch.arange(K).repeat_interleave(ipc)
    sizes = torch.full((count,), 0.02, requires_grad=True)
    adam = torch.optim.Adam([images, sizes], lr=0.01)
    rows = torch.arange(K * ipc).reshape(K, ipc)
    parts = [rows[:, step % min(count, ipc) :: min(count, ipc)].flatten() for step in range(count)]

    def step(index: int) -> None:
        net = book.convnet(tuple(x.shape[1:]), K, width=facts["width"])
        real = torch.randperm(len(x))[: facts["batch"]]
        batches = [(images[part], classes[part]) for part in parts]
        adam.zero_grad()
        book.dd_loss(net, [book.vector(net)], batches, sizes, (x[real], real % K)).backward()
        adam.step()

    return step


def book_labels(ipc: int) -> Any:
    """Return one-hot labels of class-major points."""
    import torch

    return torch.nn.functional.one_hot(torch.arange(K).repeat_interleave(ipc), K)


def timed(step: Step, steps: int) -> dict[str, Any]:
    """Do a step that is thrown away, and then some; return the seconds of one."""
    step(0)
    wall, cpu = time.perf_counter(), time.process_time()
    for index in range(steps):
        step(index + 1)
    return {"seconds": (time.process_time() - cpu) / steps, "wall": (time.perf_counter() - wall) / steps}


MEASURES = {"ours": ours, "textbook": textbook}


def main() -> None:
    """Measure, record each row as it comes, print the table."""
    measurement.answer(MEASURES)
    chosen = measurement.options(
        __doc__,
        steps={"type": int, "default": 1, "help": "steps that are timed, after one that is not"},
        part={"type": int, "default": 4, "help": "divisor of batches, inner epochs and student steps"},
        methods={"nargs": "+", "default": METHODS, "choices": METHODS, "help": "some of the methods"},
        data={"nargs": "+", "default": list(SHAPES), "choices": list(SHAPES), "help": "shapes of images"},
        ipc={"nargs": "+", "type": int, "default": IPCS, "choices": IPCS, "help": "images a class"},
        missing={"action": "store_true", "help": "leave out rows that are recorded"},
        keep_memory={"action": "store_true", "help": "let glibc keep the memory of large tensors"},
    )
    every = list(cases(chosen))
    facts: dict[str, Any] = {"threads": 1, "goal": GOAL, "torch": _torch(), "part": chosen.part, "steps": chosen.steps}
    if chosen.keep_memory:
        os.environ.update(KEPT)
        facts["environment"] = KEPT
    stem = "iterative_steps_kept" if chosen.keep_memory else "iterative_steps"
    done, write = measurement.row_by_row(chosen, stem, every, KEYS, **facts)
    rows = []
    for case in every:
        if chosen.missing and tuple(case[name] for name in KEYS) in done:
            continue
        found = measurement.alternating(__file__, [("ours", case), ("textbook", case)], chosen.repeats)
        rows.append(row(case, *found))
        print(cells(rows[-1]), flush=True)
        write(rows[-1])
    measurement.show(HEADER, map(cells, rows))


def cases(chosen: Any) -> Iterator[dict[str, Any]]:
    """Yield what is measured, a row each."""
    width, ipcs = (4, (1,)) if chosen.quick else (128, chosen.ipc)
    for data in chosen.data:
        for method in chosen.methods:
            n = 6_000 if chosen.quick else SAMPLES[data] if method in KERNELS else 10_000
            sizes = {"n": n, "part": chosen.part, "width": width, "steps": chosen.steps}
            yield from ({"method": method, "data": data, "ipc": ipc} | sizes for ipc in ipcs)


def row(case: dict[str, Any], mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the table needs: medians over the runs, the ratio of the seconds, and the load of the machine."""
    found = {"ours": measurement.summary(mine), "textbook": measurement.summary(theirs)}
    for name, runs in (("ours", mine), ("textbook", theirs)):
        found[name]["all_walls"] = [run["wall"] for run in runs]
    ratio = found["textbook"]["seconds"] / found["ours"]["seconds"]
    return case | found | {"ratio": ratio, "load": os.getloadavg()[0]}


def cells(found: dict[str, Any]) -> list[str]:
    """Return a line of the table."""
    mine, theirs = found["ours"], found["textbook"]
    name = f"{found['method']}, {found['data']}, {found['ipc']}"
    seconds = [f"{mine['seconds']:.3g}", f"{theirs['seconds']:.3g}", f"{found['ratio']:.2f}"]
    return [name, *seconds, f"{mine['megabytes']:.0f}", f"{theirs['megabytes']:.0f}"]


def _torch() -> str:
    from importlib.metadata import version

    return version("torch")


if __name__ == "__main__":
    main()
