"""Functionals: penalties and distances with their gradients, proximal maps and convex conjugates."""

from opalg.functionals.affine import Perturbed, Translated
from opalg.functionals.balls import L1Ball, L2Ball, LpBall, Simplex
from opalg.functionals.composition import Composed
from opalg.functionals.conjugates import conjugate
from opalg.functionals.denoisers import Denoiser
from opalg.functionals.divergences import (
    Entropy,
    KullbackLeibler,
    KullbackLeiblerConjugate,
    KullbackLeiblerCrossEntropy,
    KullbackLeiblerCrossEntropyConjugate,
    LogBarrier,
    PoissonLikelihood,
)
from opalg.functionals.envelopes import BregmanDistance, ConvexConjugate, MoreauEnvelope
from opalg.functionals.expressions import ScaledFunctional, SumFunctional
from opalg.functionals.functional import Functional, Term
from opalg.functionals.groups import GroupBall, GroupL1
from opalg.functionals.indicators import (
    Box,
    BoxSupport,
    Constant,
    LInfinityBall,
    NonNegative,
    ZeroIndicator,
)
from opalg.functionals.infimal import InfimalConvolution
from opalg.functionals.matrices import NuclearNorm, PSDCone, SpectralBall
from opalg.functionals.norms import L0, L1, L2, ElasticNet, Huber, LInfinity, Lp
from opalg.functionals.pointwise import Pointwise
from opalg.functionals.quadratic import LeastSquares, QuadraticForm, SquaredL2
from opalg.functionals.separable import SeparableSum
from opalg.functionals.sets import AffineSet, HalfSpace
from opalg.functionals.tgv import TotalGeneralizedVariation
from opalg.functionals.tv import TotalVariation

__all__ = [
    # What a functional is
    "Functional",
    "Pointwise",
    "Term",
    # Norms
    "L1",
    "L2",
    "SquaredL2",
    "Lp",
    "LInfinity",
    "L0",
    "GroupL1",
    "NuclearNorm",
    "Huber",
    "ElasticNet",
    "TotalVariation",
    "TotalGeneralizedVariation",
    # Distances to data
    "LeastSquares",
    "PoissonLikelihood",
    "KullbackLeibler",
    "KullbackLeiblerConjugate",
    "KullbackLeiblerCrossEntropy",
    "KullbackLeiblerCrossEntropyConjugate",
    # Others
    "QuadraticForm",
    "Entropy",
    "LogBarrier",
    "Constant",
    # Sets
    "Box",
    "BoxSupport",
    "NonNegative",
    "ZeroIndicator",
    "AffineSet",
    "HalfSpace",
    "Simplex",
    "L1Ball",
    "L2Ball",
    "LInfinityBall",
    "LpBall",
    "GroupBall",
    "SpectralBall",
    "PSDCone",
    # Made of others
    "SeparableSum",
    "InfimalConvolution",
    "BregmanDistance",
    # Expressions, which the operations on functionals build
    "Composed",
    "ConvexConjugate",
    "MoreauEnvelope",
    "Perturbed",
    "ScaledFunctional",
    "SumFunctional",
    "Translated",
    "conjugate",
    # Plug and play
    "Denoiser",
]
