"""The numerical tests once per OpenBLAS kernel that this processor can run: ``make test-kernels``.

BLAS rounds in another order on another processor. Each run is a process of its own with OPENBLAS_CORETYPE set, 1 or 2
threads, and matrices in C or Fortran order; kernels that the processor cannot run are named. torch and jax bring
kernels of their own, so that their cases are left out. Where the variable is set already, that kernel alone is run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX")
# numpy and scipy bring an OpenBLAS each; a matrix product and a factor are where a missing instruction shows
PROBE = """
import json, numpy, scipy.linalg, threadpoolctl
A = numpy.random.default_rng(0).standard_normal((200, 200))
numpy.linalg.svd(A @ A.T), scipy.linalg.cholesky(A @ A.T + numpy.eye(200))
found = threadpoolctl.threadpool_info()
print(json.dumps(sorted({each["architecture"] for each in found if each["internal_api"] == "openblas"})))
"""


def main(arguments: list[str] | None = None) -> int:
    """Run every kernel, print the table, and return 1 if a test failed."""
    options = _options(arguments)
    rows, seen = [], {}
    for kernel in options.kernels:
        ran, why = probe(kernel)
        if ran in seen:
            why = f"OpenBLAS runs {ran} for it, as for {seen[ran]}"
        if why:
            print(f"{kernel}: skipped, {why}", flush=True)
            continue
        seen[ran] = kernel
        for threads, order in product(options.threads, options.orders):
            rows.append({"kernel": kernel, "ran": ran, "threads": threads, "order": order})
            rows[-1] |= run(kernel, threads, order, options.tests)
            print(line(rows[-1]), flush=True)
    print(table(rows))
    return int(not rows or any(row["code"] for row in rows))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given = os.environ.get("OPENBLAS_CORETYPE")
    parser.add_argument("--kernels", nargs="+", default=[given] if given else KERNELS, metavar="KERNEL")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--orders", nargs="+", default=["C", "F"], choices=["C", "F"])
    parser.add_argument("tests", nargs="+", help="files and folders for pytest")
    options = parser.parse_args(arguments)
    if given and list(options.kernels) != [given]:
        parser.error(f"OPENBLAS_CORETYPE is {given} in this environment; unset it, or ask for --kernels {given}")
    return options


def probe(kernel: str) -> tuple[str, str]:
    """Return the kernel that OpenBLAS runs for this name, and why it cannot be tested (empty where it can)."""
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment(kernel, 1), capture_output=True, text=True)
    if done.returncode == -signal.SIGILL:
        return "", "the processor does not have its instructions"
    if done.returncode:
        return "", f"the probe ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    found = json.loads(done.stdout)
    if len(found) != 1:
        return "", f"numpy and scipy run {found or 'no OpenBLAS'}"
    return found[0], ""


def environment(kernel: str, threads: int) -> dict[str, str]:
    """The environment of a child."""
    count = str(threads)
    return os.environ | {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count}


def run(kernel: str, threads: int, order: str, tests: list[str]) -> dict:
    """Run the tests in a child and return what its session wrote: counts, the worst ratio and its test, the threads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "session.json")
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--libraries", "numpy"]
        command += ["--order", order, "--session", str(path), *tests]
        done = subprocess.run(command, cwd=ROOT, env=environment(kernel, threads), capture_output=True, text=True)
        if done.returncode:
            print(done.stdout[-20_000:], done.stderr[-2_000:], sep="\n")
        return {"code": done.returncode} | (json.loads(path.read_text()) if path.exists() else {})


def line(row: dict) -> str:
    """One row of the table."""
    name = row["kernel"] if row["kernel"] == row["ran"] else f"{row['kernel']} ({row['ran']})"
    counts = [str(row.get(key, "?")) for key in ("passed", "failed", "worst")]
    return f"| {name} | {row['threads']} | {row['order']} | {' | '.join(counts)} | {row.get('where', '')} |"


def table(rows: list[dict]) -> str:
    """All rows, with a head."""
    head = (
        "| kernel | threads | order | passed | failed | worst ratio (< 30) | of test |\n|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *map(line, rows)])


if __name__ == "__main__":
    sys.exit(main())
