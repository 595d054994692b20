"""Sets that others made: each form comes back as it was written, at the command line too; what is no set is refused."""

import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from analytic_dd import cli, data, distill
from analytic_dd.baselines.bench.foreign import foreign_plan, foreign_result
from analytic_dd.baselines.bench.journal import read_rows
from analytic_dd.baselines.bench.set_forms import foreign_sets
from analytic_dd.distill import Exact
from analytic_dd.errors import DataError

SHAPES = {"grey": (5, 7), "colour": (5, 7, 3)}
K, IPC = 3, 2
EXPORTS = {"dc": ".pt", "mtt": "", "kip": ".npz", "dd-ranking": "", "torch": ".pt", "safetensors": ".safetensors"}
EXPORTS |= {"folder": ""}


def a_dataset(shape=SHAPES["colour"], name="small"):
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 256, (60, *shape), dtype=np.uint8), np.repeat(np.arange(K), 20)
    x = np.clip(x // 2 + 40 * y.reshape(-1, *[1] * len(shape)), 0, 255).astype(np.uint8)
    names = np.array(["ape", "bee", "cow, red"])[y]
    return replace(data.Dataset.from_arrays(x, names, split=True), name=name)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("form", EXPORTS)
def test_an_exported_set_comes_back(form, shape, tmp_path, ratio):
    """Inputs to the rounding of the form: float32 in files of torch's kind, 16 bits in PNG."""
    dataset = a_dataset(shape)
    stored = distill(dataset, construction=Exact(points_per_class=IPC))
    path = tmp_path / f"set{EXPORTS[form]}"
    stored.export(form, path)
    found = foreign_result(path, dataset)
    kept = {"kip": 2.0**-52, "torch": 2.0**-52, "safetensors": 2.0**-52, "folder": 2.0**-16}.get(form, 2.0**-23)
    order = np.argsort(stored.y.argmax(axis=1), kind="stable") if kept == 2.0**-23 else np.arange(K * IPC)
    labels = np.eye(K)[stored.y.argmax(axis=1)] if kept == 2.0**-23 else stored.y
    assert ratio(found.inputs, stored.inputs[order], size=1, eps=kept) < 30
    assert np.array_equal(found.y, labels[order])
    assert found.x.shape == (K * IPC, *shape)
    assert found.config["units"] == ("data" if form == "folder" else "normalised")


def test_the_file_of_a_distillation_is_read_as_it_is(tmp_path):
    dataset = a_dataset()
    stored = distill(dataset)
    stored.save(tmp_path / "distilled.npz")
    for path in (tmp_path / "distilled.npz", tmp_path):
        found = foreign_result(path, dataset)
        assert np.array_equal(found.inputs, stored.inputs)
        assert np.array_equal(found.y, stored.y)


def test_published_files_keep_numbers_of_numpy_and_several_sets(tmp_path):
    """As the code of DC saves them: accuracies that are numpy numbers, one pair for each experiment."""
    rng = np.random.default_rng(0)
    pairs = [[torch.tensor(rng.standard_normal((3, 3, 5, 7)).astype(np.float32)), torch.arange(3)] for _ in range(2)]
    accuracies = {"ConvNet": [np.float64(0.5), np.mean([0.1, 0.2])]}
    torch.save({"data": pairs, "accs_all_exps": accuracies}, tmp_path / "res_DC.pt")
    sets = foreign_sets(tmp_path / "res_DC.pt")
    assert len(sets) == 2
    cells = foreign_plan([str(tmp_path / "res_DC.pt")], [a_dataset()], ["ridge"])
    assert [(one.variant.method, one.ipc, one.seed) for one in cells.sets] == [("set", 1, 0), ("set", 1, 1)]
    second = foreign_result(tmp_path / "res_DC.pt", a_dataset(), index=1)
    wanted = np.moveaxis(pairs[1][0].numpy(), 1, -1).reshape(3, -1)
    assert np.array_equal(second.inputs, wanted)


@pytest.mark.parametrize("units", ["normalised", "data", "unit", "dc"])
def test_units_say_what_pixels_are_in(units, tmp_path, ratio):
    dataset = a_dataset((32, 32, 3), name="CIFAR-10 (JPEG)")
    x = dataset.x_train[::20].astype(np.float64)
    mean, std = dataset.statistics()
    means, deviations = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])
    written = {
        "normalised": (x - mean) / std,
        "data": x,
        "unit": x / 255.0,
        "dc": (x / 255.0 - means) / deviations,
    }[units]
    np.savez(tmp_path / "set.npz", images=written, labels=dataset.y_train[::20])
    found = foreign_result(tmp_path / "set.npz", dataset, units=units)
    assert ratio(found.x, x, size=8) < 30
    if units == "dc":
        with pytest.raises(DataError, match="the code of DC has no constants for small, but for mnist"):
            foreign_result(tmp_path / "set.npz", a_dataset((32, 32, 3)), units="dc")


def test_class_folders_have_the_classes_of_the_data_in_any_order(tmp_path):
    dataset = a_dataset()
    for name, level in (("cow, red", 9), ("ape", 7), ("bee", 8)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((5, 7, 3), level, np.uint8)).save(tmp_path / name / "one.png")
    found = foreign_result(tmp_path, dataset)
    assert sorted(zip(found.y.argmax(axis=1).tolist(), found.x[:, 0, 0, 0].round().tolist(), strict=True)) == [
        (0, 7.0),
        (1, 8.0),
        (2, 9.0),
    ]
    (tmp_path / "ape").rename(tmp_path / "gnu")
    with pytest.raises(DataError, match="has classes gnu, which small has not"):
        foreign_result(tmp_path, dataset)


def test_labels_are_classes_probabilities_or_class_after_class(tmp_path):
    dataset, rng = a_dataset(), np.random.default_rng(1)
    images, soft = rng.standard_normal((6, 3, 5, 7)), rng.standard_normal((6, 3))
    for name, labels, wanted in (
        ("none", None, np.eye(3)[[0, 0, 1, 1, 2, 2]]),
        ("classes", np.array([2, 1, 0, 0, 1, 1]), np.eye(3)[[2, 1, 0, 0, 1, 1]]),
        ("soft", soft, soft),
    ):
        save_file({"images": images} | ({} if labels is None else {"labels": labels}), tmp_path / f"{name}.safetensors")
        assert np.array_equal(foreign_result(tmp_path / f"{name}.safetensors", dataset).y, wanted)
    cells = foreign_plan([str(tmp_path / "soft.safetensors")], [dataset], ["mlp", "mlp+soft", "krr-own"])
    assert cells.sets[0].predictors == ("mlp",)
    assert cells.left_out == ("set:soft.safetensors, small, mlp+soft: its labels are no probabilities",)
    cells = foreign_plan([str(tmp_path / "classes.safetensors")], [dataset], ["mlp", "mlp+soft", "krr-own"])
    assert cells.sets[0].predictors == ("mlp", "mlp+soft")


class Hostile:
    """What a pickle may hold."""

    def __reduce__(self):
        """Call something when it is loaded."""
        return (print, ("run",))


def zipped(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pt", zipped(Hostile()), "is no file of tensors"),
        ("a.pt", pickle.dumps(Hostile()), "is no file of tensors"),
        ("a.pt", b"PK", "is no file of tensors"),
        ("a.pt", zipped([1, 2, 3]), "wanted images and labels"),
        ("a.pt", zipped({"weights": torch.zeros(2)}), "has weights; wanted inputs or images"),
        ("a.pt", zipped(torch.zeros(4, 3, 5, 7)), "has no labels, and 4 images are not as many of each of 3 classes"),
        (
            "a.pt",
            zipped([torch.zeros(3, 3, 4, 4), torch.arange(3)]),
            r"\(3, 3, 4, 4\), small wants \(m, 5, 7, 3\)",
        ),
        ("a.pt", zipped([torch.zeros(3, 3, 5, 7), torch.arange(3) + 1]), "has classes from 1 to 3, small has 3"),
        ("a.pt", zipped([torch.zeros(3, 3, 5, 7), torch.zeros(3, 4)]), r"has labels \(3, 4\)"),
        ("a.pt", zipped([torch.full((3, 3, 5, 7), float("nan")), torch.arange(3)]), "numbers that are not finite"),
        ("a.safetensors", b"12345678", "is no file of safetensors"),
        ("a.npz", b"12345678", "a.npz"),
        ("a.csv", b"1", "sets are .pt, .npz, .safetensors or folders, got .csv"),
    ],
)
def test_what_is_no_set_is_refused_and_nothing_is_run(name, content, words, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        foreign_result(tmp_path / name, a_dataset())
    assert capsys.readouterr().out == ""


def test_the_command_line_scores_sets_beside_controls_of_their_size(tmp_path, capsys):
    digits = data.load("digits")
    stored = distill(digits, construction=Exact(points_per_class=2))
    stored.export("mtt", tmp_path / "mtt")
    words = ["bench", "--sets", str(tmp_path / "mtt"), "--predictors", "ridge", "--seeds", "0", "--quick"]
    words += ["--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    rows = {(row["method"], row["variant"], row["ipc"]): row for row in read_rows(tmp_path / "out" / "bench.jsonl")}
    assert set(rows) == {("set", "mtt", 2), ("random", "", 2), ("class_mean", "", 2)}
    row = rows["set", "mtt", 2]
    assert row["points"] == 20
    assert row["settings"]["options"]["units"] == "normalised"
    assert len(row["settings"]["options"]["sha256"]) == 64
    assert row["accuracy"] > rows["random", "", 2]["accuracy"]  # an exact set is made for ridge regression
    assert "set:mtt" in printed
    assert cli.main([*words, "--resume", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 3
    assert cli.main([*words[:2], str(tmp_path / "nowhere.pt"), "--out", str(tmp_path / "other")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
