"""Any torch module as a feature map that is known forwards only, with derivatives by torch.func."""

from __future__ import annotations

import copy
import math
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import Array, as_matrix, device_of, dtype_name, namespace, to_numpy, without_autocast
from analytic_dd.errors import ShapeError
from analytic_dd.features.base import FeatureMap, ForwardMap
from analytic_dd.features.modules import architecture_of, module_named, sha256_of, views
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.sizes import as_sizes
from analytic_dd.linalg.threads import PREFIX, one_torch_thread, shared_among_threads

if TYPE_CHECKING:
    import torch

__all__ = ["Network"]

_BLOCK_BYTES = 16 * 2**20  # of a block of inputs in the widest layer: more leave the caches between two layers
_COPIES_BYTES = 2**30  # of the weights of all copies of a module, one for each thread
_CHUNK, _CHUNK_BYTES = 64, 48 * 2**20  # rows of a Jacobian at a time, and the bytes of so many in the widest layer
_SAME = 0.01  # of the largest feature: kernels differ by less, dropout and batch statistics by more


@dataclass(frozen=True)
class NetworkOptions(MapOptions):
    """What text may say of a :class:`Network`: where the function is that makes the module."""

    whole: ClassVar[bool] = True

    factory: str = option("", "PACKAGE.MODULE:FACTORY, a function without arguments that returns a torch module")

    def __post_init__(self) -> None:
        if not all(self.factory.partition(":")):
            raise ValueError(
                f"features 'network' need a function that makes the module, got {self.factory!r}; write "
                "network:PACKAGE.MODULE:FACTORY"
            )

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map of the module that the function returns."""
        return Network(module_named(self.factory), image_shape)


@register("network", NetworkOptions)
class Network(ForwardMap):
    """A torch module from images or vectors to feature vectors, frozen and in evaluation mode.

    Theorem: T22b (near copies of a few real inputs carry a model on this map), T9 where its Jacobian has rank p.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, channels, rows, columns) or (n, d) to (n, p). A copy is taken, so that later training changes nothing.
    input_shape : sequence of int
        An input row is (rows, columns, channels), (rows, columns) or (d,), channels last as everywhere in this package;
        images reach the module as (n, channels, rows, columns).
    name : str, optional
        What the specification calls it; the name of the class by default.

    Raises
    ------
    ShapeError
        The module does not take such inputs, or gives no matrix (n, p).
    TypeError
        ``module`` is not a torch module, or it was compiled by torch.jit in part or as a whole.
    ValueError
        Features depend on chance or on other rows, also in evaluation mode.

    Warns
    -----
    UserWarning
        The module is in training mode: the copy is put into evaluation mode, without dropout and batch statistics.

    Notes
    -----
    Arrays of any library go in, and features of the same library, dtype and device come out. The module computes in the
    dtype of the inputs; one that was trained in float32 gives features of float64 accuracy for float64 inputs.

    No file holds the module. Its specification has the SHA-256 of the weights and buffers, and one of the architecture:
    the text that torch prints of the module, and names, shapes and dtypes of its numbers in their order. Whoever loads
    a set passes the map, and other weights or layers are refused. What only the code of ``forward`` says is not seen.

    *Cost.* A Jacobian is min(p, d) products with it, at most 64 at a time; backwards, features that are 0 with their
    derivative take none. Rows of numpy on a CPU are shared among as many Python threads as torch has, from the main
    thread; each has a copy of the module for each dtype, of up to 1 GiB in all for one dtype.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh()).eval()
    >>> phi = Network(module, (4,))
    >>> phi.d, phi.p, phi(np.ones((2, 4))).shape, phi.jacobian(np.ones(4)).shape
    (4, 3, (2, 3), (3, 4))
    >>> Network(torch.nn.Conv2d(1, 2, 3).eval(), (5, 5))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: the module must give a matrix (n, p), got shape (3, 2, 3, 3); end it with \
torch.nn.Flatten()
    """

    is_code = True

    def __init__(self, module: torch.nn.Module, input_shape: int | Sequence[int], *, name: str | None = None) -> None:
        import torch

        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"module must be a torch.nn.Module, got {type(module).__name__}; features.Function takes any"
            )
        compiled = [part for part in module.modules() if isinstance(part, torch.jit.ScriptModule)]
        if compiled:
            raise TypeError(
                f"module must not be compiled by torch.jit, got {type(compiled[0]).__name__}; pass the module that "
                "was scripted or traced"
            )
        self.input_shape = as_sizes("input_shape", input_shape)
        if len(self.input_shape) > 3:
            raise ShapeError(f"input_shape must be (d,), (rows, columns) or with channels, got {self.input_shape}")
        if any(part.training for part in module.modules()):
            warnings.warn("the module is in training mode; its copy is put into evaluation mode", stacklevel=2)
        self.title = type(module).__name__ if name is None else name
        self.sha256, self.architecture = sha256_of(module), architecture_of(module)
        self._module = copy.deepcopy(module).eval().requires_grad_(False)
        self._copies: dict[tuple[str, str, str], torch.nn.Module] = {}
        self.d = math.prod(self.input_shape)
        self._layer = 0  # numbers of the largest layer of one input
        self._channels_first = False
        self._sums: bool | None = None
        weight = self._number()
        self.made_in = "" if weight is None else dtype_name(weight)
        weight = torch.zeros(1) if weight is None else weight
        probe = np.random.default_rng(0).standard_normal((3, self.d))
        self.p = self._probed(torch.as_tensor(probe, dtype=weight.dtype, device=weight.device))

    def _number(self) -> torch.Tensor | None:
        """Return the first floating point parameter, or the first such buffer, or None."""
        every = (*self._module.parameters(), *self._module.buffers())
        return next((T for T in every if T.is_floating_point()), None)

    def _probed(self, X: torch.Tensor) -> int:
        """Return the number of features, and refuse features that depend on chance or on other rows."""
        import torch

        def seen(layer: torch.nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                self._layer = max(self._layer, output.numel() // len(X))

        hooks = [layer.register_forward_hook(seen) for layer in self._module.modules()]
        with torch.no_grad(), without_autocast():
            if len(self.input_shape) == 3:
                images = X.reshape(-1, *self.input_shape).permute(0, 3, 1, 2)
                self._channels_first = views(lambda: self._module(images))
            found = self._called(X)
            for hook in hooks:
                hook.remove()
            again, fewer = (self._called(rows) for rows in (X, X[:2]))
        size = _SAME * float(found.abs().max()) if bool(torch.isfinite(found).all()) else math.inf
        for other, why in ((again, "chance (dropout that is never off)"), (fewer, "other rows (batch statistics)")):
            if float((found[: len(other)] - other).abs().nan_to_num(0.0).max()) > size:
                raise ValueError(
                    f"features of {self.title} must depend on their own row alone, got some that depend on {why}; "
                    "take that layer out, or give it an evaluation mode"
                )
        return int(found.shape[1])

    def _called(self, X: torch.Tensor) -> torch.Tensor:
        """Return the features of rows, which must be a matrix."""
        import torch

        images = self._images(X)
        try:
            found = self._module(images)
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise ShapeError(
                f"the module must take inputs of shape {tuple(images.shape)}, got an error: {reason}; channels are "
                "last in input_shape and first in the module"
            ) from error
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or not found.is_floating_point():
            got = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise ShapeError(f"the module must give a matrix (n, p), got {got}; end it with torch.nn.Flatten()")
        return found

    def _images(self, X: torch.Tensor) -> torch.Tensor:
        """Return rows as images, which the module takes."""
        if len(self.input_shape) == 1:
            return X
        h, w, c = (*self.input_shape, 1)[:3]
        if c == 1:
            return X.reshape(-1, 1, h, w)
        images = X.reshape(-1, h, w, c).permute(0, 3, 1, 2)
        # Convolutions of float32 take channels last in memory, those of float64 take twice the time then
        return images.contiguous() if self._channels_first or X.dtype.itemsize == 8 else images

    def _function(self, X: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return a function of rows, by a copy of the module in the dtype and on the device of ``X``.

        Threads that share blocks have copies of their own, since a module may keep what it computes.
        """
        thread = threading.current_thread().name
        key = str(X.dtype), str(X.device), thread if thread.startswith(PREFIX) else ""
        if key not in self._copies:
            self._copies[key] = copy.deepcopy(self._module).to(dtype=X.dtype, device=X.device)
        module = self._copies[key]
        return lambda rows: module(self._images(rows))

    def _tensor(self, X: Array) -> torch.Tensor:
        import torch

        if compat.is_torch_array(X):
            return X
        weight = self._number()
        return torch.as_tensor(np.array(to_numpy(X)), device="cpu" if weight is None else weight.device)

    def _returned(self, found: torch.Tensor, like: Array) -> Array:
        if compat.is_torch_array(like):
            return found
        values = found.detach().cpu().numpy()
        return namespace(like).asarray(values, dtype=like.dtype, device=device_of(like))

    def _map(self, X: Array) -> Array:
        import torch

        T = self._tensor(X)
        with torch.set_grad_enabled(torch.is_grad_enabled() and compat.is_torch_array(X)):
            found = self._mapped(T)
        as_matrix(found, f"features of {self.title}", rows=T.shape[0], columns=self.p)
        return self._returned(found, X)

    def _mapped(self, X: torch.Tensor) -> torch.Tensor:
        """Return what the module gives; say so in words where it fails."""
        import torch

        from analytic_dd.features.depthwise import SideBySide

        graph = torch.is_grad_enabled() and X.requires_grad  # it would keep each of the sums
        try:
            with nullcontext() if graph or not self._takes_sums(X) else SideBySide():
                return self._function(X)(X)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            reason, rows = str(error).strip().split("\n")[0], X.shape[0]
            if "memory" in reason:
                raise MemoryError(
                    f"{self.title} ran out of memory on {rows} inputs of shape {self.input_shape}; take smaller images "
                    "or a smaller network"
                ) from error
            raise ValueError(f"{self.title} must map {rows} inputs, got an error: {reason}; mend the module") from error

    def _takes_sums(self, X: torch.Tensor) -> bool:
        """Whether the module takes convolutions with channels side by side, which the first row in float64 shows."""
        from analytic_dd.features.depthwise import SideBySide

        if X.dtype.itemsize != 8 or X.device.type != "cpu" or not len(X):
            return False
        if self._sums is None:
            with SideBySide():
                self._sums = not views(lambda: self._function(X)(X[:1]))
        return self._sums

    def _jvp(self, X: Array, V: Array) -> Array:
        import torch

        T, D = self._tensor(X), self._tensor(V)
        T = T.expand(D.shape[0], -1).contiguous()
        return self._returned(torch.func.jvp(self._function(T), (T,), (D,))[1], V)

    def _vjp(self, X: Array, U: Array) -> Array:
        import torch

        T, C = self._tensor(X), self._tensor(U)
        T = T.expand(C.shape[0], -1)
        return self._returned(torch.func.vjp(self._function(T), T)[1](C)[0], U)

    def _jacobian(self, x: Array) -> Array:
        """Multiply by unit vectors on the shorter side, a chunk at a time."""
        if self.p <= self.d:
            return self._backwards(x)
        xp = namespace(x)
        unit, rows = xp.eye(self.d, dtype=x.dtype, device=device_of(x)), self._chunk()
        chunks = [self._jvp(x, unit[start : start + rows, :]) for start in range(0, self.d, rows)]
        return xp.concat(chunks, axis=0).T

    def _backwards(self, x: Array) -> Array:
        """A chunk of copies of the input is mapped once; each pass back through it gives as many rows."""
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            X = self._tensor(x).expand(min(self.p, self._chunk()), -1).clone().requires_grad_(True)
            found = self._function(X)(X)

            def product(C: torch.Tensor) -> torch.Tensor:
                return torch.autograd.grad(found, X, C, retain_graph=True)[0]

            J = torch.zeros((self.p, self.d), dtype=X.dtype, device=X.device)
            if found.requires_grad:
                rows = self._active(found.detach(), product)
                for some in torch.split(rows, len(X)):
                    C = torch.zeros_like(found)
                    C[torch.arange(len(some)), some] = 1.0
                    J[some] = product(C)[: len(some)]
        return self._returned(J, x)

    def _active(self, found: torch.Tensor, product: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Return the features that may have a derivative: all, or those that are not 0 where the others have none.

        The product with a random vector of the features that are 0 is 0 only where all of their derivatives are.
        """
        import torch

        off = found[0] == 0.0
        every = torch.arange(self.p, device=found.device)
        C = torch.zeros_like(found)
        weights = np.random.default_rng(0).standard_normal(int(off.sum()))
        C[0, off] = torch.as_tensor(weights, dtype=found.dtype, device=found.device)
        return every if bool(torch.any(product(C)[0] != 0.0)) else every[~off]

    def _widest(self) -> int:
        """Return the numbers of the largest layer: layers of a block stay near the processor."""
        return max(super()._widest(), self._layer)

    def _block_rows(self) -> int:
        return max(1, _BLOCK_BYTES // (8 * self._widest()))

    def _blockwise(self, function: Callable[..., Array], *inputs: Array, columns: int | None = None) -> Array:
        """Share blocks of numpy rows among Python threads: those of torch would wait for each other at each layer.

        Products forwards are not shared, since torch has one level of dual numbers for all threads.
        """
        rows, total = self._block_rows(), len(inputs[0])
        forwards = getattr(function, "func", function) == self._jvp
        threads = self._threads() if isinstance(inputs[0], np.ndarray) and not forwards else 1
        if threads == 1 or total <= rows:
            return super()._blockwise(function, *inputs, columns=columns)
        out = np.empty((total, self.p if columns is None else columns), dtype=inputs[0].dtype)

        def write(index: int) -> None:
            some = slice(index * rows, (index + 1) * rows)
            out[some] = function(*(A[some, :] for A in inputs))

        with one_torch_thread():
            shared_among_threads(write, math.ceil(total / rows), threads=threads)
        return out

    def _threads(self) -> int:
        """Return how many threads may have a copy of the module each, on a CPU and from the main thread."""
        import torch

        weight = self._number()
        if (
            weight is not None and weight.device.type != "cpu"
        ) or threading.current_thread() is not threading.main_thread():
            return 1
        copies = _COPIES_BYTES // max(1, sum(8 * T.numel() for T in self._module.state_dict().values()))
        return int(max(1, min(torch.get_num_threads(), copies)))

    def _chunk(self) -> int:
        """Return how many rows of a Jacobian are computed at once: fewer where a layer is large."""
        return max(1, min(_CHUNK, _CHUNK_BYTES // (8 * self._widest())))

    def options(self) -> dict[str, Any]:
        """Return the name, the sizes and the SHA-256 of weights and architecture; no map is rebuilt from them."""
        sums = {"sha256": self.sha256, "architecture": self.architecture}
        return {"name": self.title, "input_shape": list(self.input_shape), "p": self.p} | sums

    def save_weights(self, path: str | Path) -> None:
        """Write weights and buffers as safetensors, for :func:`~analytic_dd.features.modules.load_weights`."""
        from safetensors.torch import save_file

        save_file({key: T.contiguous().clone() for key, T in self._module.state_dict().items()}, str(path))

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_copies": {}}
