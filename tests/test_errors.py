"""Errors carry their numbers through pickling, so that a worker process can report them."""

import copy
import importlib
import pickle

import numpy as np
import pytest

from analytic_dd import distill_features
from analytic_dd.errors import DataError, InfeasibleError, RangeError, RankWarning, ShapeError


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_infeasible_error_survives_with_its_attributes(again):
    error = again(InfeasibleError("ridge 2 exceeds 1", theorem="T3", value=2, limit=np.float64(1.0)))
    assert type(error) is InfeasibleError
    assert (str(error), error.theorem, error.value, error.limit) == ("ridge 2 exceeds 1", "T3", 2.0, 1.0)


def test_infeasible_error_of_a_construction_survives_pickling():
    with pytest.raises(InfeasibleError) as caught:
        distill_features(np.eye(3), np.eye(3), ridge=1.0)
    error = pickle.loads(pickle.dumps(caught.value))
    assert vars(error) == vars(caught.value) == {"theorem": "T3", "value": 1.0, "limit": 0.25}


@pytest.mark.parametrize("kind", [ShapeError, DataError, RangeError, InfeasibleError])
def test_errors_are_value_errors(kind):
    assert issubclass(kind, ValueError)


def test_rank_warning_is_a_warning_of_the_user():
    assert issubclass(RankWarning, UserWarning)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("baselines.driver:distill", "baselines:distill"),
        ("baselines.task:Task", "baselines.methods.task:Task"),
        ("distill.recipe:Recipe", "distill:chosen"),
    ],
)
def test_names_of_version_0_1_are_found_and_say_where_they_are_now(old, new):
    (before, name), (now, other) = (f"analytic_dd.{place}".split(":") for place in (old, new))
    with pytest.warns(DeprecationWarning, match=f"{before}.{name} is analytic_dd.* now; import that"):
        found = getattr(importlib.import_module(before), name)
    assert found is getattr(importlib.import_module(now), other)
    with pytest.raises(AttributeError, match="has no attribute 'others'"):
        _ = importlib.import_module(before).others
