"""Differentiable Siamese augmentation: gradient matching of real and synthetic images that are augmented alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from analytic_dd.baselines.methods.dc import DcConfig, GradientMatching
from analytic_dd.baselines.methods.matching import QUICK
from analytic_dd.baselines.nets.augment import Augmentation

__all__ = ["DsaConfig", "SiameseAugmentation"]


@dataclass(frozen=True)
class DsaConfig(DcConfig):
    """Options of DSA; see :class:`DcConfig` for the others."""

    init: str = "real"
    digits: bool = False  # whether to leave out mirror images, in which digits and letters mean something else

    quick: ClassVar[Mapping[str, Any]] = QUICK | {"steps": 200}


class SiameseAugmentation(GradientMatching):
    r"""DSA: gradient matching through one random operation A for each class and update.

        min over S   E sum_t sum_c D(grad l(theta_t; A(real batch of c)), grad l(theta_t; A(S_c)))

    A has the same parameters on both sides. The networks train on augmented images, each with its own parameters, and a
    network that is trained on the result should do the same.

    References
    ----------
    Zhao, Bilen, "Dataset condensation with differentiable Siamese augmentation", ICML 2021.
    """

    name = "dsa"
    config_type = DsaConfig
    config: DsaConfig

    def _prepare(self) -> None:
        super()._prepare()
        self.augmentation = Augmentation.for_images(self.task.shape, digits=self.config.digits)
