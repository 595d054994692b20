"""Every check passes, and fails when its statement is made false.

Covers T1, T2, T3, T4, T4', T5, T6, T6b, T7, T8a, T8b, T8c, T8d, T8e, T9, T10, T11, T12, T13, T15, T16, T17, T18a,
T18b, T18c, T18d, T18e, T19a, T19b, T19d, T20a, T20b, T20c, T20d, T21b, T21c, T21d, T22a, T22b, T22c, T22d, T23a,
T23b, T23c, T23d, T24, T25.
"""

from __future__ import annotations

import warnings

import pytest

from proofs_check.check import Check
from proofs_check.registry import CHECKS

_OF = {
    theorem: [check for check in CHECKS if check.theorem == theorem]
    for theorem in dict.fromkeys(check.theorem for check in CHECKS)
}
_EACH = pytest.mark.parametrize("checks", _OF.values(), ids=_OF)


@pytest.fixture(autouse=True)
def _ranks_near_the_cutoff_are_no_failure():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message="singular value .* near the rank cut-off")
        yield


def _failures(checks: list[Check], deep: bool = False) -> dict[str, str]:
    """Checks that do not pass, or have nothing to look at, with what they say of it."""
    rows = {check.id: check(deep=deep) for check in checks}
    return {name: row.detail for name, row in rows.items() if not (row.passed and row.instances > 0)}


@_EACH
def test_checks_pass(checks: list[Check]) -> None:
    assert _failures(checks) == {}


@_EACH
def test_checks_fail_when_their_statement_is_false(checks: list[Check]) -> None:
    assert [check.id for check in checks if check(negate=True).passed] == []


@pytest.mark.slow
@_EACH
def test_checks_pass_on_many_instances(checks: list[Check]) -> None:
    assert _failures(checks, deep=True) == {}


def test_names_are_unique() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
