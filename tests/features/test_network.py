"""A torch module is a feature map: its features and derivatives are torch's, and other weights are refused."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
import torch

from analytic_dd.arrays import dtype_name, to_numpy
from analytic_dd.distill.local_span import near_copies
from analytic_dd.errors import DataError, InfeasibleError, ShapeError
from analytic_dd.features import Network, from_spec
from analytic_dd.features.function import as_feature_map
from analytic_dd.judge import certify_recovery
from analytic_dd.linalg.threads import PREFIX
from analytic_dd.ridge import ridge_weights


def vectors() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(7, 9), torch.nn.Tanh(), torch.nn.Linear(9, 11), torch.nn.GELU()).eval()


def convolutions() -> torch.nn.Module:
    """In float32, with batch normalisation, in-place units and pooling."""
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU6(inplace=True),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
    )
    module(torch.randn(20, 3, 8, 6))  # running statistics that are not 0 and 1
    return module.eval()


MAPS = {"vectors": (vectors, (7,)), "images": (convolutions, (8, 6, 3))}


def network(name: str) -> Network:
    make, shape = MAPS[name]
    return Network(make(), shape)


def points(phi: Network, rows: int = 3) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((rows, phi.d))


@pytest.mark.parametrize("name", MAPS)
def test_features_are_those_of_the_module(name: str, ratio) -> None:
    """Rows are images with channels last; numpy in, numpy out, in the dtype of the input."""
    phi, (make, shape) = network(name), MAPS[name]
    X = points(phi)
    T = torch.tensor(X).reshape(3, *shape)
    wanted = make().double()(T.permute(0, 3, 1, 2) if len(shape) == 3 else T)
    assert ratio(phi(X), wanted.detach().numpy(), size=phi.d) < 30  # the order of images in memory decides last digits
    assert isinstance(phi(torch.tensor(X)), torch.Tensor)
    single = phi(X.astype(np.float32))
    assert dtype_name(single) == "float32"
    assert ratio(single, phi(X), size=phi.d, eps=2.0**-23) < 30


@pytest.mark.parametrize("name", MAPS)
def test_derivatives_are_those_of_automatic_differentiation(name: str, ratio) -> None:
    phi, X = network(name), points(network(name))
    rng = np.random.default_rng(3)
    V, U = rng.standard_normal((3, phi.d)), rng.standard_normal((3, phi.p))
    J = np.stack([torch.autograd.functional.jacobian(lambda t: phi(t[None])[0], torch.tensor(x)).numpy() for x in X])
    assert ratio(phi.jacobian(X[0]), J[0], size=phi.d) < 30
    assert ratio(phi.jvp(X, V), np.einsum("npd,nd->np", J, V), size=phi.d) < 30
    assert ratio(phi.vjp(X, U), np.einsum("npd,np->nd", J, U), size=phi.d) < 30
    assert ratio(phi.vjp(X[:1], U), U @ J[0], size=phi.d) < 30


def test_a_jacobian_maps_no_more_copies_of_the_input_than_it_has_rows() -> None:
    rows: list[int] = []
    phi = Network(torch.nn.Linear(9, 2).eval(), (9,))
    phi._module.register_forward_hook(lambda module, given, found: rows.append(len(given[0])))
    phi.jacobian(np.ones(9))
    assert max(rows) <= 2


@pytest.mark.parametrize("last", ["relu", "tanh", "constant"])
def test_jacobian_of_features_that_are_zero(last: str, ratio) -> None:
    """Those of a ReLU that is off have no derivative; a tanh has one where it is 0."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(9, 6, bias=False).double().eval()
    torch.nn.init.zeros_(layer.weight[:2])
    ends = {"relu": torch.relu, "tanh": torch.tanh, "constant": lambda found: 0.0 * found.detach() + 1.0}

    class End(torch.nn.Module):
        def forward(self, found: torch.Tensor) -> torch.Tensor:
            return ends[last](found)

    phi, x = Network(torch.nn.Sequential(layer, End()).eval(), (9,)), np.full(9, float(last == "relu"))
    W = layer.weight.detach().numpy()
    slopes = {"relu": (W @ x > 0.0)[:, None], "tanh": 1.0, "constant": 0.0}
    with torch.inference_mode():
        assert ratio(phi.jacobian(x), slopes[last] * W, size=9, unit=np.linalg.norm(W)) < 30


def test_a_module_is_taken_wherever_a_function_of_arrays_is() -> None:
    module, X = vectors().double(), points(network("vectors"), rows=30)
    assert as_feature_map(module, X[:1]) == Network(module, (7,))


def test_large_images_are_mapped_a_few_at_a_time(ratio) -> None:
    """With the same features."""
    phi = network("images")
    X = points(phi, rows=20)
    whole = phi(X)
    phi._block_rows = lambda: 8
    assert phi._chunk() == 64
    assert ratio(phi(X), whole, size=phi.d) < 30
    assert Network(torch.nn.Flatten().eval(), (128, 128, 3))._block_rows() < network("images")._block_rows()


THREADS = 4
MEET, MET = threading.Barrier(THREADS), set()


class Keeps(torch.nn.Module):
    """A module that keeps its input until four threads have theirs, and then uses it."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        self.kept = X
        name = threading.current_thread().name
        if name.startswith(PREFIX) and name not in MET:
            MET.add(name)
            MEET.wait(60)
        return 2.0 * self.kept


def test_threads_share_blocks_of_rows(monkeypatch) -> None:
    """Each has a copy of the module; heavy copies are not made. Doubling is exact."""
    phi = Network(Keeps().eval(), (3,))
    X = np.random.default_rng(0).standard_normal((40, 3))
    monkeypatch.setattr(phi, "_block_rows", lambda: 2)
    monkeypatch.setattr(phi, "_threads", lambda: THREADS)
    assert np.array_equal(phi(X), 2.0 * X)
    assert len(phi._copies) == len(MET) == THREADS  # counts, since the first blocks wait for each other
    for product in (phi.jvp, phi.vjp):  # forwards, torch has one level of dual numbers for all threads
        assert np.array_equal(product(X, X), 2.0 * X)
        assert np.array_equal(product(X[:1], X), 2.0 * X)
    monkeypatch.undo()
    monkeypatch.setattr("analytic_dd.features.network._COPIES_BYTES", 0)
    assert phi._threads() == 1


class Views(torch.nn.Module):
    """A convolution whose maps become rows by ``view``, as many write it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, 8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv(images)
        return maps.view(len(maps), -1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_module_that_views_what_a_convolution_gives_is_taken(channels: int, dtype: str, ratio) -> None:
    torch.manual_seed(0)
    module = Views(channels).eval()
    X = np.random.default_rng(0).standard_normal((4, 8, 6, channels)).astype(dtype)
    images = torch.tensor(X.transpose(0, 3, 1, 2).flatten()).reshape(4, channels, 8, 6)
    with torch.no_grad():
        wanted = copy.deepcopy(module).to(images.dtype)(images)
    for made in (torch.float32, torch.float64):
        found = Network(copy.deepcopy(module).to(made), (8, 6, channels))(X.reshape(4, -1))
        assert ratio(found, wanted.numpy(), size=9 * channels, eps=np.finfo(dtype).eps) < 30


def narrow() -> torch.nn.Module:
    """With fewer features than inputs, whose Jacobian goes backwards."""
    torch.manual_seed(2)
    return torch.nn.Sequential(torch.nn.Linear(9, 6), torch.nn.Tanh(), torch.nn.Linear(6, 4)).eval()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("make", "shape"), [*MAPS.values(), (narrow, (9,))])
def test_nothing_is_cast_where_the_caller_casts(make, shape, threads: int, monkeypatch) -> None:
    """autocast holds for one thread alone; values are those without it, by the same operations: of equal bits."""
    module = make()
    plain = Network(module, shape)
    X, U = (np.random.default_rng(2).standard_normal((6, size)).astype(np.float32) for size in (plain.d, plain.p))

    def found(phi: Network) -> list[np.ndarray]:
        monkeypatch.setattr(phi, "_block_rows", lambda: 2)
        monkeypatch.setattr(phi, "_threads", lambda: threads)
        return [phi(X), phi.jvp(X, X[::-1].copy()), phi.vjp(X, U), phi.jacobian(X[0])]

    with torch.autocast("cpu"):
        cast = found(Network(module, shape))
    assert all(map(np.array_equal, cast, found(plain)))


def test_gradients_flow_through_tensors_only() -> None:
    phi = network("vectors")
    x = torch.tensor(points(phi), requires_grad=True)
    phi(x).sum().backward()
    assert x.grad is not None
    assert not phi(x.detach()).requires_grad


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_the_dtype_of_a_module_is_that_of_its_buffers_where_it_has_no_parameters(dtype) -> None:
    class Shifted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("steps", torch.ones(1, dtype=torch.int64))
            self.register_buffer("shift", torch.ones((3, 4), dtype=getattr(torch, dtype)))

        def forward(self, X):
            return X @ self.shift if self.shift.is_floating_point() else X + self.shift[0, 0]

    assert Network(Shifted().eval(), (3,)).made_in == ("" if dtype == "int64" else dtype)


def test_later_training_changes_nothing() -> None:
    module = vectors()
    phi = Network(module, (7,))
    X = points(phi)
    before = phi(X)
    with torch.no_grad():
        module[0].weight += 1.0
    assert np.array_equal(phi(X), before)
    assert Network(module, (7,)) != phi
    assert np.array_equal(pickle.loads(pickle.dumps(phi))(X), before)


def test_training_mode_is_left_with_a_word() -> None:
    """Dropout and batch statistics would make features depend on chance and on other rows."""
    module = torch.nn.Sequential(torch.nn.Linear(7, 9), torch.nn.Dropout(0.5))
    with pytest.warns(UserWarning, match="training mode; its copy is put into evaluation mode"):
        phi = Network(module, (7,))
    assert np.array_equal(phi(points(phi)), phi(points(phi)))
    assert module.training
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Network(module.eval(), (7,))


def test_a_set_names_the_weights_and_other_weights_are_refused() -> None:
    phi = network("images")
    assert from_spec(phi.spec(), feature_map=phi) is phi
    with pytest.raises(DataError, match=r"'network' is code.*feature_map="):
        from_spec(phi.spec())
    other = convolutions()
    with torch.no_grad():
        other[1].running_mean[0] += 1e-7  # buffers count too
    with pytest.raises(DataError, match="differs in sha256"):
        from_spec(phi.spec(), feature_map=Network(other, (8, 6, 3)))


def other_layers():
    """The same numbers in each, in the same order."""
    torch.manual_seed(5)
    linear = torch.nn.Linear(7, 7)
    return {
        "activation": torch.nn.Sequential(linear, torch.nn.Tanh()),
        "another activation": torch.nn.Sequential(linear, torch.nn.GELU()),
        "its approximation": torch.nn.Sequential(linear, torch.nn.GELU(approximate="tanh")),
        "order": torch.nn.Sequential(linear, torch.nn.Tanh(), torch.nn.Softplus()),
        "another order": torch.nn.Sequential(linear, torch.nn.Softplus(), torch.nn.Tanh()),
    }


def test_other_layers_with_the_same_weights_are_refused() -> None:
    maps = {name: Network(module.eval(), (7,)) for name, module in other_layers().items()}
    assert len({phi.sha256 for phi in maps.values()}) == 1
    assert len({phi.architecture for phi in maps.values()}) == len(maps)
    for name, phi in maps.items():
        assert Network(other_layers()[name].eval(), (7,)) == phi
        for other in maps.values():
            if other is not phi:
                with pytest.raises(DataError, match="differs in architecture"):
                    from_spec(phi.spec(), feature_map=other)


def test_numbers_that_no_state_holds_are_part_of_the_architecture() -> None:
    """A buffer that is not persistent, and the address of a function, which is not."""

    class Scaled(torch.nn.Linear):
        def __init__(self, size: int) -> None:
            torch.manual_seed(6)
            super().__init__(7, 5)
            self.register_buffer("steps", torch.ones(size), persistent=False)

        def extra_repr(self) -> str:
            return repr(lambda: None)

    maps = [Network(Scaled(size).eval(), (7,)) for size in (3, 3, 4)]
    assert len({phi.sha256 for phi in maps}) == 1
    assert [phi.architecture == maps[0].architecture for phi in maps] == [True, True, False]


def test_a_file_without_the_architecture_still_loads() -> None:
    """Files of earlier versions have the weights alone."""
    phi = network("vectors")
    earlier = {key: value for key, value in phi.spec().items() if key != "architecture"}
    assert from_spec(earlier, feature_map=phi) is phi
    with pytest.raises(DataError, match="differs in sha256"):
        from_spec(earlier | {"sha256": "0" * 64}, feature_map=phi)


class Chance(torch.nn.Module):
    """Dropout that is never off."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(X, training=True)


class Others(torch.nn.Module):
    """Features less those of the other rows."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X - X.mean(dim=0)


class Two(torch.nn.Module):
    """Not one tensor."""

    def forward(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return X, X


class Crowded(torch.nn.Module):
    """It fails on many inputs: for want of memory, or of itself."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        if len(X) > 3:
            raise RuntimeError(self.message)
        return X


class Broken(torch.nn.Module):
    """NaN for negative inputs."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return torch.log(X)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Network(torch.nn.Conv2d(3, 2, 3).eval(), (8, 6, 3)), ShapeError, r"give a matrix \(n, p\).*Flatten"),
        (lambda: Network(Two().eval(), (3,)), ShapeError, r"give a matrix \(n, p\), got tuple"),
        (
            lambda: Network(vectors(), (4,)),
            ShapeError,
            r"inputs of shape \(3, 4\), got an error: mat1 and mat2",
        ),
        (lambda: Network(Chance().eval(), (3,)), ValueError, "features of Chance must .* depend on chance"),
        (lambda: Network(Others().eval(), (3,)), ValueError, r"depend on other rows \(batch statistics\)"),
        (
            lambda: Network(torch.nn.BatchNorm1d(3, track_running_stats=False).eval(), (3,)),
            ValueError,
            "depend on other rows",
        ),
        (
            lambda: Network(torch.nn.Sequential(torch.jit.ScriptModule()).eval(), (3,)),
            TypeError,
            "not be compiled by torch.jit, got ScriptModule; pass the module that was scripted or traced",
        ),
        (lambda: Network(np.tanh, (3,)), TypeError, r"torch.nn.Module, got ufunc; features.Function"),
        (lambda: Network(vectors(), (2, 2, 2, 2)), ShapeError, "input_shape must be"),
        (
            lambda: Network(Broken().eval(), (3,))(-np.ones((1, 3))),
            ValueError,
            "features of Broken must be finite, got nan",
        ),
        (
            lambda: Network(Crowded("DefaultCPUAllocator: can't allocate memory: you tried").eval(), (3,))(
                np.ones((4, 3))
            ),
            MemoryError,
            r"Crowded ran out of memory on 4 inputs of shape \(3,\); take smaller images",
        ),
        (
            lambda: Network(Crowded("sizes must match").eval(), (3,))(np.ones((4, 3))),
            ValueError,
            "Crowded must map 4 inputs, got an error: sizes must match; mend the module",
        ),
        (
            lambda: network("vectors").preimage(np.ones((1, 11))),
            InfeasibleError,
            "T9: a map that is known forwards only",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("name", MAPS)
def test_near_copies_carry_a_model_on_a_network(name: str) -> None:
    """T22b, with Jacobians by torch."""
    phi = network(name)
    X, rng = points(phi, rows=40), np.random.default_rng(4)
    weights = ridge_weights(phi(X), rng.standard_normal((40, 2)), ridge=0.1)
    built = near_copies(weights, phi, X, ridge=0.1)
    assert certify_recovery(weights, phi(built.inputs), built.labels, ridge=0.1).verdict == "pass"
    assert len(built) < phi.p + 3
    assert to_numpy(built.inputs).shape[1] == phi.d
