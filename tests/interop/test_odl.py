"""Spaces, operators and functionals in ODL, and ODL's operators here."""

import subprocess
import sys

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import tomo
from opalg.interop import from_odl, to_odl
from opalg.interop import odl as module
from opalg.testing import check_operator

odl = pytest.importorskip("odl", reason="ODL is the other side")

GRID = oa.Grid((4, 6), spacing=(0.5, 0.25), origin=(1.0, 0.0), dtype="float64")
WEIGHTED = oa.Space((2, 3), "float64", weighting=np.arange(1.0, 7.0).reshape(2, 3))
EXCUSES = {
    "pickling": "operators of ODL compare by identity, so a copy is never equal",
    "repr": "names of ODL stand in it",
}


def wrap(space, x):
    parts = [wrap(*pair) for pair in zip(space, x, strict=True)] if isinstance(x, tuple) else x
    return space.element(parts)


def arrays(x):
    """The arrays in an element of ODL, or of ours."""
    if isinstance(x, np.ndarray):
        return [x]
    return [x.data] if hasattr(x, "data") else [a for part in x for a in arrays(part)]


@pytest.mark.parametrize(
    "space",
    [
        GRID,
        GRID.astype("complex64"),
        WEIGHTED,
        oa.Space((2, 3)),
        GRID * (WEIGHTED * GRID.real),
        oa.Grid(5, weighting=2.0),
    ],
    ids=str,
)
def test_spaces_keep_inner_products_both_ways(space):
    assert from_odl(to_odl(space)) == space
    x, y = space.random(1), space.random(2)
    other = to_odl(space)
    xo, yo = wrap(other, x), wrap(other, y)
    np.testing.assert_allclose(xo.inner(yo), space.inner(x, y), rtol=1e-6)


def test_positions_are_kept():
    other = to_odl(GRID)
    for points, expected in zip(other.grid.coord_vectors, GRID.coordinates, strict=True):
        np.testing.assert_allclose(points, expected, atol=1e-14)
    assert other.axis_labels == ("y", "x")
    back = from_odl(odl.uniform_discr([0, 0], [1, 3], (2, 3)))
    assert back == oa.Grid((2, 3), (0.5, 1.0), "float64", (0.5, 1.5), ("x", "y"))


def test_weights_of_products_are_those_of_their_parts():
    space = odl.ProductSpace(odl.rn(2), odl.rn(3, weighting=0.5), weighting=[2.0, 3.0])
    ours = from_odl(space)
    assert [part.weighting for part in ours] == [2.0, 1.5]


def test_other_spaces_are_refused():
    with pytest.raises(oa.errors.NotSupportedError, match="constant or an array"):
        from_odl(odl.rn(2, exponent=1))
    with pytest.raises(oa.errors.NotSupportedError, match="int64"):
        from_odl(odl.tensor_space(2, dtype="int64"))
    with pytest.raises(oa.errors.ArgumentError, match="got int"):
        from_odl(3)
    with pytest.raises(oa.errors.ArgumentError, match="got int"):
        to_odl(3)


@pytest.mark.parametrize(
    "operator",
    [
        oa.Gradient(GRID),
        oa.Divergence(GRID),
        oa.MatrixOperator(np.ones((6, 24)), GRID, WEIGHTED),
        oa.FourierTransform(GRID.complex),
        tomo.XrayTransform(oa.Grid((8, 8), 0.5), tomo.ParallelBeam(5, detector=9)),
    ],
    ids=str,
)
def test_operators_are_called_and_adjoint_in_odl(operator):
    A = to_odl(operator)
    assert A.is_linear
    x, y = operator.domain.random(1), operator.range.random(2)
    xo = wrap(A.domain, x)
    yo = wrap(A.range, y)
    found = A(xo)
    expected = operator(x)
    for a, b in zip(
        arrays(found),
        arrays(expected),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    out = A.range.element()
    A(xo, out=out)
    assert abs((out - found).norm()) == 0
    np.testing.assert_allclose(A(xo).inner(yo), xo.inner(A.adjoint(yo)), rtol=1e-4)
    assert A.adjoint.domain == A.range
    assert from_odl(A) is operator
    # ODL's own algebra accepts it
    assert ((2 * A.adjoint @ A)(xo) - 2 * A.adjoint(A(xo))).norm() < 1e-4 * A.adjoint(A(xo)).norm()


def test_derivative_and_inverse_in_odl():
    modulus = oa.Modulus(GRID) @ (oa.Identity(GRID) + GRID.ones())
    A = to_odl(modulus)
    x = A.domain.element(GRID.random(0))
    np.testing.assert_array_equal(A.derivative(x)(x).data, modulus.derivative(x.data)(x.data))
    with pytest.raises(odl.OpNotImplementedError, match="not linear"):
        _ = A.adjoint
    D = to_odl(oa.Diagonal(np.full((4, 6), 2.0), GRID))
    np.testing.assert_array_equal(D.inverse(D(x)).data, x.data)


def test_functionals_in_odl():
    b = GRID.random(0)
    for f in (fn.L1(GRID), fn.SquaredL2(GRID).translated(b), 0.5 * fn.NonNegative(GRID)):
        F = to_odl(f)
        x = F.domain.element(GRID.random(1))
        assert F(x) == float(f(x.data))
        np.testing.assert_array_equal(F.proximal(0.3)(x).data, f.prox(0.3)(x.data))
        np.testing.assert_array_equal(
            F.convex_conj.proximal(0.3)(x).data, f.convex_conjugate.prox(0.3)(x.data)
        )
    np.testing.assert_array_equal(
        to_odl(fn.SquaredL2(GRID)).gradient(x).data, fn.SquaredL2(GRID).gradient(x.data)
    )


@pytest.mark.parametrize(("ours", "theirs"), [("L1", "L1Norm"), ("SquaredL2", "L2NormSquared")])
def test_values_and_proximals_are_those_of_odl(ours, theirs):
    """Weighted spaces: the same mathematics, so the same numbers as ODL's own functionals."""
    other = to_odl(GRID)
    F, theirs = to_odl(getattr(fn, ours)(GRID)), getattr(odl.functionals, theirs)(other)
    x = other.element(GRID.random(1))
    np.testing.assert_allclose(F(x), theirs(x))
    np.testing.assert_allclose(F.proximal(0.3)(x).data, theirs.proximal(0.3)(x).data, atol=1e-12)


def test_pdhg_of_odl_solves_a_total_variation_problem_in_our_parts():
    grid = oa.Grid((12, 12), spacing=0.5, dtype="float64")
    b = np.zeros(grid.shape)
    b[3:9, 4:8] = 1
    b += 0.1 * grid.random(0)
    G = oa.Gradient(grid)
    tv, fidelity = 0.1 * fn.GroupL1(G.range), fn.SquaredL2(grid).translated(b)
    L, f, g = to_odl(G), to_odl(fidelity), to_odl(tv)
    x = L.domain.zero()
    step = (
        0.99 / G.norm_bounds().upper
    )  # equal weights: the norm in ODL's spaces is that of the array map
    odl.solvers.pdhg(x, f, g, L, niter=500, tau=step, sigma=step)
    objective = f(x) + g(L(x))
    # ODL's own parts, on the same problem
    space = to_odl(grid)
    D = odl.Gradient(space, method="forward", pad_mode="symmetric")
    theirs = space.zero()
    distance = odl.functionals.L2NormSquared(space).translated(space.element(b))
    penalty = 0.1 * odl.functionals.GroupL1Norm(D.range)
    odl.solvers.pdhg(theirs, distance, penalty, D, niter=500, tau=step, sigma=step)
    assert (x - theirs).norm() < 1e-6 * x.norm()
    assert abs(objective - (f(theirs) + g(L(theirs)))) < 1e-9


def test_landweber_of_odl():
    A = to_odl(oa.MatrixOperator(np.diag([1.0, 2.0, 3.0, 4.0])))
    x = A.domain.zero()
    odl.solvers.landweber(A, x, A.range.element([1.0, 2.0, 3.0, 4.0]), niter=400, omega=1 / 16)
    np.testing.assert_allclose(x.data, 1, atol=1e-9)


SPACE = odl.uniform_discr([0, 0], [1, 2], (4, 5))


@pytest.mark.parametrize(
    "operator",
    [
        odl.Gradient(SPACE, pad_mode="symmetric"),
        odl.IdentityOperator(SPACE),
        odl.Divergence(range=SPACE, pad_mode="constant"),
        odl.MatrixOperator(np.arange(6.0).reshape(2, 3)),
        odl.ScalingOperator(odl.cn(4, weighting=0.5), 2 - 1j),
        odl.RealPart(odl.cn(3)),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_operators_of_odl_pass_the_conformance_suite(operator):
    A = from_odl(operator)
    assert A.exact_adjoint
    check_operator(A, expected_failures=EXCUSES)
    x = A.domain.random(0)
    y = A.range.random(1)
    adjoint = A.adjoint(y)
    expected = operator.adjoint(wrap(operator.range, y))
    for a, b in zip(
        arrays(adjoint),
        arrays(expected),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert (A + A)(x) is not None


def test_nonlinear_operators_of_odl():
    A = from_odl(odl.PowerOperator(odl.rn(3), 3))
    assert not isinstance(A, oa.LinearOperator)
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(A(x), x**3)
    np.testing.assert_allclose(A.derivative(x)(np.ones(3)), 3 * x**2)


class Weighted(odl.Operator):
    """A matrix between spaces of different weights, with the adjoint that belongs to them."""

    def __init__(self, matrix, domain, range):
        super().__init__(domain, range, linear=True)
        self.matrix = matrix

    def _call(self, x):
        return self.range.element(self.matrix @ x.data)

    @property
    def adjoint(self):
        before, after = self.range.weighting.array, self.domain.weighting.const
        return Weighted(self.matrix.T * before / after, self.range, self.domain)


def test_weights_stand_in_the_adjoint_and_not_in_the_transpose():
    matrix = np.arange(6.0).reshape(2, 3)
    A = from_odl(Weighted(matrix, odl.rn(3, weighting=2.0), odl.rn(2, weighting=[1.0, 3.0])))
    assert A.exact_adjoint
    y = np.array([1.0, 10.0])
    np.testing.assert_allclose(A.H(y), matrix.T @ y)
    np.testing.assert_allclose(A.adjoint(y), matrix.T @ (y * [1.0, 3.0]) / 2)


def test_wrong_adjoints_are_found():
    """ODL's own matrices forget the weights in their adjoint."""
    weighted = odl.rn(3, weighting=2.0), odl.rn(2, weighting=0.5)
    A = from_odl(odl.MatrixOperator(np.arange(6.0).reshape(2, 3), *weighted))
    assert not A.exact_adjoint


def test_missing_package_is_named(monkeypatch):
    module.import_odl.cache_clear()
    monkeypatch.setitem(sys.modules, "odl", None)
    with pytest.raises(oa.errors.MissingExtraError, match=r"opalg\[peers\]"):
        to_odl(GRID)
    with pytest.raises(oa.errors.MissingExtraError, match=r"opalg\[peers\]"):
        oa.tomo.converters.to_odl(oa.tomo.ParallelBeam(4, 5))


def test_importing_odl_leaves_printing_alone():
    code = """
import numpy, opalg
opalg.interop.to_odl(opalg.Space(1))
print(numpy.get_printoptions()["legacy"])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]
