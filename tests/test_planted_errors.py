"""The tests are tested: a planted error must make the test that is meant for it fail.

Each case names a test of the suite, breaks one thing, and calls that very test with its own fixtures; it must pass
before and raise AssertionError (or find its refusal missing) after.
"""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

from analytic_dd import distill, labels
from analytic_dd.distill import exact
from analytic_dd.errors import InfeasibleError
from analytic_dd.linalg import Spectrum, Sums, gram
from analytic_dd.ridge import weights

TESTS = Path(__file__).parent


def limit_without_its_factor(plant, _test):
    plant(exact, "_limit", lambda t_max: 1.0 / (2.0 * t_max**2))


def roots_swapped(plant, _test):
    solve, other = exact._solve_for_singular_values, {"large": "small", "small": "large"}

    def swapped(spectrum, ridge, root):
        return solve(spectrum, ridge, other[root] if isinstance(root, str) else [other[r] for r in root])

    plant(exact, "_solve_for_singular_values", swapped)


def ridge_times_n(plant, _test):
    by_svd = weights._by_svd
    plant(weights, "_by_svd", lambda Phi, Y, ridge, rcond: by_svd(Phi, Y, len(Phi) * ridge, rcond))


def gram_ridge_times_the_mean_eigenvalue(plant, _test):
    right = Sums.weights
    plant(Sums, "weights", lambda self, ridge: right(self, ridge * float(self.G[0, 0])))


def free_matrix_not_projected(plant, test):
    right = exact.target

    def wrong(W, Ys, *, free=None, rcond=None):
        return right(W, Ys, rcond=rcond) + (0.0 if free is None else free)

    plant(exact, "target", wrong)
    plant(test, "target", wrong)


def absolute_cutoff(plant, test):
    def wrong(A, *, rcond=None):
        U, s, Vt = np.linalg.svd(np.asarray(A), full_matrices=False)
        rank = int((s > 1e-15).sum())
        return Spectrum(U[:, :rank], s[:rank], Vt[:rank], 1e-15, 0.0)

    plant(test, "thin_svd", wrong)


def pseudo_inverse_by_factors(plant, test):
    """(Y^+ W)^+ replaced by W^+ Y."""
    right = exact.distill_features

    def wrong(W, Ys, **options):
        built = right(W, Ys, **options)
        object.__setattr__(built, "features", (np.linalg.pinv(W, rcond=1e-10) @ Ys.T).T)
        return built

    plant(test, "distill_features", wrong)


def features_scaled_without_labels(plant, test):
    right = exact.distill_features

    def wrong(W, Ys, *, ridge=0.0, **options):
        built = right(W, Ys, ridge=ridge, **options)
        object.__setattr__(built, "features", 3.0 * built.features)
        object.__setattr__(built, "ridge", 9.0 * built.ridge)
        return built

    plant(test, "distill_features", wrong)


def labels_without_the_ridge_term(plant, test):
    plant(test, "labels_for", lambda Phis, W, *, ridge: Phis @ W.T)


def gram_matrix_not_mirrored(plant, _test):
    plant(gram, "mirror", lambda G: np.copyto(G, np.triu(G)))


def cancelling_small_root(plant, _test):
    def cancelling(spectrum, ridge, root):
        t = spectrum.s
        return (1.0 - np.sqrt(np.maximum(1.0 - 4.0 * ridge * t * t, 0.0))) / (2.0 * t)

    plant(exact, "_solve_for_singular_values", cancelling)


def amplification_without_the_null_direction(plant, _test):
    right = exact._amplification

    def wrong(Ys, spectrum, s, ridge):
        return right(spectrum.U @ (spectrum.U.T @ Ys), spectrum, s, ridge)

    plant(exact, "_amplification", wrong)


def unprojected_free_matrix(plant, test):
    right = distill.free_matrix

    def wrong(W, Ys, *, rng):
        return right(W, Ys, rng=rng) + 0.1 * rng.standard_normal((len(Ys), W.shape[1]))

    plant(test, "free_matrix", wrong)


def scale_too_small(plant, test):
    right = labels.scale_to_feasible
    plant(test, "scale_to_feasible", lambda Ys, W, **options: 0.7 * right(Ys, W, **options))


def leave_one_out_without_leverage(plant, test):
    def wrong(statistics, blocks, ridges, *, scoring, intercept=False):
        from analytic_dd.ridge import validation_scores

        return validation_scores(statistics, blocks, ridges, scoring=scoring, intercept=intercept)

    plant(test, "leave_one_out_scores", wrong)


CASES = {
    limit_without_its_factor: (
        "distill/test_exact.py",
        "test_limit_of_the_ridge_is_sharp",
        {"root": "large", "scale": 1.0},
    ),
    roots_swapped: (
        "distill/test_exact.py",
        "test_each_choice_of_roots_is_another_exact_set",
        {"roots": ("large",) * 3},
    ),
    ridge_times_n: ("ridge/test_weights.py", "test_ridge_is_absolute", {"solver": "svd"}),
    gram_ridge_times_the_mean_eigenvalue: ("ridge/test_weights.py", "test_ridge_is_absolute", {"solver": "gram"}),
    free_matrix_not_projected: (
        "distill/test_exact.py",
        "test_set_is_exact_in_every_library",
        {"m": 5, "fraction": 0.3, "root": "large"},
    ),
    absolute_cutoff: (
        "linalg/test_spectrum.py",
        "test_rank_is_that_of_the_matrix_at_any_scale",
        {"scale": 1e8, "rank": 3},
    ),
    pseudo_inverse_by_factors: (
        "distill/test_exact.py",
        "test_pseudo_inverse_is_that_of_the_product_for_a_rank_deficient_w",
        {},
    ),
    features_scaled_without_labels: ("distill/test_exact.py", "test_repeated_classes_are_exact_too", {}),
    labels_without_the_ridge_term: (
        "labels/test_given_features.py",
        "test_features_whose_rows_span_the_weights_recover_them_exactly",
        {"m": 3, "ridge": 0.5},
    ),
    gram_matrix_not_mirrored: ("linalg/test_gram.py", "test_gram_matrix_is_symmetric_to_the_last_bit", {"rows": 3}),
    cancelling_small_root: (
        "distill/test_exact_properties.py",
        "test_all_small_roots_recover_to_rounding_whatever_the_condition",
        {"k": 5, "extra": 6, "log_cond": 9.0, "seed": 0},
    ),
    amplification_without_the_null_direction: (
        "distill/test_diagnostics.py",
        "test_amplification_is_a_bound_and_tight_within_fifty",
        {},
    ),
    unprojected_free_matrix: ("distill/test_exact.py", "test_free_matrix_keeps_the_condition_at_its_minimum", {"m": 5}),
    scale_too_small: (
        "labels/test_given_features.py",
        "test_scaled_labels_admit_the_ridge_with_the_margin",
        {"m": 3, "margin": 1.0},
    ),
    leave_one_out_without_leverage: (
        "ridge/test_choice.py",
        "test_leave_one_out_is_one_refit_a_sample",
        {"scoring": "squared_error", "intercept": True, "rows": 40},
    ),
}


def load(path):
    spec = importlib.util.spec_from_file_location(f"planted_{Path(path).stem}", TESTS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("error", CASES, ids=lambda error: error.__name__)
def test_planted_error_fails_the_test_that_is_meant_for_it(request, monkeypatch, numpy_float64, error):
    path, name, arguments = CASES[error]
    module = load(path)
    test = getattr(module, name)
    test = getattr(getattr(test, "hypothesis", None), "inner_test", test)

    def run():
        own = {"library": numpy_float64, "rng": np.random.default_rng(20240607)} | arguments
        if "data" in inspect.signature(test).parameters:
            own["data"] = module.data.__wrapped__(np.random.default_rng(20240607))
        given = {p: own[p] if p in own else request.getfixturevalue(p) for p in inspect.signature(test).parameters}
        test(**given)

    run()
    error(monkeypatch.setattr, module)
    with pytest.raises((AssertionError, pytest.fail.Exception, InfeasibleError)):
        run()
