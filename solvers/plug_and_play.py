"""Denoisers in the place of regularisers: plug-and-play ADMM and proximal gradient, and RED."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.functionals import Denoiser, Functional, Term
from opalg.functionals.functional import positive
from opalg.solvers.admm import ADMM
from opalg.solvers.objective import Objective, take_apart
from opalg.solvers.proximal_gradient import ISTA
from opalg.solvers.solver import Solver
from opalg.solvers.solver import _is_trained as is_trained
from opalg.solvers.splits import proximal
from opalg.solvers.state import State

__all__ = ["RED", "PnPADMM", "PnPProximalGradient"]


def as_denoiser(denoiser: Any, space: Any, solver: str) -> Denoiser:
    """A denoiser on the space of the unknown, from a callable or as given."""
    if isinstance(denoiser, Denoiser):
        if denoiser.domain != space:
            raise ArgumentError(
                f"the denoiser of {solver} must act on {space}, got one on {denoiser.domain}"
            )
        return denoiser
    if isinstance(denoiser, Functional) or not callable(denoiser):
        raise ArgumentError(
            f"{solver} needs a denoiser: a function of an array, a torch module or "
            f"fn.Denoiser(space, function), "
            f"got {denoiser!r:.80}"
        )
    return Denoiser(space, denoiser)


class PnPADMM(ADMM):
    """Plug-and-play ADMM: `ADMM` with a denoiser in the place of a proximal map.

    Parameters
    ----------
    operator : LinearOperator
    denoiser : Denoiser, callable or torch.nn.Module
        Of images in the space of the unknown; `opalg.functionals.Denoiser` says what is handed over. With
        ``Denoiser(..., sigma="step")`` it is told ``1 / sqrt(penalty)`` as the noise level.
    iterations, fidelity, relaxation, balancing, inner_iterations, exact, tolerance
        As for `ADMM`.
    regularizer : Functional, optional
        Further terms, such as `NonNegative`.
    penalty : float, optional
        Decides how much the denoiser does: there is no weight of its own. By default as for `ADMM`.

    Raises
    ------
    ArgumentError
        If the denoiser cannot be called, or acts on another space.

    Notes
    -----
    A fixed point need not minimise anything. The iteration converges for denoisers that are proximal maps
    of convex functions (by ADMM's theory), and for those whose residual ``x - D(x)`` is a contraction when
    the data
    term is strongly convex (Ryu et al. 2019); bounded denoisers need a penalty that grows.

    Memory beyond the data and cost: as for `ADMM`, and the denoiser's own.

    References
    ----------
    S. Venkatakrishnan, C. Bouman and B. Wohlberg, "Plug-and-play priors for model based reconstruction",
    GlobalSIP 2013. E. Ryu et al., "Plug-and-play methods provably converge with properly trained
    denoisers", ICML
    2019.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> shrink = lambda x: x / 2  # the prox of |x|^2 / 2 with step 1
    >>> solver = solvers.PnPADMM(A, denoiser=shrink, penalty=1.0)
    >>> solver(np.array([2.0, 5.0])).round(6).tolist()
    [1.0, 2.0]
    """

    denoiser: Callable[..., Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.trainable = self.trainable or is_trained(self._denoiser().function)

    def _denoiser(self) -> Denoiser:
        return as_denoiser(self.denoiser, self.operator.domain, type(self).__name__)

    def certificate(self, state: State, y: Array) -> Any:
        """There is none: a denoiser stands for no known functional."""
        return Solver.certificate(self, state, y)

    def _terms(self, y: Array) -> tuple[list[Term], Functional | None]:
        quadratic, rest = super()._terms(y)
        prior: Functional = self._denoiser()
        return quadratic, prior if rest is None else prior + rest


class PnPProximalGradient(ISTA):
    """Plug-and-play proximal gradient: `ISTA` with a denoiser in the place of a proximal map.

    Parameters
    ----------
    operator : LinearOperator
    denoiser : Denoiser, callable or torch.nn.Module
        As for `PnPADMM`; with ``Denoiser(..., sigma="step")`` it is told ``sqrt(step_size)``.
    iterations, fidelity, step_size
        As for `ISTA`. The step decides how much the denoiser does.
    regularizer : Functional, optional
        Terms with a Lipschitz gradient.
    tolerance : float, optional
        As for `ISTA`.

    Raises
    ------
    ArgumentError
        If the denoiser cannot be called, or acts on another space; if ``backtracking`` is asked for.
    NotSupportedError
        If a term has no Lipschitz gradient.

    Notes
    -----
    Converges for steps below ``2 / L`` if the denoiser is averaged (firmly non-expansive, or a mean with the
    identity); a fixed point need not minimise anything.

    Memory beyond the data: 4 volumes and 2 sinograms, and the denoiser's own. Cost per iteration: one
    application, one transpose and one call of the denoiser.

    References
    ----------
    U. Kamilov, H. Mansour and B. Wohlberg, "A plug-and-play priors approach for solving nonlinear imaging
    inverse problems", IEEE Signal Process. Lett. 24, 2017.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> shrink = lambda x: (
    ...     x / 2
    ... )  # the prox of |x|^2 / 2 with step 1, hence of 4 |x|^2 / 2 with step 1 / 4
    >>> solver = solvers.PnPProximalGradient(A, denoiser=shrink, step_size=0.25)
    >>> solver(np.array([5.0, 4.0])).round(6).tolist()
    [1.0, 1.0]
    """

    denoiser: Callable[..., Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backtracking:
            raise ArgumentError(
                f"{type(self).__name__} cannot search its steps: the denoiser is made for one"
            )
        self.trainable = self.trainable or is_trained(self._denoiser().function)

    def _denoiser(self) -> Denoiser:
        return as_denoiser(self.denoiser, self.operator.domain, type(self).__name__)

    def certificate(self, state: State, y: Array) -> Any:
        """There is none: a denoiser stands for no known functional."""
        return Solver.certificate(self, state, y)

    def _regularizer_parts(self) -> Any:
        found = take_apart(self.regularizer, type(self).__name__, smooth=True)
        return found._replace(prox=self._denoiser())


class _Denoised(NamedTuple):
    denoiser: Denoiser
    strength: float


class _RedObjective(Objective):
    """A smooth objective whose gradient has ``strength * (x - D(x))`` added."""

    prior: _Denoised

    def gradient(self, state: State, x: Array, q: Array, out: Array | None) -> Array:
        X = self.operator.domain
        g = super().gradient(state, x, q, out)
        denoised = proximal(self.prior.denoiser, x, 1.0, state.buffer("part", X))
        g = X.lincomb(1.0, g, self.prior.strength, x, out=out)
        return X.lincomb(1.0, g, -self.prior.strength, denoised, out=out)

    @property
    def lipschitz(self) -> float:
        """With that of ``x - D(x)`` for a non-expansive denoiser, 2."""
        return super().lipschitz + 2 * self.prior.strength


class RED(ISTA):
    """Regularisation by denoising: gradient steps with ``strength * (x - D(x))`` added to the gradient.

    Parameters
    ----------
    operator : LinearOperator
    denoiser : Denoiser, callable or torch.nn.Module
        As for `PnPADMM`; with ``Denoiser(..., sigma="step")`` it is told the noise level 1.
    strength : float
        Weight of the prior.
    iterations, fidelity, step_size
        As for `ISTA`; the default step counts the prior's part.
    regularizer : Functional, optional
        Terms with a Lipschitz gradient, and others whose sum has a proximal map, such as `NonNegative`.
    tolerance : float, optional
        As for `ISTA`.

    Raises
    ------
    ArgumentError
        If the denoiser cannot be called or acts on another space, or the strength is not positive; if
        ``backtracking`` is asked for, since the objective has no known values.

    Notes
    -----
    For denoisers with a symmetric derivative the fixed points minimise ``fidelity + strength / 2 * <x, x -
    D(x)>``
    (Romano et al. 2017); for others they are equilibria of the two (Reehorst and Schniter 2019). Converges
    for non-expansive denoisers.

    Memory beyond the data: 5 volumes and 2 sinograms, and the denoiser's own. Cost per iteration: one
    application, one transpose and one call of the denoiser.

    References
    ----------
    Y. Romano, M. Elad and P. Milanfar, "The little engine that could: regularization by denoising (RED)",
    SIAM J.
    Imaging Sci. 10, 2017. E. Reehorst and P. Schniter, "Regularization by denoising: clarifications and new
    interpretations", IEEE Trans. Comput. Imaging 5, 2019.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> shrink = lambda x: x / 2  # x - D(x) is the gradient of |x|^2 / 4
    >>> solver = solvers.RED(A, denoiser=shrink, strength=2.0)
    >>> solver(np.array([4.0, 5.0])).round(6).tolist()
    [2.0, 2.0]
    """

    denoiser: Callable[..., Any]
    strength: float

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.strength, "strength of RED")
        if self.backtracking:
            raise ArgumentError("RED cannot search its steps: its objective has no known values")
        denoiser = as_denoiser(self.denoiser, self.operator.domain, "RED")
        self.trainable = self.trainable or is_trained(denoiser.function)

    def certificate(self, state: State, y: Array) -> Any:
        """There is none: a denoiser stands for no known functional."""
        return Solver.certificate(self, state, y)

    def _prepare(self, y: Array) -> Any:
        problem = super()._prepare(y)
        plain = problem.smooth
        problem.smooth = _RedObjective(plain.operator, plain.fidelity, plain.terms)
        denoiser = as_denoiser(self.denoiser, self.operator.domain, "RED")
        problem.smooth.prior = _Denoised(denoiser, float(self.strength))
        return problem
