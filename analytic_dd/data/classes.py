"""Classes: labels as they came, integers or text, turned into indices 0..k-1; and a test part with a share of each.

A test part that is set aside is stratified, seeded, and the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analytic_dd.arrays import host_array
from analytic_dd.errors import DataError

__all__ = [
    "TEST_FRACTION",
    "as_labels",
    "check_classes",
    "classes_of_one_hot",
    "describe_split",
    "encode",
    "few_whole_numbers",
    "indices_into",
    "many_integers",
    "random_split",
    "stratified_split",
]

TEST_FRACTION = 0.2
_FEW, _SHARE = 20, 5  # more integers than this, and than a fifth of the rows, are more likely quantities than classes


def as_labels(y: object, name: str) -> np.ndarray:
    """Return labels as one axis of int64 or text; a column (n, 1), one-hot rows, text as objects and categories are
    labels too.

    Raises
    ------
    DataError
        There are several axes that are not one-hot, fractions, a missing label, bytes that are not text, integers
        beyond int64, or other objects.
    """
    array = classes_of_one_hot(host_array(y, name))
    if not array.size:
        raise DataError(f"{name} must hold labels, got none")
    if array.ndim == 2 and array.shape[1] > 1:
        raise DataError(
            f"{name} must be one class a sample, or one-hot rows, got shape {array.shape} with rows that are not "
            f"one-hot; {name}.argmax(axis=1) takes the largest of each"
        )
    if array.ndim != 1 and array.shape != (len(array) if array.ndim else 0, 1):
        raise DataError(f"{name} must be one class a sample, got shape {array.shape}; use {name}.ravel()")
    array = array.reshape(-1)
    if array.dtype.kind == "O":
        array = _from_objects(array, name)
    if array.dtype.kind in "biu":
        return _as_int64(array, name)
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name} holds bytes that are not UTF-8 text ({error.reason}); use text labels") from error
    if array.dtype.kind == "T":
        array = _from_objects(array.astype(object), name)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError(f"{name} has no label at sample {int(np.isnan(array).argmax())}; drop samples without one")
    if array.dtype.kind != "U":
        raise DataError(f"{name} must be integers or text, got dtype {array.dtype}; use {name}.astype(int) or text")
    return array


def classes_of_one_hot(y: np.ndarray) -> np.ndarray:
    """Return the class (n,) of each row of a one-hot matrix (n, k) of any numbers, and another array as it is.

    Examples
    --------
    >>> classes_of_one_hot(np.array([[0, 1], [1, 0]])), classes_of_one_hot(np.array([2, 3]))
    (array([1, 0]), array([2, 3]))
    """
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf" or not len(y):
        return y
    one_hot = np.all((y == 0) | (y == 1)) and np.all(np.count_nonzero(y, axis=1) == 1)
    return y.argmax(axis=1) if one_hot else y


def _from_objects(array: np.ndarray, name: str) -> np.ndarray:
    """Return objects that are all text, all integers or all booleans as an array of these; pandas keeps them so."""
    if all(isinstance(value, bool | np.bool_) for value in array):
        return array.astype(bool)
    for wanted in (str, int | np.integer):
        wrong = [i for i, value in enumerate(array) if not isinstance(value, wanted) or isinstance(value, bool)]
        if not wrong:
            return np.array(array.tolist())
        if len(wrong) < len(array):
            break
    found = array[wrong[0]]
    raise DataError(
        f"{name} has dtype object and must hold text or integers alone, got {found!r:.50} at sample {wrong[0]}; drop "
        f"samples without a label; {name}.astype(str) makes text of what is a label"
    )


def _as_int64(array: np.ndarray, name: str) -> np.ndarray:
    """Return integers as int64; those of 64 unsigned bits beyond its range would come out negative."""
    largest = int(array.max())
    if largest > np.iinfo(np.int64).max:
        raise DataError(f"{name} has the label {largest}, more than int64 holds; use {name}.astype(str)")
    return array.astype(np.int64)


def encode(
    y_train: np.ndarray, y_test: np.ndarray, classes: tuple[int | str, ...] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[int | str, ...]]:
    """Return both splits as int64 indices into the classes, and the classes: those given, or the training labels.

    Raises
    ------
    DataError
        A test label does not occur in training, or a label is no index into the classes that were given; the message
        says which and where.
    """
    if classes is not None:
        classes = tuple(name.item() if isinstance(name, np.generic) else name for name in classes)
        return indices_into(y_train, classes, "y_train"), indices_into(y_test, classes, "y_test"), classes
    if y_test.dtype.kind != y_train.dtype.kind:
        raise DataError(f"y_train is {_kind(y_train)} and y_test is {_kind(y_test)}; use one kind of labels for both")
    values, train = np.unique(y_train, return_inverse=True)
    test = np.minimum(np.searchsorted(values, y_test), len(values) - 1)
    unknown = np.flatnonzero(values[test] != y_test)
    if len(unknown):
        raise DataError(
            f"y_test has the label {y_test[unknown[0]].item()!r} at sample {unknown[0]}, which y_train does not have; "
            "drop those samples or train on that class"
        )
    return train.astype(np.int64), test.astype(np.int64), tuple(values.tolist())


def many_integers(y: np.ndarray) -> str:
    """Say of labels that look like quantities how many they are; empty for text, few integers, and numbered classes.

    These go from 0 or 1 and leave no number out, as quantities do, and have two samples each on the average.
    """
    if y.ndim != 1 or y.dtype.kind not in "iu":
        return ""
    values = np.unique(y)
    count = len(values)
    if count <= max(_FEW, len(y) // _SHARE):
        return ""
    if count <= len(y) // 2 and values[0] in (0, 1) and int(values[-1]) - int(values[0]) < count:
        return ""
    return f"{count} different integers in {len(y):,} rows"


def few_whole_numbers(y: np.ndarray) -> str:
    """Say of floating point numbers (n,) that look like classes how many they are; empty for others.

    These are two to 20 different whole numbers with two samples each on the average.
    """
    if y.ndim != 1 or y.dtype.kind != "f" or not np.array_equal(y, np.rint(y)):
        return ""
    count = len(np.unique(y))
    return f"{count} different whole numbers in {len(y):,} rows" if 2 <= count <= min(_FEW, len(y) // 2) else ""


def indices_into(y: np.ndarray, classes: Sequence[int | str], name: str) -> np.ndarray:
    """Check that ``y`` are indices into ``classes``, and return them as int64."""
    if y.dtype.kind != "i":
        raise DataError(f"{name} must be indices into the {len(classes)} classes, got {_kind(y)}")
    outside = np.flatnonzero((y < 0) | (y >= len(classes)))
    if len(outside):
        raise DataError(
            f"{name} must be indices 0..{len(classes) - 1} into the classes, got {y[outside[0]]} at sample {outside[0]}"
        )
    return y.astype(np.int64, copy=False)


def _kind(y: np.ndarray) -> str:
    return "text" if y.dtype.kind == "U" else "integers"


def check_classes(classes: Sequence[int | str], y_train: np.ndarray, y_test: np.ndarray) -> None:
    """Check the classes, and that the labels are indices into them that leave none empty."""
    k = len(classes)
    if k < 2:
        got = f"one class: {classes[0]!r}" if k else "none"
        raise DataError(f"at least two classes are needed, got {got}; add samples of another class")
    for name in classes:
        if not isinstance(name, (int, str)):
            raise DataError(f"classes must be integers or text, got {name!r:.50}; use str(name)")
    if len(set(classes)) != k:
        raise DataError(f"classes must be all different, got {', '.join(map(repr, classes[:5]))}; name each once")
    for y, name in ((y_train, "y_train"), (y_test, "y_test")):
        if y.dtype != np.int64 or y.ndim != 1:
            raise DataError(f"{name} must be one int64 index a sample, got {y.dtype} {y.shape}; use from_arrays")
        indices_into(y, classes, name)
    empty = np.flatnonzero(np.bincount(y_train, minlength=k) == 0)
    if len(empty):
        name = classes[empty[0]]
        raise DataError(f"class {name!r} has no training sample of a weight above 0; add some or drop the class")


def describe_split(*, stratified: bool = True) -> str:
    """Return what :attr:`Dataset.source` says of a test part that was set aside here."""
    how = "stratified, " if stratified else ""
    return f"no test part: {TEST_FRACTION:.0%} of the samples set aside ({how}seed 0)"


def random_split(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices (train, test) of samples without classes; at least one is kept for training."""
    return stratified_split(np.zeros(n, dtype=np.int64), 1)


def stratified_split(y: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices (train, test); the test part is a fifth of the samples, rounded up, in equal class shares.

    Parameters
    ----------
    y : (n,) int array
        Class indices 0..k-1.
    k : int
        Number of classes.

    Notes
    -----
    Shares are rounded by largest remainder; a class always keeps one training sample. The draw uses uniform keys
    rather than ``permutation``, whose stream numpy may change between versions.

    Examples
    --------
    >>> train, test = stratified_split(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]), 2)
    >>> train.size, test.size, int((test < 5).sum())
    (8, 2, 1)
    """
    counts = np.bincount(y, minlength=k)
    quota = _largest_remainder(counts * TEST_FRACTION, math.ceil(len(y) * TEST_FRACTION))
    quota = np.minimum(quota, np.maximum(counts - 1, 0))
    keys = np.random.Generator(np.random.PCG64(0)).random(len(y))
    by_class = np.lexsort((keys, y))
    rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = by_class[rank < np.repeat(quota, counts)]
    mask = np.zeros(len(y), dtype=bool)
    mask[chosen] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _largest_remainder(shares: np.ndarray, total: int) -> np.ndarray:
    """Round ``shares`` to integers that add up to ``total``; ties go to the lower class."""
    quota: np.ndarray = np.floor(shares).astype(np.int64)
    missing = max(0, total - int(quota.sum()))
    order = np.argsort(quota - shares, kind="stable")
    quota[order[:missing]] += 1
    return quota
