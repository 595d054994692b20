"""torch as a run finds it, whatever its caller has switched on: a seed alone determines the results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["plain_torch"]

_KINDS = ("cpu", "cuda", "mps", "xpu")


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Run with the global state that torch begins with, and give the caller's back; also a decorator.

    The default dtype is float32, the default device the CPU, products of float32 are those of float32; gradients are
    recorded, in no inference mode; nothing is cast by autocast; the random state is the caller's again at the end.

    Examples
    --------
    >>> with torch.no_grad(), torch.autocast("cpu"), plain_torch():
    ...     torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_default_dtype()
    (True, False, torch.float32)
    """
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in _KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        try:
            torch.set_default_dtype(torch.float32)
            torch.set_float32_matmul_precision("highest")
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(precision)
