"""T23 on stored sets: later samples and forgotten ones, through a file, under maps with a range of their own."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import FitOptions, distill, load_distilled, ridge_weights, update
from analytic_dd.distill import Future
from analytic_dd.errors import InfeasibleError, ShapeError

N, D, K = 40, 7, 3
FIT = FitOptions(ridge=0.5)


@pytest.fixture
def samples(rng):
    return rng.standard_normal((N, D)), np.arange(N) % K


@pytest.mark.parametrize("features", ["identity", f"rff:p={D},lengthscale=3"])
def test_a_stored_set_takes_later_samples_and_gives_them_back(samples, tmp_path, ratio, features):
    X, y = samples
    Y = np.eye(K)[y]
    distill(X[:25], y[:25], features=features, construction=Future(dimensions=D), fit=FIT).save(tmp_path / "set.npz")
    stored = load_distilled(tmp_path / "set.npz")
    assert (stored.meta["label_scale"] < 1.0) == (features != "identity")
    Phi = stored.feature_map(X)
    update(stored, Phi[25:], Y[25:]).save(tmp_path / "later.npz")
    later = load_distilled(tmp_path / "later.npz")
    condition = (np.linalg.norm(Phi, 2) ** 2 + 0.5) / 0.5 * max(stored.certify().condition, 1.0)
    assert ratio(later.w, ridge_weights(Phi, Y, ridge=0.5), size=N, amplification=condition) < 30
    left = update(later, Phi[:5], Y[:5], sign=-1)
    assert ratio(left.w, ridge_weights(Phi[5:], Y[5:], ridge=0.5), size=N, amplification=condition) < 30
    for each, n, theorem in ((later, N, "T23b"), (left, N - 5, "T23c")):
        found = each.verify()
        assert found.verdict == "pass"
        assert not each.false_claims(found)
        assert (each.meta["samples"], each.meta["theorem"]) == (n, theorem)
    assert [(one["samples"], one["sign"]) for one in left.meta["updates"]] == [(15, 1), (5, -1)]
    assert "sha256" not in left.meta["data"]


@pytest.mark.parametrize("power", [0, 3, 6, 9, 12])
def test_weights_that_rounding_changes_are_not_called_exact(samples, power):
    """At a ridge far below the squared singular values W is off by what the set says, or the update is refused."""
    X, y = samples
    Y, ridge = np.eye(K)[y], 10.0**-power
    stored = distill(X, y, construction=Future(dimensions=D), fit=FitOptions(ridge=ridge))
    if np.linalg.norm(X, 2) ** 2 / ridge > 1e-6 / 2.0**-52:
        with pytest.raises(InfeasibleError, match="T23: W after an update must be known to 1e-06, got"):
            update(stored, X[:5], Y[:5])
        return
    later, wanted = update(stored, X[:5], Y[:5]), ridge_weights(*(np.vstack([A, A[:5]]) for A in (X, Y)), ridge=ridge)
    assert np.linalg.norm(later.w - wanted) < 30 * later.meta["updates"][0]["weights_known_to"] * np.linalg.norm(wanted)


def test_what_a_stored_set_cannot_hold_is_refused(samples):
    X, y = samples
    stored, Y = distill(X, y, construction=Future(dimensions=2), fit=FIT), np.eye(K)[y]
    with pytest.raises(InfeasibleError, match="of the new features lies outside the subspace"):
        update(stored, X[:2], Y[:2])
    with pytest.raises(ShapeError, match="Y must have 3 columns, one for each class of the set, got 4"):
        update(stored, X[:2], np.eye(4)[:2])
    for other in (replace(stored, subspace=None), distill(X, y, fit=FIT)):
        with pytest.raises(TypeError, match=r"the set has no subspace: .* or an older version stored it"):
            update(other, X[:2], Y[:2])
