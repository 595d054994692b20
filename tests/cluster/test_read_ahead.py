"""The next block is read while the one before is used; errors come with the block that they are of."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from analytic_dd.cluster.read_ahead import ReadAhead


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as made:
        yield made


def test_the_next_block_is_read_before_it_is_asked_for(thread):
    begun = {start: threading.Event() for start in (0, 4, 8)}

    def read(start, stop):
        begun[start].set()
        return list(range(start, stop))

    ahead = ReadAhead(read, 10, thread)
    assert not begun[0].is_set()
    assert ahead(0, 4) == [0, 1, 2, 3]
    assert begun[4].wait(10)
    assert not begun[8].is_set()
    assert ahead(4, 8) == [4, 5, 6, 7]
    assert begun[8].wait(10)
    assert ahead(8, 10) == [8, 9]


def test_other_ranges_than_the_next_are_read_as_asked(thread):
    ahead = ReadAhead(lambda start, stop: (start, stop), 100, thread)
    assert [ahead(0, 10), ahead(50, 60), ahead(0, 10), ahead(10, 30)] == [(0, 10), (50, 60), (0, 10), (10, 30)]


def test_an_error_is_raised_with_its_own_block(thread):
    def read(start, stop):
        if start == 4:
            raise OSError("disk")
        return start

    ahead = ReadAhead(read, 12, thread)
    assert ahead(0, 4) == 0
    with pytest.raises(OSError, match="disk"):
        ahead(4, 8)
    with pytest.raises(OSError, match="disk"):  # again, not the block after it
        ahead(4, 8)
    assert ahead(8, 12) == 8
