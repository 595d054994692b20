"""What a stored realistic set shows and what it costs: distances, labels, rounding to 8 bits, privacy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from analytic_dd.data import Dataset, Table, normalised, pixels
from analytic_dd.distill.construction import Construction
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.learned_labels import learned_labels
from analytic_dd.io import DistilledSet
from analytic_dd.judge.accuracy import agreement_with_original, fitted
from analytic_dd.judge.stored import certificates_of
from analytic_dd.model import DatasetSource, Distillation, OriginalModel

__all__ = ["describe_realistic", "realistic_facts", "reference_facts", "reference_images", "rounded"]


def reference_images(found: Distillation) -> np.ndarray:
    """Return the references (r, *image_shape) in the data's units: training samples as they are, others to rounding."""
    references, source, model = found.result.references, found.source, found.model
    assert references is not None
    if references.rows is not None and isinstance(source, DatasetSource):
        return np.asarray(source.dataset.x_train[references.rows], dtype=np.float64)
    shape = (model.feature_map.d,) if source is None else source.image_shape
    return pixels(references.inputs, model.mean, model.std, shape)


def _value_range(model: OriginalModel, result: DistilledInputs) -> list[Any]:
    """Return the range of the pixels, or of each column of a table; of the references where the data are sums."""
    if np.all(np.isfinite(model.value_range)):
        return [np.asarray(bound).tolist() for bound in model.value_range]
    assert result.references is not None
    return [float(result.references.inputs.min()), float(result.references.inputs.max())]


def reference_facts(model: OriginalModel, result: DistilledInputs) -> dict[str, Any]:
    """Return what is stored of the references beside their images, as JSON values."""
    references = result.references
    assert references is not None
    return {
        "reference_classes": None if references.classes is None else references.classes.tolist(),
        "reference_rows": None if references.rows is None else references.rows.tolist(),
        "value_range": _value_range(model, result),
        "row_scale": list(result.row_scale),
    }


def realistic_facts(
    stored: DistilledSet, dataset: Dataset | Table, model: OriginalModel, *, seed: int
) -> dict[str, Any]:
    """Measure a stored realistic set.

    Returns
    -------
    dict
        ``distance_features``, ``distance_pixels``: Frobenius norms of the differences from the references, in features
        and in the data's units, with ``relative_...`` to the norm of the references. ``predicted_distance`` of the
        features by the theorem, ``predicted_distance_ratio`` measured to predicted. ``largest_pixel_change`` in the
        data's units, ``largest_pixel_change_fraction`` of their range ``value_range``. Of a table, whose columns have
        units of their own, all these are of the normalised columns, in their deviations. ``condition`` of the features.
        ``label_range`` (smallest, largest). ``label_agreement``: fraction of points whose strongest label is the class
        of their reference, None where the classes are not known. ``eight_bit``, see :func:`_eight_bit`; None of a
        table. ``privacy``.
        The point that a box appends has no reference and counts in the labels' range and the condition only.
    """
    assert stored.references is not None
    references = stored.references
    copies = len(stored.x) if len(references) == 1 else len(references)
    phi = stored.feature_map
    Phis = phi(stored.inputs)
    near = normalised(references, stored.mean, stored.std)
    Phi_ref = phi(near)
    if dataset.columns:
        change, shown, unit = stored.inputs[:copies] - near, near, 1.0
    else:
        low, high = stored.meta["value_range"]
        change, shown, unit = stored.x[:copies] - references, references, high - low
    moved = float(np.linalg.norm(Phis[:copies] - Phi_ref))
    predicted = float(stored.meta["diagnostics"].get("predicted_distance", 0.0))  # a theorem may predict none
    size = math.sqrt(copies / len(references))  # one image is the reference of several points
    largest = float(np.max(np.abs(change)))
    in_features = _ratio(moved, size * float(np.linalg.norm(Phi_ref)))
    in_pixels = _ratio(float(np.linalg.norm(change)), size * float(np.linalg.norm(shown)))
    return {
        "reference_count": len(np.unique(references.reshape(len(references), -1), axis=0)),
        "distance_features": moved,
        "relative_distance_features": in_features,
        "predicted_distance": predicted,
        "predicted_distance_ratio": _ratio(moved, predicted),
        "distance_pixels": float(np.linalg.norm(change)),
        "relative_distance_pixels": in_pixels,
        "largest_pixel_change": largest,
        "largest_pixel_change_fraction": _ratio(largest, unit),
        "condition": stored.certify().condition,
        "label_range": [float(stored.y.min()), float(stored.y.max())],
        "label_agreement": _label_agreement(stored, copies) if isinstance(dataset, Dataset) else None,
        "eight_bit": None if not _has_pixels(dataset) else _eight_bit(stored, dataset, model, seed=seed),
        "privacy": _privacy_of_table(largest)
        if dataset.columns
        else _privacy(in_features, in_pixels, _ratio(largest, unit)),
    }


def _has_pixels(dataset: Dataset | Table) -> TypeGuard[Dataset]:
    return isinstance(dataset, Dataset) and not dataset.columns


def _privacy_of_table(largest: float) -> str:
    return (
        f"a realistic set publishes its reference rows, here up to a change of {largest:.3g} deviations of a column, "
        "and its file the rows themselves, beside W; choose rows that may be public"
    )


def _privacy(in_features: float | None, in_pixels: float | None, largest: float | None) -> str:
    """Return what the file tells of the reference images (T17)."""
    if _far(in_pixels):
        shown = (
            f"the features of its reference images up to a change of {_percent(in_features)}, and its file the images"
        )
    else:
        shown = (
            f"its reference images, here up to a change of {_percent(largest)} of a pixel's range, almost verbatim "
            "where that is small"
        )
    return f"a realistic set publishes {shown}, beside W itself; choose images that may be public"


def _far(in_pixels: float | None) -> bool:
    """Whether the points are no nearer to the references than blank images: near in features only."""
    return in_pixels is None or in_pixels >= 1.0


def _ratio(value: float, unit: float) -> float | None:
    return value / unit if unit > 0.0 else None


def _label_agreement(stored: DistilledSet, copies: int) -> float | None:
    classes = stored.meta["reference_classes"]
    if classes is None:
        return None
    strongest = stored.y[:copies].argmax(axis=1)
    return float(np.mean(strongest == np.broadcast_to(classes, (copies,))))


def rounded(stored: DistilledSet) -> np.ndarray:
    """Return the images as an 8-bit file would hold them, in the data's units: 256 levels from end to end of the range.

    What lies beyond the range is cut off, as any writer of such a file must.
    """
    low, high = stored.meta["value_range"]
    step = (high - low) / 255.0 or 1.0
    return np.asarray(low + step * np.clip(np.round((stored.x - low) / step), 0.0, 255.0))


def _eight_bit(stored: DistilledSet, dataset: Dataset, model: OriginalModel, *, seed: int) -> dict[str, Any]:
    """Return |W_s - W| / |W| and the agreement of decisions after rounding, with the stored labels and with new ones.

    ``decision_agreement`` is the fraction of samples on which the refitted model decides as the original one, over the
    test part, or some training samples where there is none (``decisions_on``).
    """
    inputs = normalised(rounded(stored), stored.mean, stored.std)
    phi, ridge, b = stored.feature_map, stored.ridge, stored.intercept
    Phis = phi(inputs)
    labels = {"before": stored.y, "after": learned_labels(Phis, stored.w, b, ridge=ridge, loss=stored.loss)}
    of_set: dict[str, Any] = {"weights": stored.w[None], "intercepts": [b], "ridges": [ridge], "loss": stored.loss}
    certificates = {name: certificates_of(phi, inputs, Ys, **of_set)[0] for name, Ys in labels.items()}
    models = {name: fitted(Phis, Ys, ridge, intercept=b is not None, loss=stored.loss) for name, Ys in labels.items()}
    agreement, part, count = agreement_with_original(dataset, model, models, seed=seed)
    return {
        "recovery": {name: certificate.relative_error for name, certificate in certificates.items()},
        "decision_agreement": agreement,
        "decisions_on": part,
        "decisions": count,
    }


def describe_realistic(content: Mapping[str, Any], construction: Construction) -> list[str]:
    """Return the lines that the command line prints for a realistic set."""
    facts, eight = content["realistic"], content["realistic"]["eight_bit"]
    agreement, in_pixels = facts["label_agreement"], facts["relative_distance_pixels"]
    count, table = facts["reference_count"], bool(content.get("columns"))
    kind, entries = ("row", "normalised columns") if table else ("image", "pixels")
    what = f"one {kind}" if count == 1 else f"{count} {kind}s"
    near = f"near {what} in features only, not as {kind}s" if _far(in_pixels) else f"near copies of {what}"
    lines = [
        f"  {near} ({content['references']}): distance {_percent(facts['relative_distance_features'])} of the "
        f"features, {construction.optimum(content)}; {_percent(in_pixels)} of the {entries}",
        _largest_change(facts, None if table else content["value_range"]),
        f"  condition of the features {facts['condition']:.2g}, labels {facts['label_range'][0]:.3g} to "
        f"{facts['label_range'][1]:.3g}"
        + ("" if agreement is None else f"; strongest at the reference's class in {_percent(agreement)} of the points"),
    ]
    smallest, largest = content["row_scale"]
    if (smallest, largest) != (1.0, 1.0):
        lines.append(
            f"  rows of features were scaled by {smallest:.4g} to {largest:.4g} into the range of the map, labels "
            "follow (T4)"
        )
    if eight is not None and content["pixels"] == "float":  # integers are rounded already
        rounding = (
            f"error of W {eight['recovery'][name]:.1e}, {_percent(eight['decision_agreement'][name])} of the decisions"
            for name in ("before", "after")
        )
        part = "test" if eight["decisions_on"] == "test" else "training"
        lines.append(
            f"  rounded to 8 bits: {' as before; with labels re-solved: '.join(rounding)} as before "
            f"({eight['decisions']:,} {part} samples)"
        )
    return [*lines, f"  privacy (T17): {facts['privacy']}"]


def _largest_change(facts: Mapping[str, Any], pixel_range: Sequence[float] | None) -> str:
    if pixel_range is None:
        return f"  largest change of a number {facts['largest_pixel_change']:.3g} deviations of its column"
    low, high = pixel_range
    share = _percent(facts["largest_pixel_change_fraction"])
    return f"  largest change of a pixel {facts['largest_pixel_change']:.3g}, {share} of the range {low:g} to {high:g}"


def _percent(fraction: float | None) -> str:
    if fraction is None:
        return "an unknown part"
    value = 100.0 * fraction
    return f"{value:.3g} %" if value < 999.5 else f"{value:,.0f} %"
