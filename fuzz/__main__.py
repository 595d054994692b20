"""Mutate files of every format that is read, and read them.

    python -m fuzz --minutes 10 --out experiments/results/fuzz.json

A reader answers, or refuses in a line of ours: no traceback, no message of another library, no hang, no memory beyond
3 GB, and no distilled set that passes and does not hold W. What fails is kept beside the record, to be read again.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from analytic_dd.io import to_json, versions
from fuzz.mutations import mutated
from fuzz.seeds import make
from fuzz.targets import PLACE, TARGETS, Fault, within

_SLOWEST = 20.0  # seconds
_FOLDERS = ("idx", "tree", "binary", "exact")  # whose files are read together
_MEMORY = 3 * 2**30


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes, print the faults, and write the record."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--runs", type=int, help="files a target, in the place of minutes")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder of the files that fail")
    parser.add_argument("--out", type=Path, help="JSON record")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), options)
    for fault in found["faults"]:
        print(fault)
    print(json.dumps({name: found[name] for name in ("runs", "read", "refused")} | {"faults": len(found["faults"])}))
    if options.out is not None:
        options.out.write_text(to_json(found | {"versions": versions()}, indent=1) + "\n")
    return 1 if found["faults"] else 0


def run(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return how many files each target has read and refused, and the faults, each kind once."""
    seeds = make(root)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, hard))
    rng, counts, faults, kinds = random.Random(options.seed), Counter(), [], set()
    slowest = dict.fromkeys(options.targets, 0.0)
    end, turn = time.monotonic() + 60.0 * options.minutes, 0
    while turn < options.runs * len(options.targets) if options.runs else time.monotonic() < end:
        name = options.targets[turn % len(options.targets)]
        turn += 1
        target, seed = TARGETS[name], rng.choice(seeds[name])
        path = _placed(root, seed, mutated(seed.read_bytes(), target.kind_of(seed), rng))
        begun = time.monotonic()
        try:
            counts[name, within(_SLOWEST, target.read, path)] += 1
        except Fault as fault:
            counts[name, "fault"] += 1
            words = f"{name}: {fault}"
            if words[:80] not in kinds:
                kinds.add(words[:80])
                faults.append(
                    {"target": name, "fault": words[:500], "turn": turn, "file": _kept(path, options.keep, turn)}
                )
        slowest[name] = max(slowest[name], time.monotonic() - begun)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    rows = [
        {"target": name, "slowest_seconds": round(slowest[name], 2)}
        | {word: counts[name, word] for word in ("read", "refused", "fault")}
        for name in options.targets
    ]
    total = {word: sum(row[word] for row in rows) for word in ("read", "refused")}
    return {"runs": turn, **total, "minutes": options.minutes, "seed": options.seed, "rows": rows, "faults": faults}


def _placed(root: Path, seed: Path, data: bytes) -> Path:
    """Put the mutated file where the reader finds it, with what lay beside the seed where it belongs to it."""
    folder, within_root = root / PLACE, seed.relative_to(root)
    shutil.rmtree(folder, ignore_errors=True)
    of_folder = within_root.parts[0] in _FOLDERS
    if of_folder:
        shutil.copytree(root / within_root.parts[0], folder)
    folder.mkdir(exist_ok=True)
    path = folder.joinpath(*within_root.parts[1:]) if of_folder else folder / seed.name
    path.write_bytes(data)
    return path


def _kept(path: Path, folder: Path | None, turn: int) -> str:
    if folder is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder / f"{turn}-{path.name}")
    return f"{turn}-{path.name}"


if __name__ == "__main__":
    sys.exit(main())
