"""Pictures are readable and say what they show: whole pixels, one scale, as many of each class, a name for each row."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from analytic_dd import data, plot, spectra
from analytic_dd.distill import chosen
from analytic_dd.io import load_distilled
from analytic_dd.model import FitOptions
from analytic_dd.plot import _caption, _class_rows, _realistic, _shown, _tile, draw_set
from analytic_dd.report import run
from analytic_dd.sheet import drawable
from analytic_dd.spectra import draw_spectrum


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    run(data.load("digits"), "identity", chosen(points_per_class=2), folder)
    return load_distilled(folder)


def drawn(distilled, folder):
    draw_set(distilled, folder / "set.png")
    return opened(folder / "set.png")


def opened(path):
    with Image.open(path) as picture:
        picture.load()
        return picture


def with_points(stored, labels, image_shape=(8, 8)):
    """The same set with other points and labels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(labels), *image_shape))
    k = labels.shape[1]
    means = rng.standard_normal((k, *image_shape))
    facts = {"classes": np.arange(k), "w": np.ones((k, 3)), "class_means": means}
    channels = image_shape[2] if len(image_shape) == 3 else 1
    facts |= {"mean": np.zeros(channels), "std": np.ones(channels)}
    return replace(stored, inputs=x.reshape(len(x), -1), x=x, y=labels, **facts)


@pytest.mark.parametrize(("side", "zoom"), [(8, 12), (28, 3), (32, 3)])
def test_a_pixel_of_a_sample_is_a_square_of_whole_pixels(stored, tmp_path, side, zoom):
    board = np.random.default_rng(0).integers(0, 2, (side, side)).astype(float)
    board[0, :2] = 0.0, 1.0  # both ends of the scale
    one = with_points(stored, np.eye(3), (side, side))
    drawn_pixels = np.asarray(drawn(replace(one, x=np.tile(board, (3, 1, 1)), class_means=None), tmp_path))
    top, left = 2 * plot._LINE + 2 * plot._MARGIN + plot._LINE, plot._MARGIN + plot._SIDE
    tile = drawn_pixels[top : top + side * zoom, left : left + side * zoom]
    wanted = np.kron(255.0 * board, np.ones((zoom, zoom)))
    assert np.array_equal(tile[2:-2, 2:-2], wanted[2:-2, 2:-2])


def test_grey_sets_make_grey_files_and_colour_sets_colour_files(stored, tmp_path):
    assert drawn(stored, tmp_path).mode == "L"
    assert drawn(with_points(stored, np.eye(3), (4, 4, 3)), tmp_path).mode == "RGB"


@pytest.mark.parametrize("shape", [(8, 8), (6, 9, 1), (4, 4, 3), (11,), (16,), (300, 200)])
def test_every_shape_of_sample_is_drawn(stored, tmp_path, shape):
    picture = drawn(with_points(stored, np.eye(3), shape), tmp_path)
    assert 100 < picture.width < 1500
    assert 40 < picture.height < 800


def test_the_aspect_of_a_sample_is_kept():
    assert _tile((6, 9), 2) == (60, 90)
    height, width = _tile((300, 200), 2)
    assert width / height == pytest.approx(200 / 300, rel=0.01)


def test_of_many_points_as_many_of_each_class_are_drawn(stored):
    many = with_points(stored, np.repeat(np.eye(4), 60, axis=0))
    for most, each in ((100, 25), (40, 10)):
        assert np.bincount(many.y[_shown(many.y, most)].argmax(axis=1)).tolist() == [each] * 4


def test_points_without_a_class_are_drawn_from_the_first(stored):
    labels = np.random.default_rng(0).standard_normal((150, 4))
    assert _shown(labels, 100).tolist() == list(range(100))


@pytest.mark.parametrize(
    ("each", "columns", "rows"), [(10, 10, "abc"), (7, 7, "abc"), (20, 10, "aabbcc"), (1, 10, ""), (4, 10, "")]
)
def test_rows_of_one_class_bear_its_name_instead_of_each_image(each, columns, rows):
    wanted = (columns, [f"class {row}" for row in rows])
    assert _class_rows(np.repeat(np.eye(3), each, axis=0), ["a", "b", "c"]) == wanted


def test_headings_and_rows_of_a_grid_say_what_each_image_is(stored):
    """Columns are means of a class, rows below are classes: bare names on both would make a table of pairs."""
    means, points = plot._plain(with_points(stored, np.repeat(np.eye(3), 5, axis=0)), 100)
    assert means.captions == ["mean of 0", "mean of 1", "mean of 2"]
    assert points.captions == []
    assert [plot._beside(points, row, 64) for row in range(3)] == [f"distilled,\nclass {c}" for c in "012"]
    assert plot._beside(points, 1, plot._STRIP) == "class 1"
    assert plot._beside(means, 0, 64) == "class means"


def test_long_names_stand_below_their_heading(stored):
    named = replace(with_points(stored, np.eye(3)), classes=np.array(["cat", "automobile", "dog"]))
    assert plot._plain(named, 100)[0].captions == ["mean of\ncat", "mean of\nautomobile", "mean of\ndog"]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (33.30399, 33.33322, "33.3040 to 33.3332"),
        (4.881, 4.889, "4.88100 to 4.88900"),
        (-284.3, 329.4, "-284 to 329"),
        (-0.001, 16.0, "0.0 to 16.0"),
        (65535.0, 66000.0, "65,535 to 66,000"),
        (0.0, 0.00012345, "0.00e+00 to 1.23e-04"),
        (1.0e9, 1.00001e9, "1.0000000e+09 to 1.0000100e+09"),
        (33.3, 33.3, "33.3 throughout"),
    ],
)
def test_the_ends_of_a_scale_have_the_digits_that_tell_them_apart(low, high, text):
    assert plot._ends(low, high) == text


def test_the_title_says_which_scales_are_percentiles(stored):
    made = realistic(stored, 1, 11, [3])
    line = plot._title(made, _realistic(made, 50), 11)[1]
    assert line.startswith("Grey scale (data units): reference, distilled ")
    assert "(98 % of the pixels); change -" in line
    assert not line.endswith("pixels)")


def test_rows_that_would_mix_classes_bear_no_name():
    assert _class_rows(np.tile(np.eye(3), (10, 1)), ["a", "b", "c"]) == (10, [])  # not class-major
    assert _class_rows(np.eye(3)[[0] * 10 + [1] * 5], ["a", "b", "c"]) == (10, [])


@pytest.mark.parametrize(
    ("labels", "caption"),
    [
        ([0.0, 1.0, 0.0], "b"),
        ([-0.25, 0.75, -0.25], "b"),
        ([0.2, 0.5, -1.0], "b: 0.5\na: 0.2"),
        ([0.5, 0.5, 0.0], "a: 0.5\nb: 0.5"),
    ],
)
def test_a_caption_names_the_class_or_the_two_strongest(labels, caption):
    assert _caption(np.array(labels), ["a", "b", "c"]) == caption


def realistic(stored, references, points, classes=None, **facts):
    """A realistic set of random images."""
    made = with_points(stored, np.random.default_rng(1).standard_normal((points, 4)))
    images = np.random.default_rng(2).uniform(size=(references, 8, 8))
    return replace(made, references=images, meta=made.meta | {"reference_classes": classes}, **facts)


def test_references_stand_above_their_points_on_one_scale(stored):
    made = realistic(stored, 13, 13, [0] * 6 + [2] * 7)
    blocks = _realistic(made, 50)
    assert [block.name for block in blocks] == ["references", "distilled"] * 2
    assert len({block.scale for block in blocks}) == 1
    assert np.array_equal(np.concatenate([block.images for block in blocks[::2]]), made.references)
    assert np.array_equal(np.concatenate([block.images for block in blocks[1::2]]), made.x)
    assert blocks[0].captions == ["0"] * 6 + ["2"] * 4
    assert all("\n" in caption for block in blocks[1::2] for caption in block.captions)


def test_of_many_references_as_many_of_each_class_are_drawn(stored):
    blocks = _realistic(realistic(stored, 60, 60, sorted(list(range(4)) * 15)), 20)
    assert [caption for block in blocks[::2] for caption in block.captions] == sorted(list("0123") * 5)


def test_the_point_of_a_box_has_a_row_of_its_own(stored, tmp_path):
    made = realistic(stored, 5, 6)
    blocks = _realistic(made, 50)
    assert [block.name for block in blocks] == ["references", "distilled", "appended (box)"]
    assert np.array_equal(blocks[2].images, made.x[5:])
    assert drawn(made, tmp_path).height > drawn(realistic(stored, 5, 5), tmp_path).height


def test_near_copies_of_one_image_are_drawn_with_their_changes(stored):
    made = realistic(stored, 1, 11, [3])
    reference, copies, change = _realistic(made, 50)
    assert (reference.name, copies.name, change.name) == ("reference", "distilled", "change")
    assert reference.captions == ["3"]
    assert reference.scale == copies.scale
    assert np.array_equal(change.images, made.x - made.references)
    assert change.scale == ((-np.abs(change.images).max(), np.abs(change.images).max()),)
    assert copies.height == 1


def test_near_copies_of_several_images_are_drawn_image_by_image_with_their_changes(stored):
    made = realistic(stored, 8, 8, [3, 1, 3, 1, 3, 1, 3, 1])
    made = replace(made, references=made.references[[1, 0, 1, 0, 1, 0, 1, 0]])
    references, copies, change = _realistic(made, 50)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    assert np.array_equal(references.images, made.references[[0, 1]])
    assert references.captions == ["3", "1"]
    assert np.array_equal(copies.images, made.x[order])
    assert np.array_equal(change.images, (made.x - made.references)[order])


def test_a_constant_set_is_drawn(stored, tmp_path):
    drawn(replace(stored, x=np.zeros_like(stored.x)), tmp_path)


def test_without_class_means_only_the_points_are_drawn(stored, tmp_path):
    assert drawn(replace(stored, class_means=None), tmp_path).height < drawn(stored, tmp_path).height


def test_a_grid_of_a_hundred_digits_is_small(stored, tmp_path):
    drawn(with_points(stored, np.repeat(np.eye(10), 10, axis=0)), tmp_path)
    assert (tmp_path / "set.png").stat().st_size < 100_000


def test_the_spectrum_is_a_picture(stored, tmp_path):
    draw_spectrum(stored, tmp_path / "spectrum.png")
    assert opened(tmp_path / "spectrum.png").size == (600, 350)


@pytest.mark.parametrize(
    ("recipe", "options", "ranks"),
    [
        ({}, {}, ["weights W, rank 10", "distilled features, rank 10"]),
        (
            {"mode": "few", "labels": "learned", "points": 5},
            {},
            ["weights W, rank 5 of 10", "distilled features, rank 5"],
        ),
        (
            {"labels": "learned"},
            {"intercept": True},
            ["weights W, rank 9 of 10", "distilled features about their mean, rank 10 of 11"],
        ),
        (
            {"labels": "learned", "ridges": (0.1, 1.0)},
            {},
            ["weights W of ridge 0.1, the first of 2, rank 10", "distilled features, rank 20"],
        ),
    ],
)
def test_the_spectrum_ends_at_the_rank_and_has_the_condition_of_the_certificate(
    tmp_path, monkeypatch, recipe, options, ranks
):
    run(data.load("digits"), "identity", chosen(**recipe), tmp_path, FitOptions(**options))
    made, figures = load_distilled(tmp_path), []
    monkeypatch.setattr(spectra, "save", lambda figure, path: figures.append(figure))
    draw_spectrum(made, tmp_path / "spectrum.png")
    (axis,) = figures[0].axes
    assert [line.get_label() for line in axis.lines] == ranks
    assert all(min(line.get_ydata()) > 1e-9 * max(line.get_ydata()) for line in axis.lines)
    assert f"condition of the features {made.certify().condition:.2g} at ridge" in axis.get_title()
    assert all(tick == round(tick) for tick in axis.get_xticks())


def test_two_near_points_about_their_mean_have_one_singular_value(tmp_path, monkeypatch):
    """What centring leaves of a second value is the rounding of the features themselves."""
    inputs, figures = np.random.default_rng(0).standard_normal((1, 64)) + np.array([[0.0], [1e-6]]), []
    monkeypatch.setattr(spectra, "save", lambda figure, path: figures.append(figure))
    near = SimpleNamespace(inputs=inputs, w=np.eye(2, 64), intercept=np.zeros(2), ridges=(0.0,))
    near.meta, near.feature_map = {"data": {"name": "two"}, "ridge": 0.0}, lambda X: X
    near.certify = lambda: SimpleNamespace(condition=1.0, ridge=0.0)
    draw_spectrum(near, tmp_path / "spectrum.png")
    assert figures[0].axes[0].lines[1].get_label() == "distilled features about their mean, rank 1 of 2"


def test_weights_that_vanish_have_no_spectrum(stored, tmp_path):
    draw_spectrum(replace(stored, w=np.zeros_like(stored.w)), tmp_path / "spectrum.png")


def test_numbers_that_json_has_not_are_drawn_as_infinite(stored, tmp_path):
    endless = {"diagnostics": {"condition": None}, "certificate": {"relative_error": None, "verdict": "inconclusive"}}
    odd = replace(stored, meta=stored.meta | endless)
    draw_spectrum(odd, tmp_path / "spectrum.png")
    assert drawn(odd, tmp_path).width > 500


def tiles(made, most=plot._MOST):
    """How many images are drawn of a set."""
    blocks = plot._plain(made, most) if made.references is None else _realistic(made, most // 2)
    return sum(len(block.images) for block in blocks)


def test_a_picture_has_at_most_two_hundred_tiles_and_counts_them(stored):
    many = with_points(stored, np.eye(301), (2, 2))
    assert tiles(many) == 200
    assert tiles(realistic(stored, 1, 301)) == 101
    assert tiles(realistic(stored, 300, 301)) == 101
    title = plot._title(many, plot._plain(many, 100), 100)
    assert "100 of 301 distilled points" in title[0]
    assert "class means (100 of 301)" in title[1]


@pytest.mark.parametrize("name", ["\u732b", "$_{$", "a" * 10_000, "cat\x1b[2J\a", "\u202eevil"])
def test_every_name_is_drawn_in_few_letters_as_it_is(stored, tmp_path, name):
    """Letters that no font has, no formula, no end, codes of terminals: a warning would be an error here."""
    named = replace(with_points(stored, np.eye(3)), classes=np.array([name, "b", "c"]))
    named = replace(named, meta=stored.meta | {"data": {"name": name}})
    picture = drawn(named, tmp_path)
    assert picture.width < 2_000
    caption = plot._plain(named, 100)[1].captions[0]
    assert caption.isprintable()
    assert len(caption) <= plot._LONGEST + 3
    draw_spectrum(replace(stored, meta=named.meta), tmp_path / "spectrum.png")


def test_letters_that_no_font_has_are_numbers():
    assert drawable("cat \U0010fffd\n$x$") == "cat U+10FFFD\n$x$"


def test_the_style_of_a_user_changes_no_picture(stored, tmp_path):
    before = np.asarray(drawn(stored, tmp_path))
    with matplotlib.rc_context({"image.origin": "lower", "font.size": 30.0, "text.usetex": True, "axes.grid": True}):
        assert np.array_equal(np.asarray(drawn(stored, tmp_path)), before)
        assert matplotlib.rcParams["image.origin"] == "lower"


def test_channels_of_distilled_images_have_scales_of_their_own(stored, tmp_path):
    """Blue of a hundredth of the range of red would be one colour on one scale."""
    colours = with_points(stored, np.eye(3), (4, 4, 3))
    x = colours.x * np.array([100.0, 10.0, 1.0])
    small_blue = replace(colours, x=x, class_means=None)
    picture = np.asarray(drawn(small_blue, tmp_path)).astype(float)
    tile = picture[plot._LINE * 3 + 2 * plot._MARGIN + 4 :, plot._MARGIN + plot._SIDE + 4 :][:80, :80]
    assert (tile.max(axis=(0, 1)) - tile.min(axis=(0, 1)) > 150).all()
    assert ": distilled red -" in plot._title(small_blue, plot._plain(small_blue, 100), 3)[1]


@pytest.mark.parametrize(("ending", "head"), [("SVG", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_pictures_are_vectors_where_the_ending_says_so(stored, tmp_path, ending, head):
    for name, draw in (("set", draw_set), ("spectrum", draw_spectrum)):
        path = tmp_path / f"{name}.{ending}"
        draw(stored, path)
        assert path.read_bytes().startswith(head)
        first = path.read_bytes()
        draw(stored, path)
        assert path.read_bytes() == first
