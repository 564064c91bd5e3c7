"""Iterative reconstruction: solvers that are operators, rules that stop them, callbacks that watch."""

from opalg.solvers.admm import ADMM, SplitBregman
from opalg.solvers.asd_pocs import ASDPOCS
from opalg.solvers.bidiagonal import LSMR, LSQR
from opalg.solvers.callbacks import History, ProgressBar
from opalg.solvers.certified_stops import DualityGap, Optimality
from opalg.solvers.comparison import compare
from opalg.solvers.gauss_newton import GaussNewton, LevenbergMarquardt
from opalg.solvers.gmres import ABGMRES, BAGMRES
from opalg.solvers.hybrid import HybridLSQR
from opalg.solvers.krylov import CG, CGLS
from opalg.solvers.plug_and_play import RED, PnPADMM, PnPProximalGradient
from opalg.solvers.primal_dual import PD3O, PDHG, CondatVu, LinearizedADMM
from opalg.solvers.proximal_gradient import FISTA, ISTA, ProjectedGradient
from opalg.solvers.quasi_newton import LBFGS, NonlinearCG
from opalg.solvers.row_action import OSSART, OSSIRT, SART
from opalg.solvers.rows import Cimmino, Kaczmarz
from opalg.solvers.smooth import GradientDescent, Nesterov
from opalg.solvers.solver import Result, Solver
from opalg.solvers.spdhg import SPDHG
from opalg.solvers.spectra import Spectrum, lanczos, power_method, singular_values
from opalg.solvers.splitting import DouglasRachford
from opalg.solvers.state import State
from opalg.solvers.stationary import SIRT, Landweber
from opalg.solvers.statistical import MAPEM, MLEM, OSEM
from opalg.solvers.stochastic import SAGA, SGD, SVRG
from opalg.solvers.stopping import (
    Discrepancy,
    MaxIterations,
    MaxTime,
    RelativeChange,
    Residual,
    Rule,
)

__all__ = [
    # Stationary and row action
    "Landweber",
    "SIRT",
    "OSSIRT",
    "OSSART",
    "SART",
    "Kaczmarz",
    "Cimmino",
    # Krylov
    "CG",
    "CGLS",
    "LSQR",
    "LSMR",
    "HybridLSQR",
    "ABGMRES",
    "BAGMRES",
    # Smooth
    "GradientDescent",
    "Nesterov",
    "NonlinearCG",
    "LBFGS",
    # Operators that are not linear
    "GaussNewton",
    "LevenbergMarquardt",
    # Statistical
    "MLEM",
    "OSEM",
    "MAPEM",
    # Proximal gradient
    "ISTA",
    "FISTA",
    "ProjectedGradient",
    # Primal-dual
    "PDHG",
    "CondatVu",
    "PD3O",
    "LinearizedADMM",
    # Splitting
    "ADMM",
    "SplitBregman",
    "DouglasRachford",
    # Stochastic over subsets
    "SGD",
    "SAGA",
    "SVRG",
    "SPDHG",
    # Few views
    "ASDPOCS",
    # Plug and play
    "PnPADMM",
    "PnPProximalGradient",
    "RED",
    # Singular values and eigenvalues
    "power_method",
    "lanczos",
    "singular_values",
    "Spectrum",
    # The protocol
    "Result",
    "Solver",
    "State",
    "Discrepancy",
    "DualityGap",
    "Optimality",
    "MaxIterations",
    "MaxTime",
    "RelativeChange",
    "Residual",
    "Rule",
    "History",
    "ProgressBar",
    "compare",
]
