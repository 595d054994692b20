"""proofs_check lies beside the package and is not installed: make it importable from any folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The matrices are tiny: threads would only wait for each other."""
    with threadpool_limits(1):
        yield
