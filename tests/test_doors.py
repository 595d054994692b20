"""Every front door takes the same way: equal data give the same ridge, weights, intercept and points."""

import inspect
import re

import numpy as np
import pytest

import analytic_dd
from analytic_dd import FitOptions, RidgeDistiller, RidgeDistillerRegressor, cli, distill, load_distilled
from analytic_dd.baselines.bench.closed_form import ClosedFormConfig, closed_form
from analytic_dd.baselines.methods.registry import METHODS
from analytic_dd.distill import (
    Exact,
    Few,
    Future,
    Gradients,
    NearCopies,
    Nearest,
    OneImage,
    Sufficient,
    Trajectory,
    chosen,
    modes,
    options,
)
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.model import DatasetSource
from analytic_dd.terminal import reason


@pytest.fixture(scope="module")
def normalised(digits):
    source = DatasetSource(digits)
    return source.inputs(np.arange(source.n))


def from_command_line(folder, *flags):
    assert cli.main(["distill", "--out", str(folder), "--no-picture", "--json", *flags]) == 0
    stored = load_distilled(folder)
    return stored.meta["ridge"], stored.w, stored.intercept, stored.inputs, stored.meta["diagnostics"]["condition"]


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(
    ("features", "construction", "flags"),
    [
        ("identity", Exact(), []),
        ("identity", Exact(points_per_class=3), ["--ipc", "3"]),
        ("fcnn:width=40", Exact(labels="centred"), ["--labels", "centred"]),
        ("rff:p=30", Exact(), []),
        ("identity", Nearest(points_per_class=2), ["--mode", "nearest", "--ipc", "2"]),
        ("identity", Few(points=4), ["--mode", "few", "--points", "4"]),
        ("identity", OneImage(), ["--mode", "one-image"]),
        ("rff:p=30", NearCopies(bases=4), ["--mode", "near-copies", "--bases", "4"]),
    ],
    ids=str,
)
def test_the_doors_agree(digits, normalised, tmp_path, capsys, ratio, features, construction, flags, intercept):
    X, y = normalised
    flags = [*flags, "--features", features, *(["--intercept"] if intercept else [])]
    ridge, W, b, points, condition = from_command_line(tmp_path / "set", *flags)
    capsys.readouterr()
    words = {name: getattr(construction, name) for name in options() if hasattr(construction, name)}
    words = {name: value for name, value in words.items() if name in inspect.signature(RidgeDistiller).parameters}
    words = {name: value for name, value in words.items() if value != options()[name][0].default}
    estimator = RidgeDistiller(features, mode=construction.mode, fit_intercept=intercept, random_state=0, **words)
    estimator.fit(X, y)
    called = distill(X, y, features=features, construction=construction, fit=FitOptions(intercept=intercept))
    found = {
        "estimator": (estimator.ridge_, estimator.coef_, estimator.intercept_, estimator.distilled_X_),
        "distill": (called.meta["ridge"], called.w, called.intercept, called.inputs),
    }
    if not intercept and "points_per_class" in words | {"points_per_class": 1}:
        own = {name: value for name, value in words.items() if name not in ("points_per_class", "points")}
        if "points" not in words:
            config = {"features": features, "mode": construction.mode, **own}
            bench = closed_form(digits, points_per_class=words.get("points_per_class", 1), config=config)
            found["bench"] = (bench.learned["original_ridge"], None, None, bench.inputs)
    statistics = np.linalg.svd(X, compute_uv=False)
    # sums of bytes and of normalised samples round differently: eps cond_eff^2 in W (T13), and cond(D) more in the set
    amplification = (statistics[0] ** 2 + ridge) / ridge
    for its_ridge, its_W, its_b, its_points in found.values():
        assert ratio(np.array([its_ridge]), np.array([ridge]), size=64) < 30
        if its_W is not None:
            assert ratio(its_W, W, size=64, amplification=amplification) < 30
        if intercept:
            assert ratio(its_b, b, size=64, amplification=amplification) < 30
        size = np.linalg.norm(points) if construction.realistic else 1.0  # near copies: relative to the references
        assert its_points.shape == points.shape
        assert ratio(its_points, points, size=64, amplification=amplification * condition**2 * max(size, 1.0)) < 30


@pytest.mark.parametrize(
    ("construction", "flags"),
    [
        (Gradients(), ["--mode", "gradients"]),
        (Trajectory(steps=2), ["--mode", "trajectory", "--steps", "2"]),
        (Trajectory(steps=9, tolerance=1e-2), ["--mode", "trajectory", "--steps", "9", "--tolerance", "0.01"]),
        (Future(dimensions=3), ["--mode", "future", "--dimensions", "3"]),
        (Sufficient(), ["--mode", "sufficient"]),
    ],
    ids=str,
)
def test_the_doors_agree_on_sets_that_keep_more_than_a_model(normalised, tmp_path, capsys, ratio, construction, flags):
    """Any rotation of such a set is as good, and rounding chooses one: their sums G and C are compared."""
    X, y = normalised
    ridge = 30.0
    assert cli.main(["distill", "--out", str(tmp_path), "--no-picture", "--json", "--ridge", str(ridge), *flags]) == 0
    capsys.readouterr()
    stored = load_distilled(tmp_path)
    words = {flag.removeprefix("--"): float(value) for flag, value in zip(flags[2::2], flags[3::2], strict=True)}
    words = {name: int(value) if value >= 1 else value for name, value in words.items()}
    model = RidgeDistiller(mode=construction.mode, ridge=ridge, random_state=0, **words).fit(X, y)
    called = distill(X, y, construction=construction, fit=FitOptions(ridge=ridge))
    amplification = (np.linalg.norm(X, 2) ** 2 + ridge) / ridge
    for W, points, labels in (
        (model.coef_, model.distilled_X_, model.distilled_labels_),
        (called.w, called.inputs, called.y),
    ):
        assert ratio(W, stored.w, size=64, amplification=amplification) < 30
        assert ratio(points.T @ points, stored.inputs.T @ stored.inputs, size=64, amplification=amplification) < 30
        assert ratio(labels.T @ points, stored.y.T @ stored.inputs, size=64, amplification=amplification) < 30


def test_the_ridge_of_few_samples_is_chosen_in_their_own_number(ratio):
    """n < p: no door forms anything of size (p, p), and all have the weights of a thin SVD."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 300)), np.arange(40) % 3
    model = RidgeDistiller(random_state=0).fit(X, y)
    called = distill(X, y)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    W = (np.eye(3)[y].T @ U * (s / (s**2 + model.ridge_))) @ Vt
    assert called.meta["solver"] == "dual"
    assert called.meta["ridge"] == model.ridge_
    for found in (model.coef_, called.w):
        assert ratio(found, W, size=300, amplification=s[0] / s[-1]) < 30


def test_few_points_and_several_ridges_need_no_gram_matrix_either(ratio):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 300)), np.arange(40) % 3
    wide, tall = (RidgeDistiller(mode="few", points=2, ridge=1.0, solver=s, random_state=0) for s in ("dual", "gram"))
    assert ratio(wide.fit(X, y).coef_, tall.fit(X, y).coef_, size=300, amplification=1e3) < 30
    path = RidgeDistiller(ridge=[1.0, 10.0], random_state=0).fit(X, y)
    assert path.certificate_.verdict == "pass"
    for ridge, W in zip((1.0, 10.0), path.coef_path_, strict=True):
        wanted = np.linalg.solve(X @ X.T + ridge * np.eye(40), np.eye(3)[y]).T @ X
        assert ratio(W, wanted, size=300, amplification=1e3) < 30


def test_doors_have_the_options_of_the_constructions():
    """No option is typed a second time without a check: names and defaults are those of the dataclasses."""
    of_sets = {name: each for name, (each, _) in options().items() if "help" in each.metadata}
    for door in (RidgeDistiller, RidgeDistillerRegressor):
        parameters = inspect.signature(door).parameters
        for name, each in of_sets.items():
            assert parameters[name].default in (each.default, None), name
    assert set(of_sets) - {"points_per_class", "points"} <= set(inspect.signature(ClosedFormConfig).parameters)
    parser = cli.parser_of(cli._COMMANDS)
    (subparsers,) = (action for action in parser._actions if hasattr(action, "choices") and action.dest == "command")
    flags = {action.dest for action in subparsers.choices["distill"]._actions}
    assert set(of_sets) <= flags


@pytest.mark.parametrize("name", options())
def test_an_option_that_a_construction_does_not_have_is_refused_by_name(name):
    for mode in modes():
        if mode in options()[name][1] or name in ("labels", "ridges"):
            continue
        needed = {"points": 3} if mode == "few" else {}
        with pytest.raises(ValueError, match=f"^{name}="):
            chosen(mode, **needed, **{name: 7})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("values are missing in largest_change (1)", None),
        ("column points_per_class has NaN", None),
        ("data/seed=3/x.csv: ridge=30/y.csv is no table", None),
        ("largest_change must be finite", "--largest-change must be finite"),
        ("use mode='few' with points=3, box=True", "use --mode few with --points 3, --box"),
    ],
)
def test_names_in_the_data_of_the_user_are_no_flags(words, said):
    assert reason(DataError(words)) == (words if said is None else said)


def test_messages_of_the_command_line_name_its_flags(capsys):
    for arguments, words in (
        (["--box"], "--box is an option of --mode nearest, got --mode exact"),
        (["--mode", "few"], "give --points M"),
        (["--mode", "nearest", "--labels", "one-hot", "--distilled-ridge", "1"], "use --labels learned"),
        (["--mode", "few", "--points", "12"], "--points must lie in 1 .. 10"),
        (["--points", "5"], "take --points 10 or more, or --mode few (T7)"),
        (["--ipc", "0"], "--ipc must be an integer >= 1, got 0"),
        (["--labels", "foo"], "choose from one-hot, centred, learned"),
        (["--mode", "nearest", "--references", "foo"], "k-means, herding, or name a .npy or .npz file"),
        (["--ridge", "loo", "1"], "each of several ridges must be a number >= 0, got 'loo'"),
        (["--features", "patches:filters=4,grid=2"], "use near copies of real inputs, --mode near-copies"),
    ):
        assert cli.main(["distill", *arguments]) == 2
        line = capsys.readouterr().err
        assert words in line
        assert "='" not in line
        assert "_" not in line
    of_bench = "closed-form: use labels='learned', or distilled_ridge=0"  # bench has no such flags
    assert reason(ValueError(of_bench)) == of_bench


def test_messages_of_a_method_of_others_stay(monkeypatch):
    of_bench = "towards-means: use labels='learned', or distilled_ridge=0"
    assert reason(ValueError(of_bench)) != of_bench
    monkeypatch.setitem(METHODS, "towards-means", "my_methods:TowardsMeans")
    assert reason(ValueError(of_bench)) == of_bench


def test_references_that_a_construction_ignores_are_refused_in_the_words_of_the_door(capsys):
    X, y = np.random.default_rng(0).standard_normal((30, 5)), np.arange(30) % 3
    of_options = "use mode='nearest', mode='near-copies' or mode='one-image', or init='real'"
    of_constructions = "use Nearest(...), NearCopies(...) or OneImage(...), or init='real'"
    for words, door in (
        (of_constructions, lambda: Exact(references="herding")),
        (of_constructions, lambda: distill(X, y, construction=Exact(), references=X[:3])),
        (of_options, lambda: RidgeDistiller(references="herding").fit(X, y)),
        (of_options, lambda: RidgeDistiller(references=X[:3]).fit(X, y)),
        (of_options, lambda: ClosedFormConfig(references="herding")),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            door()
    assert cli.main(["distill", "--references", "herding"]) == 2
    words = "use --mode nearest, --mode near-copies or --mode one-image, or --init real"
    assert words in capsys.readouterr().err


def test_messages_of_one_call_name_constructions():
    X, y = np.random.default_rng(0).standard_normal((30, 5)), np.arange(30) % 3
    softmax = FitOptions(loss="softmax", ridge=1.0)
    for construction, given, words in (
        (Exact(points=2), {}, "take points=3 or more, or Few(...) (T7)"),
        (Exact(distilled_ridge=1e6), {}, "use Minimal(...), or lower distilled_ridge"),
        (Few(points=4), {}, "Exact(...) makes sets of more"),
        (Few(points=2), {"fit": softmax}, "got loss='softmax'; use Minimal(...) or Nearest(...)"),
        (Nearest(labels="one-hot"), {"fit": softmax}, "use labels='learned'"),
        (Exact(), {"features": "rff:p=9"}, "near copies of real inputs, NearCopies(...)"),
        (Nearest(), {"features": "rff:p=4,form=sincos"}, "use rff:form=cos, or Minimal(...)"),
        (Exact(), {"features": "fcnn:activation=relu"}, "near copies of real inputs, NearCopies(...)"),
        (Exact(), {"references": X[:3]}, "references are for sets near real samples"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)) as found:
            distill(X, y, construction=construction, **given)
        assert "mode=" not in str(found.value)
    for refused, given, words in (
        (Exact, {"labels": "learned"}, "choose from one-hot, centred; Minimal(...) learns them"),
        (Nearest, {"references": "foo"}, "k-means, herding, or pass an array"),
        (Nearest, {"references": X[:3]}, "got ndarray; pass an array beside the construction"),
    ):
        with pytest.raises((TypeError, ValueError), match=re.escape(words)):
            refused(**given)


@pytest.mark.parametrize("kind", ["numpy", "torch", "lists of text"])
def test_one_call_takes_arrays_as_they_come(digits, kind):
    import torch

    X, y = digits.x_train / 16.0, digits.y_train
    samples = {"numpy": X, "torch": torch.tensor(X), "lists of text": X}[kind]
    labels = {"numpy": y, "torch": torch.tensor(y), "lists of text": [f"class {c}" for c in y]}[kind]
    made = distill(samples, labels)
    assert made.verify().verdict == "pass"
    assert made.x.shape == (10, 8, 8)
    assert np.array_equal(made.w, distill(X, y).w)


def test_so_many_integers_that_they_look_like_quantities_are_classes_with_a_word():
    X, many, few = np.random.default_rng(0).standard_normal((60, 7)), 3 * (np.arange(60) // 2), np.arange(60) % 20
    with pytest.warns(UserWarning, match=r"y has 30 different integers in 60 rows, .*y\.astype\(float\)") as found:
        assert distill(X, many).y.shape == (30, 30)
    assert [warning.filename for warning in found] == [__file__]
    assert distill(X, many.astype(str)).y.shape == (30, 30)
    assert distill(X, few).y.shape == (20, 20)
    assert distill(X, np.arange(60) // 2).y.shape == (30, 30)  # numbers without a gap


def test_so_few_whole_numbers_that_they_look_like_classes_are_outputs_with_a_word():
    X, y = np.random.default_rng(0).standard_normal((60, 7)), np.arange(60) % 3
    with pytest.warns(UserWarning, match=r"y has 3 different whole numbers in 60 rows, .*y\.astype\(int\)") as found:
        assert distill(X, y * 1.0).meta["labels"] == "fixed"
    assert [warning.filename for warning in found] == [__file__]
    for outputs in (1.0 * y[:, None], y + 0.5, np.arange(60.0), np.ones(60)):  # one value is no class
        assert distill(X, outputs).y.shape == (1, 1)
    assert distill(X, 1.0 * y, fit=FitOptions(loss="poisson", ridge=1.0)).y.shape[1] == 1  # counts


def test_one_hot_rows_are_classes_at_every_door():
    import torch

    X, y = np.random.default_rng(0).standard_normal((60, 7)), np.arange(60) % 3
    rows, wanted = np.eye(3, dtype=int)[y], distill(X, y)
    for given in (rows, rows.astype(bool), rows.tolist(), torch.nn.functional.one_hot(torch.tensor(y))):
        made = distill(torch.tensor(X) if isinstance(given, torch.Tensor) else X, given)
        assert np.array_equal(made.inputs, wanted.inputs)
        assert made.meta["labels"] == "one-hot"
    share = RidgeDistiller(random_state=0).fit(X, y).score(X, y)
    for given in (rows, 1.0 * rows, rows.tolist()):
        model = RidgeDistiller(random_state=0).fit(X, given)
        assert model.classes_.tolist() == [0, 1, 2]
        assert model.score(X, given) == model.score(X, y) == share
    with pytest.raises(ValueError, match=r"y has classes \[0\] that are not among classes_ = \[1, 2, 3\]"):
        RidgeDistiller(random_state=0).fit(X, y + 1).score(X, rows)
    assert analytic_dd.data.Dataset.from_arrays(X, rows, split=True).classes == (0, 1, 2)
    with pytest.raises(DataError, match="rows that are not one-hot"):
        distill(X, 1 - rows)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"construction": "nearest"}, r"construction must be a Construction, such as Nearest\(.*got 'nearest'"),
        ({"construction": Nearest}, r"got the class Nearest; write Nearest\("),
        ({"fit": {"ridge": 1.0}}, r"fit must be a FitOptions, such as FitOptions\(ridge=1.0\)"),
        *(({"rng": rng}, "rng must be an integer >= 0 or a numpy.random.Generator") for rng in (1.5, True, "a", None)),
        *(
            ({"sample_weight": w}, f"weights must be an array of 60 numbers, got {w!r}")
            for w in ("balanced", b"balanced")
        ),
    ],
)
def test_an_argument_of_another_type_is_refused_in_one_line(given, words):
    X, y = np.random.default_rng(0).standard_normal((60, 7)), np.arange(60) % 3
    with pytest.raises(TypeError, match=words):
        distill(X, y, **given)


@pytest.mark.parametrize(
    "given",
    [{"intercept": "no"}, {"intercept": 1}, {"ridge": (1.0, 2.0)}, {"device": 0}]
    + [{"dtype": dtype} for dtype in (np.float16, int, None, "double-double", {})],
)
def test_options_of_the_fit_have_types(given):
    with pytest.raises(TypeError, match=f"{next(iter(given))} must be "):
        FitOptions(**given)


@pytest.mark.parametrize("wanted", [np.float32, np.float64])
def test_a_float_type_of_the_fit_has_several_names(wanted):
    for name in (wanted, np.dtype(wanted), np.dtype(wanted).name, *([float] if wanted is np.float64 else [])):
        assert FitOptions(dtype=name).dtype is wanted


def test_one_call_distils_outputs(ratio):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6))
    made = distill(X, X @ np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    assert made.verify().verdict == "pass"
    peer = RidgeDistillerRegressor(fit_intercept=False, random_state=0).fit(X, X @ np.eye(6, 2))
    assert made.inputs.shape == peer.distilled_X_.shape


def test_a_set_of_a_map_that_is_code_is_loaded_with_it(digits, tmp_path):
    def half(X):
        return np.tanh(X[:, 16:48] / 4.0)

    made = distill(digits, features=half, construction=OneImage(largest_change=0.1), fit=FitOptions(ridge=1.0))
    made.save(tmp_path / "set.npz")
    assert load_distilled(tmp_path / "set.npz", feature_map=made.feature_map).verify() == made.verify()
    with pytest.raises(DataError, match="is code"):
        load_distilled(tmp_path / "set.npz").verify()
    other = analytic_dd.features.Identity(64)
    with pytest.raises(DataError, match="another feature map: function, map, p differ"):
        load_distilled(tmp_path / "set.npz", feature_map=other)


@pytest.mark.parametrize(
    ("X", "y", "error"),
    [
        (np.eye(4), None, DataError),
        (np.eye(4), [0, 1, 0], ShapeError),
        (np.eye(4), [0.0, np.nan, 1.0, 1.0], DataError),
        (np.full((4, 2), np.inf), [0, 1, 0, 1], DataError),
        (np.eye(4), [1, 1, 1, 1], DataError),
        (np.ones((4, 3, 5, 4)), [0, 1, 0, 1], DataError),
    ],
)
def test_arrays_that_are_no_samples_are_refused(X, y, error):
    with pytest.raises(error):
        distill(X, y)


def test_a_sample_of_weight_0_says_nothing_of_the_lengthscale_of_a_map(digits):
    """Where the map takes nothing from the samples: metamorphic/test_doors, in every mode and door."""
    rng = np.random.default_rng(0)
    X, y = digits.x_train[:200] / 16.0, digits.y_train[:200]
    more, their = 1e3 * rng.standard_normal((50, 8, 8)), rng.integers(0, 10, 50)
    weights = np.concatenate([np.ones(200), np.zeros(50)])
    wanted = distill(X, y, features="rff:p=30", sample_weight=np.ones(200))
    everything = np.concatenate([X, more]), np.concatenate([y, their])
    found = distill(*everything, features="rff:p=30", sample_weight=weights)
    assert np.array_equal(found.inputs, wanted.inputs)
    assert np.array_equal(found.w, wanted.w)


def test_the_package_of_constructions_is_the_function_too():
    assert inspect.signature(distill).parameters["features"].default == "identity"
    assert analytic_dd.distill.exact.target is not None


def test_a_set_says_what_it_is_in_one_line(digits):
    made = distill(digits)
    assert repr(made) == "DistilledSet(10 points for identity (p = 64), one-hot labels, T2, ridge 0: pass)"
    assert made._repr_html_().startswith("<table><tr><th>data</th><td>digits</td></tr>")
    assert made._repr_html_().count('src="data:image/png;base64,') == 10
    Xs, Ys = made.to_torch()
    assert np.array_equal(Xs.numpy(), made.to_numpy()[0])
    assert Ys.shape == (10, 10)


def test_a_set_is_drawn_into_axes_or_a_file(digits, tmp_path):
    from matplotlib.figure import Figure

    made, axes = distill(digits), Figure().subplots()
    made.plot(ax=axes)
    (image,) = axes.images
    low, high = np.percentile(made.x, [1.0, 99.0])
    tile = np.asarray(image.get_array())[:8, 9:17]
    assert np.array_equal(tile, np.clip((made.x[1] - low) / (high - low), 0.0, 1.0))
    made.plot(tmp_path / "set.png")
    assert (tmp_path / "set.png").stat().st_size > 0
    with pytest.raises(ValueError, match=r"set\.jpg must end in \.png, \.svg or \.pdf"):
        made.plot(tmp_path / "set.jpg")
    for given in ({}, {"path": tmp_path / "set.png", "ax": axes}):
        with pytest.raises(ValueError, match="plot takes a path or ax="):
            made.plot(**given)
