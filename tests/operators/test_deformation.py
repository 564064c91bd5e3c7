"""Deformations against direct interpolation, and their derivative by differences."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from leaf_checks import check_leaf

import opalg as oa
from opalg.operators.deformation import Deformation, TemplateDeformation


def field(space, seed, size=1.3):
    return oa.Blocks(
        size * part.astype("float64") for part in (space.real**space.ndim).random(seed)
    )


@pytest.mark.parametrize(("method", "order"), [("nearest", 0), ("linear", 1)])
@pytest.mark.parametrize(
    ("boundary", "mode"), [("replicate", "nearest"), ("zero", "grid-constant")]
)
@pytest.mark.parametrize("shape", [(6,), (4, 5), (3, 2, 4)])
def test_values_are_those_of_scipy(shape, method, order, boundary, mode):
    space = oa.Grid(shape, spacing=tuple(0.5 + 0.2 * i for i in range(len(shape))), dtype="float64")
    u, x = field(space, 1), space.random(seed=0)
    points = [i + part / h for i, part, h in zip(np.indices(shape), u, space.spacing, strict=True)]
    if order == 0 and mode == "grid-constant":
        mode = "constant"  # SciPy's other mode treats points half a cell outside differently
        points = [np.where((p > -1) & (p < 0), 0, p) * 1.0 for p in points]
        points = [
            np.where((p > n - 1) & (p < n), n + 5, p) for p, n in zip(points, shape, strict=True)
        ]
        u = oa.Blocks(
            (p - i) * h for p, i, h in zip(points, np.indices(shape), space.spacing, strict=True)
        )
    expected = scipy.ndimage.map_coordinates(x, points, order=order, mode=mode)
    np.testing.assert_allclose(Deformation(space, u, method, boundary)(x), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("method", ["nearest", "linear", "cubic"])
def test_exact_transpose(method, dtype):
    space = oa.Grid((4, 3), spacing=0.5, dtype=dtype)
    check_leaf(Deformation(space, field(space, 1), method, "zero"))
    check_leaf(Deformation(space, field(space, 1), method))


@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_smooth_deformations_of_smooth_images(method):
    """The error against the exact values falls as the interpolation promises."""
    errors = []
    for n in (32, 64):
        grid = oa.Grid((n, n), spacing=8 / n, dtype="float64")
        y, x = np.meshgrid(*grid.coordinates, indexing="ij")
        u = oa.Blocks([0.3 * np.sin(x), 0.2 * np.cos(y + x)])
        inner = (abs(y) < 3) & (abs(x) < 3)
        found = Deformation(grid, u, method)(np.sin(y) * np.cos(x))
        errors.append(abs(found - np.sin(y + u[0]) * np.cos(x + u[1]))[inner].max())
    assert errors[0] / errors[1] > {"linear": 3.5, "cubic": 7}[method]


def test_no_displacement_is_the_identity():
    space = oa.Space((3, 4))
    x = space.random(seed=0)
    for method in ("nearest", "linear", "cubic"):
        assert (Deformation(space, np.zeros((2, 3, 4)), method, "zero")(x) == x).all()


@pytest.mark.parametrize("method", ["linear", "cubic"])
@pytest.mark.parametrize("boundary", ["replicate", "zero"])
def test_derivative_in_the_displacement(method, boundary):
    space = oa.Grid((5, 4), spacing=(0.5, 0.7), dtype="float64")
    image = space.random(seed=0)
    T = TemplateDeformation(space, image, method, boundary)
    u, v = field(space, 1), field(space, 2)
    np.testing.assert_allclose(T(u), Deformation(space, u, method, boundary)(image), atol=1e-13)
    step = 1e-7  # far from the kinks of linear interpolation, for this seed
    quotient = (T(u + step * v) - T(u - step * v)) / (2 * step)
    np.testing.assert_allclose(T.derivative(u)(v), quotient, atol=1e-6)
    check_leaf(T.derivative(u))


def test_gradient_reaches_the_displacement_of_a_batch():
    space = oa.Space((3, 4), "float64")
    T = TemplateDeformation(space, space.random(seed=0), "cubic")
    u = [torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda *parts: T(oa.Blocks(parts)), u)
    one = T(oa.Blocks(part.detach().numpy()[1] for part in u))
    np.testing.assert_allclose(T(oa.Blocks(u))[1].detach(), one, atol=1e-14)


def test_mistakes_are_explained():
    space = oa.Space((3, 4))
    with pytest.raises(oa.errors.ArgumentError, match=r"2 arrays of shape \(3, 4\)"):
        Deformation(space, np.zeros((3, 4)))
    with pytest.raises(oa.errors.NonFiniteError, match="NaN"):
        Deformation(space, np.full((2, 3, 4), np.nan))
    with pytest.raises(oa.errors.NotSupportedError, match="TemplateDeformation"):
        Deformation(space, [torch.zeros(3, 4, requires_grad=True)] * 2)
    with pytest.raises(oa.errors.ArgumentError, match="method must be"):
        Deformation(space, np.zeros((2, 3, 4)), "spline")
    with pytest.raises(oa.errors.ArgumentError, match="must be 'linear' or 'cubic'"):
        TemplateDeformation(space, space.zeros(), "nearest")
    with pytest.raises(oa.errors.ArgumentError, match="real Space"):
        TemplateDeformation(space.complex, space.complex.zeros())
