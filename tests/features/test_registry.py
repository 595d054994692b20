"""Maps from the command line's text and from stored specifications."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from analytic_dd.errors import DataError
from analytic_dd.features import FeatureMap, from_spec, from_text, median_lengthscale

D = 24


def build(text: object, **options: object) -> FeatureMap:
    settings = {"image_shape": (4, 6), "rng": np.random.default_rng(0), "sample": sample(), **options}
    return from_text(text, D, **settings)


def sample() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((50, D))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("identity", {"map": "identity", "d": D}),
        ("rff:lengthscale=3", {"p": D, "lengthscale": 3.0, "kernel": "gaussian", "form": "cos"}),
        ("rff:p=10,lengthscale=3.5,kernel=matern,nu=2.5", {"p": 10, "lengthscale": 3.5, "kernel": "matern", "nu": 2.5}),
        ("rff:form=sincos,orthogonal=true", {"form": "sincos", "orthogonal": True}),
        ("fcnn", {"widths": [D, D], "activation": "leaky_relu", "slope": 0.1, "bias": False}),
        ("fcnn:depth=2,width=9,slope=0.3,bias=true", {"widths": [D, 9, 9], "slope": 0.3, "bias": True}),
        ("fcnn:activation=tanh,weights=orthogonal", {"activation": "tanh", "weights": "orthogonal"}),
        ("cnn", {"image_shape": [4, 6], "size": 3, "padding": "circular"}),
        ("cnn:depth=1,channels=2,stride=2,slope=0.2,bias=true", {"channels": [2], "stride": [2], "slope": 0.2}),
        ("cnn:channels=3-5,depth=2,pool=none", {"channels": [3, 5], "pool": None}),
        ("inn", {"blocks": 4, "coupling": "affine"}),
        ("inn:blocks=2,coupling=additive,squeeze=haar", {"blocks": 2, "coupling": "additive", "squeeze": "haar"}),
        ("deep-linear", {"widths": [D, 2 * D, D], "bias": False}),
        ("deep-linear:depth=3,width=30,bias=true", {"widths": [D, 30, 30, 30], "bias": True}),
    ],
)
def test_text_builds_the_map_it_says_and_its_spec_rebuilds_it(text: str, wanted: dict) -> None:
    phi = build(text)
    assert wanted.items() <= phi.spec().items()
    assert phi.d == D
    assert np.array_equal(from_spec(phi.spec())(sample()), phi(sample()))
    assert build(text) == phi


def test_default_lengthscale_is_the_median_distance_of_the_sample() -> None:
    for text in ("rff", "rff:lengthscale=median"):
        assert build(text).spec()["lengthscale"] == median_lengthscale(sample(), rng=np.random.default_rng(0))
    laplace = median_lengthscale(sample(), rng=np.random.default_rng(0), kernel="laplace")
    assert build("rff:kernel=laplace").spec()["lengthscale"] == laplace
    assert build("rff", sample=2.0 * sample()).spec()["lengthscale"] == pytest.approx(
        2.0 * build("rff").spec()["lengthscale"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fcn", "unknown features 'fcn'; choose from identity, .*; did you mean fcnn?"),
        ("fcnn:slop=0.1", "'fcnn' have no option 'slop', only depth, .*; did you mean slope?"),
        ("", "unknown features ''; choose from identity"),
        ("identity:p=3", "'identity' have no options, got 'p'"),
        ("rff:p=3,p=4", "name the option 'p' twice; give it once"),
        ("rff:p=0", "d and p must be >= 1, got 24 and 0"),
        ("rff:p=abc", "p must be an integer, got 'abc'"),
        ("rff:nu=1.5", "nu is an option of kernel=matern, got nu=1.5 with kernel=gaussian"),
        ("fcnn:bias=maybe", "bias must be true or false, got 'maybe'"),
        ("fcnn:depth=2.5", "depth must be an integer, got '2.5'"),
        ("fcnn:depth=1e3", "depth must be an integer, got '1e3'"),
        ("fcnn:depth=3,width=20-10", "width=20-10 is 2 layers, got depth=3; leave depth out"),
        ("fcnn:depth", "expected option=value, got 'depth'"),
        ("fcnn:depth=0", "depth must be an integer >= 1, got 0"),
        ("fcnn:slope=steep", "slope must be a number, got 'steep'"),
        ("fcnn:activation=swish", "activation must be one of"),
        ("rff:lengthscale=mean", "lengthscale must be a number or median, got 'mean'"),
        ("cnn:padding=reflect", "padding must be one of"),
    ],
)
def test_wrong_text_is_refused_in_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("features", [None, FeatureMap])
def test_features_that_are_no_text_are_refused_in_one_clear_line(features: object) -> None:
    with pytest.raises(TypeError, match="features must be a feature map, or text such as identity"):
        build(features)


def test_median_needs_data_and_a_convolution_an_image() -> None:
    with pytest.raises(ValueError, match=r"needs training inputs \(sample=...\)"):
        build("rff", sample=None)
    with pytest.raises(
        ValueError, match=r"need images, got rows of 24 numbers; .*features\.Convolutional\(image_shape"
    ):
        build("cnn", image_shape=(D,))
    assert build("inn", image_shape=(D,)).d == D


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"map": "unknown"},
        {"map": ["fcnn"]},
        {"map": "fcnn", "widths": [3, 2]},
        {"map": "fcnn", "widths": [3, 0], "rng": 1},
        {"map": "rff", "d": 3, "p": 2, "lengthscale": -1.0, "rng": 1},
        {"map": "compose", "maps": [{"map": "identity", "d": 2}, {"map": "identity", "d": 3}]},
        {"map": "compose"},
        {"map": "compose", "maps": [3]},
        None,
        "identity",
    ],
)
def test_damaged_specifications_are_data_errors(spec: object) -> None:
    with pytest.raises(DataError, match="feature map"):
        from_spec(spec)


def test_import_loads_neither_torch_nor_jax_nor_matplotlib() -> None:
    code = "import sys, analytic_dd.features; print([m for m in ('torch', 'jax', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
