"""MTT and DD on digits: what they distil trains a network, or leads one to the classes by their own steps."""

import pytest

from analytic_dd import data
from analytic_dd.baselines.bench.evaluate import Networks, evaluate
from analytic_dd.baselines.bench.own_steps import own_accuracies
from analytic_dd.baselines.methods.driver import distill


@pytest.fixture(scope="module")
def digits():
    """The digits of scikit-learn, 8 x 8."""
    return data.load("digits")


@pytest.mark.slow
def test_trajectories_of_digits_give_ten_images_that_train_a_network(digits):
    config = {"width": 16, "depth": 2, "experts": 2, "expert_lr": 0.05, "expert_batch": 64, "max_start": 3}
    config |= {"student_steps": 10, "expert_span": 2, "lr_img": 10.0, "lr_lr": 1e-4, "lr_0": 0.1}
    config |= {"augment": False, "steps": 60}
    found = distill("mtt", digits, config=config)
    score = evaluate(found.inputs, found.classes_of_points, digits, Networks(width=32, depth=2, nets=2)).mean
    print(f"mtt {score:.3f}, step size {found.learned['step_size']:.3f}")
    assert score >= 0.82


@pytest.mark.slow
def test_ten_digits_lead_a_fixed_network_to_the_classes(digits):
    """On the first weights that the set was made for, and with its own five steps."""
    config = {"width": 16, "depth": 2, "weights": "fixed", "inner_steps": 5, "inner_epochs": 1, "init": "real"}
    config |= {"step_size": 0.1, "lr": 0.1, "lr_step": 0.02, "batch": 256, "steps": 150}
    found = distill("dd", digits, config=config)
    start = distill("dd", digits, config=config | {"steps": 0})
    scores = [own_accuracies(result, digits)[0][0] for result in (found, start)]
    print(f"dd {scores[0]:.3f}, before {scores[1]:.3f}")
    assert scores[0] >= 0.80 > scores[1]
