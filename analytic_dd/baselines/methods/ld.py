"""Label distillation: real images stay as they are, and their labels are learned by unrolled descent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.dd import DdConfig, UnrolledDistillation
from analytic_dd.baselines.methods.unroll import Variables
from analytic_dd.baselines.methods.unrolled_config import QUICK

__all__ = ["LabelDistillation", "LdConfig"]


@dataclass(frozen=True)
class LdConfig(DdConfig):
    """Options of label distillation; see :class:`DdConfig` for the others, where ``lr`` is that of the logits."""

    scheme: str = "uniform"
    inner_epochs: int = 1
    parts: int | None = 2
    step_size: float = 0.01
    lr_step: float = 0.0
    halve_every: int = 0
    init: str = "real"
    # Probability of the class of an image in its first label; the other classes share the rest. With 1 / k a label says
    # nothing.
    confidence: float = 0.9

    quick: ClassVar[Mapping[str, Any]] = QUICK | {"inits": 2, "batch": 256, "lr": 0.1, "step_size": 0.1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init != "real":
            raise ValueError(f"label distillation keeps real images, got init {self.init!r}; leave init out")
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"confidence must be between 0 and 1, got {self.confidence}")


class LabelDistillation(UnrolledDistillation):
    r"""LD: descend on the labels of real images X so that networks that train on them fit the training part.

        min over Z   E   sum over w_0 of   l(w_T; real batch),     w_(i+1) = w_i - eta_i grad l(w_i; X_i, softmax(Z_i))

    Labels are always probabilities. Step sizes stay as they are unless ``lr_step`` is set.

    Notes
    -----
    *Cost.* See :class:`UnrolledDistillation`.
    *Numerics.* The nearer a label is to 0 or 1, the less its logit moves.

    References
    ----------
    Bohdal, Yang, Hospedales, "Flexible dataset distillation: learn labels instead of images", arXiv:2006.08572, 2020.
    This is the second-order form, with whole unrolls in place of one step at a time.
    """

    name = "ld"
    config_type = LdConfig
    config: LdConfig

    def first_variables(self) -> dict[str, torch.Tensor]:
        """Return logits whose softmax gives the confidence to the class of each image."""
        task, k = self.task, self.task.k
        odds = self.config.confidence * (k - 1) / (1.0 - self.config.confidence) if k > 1 else 1.0
        return {"logits": math.log(odds) * F.one_hot(self.classes_of_points, k).to(task.dtype)}

    def points(self, variables: Variables) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the real images and the labels (m, k)."""
        return self.images, torch.softmax(variables["logits"], dim=1)

    def prepare(self) -> None:
        """Take the real images too, which follow from the seed."""
        super().prepare()
        self.images = self.task.real_images(self.points_per_class, self.rng(-1))
