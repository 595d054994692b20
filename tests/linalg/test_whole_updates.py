"""An update is made as a whole or not at all: it is interrupted at every instruction, once and twice (T13)."""

import contextlib
import sys

import numpy as np
import pytest

from analytic_dd.linalg import GramStatistics, accumulate, gram, tiles

P, K, N = 3, 2, 7
FILES = {module.__file__ for module in (gram, tiles)}
KINDS = ["float64", "float32", "weighted", "handed out"]
LATER = []  # where the next interrupt is


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Several tiles and several blocks in a matrix of 3 columns."""
    monkeypatch.setattr(tiles, "_WIDTH", 2)
    monkeypatch.setattr(gram, "_blocks", lambda n, p: [slice(0, 4), slice(4, n)])


def samples(kind, seed):
    rng = np.random.default_rng(seed)
    Phi, Y = rng.standard_normal((N, P)), rng.standard_normal((N, K))
    dtype = np.float32 if kind == "float32" else np.float64
    weights = rng.uniform(0.5, 2.0, N) if kind == "weighted" else None
    return (Phi.astype(dtype), Y.astype(dtype)), {"sample_weight": weights}


def begun(kind):
    pair, options = samples(kind, 0)
    statistics = GramStatistics(P, K).update(*pair, **options)
    return (statistics, statistics.sums()) if kind == "handed out" else (statistics, None)


def content(statistics):
    sums = statistics.sums()
    return [sums.n, sums.weight, *(getattr(sums, name).tobytes() for name in ("G", "C", "yy", "sum_phi", "sum_y"))]


class Interrupt:
    """Raise KeyboardInterrupt at the given instructions of the accumulator, counted from 0."""

    def __init__(self, *places):
        self.places, self.count = set(places), 0

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.count += 1
            if self.count - 1 in self.places:
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)


def interrupted(kind, *places, again=()):
    """An update that is interrupted: the accumulator, sums that were handed out before, instructions that ran.

    ``again`` is where to interrupt what mends it.
    """
    statistics, given = begun(kind)
    pair, options = samples(kind, 1)
    with Interrupt(*places) as trace:
        LATER[:] = again
        with contextlib.suppress(KeyboardInterrupt):
            statistics.update(*pair, **options)
    LATER.clear()
    return statistics, given, trace.count


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_that_is_interrupted_is_before_or_after(kind):
    before = content(begun(kind)[0])
    statistics, _, count = interrupted(kind)
    after = content(statistics)
    assert before[0] == N
    assert after[0] == 2 * N
    assert count > 300
    found = {"before": 0, "after": 0}
    for place in range(0, count, 1 if kind == "float64" else 5):
        statistics, given, _ = interrupted(kind, place)
        got = content(statistics)
        assert got in (before, after), place
        found["before" if got == before else "after"] += 1
        if given is not None:
            assert content(GramStatistics.of(given)) == before
    assert min(found.values()) > 20


def content_or_refusal(statistics):
    try:
        return content(statistics)
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_that_is_interrupted_twice_is_whole_or_refuses_to_be_read(monkeypatch, kind):
    before = content(begun(kind)[0])
    statistics, _, count = interrupted(kind)
    after, settle = content(statistics), GramStatistics._settle

    def settles(self):
        """Python stops tracing when the first interrupt is raised: here it is taken up again."""
        if LATER and sys.gettrace() is None:
            sys.settrace(Interrupt(LATER.pop()))
        settle(self)

    monkeypatch.setattr(GramStatistics, "_settle", settles)
    refused = 0
    for place in range(0, count, 23):
        for later in (0, 5, 50, 150):
            statistics, *_ = interrupted(kind, place, again=[later])
            got = content_or_refusal(statistics)
            if isinstance(got, str):
                assert "interrupted twice" in got
                refused += 1
                for use in (lambda: statistics.update(*samples(kind, 2)[0]), lambda: statistics.n):
                    with pytest.raises(RuntimeError, match="load the last state"):
                        use()
            else:
                assert got in (before, after), (place, later)
    assert refused > 20


def test_memory_that_runs_out_leaves_whole_sums(monkeypatch):
    """Work space is taken before the first entry of G is changed."""
    statistics, _ = begun("float32")
    before = content(begun("float32")[0])

    def none_left(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(np, "empty", none_left)
        with pytest.raises(MemoryError):
            statistics.update(*samples("float32", 1)[0])
    assert content(statistics) == before


def test_state_of_an_interrupted_accumulation_resumes_to_the_same_bits(tmp_path):
    """Interrupted at any instruction of an update, the state that is saved has whole blocks."""
    pair, _ = samples("float64", 3)
    options = {"stop": N, "rows": 3}

    def read(start, stop):
        return tuple(A[start:stop] for A in pair)

    whole = content(accumulate(GramStatistics(P, K), read, **options))
    with Interrupt() as trace:
        accumulate(GramStatistics(P, K), read, **options)
    for place in range(0, trace.count, 97):
        state = tmp_path / f"{place}.npz"
        with Interrupt(place), contextlib.suppress(KeyboardInterrupt):
            accumulate(GramStatistics(P, K), read, **options, state=state)
        if state.exists():
            assert GramStatistics.load(state).n in (3, 6, 7)
        assert content(accumulate(GramStatistics(P, K), read, **options, state=state)) == whole
