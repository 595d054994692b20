"""Ways of being wrong: each makes, of a function, one that differs from it in a single respect."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

__all__ = ["Given", "Wrong", "answer", "argument", "fields", "ignoring", "instead", "otherwise", "pinv", "scaled"]

Function = Callable[..., Any]
Wrong = Callable[[Function], Function]
Given = Mapping[str, Any]  # all arguments of a call by name, defaults included


def _bound(function: Function) -> Callable[..., inspect.BoundArguments]:
    signature = inspect.signature(function)

    def bind(*arguments: Any, **options: Any) -> inspect.BoundArguments:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        return bound

    return bind


def argument(name: str, change: Callable[[Any, Given], Any]) -> Wrong:
    """Let another value of one argument go in: ``change(value, given)``."""

    def plant(right: Function) -> Function:
        bind = _bound(right)

        @functools.wraps(right)
        def wrong(*arguments: Any, **options: Any) -> Any:
            bound = bind(*arguments, **options)
            bound.arguments[name] = change(bound.arguments[name], bound.arguments)
            return right(*bound.args, **bound.kwargs)

        return wrong

    return plant


def ignoring(name: str, value: Any) -> Wrong:
    """Let ``value`` go in, whatever the caller says."""
    return argument(name, lambda _, given: value)


def answer(change: Callable[[Any, Given], Any]) -> Wrong:
    """Let another answer come out: ``change(answer, given)``."""

    def plant(right: Function) -> Function:
        bind = _bound(right)

        @functools.wraps(right)
        def wrong(*arguments: Any, **options: Any) -> Any:
            given = bind(*arguments, **options).arguments
            return change(right(*arguments, **options), given)

        return wrong

    return plant


def fields(**changes: Callable[[Any, Given], Any]) -> Wrong:
    """Let the dataclass that comes out hold other values: ``field=change(answer, given)``."""
    return answer(lambda out, given: replace(out, **{name: change(out, given) for name, change in changes.items()}))


def scaled(factor: float) -> Wrong:
    """Let ``factor`` times the answer come out."""
    return answer(lambda out, given: factor * out)


def instead(function: Function) -> Wrong:
    """Let another function take its place."""
    return lambda right: functools.wraps(right)(function)


def otherwise(function: Function) -> Wrong:
    """Let another function answer what this one refuses."""

    def plant(right: Function) -> Function:
        @functools.wraps(right)
        def wrong(*arguments: Any, **options: Any) -> Any:
            try:
                return right(*arguments, **options)
            except ValueError:
                return function(*arguments, **options)

        return wrong

    return plant


def pinv(A: Any) -> np.ndarray:
    """Return the pseudo-inverse by another library, for wrong functions that need one."""
    return np.linalg.pinv(A, rcond=1e-10)
