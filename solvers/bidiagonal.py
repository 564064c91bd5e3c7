"""LSQR and LSMR: least squares by the bidiagonalisation of Golub and Kahan."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.solvers.certificates import Certificate, least_squares
from opalg.solvers.convergence import (
    gradient_floor,
    numbers,
    rounding,
    vanished,
    where_above,
    where_active,
)
from opalg.solvers.solver import Solver
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, length, plain, ratio

__all__ = ["LSMR", "LSQR", "Bidiagonal"]


class Bidiagonal(Solver):
    """Base of methods that build ``A V = U B`` with a bidiagonal B, one column per step.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    damp : float, default 0.0
        At least 0.
    """

    damp: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if not (
            isinstance(self.damp, (int, float)) and math.isfinite(self.damp) and self.damp >= 0
        ):
            raise ArgumentError(
                f"damp of {name} must be a finite number of at least 0, got {self.damp!r}"
            )
        if not self.operator.exact_adjoint:
            warnings.warn(
                f"{name} needs the exact adjoint, that of {self.operator} is an approximation: the iteration "
                "may stall or diverge; use ABGMRES or BAGMRES, or the matched pair",
                AccuracyWarning,
                stacklevel=4,
            )

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the residual, and with the damping where there is some."""
        origin = state.origin if "origin" in state else None
        name = type(self).__name__
        return least_squares(self.operator, state.x, y, name, float(self.damp), origin)

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the first vectors ``u`` and ``v``, and what the method carries along."""
        A, X, Y = self.operator, plain(self.operator.domain), plain(self.operator.range)
        r = y if x is None else Y.lincomb(1, y, -1, A(x))
        beta = inner(Y, r, r) ** 0.5
        u = Y.lincomb(ratio(1.0, beta), r)
        v = A.H(u)
        alpha = inner(X, v, v) ** 0.5
        v = X.lincomb(ratio(1.0, alpha), v)
        residual = length(Y, r)
        gradient = numbers(alpha * beta)
        noise = rounding(X) * gradient
        floor = gradient_floor(noise, residual, residual)
        origin = {} if x is None or not self.damp else {"origin": x}
        return self.start(
            y,
            x,
            u=u,
            v=v,
            alpha=alpha,
            largest=numbers(alpha),  # entry of the bidiagonal matrix
            residual=residual,
            gradient=gradient,
            noise=noise,
            scale=residual,
            floor=floor,
            **origin,
            **self._first(alpha, beta, v),
        )

    def step(self, state: State, y: Array) -> State:
        """The next column of the bidiagonalisation, and the best ``x`` in the space that it spans."""
        A, X, Y = self.operator, plain(self.operator.domain), plain(self.operator.range)
        q = A(state.v, out=state.buffer("q", Y))
        u = Y.lincomb(1, q, -state.alpha, state.u, out=state.buffer("u", Y))
        # Below this a norm is the rounding of what was subtracted: the space is exhausted.
        nothing = 100 * rounding(X) * state.largest
        beta = where_above(nothing, inner(Y, u, u) ** 0.5)
        u = Y.lincomb(ratio(1.0, beta), u, out=state.buffer("u", Y))
        p = A.H(u, out=state.buffer("p", X))
        v = X.lincomb(1, p, -beta, state.v, out=state.buffer("v", X))
        alpha = where_above(nothing, inner(X, v, v) ** 0.5)
        v = X.lincomb(ratio(1.0, alpha), v, out=state.buffer("v", X))
        found, damped, gradient = self._solve(state, alpha, beta, v)
        residual = self._residual(state, found["x"], numbers(damped))
        # Samples that have converged keep their numbers: recurrences of noise may grow again.
        going = np.greater(state.gradient, state.floor)
        residual = _either(going, residual, state.residual)
        gradient = _either(going, np.abs(numbers(gradient)), state.gradient)
        floor = gradient_floor(state.noise, state.scale, residual)
        return state.advance(
            u=u,
            v=v,
            alpha=alpha,
            largest=np.maximum(state.largest, np.maximum(numbers(alpha), numbers(beta))),
            residual=residual,
            gradient=gradient,
            floor=floor,
            **found,
        )

    def finished(self, state: State) -> str | None:
        """Whether the gradient of every sample has vanished."""
        return vanished(state, state.gradient, "gradient of the least squares")

    def _first(self, alpha: Any, beta: Any, v: Array) -> dict[str, Any]:
        """The variables of the method besides those of the bidiagonalisation."""
        raise NotImplementedError

    def _solve(
        self, state: State, alpha: Any, beta: Any, v: Array
    ) -> tuple[dict[str, Any], Any, Any]:
        """New variables (``x`` among them), the norms of the damped residual and of its gradient."""
        raise NotImplementedError

    def _residual(self, state: State, x: Array, damped: Any) -> Any:
        """``|A(x) - y|`` from the norm of the damped residual, which holds ``damp |x - start|`` too."""
        if not self.damp:
            return damped
        X = plain(self.operator.domain)
        if "origin" in state:
            x = X.lincomb(1, x, -1, state.origin, out=state.buffer("p", X))
        return np.maximum(damped**2 - (self.damp * length(X, x)) ** 2, 0.0) ** 0.5


class LSQR(Bidiagonal):
    """LSQR: minimises ``|A(x) - y|^2 + damp^2 |x|^2`` over growing Krylov spaces.

    Parameters
    ----------
    operator : LinearOperator
        Any; its transpose must be exact.
    iterations : int, default 100
        With noisy data and without damping the best reconstruction comes early: see `Discrepancy`, and
        `HybridLSQR`, which chooses the damping.
    damp : float, default 0.0
        Tikhonov's regularisation, towards the start.

    Raises
    ------
    ArgumentError
        If ``damp`` is negative.

    Warns
    -----
    AccuracyWarning
        If the operator's adjoint is not exact.

    Notes
    -----
    In exact arithmetic the iterates are those of `CGLS`; with ill-conditioned operators rounding hurts a
    little less, and damping costs nothing. From x = 0 converges to the solution of smallest norm.

    Memory beyond the data: 4 volumes and 2 sinograms (5 volumes if it is damped and does not start at
    zero). Cost per iteration: one application and one transpose, before the first iteration one
    transpose. ``residual`` is the recurred norm of ``y - A(x)``. Each sample of a batch has its own
    steps.

    References
    ----------
    C. C. Paige and M. A. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least
    squares", ACM Trans. Math. Softw. 8, 1982.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
    >>> solvers.LSQR(A, iterations=2)(np.array([3.0, 4.0, 5.0])).round(6).tolist()
    [1.0, 2.0]
    """

    def _first(self, alpha: Any, beta: Any, v: Array) -> dict[str, Any]:
        return {"w": v, "rhobar": alpha, "phibar": beta, "rest": 0.0}

    def _solve(
        self, state: State, alpha: Any, beta: Any, v: Array
    ) -> tuple[dict[str, Any], Any, Any]:
        X = plain(self.operator.domain)
        c, s, damped = _rotation(state.rhobar, self.damp)
        rest = state.rest + numbers(s * state.phibar) ** 2
        phibar = c * state.phibar
        c, s, rho = _rotation(damped, beta)
        theta, rhobar = s * alpha, -c * alpha
        phi, phibar = c * phibar, s * phibar
        x = X.lincomb(
            1, state.x, where_active(state, ratio(phi, rho)), state.w, out=state.buffer("x", X)
        )
        w = X.lincomb(1, v, -ratio(theta, rho), state.w, out=state.buffer("w", X))
        found = {"x": x, "w": w, "rhobar": rhobar, "phibar": phibar, "rest": rest}
        residual = (numbers(phibar) ** 2 + rest) ** 0.5
        return found, residual, phibar * alpha * c


class LSMR(Bidiagonal):
    """LSMR: minimises the gradient ``|A.H(A(x) - y) + damp^2 x|`` over growing Krylov spaces.

    Parameters
    ----------
    operator : LinearOperator
        Any; its transpose must be exact.
    iterations : int, default 100
    damp : float, default 0.0
        Tikhonov's regularisation, towards the start.

    Raises
    ------
    ArgumentError
        If ``damp`` is negative.

    Warns
    -----
    AccuracyWarning
        If the operator's adjoint is not exact.

    Notes
    -----
    Mathematically MINRES on the normal equations, as `LSQR` is CG. The norm of the gradient falls
    monotonically, and so does the residual; stopped early it is the safer of the two.

    Memory beyond the data: 5 volumes and 2 sinograms (6 volumes if it is damped and does not start at
    zero). Cost per iteration: one application and one transpose, before the first iteration one
    transpose. ``residual`` is the recurred norm of ``y - A(x)``. Each sample of a batch has its own
    steps.

    References
    ----------
    D. C.-L. Fong and M. A. Saunders, "LSMR: an iterative algorithm for sparse least-squares problems",
    SIAM J. Sci. Comput. 33, 2011.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
    >>> solvers.LSMR(A, iterations=2)(np.array([3.0, 4.0, 5.0])).round(6).tolist()
    [1.0, 2.0]
    """

    def _first(self, alpha: Any, beta: Any, v: Array) -> dict[str, Any]:
        X = plain(self.operator.domain)
        estimate = {  # of the residual, section 5 of the paper; numbers for reports only
            "betadd": numbers(beta),
            "betad": 0.0,
            "rhodold": 1.0,
            "tautildeold": 0.0,
            "thetatilde": 0.0,
            "zeta": 0.0,
            "d": 0.0,
        }
        return {
            "h": v,
            "hbar": X.lincomb(0, v),
            "zetabar": alpha * beta,
            "alphabar": alpha,
            "rho": 1.0,
            "rhobar": 1.0,
            "cbar": 1.0,
            "sbar": 0.0,
            **estimate,
        }

    def _solve(
        self, state: State, alpha: Any, beta: Any, v: Array
    ) -> tuple[dict[str, Any], Any, Any]:
        X = plain(self.operator.domain)
        chat, shat, alphahat = _rotation(state.alphabar, self.damp)
        c, s, rho = _rotation(alphahat, beta)
        thetanew, alphabar = s * alpha, c * alpha
        thetabar = state.sbar * rho
        cbar, sbar, rhobar = _rotation(state.cbar * rho, thetanew)
        zeta, zetabar = cbar * state.zetabar, -sbar * state.zetabar
        back = ratio(thetabar * rho, state.rho * state.rhobar)
        hbar = X.lincomb(1, state.h, -back, state.hbar, out=state.buffer("hbar", X))
        move = where_active(state, ratio(zeta, rho * rhobar))
        x = X.lincomb(1, state.x, move, hbar, out=state.buffer("x", X))
        h = X.lincomb(1, v, -ratio(thetanew, rho), state.h, out=state.buffer("h", X))
        found = {
            "x": x,
            "h": h,
            "hbar": hbar,
            "zetabar": zetabar,
            "alphabar": alphabar,
            "rho": rho,
            "rhobar": rhobar,
            "cbar": cbar,
            "sbar": sbar,
        }
        rotations = tuple(map(numbers, (chat, shat, c, s, thetabar, rhobar, zeta)))
        estimate, residual = _lsmr_residual(state, *rotations)
        return {**found, **estimate}, residual, zetabar


def _lsmr_residual(
    state: State, chat: Any, shat: Any, c: Any, s: Any, thetabar: Any, rhobar: Any, zeta: Any
) -> tuple[dict[str, Any], Any]:
    """The norm of the damped residual by recurrence (Fong and Saunders 2011, section 5)."""
    betaacute, betacheck = chat * state.betadd, -shat * state.betadd
    betahat, betadd = c * betaacute, -s * betaacute
    ctilde, stilde, rhotilde = _rotation(state.rhodold, thetabar)
    thetatilde, rhodold = stilde * rhobar, ctilde * rhobar
    betad = -stilde * state.betad + ctilde * betahat
    tautildeold = ratio(state.zeta - state.thetatilde * state.tautildeold, rhotilde)
    taud = ratio(zeta - thetatilde * tautildeold, rhodold)
    d = state.d + betacheck**2
    estimate = {
        "betadd": betadd,
        "betad": betad,
        "rhodold": rhodold,
        "tautildeold": tautildeold,
        "thetatilde": thetatilde,
        "zeta": zeta,
        "d": d,
    }
    return estimate, (d + (betad - taud) ** 2 + betadd**2) ** 0.5


def _either(condition: Any, value: Any, other: Any) -> Any:
    """Numbers per sample: a Python number where there is no batch."""
    if np.ndim(condition):
        return np.where(condition, value, other)
    return value if condition else other


def _rotation(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """(c, s, r) with ``c a + s b = r >= 0`` and ``c b = s a``."""
    r = (a * a + b * b) ** 0.5
    return ratio(a, r), ratio(b, r), r
