"""Tables of one's own: CSV, parquet, npy, npz and frames; what is read, and what is refused by name."""

import numpy as np
import pandas
import polars
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from analytic_dd import cli, data, distill, load_distilled
from analytic_dd.data import Dataset, Reading, Table, from_frame


def customers(n=60):
    """Columns of three units: one mean and deviation over all of them would drown the small ones."""
    rng = np.random.default_rng(3)
    age, income, member = rng.integers(18, 80, n), rng.normal(4e4, 9e3, n), rng.random(n) < 0.5
    city = rng.choice(["Bern", "Rom", "Oslo"], n)
    buys = np.where((age > 45) ^ (city == "Rom"), "yes", "no")
    return pandas.DataFrame({"age": age, "income": income, "member": member, "city": city, "buys": buys})


def written(frame, folder, ending):
    path = folder / f"customers.{ending}"
    if ending == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_every_column_is_normalised_by_its_own_moments(ending, tmp_path, ratio):
    frame = customers()
    read = data.load(written(frame, tmp_path, ending), reading=Reading(target="buys"))
    assert read.columns == ("age", "income", "member", "city=Bern", "city=Oslo", "city=Rom")
    assert read.classes == ("no", "yes")
    assert (len(read.x_train), len(read.x_test)) == (48, 12)
    assert "20% of the samples set aside" in read.source
    assert "one-hot: city (3)" in read.source
    mean, std = read.statistics()
    assert ratio(mean / read.x_train.mean(axis=0), np.ones(6), size=48) < 30
    assert ratio(std / read.x_train.std(axis=0), np.ones(6), size=48) < 30
    (X, _), *_ = read.blocks("train", mean=mean, std=std)
    assert ratio(X.mean(axis=0), np.zeros(6), size=48, amplification=float(np.max(mean / std)), unit=1.0) < 30
    assert ratio(X.std(axis=0), np.ones(6), size=48) < 30


def test_frames_of_pandas_and_polars_are_the_file(tmp_path):
    frame = customers()
    read = data.load(written(frame, tmp_path, "csv"), reading=Reading(target="buys"))
    for other in (from_frame(frame, target="buys"), from_frame(polars.from_pandas(frame), target="buys")):
        assert other.sha256 == read.sha256
        assert other.columns == read.columns


def test_a_frame_of_numbers_is_distilled_as_its_array():
    X, y = load_iris(return_X_y=True, as_frame=True)
    of_array = distill(X.to_numpy(), y.to_numpy())
    for frame, labels in ((X, y), (polars.from_pandas(X), polars.from_pandas(y))):
        assert np.array_equal(distill(frame, labels).inputs, of_array.inputs)


def test_a_csv_file_is_distilled_on_the_command_line(tmp_path, capsys):
    path = written(customers(), tmp_path, "csv")
    assert cli.main(["distill", "--data", str(path), "--target", "buys", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    for said in ("each of the 6 columns is normalised by its own mean", "one-hot: city (3)", "20% of the samples set"):
        assert said in out
    stored = load_distilled(tmp_path / "out")
    assert stored.meta["columns"][3:] == ["city=Bern", "city=Oslo", "city=Rom"]
    assert stored.mean.shape == (6,)
    assert stored.verify().verdict == "pass"
    assert cli.main(["verify", str(tmp_path / "out")]) == 0


def test_a_regression_is_distilled_on_the_command_line(tmp_path, capsys, ratio):
    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(tmp_path / "diabetes.csv", index=False)
    words = ["distill", "--data", str(tmp_path / "diabetes.csv"), "--task", "regress", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    assert "R2 0." in capsys.readouterr().out
    stored, table = (
        load_distilled(tmp_path / "out"),
        data.load(tmp_path / "diabetes.csv", reading=Reading(task="regress")),
    )
    assert isinstance(table, Table)
    assert stored.meta["error_to_original"] == 0.0
    assert stored.intercept is not None
    X, X_test = ((x - stored.mean) / stored.std for x in (table.x_train, table.x_test))
    oracle = Ridge(alpha=stored.meta["ridge"]).fit(X, table.y_train)
    predicted = X_test @ stored.w.T + stored.intercept
    amplification = np.linalg.cond(X) ** 2
    expected = oracle.predict(X_test).reshape(-1, 1)
    assert ratio(predicted, expected, size=len(X), amplification=amplification) < 30
    assert r2_score(table.y_test, predicted) > 0.2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.assign(age=f.age.where(f.age > 30), city=f.city.where(f.age > 70)), ["age (", "city (", "fillna"]),
        (lambda f: f.assign(income=np.inf), ["infinite in income"]),
        (lambda f: f.assign(city=[f"street {i}" for i in range(len(f))]), ["city has 60 different texts"]),
        (lambda f: f.assign(city=pandas.Timestamp("2020-01-01")), ["city holds dates"]),
        (lambda f: f.assign(city=[(1, 2)] * len(f)), ["city holds objects"]),
        (lambda f: f.assign(buys=f.income), ["fractions", "task='regress'"]),
        (lambda f: f.assign(buys=np.arange(len(f))), ["60 different integers", "task='regress'"]),
        (lambda f: f.rename(columns={"buys": "buy"}), ["target='buys'", "did you mean buy", "age, income"]),
        (lambda f: f[["buys"]], ["no column beside the target"]),
        (lambda f: f.assign(buys=None), ["buys (60)"]),
    ],
)
def test_what_is_no_table_of_numbers_and_categories_is_refused_by_name(change, said, refused):
    refused(lambda: from_frame(change(customers()), target="buys"), *said)


def test_frames_in_distill_need_numbers(refused):
    frame = customers()
    refused(lambda: distill(frame[["age", "city"]], frame.buys), "text in city", "OneHotEncoder", "from_frame")
    hole = frame[["age", "income"]].astype(float).where(frame.age > 30)
    refused(lambda: distill(hole, frame.buys), "missing in age (", "income (")


@pytest.mark.parametrize("kind", [str, bool, object, "category", "int8", "boolean"])
def test_labels_of_every_kind_are_classes(kind):
    frame = customers()
    buys = frame.buys if kind in (str, object, "category") else frame.buys == "yes"
    read = from_frame(frame.assign(buys=buys.astype(kind)), target="buys")
    assert len(read.classes) == 2
    expected = (frame.buys == "yes").to_numpy()
    assert sorted([*read.y_train, *read.y_test]) == sorted(expected.astype(int))
    assert distill(frame[["age", "income"]], buys.astype(kind)).y.shape == (2, 2)


def test_the_command_line_speaks_of_its_flags(tmp_path, capsys):
    path = str(written(customers(), tmp_path, "csv"))
    for words, said in (
        ([], "e.g. --target buys"),
        (["--target", "incom"], "did you mean income?"),
        (["--target", "income"], "--task regress is for quantities"),
        (["--target", "buys", "--task", "regress"], "--task regress needs numbers"),
        (["--target", "buys", "--resize", "8"], "--resize 8 does not concern a table"),
        (["--crop"], "add --resize 64"),
    ):
        assert cli.main(["distill", "--data", path, "--out", str(tmp_path / "out"), *words]) == 2
        assert said in capsys.readouterr().err
    assert cli.main(["distill", "--target", "x", "--out", str(tmp_path / "out")]) == 2
    assert "--target x does not concern digits" in capsys.readouterr().err


def test_an_index_that_pandas_wrote_is_left_out_aloud(tmp_path):
    frame = customers()
    frame.to_csv(tmp_path / "with_index.csv")
    read = data.load(tmp_path / "with_index.csv", reading=Reading(target="buys"))
    assert read.columns[0] == "age"
    assert "row numbers is left out" in read.source


def test_a_csv_without_names_has_its_columns_numbered(tmp_path):
    X, y = load_iris(return_X_y=True)
    np.savetxt(tmp_path / "iris.csv", np.column_stack([X, y]), delimiter=";", fmt="%g")
    read = data.load(tmp_path / "iris.csv", reading=Reading(target="4"))
    assert read.columns == ("0", "1", "2", "3")
    assert len(read.x_train) + len(read.x_test) == 150


def test_npy_files(tmp_path, refused):
    X, y = load_iris(return_X_y=True)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "table.npy", np.column_stack([X, y]))
    found = [data.load(tmp_path), data.load(tmp_path / "X.npy")]
    found += [data.load(tmp_path / "table.npy", reading=Reading(target=target)) for target in ("4", "-1")]
    assert len({each.sha256 for each in found}) == 1
    assert found[0].statistics()[0].shape == (4,)
    refused(lambda: data.load(tmp_path / "table.npy"), "target='-1'")
    refused(lambda: data.load(tmp_path / "table.npy", reading=Reading(target="5")), "an index of its 5 columns")


def test_rows_of_bytes_are_images_and_other_rows_are_tables(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 6)), np.arange(20) % 2
    for dtype, channels in ((np.uint8, 1), (np.float32, 6), (np.int64, 6)):
        np.savez(tmp_path / "rows.npz", x=x.astype(dtype), y=y)
        read = data.load(tmp_path / "rows.npz")
        assert isinstance(read, Dataset)
        assert read.channels == channels


def test_an_npz_of_quantities_is_a_regression(tmp_path, refused):
    X, y = load_diabetes(return_X_y=True)
    np.savez(tmp_path / "d.npz", x_train=X[:300], y_train=y[:300], x_test=X[300:], y_test=y[300:])
    read = data.load(tmp_path / "d.npz", reading=Reading(task="regress"))
    assert (read.x_train.shape, read.y_test.shape) == ((300, 10), (142, 1))
    np.savez(tmp_path / "whole.npz", x=X, y=y.astype(int))
    refused(lambda: data.load(tmp_path / "whole.npz"), "different integers in 442 rows", "task='regress'")
    np.savez(tmp_path / "text.npz", x=X, y=["a"] * len(X))
    refused(lambda: data.load(tmp_path / "text.npz", reading=Reading(task="regress")), "labels are text")


def test_images_of_other_sizes_are_resized_and_cropped_on_request(tmp_path, refused):
    rng = np.random.default_rng(1)
    for i, (height, width) in enumerate([(8, 8), (12, 8), (8, 20), (31, 17)] * 5):
        folder = tmp_path / "pictures" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)).save(folder / f"{i:02}.png")
    wide = np.tile(np.array([0] * 6 + [200] * 8 + [0] * 6, dtype=np.uint8), (8, 1))
    Image.fromarray(wide).save(tmp_path / "pictures" / "a" / "wide.png")
    refused(lambda: data.load(tmp_path / "pictures"), "resize=64", "is 8x20, but")
    squared, cropped = (
        data.load(tmp_path / "pictures", reading=Reading(resize=8, crop=crop)) for crop in (False, True)
    )
    assert squared.image_shape == cropped.image_shape == (8, 8)
    assert squared.source.split("; ")[1:-1] == ["resized to 8 x 8"]
    assert cropped.source.split("; ")[1:-1] == ["resized to 8 x 8 of the centred square"]
    uniform = [
        (x == 200).all(axis=(1, 2)).any() for x in (np.concatenate([d.x_train, d.x_test]) for d in (squared, cropped))
    ]
    assert uniform == [False, True]
