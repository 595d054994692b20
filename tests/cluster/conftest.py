"""A Dask cluster of two processes, for the tests of a file."""

import pytest

from analytic_dd.cluster import over_dask


@pytest.fixture(scope="module")
def client():
    """Two processes, one thread each."""
    import dask
    import distributed  # noqa: F401 - its defaults, which an earlier setting would take away with itself

    options = {"distributed.comm.timeouts.connect": "60s", "distributed.worker.memory.spill": False}
    with dask.config.set(options), over_dask(2) as made:
        yield made
