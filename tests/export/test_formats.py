"""Every format is read back by a reader written from its own documentation, and W is fitted on what that reads."""

import csv
import json
import struct

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge

from analytic_dd import cli, data, distill, ridge_weights
from analytic_dd.distill import Exact, Minimal
from analytic_dd.errors import DataError
from analytic_dd.export import FORMATS, export, register
from analytic_dd.model import FitOptions

torch = pytest.importorskip("torch")

SHAPES = {"grey": (5, 7), "colour": (5, 7, 3)}
K, IPC = 3, 2

NAMES = {"mtt": ("images_best.pt", "labels_best.pt"), "dd-ranking": ("images.pt", "labels.pt")}


def a_set(shape=SHAPES["colour"], construction=None, **words):
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 256, (60, *shape), dtype=np.uint8), np.repeat(np.arange(K), 20)
    dataset = data.Dataset.from_arrays(x, np.array(["ape", "bee", "cow, red"])[y], split=True)
    return distill(dataset, construction=construction or Exact(points_per_class=IPC), **words)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def stored(request):
    return a_set(request.param)


def images_of(stored):
    """What a format with images holds, as float64 with channels last."""
    return stored.inputs.reshape(*stored.x.shape[:3], -1)


def recovered(stored, inputs, labels, ratio, *, eps=2.0**-52):
    """The error of W in units of the rounding of what was written."""
    X, Y = (np.asarray(array, np.float64).reshape(len(inputs), -1) for array in (inputs, labels))
    W = ridge_weights(X, Y, ridge=stored.ridge)
    condition = stored.verify().condition
    return ratio(W, stored.w, size=max(stored.inputs.shape), amplification=condition, eps=eps)


def one_hot(classes):
    return np.eye(K)[np.asarray(classes)]


def test_torch(stored, tmp_path, ratio):
    """pytorch.org, torch.load: a dict of tensors and text loads with weights_only=True."""
    stored.export("torch", tmp_path / "set.pt")
    read = torch.load(tmp_path / "set.pt", weights_only=True)
    assert recovered(stored, read["inputs"], read["labels"], ratio) < 30
    assert read["images"].shape[1] == (3 if stored.x.ndim == 4 else 1)
    back = read["images"].numpy().transpose(0, 2, 3, 1).reshape(stored.x.shape)
    assert np.array_equal(back, stored.x)
    assert json.loads(read["facts"]["classes"]) == ["ape", "bee", "cow, red"]
    assert json.loads(read["facts"]["certificate"])["verdict"] == "pass"


def test_safetensors(stored, tmp_path, ratio):
    """huggingface.co/docs/safetensors, Format: 8 bytes of the header's size, a JSON header, then the bytes."""
    stored.export("safetensors", tmp_path / "set.safetensors")
    content = (tmp_path / "set.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    facts = header.pop("__metadata__")

    def array(name):
        start, end = header[name]["data_offsets"]
        assert header[name]["dtype"] == "F64"
        return np.frombuffer(body[start:end]).reshape(header[name]["shape"])

    assert recovered(stored, array("inputs"), array("labels"), ratio) < 30
    assert array("ridge")[0] == stored.ridge == float(facts["ridge"])
    assert np.array_equal(array("mean"), stored.mean)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.25])
def test_sklearn(tmp_path, ratio, intercept, ridge):
    """scikit-learn.org, Ridge: fit(X, y) with alpha gives coef_ (n_targets, n_features)."""
    made = a_set(construction=Exact(points_per_class=IPC, distilled_ridge=ridge), fit=FitOptions(intercept=intercept))
    made.export("sklearn", tmp_path / "set.npz")
    read = np.load(tmp_path / "set.npz", allow_pickle=False)
    alpha = float(read["alpha"])
    model = Ridge(alpha=alpha, fit_intercept=intercept) if alpha else LinearRegression(fit_intercept=intercept)
    model.fit(read["X"], read["y"])
    amplification = made.verify().condition ** 2  # of scikit-learn's normal equations
    assert ratio(model.coef_, made.w, size=max(made.inputs.shape), amplification=amplification) < 30
    if intercept:
        assert ratio(model.intercept_, made.intercept, size=max(made.inputs.shape), amplification=amplification) < 30


LOSSES = {"softmax": LogisticRegression, "logistic": LogisticRegression, "poisson": PoissonRegressor}


def a_set_of(loss, ridge, intercept):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((80, 6))
    y = {"softmax": np.repeat(np.arange(4), 20), "logistic": np.repeat([[0.0], [1.0]], 40, axis=0)}
    construction = Minimal(distilled_ridge=ridge)
    outputs = y.get(loss, rng.poisson(2.0, (80, 1)).astype(float))
    return distill(X, outputs, construction=construction, fit=FitOptions(loss=loss, ridge=5.0, intercept=intercept))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [False, True])
def test_sklearn_has_the_weights_of_other_losses(loss, intercept, tmp_path):
    """scikit-learn.org: C = 1 / ridge of a sum over weighted rows; alpha of a mean over rows. Solvers stop early."""
    made = a_set_of(loss, 1e-3, intercept)
    read = np.load(made.export("sklearn", tmp_path / "set.npz").files[0])
    alpha, more = float(read["alpha"]), ()
    if loss == "poisson":
        model = PoissonRegressor(alpha=alpha, fit_intercept=intercept, tol=1e-12, max_iter=20_000)
    else:
        model = LogisticRegression(C=1.0 / alpha, fit_intercept=intercept, tol=1e-12, max_iter=20_000)
        more = (read["sample_weight"],)
    model.fit(read["X"], read["y"], *more)
    assert np.linalg.norm(model.coef_ - made.w) < 1e-3 * np.linalg.norm(made.w)  # tolerances of the solver


def test_sklearn_refuses_a_minimiser_that_is_not_unique(tmp_path):
    with pytest.raises(DataError, match="ridge > 0"):
        a_set_of("softmax", 0.0, True).export("sklearn", tmp_path / "set.npz")


def test_sklearn_refuses_labels_that_are_no_probabilities(tmp_path):
    with pytest.raises(DataError, match="probabilities"):
        a_set_of("softmax", 1e3, False).export("sklearn", tmp_path / "set.npz")


def test_sklearn_has_features_of_another_map(tmp_path, ratio):
    made = a_set(features="rff:p=20")
    notes = made.export("sklearn", tmp_path / "set.npz").notes
    assert "features of the map" in notes[0]
    read = np.load(tmp_path / "set.npz")
    assert read["X"].shape == (K * IPC, 20)
    assert recovered(made, read["X"], read["y"], ratio) < 30


def test_parquet(stored, tmp_path, ratio):
    """arrow.apache.org, pyarrow.parquet.read_table: columns by name, metadata of the schema."""
    parquet = pytest.importorskip("pyarrow.parquet")
    stored.export("parquet", tmp_path / "set.parquet")
    table = parquet.read_table(tmp_path / "set.parquet")
    names = [name for name in table.column_names if name.startswith("label=")]
    assert names == ["label=ape", "label=bee", "label=cow, red"]
    inputs = np.column_stack([table[name].to_numpy() for name in table.column_names if name not in names])
    labels = np.column_stack([table[name].to_numpy() for name in names])
    assert recovered(stored, inputs, labels, ratio) < 30
    assert float(table.schema.metadata[b"ridge"]) == stored.ridge


def test_dc(stored, tmp_path, ratio):
    """Readme and main.py of DatasetCondensation: data[i] = [images (m, c, h, w), classes (m,)], class after class."""
    stored.export("dc", tmp_path / "res_DC.pt")
    read = torch.load(tmp_path / "res_DC.pt", weights_only=True)
    assert read["accs_all_exps"] == {}
    images, classes = read["data"][0]
    assert (images.dtype, classes.dtype) == (torch.float32, torch.int64)
    assert classes.tolist() == [0, 0, 1, 1, 2, 2]
    assert images.shape[1:] == (3 if stored.x.ndim == 4 else 1, 5, 7)
    inputs = images.permute(0, 2, 3, 1)
    assert recovered(stored, inputs, one_hot(classes), ratio, eps=2.0**-23) < 30


@pytest.mark.parametrize(("name", "files"), NAMES.items())
def test_mtt_and_dd_ranking(name, files, stored, tmp_path, ratio):
    """distill.py of mtt-distillation; README of DD-Ranking: two tensors, images (m, c, h, w) and labels (m,)."""
    stored.export(name, tmp_path / "folder")
    images, classes = (torch.load(tmp_path / "folder" / file, weights_only=True) for file in files)
    assert classes.tolist() == [0, 0, 1, 1, 2, 2]
    assert recovered(stored, images.permute(0, 2, 3, 1), one_hot(classes), ratio, eps=2.0**-23) < 30


def test_kip(stored, tmp_path, ratio):
    """dataset.ipynb of google-research/kip: an npz file with keys images (m, h, w, c) and labels (m, k)."""
    stored.export("kip", tmp_path / "kip.npz")
    read = np.load(tmp_path / "kip.npz", allow_pickle=False)
    assert sorted(read) == ["images", "labels"]
    assert np.array_equal(read["images"], images_of(stored))
    assert recovered(stored, read["images"], read["labels"], ratio) < 30


def test_folder(stored, tmp_path):
    """PNG and CSV: what Pillow and the csv module of Python read, with the words of set.json."""
    notes = stored.export("folder", tmp_path / "folder").notes
    how = json.loads((tmp_path / "folder" / "set.json").read_text())
    with open(tmp_path / "folder" / "labels.csv", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["file", "label=ape", "label=bee", "label=cow, red"]
    levels = [np.asarray(Image.open(tmp_path / "folder" / row[0])) for row in rows]
    if how["stacked"]:
        levels = [np.moveaxis(image.reshape(3, 5, 7), 0, -1) for image in levels]
    x = how["low"] + how["step"] * np.stack(levels).astype(np.float64)
    assert np.abs(x - stored.x).max() <= 0.5001 * how["step"]
    inputs = ((x - how["mean"]) / how["std"]).reshape(len(rows), -1)
    W = ridge_weights(inputs, np.array([row[1:] for row in rows], dtype=float), ridge=how["ridge"])
    error = np.linalg.norm(W - stored.w) / np.linalg.norm(stored.w)
    assert f"W comes back to {error:.1e}" in notes[0]


@pytest.mark.parametrize("name", ["dc", "mtt", "dd-ranking"])
def test_soft_labels_are_refused_where_a_class_is_wanted(name, tmp_path):
    with pytest.raises(DataError, match=r"one class a point, got learned labels.*labels='one-hot', or export to kip"):
        a_set(construction=Minimal()).export(name, tmp_path / "out")
    with pytest.raises(DataError, match="got centred labels"):
        a_set(construction=Exact(labels="centred")).export(name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["dc", "mtt", "dd-ranking", "kip", "folder"])
def test_rows_are_refused_where_images_are_wanted(name, tmp_path):
    rng = np.random.default_rng(0)
    rows = distill(rng.standard_normal((40, 6)), np.arange(40) % 3)
    with pytest.raises(DataError, match="holds images, got rows of 6 numbers; export to parquet"):
        rows.export(name, tmp_path / "out")


def test_labels_of_another_size_are_said_aloud(tmp_path):
    made = a_set(features="fcnn:width=20,activation=tanh")
    notes = " ".join(made.export("dc", tmp_path / "set.pt").notes)
    size = made.y.max()
    assert size != 1.0
    assert f"W / {size:.4g}" in notes


def test_the_notes_name_the_error_of_float32(stored, tmp_path):
    notes = " ".join(stored.export("mtt", tmp_path / "folder").notes)
    error = stored.certify(inputs=stored.inputs.astype(np.float32).astype(float)).relative_error
    assert f"rounded to float32: W comes back to {error:.1e}" in notes


def test_every_format_is_read_in_this_file_and_has_a_word_in_the_help(capsys):
    assert set(FORMATS) == {"torch", "safetensors", "sklearn", "parquet", "dc", "mtt", "dd-ranking", "kip", "folder"}
    with pytest.raises(ValueError, match="there is a format named dc already"):
        register("dc", "again")(lambda distilled, path: None)
    assert cli.main(["export", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(kind.about.split("'")[0][:30] in out for kind in FORMATS.values())


def test_command_line(tmp_path, capsys):
    a_set().save(tmp_path / "distilled.npz")
    assert cli.main(["export", str(tmp_path), "--to", "mtt"]) == 0
    assert (tmp_path / "exported-mtt" / "labels_best.pt").exists()
    assert "W comes back to" in capsys.readouterr().out
    assert cli.main(["export", str(tmp_path), "--to", "torch", "--out", str(tmp_path / "a.pt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [str(tmp_path / "a.pt")]
    assert cli.main(["export", str(tmp_path), "--to", "onnx"]) == 2
    a_set(construction=Minimal()).save(tmp_path / "distilled.npz")
    assert cli.main(["export", str(tmp_path), "--to", "dc"]) == 2
    assert "distil with --labels one-hot" in capsys.readouterr().err


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown format 'onnx'; choose from"):
        export(a_set(), "onnx", tmp_path / "x")
