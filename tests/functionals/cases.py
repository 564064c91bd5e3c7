"""One instance at least of every class of functional, small enough for brute force.

A new class without a case fails `test_every_class_has_a_case`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import opalg as oa
from opalg import functionals as fn
from opalg.spaces import Blocks

WEIGHTS = np.array([0.5, 2.0, 1.5])
X = oa.Space(3, "float64")
W = oa.Space(3, "float64", weighting=WEIGHTS)
H = oa.Grid(3, spacing=0.5, dtype="float64")
C = oa.Space(2, "complex128", weighting=0.7)
M = oa.Space((2, 3), "float64", weighting=0.5)
S = oa.Space((2, 2), "complex128", weighting=2.0)
P = oa.Space(2, "float64", weighting=np.array([0.5, 2.0])) ** 2
PC = oa.Space(2, "complex128") ** 2
IMAGE = oa.Grid((2, 2), spacing=0.7, dtype="float64")
Q = oa.Space(2, "float64", weighting=3.0) * oa.Space(1, "float64")
DATA = np.array([1.0, 0.0, 2.5])
SHIFT = np.array([0.3, -1.0, 2.0])
Z = np.array([1.0 + 2.0j, -0.5j])

Sampler = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Case:
    """A functional, points where it is smooth, and members of the set where it is finite."""

    name: str
    make: Callable[[], Any]
    smooth: Sampler | None = None
    members: Sampler | None = None
    tight: bool = True  # whether the Lipschitz constant is the least one, or a bound

    @property
    def functional(self) -> Any:
        return self.make()


def positive(space: Any) -> Sampler:
    return lambda rng: abs(space.random(rng)) + 0.2


def gradient_free() -> Any:
    return oa.Gradient(oa.Grid((2, 2), spacing=0.5, dtype="float64"))


def orthogonal() -> Any:
    """A unitary operator between weighted spaces that says so."""
    return oa.Scaling(H, -1.0)


def averaging() -> Any:
    """A A.adjoint = 1/2 * Identity, which it does not say by itself."""
    matrix = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, np.sqrt(0.5)]])
    return oa.MatrixOperator(matrix)


def form() -> Any:
    root = np.random.default_rng(3).standard_normal((3, 3))
    # Self-adjoint in the weighted inner product: W @ A is symmetric.
    return oa.MatrixOperator((root @ root.T) / WEIGHTS[:, None], W, W)


def simplex(space: Any, total: float) -> Sampler:
    def draw(rng: np.random.Generator) -> Any:
        weights = np.broadcast_to(space.weighting, space.shape)
        return rng.dirichlet(np.ones(space.size)).reshape(space.shape) * total / weights

    return draw


def psd(rng: np.random.Generator) -> Any:
    root = S.random(rng)
    return root @ root.conj().T


def affine_members(rng: np.random.Generator) -> Any:
    # x1 + 2 x2 = 1 with x3 free.
    t, u = rng.standard_normal(2)
    return np.array([1.0 - 2.0 * t, t, u])


def ball(norm: Callable[[Any], float], space: Any) -> Sampler:
    def draw(rng: np.random.Generator) -> Any:
        x = space.random(rng)
        return x * (rng.uniform() ** 0.2 / norm(x))

    return draw


def wsum(x: Any, space: Any) -> float:
    return float((np.broadcast_to(space.weighting, space.shape) * x).sum())


ROW = oa.MatrixOperator(np.array([[1.0, 2.0, 0.0]]), W, oa.Space(1, "float64"))

CASES = [
    Case("L1", lambda: fn.L1(W)),
    Case("L1-complex", lambda: fn.L1(C)),
    Case("L1-product", lambda: fn.L1(Q)),
    Case("L0", lambda: fn.L0(W)),
    Case("L2", lambda: fn.L2(W), smooth=W.random),
    Case("L2-complex", lambda: fn.L2(C), smooth=C.random),
    Case("L2-product", lambda: fn.L2(Q), smooth=Q.random),
    Case("LInfinity", lambda: fn.LInfinity(W)),
    Case("LInfinity-complex", lambda: fn.LInfinity(C)),
    Case("LInfinity-product", lambda: fn.LInfinity(Q)),
    Case("Lp-3", lambda: fn.Lp(W, 3), smooth=W.random),
    Case("Lp-1.3", lambda: fn.Lp(C, 1.3), smooth=C.random),
    Case("Huber", lambda: fn.Huber(W, 0.7), smooth=W.random),
    Case("Huber-complex", lambda: fn.Huber(C, 0.7), smooth=C.random),
    Case("ElasticNet", lambda: fn.ElasticNet(W, 0.6, 1.5)),
    Case("SquaredL2", lambda: fn.SquaredL2(W), smooth=W.random),
    Case("SquaredL2-weight", lambda: fn.SquaredL2(H, np.array([0.5, 3.0, 1.0])), smooth=H.random),
    Case("LeastSquares", lambda: fn.LeastSquares(W, SHIFT), smooth=W.random),
    Case(
        "LeastSquares-complex", lambda: fn.LeastSquares(C, Z, np.array([2.0, 0.3])), smooth=C.random
    ),
    Case("LeastSquares-number", lambda: fn.LeastSquares(H, 1.5), smooth=H.random),
    Case(
        "QuadraticForm", lambda: fn.QuadraticForm(form(), SHIFT, 0.4), smooth=W.random, tight=False
    ),
    Case(
        "QuadraticForm-diagonal",
        lambda: fn.QuadraticForm(oa.Diagonal(np.array([1.0, 2.0, 0.5]), W)),
        smooth=W.random,
    ),
    Case("KullbackLeibler", lambda: fn.KullbackLeibler(W, DATA), positive(W), positive(W)),
    Case("PoissonLikelihood", lambda: fn.PoissonLikelihood(W, DATA), positive(W), positive(W)),
    Case(
        "KullbackLeiblerConjugate",
        lambda: fn.KullbackLeiblerConjugate(W, DATA),
        lambda rng: 0.8 - abs(W.random(rng)),
        lambda rng: 0.8 - abs(W.random(rng)),
    ),
    Case(
        "KullbackLeiblerCrossEntropy",
        lambda: fn.KullbackLeiblerCrossEntropy(W, DATA + 0.5),
        positive(W),
        positive(W),
    ),
    Case(
        "KullbackLeiblerCrossEntropyConjugate",
        lambda: fn.KullbackLeiblerCrossEntropyConjugate(W, DATA + 0.5),
        W.random,
    ),
    Case("Entropy", lambda: fn.Entropy(W), positive(W), positive(W)),
    Case("LogBarrier", lambda: fn.LogBarrier(H), positive(H), positive(H)),
    Case("Constant", lambda: fn.Constant(W, 2.5), smooth=W.random),
    Case("Box", lambda: fn.Box(W, -0.5, DATA), members=lambda rng: rng.uniform(-0.5, DATA)),
    Case("BoxSupport", lambda: fn.BoxSupport(W, -0.5, DATA)),
    Case("NonNegative", lambda: fn.NonNegative(W), members=positive(W)),
    Case("NonPositive", lambda: fn.Box(W, -np.inf, 0.0), members=lambda rng: -abs(W.random(rng))),
    Case("ZeroIndicator", lambda: fn.ZeroIndicator(C), members=lambda rng: C.zeros()),
    Case(
        "LInfinityBall",
        lambda: fn.LInfinityBall(W, 0.8),
        members=lambda rng: rng.uniform(-0.8, 0.8, 3),
    ),
    Case(
        "LInfinityBall-complex",
        lambda: fn.LInfinityBall(C, 0.8),
        members=lambda rng: 0.8 * rng.uniform(size=2) * np.exp(6j * rng.uniform(size=2)),
    ),
    Case("L1Ball", lambda: fn.L1Ball(W, 0.9), members=ball(lambda x: wsum(abs(x), W) / 0.9, W)),
    Case(
        "L1Ball-complex",
        lambda: fn.L1Ball(C, 0.9),
        members=ball(lambda x: wsum(abs(x), C) / 0.9, C),
    ),
    Case(
        "L2Ball", lambda: fn.L2Ball(W, 1.1), members=ball(lambda x: wsum(x**2, W) ** 0.5 / 1.1, W)
    ),
    Case(
        "LpBall",
        lambda: fn.LpBall(W, 2.5, 1.1),
        members=ball(lambda x: wsum(abs(x) ** 2.5, W) ** 0.4 / 1.1, W),
    ),
    Case("Simplex", lambda: fn.Simplex(W, 2.0), members=simplex(W, 2.0)),
    Case("GroupL1", lambda: fn.GroupL1(P)),
    Case("GroupL1-complex", lambda: fn.GroupL1(PC)),
    Case(
        "GroupBall",
        lambda: fn.GroupBall(P, 0.7),
        members=lambda rng: Blocks(
            0.7 * rng.uniform(size=2) * f(1.0 * np.arange(2)) for f in (np.cos, np.sin)
        ),
    ),
    Case("NuclearNorm", lambda: fn.NuclearNorm(M)),
    Case("NuclearNorm-complex", lambda: fn.NuclearNorm(S)),
    Case(
        "SpectralBall",
        lambda: fn.SpectralBall(M, 0.7),
        members=ball(lambda x: np.linalg.norm(x, 2) / 0.7, M),
    ),
    Case("PSDCone", lambda: fn.PSDCone(S), members=psd),
    Case("AffineSet", lambda: fn.AffineSet(ROW, np.array([1.0])), members=affine_members),
    Case(
        "HalfSpace",
        lambda: fn.HalfSpace(W, SHIFT, 0.7),
        members=lambda rng: W.random(rng) * 0.01 - SHIFT,
    ),
    # Expressions
    Case("Sum", lambda: fn.L1(W) + 0.5 * fn.SquaredL2(W) + fn.Constant(W, 1.0)),
    Case(
        "Sum-translated",
        lambda: (
            fn.L1(W)
            + fn.SquaredL2(W).translated(SHIFT)
            + fn.LeastSquares(W, DATA).translated(SHIFT)
        ),
    ),
    Case("Sum-box", lambda: fn.L1(W) + fn.NonNegative(W), members=positive(W)),
    Case(
        "Sum-smooth",
        lambda: fn.Huber(W, 0.5) + fn.LeastSquares(W, SHIFT),
        smooth=W.random,
        tight=False,
    ),
    Case("Scaled", lambda: 2.5 * fn.L1(W)),
    Case("Scaled-smooth", lambda: 2.5 * fn.Huber(W, 0.4), smooth=W.random),
    Case("Translated", lambda: fn.L1(W).translated(SHIFT)),
    Case(
        "Translated-ball",
        lambda: fn.L2Ball(W).translated(SHIFT),
        members=lambda rng: SHIFT + 0.3 * rng.uniform(size=3),
    ),
    Case("Perturbed", lambda: fn.L1(W).perturbed(1.5, SHIFT, 0.3)),
    Case("Perturbed-smooth", lambda: fn.Huber(C, 1.0).perturbed(0.5, Z, 0.3), smooth=C.random),
    Case("Composed-unitary", lambda: fn.L2(H).translated(SHIFT) @ orthogonal(), smooth=H.random),
    Case("Composed-tight", lambda: fn.L1(oa.Space(2, "float64")).composed(averaging(), tight=0.5)),
    Case("Composed-diagonal", lambda: fn.Huber(W, 0.5) @ oa.Diagonal(SHIFT, W), smooth=W.random),
    Case("Composed-diagonal-zero", lambda: fn.L1(W) @ oa.Diagonal(DATA, W)),
    Case(
        "Composed-phase",
        lambda: fn.LeastSquares(C, Z) @ oa.Diagonal(np.array([1.0 + 1.0j, 2.0j]), C),
        smooth=C.random,
    ),
    Case("Composed-scaling", lambda: fn.ElasticNet(W, 1.0, 1.0) @ oa.Scaling(W, -2.0)),
    Case(
        "Composed-gradient",
        lambda: fn.LeastSquares(gradient_free().range) @ gradient_free(),
        smooth=gradient_free().domain.random,
        tight=False,
    ),
    Case("Composed-weighted", lambda: fn.SquaredL2(W) @ form(), smooth=W.random, tight=False),
    Case("MoreauEnvelope", lambda: fn.LInfinity(W).moreau_envelope(0.6), smooth=W.random),
    Case(
        "MoreauEnvelope-KL",
        lambda: fn.KullbackLeibler(W, DATA).moreau_envelope(0.6),
        smooth=W.random,
    ),
    Case("SeparableSum", lambda: fn.SeparableSum(fn.L1(W), 2 * fn.LeastSquares(C, Z))),
    Case(
        "SeparableSum-smooth",
        lambda: fn.SeparableSum(fn.Huber(W, 0.5), 2 * fn.LeastSquares(C, Z)),
        smooth=(W * C).random,
    ),
    Case("ConvexConjugate", lambda: fn.Simplex(W, 2.0).convex_conjugate),
    Case(
        "InfimalConvolution",
        lambda: fn.InfimalConvolution(fn.L1(W), fn.LeastSquares(W, SHIFT, 2.0)),
        smooth=W.random,
    ),
    Case(
        "BregmanDistance",
        lambda: fn.BregmanDistance(fn.KullbackLeibler(W, DATA), np.array([1.0, 2.0, 1.0])),
        positive(W),
        positive(W),
    ),
    Case(
        "BregmanDistance-L1",
        lambda: fn.BregmanDistance(fn.L1(W), SHIFT, np.sign(SHIFT)),
    ),
    # Found by iteration, to a tolerance that the brute-force search does not see
    Case("TotalVariation", lambda: fn.TotalVariation(IMAGE, tolerance=1e-6)),
    Case("TotalVariation-anisotropic", lambda: fn.TotalVariation(IMAGE, False, tolerance=1e-6)),
    Case("TotalVariation-weighted", lambda: fn.TotalVariation(W, tolerance=1e-6)),
    Case("TotalVariation-complex", lambda: fn.TotalVariation(C, tolerance=1e-6)),
]

# Classes with tests of their own: the one takes too long for brute force, the other has no value to
# minimise.
TESTED_APART = {"TotalGeneralizedVariation": "test_variation.py", "Denoiser": "test_denoisers.py"}
