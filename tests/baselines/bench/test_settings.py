"""Settings by name: the published numbers, what is refused, what goes over them, and small ones."""

import numpy as np
import pytest

from analytic_dd import cli, data
from analytic_dd.baselines.bench.plan import parse_variant, plan, unlike_published
from analytic_dd.baselines.bench.protocol import Protocol
from analytic_dd.baselines.bench.settings import PUBLISHED, data_key, published, settings_options, small_options
from analytic_dd.baselines.methods.method import configured
from analytic_dd.baselines.methods.registry import METHODS, method_type

MTT = ("student_steps", "expert_span", "max_start", "lr_img", "lr_lr", "lr_0", "synthetic_batch", "depth")


def images(shape, name, k=3):
    """Images of a size, six of each class."""
    y = np.repeat(np.arange(k), 6)
    x = np.random.default_rng(0).integers(0, 256, (len(y), *shape)).astype(np.uint8)
    return data.Dataset.from_arrays(x, y, x[:k], y[:k], name=name, channels="last" if len(shape) > 2 else None)


COLOUR = images((32, 32, 3), "CIFAR-10 (JPEG)")


@pytest.mark.parametrize("method", PUBLISHED)
def test_published_settings_are_options_of_their_method_with_a_source(method):
    rows = PUBLISHED[method]
    assert len({(row.data, row.ipc) for row in rows}) == len(rows)
    for row in rows:
        configured(method_type(method).config_type, row.options)
        assert row.source


def test_the_settings_of_trajectory_matching_are_those_of_the_paper_and_of_the_benchmark():
    found = {(row.data, row.ipc): tuple(row.options.get(name) for name in MTT) for row in PUBLISHED["mtt"]}
    assert found == {
        ("cifar10", 1): (50, 2, 2, 100.0, 1e-7, 0.01, None, 3),
        ("cifar10", 10): (30, 2, 20, 100.0, 1e-5, 0.001, None, 3),
        ("cifar10", 50): (30, 2, 40, 1000.0, 1e-5, 0.001, None, 3),
        ("cifar100", 1): (20, 3, 20, 1000.0, 1e-5, 0.01, None, 3),
        ("cifar100", 10): (20, 2, 20, 1000.0, 1e-5, 0.01, None, 3),
        ("cifar100", 50): (80, 2, 40, 1000.0, 1e-5, 0.01, 125, 3),
        ("tiny-imagenet", 1): (10, 2, 10, 1e4, 1e-4, 0.01, None, 4),
        ("tiny-imagenet", 10): (20, 2, 40, 1e4, 1e-4, 0.01, 200, 4),
        ("tiny-imagenet", 50): (20, 2, 40, 1e4, 1e-4, 0.01, 300, 4),
        ("imagenette", 1): (20, 2, 10, 1e3, 1e-6, 0.01, None, 5),
        ("imagenette", 10): (20, 2, 10, 1e5, 1e-6, 0.01, None, 5),
    }
    whitened = {(row.data, row.ipc) for row in PUBLISHED["mtt"] if row.preprocess}
    assert whitened == {("cifar10", 1), ("cifar10", 10), ("cifar100", 1), ("cifar100", 50)}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("CIFAR-10 (JPEG)", "cifar10"),
        ("CIFAR-100, ZCA pixels", "cifar100"),
        ("cifar-10", "cifar10"),
        ("tiny-imagenet-64", "tiny-imagenet"),
        ("data/imagenette-128", "imagenette"),
        ("Fashion-MNIST", "fashion-mnist"),
        ("MNIST", "mnist"),
        ("mine", "mine"),
    ],
)
def test_data_are_known_by_the_names_they_have(name, key):
    assert data_key(images((4, 4), name)) == key


def test_a_plan_has_the_settings_of_each_number_of_points_and_options_go_over_them():
    def options(**more):
        found = plan(
            [COLOUR],
            [*parse_variant("mtt:steps=7"), *parse_variant("random")],
            ipcs=[1, 10],
            seeds=[0],
            predictors=["mlp"],
            config=more,
            settings="published",
        )
        return found, {(one.variant.method, one.ipc): one.variant.options for one in found.sets}

    cells, found = options()
    assert [found["mtt", ipc]["student_steps"] for ipc in (1, 10)] == [50, 30]
    assert found["mtt", 10]["steps"] == 7
    assert found["random", 10] == {}
    _, found = options(mtt={"student_steps": 3, "steps": 5})
    assert [found["mtt", ipc]["student_steps"] for ipc in (1, 10)] == [3, 3]
    assert found["mtt", 10]["steps"] == 7  # those of the variant are the last
    notes = unlike_published(cells, [COLOUR], None)
    assert list(notes.values()) == ["zca:mtt"] * 2
    assert unlike_published(cells, [COLOUR], "zca:mtt") == {}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"label-solve"}))
def test_quick_settings_are_options_of_the_methods(method):
    options = settings_options("quick", method, COLOUR, 1)
    assert options
    configured(method_type(method).config_type, options)


@pytest.mark.parametrize("settings", ["quick", "small"])
def test_sizes_leave_with_the_network_that_they_belong_to(settings):
    """A LeNet has one depth, so that those of the MLP of the settings would be refused."""
    texts = ("dd", "dd:network=lenet", "dd:network=lenet,width=3", "dd:network=mlp", "dc:network=mlp")
    variants = [one for text in texts for one in parse_variant(text)]
    chosen = {"ipcs": [1], "seeds": [0], "predictors": ["mlp"], "config": {}}
    found = [one.variant.options for one in plan([COLOUR], variants, settings=settings, **chosen).sets]
    assert [(one.get("width"), one.get("depth")) for one in found[:4]] == [(64, 1), (None, None), (3, None), (64, 1)]
    assert "width" in found[4]


@pytest.mark.parametrize(
    ("method", "dataset", "ipc", "words"),
    [
        ("mtt", COLOUR, 3, "mtt on CIFAR-10 .JPEG. at 3 a class; known: cifar10 at 1, 10, 50; cifar100 at"),
        ("ld", COLOUR, 1, "nothing is published for ld .* known: nothing; use settings='small'"),
        ("dm", images((8, 8), "digits"), 1, "nothing is published for dm on digits at 1 a class"),
        ("dm", images((16, 16, 3), "CIFAR-10"), 1, "for cifar10 of shape .32, 32, 3., the data have .16, 16, 3."),
    ],
)
def test_what_is_not_published_is_refused(method, dataset, ipc, words):
    with pytest.raises(ValueError, match=words):
        published(method, dataset, ipc)


def test_controls_and_the_closed_form_have_no_settings():
    for method in ("random", "full", "closed-form"):
        assert published(method, COLOUR, 1) is None
        assert settings_options("small", method, COLOUR, 1) == {}


def test_small_settings_are_options_and_smaller_than_the_published_ones():
    for digits in (True, False):
        for name, options in small_options(digits=digits).items():
            small = configured(Protocol if name == "evaluate" else method_type(name).config_type, options)
            if name in PUBLISHED and name != "label-solve":
                assert small.steps <= configured(method_type(name).config_type, PUBLISHED[name][0].options).steps
    assert set(small_options(digits=True)) >= set(METHODS) - {"label-solve"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--settings", "published"], "nothing is published for dm on digits at 1 a class; known: mnist at 1, 10, 50"),
        (["--settings", "published"], "use --settings small"),
        (["--settings", "small", "--quick"], "quick and settings both choose options"),
    ],
)
def test_the_command_line_refuses_in_one_line(words, message, capsys, tmp_path):
    words = ["bench", "--methods", "dm", "--predictors", "ridge", "--out", str(tmp_path / "out"), *words]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_the_command_line_takes_small_settings(capsys, tmp_path):
    words = ["bench", "--methods", "kip", "--predictors", "krr-own", "--seeds", "0", "--settings", "small", "--config"]
    words += ["kip.steps=2", "--json", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    assert '"target_batch": 500' in capsys.readouterr().out
