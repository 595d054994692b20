r"""Maps that do not tell an image from its mirror image.

For the reflection R of columns, which is its own inverse and transpose,

    phi(x) = ( psi(x) + psi(R x) ) / 2 ,      J_phi(x) = ( J_psi(x) + J_psi(R x) R ) / 2 ,      phi(R x) = phi(x) .

A model on phi decides for an image and its mirror image alike, as one that is fitted on psi of both would on average.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from analytic_dd.arrays import Array, namespace
from analytic_dd.features.base import ForwardMap

__all__ = ["MirrorAverage"]


class MirrorAverage(ForwardMap):
    """A map psi, or with ``mirror`` its average over an image and the mirror image.

    A subclass writes ``_one``, ``_one_jvp``, ``_one_vjp`` and ``_one_jacobian``, which are those of psi.
    """

    mirror: bool
    shape_in: tuple[int, int, int]

    @abstractmethod
    def _one(self, X: Array) -> Array: ...

    @abstractmethod
    def _one_jvp(self, X: Array, V: Array) -> Array: ...

    @abstractmethod
    def _one_vjp(self, X: Array, U: Array) -> Array: ...

    @abstractmethod
    def _one_jacobian(self, x: Array) -> Array: ...

    def _map(self, X: Array) -> Array:
        return self._averaged(lambda reflect: self._one(reflect(X)))

    def _jvp(self, X: Array, V: Array) -> Array:
        return self._averaged(lambda reflect: self._one_jvp(reflect(X), reflect(V)))

    def _vjp(self, X: Array, U: Array) -> Array:
        return self._averaged(lambda reflect: reflect(self._one_vjp(reflect(X), U)))

    def _jacobian(self, x: Array) -> Array:
        return self._averaged(lambda reflect: reflect(self._one_jacobian(reflect(x))))

    def _averaged(self, value: Callable[[Callable[[Array], Array]], Array]) -> Array:
        """Return ``value`` of the identity, or the average of its values for the identity and the reflection."""
        own = value(lambda X: X)
        if not self.mirror:
            return own
        own = own + value(self._reflected)
        own *= 0.5
        return own

    def _reflected(self, X: Array) -> Array:
        """Return the rows of ``X`` with the columns of their images in reverse order."""
        xp = namespace(X)
        return xp.reshape(xp.flip(xp.reshape(X, (-1, *self.shape_in)), axis=2), (-1, self.d))
