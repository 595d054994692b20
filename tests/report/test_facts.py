"""The report of a realistic set measures what it says, on the stored file."""

import json
import math
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from analytic_dd import data, load_distilled
from analytic_dd.data import normalised
from analytic_dd.distill import chosen
from analytic_dd.errors import DataError
from analytic_dd.features import Identity
from analytic_dd.model import DatasetSource, FitOptions, fit_source, given_references
from analytic_dd.report import Report, describe
from analytic_dd.report import run as run_and_draw
from analytic_dd.report.facts import rounded
from analytic_dd.ridge import ridge_weights

run = partial(run_and_draw, picture=False)  # sets of every kind are drawn in the tests of the command line


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """Return a function: run a recipe once and give (report, stored set)."""
    kept = {}

    def make(features="identity", **options):
        key = (features, tuple(sorted(options.items())))
        if key not in kept:
            folder = tmp_path_factory.mktemp("set")
            with_intercept = options.pop("intercept", False)
            run(digits, features, chosen(**options), folder, FitOptions(intercept=with_intercept))
            kept[key] = json.loads((folder / "report.json").read_text()), load_distilled(folder)
        return kept[key]

    return make


def lines_of(report):
    """The text of a report that was read back."""
    words = {name: report[name] for name in ("tau", "box") if report[name]}
    return describe(Report(report, None, chosen(report["mode"], labels=report["labels"], **words)))


SETS = {
    "identity": ("identity", {"points_per_class": 3}),
    "identity, ridge": ("identity", {"points_per_class": 3, "distilled_ridge": 0.5}),
    "fcnn": ("fcnn:width=40", {"points_per_class": 2, "distilled_ridge": 0.1}),
    "rff": ("rff:p=30", {"points_per_class": 2}),
    "k-means": ("identity", {"references": "k-means", "points_per_class": 2}),
    "herding": ("fcnn", {"references": "herding", "points_per_class": 3}),
    "fixed labels": ("identity", {"labels": "one-hot", "points_per_class": 2}),
    "centred": ("identity", {"labels": "centred", "points_per_class": 2}),
    "intercept": ("identity", {"points_per_class": 2, "intercept": True}),
    "box": ("identity", {"points_per_class": 3, "box": True}),
}


def of(made, name):
    features, options = SETS[name]
    return made(features, mode="nearest", **options)


@pytest.mark.parametrize("name", SETS)
def test_a_nearest_set_is_exact_from_its_file(made, name):
    report, stored = of(made, name)
    assert report["recovery"]["verdict"] == "pass"
    assert stored.certify().verdict == "pass"
    assert report["accuracies"]["distilled"] == report["accuracies"]["original"]


def lost(stored, moved, size):
    """Of a distance: differences of features of that size, through the map and the projector on row(W)."""
    s = np.linalg.svd(stored.w, compute_uv=False)
    return stored.feature_map.condition() * s[0] / s[s > 1e-10 * s[0]][-1] * size / moved


@pytest.mark.parametrize("name", SETS)
def test_measured_distances_are_those_of_the_stored_arrays(made, ratio, name):
    report, stored = of(made, name)
    facts, phi, r = report["realistic"], stored.feature_map, len(stored.references)
    Phi_ref = phi(normalised(stored.references, stored.mean, stored.std))
    moved = np.linalg.norm(phi(stored.inputs)[:r] - Phi_ref)
    change = stored.x[:r] - stored.references
    amplification = np.linalg.norm(Phi_ref) / moved
    for key, wanted in {
        "distance_features": moved,
        "relative_distance_features": moved / np.linalg.norm(Phi_ref),
        "distance_pixels": np.linalg.norm(change),
        "largest_pixel_change": np.abs(change).max(),
        "largest_pixel_change_fraction": np.abs(change).max() / 16.0,
    }.items():
        assert ratio(facts[key], wanted, size=64, amplification=amplification) < 30, key
    assert facts["label_range"] == [stored.y.min(), stored.y.max()]


@pytest.mark.parametrize("name", [name for name in SETS if name != "box"])
def test_distance_from_the_file_is_the_predicted_optimum(made, ratio, name):
    """Scaled rows are farther: the optimum knows no range."""
    report, stored = of(made, name)
    facts = report["realistic"]
    if report["row_scale"] == [1.0, 1.0]:
        size = facts["distance_features"] / facts["relative_distance_features"]
        amplification = lost(stored, facts["distance_features"], size)
        assert ratio(facts["predicted_distance_ratio"], 1.0, size=64, amplification=amplification) < 30
    else:
        assert name == "rff"
        assert facts["predicted_distance_ratio"] > 1.0


def test_optimum_is_that_of_an_independent_formula(made, ratio):
    _, stored = of(made, "identity, ridge")
    references = normalised(stored.references, stored.mean, stored.std)
    N = references @ (np.eye(64) - np.linalg.pinv(stored.w) @ stored.w)
    optimum = math.sqrt(np.sum(np.linalg.svd(N, compute_uv=False)[20:30] ** 2))
    amplification = lost(stored, optimum, np.linalg.norm(references))
    predicted = of(made, "identity, ridge")[0]["realistic"]["predicted_distance"]
    assert ratio(predicted, optimum, size=64, amplification=amplification) < 30


@pytest.mark.parametrize("name", SETS)
def test_references_are_training_samples_of_the_classes_that_are_stored(made, digits, name):
    report, stored = of(made, name)
    rows = report["reference_rows"]
    assert np.array_equal(stored.references, digits.x_train[rows])
    assert digits.y_train[rows].tolist() == report["reference_classes"] == sorted(report["reference_classes"])


def test_label_agreement_counts_the_strongest_labels(made):
    report, stored = of(made, "identity")
    agreement = np.mean(stored.y.argmax(axis=1) == report["reference_classes"])
    assert 0.5 < agreement < 1.0
    assert report["realistic"]["label_agreement"] == agreement
    assert of(made, "fixed labels")[0]["realistic"]["label_agreement"] == 1.0


def test_a_box_keeps_the_stored_pixels_in_the_range_of_the_data(made):
    report, stored = of(made, "box")
    assert report["value_range"] == [0.0, 16.0]
    assert len(stored.x) == 31
    assert stored.x.min() >= 0.0
    assert stored.x.max() <= 16.0
    assert of(made, "identity")[1].x.min() < -0.1


def test_rounding_to_8_bits_has_256_levels_and_both_ends(made):
    _, stored = of(made, "identity")
    levels = rounded(stored) * 255.0 / 16.0
    assert np.abs(levels - np.round(levels)).max() <= 30 * 2.0**-52 * 255.0
    assert rounded(stored).min() == 0.0
    inside = (stored.x >= 0.0) & (stored.x <= 16.0)
    assert np.abs(rounded(stored) - stored.x)[inside].max() <= 0.5001 * 16.0 / 255.0


@pytest.mark.parametrize("name", ["identity", "identity, ridge", "fcnn"])
def test_what_rounding_costs_is_measured_before_and_after_the_labels_are_solved_again(made, digits, ratio, name):
    report, stored = of(made, name)
    eight, phi = report["realistic"]["eight_bit"], stored.feature_map
    Phis = phi(normalised(rounded(stored), stored.mean, stored.std))
    inverse = np.linalg.pinv(Phis)
    solved = (Phis + stored.ridge * inverse.T) @ stored.w.T
    decisions = phi(normalised(digits.x_test, stored.mean, stored.std)) @ stored.w.T
    for key, labels in (("before", stored.y), ("after", solved)):
        W = ridge_weights(Phis, labels, ridge=stored.ridge)
        error = np.linalg.norm(W - stored.w) / np.linalg.norm(stored.w)
        amplification = np.linalg.cond(Phis) / error  # the error is relative to |W|
        assert ratio(eight["recovery"][key], error, size=64, amplification=amplification) < 30
        found = phi(normalised(digits.x_test, stored.mean, stored.std)) @ W.T
        assert eight["decision_agreement"][key] == np.mean(found.argmax(axis=1) == decisions.argmax(axis=1))
    best = np.linalg.norm(stored.w - stored.w @ inverse @ Phis) / np.linalg.norm(stored.w)
    assert ratio(eight["recovery"]["after"], best, size=64, amplification=amplification) < 30  # no labels do better
    assert best < eight["recovery"]["before"]
    assert (eight["decisions_on"], eight["decisions"]) == ("test", 360)


def test_what_rounding_costs_counts_the_intercept(made, digits):
    report, stored = of(made, "intercept")
    eight = report["realistic"]["eight_bit"]
    Xs, X = (normalised(x, stored.mean, stored.std) for x in (rounded(stored), digits.x_test))
    refit = LinearRegression().fit(Xs, stored.y)  # minimum norm, as ridge 0
    decisions = (X @ stored.w.T + stored.intercept).argmax(axis=1)
    assert eight["decision_agreement"]["before"] == np.mean(refit.predict(X).argmax(axis=1) == decisions)
    assert np.mean((X @ stored.w.T).argmax(axis=1) == decisions) < 0.97  # it matters


def test_without_a_test_part_decisions_are_those_on_training_samples(digits, tmp_path):
    train = data.Dataset.from_arrays(digits.x_train, digits.y_train, name="train only")
    made = run(train, "identity", chosen(mode="nearest"), tmp_path)
    content = made.content
    eight = content["realistic"]["eight_bit"]
    assert (eight["decisions_on"], eight["decisions"]) == ("train", 1437)
    assert any("1,437 training samples" in line for line in describe(made))


ONE = {
    "leaky relu": ("fcnn", {}),
    "leaky relu, ridge": ("fcnn", {"distilled_ridge": 0.5}),
    "biased tanh": ("fcnn:activation=tanh,bias=true", {}),
    "sigmoid": ("fcnn:activation=sigmoid,width=40", {}),
    "gelu, by Newton's method": ("fcnn:activation=gelu,width=30", {"distilled_ridge": 0.1}),
    "convolutional": ("cnn:depth=1", {}),
    "random Fourier": ("rff:p=16", {"largest_change": 0.05}),
    "identity": ("identity", {}),
}


@pytest.mark.parametrize("name", ONE)
def test_one_image_carries_the_model(made, digits, ratio, name):
    features, options = ONE[name]
    report, stored = made(features, mode="one-image", **options)
    facts = report["realistic"]
    assert len(stored.x) == 11
    assert report["recovery"]["verdict"] != "fail"
    assert report["recovery"]["ratio"] < 30
    assert report["accuracies"]["distilled"] == report["accuracies"]["original"]
    assert stored.references.shape == (1, 8, 8)
    assert np.array_equal(stored.references[0], digits.x_train[report["reference_rows"][0]])
    assert 0.0 < facts["largest_pixel_change_fraction"] <= options.get("largest_change", 0.01) * (1 + 1e-12)
    assert np.abs(stored.x - stored.references).max() == facts["largest_pixel_change"]
    assert report["diagnostics"]["step"] > 0.0
    every = np.broadcast_to(stored.references, stored.x.shape)  # one reference for each of the points
    relative = np.linalg.norm(stored.x - every) / np.linalg.norm(every)
    assert ratio(facts["relative_distance_pixels"], relative, size=64, amplification=1 / relative) < 30
    Phi_ref = stored.feature_map(normalised(every, stored.mean, stored.std))
    moved = np.linalg.norm(stored.feature_map(stored.inputs) - Phi_ref)
    size = np.linalg.norm(Phi_ref)
    assert ratio(facts["relative_distance_features"], moved / size, size=64, amplification=size / moved) < 30
    amplification = lost(stored, moved, size)
    assert ratio(facts["predicted_distance_ratio"], 1.0, size=64, amplification=amplification) < 30


def test_the_seed_draws_the_one_image_from_all_classes(digits, tmp_path):
    classes = set()
    for seed in range(6):
        run(digits, "identity", chosen(mode="one-image"), tmp_path, seed=seed)
        classes.add(load_distilled(tmp_path).meta["reference_classes"][0])
    assert len(classes) > 2


def test_given_references_are_used_as_they_are(digits, ratio, tmp_path):
    images = digits.x_train[[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]] / 2.0
    made = run(digits, "identity", chosen(mode="nearest"), tmp_path, references=images)
    content = made.content
    stored = load_distilled(tmp_path)
    assert content["references"] == "given"
    assert (content["points"], content["reference_classes"], content["reference_rows"]) == (12, None, None)
    assert ratio(stored.references, images, size=1) < 30
    assert content["realistic"]["label_agreement"] is None
    with pytest.raises(ValueError, match="got 12 references and 20 points wanted"):
        run(digits, "identity", chosen(mode="nearest", points_per_class=2), tmp_path, references=images)
    with pytest.raises(ValueError, match="references='given' need images"):
        run(digits, "identity", chosen(mode="nearest", references="given"), tmp_path)


@pytest.mark.parametrize(
    ("images", "classes", "message"),
    [
        (np.zeros((3, 7, 8)), None, r"images of shape \(8, 8\), at least one, got an array of shape \(3, 7, 8\)"),
        (np.zeros((0, 8, 8)), None, "at least one"),
        (np.full((3, 64), np.nan), None, "references must be finite"),
        (np.zeros((3, 64)), np.array([0, 1]), r"3 indices 0 \.\. 9"),
        (np.zeros((2, 64)), np.array([0, 10]), r"2 indices 0 \.\. 9"),
    ],
)
def test_references_that_do_not_fit_are_refused(digits, images, classes, message):
    source = DatasetSource(digits)
    model = fit_source(source, Identity(64), FitOptions(ridge=1.0), rng=np.random.default_rng(0))
    with pytest.raises(DataError, match=message):
        given_references(model, source, images, classes=classes)


@pytest.mark.parametrize("name", ["identity", "box", "rff"])
def test_the_text_says_what_a_realistic_set_costs(made, name):
    lines = lines_of(of(made, name)[0])
    text = "\n".join(lines)
    for part in (
        "near copies of",
        "largest change of a pixel",
        "of the range 0 to 16",
        "rounded to 8 bits",
        "re-solved",
    ):
        assert part in text
    assert any(line.startswith("  privacy (T17): ") and "publishes its reference images" in line for line in lines)
    assert ("rows of features were scaled" in text) == (name == "rff")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("identity", "the least possible (T6); "),
        ("fixed labels", "the least possible (T6b); "),
        ("intercept", "the least possible (T6); "),
        ("box", " times the least possible without the box (T6); "),
        ("rff", " times the least possible without the limits of the map's range (T6); "),
    ],
)
def test_the_text_says_which_optimum_a_distance_is_beside(made, name, words):
    report = of(made, name)[0]
    (line,) = [line for line in lines_of(report) if "distance" in line]
    ratio = "" if words.startswith("the") else f"{report['realistic']['predicted_distance_ratio']:.3g}"
    assert f"of the features, {ratio}{words}" in line


def test_the_text_names_tau_and_the_step_of_one_image(made):
    tau, _ = made(mode="nearest", points_per_class=2, tau=0.5)
    assert "times the least possible without tau (T6)" in "\n".join(lines_of(tau))
    one, _ = made(mode="one-image")
    assert "of the features, as T9 predicts; " in "\n".join(lines_of(one))


def test_a_set_that_is_near_in_features_only_is_called_no_copies(made):
    report, _ = made("fcnn", mode="nearest", points_per_class=2)
    assert report["realistic"]["relative_distance_pixels"] > 1.0
    text = "\n".join(lines_of(report))
    assert "  near 20 images in features only, not as images (random): distance " in text
    assert "verbatim" not in text
    assert "publishes the features of its reference images" in text
    assert "e+" not in "\n".join(line for line in lines_of(report) if " of the range " in line)


def test_the_text_counts_references_without_classes(digits, tmp_path):
    images = digits.x_train[:12]
    for options, name in (({}, "a"), ({"box": True}, "b")):
        recipe = chosen(mode="nearest", **options)
        made = run(digits, "identity", recipe, tmp_path / name, references=images)
        assert "  near copies of 12 images (given): " in "\n".join(describe(made))


def test_an_exact_set_has_no_such_facts(made):
    report, stored = made()
    assert "realistic" not in report
    assert stored.references is None
    assert report["references"] is None
