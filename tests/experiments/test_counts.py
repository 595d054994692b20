"""The counts of the theories are sharp, and every experiment runs on the digits."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def counts(scripts_as_modules):
    return scripts_as_modules("table1_counts")["table1_counts"]


@pytest.fixture(scope="module", params=[0, 1, 2])
def rows(counts, request):
    return {row["theory"]: row for row in counts.measure(counts.random_problem(request.param))}


def test_every_count_is_exact_and_one_fewer_is_not(rows):
    for theory, row in rows.items():
        assert row["certificate"]["ratio"] < 30, theory
        assert row["certificate"]["verdict"] == "pass", theory
        assert row["error_one_fewer"] > 1e-6, theory


def test_the_counts_are_those_of_the_theory(rows):
    sizes = next(iter(rows.values()))["sizes"]
    n, d, k, over = (sizes[name] for name in ("n", "d", "k", "over"))
    assert [row["points"] for row in rows.values()] == [d, n, over, k, k + 1, over]


def test_for_every_label_set_one_fewer_misses_a_whole_model(ratio, rows):
    for theory in ("linear, every label set", "random Fourier, every label set"):
        assert ratio(rows[theory]["error_one_fewer"], 1.0, size=1, amplification=1e6) < 30  # cond of the features
        assert 1e-6 < rows[theory]["error_one_fewer_labels_of_data"] < 1.0


def affine_problem(counts, seed):
    """A model on features of widths 4, 9, 6 with biases, and e."""
    rng = np.random.default_rng(seed)
    phi = counts.DeepLinear([4, 9, 6], bias=True, rng=rng)
    B, c = phi.affine()
    Phi = phi(rng.standard_normal((30, 4)))
    W = phi.project(counts.ridge_weights(Phi, rng.standard_normal((30, 2)), ridge=1.0))
    return W, B, c, counts.affine_direction(B, c)


@pytest.mark.parametrize("seed", range(5))
def test_k_points_with_biases_reach_the_error_that_was_derived(counts, ratio, seed):
    W, B, c, e = affine_problem(counts, seed)
    r = e - W.sum(axis=0)
    span = np.linalg.qr(np.column_stack([B, c]))[0]
    least = np.linalg.eigvalsh(span.T @ (W.T @ W - np.outer(r, r) / 2) @ span)[0]
    Phis = counts.nearest_of_k_points(W, B, c)
    lost = np.linalg.norm(Phis) * np.linalg.norm(e) * np.linalg.cond(span.T @ B)
    assert ratio(Phis @ e, np.ones(2), size=9, amplification=lost) < 30
    error = np.linalg.norm(np.linalg.pinv(Phis).T - W)
    assert ratio(error, np.sqrt(r @ r / 2 + least), size=9, amplification=lost * np.linalg.cond(Phis)) < 30


def test_no_descent_over_the_inputs_of_k_points_does_better(counts):
    W, B, c, _ = affine_problem(counts, 0)
    best = np.linalg.norm(np.linalg.pinv(counts.nearest_of_k_points(W, B, c)).T - W)
    rng = np.random.default_rng(0)

    def error(x):
        """The error R - W of  R = (Phi Phi^T)^-1 Phi = (Phi^+)^T , its norm, and the gradient of that by x."""
        Phi = x.reshape(2, 4) @ B.T + c
        inverse = np.linalg.inv(Phi @ Phi.T)
        R = inverse @ Phi
        E = R - W
        by_phi = inverse @ (E - E @ R.T @ Phi) - R @ E.T @ R
        return np.linalg.norm(E), (by_phi @ B).ravel() / np.linalg.norm(E)

    starts = [10.0 ** rng.uniform(-1, 2) * rng.standard_normal(8) for _ in range(20)]
    off = check_grad(lambda x: error(x)[0], lambda x: error(x)[1], starts[0])
    assert off < 1e-5 * np.linalg.norm(error(starts[0])[1])
    found = [minimize(error, start, jac=True).fun for start in starts]
    assert best * (1 - 1e-9) < min(found) < best * (1 + 1e-5)  # the search stops there, and finds nothing below


@pytest.mark.parametrize(
    ("script", "rows"),
    [
        ("linear_recovery", 18),
        pytest.param("map_recovery", 36, marks=pytest.mark.slow),
        pytest.param("gallery", 8, marks=pytest.mark.slow),
        pytest.param("table1_counts", 12, marks=pytest.mark.slow),
    ],
)
def test_a_quick_run_records_its_rows(script, rows, quick_rows):
    recorded = quick_rows(script)
    assert len(recorded) == rows
    verdicts = {row.get("certificate", row.get("recovery"))["verdict"] for row in recorded}
    assert verdicts == {"pass"}


def test_the_gallery_lists_what_was_recorded(scripts_as_modules):
    largest = scripts_as_modules("pictures")["pictures"].LARGEST  # bytes, like all sizes here, which are exact
    results = EXPERIMENTS / "results"
    found = json.loads((results / "gallery.json").read_text())["rows"]
    folder = EXPERIMENTS.parent / "docs" / "gallery"
    text = (folder / "README.md").read_text()
    everything = [row for path in results.glob("*.json") for row in json.loads(path.read_text())["rows"]]
    drawn = {row["picture"] for row in everything if "picture" in row}
    assert {path.name for path in folder.glob("*.png")} == drawn
    for row in (row for row in everything if "picture" in row):  # another size is the picture of another record
        assert (folder / row["picture"]).stat().st_size == row["bytes"]
    for row in found:
        assert row["bytes"] <= largest
        assert row["picture"] in text
        assert f"error {row['recovery']['relative_error']:.1e} (from the images " in text
