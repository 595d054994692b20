"""Small work takes one BLAS thread, and the number is what it was before, whoever else limits it meanwhile."""

import threading
import time

import numpy as np
import pytest

from analytic_dd.linalg import CholeskyFactor, GramStatistics, eigendecomposition, thin_svd, threads


class Library:
    """A BLAS library that remembers what it was told."""

    def __init__(self, count):
        self.num_threads, self.told = count, []

    def set_num_threads(self, count):
        self.num_threads = count
        self.told.append(count)


@pytest.fixture
def libraries(monkeypatch):
    made = [Library(8), Library(1)]
    monkeypatch.setattr(threads, "_libraries", lambda: made)
    return made


def test_threads_are_limited_inside_and_restored_after(libraries):
    with threads.one_thread():
        assert [library.num_threads for library in libraries] == [1, 1]
        with threads.one_thread():
            assert libraries[0].told == [1]  # once, not again
        assert libraries[0].num_threads == 1
    assert [library.num_threads for library in libraries] == [8, 1]
    assert libraries[1].told == []  # it had one already
    with threads.one_thread(when=False):
        assert libraries[0].num_threads == 8
    with pytest.raises(ZeroDivisionError), threads.one_thread():
        raise ZeroDivisionError
    assert libraries[0].num_threads == 8


def test_python_threads_that_overlap_restore_the_number_of_the_first(libraries):
    """One enters, the other enters, the first leaves, the other leaves: 8, not the 1 that the other found."""
    entered, left = threading.Event(), threading.Event()

    def other():
        with threads.one_thread():
            entered.set()
            left.wait(60)

    thread = threading.Thread(target=other)
    with threads.one_thread():
        thread.start()
        assert entered.wait(60)
    assert libraries[0].num_threads == 1  # the other is still at work
    left.set()
    thread.join()
    assert libraries[0].num_threads == 8


def test_what_somebody_else_sets_meanwhile_stays(libraries):
    with threads.one_thread():
        libraries[0].num_threads = 3
    assert libraries[0].num_threads == 3


def test_small_factorisations_and_products_are_limited_and_large_ones_are_not(libraries, monkeypatch, rng):
    A = rng.standard_normal((20, 9))
    uses = {
        "eigendecomposition": lambda: eigendecomposition(A.T @ A),
        "svd": lambda: thin_svd(A),
        "Cholesky factor": lambda: CholeskyFactor(A.T @ A).solve(A.T),
        "sums": lambda: GramStatistics(9, 1).update(A, A[:, :1]),
    }
    for name, use in uses.items():
        libraries[0].told.clear()
        use()
        assert libraries[0].told, name
        assert libraries[0].num_threads == 8
    from analytic_dd.linalg import cholesky, gram, gram_spectrum, spectrum

    for module in (cholesky, gram, gram_spectrum, spectrum):
        monkeypatch.setattr(module, "LIMITS", type(module.LIMITS)(one_thread=2, one_thread_flops=1.0))
    libraries[0].told.clear()
    for use in uses.values():
        use()
    assert libraries[0].told == []


def test_the_libraries_of_numpy_and_scipy_are_found():
    found = threads._libraries()
    assert found
    assert all(library.user_api == "blas" for library in found)
    before = [library.num_threads for library in found]
    with threads.one_thread():
        assert [library.num_threads for library in found] == [1] * len(found)
        np.linalg.eigh(np.eye(3))
    assert [library.num_threads for library in found] == before


def test_work_is_shared_among_as_many_threads_as_blas_has(libraries):
    """Every call is made once, in 8 threads with one BLAS thread each, in one where BLAS has one; errors come out."""
    seen, workers, inside = [], set(), set()
    all_at_work = threading.Barrier(8)

    def call(i):
        if i < 8:
            all_at_work.wait(60)  # the first call of each of 8 threads, at the same time
        seen.append(i)
        workers.add(threading.get_ident())
        inside.add(libraries[0].num_threads)

    threads.shared_among_threads(call, 100)
    assert sorted(seen) == list(range(100))
    assert len(workers) == 8
    assert inside == {1}
    assert libraries[0].num_threads == 8
    with pytest.raises(ZeroDivisionError):
        threads.shared_among_threads(lambda i: 1 // (i - 50), 100)
    libraries[0].num_threads = 1
    workers.clear()
    threads.shared_among_threads(lambda _: workers.add(threading.get_ident()), 100)
    assert workers == {threading.get_ident()}


def test_an_error_in_one_thread_leaves_the_rest():
    """The others end after the call that runs; torch has its threads back."""
    import torch

    calls, seen, failed, count = 2_000, [], threading.Event(), torch.get_num_threads()

    def call(i):
        seen.append(i)
        if i == 1:
            failed.set()
            raise ZeroDivisionError
        assert failed.wait(60)
        time.sleep(1e-3)  # longer than an error takes to reach the other thread

    def shared():
        with threads.one_torch_thread():
            assert torch.get_num_threads() == 1
            threads.shared_among_threads(call, calls, threads=2)

    with pytest.raises(ZeroDivisionError):
        shared()
    assert len(seen) < calls // 2  # a count: the other thread alone would take a millisecond for each of its half
    assert torch.get_num_threads() == count


def test_torch_has_its_threads_back_after_blocks_that_overlap():
    """The block that is entered last, where torch has one thread, is left last."""
    import torch

    inside, left, found, count = threading.Event(), threading.Event(), [], torch.get_num_threads()

    def first():
        with threads.one_torch_thread():
            inside.set()
            assert left.wait(60)

    def second():
        assert inside.wait(60)
        with threads.one_torch_thread():
            left.set()
            one.join()

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    torch.set_num_threads(3)
    for some in ((one, two), (new,)):
        for thread in some:
            thread.start()
        for thread in some:
            thread.join()
    torch.set_num_threads(count)
    assert found == [3]
