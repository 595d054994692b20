"""An operation for each image: one of three, with the amounts of the published evaluation of MNIST."""

import numpy as np
import pytest
import torch

from analytic_dd.baselines.nets.augment import Augmentation, AugmentParameters
from analytic_dd.baselines.nets.each_image import EachImage

N = 600


@pytest.fixture
def drawn():
    return EachImage().draw(N, torch.Generator().manual_seed(0))


def moved(parameters):
    """Which images an operation changes: those whose parameters are not the identity."""
    still = AugmentParameters.identity(parameters.operation, parameters.count).values
    return np.any([(value != still[name]).numpy() for name, value in parameters.values.items()], axis=0)


def test_each_image_has_one_operation_and_a_third_of_them_each(drawn):
    counts = np.stack([moved(one) for one in drawn])
    assert (counts.sum(axis=0) == 1).all()
    assert [one.operation for one in drawn] == ["crop", "scale", "rotate"]
    three_deviations = 3.0 * np.sqrt(N * 2.0 / 9.0)
    assert np.abs(counts.sum(axis=1) - N / 3.0).max() < three_deviations


def test_amounts_are_the_published_ones_and_nearly_reached(drawn):
    crop, scale, rotate = drawn
    assert set(crop.values["reach"].unique().tolist()) == {0.0, np.float32(1.0 / 7.0)}
    sizes = 1.0 / torch.cat([scale.values["down"], scale.values["across"]])
    angles = rotate.values["angle"]
    for values, low, high in ((sizes, 0.8, 1.2), (angles, -45.0, 45.0)):
        reach = high - low
        assert low - 1e-5 <= float(values.min()) < low + 0.05 * reach
        assert high + 1e-5 >= float(values.max()) > high - 0.05 * reach


def test_an_image_is_what_its_operation_makes_of_it_alone(drawn):
    images = torch.randn(N, 1, 14, 14, generator=torch.Generator().manual_seed(1))
    found = EachImage()(images, drawn)
    for one in drawn:
        index = int(np.flatnonzero(moved(one))[0])
        own = AugmentParameters(one.operation, {name: value[index : index + 1] for name, value in one.values.items()})
        assert torch.equal(found[index : index + 1], Augmentation()(images[index : index + 1], own))
        assert not torch.equal(found[index], images[index])


def test_a_crop_of_a_seventh_moves_28_pixels_by_at_most_four():
    """A single bright pixel says by how much."""
    images = torch.zeros(1, 1, 28, 28)
    images[0, 0, 14, 14] = 1.0
    shifts = set()
    for fraction in np.linspace(-0.5, 0.4999, 25):
        values = {"reach": 1.0 / 7.0, "down": float(fraction), "across": 0.0}
        one = AugmentParameters("crop", {name: torch.tensor([value]) for name, value in values.items()})
        shifts.add(14 - int(Augmentation()(images, one)[0, 0].argmax()) // 28)
    assert shifts == set(range(-4, 5))


@pytest.mark.parametrize("options", [{"crop": 1.5}, {"scale": 1.0}, {"rotate": -1.0}])
def test_amounts_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"crop must be in \[0, 1\], scale in \[0, 1\) and rotate >= 0"):
        EachImage(**options)
