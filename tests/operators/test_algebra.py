"""The algebra of operators: what is simplified, what is refused, and cases that random trees do not reach."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import opalg as oa
from opalg.errors import (
    ArgumentError,
    DtypeError,
    NonFiniteError,
    NotSupportedError,
    OpalgError,
    SpaceMismatchError,
)
from opalg.operators.adjoints import Gram
from opalg.operators.expressions import LinearProduct, LinearSum

X = oa.Space(3, "float64")
C = oa.Space(3, "complex128")
W = oa.Space(3, "float64", weighting=np.array([1.0, 2.0, 3.0]))
x = np.array([1.0, -2.0, 3.0])
I, L, D = oa.Identity(X), oa.Laplacian(X), oa.Diagonal(np.array([1.0, 2.0, 4.0]))
M = oa.Modulus(X)


# What is simplified
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (1 * L, L),
        (I @ L @ I, L),
        (L + 0 * D, L),
        (L - L, oa.Zero(X)),
        (2 * L + 3 * L, 5 * L),
        (2 * (3 * L), 6 * L),
        ((2 * L) @ (3 * D), 6 * (L @ D)),
        (oa.Zero(X) @ L, oa.Zero(X)),
        (D @ D, oa.Diagonal(np.array([1.0, 4.0, 16.0]))),
        (D + 2 * D, 3 * D),
        ((L + D) + L, 2 * L + D),
        (L**1, L),
        (L**0, I),
        ((2 * I) ** 3, 8 * I),
        (D**-1, oa.Diagonal(np.array([1.0, 0.5, 0.25]))),
        (-1 * (-L), L),
        (+L, L),
    ],
)
def test_simplification(found: oa.Operator, expected: oa.Operator) -> None:
    assert found == expected
    assert hash(found) == hash(expected)


def test_gram_is_recognised() -> None:
    A = oa.MatrixOperator(np.arange(6.0).reshape(2, 3))
    B = oa.Diagonal(np.array([3.0, 1.0, 2.0]))
    assert type(A.H @ A) is Gram
    assert A.H @ A == A.gram
    assert (A @ B).H @ (A @ B) == (A @ B).gram
    assert str(A.H @ A + 0.5 * I) == "MatrixOperator.H @ MatrixOperator + 0.5 * Identity"
    assert (A.H @ A).H is A.H @ A or (A.H @ A).self_adjoint


def test_nearly_is_not_equal() -> None:
    assert (1 + 1e-16) * L == L  # the same number
    assert (1 + 1e-15) * L != L
    assert isinstance(L + 1e-300 * D, LinearSum)


def test_rewriting_can_be_switched_off() -> None:
    with oa.rewriting(False):
        written = 1 * (L @ I) + 0 * D
    assert str(written) == "1 * Laplacian @ Identity + 0 * Diagonal"
    assert isinstance(1 * (L @ I), oa.Laplacian)
    np.testing.assert_array_equal(written(x), L(x))


def test_a_plain_operator_joins_a_space_that_says_more() -> None:
    plain = oa.Diagonal(np.array([1.0, 2.0, 4.0]))
    weighted = oa.Laplacian(W)
    for operator in (
        plain @ weighted,
        weighted + plain,
        plain + weighted,
        weighted @ plain + plain,
    ):
        assert W in (operator.domain, operator.range)
    # A factor that carries a weight is not dropped when that would lose it.
    assert (oa.Identity(W) @ oa.Identity(X)).range == W
    assert (oa.Identity(X) + oa.Identity(W)).domain == W
    y = np.array([1.0, 5.0, -1.0])
    A = weighted @ plain @ oa.Identity(W)
    assert W.inner(A(x), y) == pytest.approx(W.inner(x, A.adjoint(y)), rel=1e-12)


def test_operators_that_share_an_adjoint() -> None:
    grid = oa.Grid(3, 0.5, "float64")
    with oa.rewriting(False):
        nothing = 0 * oa.MatrixOperator(np.ones((2, 3)), grid)
    other = nothing.adjoint.H
    for operator in (nothing, other, nothing.adjoint, other.adjoint):
        assert operator.adjoint.adjoint is operator
        assert operator.H.H is operator


# Numbers
@pytest.mark.parametrize(
    "number", [2, 2.0, np.float32(2), np.float64(2), np.int64(2), np.array(2.0)]
)
def test_numbers_do_not_change_the_data_type(number: Any) -> None:
    A = oa.Laplacian(oa.Space(3))
    value = np.array([1, 2, 4], "float32")
    for operator in (number * A, A * number, A / number):
        assert operator(value).dtype == np.float32
    np.testing.assert_array_equal((number * A)(value), 2 * A(value))


def test_numbers_that_are_refused() -> None:
    with pytest.raises(NonFiniteError, match="finite"):
        float("nan") * L
    with pytest.raises(ArgumentError, match="ComplexEmbedding"):
        1j * L
    with pytest.raises(ArgumentError, match="block_diagonal"):
        1j * oa.Identity(X * C)
    with pytest.raises(TypeError):
        L + 1  # type: ignore[operator]


def test_a_complex_number_is_conjugated_in_the_adjoint() -> None:
    A = (2 - 1j) * oa.Identity(C)
    assert A.H == (2 + 1j) * oa.Identity(C)
    assert A.T == A or np.allclose(A.T(x + 0j), A(x + 0j))


def test_complex_numbers_beside_real_linear_operators() -> None:
    E, R = oa.ComplexEmbedding(X), oa.RealPart(C)
    z = np.array([1 + 2j, -1j, 3.0])
    np.testing.assert_allclose((1j * E @ R)(z), 1j * z.real)
    np.testing.assert_allclose((1j * E @ R).H(z), z.imag + 0j)
    np.testing.assert_allclose((R @ (1j * oa.Identity(C)) @ E)(x), 0 * x)
    np.testing.assert_allclose((R @ (1j * oa.Identity(C)))(z), -z.imag)
    # Linear over the reals is not linear over the complex numbers, but real to real is no matter.
    assert not (E @ R).complex_linear
    assert (R @ oa.Diagonal(z) @ E).complex_linear


# Not linear
def test_zero_times_a_map_that_is_not_linear() -> None:
    np.testing.assert_array_equal((0 * M)(x), 0 * x)
    assert not isinstance(0 * M, oa.LinearOperator)


def test_scalars_on_either_side() -> None:
    square = I * I
    np.testing.assert_array_equal((square * 3)(x), (3 * x) ** 2)
    np.testing.assert_array_equal((3 * square)(x), 3 * x**2)
    np.testing.assert_array_equal((square / 2)(x), x**2 / 2)


def test_powers_compose() -> None:
    square = I * I
    np.testing.assert_array_equal((square**3)(x), x**8)
    np.testing.assert_array_equal((square**0)(x), x)
    np.testing.assert_allclose((square**3).derivative(x)(np.ones(3)), 8 * x**7)
    with pytest.raises(NotSupportedError, match="inverse"):
        square**-1
    with pytest.raises(ArgumentError, match="integer"):
        square**0.5  # type: ignore[operator]


def test_constants_on_either_side() -> None:
    b = np.array([3.0, 0.0, 1.0])
    for operator, expected in (
        (L + b, L(x) + b),
        (b + L, L(x) + b),
        (L - b, L(x) - b),
        (b - L, b - L(x)),
        ((b - L) @ M, b - L(abs(x))),
    ):
        np.testing.assert_array_equal(operator(x), expected)
    assert str(b - I) == "-Identity + constant"
    np.testing.assert_allclose((D + b).inverse((D + b)(x)), x)


def test_constants_of_product_spaces() -> None:
    P = X * (X * C)
    u, A = P.random(0), oa.Identity(P)
    for part in (u - A)(u).flatten() + (A - u)(u).flatten():
        np.testing.assert_array_equal(part, 0 * part)
    assert A(u, out=u) is u


# Errors
def test_mismatch_names_the_parts_and_the_remedy() -> None:
    grid = oa.Grid((3, 4))
    G = oa.Gradient(grid)
    with pytest.raises(
        SpaceMismatchError, match=r"cannot compose Gradient @ Gradient: .*oa\.Component"
    ):
        G @ G
    with pytest.raises(
        SpaceMismatchError, match=r"cannot add Gradient and Identity.*domains|ranges"
    ):
        G + oa.Identity(grid)
    with pytest.raises(SpaceMismatchError, match=r"oa\.Transposition"):
        oa.Identity(grid) @ oa.Identity(oa.Grid((4, 3)))
    with pytest.raises(SpaceMismatchError, match=r"oa\.RealPart"):
        I @ oa.Identity(C)
    with pytest.raises(SpaceMismatchError, match=r"astype\('float64'\)"):
        oa.Identity(oa.Space(3)) @ I
    sinograms = oa.Space((3, 4), axes=("view", "u"))
    with pytest.raises(SpaceMismatchError, match=r"operator between them .* \.H"):
        oa.Identity(sinograms) @ oa.Identity(grid)
    with pytest.raises(SpaceMismatchError, match="cannot take a power"):
        G**2
    with pytest.raises(ArgumentError, match=r"write A @ B to compose"):
        G * I


def test_arrays_are_applied_not_composed() -> None:
    with pytest.raises(NotSupportedError, match=r"A\(x\)"):
        L @ x
    with pytest.raises(NotSupportedError, match="A @ B"):
        L(L)
    with pytest.raises(DtypeError, match="asarray"):
        L([1.0, 2.0, 3.0])
    with pytest.raises(DtypeError, match="float64, got int64"):
        L(np.arange(3))
    with pytest.raises(SpaceMismatchError, match=r"\(3,\)"):
        L(np.zeros(4))
    with pytest.raises(SpaceMismatchError, match="batch"):
        L(np.zeros((2, 3)), out=np.zeros(3))
    with pytest.raises(NotSupportedError, match=r"A\.T\(x\)"):
        x @ L
    for product in (
        lambda: L * x,
        lambda: x * L,
        lambda: oa.Gradient(oa.Grid(3)) * oa.Blocks((x,)),
    ):
        with pytest.raises(NotSupportedError, match=r"write A\(x\) .* oa\.Diagonal\(x\) @ A"):
            product()


def test_out_that_cannot_be_written_is_refused_before_work() -> None:
    torch = pytest.importorskip("torch")
    closed = np.zeros(3)
    closed.flags.writeable = False
    G = oa.Gradient(oa.Grid(3, dtype="float64"))
    for operator, out in ((L, closed), (G, oa.Blocks((closed,)))):
        with pytest.raises(ArgumentError, match="is read-only"):
            operator(x, out=out)
    for argument, out in ((x, torch.zeros(3).double()), (torch.from_numpy(x), np.zeros(3))):
        with pytest.raises(ArgumentError, match="one array library, got Tensor, ndarray"):
            L(argument, out=out)


def test_numbers_are_no_operators() -> None:
    for total in (lambda: L + 2, lambda: 2 + L, lambda: L - (-2), lambda: sum([L, L])):
        with pytest.raises(
            NotSupportedError, match=r"write A \+ [02] \* oa\.Identity\(A\.domain\)"
        ):
            total()
    for factor in ("a", [1.0], np.ones(3)):
        with pytest.raises(ArgumentError, match="must be a number"):
            oa.Scaling(X, factor)


def test_spaces_are_needed() -> None:
    for build in (lambda: oa.Identity(3), lambda: oa.Zero(X, 3), lambda: oa.Scaling((3, 4), 2)):
        with pytest.raises(ArgumentError, match=r"maps between spaces such as oa\.Space"):
            build()


def test_blocks_say_where_they_do_not_fit() -> None:
    with pytest.raises(SpaceMismatchError, match="row 0"):
        oa.block_matrix([[I, oa.Identity(oa.Space(4, "float64"))]])
    with pytest.raises(ArgumentError, match="column 1 has no operator"):
        oa.block_matrix([[I, None], [L, None]])
    with pytest.raises(ArgumentError, match="lengths"):
        oa.block_matrix([[I], [L, I]])
    with pytest.raises(ArgumentError, match="list of one or more operators"):
        oa.vstack([])
    for rows in ([I, L], I, 3):
        with pytest.raises(ArgumentError, match="takes a list of rows"):
            oa.block_matrix(rows)
    with pytest.raises(ArgumentError, match="None for zero, got 0"):
        oa.block_matrix([[I, 0]])
    with pytest.raises(ArgumentError, match="parts 0 to 1, got index 'x'"):
        oa.Component(X**2, "x")


# Extents
def test_empty_batch_and_arrays_without_axes() -> None:
    A = (oa.Gradient(X).H @ oa.Gradient(X) + 2 * I) ** 2
    assert A(np.zeros((0, 3))).shape == (0, 3)
    point = oa.Space((), "float64")
    B = 2 * oa.Identity(point) + oa.Diagonal(np.array(3.0))
    assert isinstance(B(np.array(1.0)), np.ndarray)
    np.testing.assert_array_equal(B(np.ones(4)), 5 * np.ones(4))


# Immutability
def test_arrays_are_copied_on_the_way_in() -> None:
    weight, shift = np.array([1.0, 2.0, 3.0]), np.ones(3)
    A = oa.Diagonal(weight) + shift
    expected, text = A(x), repr(A)
    weight[:] = 9
    shift[:] = 9
    np.testing.assert_array_equal(A(x), expected)
    assert repr(A) == text
    assert pickle.loads(pickle.dumps(A)) == A
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(A))(x), expected)


def test_closed_arrays_are_not_copied() -> None:
    weight = np.ones(3)
    weight.flags.writeable = False
    assert oa.Diagonal(weight).weight is weight


# Norms
def test_norms_are_cached_by_structure() -> None:
    class Counting(oa.LinearOperator):
        calls = 0

        def __init__(self) -> None:
            super().__init__(X, X)

        def _apply(self, value: Any, out: Any) -> Any:
            Counting.calls += 1
            return 2 * value

        _apply_transpose = _apply

    first = Counting().norm_bounds()
    calls = Counting.calls
    assert calls > 0
    assert Counting().norm_bounds() == first
    assert Counting.calls == calls


def test_brackets_of_nonnegative_operators_are_tight() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.uniform(0.1, 1, (30, 20))
    for operator in (
        oa.MatrixOperator(matrix) @ oa.Diagonal(rng.uniform(1, 2, 20)),
        oa.Identity(C) + oa.Diagonal(np.array([1.0, 2.0, 3.0]), C),
    ):
        lower, upper = operator.norm_bounds()
        assert upper <= 1.01 * lower


def test_nan_does_not_pass_unnoticed() -> None:
    class Broken(oa.LinearOperator):
        def __init__(self) -> None:
            super().__init__(X, X)

        def _apply(self, value: Any, out: Any) -> Any:
            return value * np.nan

        _apply_transpose = _apply

    with pytest.raises(NonFiniteError, match="Broken"):
        Broken().norm_bounds()
    with pytest.raises(NonFiniteError, match="2 entries"):
        oa.Diagonal(np.array([1.0, np.nan, np.inf, 1.0]))


# Printing
@pytest.mark.parametrize(
    ("operator", "text"),
    [
        ((I + D - 2 * L) ** 3, "(Identity + Diagonal - 2 * Laplacian) ** 3"),
        (-(I + L), "-Identity - Laplacian"),
        (L @ (D @ (L + I)), "Laplacian @ Diagonal @ (Laplacian + Identity)"),
        ((2 * L).H, "2 * Laplacian"),
        (oa.PartialDerivative(X, 0).H, "PartialDerivative_0.H"),
        (0.5 * oa.vstack([I, L]), "0.5 * vstack([Identity, Laplacian])"),
        (M @ (L + x), "Modulus @ (Laplacian + constant)"),
        (M * L, "Modulus * Laplacian"),
    ],
)
def test_text(operator: oa.Operator, text: str) -> None:
    assert str(operator) == text


def test_latex_and_tree() -> None:
    A = oa.Gradient(oa.Grid((4, 4)))
    assert (A.H @ A)._repr_latex_() == r"$-\Delta$"
    assert (L @ D + I)._repr_latex_() == r"$\Delta \, D + I$"
    lines = (2 * L @ D + I).tree().splitlines()
    assert len(lines) == 6
    assert "Space (3,) float64 -> Space (3,) float64" in lines[0]
    assert lines[0].startswith("_ + _")
    assert isinstance(L @ D, LinearProduct)


class _WronglyTransposed(oa.LinearOperator):
    """The identity, with a transpose that is not its own."""

    nonnegative = True

    def __init__(self):
        super().__init__(oa.Space(2, "float64"), oa.Space(2, "float64"))

    def _apply(self, x, out=None):
        return 1.0 * x

    def _apply_transpose(self, y, out=None):
        return y @ np.array([[1.0, 1e-3], [5.0, 0.1]])


def test_a_norm_that_cannot_be_is_refused():
    """Collatz and Wielandt's bounds cross if transpose and values do not belong together."""
    with pytest.raises(OpalgError, match=r"cannot be bounded.*check_operator"):
        _WronglyTransposed().norm_bounds()


def test_adjoint_with_array_weights_on_one_side_has_no_factor_one():
    A = oa.MatrixOperator(np.ones((3, 3)), X, W)
    assert str(A.adjoint) == "MatrixOperator.H @ Diagonal"
    assert A.adjoint.adjoint is A
