"""Each benchmark runs on small sizes, records what its table needs, and its own arithmetic is right."""

import json
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
EPS = 2.0**-52
MODULES = ("records", "measurement", "conditioning", "peers", "benchmark_tables")


@pytest.fixture(scope="module")
def scripts(scripts_as_modules):
    return scripts_as_modules(*MODULES)


@pytest.fixture
def quick(scripts_as_modules, monkeypatch, capsys, tmp_path):
    """Return a function that runs a script on small sizes and returns its recorded run.

    ``here`` makes the measurements in this process too, for those whose memory is not what they are about.
    """

    def run(script, *options, here=False):
        module = scripts_as_modules(script)[script]
        monkeypatch.setattr(sys, "argv", [script, "--quick", "--out", str(tmp_path), *options])
        if here:
            for holder in (module, sys.modules["measurement"]):
                monkeypatch.setattr(holder, "measured", partial(measured_here, module), raising=False)
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own
            module.main()
        (path,) = tmp_path.glob("*_quick.json")
        assert str(path.name) in capsys.readouterr().out
        return json.loads(path.read_text())

    return run


def measured_here(module, script, name, **arguments):
    """A measurement without a process of its own."""
    assert script == module.__file__
    return getattr(module, name)(**arguments) | {"megabytes": 1.0}


def written(scripts, monkeypatch, folder, table):
    """The table of a quick run, as if it had been recorded."""
    (path,) = folder.glob("*_quick.json")
    path.rename(folder / path.name.replace("_quick", ""))
    monkeypatch.setattr(scripts["benchmark_tables"], "RESULTS", folder)
    text = scripts["benchmark_tables"].TABLES[table]()
    assert "Not recorded" not in text
    lines = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(lines) > 2
    assert len(set(lines)) == 1
    return text


def test_a_busy_machine_is_compared_with_a_quiet_one(quick):
    run = quick("under_load", here=True)
    (row,) = run["rows"]
    assert row["ratio"] == row["busy"]["seconds"] / row["quiet"]["seconds"] > 0.0
    assert run["goal"] == 2.5


def test_the_set_for_every_penalty_is_timed_beside_one_product(quick, scripts, monkeypatch, tmp_path):
    (row,) = quick("sufficient_set")["rows"]
    assert row["points"] == row["p"] + 2
    assert row["error"] < 30 * EPS * row["n"] ** 0.5 * 10
    assert f"{row['ratio']:.2f}" in written(scripts, monkeypatch, tmp_path, "sufficient_cost")


def test_peak_memory_of_a_stream_is_constant_in_n(quick, scripts, monkeypatch, tmp_path):
    run = quick("stream_memory")
    assert run["rows"][-1]["n"] * run["rows"][-1]["p"] * 8 > 100 * 2**20  # of float64, were it held
    assert 0.9 < run["peak_growth"] < 1.1
    assert all(row["error"] < 30 * EPS * row["n"] for row in run["rows"])  # condition 1
    assert "to the power" in written(scripts, monkeypatch, tmp_path, "stream_memory")


def test_errors_are_within_their_bounds_and_auto_near_the_better(quick, scripts, monkeypatch, tmp_path):
    run = quick("conditioning")
    assert {row["cond"] for row in run["rows"]} == {1.0, 1e5, 1e10}
    assert 0.0 < run["largest_error_over_bound"] <= 1.0
    assert run["largest_auto"] <= 30.0
    assert "refused" in written(scripts, monkeypatch, tmp_path, "conditioning")


def test_recorded_conditioning_is_what_the_theory_asks(scripts):
    run = json.loads((FOLDER / "results" / "conditioning.json").read_text())
    assert run["largest_error_over_bound"] <= 1.0
    assert run["largest_auto"] <= 30.0
    assert max(row["cond"] for row in run["rows"]) == 1e10


def test_exact_weights_are_those_of_the_stored_floats(scripts, ratio, refit):
    conditioning = scripts["conditioning"]
    for with_ridge in (False, True):
        Phi, Y, ridge = conditioning.problem(1e6, 1.0, with_ridge=with_ridge, seed=0, n=11, p=5, k=3)
        assert np.array_equal(conditioning.exact_weights(Phi, Y, ridge), refit(Phi, Y, ridge))
        s = np.linalg.svd(Phi, compute_uv=False)
        assert ratio(np.sqrt((s[0] ** 2 + ridge) / (s[-1] ** 2 + ridge)), 1e6, size=11, amplification=1e6) < 30


def test_every_peer_fits_the_same_model(scripts):
    peers, errors = scripts["peers"], {}
    for name, measure in peers.MEASURES.items():
        found = measure(n=60, p=7)
        assert found["seconds"] > 0.0
        errors[name] = found["error"]
    assert all(error < 30 * EPS * 60 * 10 for error in errors.values()), errors  # cond^2 of 60 x 7 numbers
    assert peers.ours_choice(n=60, p=7)["ridge"] == peers.ridge_cv(n=60, p=7)["ridge"]


def test_a_peer_with_another_ridge_is_seen(scripts):
    peers = scripts["peers"]
    found = peers.timed(60, 7, lambda Phi, Y: lambda: (np.linalg.lstsq(Phi, Y, rcond=None)[0].T, 1.0))
    assert found["error"] > 1e-3


def test_sizes_are_within_the_budget(scripts):
    peers = scripts["peers"]
    planned = peers.cases(peers.SAMPLES, peers.FEATURES, list(peers.MEASURES), 120.0)
    assert {size["n"] for _, size in planned} == set(peers.SAMPLES)
    assert {size["p"] for _, size in planned} == set(peers.FEATURES)
    assert all(size["n"] * size["p"] ** 2 <= peers.BUDGET for _, size in planned)
    held = [size for name, size in planned if name != "stream"]
    assert max(8 * size["n"] * size["p"] for size in held) <= peers.MEMORY


def test_exponent_and_its_error(scripts, ratio):
    measurement, rng = scripts["measurement"], np.random.default_rng(0)
    n = np.geomspace(1e4, 2e6, 6)
    slope, error = measurement.exponent(n, 3e-6 * n**1.1)
    lost = np.log(n).max() / np.std(np.log(n))
    assert ratio([slope, error], [1.1, 0.0], size=6, amplification=lost) < 30
    noise = 0.05
    slopes = [measurement.exponent(n, n * np.exp(noise * rng.standard_normal(6))) for _ in range(2000)]
    spread = np.std([slope for slope, _ in slopes])
    told = np.sqrt(np.mean([error**2 for _, error in slopes]))
    assert 0.9 < told / spread < 1.1  # six standard deviations of 2,000 draws


def test_peak_memory_is_that_of_the_process_and_not_of_its_parent(scripts, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(FOLDER)!r})\nimport measurement\n"
        "measurement.answer({'hold': lambda size: {'seconds': len(bytearray(size)) * 0.0}})\n"
    )
    held = np.ones(40 * 2**20)  # 320 MB in this process
    small = scripts["measurement"].measured(str(script), "hold", size=1)["megabytes"]
    large = scripts["measurement"].measured(str(script), "hold", size=100 * 2**20)["megabytes"]
    assert small < held.nbytes / 2**20 / 2
    assert 99.0 < large - small < 120.0


def test_a_measurement_that_fails_says_why(scripts, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(FOLDER)!r})\nimport measurement\n"
        "measurement.answer({'fail': lambda: 1 / 0})\n"
    )
    with pytest.raises(RuntimeError, match=r"fail with \{\} failed: ZeroDivisionError"):
        scripts["measurement"].measured(str(script), "fail")


def test_device_benchmark_runs_dry_on_the_cpu(quick, scripts, monkeypatch, tmp_path):
    run = quick("distill_gpu", "--device", "cpu", here=True)
    (row,) = run["rows"]
    assert row["device"] == "cpu"
    assert row["error"] < 30 * EPS * row["n"] * 10
    assert row["product_fraction_of_gemm"] > 0.0
    assert sum(row["stages"].values()) == row["seconds"]
    written(scripts, monkeypatch, tmp_path, "distill_cpu")


def test_a_table_that_was_not_recorded_says_how(scripts, monkeypatch, tmp_path):
    monkeypatch.setattr(scripts["benchmark_tables"], "RESULTS", tmp_path)
    for name, table in scripts["benchmark_tables"].TABLES.items():
        assert "`python benchmarks/" in table(), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["peers", "scaling", "workers"])
def test_the_others_run_on_small_sizes(quick, scripts, monkeypatch, tmp_path, name):
    run = quick(name)
    assert all(row["error"] < 30 * EPS * row["n"] * 10 for row in run["rows"])
    assert all(row["megabytes"] > 0.0 for row in run["rows"])
    written(scripts, monkeypatch, tmp_path, name)
