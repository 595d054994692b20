"""What a type checker, and so an editor, knows of results: `make types` reads this file; values are that here."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np

from analytic_dd import distill, load_distilled, ridge_weights
from analytic_dd.distill import Nearest
from analytic_dd.export import Exported
from analytic_dd.features import from_text
from analytic_dd.io import DistilledSet
from analytic_dd.labels import labels_for
from analytic_dd.model import FitOptions


def samples() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).standard_normal((40, 6)), np.arange(40) % 3


def test_a_set_and_its_arrays_have_types(tmp_path: Path) -> None:
    X, y = samples()
    small = distill(X, y, construction=Nearest(points_per_class=2), fit=FitOptions(ridge=1.0))
    assert_type(small, DistilledSet)
    small.save(tmp_path / "set.npz")
    stored = load_distilled(tmp_path / "set.npz")
    assert_type(stored, DistilledSet)
    assert_type(stored.inputs, np.ndarray)
    assert_type(stored.w, np.ndarray)
    assert_type(stored.ridge, float)
    assert_type(stored.meta, dict[str, Any])
    assert_type(stored.to_numpy(), tuple[np.ndarray, np.ndarray])
    assert_type(stored.verify().verdict, str)
    assert_type(stored.verify().relative_error, float)
    assert_type(stored.export("parquet", tmp_path / "set.parquet"), Exported)
    assert isinstance(stored, DistilledSet)
    assert {type(array) for array in (stored.inputs, stored.w, *stored.to_numpy())} == {np.ndarray}
    assert type(stored.verify().verdict) is str


def test_the_library_that_comes_in_goes_out() -> None:
    X, y = samples()
    Y: np.ndarray = np.eye(3)[y]
    W = ridge_weights(X, Y, ridge=1.0)
    assert_type(W, np.ndarray)
    assert_type(labels_for(X, W, ridge=1.0), np.ndarray)
    phi = from_text("fcnn", 6, image_shape=(6,), rng=np.random.default_rng(0))
    assert_type(phi(X), np.ndarray)
    assert_type(phi.preimage(phi(X)), np.ndarray)
    assert type(W) is type(phi(X)) is np.ndarray
