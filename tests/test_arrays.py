"""The checks at the public boundary, for every array library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from analytic_dd import RidgeDistiller, RidgeDistillerRegressor, ridge_weights
from analytic_dd.arrays import (
    as_count,
    as_matrices,
    as_matrix,
    as_ridge,
    device_of,
    dtype_name,
    eps_of,
    host_array,
    in_double,
    namespace,
    norm,
    to_numpy,
)
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.losses import Softmax


def test_matrix_passes_unchanged(library, rng):
    A = library.array(rng.standard_normal((3, 7)))
    assert as_matrix(A, "A", rows=3, columns=7) is A
    assert dtype_name(A) == library.dtype
    assert eps_of(A) == library.eps


def test_hessians_are_traced_by_jax():
    """What jax traces is on no device yet, and new arrays beside it are on the default one."""
    traced = jax.eval_shape(lambda Z: Softmax().hessian(Z * (device_of(Z) is None)), jnp.ones((5, 3)))
    assert traced.shape == (5, 3, 3)
    assert str(device_of(np.ones(2))) == str(device_of(torch.ones(2))) == "cpu"


def test_namespace_is_that_of_the_array(library):
    A = library.array(np.eye(2))
    assert library.owns(namespace(A).zeros((2, 2), dtype=A.dtype))


@pytest.mark.parametrize("value", [[[1.0]], 1.0, "A", None, np.eye])
def test_what_is_no_array_is_refused_by_its_type(value):
    with pytest.raises(TypeError, match=f"got {type(value).__name__}; convert it first"):
        as_matrix(value, "A")


def test_two_libraries_are_refused_by_name():
    with pytest.raises(TypeError, match="one library are expected, got numpy and torch"):
        namespace(np.eye(2), torch.eye(2))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float16", "complex128"])
def test_other_dtypes_are_refused_with_the_remedy(dtype):
    with pytest.raises(TypeError, match=f"Phi must be float32 or float64, got {dtype}; convert it"):
        as_matrix(np.ones((2, 3), dtype=dtype), "Phi")


def test_wrong_axes_and_empty_matrices_are_refused(library):
    for shape in [(), (3,), (2, 3, 4), (0, 3), (3, 0)]:
        with pytest.raises(ShapeError, match=r"Phi must"):
            as_matrix(library.array(np.ones(shape)), "Phi")


def test_one_axis_gets_the_hint_to_reshape():
    with pytest.raises(ShapeError, match=r"Phi\.reshape\(-1, 1\) makes one column"):
        as_matrix(np.ones(3), "Phi")
    with pytest.raises(ShapeError, match=r"rows are outputs.* W\.reshape\(1, -1\) makes one row"):
        as_matrix(np.ones(3), "W")  # (k, p): one output, not one feature


def test_wrong_sizes_are_refused_with_the_numbers(library):
    A = library.array(np.ones((3, 7)))
    with pytest.raises(ShapeError, match=r"Phi must have 5 rows, got 3 \(shape \(3, 7\)\)"):
        as_matrix(A, "Phi", rows=5)
    with pytest.raises(ShapeError, match=r"Phi must have 11 columns, got 7"):
        as_matrix(A, "Phi", columns=11)


def test_first_value_that_is_not_finite_is_located(library):
    for value in [np.nan, np.inf, -np.inf]:
        A = np.ones((3, 7))
        A[1, 5] = A[2, 0] = value
        with pytest.raises(ValueError, match=f"Phi must be finite, got {value} at row 1, column 5"):
            as_matrix(library.array(A), "Phi")


def test_opposite_infinities_do_not_cancel():
    with pytest.raises(ValueError, match="got inf at row 0, column 0"):
        as_matrix(np.array([[np.inf, -np.inf]]), "Phi")


def test_finite_entries_whose_sum_overflows_are_finite(library):
    A = library.array(np.full((2, 3), 0.75 * float(np.finfo(library.dtype).max)))
    assert as_matrix(A, "A") is A


def test_matrices_come_to_their_common_dtype():
    A, B = as_matrices(A=np.ones((2, 3), dtype=np.float32), B=np.ones((4, 5)))
    assert A.dtype == B.dtype == np.float64


@pytest.mark.parametrize("ridge", [0, 0.0, 2, np.float32(0.5), 1e-300])
def test_ridge_is_any_number_from_zero_up(ridge):
    assert as_ridge(ridge) == float(ridge)


@pytest.mark.parametrize("ridge", [-1e-300, -1, np.nan, np.inf])
def test_negative_and_infinite_ridges_are_refused(ridge):
    with pytest.raises(ValueError, match="ridge must be finite and >= 0"):
        as_ridge(ridge)


@pytest.mark.parametrize("ridge", [True, "1", None])
def test_a_ridge_that_is_no_number_is_refused(ridge):
    with pytest.raises(TypeError, match="lambda_s must be a number"):
        as_ridge(ridge, "lambda_s")


@pytest.mark.parametrize(
    ("ridge", "got"),
    [
        (np.array([1.0, 2.0]), "2 numbers; pass one at a time"),
        (1j, "an object of type complex"),
        ({}, "an object of type dict"),
    ],
)
def test_several_ridges_and_other_objects_are_no_ridge(ridge, got):
    with pytest.raises(TypeError, match=f"ridge must be one number >= 0, got {got}$"):
        as_ridge(ridge)


@pytest.mark.parametrize("value", [0, -1, 1.9, 2.0, True, np.True_, "3", None, np.array([1])])
def test_a_count_is_an_integer_from_one_up(value):
    with pytest.raises(ValueError, match="steps must be an integer >= 1, got"):
        as_count(value, "steps")
    assert as_count(np.uint8(3), "steps") == 3


def test_a_sparse_array_is_told_how_its_library_makes_it_dense():
    scipy_sparse, torch = pytest.importorskip("scipy.sparse"), pytest.importorskip("torch")
    for sparse, words in ((scipy_sparse.eye(3), r"\.toarray\(\)"), (torch.eye(3).to_sparse(), r"\.to_dense\(\)")):
        with pytest.raises(DataError, match=words):
            host_array(sparse, "X")


def test_double_is_exact_and_costs_no_copy_twice(summing_library, rng):
    A = summing_library.array(rng.standard_normal((3, 7)))
    B = in_double(A)
    assert dtype_name(B) == "float64"
    assert np.array_equal(to_numpy(B), to_numpy(A))
    assert in_double(B) is B


def test_jax_without_64_bits_says_how_to_switch_them_on():
    with pytest.raises(TypeError, match="jax_enable_x64"):
        in_double(jnp.ones((2, 2), dtype="float32"))


def test_numpy_arrays_are_not_copied_and_others_come_to_the_host(library, rng):
    values = rng.standard_normal((3, 7)).astype(library.dtype)
    assert np.array_equal(to_numpy(library.array(values)), values)
    assert to_numpy(values) is values
    assert np.array_equal(to_numpy(torch.tensor(values, requires_grad=True)), values)


def test_norm_neither_overflows_nor_underflows(library, rng):
    for scale in [1e-30, 1.0, 1e30]:  # squares of 1e+-30 leave the range of float32
        A = rng.standard_normal((3, 7))
        wanted = scale * np.sqrt((A**2).sum())
        assert abs(norm(library.array(scale * A)) - wanted) <= 30 * library.eps * wanted


def test_norm_of_zero_infinity_and_nothing():
    assert norm(np.zeros((2, 3))) == 0.0
    assert norm(np.array([[np.inf, 1.0]])) == np.inf
    assert norm(np.zeros((0, 3))) == 0.0
    assert np.isnan(norm(np.array([[np.nan, 1.0]])))


def masked_row():
    """Samples of which the second is masked, and what lies under the mask is far away."""
    X = np.ma.masked_array(np.random.default_rng(2).standard_normal((11, 3)), mask=np.zeros((11, 3), bool))
    X.data[1], X.mask[1] = 1e6, True
    return X


@pytest.mark.parametrize("estimator", [RidgeDistiller, RidgeDistillerRegressor])
def test_masked_arrays_are_refused_where_they_would_be_taken_for_data(estimator):
    X, y = masked_row(), np.arange(11) % 2
    with pytest.raises(DataError, match=r"Phi has 3 masked entries, the first at \(1, 0\); drop"):
        ridge_weights(X, np.eye(11), ridge=1.0)
    for arguments, name in (((X, y), "X"), ((X.data, np.ma.masked_equal(y, 1)), "y")):
        with pytest.raises(DataError, match=f"{name} has . masked entries"):
            estimator(ridge=1.0).fit(*arguments)
    with pytest.raises(DataError, match=r"sample_weight has 2 masked entries"):
        estimator(ridge=1.0).fit(X.data, y, np.ma.masked_greater(np.arange(11.0), 8))
    fitted = estimator(ridge=1.0).fit(X.data, y)
    with pytest.raises(DataError, match="X has 3 masked entries"):
        fitted.predict(X)
    with pytest.raises(DataError, match=r"nothing masked; pass its \.data"):
        as_matrix(np.ma.masked_array(np.eye(2)), "A")


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_numpy_matrix_is_refused_since_its_product_is_another():
    with pytest.raises(DataError, match=r"got numpy\.matrix; use numpy\.asarray"):
        ridge_weights(np.matrix(np.eye(3)), np.eye(3), ridge=1.0)


def test_gradients_are_left_behind_without_a_warning(recwarn):
    Phi = torch.rand(11, 3, dtype=torch.float64, requires_grad=True)
    Y = torch.rand(11, 2, dtype=torch.float64, requires_grad=True)
    W = ridge_weights(Phi, Y, ridge=1.0)
    assert torch.equal(W, ridge_weights(Phi.detach(), Y.detach(), ridge=1.0))
    assert not W.requires_grad
    assert not as_matrix(Phi, "Phi").requires_grad
    assert not in_double(Phi).requires_grad
    assert not recwarn.list
