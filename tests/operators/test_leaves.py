"""Leaves against their definitions, written out independently, and what they refuse."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import opalg as oa
from opalg.errors import ArgumentError, DtypeError, NonFiniteError, SpaceMismatchError

SCHEMES = ("forward", "backward", "central")
BOUNDARIES = ("zero", "replicate", "reflect", "periodic")
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 41, 100]


def dense(operator: oa.LinearOperator) -> Any:
    """The matrix of a real operator, column by column."""
    n = operator.domain.size
    columns = operator(np.eye(n).reshape(n, *operator.domain.shape))
    parts = columns.flatten() if isinstance(columns, oa.Blocks) else [columns]
    return np.concatenate([part.reshape(n, -1) for part in parts], axis=1).T


def extended(n: int, boundary: str) -> Any:
    """The matrix that puts one value before and one behind n samples."""
    matrix = np.zeros((n + 2, n))
    matrix[1:-1] = np.eye(n)
    one = min(1, n - 1)
    first, last = {
        "zero": (None, None),
        "replicate": (0, n - 1),
        "reflect": (one, n - 1 - one),
        "periodic": (n - 1, 0),
    }[boundary]
    if first is not None:
        matrix[0, first] = 1
        matrix[-1, last] = 1
    return matrix


def first_difference(n: int, scheme: str, boundary: str) -> Any:
    weights = {"forward": (0, -1, 1), "backward": (-1, 1, 0), "central": (-0.5, 0, 0.5)}[scheme]
    return sum(w * np.eye(n, n + 2, k=k) for k, w in enumerate(weights)) @ extended(n, boundary)


def second_difference(n: int, boundary: str) -> Any:
    return sum(w * np.eye(n, n + 2, k=k) for k, w in enumerate((1, -2, 1))) @ extended(n, boundary)


# Differences
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("n", SIZES)
def test_partial_derivative(n: int, scheme: str, boundary: str) -> None:
    D = oa.PartialDerivative(oa.Space(n, "float64"), 0, scheme, boundary)  # type: ignore[arg-type]
    expected = first_difference(n, scheme, boundary)
    np.testing.assert_array_equal(dense(D), expected)
    np.testing.assert_array_equal(dense(D.H), expected.T)
    check_norm(D, np.linalg.norm(expected, 2))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("n", [*SIZES, 299, 301, 350])
def test_laplacian_along_one_axis(n: int, boundary: str) -> None:
    L = oa.Laplacian(oa.Space(n, "float64"), boundary)  # type: ignore[arg-type]
    expected = second_difference(n, boundary)
    np.testing.assert_array_equal(dense(L), expected)
    np.testing.assert_array_equal(dense(L.H), expected.T)
    assert L.self_adjoint == (boundary != "reflect")
    check_norm(L, np.linalg.norm(expected, 2))


def check_norm(operator: oa.LinearOperator, norm: float) -> None:
    lower, upper = operator.norm_bounds()
    room = 1e-13 * max(norm, 1)  # rounding of the singular value itself
    assert lower - room <= norm <= upper + room
    assert upper - lower <= 1e-13 * max(norm, 1)


def along(matrix: Any, shape: tuple[int, ...], axis: int) -> Any:
    """A matrix acting on one axis, as a Kronecker product."""
    result = np.eye(1)
    for i, n in enumerate(shape):
        result = np.kron(result, matrix if i == axis else np.eye(n))
    return result


@pytest.mark.parametrize(("scheme", "boundary"), list(itertools.product(SCHEMES, BOUNDARIES)))
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (1, 6)])
def test_gradient_divergence_and_laplacian(shape: Any, scheme: Any, boundary: Any) -> None:
    steps = (0.5, 2.0, 0.25)[: len(shape)]
    grid = oa.Grid(shape, steps, "float64")
    G = oa.Gradient(grid, scheme, boundary)
    parts = [
        along(first_difference(n, scheme, boundary) / h, shape, i)
        for i, (n, h) in enumerate(zip(shape, steps, strict=True))
    ]
    expected = np.concatenate(parts)
    np.testing.assert_allclose(dense(G), expected, rtol=1e-15)
    check_norm(G, np.linalg.norm(expected, 2))
    field = G.range.random(0)
    np.testing.assert_array_equal(oa.Divergence(grid, scheme, boundary)(field), -G.H(field))
    for axis in range(len(shape)):
        D = oa.PartialDerivative(grid, grid.axes[axis], scheme, boundary)
        np.testing.assert_allclose(dense(D), parts[axis], rtol=1e-15)
    L = oa.Laplacian(grid, boundary)
    second = sum(
        along(second_difference(n, boundary) / h**2, shape, i)
        for i, (n, h) in enumerate(zip(shape, steps, strict=True))
    )
    np.testing.assert_allclose(dense(L), second, rtol=1e-14, atol=1e-14 * abs(second).max())
    lower, upper = L.norm_bounds()
    norm = np.linalg.norm(second, 2)
    assert lower <= norm * (1 + 1e-12)
    assert norm <= upper * (1 + 1e-12)
    if scheme != "central" and boundary in {"replicate", "periodic"}:
        np.testing.assert_allclose(dense(G).T @ dense(G), -second, atol=1e-12 * abs(second).max())
        assert G.gram == -L
        check_norm(L, norm)
    else:
        assert G.gram.operator is G  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "shape", [(700, 300), (3, 200, 300), (40, 50, 60), (300_000,), (2, 90_000)]
)
def test_large_arrays_go_through_in_pieces(shape: tuple[int, ...]) -> None:
    grid = oa.Grid(shape, 0.5, "float64")
    x = grid.random(0)
    for axis in range(len(shape)):
        D = oa.PartialDerivative(grid, axis, "central", "periodic")
        expected = np.roll(x, -1, axis) - np.roll(x, 1, axis)  # spacing 1/2: divided by 2h = 1
        np.testing.assert_allclose(D(x), expected, atol=1e-15)
        np.testing.assert_allclose(D.H(x), -expected, atol=1e-15)
        np.testing.assert_allclose((2 * D + oa.Identity(grid))(x), 2 * expected + x, atol=1e-14)
    L = oa.Laplacian(grid, "periodic")
    second = sum(np.roll(x, 1, i) + np.roll(x, -1, i) - 2 * x for i in range(len(shape))) * 4
    np.testing.assert_allclose(L(x), second, atol=1e-13)


def test_a_constant_costs_no_total_variation() -> None:
    grid = oa.Grid((5, 6), 0.3)
    for part in oa.Gradient(grid)(np.full(grid.shape, 0.1, "float32")):
        assert not part.any()


def test_differences_refuse() -> None:
    grid = oa.Grid((3, 4))
    with pytest.raises(ArgumentError, match=r"axes \('y', 'x'\), got axis 'z'"):
        oa.PartialDerivative(grid, "z")
    with pytest.raises(ArgumentError, match="axes 0 to 1, got axis 2"):
        oa.PartialDerivative(grid, 2)
    with pytest.raises(ArgumentError, match="scheme must be one of forward, backward, central"):
        oa.Gradient(grid, "upwind")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="boundary must be one of"):
        oa.Laplacian(grid, "neumann")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"oa\.block_diagonal"):
        oa.Gradient(grid**2)  # type: ignore[arg-type]


# Matrices
def test_matrices_multiply() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((6, 8)) + 1j * rng.standard_normal((6, 8))
    domain, target = oa.Space((2, 4), "complex128"), oa.Space((3, 2), "complex128")
    sparse = scipy.sparse.csr_array(np.where(abs(matrix) > 1, matrix, 0))
    for held in (matrix, sparse, scipy.sparse.coo_matrix(sparse)):
        full = held.toarray() if hasattr(held, "toarray") else held
        A = oa.MatrixOperator(held, domain, target)
        x, y = domain.random(0, batch=(3,)), target.random(1, batch=(3,))
        np.testing.assert_allclose(A(x).reshape(3, 6), x.reshape(3, 8) @ full.T)
        np.testing.assert_allclose(A.H(y).reshape(3, 8), y.reshape(3, 6) @ full.conj())
        np.testing.assert_allclose(A.T(y).reshape(3, 8), y.reshape(3, 6) @ full)
        assert A.norm() == pytest.approx(np.linalg.norm(full, 2))
        assert A == oa.MatrixOperator(held.copy(), domain, target)
        assert A != oa.MatrixOperator(2 * held, domain, target)


def test_norms_of_large_matrices_are_bracketed() -> None:
    sparse = scipy.sparse.random(600, 700, 0.01, random_state=0)
    signed = sparse.copy()
    signed.data -= 0.5
    for matrix in (sparse, signed):
        lower, upper = oa.MatrixOperator(matrix).norm_bounds()
        norm = np.linalg.norm(matrix.toarray(), 2)
        assert lower <= norm <= upper < 4 * lower


def test_a_sparse_matrix_is_copied() -> None:
    matrix = scipy.sparse.eye(3, format="csr")
    A = oa.MatrixOperator(matrix)
    matrix.data[:] = 7
    np.testing.assert_array_equal(A(np.ones(3)), np.ones(3))
    assert repr(A).count("7") == 0


def test_matrices_refuse() -> None:
    with pytest.raises(ArgumentError, match="two axes"):
        oa.MatrixOperator(np.ones(3))
    with pytest.raises(DtypeError, match="array or a SciPy sparse matrix, got list"):
        oa.MatrixOperator([[1.0]])
    with pytest.raises(SpaceMismatchError, match="2 columns, but Space"):
        oa.MatrixOperator(np.ones((3, 2)), oa.Space(3, "float64"))
    with pytest.raises(DtypeError, match=r"astype\('float32'\)"):
        oa.MatrixOperator(np.ones((3, 2)), oa.Space(2))
    with pytest.raises(DtypeError, match="float32, float64"):
        oa.MatrixOperator(np.ones((3, 2), int))
    with pytest.raises(DtypeError, match="one dtype"):
        oa.MatrixOperator(np.ones((3, 2)), oa.Space(2, "float64"), oa.Space(3, "complex128"))
    with pytest.raises(NonFiniteError, match="1 entries"):
        oa.MatrixOperator(np.array([[np.nan, 1.0]]))


# Crop and pad, sampling, axes
def test_crop_and_pad_keep_positions() -> None:
    grid = oa.Grid((5, 6), (0.5, 2.0), origin=(1.0, -3.0))
    widths = ((1, 0), (2, 1))
    C = oa.Crop(grid, widths)
    assert isinstance(C.range, oa.Grid)
    np.testing.assert_allclose(C.range.coordinates[0], grid.coordinates[0][1:])
    np.testing.assert_allclose(C.range.coordinates[1], grid.coordinates[1][2:-1])
    assert C.H == oa.Pad(C.range, widths)
    assert C.H.H is C
    x = grid.random(0)
    np.testing.assert_array_equal(C(x), x[1:, 2:-1])
    np.testing.assert_array_equal(C.H(C(x)), np.pad(x[1:, 2:-1], widths))
    assert oa.Pad(grid, 1).gram == oa.Identity(grid)
    assert oa.Pad(grid, 2).range.shape == (9, 10)


def test_crop_and_pad_refuse() -> None:
    grid = oa.Grid((5, 6))
    with pytest.raises(ArgumentError, match="leaves nothing"):
        oa.Crop(grid, 3)
    with pytest.raises(ArgumentError, match="at least 0"):
        oa.Pad(grid, -1)
    with pytest.raises(ArgumentError, match="each of the 2"):
        oa.Pad(grid, (1, 2, 3))
    with pytest.raises(ArgumentError, match=r"oa\.Crop\(larger_space"):
        oa.Pad(oa.Space(3, "float64", weighting=np.ones(3)), 1)


def test_sampling() -> None:
    space = oa.Space((3, 4), "float64")
    x = space.random(0, batch=(2,))
    mask = space.random(1) > 0
    np.testing.assert_array_equal(oa.Sampling(space, mask)(x), x[:, mask])
    points = np.array([[2, 3], [0, 1], [2, 3]])
    S = oa.Sampling(space, points)
    np.testing.assert_array_equal(S(x), x[:, [2, 0, 2], [3, 1, 3]])
    assert S.norm() == pytest.approx(2**0.5)
    back = S.H(np.array([1.0, 10.0, 100.0]))
    assert back[2, 3] == 101
    assert back.sum() == 111
    np.testing.assert_array_equal(S.gram(x), S.H(S(x)))
    assert isinstance(S.gram, oa.Diagonal)
    for bad, words in (
        (np.zeros((3, 4), bool), "at least one point"),
        (np.ones((4, 3), bool), "mask must have shape"),
        (np.array([[3, 0]]), r"point 0, \(3, 0\), lies outside"),
        (np.array([[-1, 0]]), "lies outside"),
        (np.array([1, 2]), "one index per axis"),
        (np.array([[0.5, 1.0]]), "booleans or integers"),
    ):
        with pytest.raises(ArgumentError, match=words):
            oa.Sampling(space, bad)


def test_transposition() -> None:
    grid = oa.Grid((2, 3, 4), (1.0, 2.0, 3.0), origin=(5.0, 6.0, 7.0))
    P = oa.Transposition(grid, ("x", "z", "y"))
    assert P.range == oa.Grid(
        (4, 2, 3), (3.0, 1.0, 2.0), origin=(7.0, 5.0, 6.0), axes=("x", "z", "y")
    )
    x = grid.random(0)
    np.testing.assert_array_equal(P(x), x.transpose(2, 0, 1))
    assert P.inverse @ P == oa.Identity(grid)
    assert oa.Transposition(grid) == oa.Transposition(grid, (2, 1, 0))
    for axes in (("x", "y"), (0, 0, 1), ("x", "y", "w"), (0, 1, 3)):
        with pytest.raises(ArgumentError, match="each once"):
            oa.Transposition(grid, axes)


def test_complex_parts() -> None:
    C = oa.Space(3, "complex128")
    z = np.array([1 + 2j, -3j, 0])
    np.testing.assert_array_equal(oa.RealPart(C)(z), z.real)
    np.testing.assert_array_equal(oa.ImagPart(C)(z), z.imag)
    np.testing.assert_array_equal(oa.Modulus(C)(z), abs(z))
    np.testing.assert_array_equal(oa.ImagPart(C).H(np.ones(3)), 1j * np.ones(3))
    slope = oa.Modulus(C).derivative(z)
    np.testing.assert_allclose(slope(np.ones(3) + 0j), [1 / 5**0.5, 0, 0])
    np.testing.assert_allclose(slope.H(np.ones(3)), [(1 + 2j) / 5**0.5, -1j, 0])
    for build in (oa.RealPart, oa.ImagPart):
        with pytest.raises(ArgumentError, match="needs a complex"):
            build(C.real)
    with pytest.raises(ArgumentError, match="needs a real"):
        oa.ComplexEmbedding(C)


def test_memory_of_calls_with_out() -> None:
    import tracemalloc

    grid = oa.Grid((1000, 1000), 0.5)
    x, y = grid.random(0), (grid**2).zeros()
    out = grid.empty()
    G, L = oa.Gradient(grid), oa.Laplacian(grid)
    for call in (
        lambda: G(x, out=y),
        lambda: G.H(y, out=out),
        lambda: L(x, out=out),
        lambda: oa.Crop(grid, 0)(x, out=out),
        lambda: oa.Transposition(grid)(x, out=out),
        lambda: (2 * oa.PartialDerivative(grid, 0) + oa.Identity(grid))(x, out=out),
    ):
        call()
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000  # the array has 4 MB


def test_a_sparse_matrix_acts_on_tensors_as_on_arrays():
    """The product by torch's own sparse matrices, which other devices take."""
    torch = pytest.importorskip("torch")
    matrix = scipy.sparse.random_array(
        (5, 4), density=0.5, rng=np.random.default_rng(0), dtype=float
    )
    A = oa.MatrixOperator(scipy.sparse.csr_array(matrix))
    x = A.domain.random(0, batch=(3,))
    found = A._held._torch_product(torch.from_numpy(x), False)
    np.testing.assert_allclose(found.numpy(), A(x), rtol=1e-14)  # one sum of at most 4 terms
