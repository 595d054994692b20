"""Settings by name: ``published``, what the authors of a method used, or ``small``, what two cores do in minutes.

Those of ``quick`` are for digits, which take about a minute on one core.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytic_dd.baselines.bench.protocol import Protocol
from analytic_dd.baselines.methods.dc import LOOPS
from analytic_dd.baselines.methods.mtt import PUBLISHED as MTT
from analytic_dd.baselines.methods.registry import METHODS, method_type
from analytic_dd.data import Dataset
from analytic_dd.errors import unknown_word

__all__ = [
    "PUBLISHED",
    "SETTINGS",
    "Published",
    "data_key",
    "protocol_options",
    "published",
    "settings_options",
    "small_options",
]

SETTINGS = ("quick", "small", "published")

_SHAPES = {  # of the data that settings are published for
    "mnist": (28, 28),
    "fashion-mnist": (28, 28),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
    "tiny-imagenet": (64, 64, 3),
    "imagenette": (128, 128, 3),
}


@dataclass(frozen=True)
class Published:
    """What a paper or its code says for a method, a data set and a number of points a class."""

    data: str
    ipc: int
    options: Mapping[str, Any]
    source: str
    preprocess: str = ""  # what ``--preprocess`` should be; empty for none


_GREY, _COLOUR = ("mnist", "fashion-mnist"), ("cifar10", "cifar100")
_CONVNET = {"width": 128, "depth": 3}


def _rows(data: Sequence[str], ipcs: Sequence[int], options: Mapping[str, Any], source: str) -> tuple[Published, ...]:
    return tuple(Published(name, ipc, options, source) for name in data for ipc in ipcs)


def _matching(source: str, **options: Any) -> tuple[Published, ...]:
    """Return the rows of DC or DSA, whose loops depend on the number of points."""
    common = _CONVNET | {"steps": 1_000, "batch": 256, "lr": 0.1, "momentum": 0.5, "net_lr": 0.01, "net_batch": 256}
    return tuple(
        Published(data, ipc, common | {"outer": outer, "inner": inner, "distance": "published"} | options, source)
        for data in (*_GREY, *_COLOUR)
        for ipc, (outer, inner) in LOOPS.items()
    )


_CVPR22 = "Cazenavette et al., CVPR 2022"
_WHITENED = {("cifar10", 1), ("cifar10", 10), ("cifar100", 1), ("cifar100", 50)}
_TINY = {"expert_span": 2, "lr_img": 1e4, "lr_lr": 1e-4, "lr_0": 0.01, "width": 128, "depth": 4}
_NETTE = {"student_steps": 20, "expert_span": 2, "max_start": 10, "lr_lr": 1e-6, "lr_0": 0.01, "width": 128, "depth": 5}
_OF_MTT = (
    *(
        Published(
            data,
            ipc,
            _CONVNET | dict(options) | ({"synthetic_batch": 125} if (data, ipc) == ("cifar100", 50) else {}),
            _CVPR22 + (", batch of dc_benchmark" if (data, ipc) == ("cifar100", 50) else ""),
            "zca:mtt" if (data, ipc) in _WHITENED else "",
        )
        for (data, ipc), options in MTT.items()
    ),
    Published("tiny-imagenet", 1, _TINY | {"student_steps": 10, "max_start": 10}, "dc_benchmark, MTT"),
    Published(
        "tiny-imagenet", 10, _TINY | {"student_steps": 20, "max_start": 40, "synthetic_batch": 200}, "dc_benchmark, MTT"
    ),
    Published(
        "tiny-imagenet", 50, _TINY | {"student_steps": 20, "max_start": 40, "synthetic_batch": 300}, "dc_benchmark, MTT"
    ),
    Published("imagenette", 1, _NETTE | {"lr_img": 1e3}, "readme of the code of MTT, an ImageNet subset at 128 x 128"),
    Published("imagenette", 10, _NETTE | {"lr_img": 1e5}, "commands of a reproduction, an ImageNet subset, 10 a class"),
)
_KIP = {
    "kernel": "ntk",
    "depth": 1,
    "b_std": 0.1,
    "ridge_relative": 1e-6,
    "target_batch": 5_000,
    "lr": 0.04,
    "steps": 300,
}
_DD = {"weights": "random", "inits": 1, "inner_steps": 10, "inner_epochs": 3, "batch": 1024, "decay": 0.5}

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "dc": _matching("Zhao, Mopuri, Bilen, ICLR 2021", init="noise"),
    "dsa": _matching("Zhao, Bilen, ICML 2021", init="real"),
    "dm": _rows(
        (*_GREY, *_COLOUR),
        (1, 10, 50),
        _CONVNET | {"steps": 20_000, "batch": 256, "lr": 1.0, "momentum": 0.5, "init": "real", "augment": True},
        "Zhao, Bilen, WACV 2023",
    ),
    "mtt": _OF_MTT,
    "cafe": _rows(
        _COLOUR,
        (1, 10, 50),
        _CONVNET | {"steps": 2_000, "batch": 256, "lr": 0.1, "momentum": 0.5, "init": "noise"},
        "Wang, Zhao, Peng et al., CVPR 2022",
    ),
    "kip": _rows((*_GREY, *_COLOUR), (1, 10, 50), _KIP, "Nguyen, Chen, Lee, ICLR 2021, recorded run of the notebook"),
    "label-solve": _rows((*_GREY, *_COLOUR), (1, 10, 50), {"kernel": "ntk", "depth": 1}, "the same notebook"),
    "dd": (
        Published("mnist", 1, _DD | {"network": "lenet"}, "Wang, Zhu, Torralba, Efros, 2018"),
        Published("cifar10", 10, _DD | {"network": "alexcifar"}, "Wang, Zhu, Torralba, Efros, 2018"),
    ),
}

_LOOPS = {"outer": 1, "inner": 1}
_ON_IMAGES: dict[str, dict[str, Any]] = {  # 28 x 28 pixels and more in minutes on two cores
    "evaluate": {"width": 16, "depth": 3, "transfer_width": 8, "epochs_full": 5},
    "kip": {"target_batch": 1_000, "steps": 300},
    "dm": {"steps": 100, "batch": 64, "width": 16, "augment": False},
    "dc": {"steps": 300, "batch": 64, "width": 16, "init": "real", "lr": 1.0, **_LOOPS},
    "dsa": {"steps": 300, "batch": 64, "width": 16, "lr": 1.0, **_LOOPS},
    "cafe": {"steps": 10, "width": 16, "window": 3, "most_updates": 6, "most_epochs": 4, "held": 16, "init": "real"},
    "mtt": {
        "width": 16,
        "depth": 3,
        "steps": 150,
        "augment": False,
        "experts": 2,
        "expert_epochs": 3,
        "student_steps": 50,
        "expert_span": 2,
        "max_start": 2,
        "lr_img": 100.0,
        "lr_lr": 1e-7,
        "lr_0": 0.01,
    },
}


def data_key(dataset: Dataset) -> str:
    """Return the name under which settings of a data set are listed, or its own name.

    Examples
    --------
    >>> from analytic_dd import data
    >>> data_key(data.load("digits"))
    'digits'
    """
    name = re.sub(r"[^a-z0-9]", "", dataset.name.rpartition("/")[2].lower().partition(",")[0])
    found = [key for key in _SHAPES if name.startswith(key.replace("-", ""))]
    return max(found, key=len) if found else dataset.name.lower().partition(",")[0]


def published(method: str, dataset: Dataset, ipc: int) -> Published | None:
    """Return what is published for a method; None for what has no settings, as controls and the closed form.

    Raises
    ------
    ValueError
        Nothing is known to be published for these data and so many points a class, or for other sizes of images.
    """
    if method not in METHODS:
        return None
    key = data_key(dataset)
    rows = PUBLISHED.get(method, ())
    for row in rows:
        if (row.data, row.ipc) == (key, ipc):
            if (shape := dataset.image_shape) != _SHAPES[key]:
                raise ValueError(f"{method} is published for {key} of shape {_SHAPES[key]}, the data have {shape}")
            return row
    sizes: dict[str, list[str]] = {}
    for row in rows:
        sizes.setdefault(row.data, []).append(str(row.ipc))
    known = "; ".join(f"{name} at {', '.join(ipcs)}" for name, ipcs in sizes.items()) or "nothing"
    raise ValueError(
        f"nothing is published for {method} on {dataset.name} at {ipc} a class; known: {known}; "
        "use settings='small', or leave settings out and give options"
    )


def settings_options(name: str, method: str, dataset: Dataset, ipc: int | None) -> dict[str, Any]:
    """Return the options of a method that settings give; none where ``name`` is empty.

    Examples
    --------
    >>> from analytic_dd import data
    >>> settings_options("small", "dm", data.load("digits"), 1)["steps"]
    100
    >>> settings_options("published", "dm", data.load("digits"), 1)
    Traceback (most recent call last):
        ...
    ValueError: nothing is published for dm on digits at 1 a class; known: mnist at 1, 10, 50; ...
    """
    if name and name not in SETTINGS:
        raise ValueError(unknown_word("settings", name, SETTINGS))
    if not name or method not in METHODS or ipc is None:
        return {}
    if name == "published":
        row = published(method, dataset, ipc)
        return dict(row.options) if row is not None else {}
    if name == "quick":
        return dict(method_type(method).config_type.quick)
    return small_options(digits=_are_digits(dataset)).get(method, {})


def small_options(*, digits: bool) -> dict[str, dict[str, Any]]:
    """Return small settings of each method, and of the protocol as ``evaluate``, for 8 x 8 digits or larger images."""
    quick = {name: dict(method_type(name).config_type.quick) for name in METHODS}
    if not digits:
        return {name: dict(options) for name, options in (quick | _ON_IMAGES).items() if options}
    quick["evaluate"] = dict(Protocol.quick) | {"transfer_width": 8}
    for name in ("dc", "dsa"):
        quick[name] |= _LOOPS
    return {name: options for name, options in quick.items() if options}


def protocol_options(name: str, datasets: Sequence[Dataset]) -> dict[str, Any]:
    """Return the options of the protocol that settings give for data sets that are scored together.

    Raises
    ------
    ValueError
        Small settings differ for digits of 8 x 8 pixels and larger images, and both came.
    """
    if name != "small":
        return dict(Protocol.quick) if name == "quick" else {}
    kinds = {_are_digits(dataset) for dataset in datasets}
    if len(kinds) > 1:
        raise ValueError("small settings score 8 x 8 digits and larger images by other networks; run them apart")
    return small_options(digits=kinds == {True})["evaluate"]


def _are_digits(dataset: Dataset) -> bool:
    return dataset.d <= 256
