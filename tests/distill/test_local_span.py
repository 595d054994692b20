"""T22b: s real inputs and q near copies of each carry every W through a map that is not onto."""

from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import certify_recovery, near_copies, point_bounds
from analytic_dd.arrays import to_numpy
from analytic_dd.distill import bases, chord_newton, local_span, products
from analytic_dd.distill.bases import Bases, stored_bytes
from analytic_dd.distill.chord_newton import Steps
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.features import FullyConnected, Identity
from analytic_dd.features.function import Function
from analytic_dd.features.network import Network
from analytic_dd.ridge import ridge_weights_with_intercept

P, D, Q = 30, 6, 3
ACTIVATIONS = {
    "tanh": np.tanh,
    "softplus": lambda z: np.logaddexp(0.0, z),
    "sine": np.sin,
    "leaky": lambda z: np.where(z > 0, z, 0.1 * z),
    "relu": lambda z: np.where(z > 0, z, 0.0),
}


def problem(rng, activation="tanh", n=5):
    A, b, W = rng.standard_normal((P, D)), 0.3 * rng.standard_normal(P), rng.standard_normal((Q, P))
    return W, lambda X: ACTIVATIONS[activation](X @ A.T + b), rng.standard_normal((n, D))


def lost(Phi):
    """Rounding of what these features miss: near copies are ill-conditioned."""
    return 30 * 2.0**-52 * sum(Phi.shape) * np.linalg.cond(Phi)


def missed(W, Phi):
    """|W (I - P)| / |W| for the projector P on the rows of Phi, by QR."""
    basis = np.linalg.qr(Phi.T)[0]
    return np.linalg.norm(W - W @ basis @ basis.T) / np.linalg.norm(W)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_features_of_the_inputs_span_the_weights(rng, activation):
    W, phi, X = problem(rng, activation, n=20)
    built = near_copies(W, phi, X, ridge=0.1)
    s = len(built.chosen)
    assert len(built) == s * (Q + 1) == len(built.inputs)
    assert np.array_equal(built.features, phi(built.inputs))
    rounding = lost(built.features)
    assert missed(W, phi(built.inputs)) < rounding < 1e-3
    assert abs(built.relative_error - missed(W, phi(built.inputs))) < rounding
    assert certify_recovery(W, phi(built.inputs), built.labels, ridge=0.1).ratio < 30


def test_count_is_that_of_the_theorem(rng):
    W, phi, X = problem(rng)
    built = near_copies(W, phi, X)
    counts = point_bounds(P, D, Q)
    assert len(built) == counts.every_W == 20
    assert counts.necessary <= len(built) < P
    assert sorted(built.chosen) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("share", [0.01, 0.001])
def test_copies_are_near_the_real_inputs(ratio, rng, share):
    W, phi, X = problem(rng)
    built = near_copies(W, phi, X, largest_change=share)
    bases = X[list(built.chosen)]
    assert np.array_equal(built.inputs[:5], bases)
    change = np.abs(built.inputs[5:].reshape(5, Q, D) - bases[:, None, :]).max() / np.ptp(X)
    assert change <= share
    assert ratio(built.largest_change, change, size=1, amplification=np.abs(X).max() / (change * np.ptp(X))) < 30
    assert change > 0.01 * share


def test_curvature_is_removed_and_the_linear_solution_alone_misses(rng):
    """A single Newton step (none after the linear solution) leaves the curvature, of the order of eps."""
    W, phi, X = problem(rng)
    built = near_copies(W, phi, X)
    M = np.hstack([np.column_stack([phi(x[None])[0], jacobian(phi, x)]) for x in X])
    z = np.linalg.lstsq(M, np.linalg.svd(W)[2][:Q].T, rcond=None)[0].reshape(5, D + 1, Q)
    eps = 0.005 * np.ptp(X) / np.abs(z[:, 1:]).max()
    linear = phi(np.vstack([X, *(X[i] + eps * z[i, 1:].T for i in range(5))]))
    assert missed(W, linear) > 1e-6 > 1e3 * built.relative_error


@pytest.mark.parametrize("share", [0.01, 1e-6])
def test_no_smaller_change_is_tried_where_rounding_is_all_that_is_left(rng, monkeypatch, share):
    W, phi, X = problem(rng)
    tried = []
    iterated = chord_newton._iterated
    monkeypatch.setattr(chord_newton, "_iterated", lambda *args: tried.append(args) or iterated(*args))
    built = near_copies(W, phi, X, largest_change=share)
    assert len(tried) == 1
    assert built.largest_change > 0.1 * share


def jacobian(phi, x, h=1e-5):
    return np.column_stack([(phi(x[None] + h * e) - phi(x[None] - h * e))[0] / (2 * h) for e in np.eye(len(x))])


def test_one_reference_fewer_is_refused_with_the_rank(rng):
    W, phi, X = problem(rng, n=4)
    with pytest.raises(InfeasibleError, match=r"must have rank p = 30, got 28 from 4 of them; pass more") as error:
        near_copies(W, phi, X)
    assert (error.value.theorem, error.value.value, error.value.limit) == ("T22b", 28.0, 30.0)


def test_dead_features_are_counted(rng):
    W, phi, X = problem(rng, "relu", n=8)
    dead = lambda X: np.hstack([phi(X)[:, :-2], np.zeros((len(X), 2))])  # noqa: E731
    with pytest.raises(InfeasibleError, match=r"[2-9] features are 0 at all of them"):
        near_copies(W, dead, X)
    with pytest.raises(InfeasibleError, match=r"got at most 28; 2 features are 0 at all of them"):  # before a Jacobian
        near_copies(W, dead, np.concatenate([X, rng.standard_normal((20, D))]))
    W[:, -2:] = 0.0  # as in ridge regression on data that never activate them
    built = near_copies(W, dead, np.concatenate([X, rng.standard_normal((20, D))]))
    assert missed(W, dead(built.inputs)) < lost(built.features[:, :-2]) < 1e-3


def test_pairs_in_float32_take_no_more_bases_than_reach_rank_p(rng):
    W, _, X = problem(rng, n=40)
    phi, classes = FullyConnected([D, P], activation="tanh", rng=0), np.arange(40) % Q
    built = near_copies(W.astype(np.float32), phi, X.astype(np.float32), classes=classes)
    assert len(built.chosen) == Q * -(-P // (D + 1))


def test_pairs_of_all_rows_that_rounding_parts_from_W_are_refused_as_those_of_one_row_are(rng, monkeypatch):
    W, phi, X = problem(rng, n=40)
    classes = np.arange(40) % Q
    carried = local_span._carried
    monkeypatch.setattr(local_span, "_carried", lambda *args, **kind: far_apart(carried(*args, **kind)))
    sizes = iter([1.0, 1.0, 2.0**-60])  # the last row has features below the rounding of the others

    def far_apart(part):
        return replace(part, features=next(sizes) * part.features)

    with pytest.raises(InfeasibleError, match=r"must determine W, got a relative error of 0\.\d+ \(limit 1\.5e-08\)"):
        near_copies(W, phi, X, classes=classes)


def test_the_error_that_bases_are_added_for_is_that_of_W(rng, monkeypatch):
    W, phi, X = problem(rng)
    measured, spanning = [], local_span.spanning_features
    monkeypatch.setattr(local_span, "spanning_features", lambda W, *a, **k: measured.append(W) or spanning(W, *a, **k))
    near_copies(W, phi, X)
    near_copies(W, phi, np.tile(X, (Q, 1)), classes=np.repeat(np.arange(Q), len(X)))
    wanted = [W, W, *W[:, None, :], W]  # of bases, then of the whole
    assert all(np.array_equal(*pair) for pair in zip(measured, wanted, strict=True))


def test_bases_whose_condition_is_too_large_have_no_factor_of_fewer(rng, monkeypatch):
    W, phi, X = problem(rng, n=9)
    near = Bases(Function(phi, D, P), X, W, constant=False)
    while not near.reached:
        assert near.add()
        near.complete()
    monkeypatch.setattr(bases, "_CONDITION", 1.0)
    assert near.add()
    assert not near.complete()
    assert near.reached  # fewer of them were complete
    with pytest.raises(ValueError, match="the bases are not complete"):
        near.first()


def test_several_bases_are_chosen_in_float32_too(rng):
    W, phi, X = problem(rng, n=9)
    W, X = W.astype(np.float32), X.astype(np.float32)
    built = near_copies(W, lambda Z: phi(Z).astype(np.float32), X, largest_change=0.1)
    assert (built.features.dtype, len(built)) == (np.float32, len(built.chosen) * (Q + 1))
    assert built.relative_error <= np.finfo(np.float32).eps ** 0.5  # rtol, above which the set is refused


@pytest.mark.parametrize("with_intercept", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_features_that_lie_in_a_subspace_carry_what_lies_in_it(rng, pairs, with_intercept):
    """The last layer is linear and wide: no references reach rank p, and W of ridge regression needs none to."""
    A, B, X = rng.standard_normal((D, 4)), rng.standard_normal((4, 16)), rng.standard_normal((30, D))
    phi, classes = (lambda Z: np.tanh(Z @ A) @ B), np.arange(30) % Q if pairs else None
    W, b = rng.standard_normal((Q, 4)) @ B, rng.standard_normal(Q) if with_intercept else None
    built = near_copies(W, phi, X, ridge=0.1, classes=classes, intercept=b)
    assert certify_recovery(W, phi(built.inputs), built.labels, ridge=0.1, intercept=b).ratio < 30
    assert len(built) < 16  # few of the bases that were tried are kept
    W[0, :] = rng.standard_normal(16)
    with pytest.raises(InfeasibleError, match=r"must have rank p = 1[67], got [45] from \d+ of them"):
        near_copies(W, phi, X, classes=classes, intercept=b)


def test_an_unpenalised_intercept(rng):
    W, phi, X = problem(rng, n=9)
    b = rng.standard_normal(Q)
    built = near_copies(W, phi, X, ridge=0.1, intercept=b)
    fit = ridge_weights_with_intercept(phi(built.inputs), built.labels, ridge=0.1)
    about = built.features - built.features.mean(axis=0)
    s = np.linalg.svd(about, compute_uv=False)
    rounding = 30 * 2.0**-52 * sum(about.shape) * s[0] / s[len(about) - 2]  # of rank m - 1
    size = np.linalg.norm(W) * (1 + np.linalg.norm(built.features.mean(axis=0)))
    assert np.linalg.norm(fit.weights - W) < rounding * np.linalg.norm(W)
    assert np.linalg.norm(fit.intercept - b) < rounding * (size + np.linalg.norm(b))
    assert rounding < 1e-3


def test_weights_of_lower_rank_take_fewer_copies(rng):
    W, phi, X = problem(rng)
    built = near_copies(np.outer([1.0, -2.0, 3.0], W[0]), phi, X)
    assert len(built) == 5 * 2
    assert built.copies == 1


def test_a_map_onto_its_range_takes_one_image(rng):
    """T9 is the case s = 1."""
    phi = FullyConnected([9, 5], activation="tanh", bias=True, rng=0)
    built = near_copies(rng.standard_normal((Q, 5)), phi, rng.standard_normal((4, 9)))
    assert len(built) == Q + 1
    assert built.relative_error < lost(to_numpy(built.features)) < 1e-3
    assert len(near_copies(rng.standard_normal((Q, 5)), Identity(5), rng.standard_normal((4, 5)))) == Q + 1


def test_a_deep_map_with_its_own_jacobian(rng):
    phi = FullyConnected([6, 20, 25], activation="tanh", bias=True, rng=1)
    W = rng.standard_normal((2, 25))
    built = near_copies(W, phi, rng.standard_normal((12, 6)), ridge=1e-3)
    assert missed(W, phi(built.inputs)) < lost(built.features) < 1e-3
    assert len(built) < 25


@pytest.mark.parametrize("grade", [0.0, 6.0])
def test_jacobians_of_a_network_are_taken_in_float32_where_the_condition_admits_it(rng, monkeypatch, grade):
    torch, seen = pytest.importorskip("torch"), []
    W, _, X = problem(rng, n=20)
    outer = torch.nn.Linear(P, P, bias=False)
    outer.weight.data = torch.diag(torch.logspace(0.0, -grade, P))
    torch.manual_seed(0)
    phi = Network(torch.nn.Sequential(torch.nn.Linear(D, P), torch.nn.Tanh(), outer).eval(), (D,))
    assert phi.made_in == "float32"
    taken = Network._jacobian
    monkeypatch.setattr(Network, "_jacobian", lambda self, x: seen.append(x.dtype) or taken(self, x))
    W = W / np.diag(outer.weight.detach().numpy())  # every feature has a part in the rows
    built = near_copies(W, phi, X)
    full = [dtype for dtype in seen if dtype == np.float64]
    assert (built.span_condition > bases._ROUGH) == bool(full) == bool(grade)  # conditions of 1e2 and of 1e6
    assert len(seen) > len(full)
    assert missed(W, phi(built.inputs)) < lost(built.features)


def test_jacobians_that_float32_cannot_give_are_taken_again_before_another_base_is(rng, monkeypatch):
    torch = pytest.importorskip("torch")
    W, _, X = problem(rng, n=20)
    torch.manual_seed(0)
    phi = Network(torch.nn.Sequential(torch.nn.Linear(D, P), torch.nn.Tanh()).eval(), (D,))
    taken = Network._jacobian

    def lossy(self, x):
        return taken(self, x) if x.dtype == np.float64 else rng.standard_normal((P, D)).astype(np.float32)

    monkeypatch.setattr(Network, "_jacobian", lossy)
    assert len(near_copies(W, phi, X).chosen) == -(-P // (D + 1))


def test_steps_end_where_the_residual_is_linear_in_as_many_directions_as_are_kept(ratio, rng):
    """With r(w) = b - A w and A the identity but for 2 directions, the fourth combined step leaves nothing (GMRES)."""
    basis = np.linalg.qr(rng.standard_normal((P, 2)))[0]
    A = np.eye(P) + basis @ np.diag([0.5, -0.4]) @ basis.T
    b, w, steps = rng.standard_normal((Q, P)), np.zeros((Q, P)), Steps()
    for _ in range(4):
        w = w + steps.after(b - w @ A)
    assert ratio(b - w @ A, 0.0, size=P, unit=np.linalg.norm(b), amplification=1.5 / 0.6) < 30


def test_torch(rng):
    torch = pytest.importorskip("torch")
    W, _, X = problem(rng)
    A = torch.tensor(rng.standard_normal((P, D)))
    built = near_copies(torch.tensor(W), lambda X: torch.tanh(X @ A.T), torch.tensor(X), ridge=0.1)
    assert isinstance(built.inputs, torch.Tensor)
    assert missed(W, np.tanh(to_numpy(built.inputs) @ A.numpy().T)) < lost(to_numpy(built.features)) < 1e-3


def network(p=P):
    """A map with p > d whose products are exact."""
    return FullyConnected([D, p, p], activation="tanh", bias=True, rng=0)


@pytest.mark.parametrize("constant", [False, True])
def test_products_have_the_least_solution_of_stored_jacobians(ratio, rng, monkeypatch, constant):
    phi, X, R = network(), rng.standard_normal((9, D)), rng.standard_normal((Q, P))
    monkeypatch.setattr(products, "_TOLERANCE", 0.0)
    kinds = [kind(phi, X, R, constant=constant) for kind in (Bases, products.ProductBases)]
    for near in kinds:
        while len(near.chosen) < 7 or not near.complete():
            near.left = lambda near=near: [len(near.chosen)]  # the same bases in the same order
            assert near.add()
    stored, implicit = kinds
    assert stored.chosen == implicit.chosen
    implicit.scales = stored.scales  # both weigh features alike: what is least depends on it
    amplified = stored.condition**2
    for one, other in zip(stored.solve(stored.target), implicit.solve(stored.target), strict=True):
        for a, b in zip(one, other, strict=True):
            unit = max(np.linalg.norm(every) for every in one)
            assert ratio(b, a, size=P + D, amplification=amplified, unit=unit) < 30


def test_corrections_by_products_are_newtons(rng, monkeypatch):
    """The Jacobians of the copies themselves need fewer corrections than those of the bases, far from these."""
    phi, X, W, counts = network(17), rng.standard_normal((30, D)), rng.standard_normal((Q, 17)), []
    for kind, jacobians in ((Bases, "stored"), (products.ProductBases, "products")):
        missing, correction = [], kind.correction
        record = lambda self, R, copies, to=missing, way=correction: to.append(R) or way(self, R, copies)  # noqa: E731
        monkeypatch.setattr(kind, "correction", record)
        built = near_copies(W, phi, X, jacobians=jacobians, largest_change=0.05)
        assert missed(W, phi(built.inputs)) < lost(built.features) < missed(W, phi(X[list(built.chosen)]))
        counts.append(len(missing))
    assert 2 * counts[1] < counts[0]


@pytest.mark.parametrize("with_intercept", [False, True])
def test_copies_by_products_are_exact_as_those_by_stored_jacobians_are(rng, with_intercept):
    p = 17  # LSMR takes steps enough to show what is claimed
    phi, X = network(p), rng.standard_normal((30, D))
    W, b = rng.standard_normal((Q, p)), rng.standard_normal(Q) if with_intercept else None
    for jacobians in ("stored", "products"):
        built = near_copies(W, phi, X, ridge=0.1, intercept=b, jacobians=jacobians)
        certificate = certify_recovery(W, phi(built.inputs), built.labels, ridge=0.1, intercept=b)
        assert certificate.ratio < 30
        assert certificate.relative_error < 1e-6
        assert len(built) == len(built.chosen) * (Q + 1)
        assert built.diagnostics()["jacobians"] == jacobians


def test_a_base_that_wakes_a_dead_feature_is_taken_by_products_too(rng):
    A, W = rng.standard_normal((8, D)), rng.standard_normal((Q, 9))
    X = rng.uniform(-1, 1, (12, D))
    X[-2:, 0] += 9.0
    phi = Function(lambda X: np.hstack([np.tanh(X @ A.T), np.maximum(X[:, :1] - 7.0, 0.0)]), D, 9)
    assert max(near_copies(W, phi, X, jacobians="products").chosen) >= 10
    with pytest.raises(InfeasibleError, match=r"must reach the rows of W, got a residual of 0\.\d+ from \d+ of them"):
        near_copies(W, phi, X[[-1] * 5], jacobians="products")  # one reference, five times


def test_products_are_taken_where_half_of_the_memory_is_too_little(rng, monkeypatch):
    phi, W, X = network(17), rng.standard_normal((Q, 17)), rng.standard_normal((9, D))
    assert near_copies(W, phi, X).jacobians == "stored"
    monkeypatch.setattr(local_span, "memory", lambda: 2.0 * stored_bytes(phi, X) - 1.0)
    assert near_copies(W, phi, X).jacobians == "products"
    with pytest.raises(ValueError, match="unknown jacobians 'dense'; choose from auto, stored, products"):
        near_copies(W, phi, X, jacobians="dense")


def test_bad_input_is_refused(rng):
    W, phi, X = problem(rng)
    with pytest.raises(ValueError, match="W is zero"):
        near_copies(0 * W, phi, X)
    with pytest.raises(ValueError, match="largest_change must be finite and > 0, got 0"):
        near_copies(W, phi, X, largest_change=0.0)
    with pytest.raises(ValueError, match="X_ref is constant"):
        near_copies(W, phi, np.ones((5, D)))
    with pytest.raises(ShapeError, match="W has 29"):
        near_copies(W[:, 1:], phi, X)
    with pytest.raises(ShapeError, match=r"intercept must have shape \(3,\)"):
        near_copies(W, phi, X, intercept=np.zeros(2))
    with pytest.raises(InfeasibleError, match=r"within 1e-10 % of the range from 5 references; allow a larger change"):
        near_copies(W, phi, X, largest_change=1e-12)
