"""End commands at every line of what keeps results whole and at random times, run them again, and compare the bits.

    python tests/faults/kills.py --kills 400 --out experiments/results/kills.json

Each kill is a process of its own, which is forked when everything is imported. A tracer counts the lines of ``GUARDS``
that the command executes, and sends the signal at one of them: between two renames, inside an update of sums, between a
step and its counter. After it, what stands must be wholly old or wholly new; the same command run again must give the
bits of a run that nothing ended, and leave nothing beside its results.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import analytic_dd
from analytic_dd import cli, load_distilled
from analytic_dd.cluster import shards
from analytic_dd.data import RemoteFile
from analytic_dd.data.registry import REGISTRY, Entry, Form
from analytic_dd.errors import DataError
from analytic_dd.files import read_npz
from analytic_dd.io import to_json, versions
from analytic_dd.linalg import accumulation

ROOT = Path(analytic_dd.__file__).parent
GUARDS = (  # files whose lines keep results whole
    *("staging.py", "files.py", "report/run.py", "data/download.py", "data/lookup.py"),
    *("linalg/accumulation.py", "linalg/sums.py", "linalg/gram.py", "linalg/tiles.py", "cluster/shards.py"),
    *("baselines/methods/driver.py", "baselines/ledger.py"),
    *("baselines/bench/run.py", "baselines/bench/journal.py", "baselines/bench/set_file.py"),
)
SIGNALS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 130, "SIGINT": 130}  # and the status that follows
TIMES = {  # what a clock writes; the rate of the machine is measured only where a fit takes a fifth of a second
    "cpu_seconds",
    "gemm_flops_per_second",
    "peak_bytes",
    "written",
    "seconds",
    "evaluation_seconds",
    "wall_seconds",
    "device_seconds",
    "rates",
    "versions",
    "stages",
}

Content = dict[str, Any]


@dataclass(frozen=True)
class Door:
    """A command, what lies there before it, and what is compared after it."""

    arguments: Callable[[Path], list[str]]  # the command line for a folder
    content: Callable[[Path], Content | None]  # what stands in a folder that a reader would see; None for nothing
    prepare: Callable[[Path], None] = lambda folder: None  # puts into a folder what is there before


def untimed(value: Any) -> Any:
    """JSON without what a clock has written into it."""
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in TIMES}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def bits(arrays: dict[str, np.ndarray]) -> Content:
    """Arrays as text that is equal where their bits are; JSON in them without times."""
    found: Content = {}
    for name, value in sorted(arrays.items()):
        if name in ("meta", "provenance") and value.dtype == np.uint8:
            found[name] = untimed(json.loads(bytes(value).decode()))
        elif name != "losses":  # the driver's have a clock
            found[name] = [str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
    return found


def _npz(name: str) -> Callable[[Path], Content | None]:
    return lambda folder: bits(read_npz(folder / name)) if (folder / name).exists() else None


def _distilled(folder: Path) -> Content | None:
    """A set and its report, which must be of one run; a picture of another must not lie beside them."""
    place = folder / "set"
    try:
        stored = load_distilled(place)
    except (OSError, DataError):
        return None
    report = json.loads((place / "report.json").read_text())
    assert untimed(report["certificate"]) == untimed(stored.meta["certificate"]), "a report beside another set"
    return {"set": bits(read_npz(place / "distilled.npz")), "report": untimed(report), "files": shown(place)}


def _bench(folder: Path) -> Content | None:
    place = folder / "bench"
    rows = (place / "bench.jsonl").read_text().splitlines() if (place / "bench.jsonl").exists() else []
    rows = [untimed(json.loads(row)) for row in rows]
    sets = {file.name: bits(read_npz(file)) for file in sorted((place / "sets").glob("*.npz"))}
    return {"rows": sorted(map(json.dumps, rows)), "sets": sets} if rows else None


def _fetched(folder: Path) -> Content | None:
    place = folder / "cache" / "analytic_dd" / "small"
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(place.glob("*.bin"))} or None


def everything(folder: Path) -> list[str]:
    """All that lies below a folder, hidden files and empty folders too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def shown(folder: Path) -> list[str]:
    """The files of a folder that a user sees."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def differences(found: Any, wanted: Any, place: str = "") -> list[str]:
    """The places where two contents differ, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [
            one for key in {*found, *wanted} for one in differences(found.get(key), wanted.get(key), f"{place}/{key}")
        ]
    return [] if found == wanted else [f"{place}: {str(found)[:200]}, wanted {str(wanted)[:200]}"]


def is_part(stands: Content, wanted: Content) -> bool:
    """Whether all that stands is of the results that are to come: rows of a journal, files one after the other."""
    if "rows" in stands:
        return set(stands["rows"]) <= set(wanted["rows"]) and stands["sets"].items() <= wanted["sets"].items()
    return stands.items() <= wanted.items()


def _samples(folder: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (48, 4, 4), dtype=np.uint8), np.arange(48) % 3
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])


def _older_set(folder: Path) -> None:
    _samples(folder)
    assert quiet(["distill", *_data(folder), "--out", str(folder / "set"), "--no-picture", "--ipc", "2"]) == 0
    (folder / "set" / "distilled.png").write_text("a picture of the old set")


def _parts(folder: Path) -> None:
    _samples(folder)
    for part in ("1", "2"):
        out = ["--shard", f"{part}/2", "--out", str(folder / f"{part}.npz")]
        assert quiet(["stats", *_data(folder), *out]) == 0


def _data(folder: Path) -> list[str]:
    return ["--data", str(folder / "data.npz"), "--offline"]


DOORS = {
    "distill": Door(
        lambda folder: ["distill", *_data(folder), "--out", str(folder / "set"), "--no-picture", "--seed", "3"],
        _distilled,
        _older_set,
    ),
    "stats": Door(
        lambda folder: [
            *("stats", *_data(folder), "--features", "fcnn:width=9"),
            *("--state", str(folder / "state.npz"), "--out", str(folder / "sums.npz")),
        ],
        _npz("sums.npz"),
        _samples,
    ),
    "merge": Door(
        lambda folder: ["merge", str(folder / "1.npz"), str(folder / "2.npz"), "--out", str(folder / "sums.npz")],
        _npz("sums.npz"),
        _parts,
    ),
    "bench": Door(
        lambda folder: [
            *("bench", *_data(folder), "--out", str(folder / "bench"), "--resume", "--in-process", "--seeds", "0"),
            *("--methods", "dm:steps=3,batch=4,width=3,depth=1", "closed-form", "--predictors", "ridge"),
        ],
        _bench,
        _samples,
    ),
    "fetch": Door(lambda folder: ["data", "fetch", "small"], _fetched),
}


def small_steps() -> None:
    """Write a state after every block and step, and let no time go into pictures."""
    shards._BLOCK_BYTES = 8 * 16 * 7
    accumulation.accumulate.__kwdefaults__["every"] = 0.0
    from analytic_dd.baselines.bench import run
    from analytic_dd.baselines.methods import driver

    driver.distill.__kwdefaults__["save_every"] = 0.0
    run.draw = lambda rows, path: Path(path).write_bytes(b"")


def quiet(arguments: list[str]) -> int:
    """Run the command line without its words."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        return cli.main(arguments)


@dataclass
class Lines:
    """A tracer that counts the lines of the guards, and sends a signal at one of them."""

    stop: int = 0
    kind: int = 0
    seen: list[tuple[str, int]] = field(default_factory=list)
    guards: frozenset[str] = frozenset()

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        """Follow the functions of the guards alone."""
        return self.line if frame.f_code.co_filename in self.guards else None

    def line(self, frame: Any, event: str, argument: Any) -> Any:
        """Count a line."""
        if event == "line":
            self.seen.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.seen) == self.stop:
                os.kill(os.getpid(), self.kind)
        return self.line


def forked(folder: Path, door: Door, tracer: Lines | None = None, *, report: Path | None = None) -> int:
    """Start the command in a process of its own; return its id."""
    (folder / "said.txt").touch()  # a signal may come before the process has opened it
    pid = os.fork()
    if pid:
        return pid
    with open(folder / "said.txt", "w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        status = 99
        try:
            sys.settrace(tracer)
            status = cli.main(door.arguments(folder))
        except KeyboardInterrupt:  # behind the end of the command
            status = 130
        finally:
            sys.settrace(None)
            if report is not None and tracer is not None:
                report.write_text(json.dumps(tracer.seen))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def ended(pid: int) -> int:
    """Wait for a process, and return its status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@dataclass
class Case:
    """A door with a folder as it is before the command, and the run that nothing ends."""

    name: str
    door: Door
    before: Path
    wanted: Content
    old: Content | None
    files: list[str]
    points: list[int]
    places: list[tuple[str, int]]
    seconds: float
    guards: frozenset[str]


def prepared(name: str, root: Path, guards: frozenset[str]) -> Case:
    """Run a command that nothing ends, and learn which lines it executes: each one's first and last time is a point."""
    door, before, done = DOORS[name], root / name / "before", root / name / "run"
    before.mkdir(parents=True)
    door.prepare(before)
    fresh(before, done)
    lines = root / name / "lines.json"
    status = ended(forked(done, door, Lines(guards=guards), report=lines))
    assert status == 0, (done / "said.txt").read_text()
    places = [tuple(place) for place in json.loads(lines.read_text())]
    first = {place: number for number, place in reversed(list(enumerate(places, 1)))}
    last = {place: number for number, place in enumerate(places, 1)}
    wanted, begun = door.content(done), time.monotonic()
    assert wanted is not None
    files = everything(done)
    fresh(before, done)
    assert ended(forked(done, door)) == 0
    assert door.content(done) == wanted, f"{name}: two runs that nothing ends differ"
    seconds = time.monotonic() - begun
    points = sorted({*first.values(), *last.values()})
    return Case(name, door, before, wanted, door.content(before), files, points, places, seconds, guards)


def fresh(before: Path, folder: Path) -> None:
    """Put the state before the command at ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, folder)


def killed(case: Case, kind: str, *, line: int | None, after: float) -> dict[str, Any]:
    """End a command once, look at what stands, run it again, and return what was found."""
    folder = case.before.with_name("run")
    fresh(case.before, folder)
    number, faults = getattr(signal, kind), []
    if line is not None:
        status = ended(forked(folder, case.door, Lines(line, number, guards=case.guards)))
        file, at = case.places[line - 1]
        where = f"{Path(file).relative_to(ROOT)}:{at}"
    else:
        pid, where = forked(folder, case.door), "at a random time"
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        status = ended(pid)
    if status not in (0, SIGNALS[kind], *((-number,) if line is None else ())):
        faults.append(f"status {status}")
    said = (folder / "said.txt").read_text()
    if "Traceback" in said and line is not None:
        faults.append(f"a traceback: {said[-1000:]}")
    try:
        stands = case.door.content(folder)
        by_parts = case.name in ("bench", "fetch") and stands is not None
        if not (is_part(stands or {}, case.wanted) if by_parts else stands in (case.old, case.wanted)):
            faults.append("what stands is of neither run")
    except Exception as error:
        faults.append(f"what stands cannot be read: {error!r}")
    again = ended(forked(folder, case.door))
    if again != 0:
        faults.append(f"the second run ends with {again}: {(folder / 'said.txt').read_text()[-300:]}")
    elif case.door.content(folder) != case.wanted:
        faults.append(f"the second run has other bits: {differences(case.door.content(folder), case.wanted)}")
    if everything(folder) != case.files:
        faults.append(f"left: {sorted({*everything(folder)} ^ {*case.files})}")
    return {"door": case.name, "signal": kind, "where": where, "ended": status != 0, "faults": faults}


@contextlib.contextmanager
def served(root: Path) -> Iterator[None]:
    """A data set of two files on a server of this process, under the name ``small``."""
    body = bytes(range(256)) * 4000

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for start in range(0, len(body), 2**16):
                    self.wfile.write(body[start : start + 2**16])

        def log_message(self, *_: Any) -> None:
            pass

    os.environ |= {"NO_PROXY": "*", "ANALYTIC_DD_DATA": str(root / "no data")}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        digest = hashlib.sha256(body).hexdigest()
        files = tuple(RemoteFile(f"{name}.bin", digest, len(body), (url,)) for name in "ab")
        REGISTRY["small"] = Entry("small", "two files", (Form("small", ("small/b.bin",)),), files)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()


def plan(cases: list[Case], kills: int, rng: random.Random) -> list[tuple[Case, str, int | None, float]]:
    """Kills of every door by every signal in turn: three of four at a line, no line twice before all came."""
    kinds, queues = list(SIGNALS), {}
    for case in cases:
        for kind in kinds:
            points = list(case.points)
            rng.shuffle(points)
            queues[case.name, kind] = points
    chosen: list[tuple[Case, str, int | None, float]] = []
    for turn in range(kills):
        case, kind = cases[turn % len(cases)], kinds[turn // len(cases) % len(kinds)]
        at_a_line = turn // (len(cases) * len(kinds)) % 4 < 3 and queues[case.name, kind]
        line = queues[case.name, kind].pop() if at_a_line else None
        chosen.append((case, kind, line, rng.uniform(0.0, case.seconds)))
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Kill, print what is wrong, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=400)
    parser.add_argument("--doors", nargs="+", choices=DOORS, default=list(DOORS))
    parser.add_argument("--guards", nargs="+", metavar="FILE", default=GUARDS, help="files whose lines are points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON record")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    small_steps()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)):
        root = Path(folder)
        guards = frozenset(str(ROOT / name) for name in options.guards)
        cases = [prepared(name, root, guards) for name in options.doors]
        found = [
            killed(case, kind, line=line, after=after) for case, kind, line, after in plan(cases, options.kills, rng)
        ]
    wrong = [one for one in found if one["faults"]]
    for one in wrong:
        print(one)
    count = Counter((one["door"], one["signal"], one["where"] != "at a random time") for one in found)
    rows = [
        {"door": door, "signal": kind, "at": "a line" if line else "a random time", "kills": number}
        for (door, kind, line), number in sorted(count.items())
    ]
    lines = len({(one["door"], one["where"]) for one in found}) - len(options.doors)
    summary = {"kills": len(found), "ended": sum(one["ended"] for one in found), "lines": lines, "faults": wrong}
    print(json.dumps(summary))
    if options.out is not None:
        options.out.write_text(
            to_json(summary | {"rows": rows, "seed": options.seed, "versions": versions()}, indent=1) + "\n"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
