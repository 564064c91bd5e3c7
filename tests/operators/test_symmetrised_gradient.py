"""The symmetrised gradient against Kronecker products of one-dimensional differences."""

import numpy as np
import pytest
from leaf_checks import check_leaf

import opalg as oa
from opalg.operators.symmetrised_gradient import SymmetrisedGradient

CASES = [
    ((5,), "backward", "replicate"),
    ((3, 4), "backward", "replicate"),
    ((4, 3), "forward", "periodic"),
    ((3, 3), "central", "zero"),
    ((2, 3, 2), "backward", "reflect"),
    ((4, 2, 2), "forward", "periodic"),
]


def partial(space, axis, scheme, boundary):
    D = oa.PartialDerivative(oa.Space(space.shape[axis], "float64"), 0, scheme, boundary)
    one = (
        np.stack([D(column) for column in np.eye(space.shape[axis])], axis=1) / space.spacing[axis]
    )
    found = np.ones((1, 1))
    for i, n in enumerate(space.shape):
        found = np.kron(found, one if i == axis else np.eye(n))
    return found


@pytest.mark.parametrize(("shape", "scheme", "boundary"), CASES)
def test_symmetric_part_of_the_jacobian(shape, scheme, boundary):
    space = oa.Grid(
        shape, spacing=tuple(0.5 + 0.25 * i for i in range(len(shape))), dtype="float64"
    )
    E = SymmetrisedGradient(space, scheme, boundary)
    v = E.domain.random(seed=0)
    D = [partial(space, axis, scheme, boundary) for axis in range(space.ndim)]
    jacobian = np.array([[d @ part.ravel() for d in D] for part in v])
    symmetric = (jacobian + jacobian.swapaxes(0, 1)) / 2
    n = space.ndim
    pairs = [(i, i) for i in range(n)] + [(i, j) for i in range(n) for j in range(i + 1, n)]
    parts = E(v)
    for (i, j), part in zip(pairs, parts, strict=True):
        factor = 1 if i == j else 2**0.5
        np.testing.assert_allclose(part.ravel(), factor * symmetric[i, j], atol=1e-12)
    # the squares of the parts add up to those of the matrix, off-diagonal entries twice
    np.testing.assert_allclose(sum((part**2).sum() for part in parts), (symmetric**2).sum())
    check_leaf(E)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes(dtype):
    check_leaf(SymmetrisedGradient(oa.Grid((3, 2), dtype=dtype)))


@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 2)])
def test_norm_is_exact_for_periodic_boundaries(shape):
    E = SymmetrisedGradient(oa.Grid(shape, spacing=0.5), "forward", "periodic")
    lower, upper = E.norm_bounds()
    assert lower <= 2 * 2 * len(shape) ** 0.5 <= upper < 1.00001 * lower


def test_norm_of_large_fields_is_close():
    lower, upper = SymmetrisedGradient(oa.Grid((64, 64))).norm_bounds()
    assert upper < 8**0.5 * 1.00001
    assert lower > 0.9 * upper


def test_adjoint_is_minus_the_divergence_of_the_matrix():
    space = oa.Grid((5, 4), spacing=0.5, dtype="float64")
    E, G = SymmetrisedGradient(space), oa.Gradient(space, "backward")
    a, b, c = (space.random(seed=i) for i in range(3))
    found = E.H(oa.Blocks([a, b, 2**0.5 * c]))
    np.testing.assert_allclose(found[0], G.H(oa.Blocks([a, c])), atol=1e-12)
    np.testing.assert_allclose(found[1], G.H(oa.Blocks([c, b])), atol=1e-12)


def test_mistakes_are_explained():
    space = oa.Grid((4, 4))
    with pytest.raises(oa.errors.ArgumentError, match="space of one component"):
        SymmetrisedGradient(space**2)
    with pytest.raises(oa.errors.ArgumentError, match="scheme must be"):
        SymmetrisedGradient(space, "upwind")
