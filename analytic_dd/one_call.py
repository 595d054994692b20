"""A distilled set from arrays, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_weights, refuse_masked, to_numpy
from analytic_dd.clock import Clock
from analytic_dd.data import Dataset, Table
from analytic_dd.data.classes import as_labels, encode, few_whole_numbers, many_integers
from analytic_dd.data.frames import is_frame, samples_of_frame
from analytic_dd.data.samples import as_samples, first_non_finite
from analytic_dd.distill import Construction, Exact, Minimal
from analytic_dd.distill.words import in_words_of_constructions
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.features import FeatureMap
from analytic_dd.io import DistilledSet
from analytic_dd.model import ArraySource, FitOptions, Source, distil, source_of
from analytic_dd.report.assembly import distilled_set

__all__ = ["distill"]

_EITHER = (
    "flatten them, X.reshape(len(X), -1), or pass a data set, data.Dataset.from_arrays(X, y, channels='first', "
    "split=True)"
)


def distill(
    X: Any,
    y: Any = None,
    *,
    features: str | FeatureMap | Callable[[Array], Array] = "identity",
    construction: Construction | None = None,
    fit: FitOptions | None = None,
    sample_weight: Any = None,
    references: Any = None,
    rng: int | np.random.Generator = 0,
) -> DistilledSet:
    r"""Fit ridge regression on all samples and distil it into a few points, with a certificate.

        W = Y^T (Phi Phi^T + ridge I)^-1 Phi,    W(phi(X_s), Y_s, ridge_s) = W   to rounding.

    With ``fit=FitOptions(loss="softmax")`` the model is the minimiser of the cross-entropy with that penalty, also for
    code that is not ours; ``"logistic"``, ``"poisson"`` likewise.

    Theorem: that of the construction; T16, T18 (certificate).

    Parameters
    ----------
    X : (n, d) or (n, \*image_shape) array or frame, Dataset, or Table
        Samples as the map is to see them: arrays and frames of numbers (pandas, polars) are *not* normalised here. A
        :class:`Dataset` is, by its channels, and a table by its columns: :func:`analytic_dd.data.read_table` and
        ``from_frame`` make one.
    y : (n,) or (n, k) array
        Classes (integers, booleans or text, or one-hot rows of them), or outputs (floating point numbers) of a
        regression.
    features : str, FeatureMap, torch module or callable
        ``"identity"``, another map by name with options (``"fcnn:depth=2"``), a map, a function of arrays, or a torch
        module, which sees samples in the shape that they have (images with channels first).
    construction : Construction, optional
        :class:`Exact` by default, :class:`Minimal` for other losses than the squared one; see
        :mod:`analytic_dd.distill`.
    fit : FitOptions, optional
        Loss, ridge, intercept, penalty, solver. There is no intercept unless asked for; a regression on outputs whose
        mean is not 0 wants ``FitOptions(intercept=True)``, which is the default of ``RidgeDistillerRegressor``.
    sample_weight : (n,) array, optional
        Weights >= 0; 2 counts as two copies, 0 leaves the sample out (T12).
    references : (m, d) or (m, \*image_shape) array, optional
        Real samples to be near, in the units of X, for constructions that take some.
    rng : int or numpy.random.Generator
        Determines the map, the samples that are drawn, and what a theorem leaves free.

    Returns
    -------
    DistilledSet
        ``.inputs``, ``.y``, ``.ridge`` are the set, ``.w`` the weights; it has ``.save(path)``, ``.verify()``,
        ``.plot(path)``, ``.to_numpy()`` and ``.to_torch()``.

    Raises
    ------
    DataError, ShapeError
        Arrays that are no samples, or no labels of them; one class.
    TypeError
        ``construction``, ``fit`` or ``rng`` of another type.
    InfeasibleError, RangeError, ValueError
        What was asked for does not exist.

    Warns
    -----
    UserWarning
        ``y`` has so many different integers that it looks like the outputs of a regression; or floating point numbers
        that are few different whole ones, as classes are (not with a loss of probabilities or counts).

    Notes
    -----
    *Cost.* One pass over the samples, n p min(n, p) flops, and one eigendecomposition of min(n, p) rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> small = distill(X / 16.0, y)
    >>> small.inputs.shape, small.verify().verdict
    ((10, 64), 'pass')
    >>> distill(X, y[:5])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: X and y must have one row a sample, got 1797 and 5
    """
    fit = FitOptions() if fit is None else _of_type(fit, FitOptions, "fit", "FitOptions(ridge=1.0)")
    if construction is None:
        construction = Exact() if fit.loss == "squared" else Minimal()
    construction = _of_type(construction, Construction, "construction", "Nearest(points_per_class=2)")
    seed = _seed(rng)
    centred = construction.labels == "centred"
    if isinstance(sample_weight, (str, bytes)):
        as_weights(sample_weight, len(X.y_train if isinstance(X, Dataset | Table) else X))
    weights = None if sample_weight is None else to_numpy(sample_weight)
    source: Source
    if isinstance(X, Dataset | Table):
        if y is not None:
            raise DataError(f"a {type(X).__name__} has its own labels, got y too; leave y out")
        source = source_of(X, centred=centred, weights=weights)
    else:
        source = _source(X, y, centred=centred, weights=weights, quantities=fit.loss != "squared")
    given, clock = None if references is None else to_numpy(references), Clock()
    with in_words_of_constructions(construction):
        found = distil(source, features, construction, fit, seed=seed, references=given, clock=clock)
    return distilled_set(found, fit, seed=seed, clock=clock)


def _of_type(value: Any, kind: type, name: str, example: str) -> Any:
    """Refuse an argument of another type, and the class itself, with an example of what is wanted."""
    if not isinstance(value, kind):
        got = f"the class {value.__name__}; write {value.__name__}(...)" if isinstance(value, type) else repr(value)
        raise TypeError(f"{name} must be a {kind.__name__}, such as {example}, got {got}")
    return value


def _seed(rng: int | np.random.Generator) -> int:
    """Return the seed that an integer is, or one that a generator draws."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**31))
    if isinstance(rng, (bool, np.bool_)) or not isinstance(rng, (int, np.integer)) or rng < 0:
        raise TypeError(f"rng must be an integer >= 0 or a numpy.random.Generator, got {rng!r}")
    return int(rng)


def _source(X: Any, y: Any, *, centred: bool, weights: np.ndarray | None, quantities: bool) -> ArraySource:
    """Read arrays as samples with classes or with outputs."""
    if y is None:
        raise DataError("samples need labels, got X alone; give y too")
    refuse_masked(X, "X")
    refuse_masked(y, "y")
    samples = samples_of_frame(X, "X") if is_frame(X) else as_samples(X, "X", either=_EITHER)
    if found := first_non_finite(samples):
        value, sample, place = found
        raise DataError(f"X must be finite, got {value} at sample {sample}, position {place}; drop or repair it")
    outputs = _outputs(y)
    rows = len(y) if outputs is None else len(outputs)
    if len(samples) != rows:
        raise ShapeError(f"X and y must have one row a sample, got {len(samples)} and {rows}")
    kept = _counted(weights, rows)
    weights = None if weights is None else weights[kept]
    if outputs is not None:
        few = "" if quantities else few_whole_numbers(np.asarray(to_numpy(y) if hasattr(y, "dtype") else y))
        if few:
            warnings.warn(
                f"y has {few}, taken as the outputs of a regression; y.astype(int) makes classes of them, "
                "y.reshape(-1, 1) is outputs without this warning",
                stacklevel=4,
            )
        return ArraySource(samples[kept], outputs[kept], weights=weights)
    labels = as_labels(y, "y")[kept]
    if many := many_integers(labels):
        warnings.warn(
            f"y has {many}, taken as classes; y.astype(float) makes a regression of them, y.astype(str) is classes",
            stacklevel=4,  # the package is called, and calls the function
        )
    indices, _, classes = encode(labels, labels[:0], None)
    if len(classes) < 2:
        raise DataError(f"at least two classes are needed, got one class: {classes[0]!r}; add samples of another class")
    return ArraySource(samples[kept], indices, classes=classes, centred=centred, weights=weights)


def _counted(weights: np.ndarray | None, n: int) -> Any:
    """The samples of a weight above 0, where there are any: a class of others is none."""
    if weights is None:
        return slice(None)
    counted = as_weights(weights, n) > 0.0
    return counted if np.any(counted) and not np.all(counted) else slice(None)


def _outputs(y: Any) -> np.ndarray | None:
    """Return the outputs (n, k) of a regression, or None where ``y`` are classes."""
    values = to_numpy(y) if hasattr(y, "dtype") else np.asarray(y)
    if values.dtype.kind != "f":
        return None
    if values.ndim not in (1, 2):
        raise ShapeError(f"outputs must have shape (n,) or (n, k), got {values.shape}; reshape y")
    if not np.all(np.isfinite(values)):
        raise DataError("outputs must be finite, got NaN or infinity in y; drop those samples")
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)
