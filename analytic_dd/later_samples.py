"""Estimators whose samples come in parts or are forgotten: the sums of all samples are the memory (T13, T23)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from analytic_dd.arrays import as_weights, detached, host_array, refuse_masked
from analytic_dd.data.classes import classes_of_one_hot
from analytic_dd.model import ArraySource, Memory

__all__ = ["LaterClasses", "LaterOutputs", "LaterSamples", "as_classes", "plain"]


def plain(A: Any, name: str) -> Any:
    """Return an array for ``validate_data``, which would drop a mask in silence and stop at a gradient."""
    refuse_masked(A, name)
    return detached(A)


def _refuse_text(y: Any) -> None:
    """Refuse text in the place of outputs, and rows of unequal length."""
    values = np.ravel(host_array(y, "y"))
    text = [one for one in values if isinstance(one, (str, bytes))] if values.dtype.kind not in "biufc" else []
    if text:
        raise ValueError(
            f"y must hold numbers, the outputs of a regression, got text such as {str(text[0])!r:.50}; "
            "RidgeDistiller takes classes"
        )


def as_classes(y: Any) -> Any:
    """Return the class (n,) of each one-hot row of an array or of nested lists, and other labels as they are."""
    if not isinstance(y, (list, tuple)) and getattr(y, "ndim", 1) != 2:
        return y
    labels = host_array(y, "y")
    return classes_of_one_hot(labels) if labels.ndim == 2 else y


class LaterSamples:
    """The memory of an estimator, and how it changes. A call that fails leaves the estimator as it was."""

    _memory: Memory | None = None

    def _change(
        self: Any, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, classes: tuple[Any, ...] | None, *, sign: int
    ) -> None:
        """Add samples to the sums, or take them away, and distil the model of what is left."""
        ridges = self._ridges()
        construction, options = self._construction(ridges), self._fit_options(ridges)
        given = None if isinstance(self.references, str) else self._given_references(X)
        if sign < 0 and given is None and construction.references_for(2):
            raise ValueError(
                "references would be chosen among the samples to be forgotten; give them as an array, or leave out "
                "mode='nearest', mode='one-image', mode='near-copies', init='real'"
            )
        source = ArraySource(X, y, classes=classes, centred=construction.labels == "centred", weights=w)
        memory = self._memory or Memory.begun(source, self.features, options, seed=self._seed())
        memory = memory.changed(source, sign=sign)
        found = memory.distilled(construction, options, source, references=given)
        self._memory = memory
        self._take(found)

    def _require_memory(self: Any) -> None:
        check_is_fitted(self, "coef_")
        if self._memory is None:
            raise ValueError(
                "fit kept no sums of the samples (fewer samples than features, or another solver); start with "
                "partial_fit, or fit with solver='gram'"
            )

    def _checked(self, X: Any, y: Any, sample_weight: Any, **how: Any) -> tuple[Any, Any, np.ndarray | None]:
        """Return samples that are numbers, with their weights: one of weight 0 is left out (T12)."""
        X, y, sample_weight = plain(X, "X"), plain(y, "y"), plain(sample_weight, "sample_weight")
        if isinstance(sample_weight, (str, bytes)):
            as_weights(sample_weight, len(X))
        if how.get("y_numeric"):
            _refuse_text(y)
        else:
            y = as_classes(y)
        X, y = validate_data(self, X, y, dtype=np.float64, **how)
        if sample_weight is None:
            return X, y, None
        w = np.asarray(as_weights(_check_sample_weight(sample_weight, X, dtype=np.float64), len(X)))
        kept = w > 0.0
        return (X, y, w) if kept.all() else (X[kept], y[kept], w[kept])


class LaterClasses:
    """``partial_fit`` and ``forget`` of a classifier."""

    def partial_fit(self: Any, X: Any, y: Any, classes: Sequence[Any] | None = None, sample_weight: Any = None) -> Any:
        """Add samples, and distil the model of all that came so far: that of ``fit`` on all of them at once.

        Theorem: T13, T23a.

        Parameters
        ----------
        X, y, sample_weight :
            As for ``fit``; a call may hold any of the classes.
        classes : sequence, optional
            All classes that will ever come; required at the first call (but after ``fit``).

        Raises
        ------
        ValueError
            No classes at the first call; a class that is not among them.

        Notes
        -----
        What is kept are sums, p^2 + k p numbers, whatever the number of samples. They have no samples to leave out, so
        ``ridge="loo"`` takes generalised cross-validation here. A feature map that is named is drawn at the first call,
        by the seed and the samples of that call (pass a map to have the same one as elsewhere); references are chosen
        among the samples of the last call. *Cost.* One Gram product of the new samples and one eigendecomposition.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from analytic_dd import RidgeDistiller
        >>> X, y = load_digits(return_X_y=True)
        >>> model = RidgeDistiller(ridge=10.0, random_state=0)
        >>> for digit in range(10):  # one class at a time
        ...     model = model.partial_fit(X[y == digit], y[y == digit], classes=range(10))
        >>> whole = RidgeDistiller(ridge=10.0, random_state=0).fit(X, y)
        >>> len(model.distilled_X_), bool(np.allclose(model.coef_, whole.coef_, rtol=0, atol=1e-14))
        (10, True)
        """
        first = not hasattr(self, "classes_")
        X, y, w = self._checked(X, y, sample_weight, reset=first)
        check_classification_targets(y)
        if first:
            names = None if classes is None else np.unique(np.asarray(classes))
            if names is not None and len(names) < 2:
                raise ValueError(f"at least two classes are needed, got classes={list(names)}; add another class")
            _check_partial_fit_first_call(self, names)
        else:
            self._require_memory()
            if classes is not None:
                _check_partial_fit_first_call(self, np.unique(np.asarray(classes)))
        try:
            self._change(X, self._indices(y), w, tuple(self.classes_.tolist()), sign=1)
        except BaseException:
            if first:
                del self.classes_
            raise
        return self

    def forget(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Take samples away that were fitted before, and distil the model of those that are left.

        Theorem: T23c (sums with weight -1).

        Parameters
        ----------
        X, y, sample_weight :
            As they were given to ``fit`` or ``partial_fit``.

        Raises
        ------
        ValueError
            Samples that leave no sum of squares, with its eigenvalue: they were never fitted. All samples. (Sums cannot
            tell other samples from those that were fitted where a sum of squares is left.)

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from analytic_dd import RidgeDistiller
        >>> X, y = load_digits(return_X_y=True)
        >>> model = RidgeDistiller(ridge=10.0, random_state=0).fit(X, y).forget(X[:100], y[:100])
        >>> rest = RidgeDistiller(ridge=10.0, random_state=0).fit(X[100:], y[100:])
        >>> bool(np.allclose(model.coef_, rest.coef_, rtol=0, atol=1e-14))
        True
        >>> model.forget(100.0 * X[:1], y[:1])
        Traceback (most recent call last):
            ...
        ValueError: what is left is no sum of squares: its smallest eigenvalue is -2...e+07, rounding allows -...
        """
        self._require_memory()
        X, y, w = self._checked(X, y, sample_weight, reset=False)
        self._change(X, self._indices(y), w, tuple(self.classes_.tolist()), sign=-1)
        return self

    def _indices(self: Any, y: np.ndarray) -> np.ndarray:
        """Return the places of classes in ``classes_``."""
        new = np.setdiff1d(y, self.classes_)
        if len(new):
            raise ValueError(
                f"y has classes {new.tolist()[:5]} that are not among classes_ = {self.classes_.tolist()[:20]}; name "
                "all classes that will ever come at the first call of partial_fit"
            )
        return np.searchsorted(self.classes_, y)


class LaterOutputs:
    """``partial_fit`` and ``forget`` of a regressor."""

    def partial_fit(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Add samples, and distil the model of all that came so far; see :meth:`RidgeDistiller.partial_fit`.

        Theorem: T13, T23a.
        """
        first = not hasattr(self, "coef_")
        if not first:
            self._require_memory()
        return self._changed(X, y, sample_weight, sign=1, reset=first)

    def forget(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Take samples away that were fitted before; see :meth:`RidgeDistiller.forget`.

        Theorem: T23c (sums with weight -1).
        """
        self._require_memory()
        return self._changed(X, y, sample_weight, sign=-1, reset=False)

    def _changed(self: Any, X: Any, y: Any, sample_weight: Any, *, sign: int, reset: bool) -> Any:
        X, y, w = self._checked(X, y, sample_weight, multi_output=True, y_numeric=True, reset=reset)
        y = np.asarray(y, dtype=np.float64)
        columns = 1 if y.ndim == 1 else y.shape[1]
        if self._memory is not None and (columns != self._memory.k or (y.ndim == 1) != self._single):
            raise ValueError(f"y must have {self._memory.k} outputs as before, got an array of shape {y.shape}")
        self._single = y.ndim == 1
        self._change(X, y.reshape(len(y), -1), w, None, sign=sign)
        return self
