"""Every check passes, and fails when its statement is made false.

Covers T1, T2, T3, T4, T4', T5, T6, T6b, T7, T8a, T8b, T8c, T8d, T8e, T9, T10, T11, T12, T13, T15, T16, T17,
T18a, T18b, T18c, T18d, T18e, T19a, T19b, T19d, T20a, T20b, T20c, T20d, T22a, T22b, T22c, T23a, T23b, T23c, T24, T25.
"""

from __future__ import annotations

import warnings

import pytest

from proofs_check.check import Check
from proofs_check.registry import CHECKS

_EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)


@pytest.fixture(autouse=True)
def _ranks_near_the_cutoff_are_no_failure():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message="singular value .* near the rank cut-off")
        yield


@_EACH
def test_check_passes(check: Check) -> None:
    row = check()
    assert row.passed, row.detail
    assert row.instances > 0


@_EACH
def test_check_fails_when_its_statement_is_false(check: Check) -> None:
    assert not check(negate=True).passed


@pytest.mark.slow
@_EACH
def test_check_passes_on_many_instances(check: Check) -> None:
    row = check(deep=True)
    assert row.passed, row.detail


def test_names_are_unique() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
