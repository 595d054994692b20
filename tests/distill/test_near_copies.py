"""Realistic sets in input space: exact on the features of the inputs as they are, as near as the theorem says."""

import itertools
import math

import numpy as np
import pytest

from analytic_dd import InfeasibleError, RangeError, ShapeError, certify_recovery
from analytic_dd.distill import Problem, References, chosen
from analytic_dd.distill.box import pixel_box
from analytic_dd.distill.into_range import into_range
from analytic_dd.features import DeepLinear, FullyConnected, Identity, RandomFourier
from analytic_dd.features.function import Function
from analytic_dd.judge import map_amplification
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

K, M, P, D, N = 3, 6, 9, 13, 40

MAPS = {
    "identity": Identity(D),
    "leaky relu": FullyConnected([D, 11, P], rng=1),
    "asinh": FullyConnected([D, P], activation="asinh", bias=True, rng=2),
    "fourier": RandomFourier(D, P, lengthscale=6.0, rng=3),
    "tanh": FullyConnected([D, P], activation="tanh", rng=4),
    "deep linear": DeepLinear([D, 10, P], rng=5),
    "wider than inputs": DeepLinear([D, 20], rng=6),
}


def problem(phi, *, m=M, centred=False):
    """A model fitted on real samples in [0, 1], and some of them as references."""
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.0, 1.0, (N, phi.d)), np.arange(N) % K
    Y = np.eye(K)[y] - centred / K
    W = ridge_weights(phi(X), Y, ridge=0.1)
    W = W - W.mean(axis=0) if centred else W
    W = phi.project(W)
    rows = np.concatenate([np.flatnonzero(y == c)[: m // K] for c in range(K)])
    return W, References(X[rows], y[rows], rows)


def near_copies(W, phi, construction, references, *, intercept=None, box=None):
    given = Problem(W, phi, np.random.default_rng(0), intercept=intercept, references=references, box=box)
    return construction.build(given)


def certified(W, phi, built, intercept=None):
    Phis = phi(built.inputs)
    amplified = map_amplification(phi, built.inputs, Phis)
    return certify_recovery(
        W, Phis, built.distilled.labels, ridge=built.distilled.ridge, map_condition=amplified, intercept=intercept
    )


@pytest.mark.parametrize("name", MAPS)
def test_the_set_is_exact_and_its_ridge_is_the_one_asked_for(name):
    for ridge in [0.0, 0.5]:
        phi = MAPS[name]
        W, references = problem(phi)
        built = near_copies(W, phi, chosen(mode="nearest", distilled_ridge=ridge), references)
        certificate = certified(W, phi, built)
        assert certificate.verdict == "pass"
        assert built.distilled.ridge == ridge
        assert (built.scale, built.polished) == (1.0, True)
        assert np.array_equal(built.distilled.features, phi(built.inputs))


@pytest.mark.parametrize("name", ["identity", "leaky relu", "asinh", "deep linear", "wider than inputs"])
def test_features_are_at_the_predicted_distance(ratio, name):
    phi = MAPS[name]
    W, references = problem(phi)
    built = near_copies(W, phi, chosen(mode="nearest"), references)
    moved = np.linalg.norm(phi(built.inputs) - phi(references.inputs))
    lost = phi.condition() * np.linalg.norm(phi(references.inputs)) / moved
    assert ratio(moved, built.distilled.predicted_distance, size=M + P, amplification=lost) < 30
    assert built.row_scale == (1.0, 1.0)


def test_inputs_are_the_nearest_with_these_features(ratio):
    """For one layer the pre-images near the references differ from them by rows in the row space of its weights."""
    phi = MAPS["asinh"]
    W, references = problem(phi)
    built = near_copies(W, phi, chosen(mode="nearest"), references)
    change, layer = built.inputs - references.inputs, phi._W[0]
    null = np.linalg.svd(layer)[2][P:]
    unit = np.linalg.norm(references.inputs)
    assert ratio(change @ null.T, 0.0, size=D + P, amplification=phi.condition(), unit=unit) < 30
    far = phi.preimage(built.distilled.features)
    assert np.linalg.norm(change) < 0.5 * np.linalg.norm(far - references.inputs)


@pytest.mark.parametrize("name", ["fourier", "tanh"])
def test_only_rows_outside_a_bounded_range_are_scaled(name):
    phi = MAPS[name]
    W, references = problem(phi)
    built = near_copies(W, phi, chosen(mode="nearest"), References(5.0 * references.inputs))  # near the ends of it
    low, high = built.row_scale
    assert low < 1.0
    assert high == 1.0
    assert certified(W, phi, built).verdict == "pass"


def test_rows_inside_the_range_keep_their_features(ratio):
    phi = MAPS["fourier"]
    Phis = phi(np.random.default_rng(0).uniform(0, 1, (M, D)))
    Phis[2] *= 3.0 / (np.abs(Phis[2]).max() * math.sqrt(P / 2))
    X, c = into_range(phi, Phis, None, by_rows=True)
    assert np.flatnonzero(c != 1.0).tolist() == [2]
    assert ratio(c[2], 1.0 / 3.0, size=1) < 30
    assert ratio(phi(X), c[:, None] * Phis, size=D, amplification=phi.condition()) < 30
    one = into_range(phi, Phis, None, by_rows=False)[1]
    assert ratio(one, np.full(M, 1.0 / 3.0), size=1) < 30


def test_an_affine_range_that_leaves_out_0_is_reached_by_rows():
    phi = DeepLinear([D, 20], bias=True, rng=7)
    W, references = problem(phi)
    built = near_copies(W, phi, chosen(mode="nearest", distilled_ridge=0.1), references)
    assert certified(W, phi, built).verdict == "pass"
    assert built.row_scale[0] < 1.0 < built.row_scale[1]
    with pytest.raises(InfeasibleError, match=r"T8e: .* use labels='learned'"):
        near_copies(W, phi, chosen(mode="nearest", labels="one-hot"), references)


@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "tanh"])
def test_activations_without_global_pre_images_serve_near_references(ratio, activation):
    """With p points or more the nearest set is the references themselves, inside the range of any activation."""
    phi = FullyConnected([D, P], activation=activation, bias=True, rng=8)
    W, references = problem(phi, m=2 * P // K * K)
    built = near_copies(W, phi, chosen(mode="nearest"), references)
    assert certified(W, phi, built).verdict == "pass"
    lost = built.distilled.condition * max(np.linalg.cond(phi.jacobian(x)) for x in references.inputs)
    assert ratio(built.inputs, references.inputs, size=M + P, amplification=lost) < 30
    W, references = problem(phi, m=K)
    with pytest.raises(RangeError, match="more references, or use mode"):
        near_copies(W, phi, chosen(mode="nearest"), References(9.0 * references.inputs))


@pytest.mark.parametrize("labels", ["one-hot", "centred"])
@pytest.mark.parametrize("name", ["identity", "leaky relu"])
def test_fixed_labels_are_those_of_the_references_classes(ratio, name, labels):
    phi = MAPS[name]
    W, references = problem(phi, centred=labels == "centred")
    built = near_copies(W, phi, chosen(mode="nearest", labels=labels), references)
    wanted = np.eye(K)[references.classes] - (1.0 / K if labels == "centred" else 0.0)
    assert ratio(built.distilled.labels, wanted, size=1) < 30
    assert certified(W, phi, built).verdict == "pass"
    moved = np.linalg.norm(phi(built.inputs) - phi(references.inputs))
    lost = phi.condition() * np.linalg.norm(phi(references.inputs)) / moved
    assert ratio(moved, built.distilled.predicted_distance, size=M + P, amplification=lost) < 30


def test_fixed_labels_in_a_bounded_range_are_scaled_with_all_features(ratio):
    phi = MAPS["fourier"]
    W, references = problem(phi)
    built = near_copies(W, phi, chosen(mode="nearest", labels="one-hot"), references)
    assert built.scale < 1.0
    assert ratio(built.distilled.labels, built.scale * np.eye(K)[references.classes], size=1) < 30
    assert certified(W, phi, built).verdict == "pass"


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("name", ["identity", "leaky relu", "tanh"])
def test_an_intercept_takes_no_point_more(ratio, name, ridge):
    phi = MAPS[name]
    W, references = problem(phi, centred=True)
    b = np.array([0.5, 0.3, 0.2])
    built = near_copies(W, phi, chosen(mode="nearest", distilled_ridge=ridge), references, intercept=b)
    assert len(built.inputs) == M
    assert certified(W, phi, built, intercept=b).verdict == "pass"
    fitted = ridge_weights_with_intercept(phi(built.inputs), built.distilled.labels, ridge=ridge)
    Phis = phi(built.inputs)
    lost = built.distilled.amplification * max(1.0, np.linalg.norm(Phis)) * map_amplification(phi, built.inputs, Phis)
    for got, wanted in ((fitted.weights, W), (fitted.intercept, b)):
        assert ratio(got, wanted, size=M + P, amplification=lost) < 30


def test_a_box_keeps_every_stored_pixel_in_range():
    rng = np.random.default_rng(5)
    mean, std, shape = np.array([33.3, 111.1, 77.7]), np.array([78.9, 61.3, 90.1]), (4, 5, 3)
    d = math.prod(shape)
    images = rng.integers(0, 256, (8, *shape)) * (rng.uniform(size=(8, *shape)) < 0.5)  # many pixels at 0
    X = ((images - mean) / std).reshape(8, d)
    W = rng.standard_normal((K, d))
    box = pixel_box(0.0, 255.0, mean=mean, std=std, d=d)
    for b in (None, rng.standard_normal(K)):
        built = near_copies(W, Identity(d), chosen(mode="nearest", box=True), References(X), intercept=b, box=box)
        x = built.inputs.reshape(-1, 3) * std + mean
        assert len(built.inputs) == 9
        assert x.min() >= 0.0
        assert x.max() <= 255.0
        assert x.min() < 30 * 2.0**-52 * 255.0  # a face is reached: the box is no smaller than it need be
        assert certified(W, Identity(d), built, intercept=b).verdict == "pass"
    outside = near_copies(W, Identity(d), chosen(mode="nearest"), References(X)).inputs.reshape(-1, 3) * std + mean
    assert outside.min() < -0.1


@pytest.mark.parametrize("name", [*(name for name in MAPS if name != "wider than inputs"), "sigmoid"])
def test_one_image_carries_the_model(name):
    for ridge, with_intercept in itertools.product([0.0, 0.5], [False, True]):
        phi = MAPS.get(name) or FullyConnected([D, P], activation="sigmoid", bias=True, rng=9)
        W, references = problem(phi, centred=with_intercept)
        b = np.array([0.5, 0.3, 0.2]) if with_intercept else None
        one = References(references.inputs[:1], references.classes[:1])
        built = near_copies(W, phi, chosen(mode="one-image", distilled_ridge=ridge), one, intercept=b)
        assert len(built.inputs) == (K if with_intercept else K + 1)
        assert np.abs(built.inputs - one.inputs).max() <= 0.01 * np.ptp(one.inputs)
        certificate = certified(W, phi, built, intercept=b)
        assert certificate.verdict in ("pass", "inconclusive")
        assert certificate.ratio < 30


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("options", [{}, {"tau": 1.0}, {"box": True}])
@pytest.mark.parametrize("with_intercept", [False, True])
def test_dependent_references_stay_dependent(ratio, ridge, options, with_intercept):
    """Real images vary in fewer dimensions than pixels: more of them than that depend on each other."""
    rng = np.random.default_rng(3)
    W, b = rng.standard_normal((K, D)), rng.standard_normal(K) if with_intercept else None
    X = rng.uniform(0.2, 1.0, (7, 4)) @ rng.uniform(0.0, 0.25, (4, D)) + 0.1
    box = (np.zeros(D), np.ones(D)) if options.get("box") else None
    built = near_copies(
        W, Identity(D), chosen(mode="nearest", distilled_ridge=ridge, **options), References(X), intercept=b, box=box
    )
    assert certified(W, Identity(D), built, intercept=b).verdict == "pass"
    if box is None:
        moved, predicted = np.linalg.norm(built.inputs - X), built.distilled.predicted_distance
        s = np.linalg.svd(X - X.mean(axis=0) if with_intercept else X, compute_uv=False)
        rank = int(np.sum(s > 1e-10 * s[0]))
        lost = s[0] / s[rank - 1] * np.linalg.norm(X) / moved
        assert ratio(moved, built.distilled.distance, size=7 + D, amplification=lost) < 30
        assert moved >= predicted * (1 - 30 * 2.0**-52 * (7 + D) * lost)
        cutoff, both = 30 * 2.0**-52 * (7 + D) * lost * np.linalg.norm(X), np.hstack([X, built.inputs])
        assert np.linalg.matrix_rank(both, tol=cutoff) == np.linalg.matrix_rank(X, tol=cutoff)
    if not options:
        assert ratio(moved, predicted, size=7 + D, amplification=lost) < 30
        assert "combinations of" in built.distilled.theorem


def test_dependent_references_are_as_near_as_their_independent_combinations_allow(ratio):
    rng = np.random.default_rng(4)
    W, few, mix = rng.standard_normal((2, D)), rng.standard_normal((4, D)), np.linalg.qr(rng.standard_normal((9, 4)))[0]
    independent, dependent = (
        near_copies(W, Identity(D), chosen(mode="nearest"), References(X)).distilled for X in (few, mix @ few)
    )
    lost = np.linalg.cond(few) * np.linalg.norm(few) / independent.distance
    assert ratio(dependent.distance, independent.distance, size=9 + D, amplification=lost) < 30
    assert ratio(dependent.features, mix @ independent.features, size=9 + D, amplification=lost) < 30


def test_the_largest_change_is_a_fraction_of_the_range_of_the_image():
    phi = MAPS["leaky relu"]
    W, references = problem(phi)
    one = References(references.inputs[:1])
    errors = []
    for share in (0.001, 0.1):
        built = near_copies(W, phi, chosen(mode="one-image", largest_change=share), one)
        moved = np.abs(built.inputs - one.inputs).max() / np.ptp(one.inputs)
        assert 0.1 * share < moved <= share
        errors.append(certified(W, phi, built).bound)
    assert errors[1] < 0.1 * errors[0]  # nearer copies cost digits


def curved(rng, *, d=8, p=30, n=24):
    """A map that is not onto, a model on it, and real samples of K classes."""
    A, W = rng.standard_normal((p, d)), rng.standard_normal((K, p))
    phi = Function(lambda X: np.tanh(X @ A.T), d, p)
    return phi, W, References(rng.standard_normal((n, d)), np.arange(n) % K, np.arange(100, 100 + n))


@pytest.mark.parametrize("with_intercept", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_a_few_images_carry_a_model_through_a_map_that_is_not_onto(rng, pairs, with_intercept):
    phi, W, real = curved(rng)
    b = rng.standard_normal(K) if with_intercept else None
    box = (np.full(8, -3.0), np.arange(1.0, 9.0))
    construction = chosen(mode="near-copies", pairs=pairs, distilled_ridge=0.1)
    built = near_copies(W, phi, construction, real, intercept=b, box=box)
    certificate = certified(W, phi, built, intercept=b)
    assert certificate.ratio < 30
    assert certificate.relative_error < 1e-6
    bases = built.references
    assert len(bases) == len(built.inputs) < phi.p
    assert np.array_equal(real.inputs[bases.rows - 100], bases.inputs)
    assert np.array_equal(bases.rows % K, (bases.classes + 100) % K)
    share = np.abs(built.inputs - bases.inputs) / (box[1] - box[0])
    assert 1e-4 < share.max() <= 0.01
    assert abs(share.max() - built.distilled.largest_change) < 1e-6
    s = len(np.unique(bases.rows))
    assert len(built.inputs) == (2 * s if pairs else s * (K + 1))
    assert not pairs or np.array_equal(np.sort(bases.classes), np.repeat(np.arange(K), 2 * s // K))


def test_more_bases_than_needed_have_a_better_condition(rng):
    phi, W, real = curved(rng)
    few, more = (near_copies(W, phi, chosen(mode="near-copies", bases=s), real).distilled for s in (1, 8))
    assert (len(few.chosen), len(more.chosen)) == (4, 8)
    assert more.span_condition < few.span_condition


def test_every_candidate_is_looked_at(rng):
    """The only images that activate a feature may be the last ones."""
    A, W, real = rng.standard_normal((12, 5)), rng.standard_normal((K, 13)), rng.uniform(-1, 1, (400, 5))
    real[-20:, 0] += 9.0
    phi = Function(lambda X: np.hstack([np.tanh(X @ A.T), np.maximum(X[:, :1] - 7.0, 0.0)]), 5, 13)
    built = near_copies(W, phi, chosen(mode="near-copies", candidates=400), References(real, None, np.arange(400)))
    assert built.references.rows.max() >= 380
    with pytest.raises(InfeasibleError, match="1 feature is 0 at all of them"):
        near_copies(W, phi, chosen(mode="near-copies"), References(real[:256]))


def test_a_row_without_images_of_its_class_is_refused(rng):
    phi, W, real = curved(rng)
    construction = chosen(mode="near-copies", pairs=True)
    with pytest.raises(ValueError, match="references of its own class, got none for row 2; add some"):
        near_copies(W, phi, construction, References(real.inputs, np.arange(24) % 2))
    with pytest.raises(ValueError, match="pairs=True needs the classes of the references"):
        near_copies(W, phi, construction, References(real.inputs))
    few = References(real.inputs[:6], np.array([0, 0, 0, 1, 2, 2]))  # a Jacobian has rank 8, and p = 30
    with pytest.raises(InfeasibleError, match="references of class 0 must have rank p = 30, got 27 from 3 of them"):
        near_copies(W, phi, construction, few)


def test_what_the_memory_does_not_hold_is_refused_with_its_size():
    wide = Function(lambda X: X[:, :1] + np.zeros((1, 10**6)), 4, 10**6)
    construction = chosen(mode="near-copies", candidates=1, jacobians="stored")
    with pytest.raises(
        MemoryError, match=r"p = 1,000,000 features of d = 4 numbers take 28,312.\d GiB, .* use jacobians='products'"
    ):
        near_copies(np.ones((1, 10**6)), wide, construction, References(np.eye(1, 4)))


def refusals():
    phi, curved = MAPS["identity"], MAPS["leaky relu"]
    W, references = problem(phi)
    bare, box = References(references.inputs), (np.zeros(D), np.ones(D))
    Wc, rc = problem(curved)
    near, one = chosen(mode="nearest"), chosen(mode="one-image")
    single = References(references.inputs[:1])
    return {
        "no references": (W, phi, near, None, {}, ValueError, "mode='nearest' needs references, got none"),
        "no classes": (W, phi, chosen(mode="nearest", labels="one-hot"), bare, {}, ValueError, "need the classes"),
        "box of features": (
            Wc,
            curved,
            chosen(mode="nearest", box=True),
            rc,
            {"box": box},
            InfeasibleError,
            "Box: .* got fcnn",
        ),
        "no box": (W, phi, chosen(mode="nearest", box=True), bare, {}, ValueError, "box needs the range of the pixels"),
        "few references": (
            W,
            phi,
            near,
            References(bare.inputs[:2]),
            {},
            InfeasibleError,
            "T1: 2 references are fewer",
        ),
        "several for one": (W, phi, one, bare, {}, ShapeError, "takes one reference, got 6"),
        "circles": (
            np.eye(K, 2 * P),
            RandomFourier(D, 2 * P, lengthscale=1.0, rng=0, form="sincos"),
            near,
            bare,
            {},
            InfeasibleError,
            "T8a: sin/cos",
        ),
        "relu": (
            np.eye(K, P),
            FullyConnected([D, P], activation="relu", rng=0),
            one,
            single,
            {},
            InfeasibleError,
            "T9: the Jacobian",
        ),
    }


@pytest.mark.parametrize("name", refusals())
def test_what_does_not_exist_is_refused(name):
    W, phi, recipe, references, options, error, message = refusals()[name]
    with pytest.raises(error, match=message):
        near_copies(W, phi, recipe, references, **options)


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, "one-hot"),
        ({"mode": "nearest"}, "learned"),
        ({"mode": "nearest", "labels": "one-hot"}, "one-hot"),
        ({"mode": "one-image"}, "learned"),
        ({"mode": "few", "points": 2}, "learned"),
        ({"labels": "centred"}, "centred"),
    ],
)
def test_labels_default_to_what_the_mode_makes(options, labels):
    assert chosen(**options).labels == labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0.5}, "tau=0.5 is an option of mode='nearest', got mode='exact'"),
        ({"tau": -1.0, "mode": "nearest"}, "tau must be finite and >= 0, got -1.0"),
        ({"tau": 0.5, "mode": "nearest", "labels": "one-hot"}, "tau is for learned labels"),
        ({"box": True, "mode": "one-image"}, "box=True is an option of mode='nearest', got mode='one-image'"),
        ({"references": "herding"}, "references='herding' are for sets near real samples"),
        ({"largest_change": 0.1}, "is an option of mode='near-copies' and mode='one-image', got mode='exact'"),
        ({"points": 3, "mode": "one-image"}, "points=3 is an option of mode='exact' and mode='few' and mode='nearest'"),
        ({"distilled_ridge": 1.0, "ridges": (1.0, 2.0)}, "does not go with a set for several ridges"),
        ({"mode": "few"}, "fewer points than rank W needs their number"),
        ({"largest_change": 0.0, "mode": "one-image"}, "largest_change must be a fraction > 0 .* got 0.0"),
        ({"references": "kmeans", "mode": "nearest"}, "did you mean k-means"),
        ({"mode": "one-image", "labels": "one-hot"}, "unknown labels 'one-hot'; choose from learned, centred"),
        ({"mode": "nearest", "labels": "one-hot", "distilled_ridge": 0.5}, "distilled ridge 0 .T6b., got 0.5"),
    ],
)
def test_options_that_a_mode_would_ignore_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        chosen(**options)
