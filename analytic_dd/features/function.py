"""Any function on arrays as a feature map that is known forwards only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from analytic_dd.arrays import Array, as_matrix
from analytic_dd.features.base import FeatureMap, ForwardMap
from analytic_dd.features.network import Network
from analytic_dd.features.registry import register

__all__ = ["Function", "as_feature_map"]


@register("function")
class Function(ForwardMap):
    """A function from arrays (n, d) to arrays (n, p), row by row; its derivatives are central differences.

    Theorem: T9, T22 (sets near real inputs); every construction in feature space.

    Parameters
    ----------
    function : callable
        It takes and returns arrays of one library, and each row of the result depends only on the same row of the
        input.
    d, p : int
        Sizes of an input and of a feature vector.

    Notes
    -----
    The function is code, which is not stored with a distilled set; whoever loads the set passes it again.

    Examples
    --------
    >>> import numpy as np
    >>> phi = Function(np.sin, 3, 3)
    >>> phi(np.zeros((1, 3)))
    array([[0., 0., 0.]])
    >>> phi.preimage(np.zeros((1, 3)))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T9: a map that is known forwards only has no pre-images, got sin; use near \
copies of real inputs (near_copies), or points whose features span the features (T10)
    """

    is_code = True

    def __init__(self, function: Callable[[Array], Array], d: int, p: int) -> None:
        self.function, self.d, self.p = function, int(d), int(p)
        self.title = str(getattr(function, "__name__", type(function).__name__))

    def _map(self, X: Array) -> Array:
        Phi = self.function(X)
        as_matrix(Phi, "features of the function", rows=X.shape[0], columns=self.p)
        return Phi

    def options(self) -> dict[str, Any]:
        """Return the name of the function and the sizes; no map is rebuilt from them."""
        return {"function": self.title, "d": self.d, "p": self.p}


def as_feature_map(
    function: FeatureMap | Callable[[Array], Array], like: Array, image_shape: Sequence[int] | None = None
) -> FeatureMap:
    """Return a feature map unchanged, and wrap a function after looking at its features of ``like`` (n, d).

    A torch module becomes a :class:`Network` of images of this shape, of vectors without one.

    Examples
    --------
    >>> import numpy as np
    >>> as_feature_map(lambda X: X[:, :2], np.zeros((1, 3))).p
    2
    """
    if isinstance(function, FeatureMap):
        return function
    torch = sys.modules.get("torch")  # who has a module has imported it
    if torch is not None and isinstance(function, torch.nn.Module):
        return Network(function, (like.shape[1],) if image_shape is None else image_shape)
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"features must be a feature map, or text such as identity or fcnn:depth=2, got {function!r}")
    Phi = as_matrix(function(like), "features of the function", rows=like.shape[0])
    return Function(function, like.shape[1], Phi.shape[1])
