"""The tests are tested: a planted error must make the test that is meant for it fail.

The errors are those of ``proofs_check/planted``. Each is planted at a function that is named, and caught by a check
of proofs_check or by a test of this suite, which must pass before and raise AssertionError (or miss its refusal) after.
"""

import importlib.util
import inspect
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analytic_dd import distill
from analytic_dd.errors import InfeasibleError

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS.parent))  # proofs_check lies beside the package and is not installed

from proofs_check import mutations  # noqa: E402
from proofs_check.mutations import catches, fails, planted  # noqa: E402
from proofs_check.planted import PLANTED, Planted  # noqa: E402
from proofs_check.planted.wrong import answer, argument, fields, ignoring, instead, otherwise  # noqa: E402
from proofs_check.registry import CHECKS  # noqa: E402

BY_CHECK = [error for error in PLANTED if "::" not in error.caught_by]
BY_TEST = [error for error in PLANTED if "::" in error.caught_by]


def label(error):
    return f"{error.at.removeprefix('analytic_dd.')}: {error.error}"


def check_named(name):
    (found,) = [check for check in CHECKS if check.id == name]
    return found


@pytest.mark.parametrize("name", sorted({error.caught_by for error in BY_CHECK}))
def test_a_planted_error_fails_the_check_that_is_meant_for_it(name):
    check = check_named(name)
    assert not fails(check)
    for error in BY_CHECK:
        if error.caught_by == name:
            with planted(error):
                assert fails(check), label(error)


@pytest.fixture
def load(monkeypatch):
    """Return a loader of test files, as modules in which errors are planted too."""

    def module_of(path):
        spec = importlib.util.spec_from_file_location(f"planted_{Path(path).stem}", TESTS / path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return module_of


@pytest.mark.parametrize("error", BY_TEST, ids=label)
def test_a_planted_error_fails_the_test_that_is_meant_for_it(request, load, numpy_float64, error):
    path, _, name = error.caught_by.partition("::")
    module = load(path)
    test = getattr(module, name)
    test = getattr(getattr(test, "hypothesis", None), "inner_test", test)

    def run():
        own = {"library": numpy_float64, "rng": np.random.default_rng(20240607)} | dict(error.given)
        if "data" in inspect.signature(test).parameters:
            own["data"] = module.data.__wrapped__(np.random.default_rng(20240607))
        given = {p: own[p] if p in own else request.getfixturevalue(p) for p in inspect.signature(test).parameters}
        test(**given)

    run()
    with planted(error), pytest.raises((AssertionError, pytest.fail.Exception, InfeasibleError)):
        run()


def test_planted_errors_are_many_different_and_of_every_kind():
    """STYLE names the kinds: a wrong constant, swapped roots, ridge times n, a dropped projector, a cut-off."""
    assert len({(error.at, error.error) for error in PLANTED}) == len(PLANTED) >= 75
    kinds = ["wrong constant", "swapped roots", "ridge times n", "projector", "absolute rank cut-off"]
    assert all(any(kind in error.error for error in PLANTED) for kind in kinds)


W = np.array([[1.0, 2.0, 0.0]])
HARMLESS = Planted("harmless", "analytic_dd.distill:few_features", answer(lambda out, given: out), "T7/float64/few")


def test_a_harmless_change_is_not_caught():
    assert catches(HARMLESS, [check_named("T7/float64/few")]) == []


def test_an_error_is_planted_wherever_the_function_is_held_and_taken_back():
    right = distill.few_features
    error = replace(HARMLESS, wrong=fields(relative_error=lambda out, given: 7.0 + given["m"]))
    from analytic_dd.distill import few

    with planted(error):
        assert distill.few_features is few.few_features is not right
        assert distill.few_features(W, 1).relative_error == 8.0
    assert distill.few_features is few.few_features is right


def test_a_method_that_is_inherited_is_planted_in_one_class_and_taken_back():
    from analytic_dd.features import FullyConnected, Identity

    X = np.ones((2, 3))
    error = replace(HARMLESS, at="analytic_dd.features:Identity.preimage", wrong=answer(lambda X, given: 2.0 * X))
    with planted(error):
        assert np.array_equal(Identity(3).preimage(X), 2.0 * X)
        assert FullyConnected.preimage is not Identity.preimage
    assert "preimage" not in vars(Identity)
    assert np.array_equal(Identity(3).preimage(X), X)


def test_an_error_is_taken_back_after_an_exception():
    right = distill.few_features
    with pytest.raises(ZeroDivisionError), planted(HARMLESS):
        raise ZeroDivisionError
    assert distill.few_features is right


@pytest.mark.parametrize("at", ["analytic_dd.distill:no_such_function", "analytic_dd.distill:DistilledFeatures.gone"])
def test_a_name_that_is_gone_is_an_error(at):
    with pytest.raises(AttributeError, match=r"no_such_function|gone"), planted(replace(HARMLESS, at=at)):
        pass


def test_a_wrong_function_that_cannot_be_called_shows_nothing():
    error = replace(HARMLESS, wrong=instead(lambda: None))
    with pytest.raises(TypeError, match="argument"):
        catches(error, [check_named("T7/float64/few")])


def test_the_command_line_names_what_catches_each_error_and_what_survives(monkeypatch, capsys):
    caught = next(error for error in PLANTED if error.at.endswith("few_features"))
    monkeypatch.setattr(mutations, "PLANTED", (caught,))
    assert mutations.main(["--all"]) == 0
    assert "T7/float64/few" in capsys.readouterr().out
    monkeypatch.setattr(mutations, "PLANTED", (caught, HARMLESS))
    assert mutations.main([]) == 1
    assert capsys.readouterr().out.splitlines()[1].endswith("SURVIVED")


def double(x, *, by=2.0):
    if x < 0.0:
        raise ValueError(x)
    return by * x


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (argument("x", lambda x, given: x + given["by"]), 10.0),
        (ignoring("by", 5.0), 15.0),
        (answer(lambda y, given: y + given["by"]), 8.0),
        (instead(lambda x, *, by=0.0: -x), -3.0),
        (otherwise(lambda x: "none"), 6.0),
    ],
)
def test_each_way_of_being_wrong_differs_in_one_respect(wrong, found):
    assert wrong(double)(3.0) == found
    assert double(3.0) == 6.0


def test_a_refusal_is_answered_by_another_function():
    assert otherwise(lambda x: "none")(double)(-3.0) == "none"
