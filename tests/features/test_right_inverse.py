"""Right inverses, refinement, norms of chains, scales: the linear algebra below the maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features import right_inverse as module
from analytic_dd.features.ranges import largest_scale
from analytic_dd.features.right_inverse import SquareInverse, nearest_solution, right_inverse, spectral_norm

P, D = 5, 8


@pytest.fixture(autouse=True, params=["large", "small"])
def _both_sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Square layers of these sizes by LU, as large ones are, and by QR."""
    if request.param == "large":
        monkeypatch.setattr(module, "_LARGE", 1)


def graded(condition: float, rows: int = P, columns: int = D) -> np.ndarray:
    """A matrix with singular values from 1 down to 1 / condition."""
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, rows)))[0] for n in (rows, columns))
    return (U * np.geomspace(1.0, 1.0 / condition, rows)) @ V.T


def test_right_inverse_is_the_pseudo_inverse() -> None:
    for condition, columns in itertools.product([1.0, 1e6, 1e12], [P, D]):
        W = graded(condition, columns=columns)
        P_ = np.asarray(right_inverse(W))
        exact = np.linalg.pinv(W, rcond=1e-15)
        assert np.linalg.norm(P_ - exact) <= 30 * np.finfo(float).eps * condition * np.linalg.norm(exact)


def test_a_square_inverse_is_a_matrix_that_is_not_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGE", P)
    W, rng = graded(100.0, columns=P), np.random.default_rng(1)
    inverse, exact = right_inverse(W), np.linalg.inv(W)
    assert isinstance(inverse, SquareInverse)
    A, v = rng.standard_normal((P, 3)), rng.standard_normal(P)
    for found, wanted in (
        (inverse @ A, exact @ A),
        (inverse.T @ A, exact.T @ A),
        (A.T @ inverse, A.T @ exact),
        (A.T @ inverse.T, A.T @ exact.T),
        (inverse @ v, exact @ v),
        (inverse.T.T @ v, exact @ v),
        (np.asarray(inverse), exact),
        (np.asarray(inverse.T), exact.T),
    ):
        assert found.shape == wanted.shape
        assert np.linalg.norm(found - wanted) <= 30 * np.finfo(float).eps * 100.0 * P * np.linalg.norm(wanted)
    assert inverse.shape == (P, P)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residual_is_at_rounding_level_or_no_worse_than_unrefined(dtype: type) -> None:
    """|W h - s| <= 30 eps |W| |h| while eps cond < 0.1; beyond that no step makes it larger than eps cond |s|."""
    for condition in [1e2, 1e5, 1e9, 1e12]:
        eps = float(np.finfo(dtype).eps)
        W64 = graded(condition)
        W, inverse = W64.astype(dtype), np.asarray(right_inverse(W64)).astype(dtype)
        S = np.random.default_rng(1).standard_normal((4, P)).astype(dtype)
        for near in (None, np.random.default_rng(2).standard_normal((4, D)).astype(dtype)):
            h = nearest_solution(W, inverse, S, near)
            residual = np.linalg.norm(h @ W.T - S)
            assert h.dtype == dtype
            limit = 30 * eps * np.linalg.norm(h) if eps * condition < 0.1 else 30 * eps * condition * np.linalg.norm(S)
            assert residual <= limit


def test_solution_is_the_nearest_to_the_reference() -> None:
    W = graded(10.0)
    rng = np.random.default_rng(1)
    S, near = rng.standard_normal((4, P)), rng.standard_normal((4, D))
    h = nearest_solution(W, right_inverse(W), S, near)
    null = np.linalg.svd(W)[2][P:]
    for step in rng.standard_normal((20, D - P)) @ null:
        assert np.all(np.linalg.norm(h + step - near, axis=1) > np.linalg.norm(h - near, axis=1))


def test_dependent_rows_are_refused_with_the_condition() -> None:
    W = graded(10.0)
    W[1] = 2.0 * W[0]
    with pytest.raises(InfeasibleError, match=r"full row rank \(condition <= 4.5e\+15\), got condition") as caught:
        right_inverse(W, theorem="T8a")
    assert caught.value.theorem == "T8a"
    for rows, columns in ((2, 3), (2, 2)):
        with pytest.raises(InfeasibleError):
            right_inverse(np.zeros((rows, columns)))
    square = graded(10.0, columns=P)
    square[:, 1] = 3.0 * square[:, 0]
    with pytest.raises(InfeasibleError, match="got condition"):
        right_inverse(square)


def test_spectral_norm_of_a_product() -> None:
    rng = np.random.default_rng(3)
    A, B, C = rng.standard_normal((4, 6)), rng.standard_normal((6, 5)), rng.standard_normal((5, 7))
    product = np.linalg.norm(A, 2) * np.linalg.norm(B, 2) * np.linalg.norm(C, 2) / np.linalg.norm(A @ B @ C, 2)
    above = 1 + 30 * np.finfo(float).eps * 7 * product
    for found, exact in (
        (spectral_norm([A, B, C]), np.linalg.norm(A @ B @ C, 2)),
        (spectral_norm([A]), np.linalg.norm(A, 2)),
        (spectral_norm([1e-200 * A]), 1e-200 * np.linalg.norm(A, 2)),
    ):
        assert 0.999 * exact <= found <= above * exact  # power iteration comes from below


def test_largest_scale_is_found_to_one_per_cent() -> None:
    for limit in [1e-30, 1e-3, 0.5, 0.9, 1.0, 7.0]:
        c = largest_scale(lambda c: c <= limit)
        assert c <= 1.0
        assert min(limit, 1.0) / 1.012 <= c <= limit


def test_no_scale_is_an_error_and_not_zero() -> None:
    with pytest.raises(RangeError, match="no scaling"):
        largest_scale(lambda c: c < 1e-100)
