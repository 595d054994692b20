"""Distilled sets as files: one npz without pickles, that carries its own certificate."""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.data import normalised, pixels
from analytic_dd.errors import DataError
from analytic_dd.export import Exported, export
from analytic_dd.export.format import Exportable
from analytic_dd.features import FeatureMap, from_spec
from analytic_dd.features.function import as_feature_map
from analytic_dd.features.registry import as_earlier
from analytic_dd.files import expanded, read_npz, to_json, write_npz
from analytic_dd.judge import RATIO_LIMIT, worst
from analytic_dd.judge.claims import false_claims
from analytic_dd.judge.descent import StepsFound, steps_of_set
from analytic_dd.judge.stored import Found, certificates_of, map_amplification
from analytic_dd.meta import require_meta, steps_at
from analytic_dd.plot import draw_on, draw_set, thumbnails
from analytic_dd.staging import settle

__all__ = ["FORMAT", "BenchSetError", "DistilledSet", "load_distilled", "save_distilled", "to_json", "versions"]

FORMAT = "analytic_dd.DistilledSet/1"
_OF_BENCH = "analytic_dd.BaselineResult/1"

_NUMBERS = ("inputs", "x", "y", "w", "mean", "std")
_OPTIONAL = (
    *("intercept", "class_means", "references", "path", "path_intercepts", "descent", "subspace", "low", "step"),
)
_THUMBNAILS = 10  # a notebook shows so many images
_INFLATION = 100  # a file may unpack to so many times its size on disk; sets are written uncompressed


class BenchSetError(DataError):
    """A file of ``analytic-dd bench`` in the place of a distilled set."""


@dataclass(frozen=True, repr=False)
class DistilledSet(Exportable):
    """A distilled set as it is stored.

    Attributes
    ----------
    inputs : (m, d) float64 array
        The feature map's inputs: the exact set.
    x : (m, *image_shape) float64 array
        The same in original pixel units, ``inputs * std + mean`` in C order. They are for eyes and exports, because
        adding the mean rounds.
    y : (m, k) float64 array
        Labels.
    w : (k, p) float64 array
        The weights that ridge regression on the set reproduces, or the penalised minimiser of another loss.
    mean, std : (channels,) float64 arrays
        In the data's units; channels are last, a table has one number a column.
    classes : (k,) array of int or str
    meta : dict
        JSON values: format, method, theorem, ridge, distilled_ridge, loss, labels, features (a specification), dtype,
        name and sha256 of the data, certificate, versions, seconds by stage.
    intercept : (k,) float64 array or None
        Unpenalised intercept of the model (T12).
    class_means : (k, *image_shape) float64 array or None
        Mean training image of each class, for comparison.
    references : (r, *image_shape) float64 array or None
        Real images in pixel units that the points of a realistic set are near copies of: one for each point, in their
        order (r = m, or m - 1 with a box), or one image for all.
    path : (L, k, p) float64 array or None
        What ridge regression on the set reproduces for each of ``ridges``, where there are several (T11).
    path_intercepts : (L, k) float64 array or None
        The intercepts that go with them.
    descent : (S, k, p) float64 array or None
        Of a trajectory set: the weights W_t of gradient descent from 0 on the data after some steps (T19); the steps
        and their size are ``steps_at`` and ``step`` of the diagnostics.
    subspace : (p, r) float64 array or None
        Of a future set: orthonormal directions, in which the features of samples that come or go lie (T23).
    levels : (m, *image_shape) uint8 or uint16 array or None
        Integer pixels (T24): x is ``low + step * levels`` and inputs are ``(x - mean) / std``, to the last bit.
    low, step : () float64 arrays or None
        In the data's units.
    code : FeatureMap or None
        The feature map, where it is code that no file holds.
    """

    class_means: np.ndarray | None = None
    references: np.ndarray | None = None
    path: np.ndarray | None = None
    path_intercepts: np.ndarray | None = None
    descent: np.ndarray | None = None
    subspace: np.ndarray | None = None
    code: FeatureMap | None = None

    def __post_init__(self) -> None:
        if self.inputs.ndim != 2 or self.w.ndim != 2 or not 2 <= self.x.ndim <= 4 or not self.x.size or not self.w.size:
            shapes = f"{self.inputs.shape}, {self.w.shape} and {self.x.shape}"
            raise DataError(f"inputs must be (m, d), w (k, p) and x (m, *image_shape), none empty, got {shapes}")
        m, k = len(self.inputs), len(self.w)
        require_meta(self.meta, k)
        of_references = self.meta.get("reference_classes")
        problems = {
            "y": self.y.shape == (m, k),
            "x": self.x.shape[0] == m and self.x.size == self.inputs.size,
            "classes": self.classes.shape == (k,),
            "mean and std": self.mean.shape == self.std.shape and self.mean.shape in _channels(self.x.shape[1:]),
            "intercept": self.intercept is None or self.intercept.shape == (k,),
            "class_means": self.class_means is None or self.class_means.shape == (k, *self.x.shape[1:]),
            "references": self.references is None
            or (
                self.references.shape[1:] == self.x.shape[1:]
                and len(self.references) in (1, m - 1, m)
                and (of_references is None or len(of_references) == len(self.references))
            ),
            "path": self.path is None or self.path.shape == (len(self.ridges), *self.w.shape),
            "descent": self.descent is None or self.descent.shape == (len(steps_at(self.meta)), *self.w.shape),
            "subspace": self.subspace is None
            or (self.subspace.ndim == 2 and len(self.subspace) == self.w.shape[1] >= self.subspace.shape[1] > 0),
            "levels, low and step": (self.levels is None) == (self.low is None) == (self.step is None),
        }
        if self.path_intercepts is not None:
            problems["path_intercepts"] = self.path is not None and self.path_intercepts.shape == self.path.shape[:2]
        wrong = [name for name, right in problems.items() if not right]
        if wrong:
            raise DataError(f"the arrays of a distilled set must fit together; {', '.join(wrong)} has another shape")
        if self.levels is not None:
            self._require_levels(self.levels)
        if self.path is None and len(self.ridges) > 1:
            raise DataError(f"a set for {len(self.ridges)} ridges must have a path of weights for each, got none")
        if not np.all(self.std > 0.0):
            raise DataError(f"std must be > 0, got {self.std.min()}")
        if self.subspace is not None:
            _require_orthonormal(self.subspace)

    def _require_levels(self, levels: np.ndarray) -> None:
        """Refuse integers that are not those of the inputs: of these alone a certificate speaks."""
        low, step = np.asarray(self.low), np.asarray(self.step)
        if levels.dtype not in (np.uint8, np.uint16) or levels.shape != self.x.shape:
            raise DataError(f"levels must be uint8 or uint16 as x is shaped, got {levels.dtype} {levels.shape}")
        inputs = normalised(low + step * levels.astype(np.float64), self.mean, self.std)
        if not np.array_equal(inputs, self.inputs):
            difference = np.abs(inputs - self.inputs).max()
            raise DataError(f"inputs must be those of levels, got a difference of up to {difference:.3g}")

    @property
    def feature_map(self) -> FeatureMap:
        """The feature map, rebuilt from the specification; of a map that is code, the one that was passed."""
        if self.code is not None:
            return self.code
        return from_spec(self.meta["features"], d=self.inputs.shape[1], p=self.w.shape[1])

    @property
    def ridges(self) -> tuple[float, ...]:
        """Every lambda_s that the set is exact for; ``ridge`` is the first."""
        return tuple(float(ridge) for ridge in self.meta.get("distilled_ridges") or [self.meta["distilled_ridge"]])

    def verify(self) -> Found:
        """Certify the set; see :meth:`certify`."""
        return self.certify()

    def save(self, path: str | Path) -> None:
        """Write the set to ``path`` (npz); see :func:`save_distilled`."""
        save_distilled(path, self)

    def export(self, format: str, path: str | Path) -> Exported:
        """Write the set in the format of another program; see :func:`analytic_dd.export.export`."""
        return export(self, format, path)

    def plot(self, path: str | Path | None = None, *, ax: Any = None) -> None:
        """Draw the points as a PNG, SVG or PDF file, or into axes of matplotlib."""
        if (path is None) == (ax is None):
            raise ValueError("plot takes a path or ax=, got " + ("neither" if path is None else "both"))
        if path is None:
            draw_on(self, ax)
        else:
            draw_set(self, Path(path))

    def to_numpy(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs (m, d) and labels (m, k) that a model with ``loss`` and ``ridge`` is to be fitted on."""
        return self.inputs.copy(), self.y.copy()

    def to_torch(self, *, device: str = "cpu") -> tuple[Any, Any]:
        """Return the inputs (m, d) and labels (m, k) as float64 torch tensors."""
        import torch

        return torch.tensor(self.inputs, device=device), torch.tensor(self.y, device=device)

    def __repr__(self) -> str:
        certificate = self.meta.get("certificate") or {}
        verdict = certificate.get("verdict", "not certified")
        loss = "" if self.loss == "squared" else f"{self.loss} loss, "
        return (
            f"DistilledSet({len(self.inputs)} points for {self.meta['features']['map']} (p = {self.w.shape[1]}), "
            f"{self.meta['labels']} labels, {self.meta['theorem']}, {loss}ridge {self.ridge:.4g}: "
            f"{verdict})"
        )

    def _repr_html_(self) -> str:
        rows = {
            "data": self.meta["data"]["name"],
            "points": len(self.inputs),
            "features": f"{self.meta['features']['map']} (p = {self.w.shape[1]})",
            "labels": self.meta["labels"],
            "theorem": self.meta["theorem"],
            "ridge": f"{self.ridge:.4g}",
            "certificate": (self.meta.get("certificate") or {}).get("verdict", "not certified"),
        }
        cells = (f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in rows.items())
        images = []
        if self.x.ndim > 2:
            images = [base64.b64encode(file).decode() for file in thumbnails(self, most=_THUMBNAILS)[0]]
        style = "width:4em;image-rendering:pixelated;margin:1px"
        shown = "".join(f'<img style="{style}" src="data:image/png;base64,{image}">' for image in images)
        return f"<table>{''.join(cells)}</table>{shown}"

    def certify(self, *, inputs: np.ndarray | None = None) -> Found:
        """Certify the set (T16, T18): its inputs, or others in their place, through the feature map, in float64.

        Of several ridges (T11) the worst certificate is returned; :meth:`certificates` has all.
        """
        return worst(self.certificates(inputs=inputs))

    def certificates(self, *, inputs: np.ndarray | None = None) -> list[Found]:
        """Certify the set for each of ``ridges``; see :meth:`certify`."""
        W = self.w[None] if self.path is None else np.concatenate([self.w[None], self.path[1:]])  # users fit w
        b = [self.intercept] * len(W) if self.path_intercepts is None else list(self.path_intercepts)
        X = self.inputs if inputs is None else inputs
        return certificates_of(self.feature_map, X, self.y, weights=W, intercepts=b, ridges=self.ridges, loss=self.loss)

    def steps_found(self) -> StepsFound | None:
        """Compare gradient descent on the set with the stored weights of its steps (T19); None where there are none."""
        if self.descent is None:
            return None
        Phis = self.feature_map(self.inputs)
        return steps_of_set(
            self.descent,
            Phis,
            self.y,
            step=self.meta["diagnostics"]["step"],
            at=steps_at(self.meta),
            centred=self.intercept is not None,
            map_condition=map_amplification(self.feature_map, self.inputs, Phis),
        )

    def false_claims(self, found: Found, steps: StepsFound | None = None) -> list[str]:
        """Return what the file says of itself that is not so, given the certificate and the steps found now."""
        names = ("classes", "w", "intercept", "path", "path_intercepts")
        arrays = {name: getattr(self, name) for name in names}
        return false_claims(self.meta, arrays, found, steps or self.steps_found())

    def inputs_from_pixels(self) -> np.ndarray:
        """Return ``(x - mean) / std`` (m, d): the inputs as they come back from the images."""
        return normalised(self.x, self.mean, self.std)


def _require_orthonormal(V: np.ndarray) -> None:
    """Refuse a subspace whose columns are not orthonormal up to rounding."""
    with np.errstate(all="ignore"):
        off = float(np.abs(V.T @ V - np.eye(V.shape[1])).max())
    if not off <= RATIO_LIMIT * V.shape[0] * np.finfo(np.float64).eps:
        raise DataError(f"the subspace of a set must have orthonormal columns, got V^T V off by {off:.3g}")


def _channels(image_shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that a mean may have: a number a channel for images, one number or one a column for rows."""
    return ((image_shape[2],),) if len(image_shape) == 3 else ((1,), image_shape)[: 3 - len(image_shape)]


def save_distilled(path: str | Path, distilled: DistilledSet) -> None:
    """Write a distilled set to ``path`` (npz), atomically and without pickles.

    Raises
    ------
    TypeError
        Not a :class:`DistilledSet`.
    OSError
        The folder cannot be written or the disk is full; what stood at ``path`` is still there.

    Notes
    -----
    Keys: ``inputs, x, y, w, mean, std, classes, meta`` (UTF-8 JSON as uint8), and ``intercept, class_means,
    references, path, path_intercepts, descent, subspace, levels, low, step`` where there are any.
    """
    if not isinstance(distilled, DistilledSet):
        raise TypeError(f"expected a DistilledSet, as load_distilled returns, got {type(distilled).__name__}")
    arrays = {name: getattr(distilled, name) for name in ("inputs", "x", "y", "w", "mean", "std", "classes")}
    for name in (*_OPTIONAL, "levels"):
        if getattr(distilled, name) is not None:
            arrays[name] = getattr(distilled, name)
    meta = to_json({"format": FORMAT} | distilled.meta).encode()
    write_npz(path, arrays | {"meta": np.frombuffer(meta, dtype=np.uint8)})


def load_distilled(path: str | Path, *, feature_map: FeatureMap | Callable[[Any], Any] | None = None) -> DistilledSet:
    """Read a distilled set, or the ``distilled.npz`` of a folder.

    Parameters
    ----------
    path : str or Path
    feature_map : FeatureMap, torch module or callable, optional
        The map of a set whose map is code: no code is imported from a file. Its specification must be that of the file.

    Raises
    ------
    DataError
        Not a distilled set of this format (a :class:`BenchSetError` for the sets of bench), or a damaged or hostile
        file; nothing is unpickled. ``x`` must be ``inputs * std + mean`` to rounding. Another feature map than the one
        that the set was made with.
    OSError
        The file cannot be opened.
    """
    path = expanded(path)
    if path.is_dir():
        settle(path)
        path = path / "distilled.npz"
    stored = read_npz(path, most_inflation=_INFLATION)
    try:
        meta = json.loads(bytes(stored.pop("meta")).decode())
        found = meta["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not a distilled set: it has no readable meta; make it with analytic-dd distill"
        ) from error
    if found == _OF_BENCH:
        raise BenchSetError(f"{path} is a set of bench: no weights are stored with it that could be certified")
    if found != FORMAT:
        raise DataError(f"{path} has format {found!r}, this version reads {FORMAT}; distil again or change the version")
    try:
        for name in (*_NUMBERS, *(name for name in _OPTIONAL if name in stored)):
            if stored[name].dtype != np.float64 or not np.all(np.isfinite(stored[name])):
                raise DataError(f"{name} must be finite float64")
        known = {*_NUMBERS, *_OPTIONAL, "classes", "levels"}
        if set(stored) - known:
            raise TypeError(f"no array of a set is called {', '.join(sorted(set(stored) - known))}")
        distilled = DistilledSet(**stored, meta=meta, code=None)
        _require_same_images(distilled)
    except KeyError as error:
        raise DataError(f"{path}: the array {error} is missing; the file is damaged, distil again") from error
    except TypeError as error:
        raise DataError(f"{path} holds arrays that are no part of a distilled set ({error})") from error
    except DataError as error:
        raise DataError(f"{path}: {error}; the file is damaged, distil again") from error
    if feature_map is None:
        return distilled
    shape = distilled.meta["features"].get("input_shape", distilled.x.shape[1:])
    distilled = replace(distilled, code=as_feature_map(feature_map, distilled.inputs[:1], shape))
    _require_same_map(distilled)
    return distilled


def _require_same_map(distilled: DistilledSet) -> None:
    """Refuse a map that was passed and is not the one that the file names, by its specification."""
    assert distilled.code is not None
    stored = distilled.meta["features"]
    passed = as_earlier(json.loads(to_json(distilled.code.spec())), stored)
    if passed != stored:
        different = [key for key in sorted({*passed, *stored}) if passed.get(key) != stored.get(key)]
        raise DataError(f"the set was made with another feature map: {', '.join(different)} differ; pass that one")


def _require_same_images(distilled: DistilledSet) -> None:
    """Refuse images that are not those of the inputs; another machine may round a product and a sum differently."""
    inputs, mean, std = distilled.inputs, distilled.mean, distilled.std
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(distilled.x - pixels(inputs, mean, std, distilled.x.shape[1:]))
        rounding = 8.0 * np.finfo(float).eps * pixels(np.abs(inputs), np.abs(mean), std, distilled.x.shape[1:])
    if not np.all(difference <= rounding):
        raise DataError(f"x must be inputs * std + mean, got a difference of up to {difference.max():.3g}")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    libraries = ("analytic-dd", "numpy", "scipy", "scikit-learn", "array-api-compat")
    return found | {name: metadata.version(name) for name in libraries}
