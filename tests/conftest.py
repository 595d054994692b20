"""What the tests of the core share: array libraries, the error ratio, exact oracles, matrices with a chosen spectrum.

They are fixtures, since under --import-mode=importlib one test file does not import another; those without parameters
live for the whole session, so that hypothesis may use them.

``--order F`` hands out matrices in Fortran order, ``--libraries numpy`` leaves out the cases of torch, jax and strict
arrays, and ``--session FILE`` writes down what passed, the worst ratio and the BLAS that was used.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import flint
import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_info

from analytic_dd.arrays import dtype_name, to_numpy

settings.register_profile("ci", derandomize=True, max_examples=60, deadline=None)
settings.register_profile("deep", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the order and the libraries of the arrays, and the file about the session."""
    group = parser.getgroup("numerics")
    group.addoption("--order", choices=("C", "F"), default="C", help="memory order of the matrices that fixtures make")
    group.addoption("--libraries", choices=("all", "numpy"), default="all", help="array libraries of the fixtures")
    group.addoption("--session", metavar="FILE", help="write counts, worst ratio, BLAS and threads to this JSON file")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases of other libraries, where that was asked for."""
    if config.option.libraries == "all":
        return
    left_out = [item for item in items if not _of_numpy(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if _of_numpy(item)]


def _of_numpy(item: pytest.Item) -> bool:
    given = getattr(getattr(item, "callspec", None), "params", {})
    return all(str(given.get(name, "numpy")).startswith("numpy") for name in ("library", "summing_library"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down the session, where that was asked for."""
    if session.config.option.session is None:
        return
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    blas = [each for each in threadpool_info() if each["internal_api"] == "openblas"]
    found = {
        "passed": len(stats.get("passed", [])),
        "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
        "worst": float(f"{Ratio.worst:.3g}"),
        "where": Ratio.where,
        "blas": sorted({f"{each['architecture']}, {each['num_threads']} threads" for each in blas}),
    }
    Path(session.config.option.session).write_text(json.dumps(found), encoding="utf-8")


class Ratio(float):
    """An error in units of the rounding that explains it; the comparison with its limit keeps the worst that passes."""

    worst = 0.0
    where = ""

    def __lt__(self, limit: float) -> bool:
        passed = float(self) < limit
        if passed and self > Ratio.worst:
            Ratio.worst, Ratio.where = float(self), os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
        return passed


@dataclass(frozen=True)
class Library:
    """An array library with one dtype."""

    name: str
    dtype: str
    kind: type
    array: Callable[[Any], Any]
    context: Callable[[], Any] = contextlib.nullcontext

    @property
    def eps(self) -> float:
        return float(np.finfo(self.dtype).eps)

    def owns(self, *arrays: Any) -> bool:
        """Whether all of them are arrays of this library and dtype."""
        return all(isinstance(A, self.kind) and dtype_name(A) == self.dtype for A in arrays)


def _numpy(d: str) -> Library:
    return Library("numpy", d, np.ndarray, lambda A: np.asarray(A, dtype=d))


def _torch(d: str) -> Library:
    import torch

    return Library("torch", d, torch.Tensor, lambda A: torch.tensor(np.asarray(A), dtype=getattr(torch, d)))


def _strict(d: str) -> Library:
    import array_api_strict as strict

    kind = type(strict.zeros(1))

    def refuse(array: Any, key: Any, value: Any) -> None:
        raise TypeError("arrays of some libraries cannot be written to")

    @contextlib.contextmanager
    def immutable() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, "__setitem__", refuse)
            yield

    return Library("strict", d, kind, lambda A: strict.asarray(A, dtype=getattr(strict, d)), immutable)


def _jax(d: str) -> Library:
    import jax

    return Library("jax", d, jax.Array, lambda A: jax.numpy.asarray(A, dtype=d), lambda: jax.enable_x64(d == "float64"))


# Each is imported by the first test that uses it
MAKERS = {"numpy": _numpy, "torch": _torch, "strict": _strict, "jax": _jax}
LIBRARIES = [f"{name}-{d}" for d in ("float32", "float64") for name in MAKERS]
# Each library and each dtype, since jax compiles for every shape: jax in its own precision, unless sums need float64
COVERING = ["numpy-float32", "torch-float32", "jax-float32", "numpy-float64", "torch-float64", "strict-float64"]
WITH_ALL = {"test_arrays", "test_comparators"}  # of what everything else is made of: every library with every dtype

# jax compiles every operation for every shape, seconds a test: in other tests its cases are slow ones. That no array
# is written to, which jax does not allow, all tests show, since strict arrays refuse it here
WITH_JAX = {
    "test_arrays",
    "test_comparators",
    "test_chunks_add_up_to_the_whole",
    "test_every_library_makes_the_choice_of_numpy",
    "test_exact_sets_of_every_library_pass",
    "test_factors_are_orthonormal_and_multiply_to_the_matrix",
    "test_labels_are_of_the_library_of_the_classes",
    "test_learned_labels_are_exact",
    "test_set_is_exact_in_every_library",
    "test_value_mean_and_hessian_in_every_library",
    "test_weights_are_those_of_the_exact_oracle",
}

# Half of the time of a test of jax is the compiler's, which need not optimise what runs once
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Deal out the array libraries."""
    file = metafunc.module.__name__.rpartition(".")[2]
    names = {file, metafunc.function.__name__}

    def dealt(libraries: list[str]) -> list[Any]:
        slow = [] if names & WITH_JAX else [pytest.mark.slow]
        return [pytest.param(name, marks=slow if name.startswith("jax") else []) for name in libraries]

    if "library" in metafunc.fixturenames and not any(
        "library" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize("library", dealt(LIBRARIES if file in WITH_ALL else COVERING), indirect=True)
    if "summing_library" in metafunc.fixturenames:
        chosen = [name.replace("jax-float32", "jax-float64") for name in COVERING]
        metafunc.parametrize("summing_library", dealt(chosen), indirect=True)


@functools.cache
def _library(key: str) -> Library:
    name, _, d = key.partition("-")
    return MAKERS[name](d)


def _ordered(library: Library, order: str) -> Library:
    """The library with matrices in that memory order; jax has one order only."""
    if order == "C" or library.name == "jax":
        return library

    def array(A: Any) -> Any:
        made = library.array(np.asfortranarray(A))
        return made.mT.contiguous().mT if library.name == "torch" and made.ndim > 1 else made

    return replace(library, array=array)


@pytest.fixture
def library(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Library]:
    """An array library with a dtype; jax with 64 bits switched on for float64 only."""
    with _library(request.param).context():
        yield _ordered(_library(request.param), pytestconfig.option.order)


@pytest.fixture
def summing_library(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Library]:
    """One that can keep sums in float64."""
    with _library(request.param).context():
        yield _ordered(_library(request.param), pytestconfig.option.order)


@pytest.fixture(scope="session")
def numpy_float64(pytestconfig: pytest.Config) -> Library:
    """The library that needs no other."""
    return _ordered(_library("numpy-float64"), pytestconfig.option.order)


@pytest.fixture(scope="session")
def digits() -> Any:
    """The digits of scikit-learn, read once."""
    from analytic_dd import data

    return data.load("digits")


@pytest.fixture(scope="session")
def ratio() -> Callable[..., float]:
    """Return the comparator: |got - wanted| / unit in units of eps * size * amplification; NaN passes no test.

    ``unit`` is |wanted| unless given; what should vanish is compared with the number 0 and the unit of its terms.
    """

    def measure(
        got: Any,
        wanted: Any,
        *,
        size: float,
        amplification: float = 1.0,
        eps: float = 2.0**-52,
        unit: float | None = None,
    ) -> Ratio:
        got, wanted = (_in_double(A) for A in (got, wanted))
        assert wanted.ndim == 0 or got.shape == wanted.shape, f"shapes differ: {got.shape} and {wanted.shape}"
        unit = (float(np.linalg.norm(wanted)) or 1.0) if unit is None else float(unit)
        return Ratio(float(np.linalg.norm((got - wanted) / unit)) / (eps * size * amplification))

    return measure


def _in_double(A: Any) -> np.ndarray:
    """Numbers, lists of numbers and arrays of any library as numpy arrays of float64."""
    return np.asarray(A if isinstance(A, int | float | list | tuple | np.generic) else to_numpy(A), dtype=np.float64)


def _rational(A: np.ndarray) -> flint.fmpq_mat:
    rows, columns = A.shape
    return flint.fmpq_mat(rows, columns, [flint.fmpq(*float(a).as_integer_ratio()) for a in A.ravel()])


@pytest.fixture(scope="session")
def refit() -> Callable[..., np.ndarray]:
    """Return the oracle: ridge regression weights (k, p) of the stored floats in *exact rational arithmetic*.

    At ridge = 0 the features must have full row or column rank.
    """

    def solve(Phi: Any, Y: Any, ridge: float) -> np.ndarray:
        P, T = _rational(to_numpy(Phi)), _rational(to_numpy(Y))
        n, size = P.nrows(), min(P.nrows(), P.ncols())
        lam = flint.fmpq(*float(ridge).as_integer_ratio())
        shift = flint.fmpq_mat(size, size, [lam * (i == j) for i in range(size) for j in range(size)])
        Pt = P.transpose()
        Wt = Pt * (P * Pt + shift).solve(T) if size == n else (Pt * P + shift).solve(Pt * T)
        values = [float(Fraction(int(w.p), int(w.q))) for w in Wt.entries()]
        return np.array(values).reshape(Wt.nrows(), Wt.ncols()).T

    return solve


@pytest.fixture(scope="session")
def matrix(pytestconfig: pytest.Config) -> Callable[..., np.ndarray]:
    """Return a maker of matrices with log-spaced singular values from ``scale`` down to ``scale / cond``."""
    order = pytestconfig.option.order

    def make(
        rows: int,
        columns: int,
        *,
        rng: np.random.Generator,
        cond: float = 10.0,
        scale: float = 1.0,
        rank: int | None = None,
    ) -> np.ndarray:
        r = min(rows, columns) if rank is None else rank
        U, V = (np.linalg.qr(rng.standard_normal((side, r)))[0] for side in (rows, columns))
        return np.asarray(scale * (U * np.geomspace(1.0, 1.0 / cond, r)) @ V.T, order=order)

    return make


class FortranGenerator(np.random.Generator):
    """A generator with the same numbers in matrices of Fortran order."""

    def standard_normal(self, *arguments: Any, **options: Any) -> Any:
        return _fortran(super().standard_normal(*arguments, **options))

    def normal(self, *arguments: Any, **options: Any) -> Any:
        return _fortran(super().normal(*arguments, **options))

    def uniform(self, *arguments: Any, **options: Any) -> Any:
        return _fortran(super().uniform(*arguments, **options))


def _fortran(A: Any) -> Any:
    return np.asfortranarray(A) if np.ndim(A) > 1 else A


@pytest.fixture
def rng(pytestconfig: pytest.Config) -> np.random.Generator:
    """A generator with a fixed seed, new for each test."""
    kind = FortranGenerator if pytestconfig.option.order == "F" else np.random.Generator
    return kind(np.random.PCG64(20240607))


@pytest.fixture(scope="module")
def scripts_as_modules() -> Iterator[Callable[..., dict[str, ModuleType]]]:
    """Return a function that imports scripts of experiments/, benchmarks/ and docs/, which find their neighbours there.

    Everything that they bring from these folders is forgotten after the test file.
    """
    folders = [str(Path(__file__).parents[1] / name) for name in ("experiments", "benchmarks", "docs")]
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        for folder in folders:
            patch.syspath_prepend(folder)
        yield lambda *names: {name: importlib.import_module(name) for name in names}
    for name in set(sys.modules) - before:
        if str(Path(getattr(sys.modules[name], "__file__", None) or "").parent) in folders:
            del sys.modules[name]


@pytest.fixture(scope="session")
def modules_after() -> Callable[..., list[set[str]]]:
    """Return a function that gives the names in sys.modules of a new process after each of some statements."""

    def loaded(*statements: str) -> list[set[str]]:
        code = "\n".join(["import sys", *(f"{statement}\nprint(' '.join(sys.modules))" for statement in statements)])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return [set(line.split()) for line in done.stdout.splitlines()]

    return loaded
