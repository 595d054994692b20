"""The scores of DD-Ranking by hand, their columns, and the mark of what does not distil."""

import numpy as np
import pytest

from analytic_dd.baselines.bench.ranking import augmentation_robust_score, label_robust_score
from analytic_dd.baselines.bench.table import table

E, LOW = np.e, 1.0 / np.e


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.7, 1.0])
def test_scores_are_those_of_the_definition(weight):
    found = label_robust_score(improvement=0.3, recovery=0.2, weight=weight)
    assert found == pytest.approx((E ** (weight * 0.3 - (1 - weight) * 0.2) - LOW) / (E - LOW), rel=1e-14)
    found = augmentation_robust_score(augmented=0.3, plain=-0.1, weight=weight)
    assert found == pytest.approx((E ** (weight * 0.3 + (1 - weight) * -0.1) - LOW) / (E - LOW), rel=1e-14)


def test_scores_lie_between_nothing_and_one_and_rise_with_the_set():
    assert label_robust_score(improvement=-1.0, recovery=1.0) == pytest.approx(0.0, abs=1e-15)
    assert augmentation_robust_score(augmented=1.0, plain=1.0) == pytest.approx(1.0, rel=1e-15)
    better = [label_robust_score(improvement=a - 0.3, recovery=0.9 - a) for a in (0.3, 0.5, 0.9)]
    assert better == sorted(better)


def row(method, predictor, accuracy, ipc=1):
    facts = {"method": method, "variant": "", "data": "digits", "ipc": ipc, "seed": 0, "predictor": predictor}
    return facts | {"accuracy": accuracy, "accuracy_std": None, "seconds": 1.0, "finished": True}


ROWS = [
    row("random", "convnet", 0.6),
    row("random", "convnet+dsa", 0.7),
    row("full", "convnet", 0.95, ipc=None),
    row("dm", "convnet", 0.8),
    row("dm", "convnet+dsa", 0.75),
    row("mtt", "convnet", 0.6),
    row("class_mean", "convnet", 0.5),
]


def lines(rows):
    return {line.split()[0]: line for line in table(rows).splitlines() if line}


def test_the_table_has_both_scores_where_random_images_and_all_the_data_were_scored():
    found = lines(ROWS)
    assert found["digits"].split()[-3:] == ["LRS", "ARS", "seconds"]
    lrs = 100 * label_robust_score(improvement=0.2, recovery=0.15)
    ars = 100 * augmentation_robust_score(augmented=0.05, plain=0.2)
    assert found["dm"].split()[-3:-1] == [f"{lrs:.1f}", f"{ars:.1f}"]
    assert "LRS" not in lines([one for one in ROWS if one["method"] not in ("random", "full")])["digits"]
    assert "ARS" not in lines([one for one in ROWS if one["predictor"] == "convnet"])["digits"]


def test_a_method_that_is_not_above_random_images_is_marked_and_controls_are_not():
    found = lines(ROWS)
    assert "60.0 ~" in found["mtt"]
    assert "~" not in found["dm"] + found["class_mean"] + found["random"]
    assert "does not distil" in found["~"]
    assert "~" not in lines(ROWS[:5])
