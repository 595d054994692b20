"""Torch modules: made by a function that a name says, told apart by their weights and layers, read from a file."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytic_dd.arrays import dtype_name
from analytic_dd.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = ["architecture_of", "imported", "load_weights", "module_named", "sha256_of", "views"]


def module_named(path: str) -> torch.nn.Module:
    """Return the module that the function at PACKAGE.MODULE:FACTORY makes, in evaluation mode.

    Warns
    -----
    UserWarning
        It had dropout or batch statistics in training mode.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    factory = imported(path, "the function")
    _require_factory(factory, path)
    module = factory()
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"{path} must return a torch module, got {type(module).__name__}")
    if any(part.training and isinstance(part, (_BatchNorm, _DropoutNd)) for part in module.modules()):
        warnings.warn(f"{path} makes a module in training mode; its dropout and batch statistics are off", stacklevel=2)
    return module.eval()


def _require_factory(factory: Any, path: str) -> None:
    """Refuse what is no function, or one that needs arguments, before it is called."""
    wanted = "must be a function without arguments that returns a torch module"
    if not callable(factory):
        raise ValueError(f"{path} {wanted}, got an object of type {type(factory).__name__}; write such a function")
    try:
        signature = inspect.signature(factory)
    except ValueError:  # some built-in functions have none
        return
    try:
        signature.bind()
    except TypeError as error:
        raise ValueError(f"{path} {wanted}, got one with arguments {signature}; write one that calls it") from error


def load_weights(module: torch.nn.Module, path: str | Path) -> torch.nn.Module:
    """Read what :meth:`~analytic_dd.features.Network.save_weights` wrote into a module of the same layers; return it.

    Raises
    ------
    DataError
        The file is no safetensors file, or has weights of another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(str(path)))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} must hold the weights of {type(module).__name__}, got: {reason}") from error
    return module


def sha256_of(module: torch.nn.Module) -> str:
    """Return the SHA-256 of the names, dtypes, shapes and bytes of the parameters and buffers, ordered by name."""
    import torch

    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        T = value.detach().cpu().contiguous()
        digest.update(_described(key, T))
        digest.update(T.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def architecture_of(module: torch.nn.Module) -> str:
    """Return the SHA-256 of the text of a module, without addresses, and of its numbers in the order of its layers."""
    digest = hashlib.sha256(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(module)).encode())
    for named in (module.named_parameters, module.named_buffers):
        for key, value in named(remove_duplicate=False):
            digest.update(_described(key, value))
    return digest.hexdigest()


def _described(key: str, T: torch.Tensor) -> bytes:
    return f"{key} {dtype_name(T)} {tuple(T.shape)}\n".encode()


def imported(path: str, what: str) -> Any:
    """Return the object at PACKAGE.MODULE:NAME; the module may lie in the working directory.

    Raises
    ------
    ValueError
        The module has no such object, or the text has another form; ``what`` says in the message what it should be.

    Examples
    --------
    >>> imported("math:pi", "the number")
    3.141592653589793
    >>> imported("math.pi", "the number")
    Traceback (most recent call last):
        ...
    ValueError: cannot import the number math.pi (no name after a colon); write PACKAGE.MODULE:NAME
    """
    module, colon, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        if not (module and colon and name):
            raise ValueError("no name after a colon")
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"cannot import {what} {path} ({error}); write PACKAGE.MODULE:NAME") from error


def views(call: Callable[[], Any]) -> bool:
    """Whether a module fails because it calls ``view`` on what a layer gives, whose order in memory is another."""
    try:
        call()
    except RuntimeError as error:
        return "view size is not compatible" in str(error)
    return False
