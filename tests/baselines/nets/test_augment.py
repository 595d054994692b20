"""Siamese augmentation: the identity, one image at a time, each operation against its definition, what is drawn."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analytic_dd.baselines.nets.augment import OPERATIONS, Augmentation, AugmentParameters
from analytic_dd.errors import ShapeError

AUGMENTATION = Augmentation()


def some(n=5, channels=3, height=7, width=11, dtype=torch.float64, seed=0):
    """Random images."""
    return torch.randn(n, channels, height, width, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def drawn(operation, count, seed=0):
    """Parameters of one operation."""
    return Augmentation((operation,)).draw(count, torch.Generator().manual_seed(seed))


def given(operation, **values):
    """Parameters with chosen values, shared by a batch."""
    return AugmentParameters(operation, {name: torch.tensor([value]) for name, value in values.items()})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_identity_parameters_are_the_identity_to_the_last_bit(operation):
    for dtype, shape, count in itertools.product(
        [torch.float32, torch.float64], [(1, 8, 8), (3, 7, 11), (2, 32, 32)], [1, 5]
    ):
        images = some(5, *shape, dtype=dtype)
        assert torch.equal(AUGMENTATION(images, AugmentParameters.identity(operation, count)), images)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_image_is_the_same_alone_and_among_256(operation):
    images = some(256, 3, 9, 9, dtype=torch.float32)
    shared, each = drawn(operation, 1), drawn(operation, 256)
    together, apart = AUGMENTATION(images, shared), AUGMENTATION(images, each)
    for i in (0, 100, 255):
        own = AugmentParameters(operation, {name: value[i : i + 1] for name, value in each.values.items()})
        assert torch.equal(AUGMENTATION(images[i : i + 1], shared), together[i : i + 1])
        assert torch.equal(AUGMENTATION(images[i : i + 1], own), apart[i : i + 1])
    assert not torch.equal(apart, together)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_parameters_shared_are_parameters_repeated(operation):
    images, shared = some(), drawn(operation, 1, seed=3)
    repeated = AugmentParameters(operation, {name: value.expand(5) for name, value in shared.values.items()})
    assert torch.equal(AUGMENTATION(images, shared), AUGMENTATION(images, repeated))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradients_are_those_of_finite_differences(operation):
    for count in [1, 2]:
        images, parameters = some(2, 2, 4, 5).requires_grad_(), drawn(operation, count, seed=1)
        assert torch.autograd.gradcheck(lambda x: AUGMENTATION(x, parameters), images)
        # along random directions: all entries take a hundred times as long
        assert torch.autograd.gradgradcheck(lambda x: AUGMENTATION(x, parameters) ** 2, images, fast_mode=True)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_under_vmap_an_augmentation_is_what_it_is_in_a_loop(operation):
    stacks, parameters = torch.stack([some(seed=0), some(seed=1)]), drawn(operation, 5)
    found = torch.func.vmap(lambda images: AUGMENTATION(images, parameters))(stacks)
    assert torch.equal(found, torch.stack([AUGMENTATION(images, parameters) for images in stacks]))


@pytest.mark.parametrize("shape", [(8, 8), (7, 11)], ids=str)
@pytest.mark.parametrize(("down", "across"), [(1.2, 1.0 / 1.2), (0.9, 1.1)])
def test_scale_is_the_affine_grid_of_torch(down, across, shape, ratio):
    images = some(5, 3, *shape)
    down, across = float(torch.tensor(down)), float(torch.tensor(across))
    theta = torch.tensor([[across, 0.0, 0.0], [0.0, down, 0.0]], dtype=torch.float64).expand(5, 2, 3)
    wanted = F.grid_sample(images, F.affine_grid(theta, images.shape, align_corners=True), align_corners=True)
    got = AUGMENTATION(images, given("scale", down=down, across=across))
    assert ratio(got, wanted, size=11, amplification=10.0) < 30


@pytest.mark.parametrize("angle", [15.0, -7.0])
def test_rotation_is_the_affine_grid_of_torch(angle, ratio):
    images = some(5, 3, 9, 9)
    turn = torch.deg2rad(torch.tensor(angle, dtype=torch.float64))
    c, s = torch.cos(turn), torch.sin(turn)
    theta = torch.stack([torch.stack([c, -s, 0 * c]), torch.stack([s, c, 0 * c])]).expand(5, 2, 3)
    wanted = F.grid_sample(images, F.affine_grid(theta, images.shape, align_corners=True), align_corners=True)
    assert ratio(AUGMENTATION(images, given("rotate", angle=angle)), wanted, size=9, amplification=10.0) < 30


def test_rotation_is_one_of_pixels_also_where_an_image_is_not_square(ratio):
    """A quarter turn keeps distances: what is kept of a 7 x 11 image is its middle 7 x 7, turned."""
    images = some(2, 3, 7, 11)
    got = AUGMENTATION(images, given("rotate", angle=90.0))
    # cos(90 degrees) is 6e-17: a position moves by eps, which its pixel's neighbour sees
    assert ratio(got[..., 2:9], torch.rot90(images[..., 2:9], k=1, dims=(2, 3)), size=7, amplification=10.0) < 30
    assert float(got[..., :2].abs().max()) == 0.0


@pytest.mark.parametrize("place", [(-0.5, -0.5), (0.0, 0.4999), (0.3, -0.2)])
def test_crop_is_a_slice_of_the_padded_image(place):
    images = some(2, 3, 16, 24)
    down, across = (int(np.floor(f * (2 * r + 1) + 0.5)) for f, r in zip(place, (2, 3), strict=True))
    padded = F.pad(images, (3, 3, 2, 2))
    wanted = padded[:, :, 2 + down : 18 + down, 3 + across : 27 + across]
    assert torch.equal(AUGMENTATION(images, given("crop", reach=0.125, down=place[0], across=place[1])), wanted)


def test_shifts_of_a_crop_are_as_likely_as_each_other():
    """8 pixels: shifts of -1, 0, 1; 3,000 draws have a standard deviation of 26 about 1,000."""
    column = torch.arange(1.0, 9.0).reshape(1, 1, 8, 1).expand(3000, 1, 8, 8)
    middle = AUGMENTATION(column, drawn("crop", 3000))[:, 0, 4, 4]
    counts = [int((middle == value).sum()) for value in (4.0, 5.0, 6.0)]
    assert sum(counts) == 3000
    assert max(abs(count - 1000) for count in counts) < 130


@pytest.mark.parametrize("side", [8, 9])
def test_cutout_is_a_square_about_a_pixel_of_the_image(side):
    images = torch.ones(500, 3, side, side)
    holes = AUGMENTATION(images, drawn("cutout", 500)) == 0.0
    assert torch.equal(holes[:, :1].expand_as(holes), holes)
    heights, widths = holes[:, 0].any(dim=2).sum(dim=1), holes[:, 0].any(dim=1).sum(dim=1)
    assert torch.equal(heights * widths, holes[:, 0].sum(dim=(1, 2)))
    full = int(side * 0.5 + 0.5)
    assert (int(heights.max()), int(widths.max())) == (full, full)
    assert int(heights.min()) >= full // 2
    assert bool(holes[:, 0].any(dim=0).all())


def test_a_flip_is_a_mirror_and_half_of_them_happen():
    images, parameters = some(1000, 1, 3, 4), drawn("flip", 1000)
    flipped = parameters.values["flipped"] == 1.0
    got = AUGMENTATION(images, parameters)
    assert torch.equal(got[flipped], torch.fliplr(images[flipped].flatten(0, 2)).reshape(-1, 1, 3, 4))
    assert torch.equal(got[~flipped], images[~flipped])
    assert abs(int(flipped.sum()) - 500) < 80  # 5 standard deviations


def test_color_is_what_it_says(ratio):
    images = some()
    still = {"brightness": 0.0, "saturation": 1.0, "contrast": 1.0}
    brighter = AUGMENTATION(images, given("color", **still | {"brightness": 0.25}))
    assert torch.equal(brighter, images + 0.25)
    grey = AUGMENTATION(images, given("color", **still | {"saturation": 0.0}))
    assert ratio(grey, images.mean(dim=1, keepdim=True).expand_as(images), size=3) < 30
    doubled = AUGMENTATION(images, given("color", **still | {"saturation": 2.0}))
    assert ratio(doubled, 2.0 * images - images.mean(dim=1, keepdim=True), size=3) < 30
    flat = AUGMENTATION(images, given("color", **still | {"contrast": 0.5}))
    assert ratio(flat, (images + images.mean(dim=(1, 2, 3), keepdim=True)) / 2.0, size=3) < 30


def test_saturation_does_nothing_to_one_channel():
    images = some(5, 1)
    assert torch.equal(AUGMENTATION(images, given("color", brightness=0.0, saturation=1.7, contrast=1.0)), images)


@pytest.mark.parametrize(
    ("operation", "name", "low", "high"),
    [
        ("color", "brightness", -0.5, 0.5),
        ("color", "saturation", 0.0, 2.0),
        ("color", "contrast", 0.5, 1.5),
        ("scale", "down", 1 / 1.2, 1.2),
        ("scale", "across", 1 / 1.2, 1.2),
        ("rotate", "angle", -15.0, 15.0),
    ],
)
def test_parameters_fill_their_published_ranges(operation, name, low, high):
    values = drawn(operation, 4000).values[name].double()
    reach = high - low
    assert low - 1e-6 <= float(values.min()) < low + 0.01 * reach
    assert high - 0.01 * reach < float(values.max()) <= high + 1e-6
    assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.03 * reach)


def test_one_operation_is_drawn_each_as_often_as_the_others():
    generator = torch.Generator().manual_seed(0)
    counts = dict.fromkeys(OPERATIONS, 0)
    for _ in range(1200):
        counts[AUGMENTATION.draw(1, generator).operation] += 1
    assert max(abs(count - 200) for count in counts.values()) < 65  # 5 standard deviations


def test_draws_come_from_the_generator_alone():
    found = []
    for _ in range(2):
        before = torch.get_rng_state()
        found.append([AUGMENTATION.draw(3, torch.Generator().manual_seed(seed)) for seed in range(20)])
        for parameters in found[-1]:
            AUGMENTATION(some(3), parameters)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(1)  # the second time the global state is another
    for one, two in zip(*found, strict=True):
        assert one.operation == two.operation
        assert all(torch.equal(one.values[name], two.values[name]) for name in one.values)


def test_digits_are_not_flipped_and_rows_are_refused():
    assert Augmentation.for_images((3, 32, 32)) == Augmentation()
    assert Augmentation.for_images((1, 8, 8), digits=True) == Augmentation(
        ("color", "crop", "cutout", "scale", "rotate")
    )
    for shape in ((1, 1, 12), (1, 12, 1)):
        with pytest.raises(ValueError, match="are rows, not images; switch augmentation off"):
            Augmentation.for_images(shape)


def test_a_number_of_parameters_that_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="parameters for 4 images, but 5 came; draw 1 to share them, or 5"):
        AUGMENTATION(some(5), drawn("scale", 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": ("colour",)}, "operations must be one or more of color, .*colour"),
        ({"operations": ()}, "operations must be one or more of"),
        ({"brightness": -0.1}, "brightness must be >= 0 and finite, got -0.1"),
        ({"rotate": float("inf")}, "rotate must be >= 0 and finite"),
        ({"cutout": 1.5}, "cutout must be between 0 and 1, got 1.5"),
        ({"flip": float("nan")}, "flip must be between 0 and 1"),
        ({"scale": 0.9}, "scale must be >= 1 and finite, got 0.9"),
    ],
)
def test_strengths_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)
