"""An accumulation that is interrupted resumes to the same bits; a corrupt block is named and loses nothing."""

import pickle

import numpy as np
import pytest

from analytic_dd.errors import DataError
from analytic_dd.files import read_npz, write_npz
from analytic_dd.linalg import BlockError, GramStatistics, Provenance, accumulate

N, P, K, ROWS = 103, 7, 3, 10
SUMS = ("G", "C", "yy", "sum_phi", "sum_y", "weight", "n")


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, P)), rng.standard_normal((N, K)), rng.uniform(0.5, 2.0, N)


def reader(data):
    return lambda start, stop: tuple(A[start:stop] for A in data)


def told(start, stop):
    return Provenance.of({"map": "identity"}, data="d", sha256="s", start=start, stop=stop)


def run(data, **options):
    return accumulate(GramStatistics(P, K), reader(data), **({"stop": N, "rows": ROWS} | options))


def assert_same_bits(one, other):
    for name in SUMS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.provenance == other.provenance


def test_it_is_the_sum_of_its_blocks(data, ratio):
    sums = run(data)
    wanted = GramStatistics(P, K).update(data[0], data[1], sample_weight=data[2])
    assert sums.n == N
    assert ratio(sums.G, wanted.G, size=N) < 30
    assert ratio(run(data, start=20, stop=50).C, (data[2] * data[1].T)[:, 20:50] @ data[0][20:50], size=N) < 30


@pytest.mark.parametrize("every", [0.0, 60.0])
@pytest.mark.parametrize("broken", [10, 47, 99])
def test_interrupted_it_resumes_to_the_same_bits(data, tmp_path, every, broken):
    whole, state = run(data, provenance=told), tmp_path / "state.npz"
    seen = []

    def stops(start, stop):
        seen.append(start)
        if stop > broken:
            raise KeyboardInterrupt
        return reader(data)(start, stop)

    options = {"stop": N, "rows": ROWS, "state": state, "every": every, "provenance": told}
    with pytest.raises(KeyboardInterrupt):
        accumulate(GramStatistics(P, K), stops, **options)
    part = GramStatistics.load(state)
    assert part.n == broken // ROWS * ROWS
    assert part.provenance == told(0, part.n)
    reads = []

    def goes_on(start, stop):
        reads.append(start)
        return reader(data)(start, stop)

    again = accumulate(GramStatistics(P, K), goes_on, **options)
    assert reads[0] == part.n  # nothing is read twice
    assert_same_bits(again, whole)
    assert_same_bits(GramStatistics.load(state), whole)
    assert_same_bits(accumulate(GramStatistics(P, K), lambda *_: pytest.fail("read"), **options), whole)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (OSError(5, "input/output error"), "input/output error"),
        (ValueError("bad CRC"), "bad CRC"),
        (EOFError("short"), "short"),
        ("nan", "Phi must be finite, got nan at row 4, column 2"),
        ("short", "9 samples came for 10"),
        ("wide", "Phi must have 7 columns, got 6"),
    ],
)
def test_corrupt_block_is_named_and_the_sums_before_are_kept(data, tmp_path, fault, cause):
    state = tmp_path / "state.npz"

    def read(start, stop):
        Phi, Y, w = reader(data)(start, stop)
        if start != 50:
            return Phi, Y, w
        if isinstance(fault, Exception):
            raise fault
        if fault == "nan":
            Phi = Phi.copy()
            Phi[4, 2] = np.nan
        return {"nan": (Phi, Y, w), "short": (Phi[1:], Y[1:], w[1:]), "wide": (Phi[:, 1:], Y, w)}[fault]

    with pytest.raises(BlockError, match=r"samples 50 to 60 cannot be added: .*50 samples before them") as caught:
        accumulate(GramStatistics(P, K), read, stop=N, rows=ROWS, state=state)
    assert cause in str(caught.value)
    assert (caught.value.start, caught.value.stop) == (50, 60)
    assert GramStatistics.load(state).n == 50
    again = pickle.loads(pickle.dumps(caught.value))  # it travels from a worker
    assert (str(again), again.start, again.stop) == (str(caught.value), 50, 60)
    assert_same_bits(run(data, state=state), run(data))  # the block was repaired


def test_no_state_is_left_by_a_first_block_that_fails(data, tmp_path):
    with pytest.raises(BlockError, match="0 samples before them are summed, and lost"):
        accumulate(GramStatistics(P, K), lambda *_: 1 / 0, stop=N, rows=ROWS)
    with pytest.raises(BlockError, match="division by zero"):
        accumulate(GramStatistics(P, K), lambda *_: 1 / 0, stop=N, rows=ROWS, state=tmp_path / "state.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 11}, "rows is 10, wanted 11"),
        ({"stop": 90}, "stop is 103, wanted 90"),
        ({"start": 10}, "start is 0, wanted 10"),
        ({"provenance": told}, "of other data"),
    ],
)
def test_state_of_another_accumulation_is_refused(data, tmp_path, options, message):
    state = tmp_path / "state.npz"
    run(data, state=state)
    with pytest.raises(DataError, match=f"state of an(other)? accumulation.*{message}"):
        run(data, state=state, **options)


def test_state_of_another_map_names_the_difference(data, tmp_path):
    state = tmp_path / "state.npz"
    run(data, state=state, provenance=told)

    def other(start, stop):
        return Provenance.of({"map": "rff"}, data="d", sha256="s", start=start, stop=stop)

    with pytest.raises(DataError, match="different map do not add: 'rff' and 'identity'"):
        run(data, state=state, provenance=other)


def test_damaged_state_is_refused(data, tmp_path):
    state = tmp_path / "state.npz"
    run(data, state=state)
    stored = read_npz(state)
    write_npz(state, stored | {"position": np.asarray(50)})
    with pytest.raises(DataError, match="position 50 does not fit 103 samples"):
        run(data, state=state)
    stored.pop("position")
    write_npz(state, stored)
    with pytest.raises(DataError, match="position must be finite"):
        run(data, state=state)
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(DataError, match="not a readable npz file"):
        run(data, state=state)


def test_progress_and_arguments(data):
    seen = []
    run(data, start=3, stop=25, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 22), (20, 22), (22, 22)]
    with pytest.raises(ValueError, match="rows >= 1 and 0 <= start < stop"):
        run(data, rows=0)
    with pytest.raises(ValueError, match="begins with empty statistics, got n = 1"):
        accumulate(GramStatistics(P, K).update(np.ones((1, P)), np.ones((1, K))), reader(data), stop=N, rows=ROWS)
