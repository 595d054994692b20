"""Whitened patches: the features are their definition, the filters are white patches, and near copies carry a model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analytic_dd.distill.local_span import near_copies
from analytic_dd.errors import DataError, InfeasibleError, ShapeError
from analytic_dd.features import Patches, from_spec, from_text
from analytic_dd.features.registry import describe_spec
from analytic_dd.judge import certify_recovery
from analytic_dd.ridge import ridge_weights

H, W, C, F, S, G = 9, 11, 3, 5, 4, 2


def images(n: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, H * W * C))


def patches(**options) -> Patches:
    given = {"filters": F, "size": S, "grid": G, "threshold": 0.3, **options}
    return Patches.from_data(images(), (H, W, C), rng=np.random.default_rng(1), **given)


def by_definition(phi: Patches, x: np.ndarray) -> np.ndarray:
    """Patch by patch, as the module's docstring says."""
    image, A = x.reshape(H, W, C), phi.kernel - phi.kernel.mean(axis=(0, 1, 2))
    h, w = H - S + 1, W - S + 1
    cuts = [[n * k // G for k in range(G + 1)] for n in (h, w)]
    cells = np.zeros((G, G, 2, F))
    counts = np.zeros((G, G, 1, 1))
    for i in range(h):
        for j in range(w):
            u = image[i : i + S, j : j + S]
            v = (u - u.mean()) / np.sqrt(u.var() + phi.contrast)
            z = np.einsum("abc,abcf->f", v, A) - phi.offsets
            row, column = (np.searchsorted(edges, at, "right") - 1 for edges, at in zip(cuts, (i, j), strict=True))
            sides = np.stack([z - phi.threshold, -z - phi.threshold])
            cells[row, column] += np.maximum(sides, 0.0) if phi.activation == "relu" else np.logaddexp(0, 8 * sides) / 8
            counts[row, column] += 1
    return (cells / counts).ravel()


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_features_are_their_definition(activation: str, ratio) -> None:
    """Every loop written out; a threshold of 0.31 instead of 0.3 is noticed."""
    phi = patches(activation=activation)
    X = images(4, seed=2)
    wanted = np.stack([by_definition(phi, x) for x in X])
    assert phi(X).shape == (4, 2 * F * G**2)
    assert ratio(phi(X), wanted, size=S * S * C) < 30
    assert ratio(patches(activation=activation, threshold=0.31)(X), wanted, size=S * S * C) > 1e6


def test_mirror_is_the_average_over_an_image_and_its_mirror_image(ratio) -> None:
    """A mirror image has the same features; text and a stored specification keep the option."""
    phi, psi, X = patches(mirror=True), patches(), images(4, seed=2)
    mirrored = X.reshape(-1, H, W, C)[:, :, ::-1].reshape(X.shape)
    wanted = np.stack([by_definition(psi, x) + by_definition(psi, m) for x, m in zip(X, mirrored, strict=True)]) / 2
    assert ratio(phi(X), wanted, size=S * S * C) < 30
    assert ratio(phi(mirrored), phi(X), size=S * S * C) < 30
    assert ratio(psi(mirrored), psi(X), size=S * S * C) > 1e6
    given = {"image_shape": (H, W, C), "rng": np.random.default_rng(3), "sample": images()}
    text = from_text("patches:filters=5,grid=2,mirror=true", H * W * C, **given)
    again = from_spec(json.loads(json.dumps(text.spec())), d=text.d, p=text.p)
    assert again == text
    assert np.array_equal(again(X), text(X))
    assert text.flops() == 2 * psi_flops(text)
    assert "mirror" in describe_spec(text.spec(), text.p)
    assert "mirror" not in psi.spec()


def psi_flops(phi: Patches) -> float:
    """The flops of the same map without mirror images."""
    return from_spec({key: value for key, value in phi.spec().items() if key != "mirror"}).flops() or 0.0


def test_filters_are_white_patches_of_length_one(ratio) -> None:
    """A = Q F with Q the whitening of normalised patches: responses of the data have about unit variance."""
    X = np.random.default_rng(3).standard_normal((200, H * W * C)).reshape(200, H, W, C)
    X = (X + np.roll(X, 1, axis=2) + np.roll(X, 1, axis=1)).reshape(200, -1)  # neighbours are correlated
    phi = Patches.from_data(X, (H, W, C), filters=40, size=3, whitening=1e-6, rng=np.random.default_rng(0))
    Z = phi._responses(phi._normalised(X[:50])[0]).reshape(-1, 40)
    assert 0.8 < np.median(Z.std(axis=0)) < 1.2
    assert np.abs(Z.mean(axis=0)).max() < 0.1
    kernel = phi.kernel.reshape(-1, 40)
    assert ratio(kernel.mean(axis=0), 0.0, size=1, eps=2.0**-23, unit=np.linalg.norm(kernel)) < 30  # float32


def test_contrast_and_brightness_of_an_image_hardly_matter() -> None:
    """phi(a x + b) = phi(x) but for what contrast adds to the variance."""
    phi, X = patches(contrast=1e-8), images(3)
    assert np.abs(phi(3.0 * X + 0.7) - phi(X)).max() < 100 * 1e-8  # contrast over variances of about 1
    assert np.abs(patches(contrast=1.0)(3.0 * X) - patches(contrast=1.0)(X)).max() > 1e-2


def test_specification_holds_every_bit(ratio) -> None:
    phi = from_text(
        "patches:filters=5,size=4,grid=2",
        H * W * C,
        image_shape=(H, W, C),
        rng=np.random.default_rng(0),
        sample=images(),
    )
    spec = json.loads(json.dumps(phi.spec()))
    again = from_spec(spec, d=phi.d, p=phi.p)
    assert again == phi
    assert np.array_equal(again(images()), phi(images()))
    assert len(repr(phi)) < 100
    assert describe_spec(spec, phi.p) == "patches (grid 2, p = 40)"
    for damaged in (
        {"kernel": {"shape": [4, 4, 3, 5], "float32": "AAAA"}},
        {"kernel": {"shape": [10**9, 10**9, 3, 5], "float32": ""}},
        {"kernel": {"shape": [4, 4, 3, 5]}},
        {"offsets": {"shape": [4], "float32": "AAAAAAAAAAAAAAAAAAAAAA=="}},
        {"grid": 10**9},
    ):
        with pytest.raises(DataError):
            from_spec(spec | damaged, d=phi.d, p=phi.p)


def test_a_weight_of_zero_keeps_a_sample_out_of_the_filters() -> None:
    X = images()
    given = {"image_shape": (H, W, C), "rng": np.random.default_rng(0)}
    kept = from_text("patches:filters=5,grid=2", H * W * C, sample=X, **given)
    weight, given["rng"] = np.r_[np.ones(30), np.zeros(7)], np.random.default_rng(0)
    given |= {"sample": np.r_[X, 100 * X[:7]], "sample_weight": weight}
    assert kept == from_text("patches:filters=5,grid=2", H * W * C, **given)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: patches(filters=50_000), ValueError, "must have 50000 patches with some contrast, got"),
        (lambda: patches(size=10), ValueError, "size must be at most 9, got 10"),
        (lambda: patches(grid=7), ValueError, "grid must be at most 6, got 7"),
        (lambda: patches(contrast=0.0), ValueError, "contrast > 0, got 0.3 and 0.0"),
        (lambda: patches(whitening=0.0), ValueError, "whitening must be > 0"),
        (lambda: patches(activation="tanh"), ValueError, "activation must be one of relu, softplus"),
        (lambda: Patches((H, W), np.ones((3, 3, 3, 2)), np.zeros(2)), ShapeError, r"\(size, size, 1, filters\)"),
        (lambda: Patches((H, W), np.ones((3, 3, 1, 2)), np.zeros(3)), ShapeError, r"offsets must have shape \(2,\)"),
        (lambda: patches().preimage(np.ones((1, 40))), InfeasibleError, "an average of thresholded responses"),
    ],
)
def test_what_cannot_be_is_refused(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_flat_patches_make_no_filters() -> None:
    """Digits have a background: constant patches would all give one and the same filter."""
    X = images(20).reshape(20, H, W, C)
    X[:, :, 5:] = 0.7
    phi = Patches.from_data(X.reshape(20, -1), (H, W, C), filters=30, size=3, rng=np.random.default_rng(0))
    kernel = phi.kernel.reshape(-1, 30)
    assert np.linalg.matrix_rank(kernel, rtol=1e-5) == 26  # 27 numbers of mean 0
    cosines = (kernel / np.linalg.norm(kernel, axis=0)).T @ (kernel / np.linalg.norm(kernel, axis=0))
    assert np.abs(cosines - np.eye(30)).max() < 0.95


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_near_copies_of_few_images_carry_a_model_on_patches(activation: str) -> None:
    """T22b: p = 500 features, more than the d = 297 inputs; spanning needs 500 images, near copies far fewer."""
    X = images(60)
    phi = Patches.from_data(
        X, (H, W, C), filters=10, size=3, grid=5, threshold=0.2, activation=activation, rng=np.random.default_rng(1)
    )
    Y = np.eye(3)[np.arange(60) % 3]
    weights = ridge_weights(phi(X), Y, ridge=0.1)
    built = near_copies(weights, phi, X, ridge=0.1)
    assert (phi.p, phi.d) == (500, 297)
    assert len(built) <= 4 * 6
    assert certify_recovery(weights, phi(built.inputs), built.labels, ridge=0.1).verdict == "pass"
    assert built.largest_change <= 0.01
