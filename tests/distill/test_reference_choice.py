"""Which real samples are references: balanced, real, reproducible, and by the definition of each choice."""

import numpy as np
import pytest

from analytic_dd import DataError, ShapeError
from analytic_dd.distill import reference_choice
from analytic_dd.distill.reference_choice import central_rows, choose_rows, herding_rows

K, N, D = 3, 70, 5


@pytest.fixture
def samples(rng):
    y = rng.permutation(np.arange(N) % K)
    return y, rng.standard_normal((N, D)) + 3.0 * y[:, None]


def herded_by_definition(X, m):
    """Every candidate's mean is formed anew, as the formula reads."""
    chosen = []
    for t in range(1, m + 1):
        left = [i for i in range(len(X)) if i not in chosen]
        chosen.append(min(left, key=lambda i: np.linalg.norm(X.mean(axis=0) - X[[*chosen, i]].sum(axis=0) / t)))
    return chosen


def test_herding_is_the_greedy_mean(rng):
    X = rng.standard_normal((23, D)) + 100.0
    assert herding_rows(X, 23).tolist() == herded_by_definition(X, 23)


def test_the_mean_of_the_herded_approaches_the_mean_of_all_faster_than_random(rng):
    X = rng.standard_normal((400, D))
    herded = np.linalg.norm(X[herding_rows(X, 20)].mean(axis=0) - X.mean(axis=0))
    drawn = [np.linalg.norm(X[rng.choice(400, 20, replace=False)].mean(axis=0) - X.mean(axis=0)) for _ in range(50)]
    assert herded < 0.5 * min(drawn)


def test_central_rows_are_the_members_nearest_to_their_centres(rng):
    centres = 100.0 * np.eye(4, D)
    X = np.concatenate([centre + rng.standard_normal((9, D)) for centre in centres])
    wanted = [
        9 * c + np.argmin(np.linalg.norm(X[9 * c : 9 * c + 9] - X[9 * c : 9 * c + 9].mean(axis=0), axis=1))
        for c in range(4)
    ]
    assert central_rows(X, 4, rng=np.random.default_rng(0)).tolist() == wanted


@pytest.mark.parametrize("choice", ["random", "k-means", "herding"])
def test_chosen_rows_are_different_class_major_and_balanced(samples, choice):
    for m in [2, 7, 15]:
        y, X = samples
        rows = choose_rows(choice, y, m, k=K, rng=np.random.default_rng(1), samples=lambda rows: X[rows])
        assert y[rows].tolist() == sorted(np.arange(m) % K)
        assert len(set(rows.tolist())) == m


@pytest.mark.parametrize("choice", ["random", "k-means", "herding"])
def test_same_generator_same_rows(samples, choice):
    y, X = samples
    first, again, other = (
        choose_rows(choice, y, 12, k=K, rng=np.random.default_rng(seed), samples=lambda rows: X[rows]).tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert (first == other) == (choice == "herding")  # of few samples nothing is drawn for herding


def test_k_means_lowers_the_distance_of_a_class_to_its_representatives(samples):
    y, X = samples
    spread = {}
    for choice in ("random", "k-means"):
        rows = choose_rows(choice, y, 12, k=K, rng=np.random.default_rng(3), samples=lambda rows: X[rows])
        spread[choice] = sum(np.min(np.sum((X[rows[y[rows] == y[i]]] - X[i]) ** 2, axis=1)) for i in range(N))
    assert spread["k-means"] < 0.9 * spread["random"]


def test_large_classes_are_looked_at_in_part(samples, monkeypatch):
    y, X = samples
    seen = []
    monkeypatch.setattr(reference_choice, "CANDIDATES", 10)
    rows = choose_rows(
        "herding", y, 6, k=K, rng=np.random.default_rng(0), samples=lambda r: seen.append(len(r)) or X[r]
    )
    assert seen == [10, 10, 10]
    assert y[rows].tolist() == [0, 0, 1, 1, 2, 2]


def test_too_few_different_samples_are_refused(samples):
    y, X = samples
    X[y == 1] = 4.0
    for choice in ("k-means", "herding"):
        with pytest.raises(DataError, match=f"{choice} needs 2 different samples of class 1, got 1; ask for fewer"):
            choose_rows(choice, y, 6, k=K, rng=np.random.default_rng(0), samples=lambda rows: X[rows])


def test_bad_arguments_are_refused(samples):
    y, X = samples
    with pytest.raises(ValueError, match="unknown references 'kmeans'"):
        choose_rows("kmeans", y, 6, k=K, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="herding compares samples; pass samples="):
        choose_rows("herding", y, 6, k=K, rng=np.random.default_rng(0))
    for choose in (lambda m: herding_rows(X, m), lambda m: central_rows(X, m, rng=np.random.default_rng(0))):
        for m in (0, N + 1):
            with pytest.raises(ShapeError, match=f"m must lie in 1 .. 70, the number of rows, got {m}"):
                choose(m)
