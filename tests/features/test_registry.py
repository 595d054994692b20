"""Maps from the command line's text and from stored specifications."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytic_dd import RidgeDistiller, distill, load_distilled
from analytic_dd.errors import DataError
from analytic_dd.features import (
    Compose,
    FeatureMap,
    Function,
    Identity,
    MapOptions,
    NeuralTangent,
    TikhonovScaling,
    from_spec,
    from_text,
    median_lengthscale,
    option,
    register,
)
from analytic_dd.features.ranges import Subspace
from analytic_dd.features.registry import describe_spec

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


def test_default_lengthscale_is_the_median_distance_of_the_sample(ratio) -> None:
    for text in ("rff", "rff:lengthscale=median"):
        assert build(text).spec()["lengthscale"] == median_lengthscale(sample(), rng=np.random.default_rng(0))
    laplace = median_lengthscale(sample(), rng=np.random.default_rng(0), kernel="laplace")
    assert build("rff:kernel=laplace").spec()["lengthscale"] == laplace
    twice = build("rff", sample=2.0 * sample()).spec()["lengthscale"]
    assert ratio(twice, 2.0 * build("rff").spec()["lengthscale"], size=D) < 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fcn", "unknown features 'fcn'; choose from cnn, .*; did you mean fcnn?"),
        ("fcnn:slop=0.1", "'fcnn' have no option 'slop', only depth, .*; did you mean slope?"),
        ("", "unknown features ''; choose from cnn"),
        ("identity:p=3", "'identity' have no options, got 'p'"),
        ("rff:p=3,p=4", "name the option 'p' twice; give it once"),
        ("rff:p=0", "d and p must be >= 1, got 24 and 0"),
        ("rff:p=abc", "p must be an integer, got 'abc'"),
        ("rff:nu=1.5", "nu is an option of kernel=matern, got nu=1.5 with kernel=gaussian"),
        ("fcnn:bias=maybe", "bias must be true or false, got 'maybe'"),
        ("fcnn:depth=2.5", "depth must be an integer, got '2.5'"),
        ("fcnn:depth=1e3", "depth must be an integer, got '1e3'; write 1000$"),
        ("fcnn:width=1e7", "width must be an integer, got '1e7'; write 10000000, or integers such as 600-500-400"),
        ("fcnn:depth=3,width=20-10", "width=20-10 is 2 layers, got depth=3; leave depth out"),
        ("fcnn:depth", "expected option=value, got 'depth'"),
        ("fcnn:depth=0", "depth must be an integer >= 1, got 0"),
        ("fcnn:depth=200000", "depth must be at most 1000, got 200000"),
        ("deep-linear:depth=1000000000", "depth must be at most 1000"),
        ("inn:blocks=1000000000", "blocks must be at most 1000, got 1000000000"),
        ("cnn:depth=1000000000", "depth must be at most 1000"),
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


def nested(depth: int) -> dict:
    spec: dict = {"map": "identity", "d": 3}
    for _ in range(depth):
        spec = {"map": "compose", "maps": [spec]}
    return spec


HUGE = 10**400
HOSTILE = {
    "blocks": {"map": "inn", "image_shape": [6], "blocks": 10**9, "rng": 0},
    "layers": {"map": "fcnn", "widths": [6] * 200_000, "rng": 0},
    "linear layers": {"map": "deep-linear", "widths": [6] * 200_000, "rng": 0},
    "convolutions": {"map": "cnn", "image_shape": [4, 4], "channels": [1] * 200_000, "rng": 0},
    "a wide hidden layer": {"map": "fcnn", "widths": [6, 10**12, 4], "rng": 0},
    "wide networks in blocks": {"map": "inn", "image_shape": [10**6], "blocks": 1000, "hidden": 10**5, "rng": 0},
    "a large kernel": {"map": "cnn", "image_shape": [4, 4], "channels": [1], "size": 10**9 + 1, "rng": 0},
    "many channels": {"map": "cnn", "image_shape": [4, 4], "channels": [10**9], "rng": 0},
    "many frequencies": {"map": "rff", "d": 6, "p": 10**12, "lengthscale": 1.0, "rng": 0},
    "tangents": {"map": "ntk-linear", "widths": [10**4, 10**4, 10**4], "rng": 0},
    "nested": nested(100_000),
    "many maps": {"map": "compose", "maps": [{"map": "identity", "d": 6}] * 10_000},
    "infinity": {"map": "fcnn", "widths": [float("inf"), 3], "rng": 0},
    "no number": {"map": "identity", "d": "six"},
    "beyond a float": {"map": "rff", "d": HUGE, "p": HUGE, "lengthscale": 1.0, "rng": 0},
    "beyond a float, dense": {"map": "fcnn", "widths": [HUGE, HUGE], "rng": 0},
    "a long name": {"map": "x" * 10**6},
    "another option": {"map": "identity", "d": 6, "self": 1, "x" * 10**5: 2},
    "code": {"map": "function", "function": "os.system", "d": 6, "p": 4},
    "empty": {"map": "tikhonov", "gamma": []},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_specifications_are_refused_before_anything_is_drawn(name: str, monkeypatch: Any) -> None:
    """Without d and p too; the message is short, and no generator of parameters is made."""
    monkeypatch.setattr(FeatureMap, "_stream", lambda self: pytest.fail("parameters are drawn"))
    with pytest.raises(DataError) as caught:
        from_spec(HOSTILE[name])
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"d": 25}, "stored arrays have d = 25, .* has 24"), ({"p": 7}, "stored arrays have p = 7, .* has 6")],
)
def test_sizes_of_the_stored_arrays_are_compared_before_anything_is_drawn(
    sizes: dict, message: str, monkeypatch: Any
) -> None:
    spec = build("fcnn:width=6").spec()
    assert from_spec(spec, d=D, p=6) == build("fcnn:width=6")
    monkeypatch.setattr(FeatureMap, "_stream", lambda self: pytest.fail("parameters are drawn"))
    for one in (spec, {"map": "compose", "maps": [{"map": "identity", "d": D}, spec]}):
        with pytest.raises(DataError, match=message):
            from_spec(one, **sizes)


def test_nested_compositions_are_flat() -> None:
    """Also those of old files; undoing 30 levels takes no longer than undoing 30 maps."""
    phi = from_spec(nested(30))
    assert [type(one) for one in phi.maps] == [Identity]
    inner = Compose([Identity(3), TikhonovScaling(np.ones(3))])
    assert Compose([inner, inner]) == Compose([*inner.maps, *inner.maps])


def test_a_map_that_is_code_is_passed_by_whoever_loads() -> None:
    """from_spec takes a map with the stored specification, and refuses another."""
    phi = Function(np.sin, 3, 3)
    assert from_spec(phi.spec(), feature_map=phi) is phi
    with pytest.raises(DataError, match=r"feature map 'function' is code.*feature_map="):
        from_spec(phi.spec())
    with pytest.raises(DataError, match="must be that of the set; it differs in function"):
        from_spec(phi.spec(), feature_map=Function(np.cos, 3, 3))


@dataclass(frozen=True)
class RampOptions(MapOptions):
    """What text may say of the map of this test."""

    steepness: float = option(1.0, "slope of the ramps")

    def build(self, d: int, *, image_shape: Any, rng: Any, sample: Any) -> FeatureMap:
        return Ramp(d, steepness=self.steepness)


@register("ramp", RampOptions)
class Ramp(FeatureMap):
    """phi(x) = steepness x, a map from outside of the package."""

    kind = "bijective"

    def __init__(self, d: int, *, steepness: float) -> None:
        self.d = self.p = d
        self.steepness = steepness

    @property
    def range(self) -> Subspace:
        return Subspace(self.p)

    def _map(self, X: Any) -> Any:
        return self.steepness * X

    def _preimage(self, Phi: Any, near: Any) -> Any:
        return Phi / self.steepness

    def condition(self) -> float:
        return 1.0

    def options(self) -> dict[str, Any]:
        return {"d": self.d, "steepness": self.steepness}


def test_a_map_of_a_user_is_registered_from_outside_of_the_package(tmp_path: Path) -> None:
    """Text and specification build it, it is described, and distils as any other."""
    phi = build("ramp:steepness=2.5")
    assert isinstance(phi, Ramp)
    assert from_spec(phi.spec(), d=D, p=D) == phi
    assert describe_spec(phi.spec(), D) == "ramp (steepness 2.5, p = 24)"
    with pytest.raises(ValueError, match="have no option 'steep', only steepness; did you mean steepness"):
        build("ramp:steep=2")
    y = np.arange(50) % 3
    fitted = RidgeDistiller("ramp:steepness=2.5", ridge=1.0, random_state=0).fit(sample(), y)
    assert fitted.certificate_.verdict == "pass"
    small = distill(sample(), y, features="ramp:steepness=2.5")
    small.save(tmp_path / "set.npz")
    assert load_distilled(tmp_path / "set.npz").feature_map == phi
    assert load_distilled(tmp_path / "set.npz").verify().verdict == "pass"
    with pytest.raises(DataError, match="stored arrays have d = 3"):  # compared after it is built: it has no sizes
        from_spec(phi.spec(), d=3)


def test_a_name_is_that_of_one_class() -> None:
    register("ramp", RampOptions)(Ramp)  # the same class again
    with pytest.raises(ValueError, match=r"the name 'ramp' of a feature map is that of .*Ramp; choose another"):
        register("ramp")(Identity)


def test_sizes_are_those_of_the_map_that_is_built() -> None:
    for text in (
        "identity",
        "rff:form=sincos,p=6,lengthscale=1",
        "fcnn:width=9-5",
        "deep-linear:bias=true",
        "inn",
        "cnn:depth=2,pool=max,stride=1,padding=valid,channels=2,size=1",
        "cnn:depth=1",
        "cnn:padding=zero",
    ):
        phi = build(text)
        found = type(phi).sizes(**phi.options())
        assert (found.d, found.p) == (phi.d, phi.p), text
        assert found.numbers >= (0 if text == "identity" else phi.p)
    for phi in (
        NeuralTangent([5, 4, 2], bias=True, rng=0),
        NeuralTangent([5, 4, 2], rng=0),
        TikhonovScaling(np.ones(3)),
    ):
        found = type(phi).sizes(**phi.options())
        assert (found.d, found.p) == (phi.d, phi.p)


def test_samples_without_weight_have_no_part_in_the_median_lengthscale() -> None:
    """Bit for bit; other weights do not matter."""
    outliers, w = 1e3 * sample()[:20], np.r_[np.linspace(0.5, 2.0, 50), np.zeros(20)]
    assert build("rff", sample=np.r_[sample(), outliers], sample_weight=w) == build("rff")
    with pytest.raises(ValueError, match="must have a weight > 0, got 50 weights of 0"):
        build("rff", sample_weight=np.zeros(50))
    with pytest.raises(ValueError, match="sample weights must be finite and >= 0"):
        build("rff", sample_weight=-np.ones(50))
