"""What sums were made of: exact in a file, differences named, no sample twice."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic_dd.errors import DataError
from analytic_dd.files import read_npz, write_npz
from analytic_dd.linalg import GramStatistics, Provenance, merge_files

P, K = 3, 2
SPEC = {"map": "random-fourier", "d": 4, "p": P, "lengthscale": 0.1 + 0.2, "rng": 2**62}


def told(start, stop, **changes):
    agree = {"feature map": SPEC, "mean": np.array([0.1, 1 / 3]), "labels": "one-hot"} | changes
    return Provenance.of(agree, data="mnist", sha256="ab", start=start, stop=stop)


def sums(start, stop, **changes):
    made = GramStatistics(P, K).update(np.ones((stop - start, P)), np.ones((stop - start, K)))
    made.provenance = told(start, stop, **changes)
    return made


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_numbers_are_kept_exactly(values):
    given_ = Provenance({"mean": np.array(values)})
    again = Provenance.from_json(given_.to_json())
    assert again == given_
    assert [float(v).hex() for v in again.agree["mean"]] == [v.hex() for v in values]


def test_file_keeps_it(tmp_path):
    path = tmp_path / "sums.npz"
    sums(10, 15).save(path)
    assert GramStatistics.load(path).provenance == told(10, 15)
    plain = GramStatistics(P, K).update(np.ones((2, P)), np.ones((2, K)))
    plain.save(path)
    assert GramStatistics.load(path).provenance is None


def test_neighbours_are_joined_and_order_does_not_matter():
    total = sums(10, 15).merge(sums(20, 30)).merge(sums(0, 10)).merge(sums(15, 20))
    assert total.provenance == told(0, 30)
    assert GramStatistics(P, K).merge(sums(0, 4)).provenance == told(0, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": [0.1, 0.25]}, r"different mean do not add: \[0\.1, 0\.333\d*\] and \[0\.1, 0\.25\]"),
        ({"feature map": SPEC | {"rng": 5}}, "different feature map: rng do not add: 4611686018427387904 and 5"),
        ({"feature map": {"map": "identity"}}, "different feature map: d do not add: 4 and None"),
        ({"labels": "centred"}, "different labels do not add: 'one-hot' and 'centred'"),
        ({"classes": ["a"]}, r"different classes do not add: None and \['a'\]"),
    ],
)
def test_difference_is_named_and_nothing_changes(changes, message):
    total = sums(0, 10)
    before = total.G.copy()
    with pytest.raises(DataError, match=message):
        total.merge(sums(10, 15, **changes))
    assert np.array_equal(total.G, before)
    assert (total.n, total.provenance) == (10, told(0, 10))


def test_a_sample_is_not_added_twice():
    with pytest.raises(DataError, match="samples 5 to 10 of 'mnist' are in both sums"):
        sums(0, 10).merge(sums(5, 20))
    other = sums(5, 20)
    other.provenance = Provenance.of(other.provenance.agree, data="mnist", sha256="another", start=5, stop=20)
    assert sums(0, 10).merge(other).n == 25


def test_sums_without_a_provenance_do_not_mix_with_those_that_have_one():
    plain = GramStatistics(P, K).update(np.ones((2, P)), np.ones((2, K)))
    for one, other in ((plain, sums(0, 3)), (sums(0, 3), plain)):
        with pytest.raises(DataError, match="one of the two sums has a provenance"):
            one.merge(other)


def test_an_update_that_was_not_told_is_noticed(tmp_path):
    stale = sums(0, 3).update(np.ones((1, P)), np.ones((1, K)))
    for use in (lambda: stale.save(tmp_path / "x.npz"), lambda: stale.merge(sums(3, 4))):
        with pytest.raises(DataError, match="names 3 samples, the sums hold 4"):
            use()


def test_files_merge_and_differences_name_them(tmp_path, ratio):
    paths = [tmp_path / f"{i}.npz" for i in range(3)]
    for i, path in enumerate(paths):
        sums(5 * i, 5 * i + 5).save(path)
    total = merge_files(paths)
    assert (total.n, total.provenance) == (15, told(0, 15))
    assert ratio(total.G, sums(0, 15).G, size=15) < 30
    sums(20, 25, labels="centred").save(paths[2])
    with pytest.raises(DataError, match=r"2\.npz does not merge with .*0\.npz and those after it: .*different labels"):
        merge_files(paths)
    GramStatistics(P + 1, K).update(np.ones((2, P + 1)), np.ones((2, K))).save(paths[1])
    with pytest.raises(
        DataError, match=r"1\.npz does not merge with .*0\.npz: .*same p and k, got \(3, 2\) and \(4, 2\)"
    ):
        merge_files(paths)
    with pytest.raises(ValueError, match="no files to merge"):
        merge_files([])


HOSTILE = {
    "no JSON": b"{",
    "not an object": b"[1]",
    "no samples": b'{"agree": {}}',
    "agree a list": b'{"agree": [], "samples": []}',
    "not text": b"\xff\xfe",
    "deep": b'{"agree": ' + b"[" * 100_000,
    "unknown member": json.dumps({"agree": {}, "samples": [{"x": 1}]}).encode(),
    "start a float": b'{"agree": {}, "samples": [{"data": "d", "sha256": "", "start": 0.0, "stop": 5}]}',
    "backwards": b'{"agree": {}, "samples": [{"data": "d", "sha256": "", "start": 5, "stop": 0}]}',
    "other count": b'{"agree": {}, "samples": [{"data": "d", "sha256": "", "start": 0, "stop": 4}]}',
    "NaN": b'{"agree": {"mean": NaN}, "samples": []}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_provenance_is_refused(tmp_path, content):
    path = tmp_path / "sums.npz"
    sums(0, 5).save(path)
    write_npz(path, read_npz(path) | {"provenance": np.frombuffer(content, np.uint8)})
    with pytest.raises(DataError, match=r"sums\.npz"):
        GramStatistics.load(path)


@pytest.mark.parametrize("value", [np.ones(3), np.ones((1, 3), np.uint8)])
def test_provenance_that_is_no_text_is_refused(tmp_path, value):
    path = tmp_path / "sums.npz"
    sums(0, 5).save(path)
    write_npz(path, read_npz(path) | {"provenance": value})
    with pytest.raises(DataError, match="must be bytes"):
        GramStatistics.load(path)


@pytest.mark.parametrize(
    "damage", [{"gram_error": np.asarray(-1.0)}, {"gram_error": np.asarray(1)}, {"gram_error": np.ones(2)}]
)
def test_hostile_errors_are_refused(tmp_path, damage):
    path = tmp_path / "sums.npz"
    sums(0, 5).save(path)
    write_npz(path, read_npz(path) | damage)
    with pytest.raises(DataError, match=r"sums\.npz"):
        GramStatistics.load(path)


def test_negative_squares_are_refused(tmp_path):
    path = tmp_path / "sums.npz"
    sums(0, 5).save(path)
    for name, value in (("G", -np.eye(P)), ("yy", -np.ones(K))):
        write_npz(path, read_npz(path) | {name: value})
        with pytest.raises(DataError, match="sums of squares must be >= 0"):
            GramStatistics.load(path)
        sums(0, 5).save(path)


def test_values_that_are_no_json_are_refused():
    for value in (float("nan"), object(), b"bytes"):
        with pytest.raises(DataError, match="finite JSON values"):
            Provenance({"x": value})
