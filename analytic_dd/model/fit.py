"""The original model: ridge regression on a source of samples, or from sums alone (T13)."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from analytic_dd.arrays import as_ridge, norm, to_numpy
from analytic_dd.clock import Clock, Listener
from analytic_dd.data import Dataset
from analytic_dd.data.blocks import require_device
from analytic_dd.features import FeatureMap
from analytic_dd.linalg import ByteSums
from analytic_dd.linalg.linear_model import LinearModel
from analytic_dd.losses import as_loss
from analytic_dd.model.loss_fit import fit_loss
from analytic_dd.model.source import Source
from analytic_dd.model.stream import FeatureStream
from analytic_dd.ridge import FittedWeights, RidgeChoice, fit_weights

__all__ = ["LOO_SAMPLES", "FitOptions", "OriginalModel", "fit_source", "fit_sums"]

LOO_SAMPLES = 10_000  # leave-one-out is scored on at most this many samples, drawn at random

_BYTE_ROWS = 8192
_CENTRED = 1e-6  # of their size: what sums of inputs may have that were centred in far units


@dataclass(frozen=True)
class FitOptions:
    """How the original model is fitted.

    Attributes
    ----------
    ridge : float, "loo", "gcv" or "validation", optional
        lambda, absolute, or how it is chosen: by leave-one-out (accuracy for classes, else the squared error; ties go
        to the larger ridge) on at most 10,000 samples, or by generalised cross-validation. Losses other than the
        squared one have no leave-one-out in closed form: theirs is chosen on a fifth of at most 10,000 samples, held
        out ("validation": accuracy for classes, else the loss). Default: loo, or validation.
    loss : {"squared", "softmax", "logistic", "poisson"}
        What the original model minimises, beside  ridge / 2 |W|^2  (T18).
    intercept : bool
        Fit an unpenalised intercept (T12).
    tikhonov : (p,) or (p, p) array, optional
        Gamma of the penalty  ridge * tr(W Gamma W^T)  (T12).
    solver : str
        See :func:`analytic_dd.ridge.fit_weights`.
    dtype : numpy.float32 or numpy.float64, or a name of one
        Arithmetic of the feature map; sums are float64 always. The attribute is the type.
    device : str
        Where features, sums and weights are computed: ``cpu`` (numpy), or a device of torch.
    """

    ridge: float | str | None = None
    loss: str = "squared"
    intercept: bool = False
    tikhonov: Any = None
    solver: str = "auto"
    dtype: Any = np.float64
    device: str = "cpu"

    def __post_init__(self) -> None:
        squared, given = as_loss(self.loss).name == "squared", cast(Any, self.ridge)
        if not isinstance(self.intercept, (bool, np.bool_)):
            raise TypeError(f"intercept must be True or False, got {self.intercept!r}")
        object.__setattr__(self, "dtype", _float_type(self.dtype))
        if not isinstance(self.device, str):
            raise TypeError(f"device must be text such as 'cpu' or 'cuda', got {self.device!r}")
        if np.ndim(given):
            raise TypeError(
                f"ridge must be one number >= 0 or a word, got {len(np.ravel(given))} of them; several are those "
                "of construction=SeveralRidges(ridges=...)"
            )
        if self.ridge is None:
            object.__setattr__(self, "ridge", "loo" if squared else "validation")
        elif not isinstance(self.ridge, str):
            as_ridge(self.ridge)
        elif squared and self.ridge == "validation":
            raise ValueError("ridge='validation' is for other losses than 'squared'; use ridge='loo' or ridge='gcv'")
        elif not squared and self.ridge != "validation":
            raise ValueError(
                f"ridge={self.ridge!r} is for loss='squared', got loss={self.loss!r}; use ridge='validation', or a "
                "number > 0"
            )
        if not squared and self.solver != "auto":
            raise ValueError(f"solver={self.solver!r} is for loss='squared', got loss={self.loss!r}; leave it out")


def _float_type(dtype: Any) -> type:
    """Return the type that numpy knows by this name, dtype or type of Python."""
    with suppress(TypeError, ValueError):
        found = None if dtype is None else np.dtype(dtype).type  # to numpy None is float64
        if found in (np.float32, np.float64):
            return cast(type, found)
    raise TypeError(f"dtype must be numpy.float32 or numpy.float64, got {dtype!r}")


@dataclass(frozen=True)
class OriginalModel(LinearModel):
    """The model fitted on all the data, which a distilled set is to reproduce: ridge regression, or that of a loss.

    Its ``weights`` are W (k, p), its ``intercept`` is b (k,) or None.

    Attributes
    ----------
    ridge : float
    choice : RidgeChoice or None
        How the ridge was chosen; None where it was given.
    feature_map : FeatureMap
    mean, std : (channels,) arrays
        inputs = (x - mean) / std, in the data's units.
    statistics : sums of the data
        Not centred; of another loss than the squared one its means and squares only (:class:`Moments`).
    centred : sums of the data
        About their means where there is an intercept, else the same: they keep digits that centring would lose.
    label_kind : str
        ``"one-hot"``, ``"centred"`` or ``"outputs"``: what the model was trained on.
    solver, solver_reason : str
        The solver (T13), and why in one line.
    value_range : (float, float), or two (d,) arrays for a table
        Of the pixels, in the data's units.
    loss : str
    """

    ridge: float
    choice: RidgeChoice | None
    feature_map: FeatureMap
    mean: np.ndarray
    std: np.ndarray
    statistics: Any
    centred: Any
    label_kind: str
    solver: str
    solver_reason: str
    value_range: tuple[Any, Any]
    loss: str = "squared"

    @property
    def feature_sizes(self) -> np.ndarray:
        """The root mean square (p,) of each feature of the data, about its mean where there is an intercept."""
        sizes: np.ndarray = np.sqrt(np.maximum(to_numpy(self.centred.squares), 0.0) / self.centred.weight)
        return sizes

    def inputs_of(self, dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the normalised inputs (m, d) and classes (m,) of some training samples, in the order of ``rows``."""
        blocks = list(dataset.blocks("train", mean=self.mean, std=self.std, order=rows))
        return np.concatenate([X for X, _ in blocks]), np.concatenate([y for _, y in blocks])


def fit_source(
    source: Source,
    feature_map: FeatureMap,
    options: FitOptions | None = None,
    *,
    rng: np.random.Generator,
    statistics: Any = None,
    clock: Clock | None = None,
    listener: Listener | None = None,
) -> OriginalModel:
    """Fit ridge regression on all samples: one pass over them, one product, one eigendecomposition.

    For another loss see :func:`analytic_dd.model.loss_fit.fit_loss`.

    Theorem: T13.

    Parameters
    ----------
    source : Source
    feature_map : FeatureMap
        With the Tikhonov penalty, if any, see :func:`analytic_dd.features.penalised`.
    options : FitOptions, optional
    rng : numpy.random.Generator
        Draws the samples that leave-one-out is scored on.
    statistics : Sums, optional
        Sums over all samples of the source, made elsewhere: the first pass is left out.
    clock, listener : optional
        Receive times and progress.

    Notes
    -----
    *Cost.* See :func:`analytic_dd.ridge.fit_weights`. Memory: what the source holds, 4 p^2 floats (n p and n^2 for
    n < p) and one block.
    *Numerics.* The sums alone where the predicted error of W is below 1e-6, or a second pass would gain less than a
    factor of 2; else a second pass over the data, for iterative refinement or TSQR.
    """
    options, clock = options or FitOptions(), clock or Clock()
    if options.device != "cpu":
        require_device(options.device)
    assert options.ridge is not None
    stream = FeatureStream(source, feature_map, options.dtype, options.device, clock, listener)
    if options.loss != "squared":
        return _loss_model(stream, options, rng=rng)
    found = fit_weights(
        stream.blocks,
        n=source.n,
        p=feature_map.p,
        k=source.k,
        ridge=options.ridge,
        scoring="accuracy" if source.classified else "squared_error",
        intercept=options.intercept,
        solver=options.solver,
        max_samples=LOO_SAMPLES,
        rng=rng,
        statistics=_sums_of_bytes(source, feature_map, options, clock, listener) if statistics is None else statistics,
        timed=clock.rest_of,
    )
    exact = options.dtype is np.float64
    return _model(
        found,
        options,
        feature_map=feature_map,
        mean=source.mean,
        std=source.std,
        label_kind=source.label_kind,
        solver_reason=found.reason + ("" if exact else f"; of features in {np.dtype(options.dtype).name}"),
        value_range=source.value_range,
    )


def _loss_model(stream: FeatureStream, options: FitOptions, *, rng: np.random.Generator) -> OriginalModel:
    """Fit the model of another loss; its weights lie where features do, and those of classes sum to 0 (T18b)."""
    source = stream.source
    found = fit_loss(
        stream, loss=options.loss, ridge=options.ridge, intercept=options.intercept, samples=LOO_SAMPLES, rng=rng
    )
    best = found.minimiser
    W, b = stream.feature_map.project(to_numpy(best.weights)), best.intercept
    b = None if b is None else to_numpy(b)
    if as_loss(options.loss).shift_free:  # rounding would leave a k-th singular value of 1e-12
        W, b = W - W.mean(axis=0), None if b is None else b - b.mean()
    return OriginalModel(
        weights=W,
        intercept=b,
        ridge=found.ridge,
        choice=found.choice,
        feature_map=stream.feature_map,
        mean=source.mean,
        std=source.std,
        statistics=found.moments,
        centred=found.moments if b is None else found.moments.centred(),
        label_kind=source.label_kind,
        solver=best.solver,
        solver_reason=found.reason,
        value_range=source.value_range,
        loss=options.loss,
    )


def _sums_of_bytes(
    source: Source, feature_map: FeatureMap, options: FitOptions, clock: Clock, listener: Listener | None
) -> Any:
    """Return sums of normalised bytes from exact sums of the bytes, or None for other samples."""
    plain = feature_map.is_identity and options.device == "cpu" and options.dtype is np.float64
    by_sums = source.n >= source.d and options.solver not in ("dual", "svd")  # these keep the rows
    blocks = source.bytes_of(_BYTE_ROWS) if plain and by_sums else None
    if blocks is None:
        return None
    sums = ByteSums(source.d, source.k)
    with clock("gram"):
        done = 0
        for x, Y in blocks:
            sums.update(x, Y)
            done += len(x)
            if listener is not None:
                listener("gram", done, source.n)
        repeats = source.d // len(source.mean)  # channels are last
        return sums.statistics(*(np.tile(v, repeats) for v in (source.mean, source.std)))


def fit_sums(
    statistics: Any,
    feature_map: FeatureMap,
    options: FitOptions,
    *,
    mean: np.ndarray,
    std: np.ndarray,
    label_kind: str,
) -> OriginalModel:
    """Return the model that sums determine: no sample is read.

    Theorem: T13.

    Parameters
    ----------
    statistics : GramStatistics
        Of all the data; merged from shards, machines or parties.
    feature_map : FeatureMap
        The map that they were made with.
    options : FitOptions
        The ridge is "gcv" or a number; the solver "auto" or "gram".
    mean, std : (channels,) arrays
        The normalisation that they were made with.
    label_kind : {"one-hot", "centred"}
        Of the labels in the sums.

    Raises
    ------
    ValueError
        ``ridge="loo"``, which needs the samples.
    """
    assert options.ridge is not None
    if options.loss != "squared":
        raise ValueError(f"loss={options.loss!r} reads the samples, and sums have none; use loss='squared'")
    if options.ridge not in ("gcv",) and isinstance(options.ridge, str):
        raise ValueError(f"without the samples the ridge is 'gcv' or a number >= 0, got {options.ridge!r}")
    if options.solver not in ("auto", "gram"):
        raise ValueError(f"solver={options.solver!r} reads the samples, and sums have none; leave the solver out")
    found = fit_weights(ridge=options.ridge, intercept=options.intercept, solver="gram", statistics=statistics)
    return _model(
        found,
        options,
        feature_map=feature_map,
        mean=mean,
        std=std,
        label_kind=label_kind,
        solver_reason=found.reason,
        value_range=(-math.inf, math.inf),
    )


def _has_no_mean(statistics: Any, mean: np.ndarray, std: np.ndarray) -> bool:
    """Whether the features are centred but for rounding: one-hot labels then give the weights of centred ones (T5).

    The mean of a column is subtracted as a float64, whose rounding is |mean| / std times as large among the inputs (a
    time in seconds: 1.7e9 beside a deviation of minutes). More than a millionth of their size is a mean, whatever the
    inputs.
    """
    size = math.sqrt(statistics.weight * max(float(statistics.trace), 0.0))  # |sum of phi| <= size
    rounding = np.finfo(np.float64).eps * max(1.0, float(np.max(np.abs(mean) / std)))
    return bool(norm(statistics.sum_phi) <= min(64.0 * rounding, _CENTRED) * size)


def _model(found: FittedWeights, options: FitOptions, **facts: Any) -> OriginalModel:
    """Put the weights into the subspace where they are in exact arithmetic, and add the intercept."""
    statistics = found.statistics.on_host()
    W = facts["feature_map"].project(to_numpy(found.weights))  # on the span of all features, but for rounding (T8e)
    about_mean = (
        facts["label_kind"] == "centred" or options.intercept or _has_no_mean(statistics, facts["mean"], facts["std"])
    )
    if facts["label_kind"] != "outputs" and about_mean:
        # Labels about their mean sum to 0, so the rows of W do in exact arithmetic: rank k - 1 (T5). Rounding would
        # leave a k-th singular value of 1e-12 for the construction to invert.
        W = W - W.mean(axis=0)
    b = to_numpy(statistics.mean_y) - W @ to_numpy(statistics.mean_phi) if options.intercept else None
    facts |= {"ridge": found.ridge, "choice": found.choice, "solver": found.solver}
    return OriginalModel(weights=W, intercept=b, statistics=statistics, centred=found.centred.on_host(), **facts)
