"""Kernels of infinitely wide networks from neural-tangents (JAX) as torch functions, loaded when one is asked for.

The last release, neural-tangents 0.6.5, imports names that later versions of jax have moved. They are put back while it
is imported, and then taken away again.
"""

from __future__ import annotations

import importlib
import math
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from analytic_dd.baselines.methods.kernels import Kernel

__all__ = ["NeuralTangentsKernel", "load"]

_MOVED = ("Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var")  # from jax.core to jax.extend.core


def load() -> Any:
    """Return the module ``neural_tangents``.

    Raises
    ------
    ImportError
        It or jax is not installed; the message says how to get them.
    """
    if sys.modules.get("neural_tangents") is not None:
        return sys.modules["neural_tangents"]
    try:
        with _moved_names():
            return importlib.import_module("neural_tangents")
    except ImportError as error:
        raise ImportError(
            "the engine neural-tangents needs the extra ntk: pip install 'analytic-dd[ntk]', then "
            f"pip install --no-deps neural-tangents==0.6.5 ({error})"
        ) from error


@contextmanager
def _moved_names() -> Iterator[None]:
    """Put names where neural-tangents looks for them and does not find them."""
    core, ad = importlib.import_module("jax.core"), importlib.import_module("jax.interpreters.ad")
    extended = importlib.import_module("jax.extend.core")
    added = [(core, name, getattr(extended, name)) for name in _MOVED if not hasattr(core, name)]
    if not hasattr(ad, "zeros_like_p"):
        added.append((ad, "zeros_like_p", object()))  # the key of a rule that then never applies
    modules = {"neural_tangents.experimental": types.ModuleType("neural_tangents.experimental")}  # needs tensorflow
    try:
        importlib.import_module("jax.util")
    except ImportError:
        modules["jax.util"] = _jax_util()
    for module, name, value in added:
        setattr(module, name, value)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for module, name, _ in added:
            delattr(module, name)
        sys.modules.pop("jax.util" if "jax.util" in modules else "", None)


def _jax_util() -> types.ModuleType:
    """Return the map and zip of jax.util, which refuse sequences of different lengths."""

    def safe_zip(*sequences: Any) -> list[Any]:
        return list(zip(*sequences, strict=True))

    def safe_map(function: Callable[..., Any], *sequences: Any) -> list[Any]:
        return [function(*items) for items in zip(*sequences, strict=True)]

    module = types.ModuleType("jax.util")
    module.safe_zip, module.safe_map = safe_zip, safe_map  # type: ignore[attr-defined]
    return module


@dataclass(frozen=True)
class NeuralTangentsKernel(Kernel):
    """The NTK or NNGP kernel of an infinitely wide ReLU network, computed by neural-tangents; torch in, torch out.

    Notes
    -----
    *Cost.* The computation runs in JAX on its own device; values and gradients are copied from and to torch. Each new
    pair of shapes is compiled once.

    References
    ----------
    Novak, Xiao, Hron, Lee, Alemi, Sohl-Dickstein, Schoenholz, "Neural Tangents", ICLR 2020.
    """

    # (h, w, c), or None: layers are then fully connected and take rows; with a shape they are 3 x 3 convolutions
    # with zero padding of images, channels last
    image_shape: tuple[int, int, int] | None = None
    depth: int = 1  # number of hidden layers, which one linear layer of all numbers follows
    of: str = "ntk"  # "ntk" or "nngp"
    W_std: float = math.sqrt(2.0)
    b_std: float = 0.1
    name: ClassVar[str] = "neural-tangents"

    @cached_property
    def _function(self) -> Callable[..., Any]:
        """The compiled kernel of two arrays; with None for the second it is the Gram matrix of the first."""
        stax = load().stax
        import jax

        options = {"W_std": self.W_std, "b_std": self.b_std}
        layers: list[Any] = []
        for _ in range(self.depth):
            if self.image_shape is None:
                layers += [stax.Dense(1, **options), stax.Relu()]
            else:
                layers += [stax.Conv(1, (3, 3), padding="SAME", **options), stax.Relu()]
        layers += [] if self.image_shape is None else [stax.Flatten()]
        kernel = stax.serial(*layers, stax.Dense(1, **options))[2]
        compiled: Callable[..., Any] = jax.jit(lambda X, X2: kernel(X, X2, self.of))
        return compiled

    def __call__(self, X: torch.Tensor, X2: torch.Tensor | None = None) -> torch.Tensor:
        """Return the matrix of the kernel."""
        K: torch.Tensor = _InJax.apply(self, X, X2)
        return K

    def in_jax(self, X: torch.Tensor) -> Any:
        """Return rows as a jax array of the shape that the network takes."""
        import jax.numpy as jnp

        shape = (X.shape[1],) if self.image_shape is None else self.image_shape
        return jnp.asarray(X.detach().cpu().numpy().reshape(X.shape[0], *shape))


class _InJax(torch.autograd.Function):
    """The kernel matrix and its gradient in the first argument, or in both."""

    @staticmethod
    def forward(ctx: Any, kernel: NeuralTangentsKernel, X: torch.Tensor, X2: torch.Tensor | None) -> torch.Tensor:
        import jax

        function = kernel._function
        ctx.kinds = [None if A is None else (A.shape, A.dtype, A.device) for A in (X, X2)]
        with jax.enable_x64(X.dtype == torch.float64):
            arrays = [None if A is None else kernel.in_jax(A) for A in (X, X2)]
            if any(ctx.needs_input_grad):
                K, ctx.pull_back = jax.vjp(function, *arrays)
            else:
                K = function(*arrays)
        return _in_torch(K, X.dtype, X.device)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(gradient.dtype == torch.float64):
            found = ctx.pull_back(jnp.asarray(gradient.detach().cpu().numpy()))
        needed = ctx.needs_input_grad[1:]
        parts = [
            _in_torch(g, kind[1], kind[2]).reshape(kind[0]) if need else None
            for g, kind, need in zip(found, ctx.kinds, needed, strict=True)
        ]
        return None, *parts


def _in_torch(A: Any, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    import numpy as np

    return torch.from_numpy(np.array(A)).to(device=device, dtype=dtype)
