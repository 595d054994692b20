"""The real samples that a distilled set is to be near: chosen from the source, or given as images."""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.data import normalised
from analytic_dd.distill.construction import Construction
from analytic_dd.distill.problem import References
from analytic_dd.distill.reference_choice import choose_rows
from analytic_dd.errors import DataError
from analytic_dd.labels import repeated_classes
from analytic_dd.memory import require_memory
from analytic_dd.model.fit import OriginalModel
from analytic_dd.model.source import Source

__all__ = ["choose_references", "given_references"]


def choose_references(
    model: OriginalModel, source: Source, construction: Construction, *, rng: np.random.Generator
) -> References | None:
    """Choose the samples that a construction starts from, class by class where their class matters; None for none.

    k-means compares normalised pixels, herding features; see :func:`choose_rows`.
    """
    m = construction.references_for(source.k)
    if not m:
        return None
    if model.intercept is not None and not source.classified and getattr(construction, "points_per_class", 0) == 1:
        m = max(m, source.k + 1 if getattr(construction, "points", None) is None else m)  # outputs have full rank (T12)
    _require_memory(m, model.feature_map.d + model.feature_map.p)
    by_class = construction.references_by_class and source.classified
    y, k = (source.groups, source.k) if by_class else (np.zeros(source.n, dtype=np.int64), 1)
    choice = getattr(construction, "references")  # noqa: B009 - every construction with references has the field

    def samples(rows: np.ndarray) -> np.ndarray:
        X = source.inputs(rows)[0]
        return np.asarray(model.feature_map(X)) if choice == "herding" else X

    rows = choose_rows(choice, y, m, k=k, rng=rng, samples=samples)
    X, classes = source.inputs(rows)
    # outputs have no classes; their fixed labels are unit vectors, one block of points an output
    return References(X, repeated_classes(source.k, len(rows)) if classes is None else classes, rows)


def _require_memory(m: int, numbers: int) -> None:
    """Refuse references that the machine cannot hold, inputs and features, before any is drawn."""
    what = f"{m:,} references of {numbers:,} numbers, inputs and features,"
    require_memory(16.0 * m * numbers, what, "ask for fewer points")


def given_references(
    model: OriginalModel, source: Source, images: np.ndarray, *, classes: np.ndarray | None = None
) -> References:
    """Take references from images in the data's units, (m, *image_shape) or (m, d), and indices of their classes.

    Raises
    ------
    DataError
        Images of another size, none, NaN, or other than one class for each.
    """
    size, k = source.d, source.k
    if images.ndim < 2 or len(images) == 0 or math.prod(images.shape[1:]) != size:
        raise DataError(
            f"references must be images of shape {source.image_shape}, at least one, got an array of shape "
            f"{images.shape}; reshape it"
        )
    x = images.reshape(len(images), size).astype(np.float64)
    if not np.all(np.isfinite(x)):
        raise DataError("references must be finite, got NaN or infinity; drop those images")
    X = normalised(x, model.mean, model.std)
    if classes is None:
        return References(X)
    y = np.asarray(classes)
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or not np.all((y >= 0) & (y < k)):
        raise DataError(
            f"classes of references must be {len(x)} indices 0 .. {k - 1}, got dtype {y.dtype} of shape {y.shape}"
        )
    return References(X, y.astype(np.int64))
