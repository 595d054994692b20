r"""The scores of DD-Ranking, which tell what a set holds from what labels and augmentation add.

    HLR = accuracy of all the data - accuracy of the set            both with hard labels
    IOR = accuracy of the set - accuracy of random images           as many of them, scored alike
    LRS = f(w IOR - (1 - w) HLR)
    ARS = f(g (set - random, with augmentation) + (1 - g) (set - random, without))
    f(a) = (e^a - e^-1) / (e - e^-1)

Accuracies are fractions; w = g = 1/2. LRS is label-robust and ARS augmentation-robust: larger is better. Theirs search
a step size for random images, ours have the one of the protocol.

References
----------
Li, Zhong, Khaki et al., "DD-Ranking: rethinking the evaluation of dataset distillation", arXiv:2505.13300, 2025; its
documentation (introduction) and code (``metrics/aug_robust.py``), version 0.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

__all__ = ["augmentation_robust_score", "label_robust_score", "ranking"]


class _Scored(Protocol):
    @property
    def accuracy(self) -> float | None:
        """A fraction."""


def label_robust_score(*, improvement: float, recovery: float, weight: float = 0.5) -> float:
    """Return LRS from IOR and HLR.

    Examples
    --------
    >>> label_robust_score(improvement=1.0, recovery=0.0, weight=1.0)
    1.0
    >>> round(label_robust_score(improvement=0.2, recovery=0.4), 4)
    0.2285
    """
    return _normalised(weight * improvement - (1.0 - weight) * recovery)


def augmentation_robust_score(*, augmented: float, plain: float, weight: float = 0.5) -> float:
    """Return ARS from the gains over random images with and without augmentation.

    Examples
    --------
    >>> augmentation_robust_score(augmented=-1.0, plain=-1.0)
    0.0
    """
    return _normalised(weight * augmented + (1.0 - weight) * plain)


def _normalised(value: float) -> float:
    return (math.exp(value) - math.exp(-1.0)) / (math.e - math.exp(-1.0))


def ranking(
    of_set: Mapping[str, _Scored], of_random: Mapping[str, _Scored], of_all: Mapping[str, _Scored]
) -> dict[str, float]:
    """Return LRS and ARS of the first network that scored a set, random images and (for LRS) all the data.

    Parameters
    ----------
    of_set, of_random, of_all : mapping of str to object with ``accuracy``
        By predictor; a plain name is a network with hard labels, ``+dsa`` the same with augmentation.
    """

    def gain(predictor: str) -> float | None:
        mine, theirs = _accuracy(of_set, predictor), _accuracy(of_random, predictor)
        return None if mine is None or theirs is None else mine - theirs

    found: dict[str, float] = {}
    for predictor in of_set:
        if "+" in predictor or predictor.partition(":")[0] in ("ridge", "krr-own", "krr-common", "own-steps", "wide"):
            continue
        plain, augmented, whole = gain(predictor), gain(f"{predictor}+dsa"), _accuracy(of_all, predictor)
        mine = _accuracy(of_set, predictor)
        if plain is not None and whole is not None and mine is not None:
            found.setdefault("LRS", label_robust_score(improvement=plain, recovery=whole - mine))
        if plain is not None and augmented is not None:
            found.setdefault("ARS", augmentation_robust_score(augmented=augmented, plain=plain))
    return found


def _accuracy(scores: Mapping[str, _Scored], predictor: str) -> float | None:
    one = scores.get(predictor)
    return None if one is None else one.accuracy
