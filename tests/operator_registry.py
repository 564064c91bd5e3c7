"""Instances of every public operator; each meets the whole conformance suite.

A new operator needs one entry: a function with the name of the class or constructor that yields pairs of
a label and an instance. Small spaces, odd and even, real and complex, weighted, in both precisions.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

Instances = Iterator[tuple[str, oa.Operator]]

REGISTRY: dict[str, Callable[[], Instances]] = {}

# Checks that cannot hold, each with the reason; strict: an entry whose check passes is an error.
_IDENTITY = {"pickling": "SciPy's operators compare by identity, so a copy is never equal"}
_CHOICE = "the step depends on choices by numbers, which PyTorch cannot differentiate; it says so"
_UNRECORDED = {"torch_values": _CHOICE, "torch_gradient": _CHOICE}
EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "ScipyOperator": _IDENTITY,
    "from_scipy": _IDENTITY,
    "HybridLSQR": _UNRECORDED,
    "GaussNewton": _UNRECORDED,
    "LevenbergMarquardt": _UNRECORDED,
    "NonlinearCG": _UNRECORDED,
    "LBFGS": _UNRECORDED,
    "ASDPOCS": _UNRECORDED,
}


def instances(*names: str) -> Callable[[Callable[[], Instances]], Callable[[], Instances]]:
    """Register a function that yields instances of the named class or constructor."""

    def register(function: Callable[[], Instances]) -> Callable[[], Instances]:
        for name in names:
            assert name not in REGISTRY, f"{name} is registered twice"
            REGISTRY[name] = function
        return function

    return register


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def array(*shape: int, dtype: str = "float64") -> Any:
    values = rng().standard_normal(shape)
    if "complex" in dtype:
        values = values + 1j * rng().standard_normal((2, *shape))[1]
    return values.astype(dtype)


GRID = oa.Grid((4, 5), (0.5, 2.0), "float64")
SINGLE = oa.Grid((3, 4), 0.5)
COMPLEX = oa.Space((3, 4), "complex128")
COMPLEX_SINGLE = oa.Space((2, 3), "complex64")
WEIGHTED = oa.Space((3, 2), "float64", weighting=rng().uniform(0.5, 2.0, (3, 2)))
ONE = oa.Space(1, "float64")
MIXED = GRID * (COMPLEX * ONE)


def over_spaces(build: Callable[[Any], oa.Operator], *spaces: Any) -> Instances:
    for space in spaces:
        yield str(space), build(space)


@instances("Identity")
def identity() -> Instances:
    yield from over_spaces(oa.Identity, GRID, SINGLE, COMPLEX, MIXED)


@instances("Scaling")
def scaling() -> Instances:
    yield from over_spaces(lambda s: oa.Scaling(s, -2.5), GRID, SINGLE, COMPLEX, MIXED)
    yield from over_spaces(lambda s: oa.Scaling(s, 2 - 1j), COMPLEX, COMPLEX_SINGLE, COMPLEX**2)
    yield "unitary", oa.Scaling(COMPLEX, 1j)
    yield "zero", oa.Scaling(GRID, 0.0)


@instances("Zero")
def zero() -> Instances:
    yield "square", oa.Zero(GRID)
    yield "to complex", oa.Zero(SINGLE, COMPLEX_SINGLE)
    yield "to product", oa.Zero(COMPLEX, MIXED)


@instances("Diagonal")
def diagonal() -> Instances:
    yield "plain", oa.Diagonal(array(3, 4))
    yield "signed", oa.Diagonal(array(4, 5), GRID)
    yield "positive", oa.Diagonal(abs(array(4, 5)), GRID)
    yield "broadcast", oa.Diagonal(array(5), GRID)
    yield "weighted", oa.Diagonal(array(3, 2), WEIGHTED)
    yield "complex", oa.Diagonal(array(3, 4, dtype="complex128"))
    yield "real on complex", oa.Diagonal(array(3, 4), COMPLEX)
    yield "single", oa.Diagonal(array(2, 3, dtype="complex64"), COMPLEX_SINGLE)
    yield "large", oa.Diagonal(array(31, dtype="float32"))


SCHEMES = ("forward", "backward", "central")
BOUNDARIES = ("zero", "replicate", "reflect", "periodic")


@instances("PartialDerivative")
def partial_derivative() -> Instances:
    for scheme in SCHEMES:
        for boundary in BOUNDARIES:
            label = f"{scheme} {boundary}"
            yield f"{label} y", oa.PartialDerivative(GRID, "y", scheme, boundary)
            yield f"{label} last", oa.PartialDerivative(SINGLE, -1, scheme, boundary)
    for extent in (1, 2, 3):
        for scheme in SCHEMES:
            yield (
                f"{scheme} {extent}",
                oa.PartialDerivative(oa.Space(extent, "float64"), 0, scheme, "reflect"),
            )
    yield "weighted", oa.PartialDerivative(WEIGHTED, 0)
    yield "complex", oa.PartialDerivative(COMPLEX, 1, "central")


@instances("Gradient")
def gradient() -> Instances:
    for scheme in SCHEMES:
        for boundary in BOUNDARIES:
            yield f"{scheme} {boundary}", oa.Gradient(GRID, scheme, boundary)
    yield from over_spaces(oa.Gradient, SINGLE, COMPLEX, COMPLEX_SINGLE, WEIGHTED, ONE)
    yield "3D", oa.Gradient(oa.Grid((2, 3, 4), 0.5, "float64"))


@instances("Divergence")
def divergence() -> Instances:
    for scheme in SCHEMES:
        yield scheme, oa.Divergence(GRID, scheme, "zero")
    yield from over_spaces(oa.Divergence, SINGLE, COMPLEX, WEIGHTED, ONE)


@instances("Laplacian")
def laplacian() -> Instances:
    for boundary in BOUNDARIES:
        yield boundary, oa.Laplacian(GRID, boundary)
        yield f"{boundary} 1D", oa.Laplacian(oa.Space(5, "float64"), boundary)
    yield from over_spaces(
        oa.Laplacian, SINGLE, COMPLEX_SINGLE, WEIGHTED, ONE, oa.Space((2, 3, 4), "float64")
    )


@instances("MatrixOperator")
def matrix() -> Instances:
    sparse = scipy.sparse.random(6, 20, 0.3, random_state=0)
    yield "dense", oa.MatrixOperator(array(3, 4))
    yield "spaces", oa.MatrixOperator(array(6, 20), GRID, WEIGHTED)
    yield "complex", oa.MatrixOperator(array(5, 12, dtype="complex128"), COMPLEX)
    yield "real on complex", oa.MatrixOperator(array(12, 12), COMPLEX, COMPLEX)
    yield "single", oa.MatrixOperator(array(4, 6, dtype="complex64"), COMPLEX_SINGLE)
    yield "sparse", oa.MatrixOperator(sparse, GRID)
    yield "sparse array", oa.MatrixOperator(scipy.sparse.csc_array(sparse), GRID)
    yield "sparse complex", oa.MatrixOperator((1 + 2j) * sparse)
    yield "sparse single", oa.MatrixOperator(sparse.astype("float32"))


@instances("ScipyOperator", "from_scipy")
def scipy_operator() -> Instances:
    yield "real", oa.from_scipy(aslinearoperator(array(6, 20)), GRID, WEIGHTED)
    yield (
        "complex product",
        oa.from_scipy(aslinearoperator(array(4, 24, dtype="complex128")), COMPLEX**2),
    )


@instances("Crop")
def crop() -> Instances:
    yield from over_spaces(lambda s: oa.Crop(s, ((1, 0), (0, 2))), GRID, SINGLE, COMPLEX)
    yield "weighted", oa.Crop(WEIGHTED, ((1, 0), 0))
    yield "nothing", oa.Crop(GRID, 0)


@instances("Pad")
def pad() -> Instances:
    yield from over_spaces(lambda s: oa.Pad(s, ((1, 0), (0, 2))), GRID, SINGLE, COMPLEX)
    yield "odd spacing", oa.Pad(oa.Grid(3, 0.1, "float64", origin=0.3), ((1, 2),))


@instances("Sampling")
def sampling() -> Instances:
    yield "mask", oa.Sampling(GRID, array(4, 5) > 0)
    yield "repeated points", oa.Sampling(GRID, np.array([[0, 1], [3, 4], [0, 1]]))
    yield "weighted", oa.Sampling(WEIGHTED, np.array([[2, 1], [0, 0]]))
    yield "complex", oa.Sampling(COMPLEX, array(3, 4) > 0)
    yield "single", oa.Sampling(oa.Space(5), np.array([4, 0, 0, 4]))


@instances("Transposition")
def transposition() -> Instances:
    yield from over_spaces(oa.Transposition, GRID, SINGLE, COMPLEX, WEIGHTED)
    yield "three", oa.Transposition(oa.Grid((2, 3, 4), (1.0, 2.0, 3.0), "float64"), ("x", "z", "y"))


@instances("RealPart")
def real_part() -> Instances:
    yield from over_spaces(oa.RealPart, COMPLEX, COMPLEX_SINGLE, GRID.complex)


@instances("ImagPart")
def imag_part() -> Instances:
    yield from over_spaces(oa.ImagPart, COMPLEX, COMPLEX_SINGLE, GRID.complex)


@instances("ComplexEmbedding")
def complex_embedding() -> Instances:
    yield from over_spaces(oa.ComplexEmbedding, GRID, SINGLE, WEIGHTED)


@instances("Modulus")
def modulus() -> Instances:
    yield from over_spaces(oa.Modulus, COMPLEX, COMPLEX_SINGLE, GRID, WEIGHTED)


@instances("Component")
def component() -> Instances:
    for index in (0, 1, -1):
        yield f"{index}", oa.Component(MIXED, index)
    yield "single", oa.Component(SINGLE**3, 1)


@instances("Embedding")
def embedding() -> Instances:
    for index in (0, 1, -1):
        yield f"{index}", oa.Embedding(MIXED, index)
    yield "single", oa.Embedding(SINGLE**3, 1)


@instances("FourierTransform")
def fourier_transform() -> Instances:
    yield from over_spaces(oa.FourierTransform, COMPLEX, COMPLEX_SINGLE, GRID.complex)
    yield "one axis", oa.FourierTransform(COMPLEX, axes=1, centred=False, norm="backward")


@instances("RealFourierTransform")
def real_fourier_transform() -> Instances:
    yield from over_spaces(oa.RealFourierTransform, GRID, SINGLE, WEIGHTED)
    yield "one axis", oa.RealFourierTransform(GRID, axes="y", norm="forward")


@instances("Convolution")
def convolution() -> Instances:
    for mode in ("same", "full", "valid"):
        yield mode, oa.Convolution(GRID, array(2, 3), mode)
    yield "complex", oa.Convolution(COMPLEX, array(3, 2, dtype="complex128"))
    yield "single", oa.Convolution(SINGLE, array(2, 3, dtype="float32"))


@instances("CircularConvolution")
def circular_convolution() -> Instances:
    yield "real", oa.CircularConvolution(GRID, array(2, 3))
    yield "complex", oa.CircularConvolution(COMPLEX, array(3, 2, dtype="complex128"))
    yield "single", oa.CircularConvolution(SINGLE, array(2, 3, dtype="float32"))


@instances("Separable")
def separable() -> Instances:
    yield "real", oa.Separable(GRID, oa.Space((3, 5), "float64"), [array(3, 4), None])
    yield "complex", oa.Separable(COMPLEX, COMPLEX, [array(3, 3), scipy.sparse.eye_array(4)])
    yield "single", oa.Separable(SINGLE, oa.Space((2, 2)), [array(2, 3), array(2, 4)])


@instances("Resampling")
def resampling() -> Instances:
    target = oa.Grid((3, 7), (0.7, 0.5), "float64", origin=0.2)
    for method in ("nearest", "linear", "cubic"):
        for boundary in ("replicate", "zero"):
            yield f"{method} {boundary}", oa.Resampling(GRID, target, method, boundary)
    yield "complex", oa.Resampling(GRID.complex, target.complex)
    yield "single", oa.Resampling(target.astype("float32"), SINGLE)


@instances("Deformation")
def deformation() -> Instances:
    for method in ("nearest", "linear", "cubic"):
        yield method, oa.Deformation(GRID, array(2, 4, 5), method, "zero")
    yield from over_spaces(lambda s: oa.Deformation(s, array(2, 3, 4)), SINGLE, COMPLEX)
    yield "weighted", oa.Deformation(WEIGHTED, array(2, 3, 2))


@instances("TemplateDeformation")
def template_deformation() -> Instances:
    for method in ("linear", "cubic"):
        yield method, oa.TemplateDeformation(GRID, array(4, 5), method, "zero")
    yield "single", oa.TemplateDeformation(SINGLE, array(3, 4, dtype="float32"), "cubic")


@instances("SymmetrisedGradient")
def symmetrised_gradient() -> Instances:
    for boundary in BOUNDARIES:
        yield boundary, oa.SymmetrisedGradient(GRID, "backward", boundary)
    yield from over_spaces(oa.SymmetrisedGradient, SINGLE, COMPLEX, WEIGHTED, ONE)


@instances("WaveletTransform")
def wavelet_transform() -> Instances:
    haar = ((0.5**0.5, 0.5**0.5), (-(0.5**0.5), 0.5**0.5), (0.5**0.5,) * 2, (0.5**0.5, -(0.5**0.5)))
    yield "filters", oa.WaveletTransform(oa.Space((4, 4), "float64"), haar, levels=2)
    yield "single", oa.WaveletTransform(SINGLE, haar, levels=2)
    yield "one axis", oa.WaveletTransform(COMPLEX, haar, levels=1, axes=1)
    if importlib.util.find_spec("pywt"):
        yield "biorthogonal", oa.WaveletTransform(GRID, "bior2.2", 1, "symmetric")
        yield "weighted", oa.WaveletTransform(WEIGHTED, "db2", 1, "reflect")


@instances("NonuniformFourierTransform")
def nonuniform_fourier_transform() -> Instances:
    if importlib.util.find_spec("finufft"):
        tight = {"tolerance": 1e-14}  # A.gram is computed in another way
        yield "2D", oa.NonuniformFourierTransform(COMPLEX, 3 * array(2, 4, 2), **tight)
        yield "1D", oa.NonuniformFourierTransform(oa.Space(6, "complex128"), array(9, 1), **tight)
        yield "single", oa.NonuniformFourierTransform(COMPLEX_SINGLE, array(5, 2))


def projector(
    dtype: str, shape: tuple[int, ...] = (5, 6), model: str = "joseph"
) -> tomo.XrayTransform:
    geometry = tomo.ParallelBeam(angles=4, detector=7, pitch=0.6)
    return tomo.XrayTransform(oa.Grid(shape, 0.5, dtype), geometry, model)


def fan_projector(dtype: str, curved: bool, model: str = "joseph") -> tomo.XrayTransform:
    geometry = tomo.FanBeam(4, detector=7, pitch=0.6, sod=6.0, sdd=9.0, curved=curved)
    return tomo.XrayTransform(oa.Grid((5, 6), 0.5, dtype), geometry, model)


def cone_projector(dtype: str, curved: bool, model: str = "joseph") -> tomo.XrayTransform:
    geometry = tomo.ConeBeam(3, detector=(4, 5), pitch=0.9, sod=6.0, sdd=9.0, curved=curved)
    return tomo.XrayTransform(oa.Grid((3, 4, 5), 0.5, dtype), geometry, model)


@instances("XrayTransform")
def xray_transform() -> Instances:
    yield "double", projector("float64")
    yield "single", projector("float32", (6, 5))
    yield "fan", fan_projector("float64", curved=False)
    yield "cone", cone_projector("float64", curved=True)
    fan, cone = (make("float32", False) for make in (fan_projector, cone_projector))
    yield "free fan", tomo.XrayTransform(fan.domain, tomo.rotate("z", 0.2) * fan.geometry)
    yield "free cone", tomo.XrayTransform(cone.domain, tomo.rotate("x", 0.2) * cone.geometry)
    masks = {"volume_mask": np.arange(60).reshape(3, 4, 5) % 3 > 0}
    masks["detector_mask"] = np.arange(20).reshape(4, 5) != 7
    yield "masks", tomo.XrayTransform(cone.domain, cone.geometry, **masks)
    yield "in parts", tomo.XrayTransform(fan.domain, fan.geometry, memory_limit=19000)
    for model in ("siddon", "footprint"):
        yield f"{model}, parallel", projector("float64", model=model)
        yield f"{model}, fan, single", fan_projector("float32", True, model)
        yield f"{model}, cone", cone_projector("float64", False, model)


@instances("supersampled")
def supersampled() -> Instances:
    fan, cone = fan_projector("float64", True), cone_projector("float32", False)
    yield "pixels", tomo.supersampled(fan.domain, fan.geometry, detector=2, model="footprint")
    yield "voxels and pixels, single", tomo.supersampled(cone.domain, cone.geometry, 2, 3)


@instances("FBP")
def fbp() -> Instances:
    yield "double", tomo.FBP(projector("float64"))
    fine = tomo.ParallelBeam(angles=4, detector=9, pitch=0.5)
    yield "fine", tomo.FBP(tomo.XrayTransform(oa.Grid((5, 6), 0.5, "float64"), fine))
    yield "single", tomo.FBP(projector("float32"), window="hann")
    yield "fan", tomo.FBP(fan_projector("float64", curved=False))
    yield "curved fan, single", tomo.FBP(fan_projector("float32", curved=True), window="cosine")
    fan = tomo.FanBeam(5, 6, 0.9, 6.0, 9.0, curved=True, offset=1.2)  # a moved detector
    yield "offset", tomo.FBP(tomo.XrayTransform(oa.Grid((4, 5), 0.5, "float64"), fan))
    free = tomo.rotate("z", 0.2) * tomo.ParallelBeam([0.1, 0.4, 1.9, 2.4], 6)
    yield "free parallel", tomo.FBP(tomo.XrayTransform(oa.Grid((4, 5), 0.5), free))
    rolled = tomo.ParallelBeam(5, (3, 6)).rotate_detector(roll=0.4)
    yield "rolled", tomo.FBP(tomo.XrayTransform(oa.Grid((2, 4, 5), 0.5, "float64"), rolled))


@instances("FDK")
def fdk() -> Instances:
    yield "flat", tomo.FDK(cone_projector("float64", curved=False))
    yield "curved, single", tomo.FDK(cone_projector("float32", curved=True), window="hann")
    cone, grid = tomo.ConeBeam(5, (4, 6), 0.9, 6.0, 9.0), oa.Grid((2, 4, 5), 0.5, "float64")
    for label, roll in (("rolled", 0.4), ("rolled in every view", np.arange(5) / 9)):
        yield label, tomo.FDK(tomo.XrayTransform(grid, cone.rotate_detector(roll=roll)))
    helix = tomo.ConeBeam.helical(3, 0.8, 5, (4, 6), 0.9, 6.0, 9.0)
    yield "helix", tomo.FDK(tomo.XrayTransform(grid, helix))


@instances("VoxelBackProjection")
def voxel_back_projection() -> Instances:
    yield "parallel", tomo.VoxelBackProjection(projector("float64"))
    yield "fan", tomo.VoxelBackProjection(fan_projector("float64", curved=True), weighted=True)
    yield "cone", tomo.VoxelBackProjection(cone_projector("float64", curved=False), weighted=True)
    yield "curved, single", tomo.VoxelBackProjection(cone_projector("float32", curved=True))


@instances("RampFilter")
def ramp_filter() -> Instances:
    yield "double", tomo.RampFilter(oa.Space((2, 5), "float64"), pitch=0.5)
    yield "single", tomo.RampFilter(oa.Space((3, 4)), pitch=1.0, window="hann")


@instances("FrequencyFilter")
def frequency_filter() -> Instances:
    one, views = oa.Space(5, "float64"), oa.Space((2, 3, 4))
    yield "one row", tomo.FrequencyFilter(one, np.linspace(1.0, -0.5, 6))
    yield "views", tomo.FrequencyFilter(views, array(2, 1, 5, dtype="float32"))
    yield "rows, double", tomo.FrequencyFilter(oa.Space((3, 4), "float64"), array(3, 5))


I, G, D = oa.Identity(GRID), oa.Gradient(GRID), oa.Diagonal(array(4, 5), GRID)
C, R, E = (
    oa.Diagonal(array(3, 4, dtype="complex128")),
    oa.RealPart(COMPLEX),
    oa.ComplexEmbedding(COMPLEX.real),
)
M = oa.Modulus(COMPLEX)


@instances("vstack")
def vstack() -> Instances:
    yield "linear", oa.vstack([I, 2 * G.H @ G, G])
    yield "not linear", oa.vstack([M, R @ C])
    yield "one", oa.vstack([G])


@instances("hstack")
def hstack() -> Instances:
    yield "linear", oa.hstack([I, G.H, -2 * D])
    yield "not linear", oa.hstack([M, R @ C])
    yield "complex", oa.hstack([C, E, 1j * C])


@instances("block_diagonal")
def block_diagonal() -> Instances:
    yield "linear", oa.block_diagonal([D, G, C])
    yield "not linear", oa.block_diagonal([M, D])


@instances("block_matrix")
def block_matrix() -> Instances:
    yield "linear", oa.block_matrix([[G, None], [I, G.H]])
    yield "nested", oa.block_matrix([[oa.block_diagonal([D, G]), None], [None, I]])
    yield "not linear", oa.block_matrix([[M, None], [R, oa.Diagonal(array(3, 4))]])


@instances("replicate")
def replicate() -> Instances:
    yield "linear", oa.replicate(G, 2)
    yield "not linear", oa.replicate(M, 3)


@instances("Landweber")
def landweber() -> Instances:
    yield "double", solvers.Landweber(projector("float64"), iterations=3)


@instances("SIRT")
def sirt() -> Instances:
    yield "double", solvers.SIRT(projector("float64"), iterations=3)
    yield "box", solvers.SIRT(projector("float64"), iterations=2, minimum=0.0)


@instances("OSSIRT", "OSSART")
def ordered_subsets() -> Instances:
    yield "OSSIRT", solvers.OSSIRT(projector("float64"), iterations=2, subsets=3)
    yield "OSSART", solvers.OSSART(projector("float64"), iterations=2, subsets=2, minimum=0.0)


@instances("SART")
def sart() -> Instances:
    yield "double", solvers.SART(projector("float64"), iterations=2)


@instances("Kaczmarz", "Cimmino")
def rows() -> Instances:
    matrix = oa.MatrixOperator(array(5, 20), GRID, oa.Space(5, "float64"))
    yield "Kaczmarz", solvers.Kaczmarz(matrix, iterations=2)
    yield "Cimmino", solvers.Cimmino(matrix, iterations=2)


@instances("CG")
def cg() -> Instances:
    yield (
        "double",
        solvers.CG(
            projector("float64").gram + oa.Identity(projector("float64").domain), iterations=3
        ),
    )


@instances("CGLS")
def cgls() -> Instances:
    yield "double", solvers.CGLS(projector("float64"), iterations=3)


@instances("LSQR", "LSMR", "ABGMRES", "BAGMRES")
def bidiagonal_and_gmres() -> Instances:
    yield "LSQR", solvers.LSQR(projector("float64"), iterations=3, damp=0.1)
    yield "LSMR", solvers.LSMR(projector("float64"), iterations=3)
    yield "AB", solvers.ABGMRES(projector("float64"), iterations=3)
    yield "BA", solvers.BAGMRES(projector("float64"), iterations=3)


@instances("MLEM", "OSEM", "MAPEM")
def statistical() -> Instances:
    A = projector("float64")
    counts = oa.Modulus(A.range)  # random data are negative, too, which these refuse
    prior = 0.01 * fn.Huber(A.domain, 0.1)
    yield "MLEM", solvers.MLEM(A, iterations=2, background=0.1) @ counts
    yield "OSEM", solvers.OSEM(A, iterations=2, subsets=2, background=0.1) @ counts
    yield "MAPEM", solvers.MAPEM(A, regularizer=prior, iterations=2, background=0.1) @ counts


def _smooth(name: str) -> Any:
    A = projector("float64")
    return getattr(solvers, name)(A, regularizer=0.1 * fn.Huber(A.domain, 0.1), iterations=2)


@instances("GradientDescent", "Nesterov")
def smooth() -> Instances:
    yield "GradientDescent", _smooth("GradientDescent")
    yield "Nesterov", _smooth("Nesterov")


@instances("NonlinearCG")
def nonlinear_cg() -> Instances:
    yield "double", _smooth("NonlinearCG")


@instances("LBFGS")
def lbfgs() -> Instances:
    yield "double", _smooth("LBFGS")


@instances("GaussNewton", "LevenbergMarquardt")
def gauss_newton() -> Instances:
    A = projector("float64")
    # Few inner steps: conjugate gradients amplify the rounding of sums, which differs among libraries.
    ridge, few = 0.1 * fn.SquaredL2(A.domain), {"inner_iterations": 3, "iterations": 2}
    for name in ("GaussNewton", "LevenbergMarquardt"):
        yield name, getattr(solvers, name)(A, regularizer=ridge, **few)


@instances("ISTA", "FISTA", "ProjectedGradient", "PnPProximalGradient", "RED")
def proximal_gradient() -> Instances:
    A = projector("float64")
    sparse, box = 0.1 * fn.L1(A.domain), fn.NonNegative(A.domain)
    yield "ISTA", solvers.ISTA(A, regularizer=sparse, iterations=2)
    yield "FISTA", solvers.FISTA(A, regularizer=sparse, iterations=2)
    yield "ProjectedGradient", solvers.ProjectedGradient(A, regularizer=box, iterations=2)
    yield "PnP", solvers.PnPProximalGradient(A, denoiser=_halved, iterations=2)
    yield "RED", solvers.RED(A, denoiser=_halved, strength=0.1, iterations=2)


@instances("PDHG", "CondatVu", "PD3O", "LinearizedADMM", "ADMM", "SplitBregman", "DouglasRachford")
def splitting() -> Instances:
    A = projector("float64")
    G = oa.Gradient(A.domain)
    variation = 0.1 * fn.GroupL1(G.range) @ G
    for name in ("PDHG", "CondatVu", "PD3O", "LinearizedADMM", "ADMM", "SplitBregman"):
        yield name, getattr(solvers, name)(A, regularizer=variation, iterations=2)
    yield (
        "DouglasRachford",
        solvers.DouglasRachford(A, regularizer=0.1 * fn.L1(A.domain), iterations=2),
    )


@instances("PnPADMM", "SGD", "SAGA", "SVRG", "SPDHG")
def subsets() -> Instances:
    A = projector("float64")
    yield "PnPADMM", solvers.PnPADMM(A, denoiser=_halved, exact=True, iterations=2)
    for name in ("SGD", "SAGA", "SVRG", "SPDHG"):
        yield name, getattr(solvers, name)(A, subsets=2, iterations=2)


@instances("ASDPOCS")
def asd_pocs() -> Instances:
    yield "double", solvers.ASDPOCS(projector("float64"), subsets=2, iterations=2)


def _halved(x: Any) -> Any:
    """A denoiser that is known."""
    return 0.5 * x


@instances("HybridLSQR")
def hybrid() -> Instances:
    # A chosen parameter is the same for data and twice the data up to the accuracy of its search only.
    yield "double", solvers.HybridLSQR(projector("float64"), iterations=3, parameter=0.5)


@instances("expressions")
def expressions() -> Instances:
    """Expressions, as users write them."""
    yield "sum", I + 2 * G.H @ G - D
    yield "power", (I - 0.1 * G.H @ G) ** 3
    yield "complex power", ((1 + 1j) * C) ** 2
    yield "transpose", G.H
    yield (
        "plain transpose",
        (C @ oa.MatrixOperator(array(12, 12, dtype="complex128"), COMPLEX, COMPLEX)).T,
    )
    yield "adjoint", oa.Diagonal(array(3, 2), WEIGHTED).adjoint @ oa.Gradient(WEIGHTED).adjoint
    yield "gram", (G @ D).gram
    yield "through complex", R @ C @ E
    yield "real-linear", (2 - 1j) * E @ R @ C
    yield "shift", G + G.range.ones()
    yield "product", M * R + np.ones((3, 4))
    yield "composed", oa.Diagonal(array(3, 4)) @ M @ C
    yield "non-linear power", (oa.Modulus(GRID) @ (D + np.ones((4, 5)))) ** 2
    yield "inverse", (3 * oa.Transposition(GRID)).inverse
    yield (
        "single",
        (oa.Identity(SINGLE) + oa.Laplacian(SINGLE)) @ oa.Diagonal(array(3, 4, dtype="float32")),
    )
    with oa.rewriting(False):
        yield "as written", 2 * (I + D) @ (3 * I) + G.H @ (1 * G)
