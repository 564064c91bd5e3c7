"""Hybrid LSQR: Tikhonov's regularisation inside growing Krylov spaces, its parameter chosen on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array, namespace
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.solvers.convergence import numbers, rounding, where_above
from opalg.solvers.solver import Solver
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, length, parts, plain, ratio

__all__ = ["HybridLSQR"]

_Array = np.ndarray[Any, Any]

_GRID = 60  # values of the parameter that are looked at before the best one is refined


class HybridLSQR(Solver):
    """LSQR with Tikhonov's regularisation whose parameter is chosen anew in every step.

    Minimises ``|A(x) - y|^2 + parameter^2 |x|^2`` over the Krylov space; small singular values, which
    make LSQR fit the noise when it runs on, are damped, so that it does not matter much when it stops.

    Parameters
    ----------
    operator : LinearOperator
        Any; its transpose must be exact.
    iterations : int, default 100
    parameter : {"gcv", "discrepancy", "l-curve"} or float, default "gcv"
        How it is chosen: generalised cross validation (for white noise of unknown strength), Morozov's
        discrepancy principle (needs ``noise``), the corner of the L-curve; or a number.
    noise : float or array of the batch shape, optional
        Norm of the noise in the data, for the discrepancy principle.
    factor : float, default 1.0
        The residual is to be so many times the noise.

    Raises
    ------
    ArgumentError
        If the rule is unknown, or the noise missing or not needed.
    NotSupportedError
        When run inside PyTorch's autograd: the choice of the parameter is not differentiable.

    Warns
    -----
    AccuracyWarning
        If the operator's adjoint is not exact.

    Notes
    -----
    Cross validation is that of the small problem in the Krylov space, which smooths rather too much than
    too little. With a fixed parameter the iterates converge to Tikhonov's solution, and reach it when the
    space is exhausted; with a rule the parameter settles as the space comes to hold the large singular
    values. The basis is reorthogonalised. ``residual`` is the norm of ``A(x) - y``, and
    ``history["parameter"]`` has the parameters.

    Memory beyond the data: after k iterations k + 2 volumes and 2 sinograms (one volume more with a
    start). Cost per iteration: one application and one transpose, and k inner products. Each sample of a
    batch has its own parameter.

    References
    ----------
    J. Chung, J. G. Nagy and D. P. O'Leary, "A weighted-GCV method for Lanczos-hybrid regularization", ETNA
    28, 2008. P. C. Hansen, "Discrete Inverse Problems", SIAM, 2010, chapter 5 and section 6.4.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
    >>> solvers.HybridLSQR(A, parameter=1.0, iterations=2)(np.array([3.0, 4.0, 5.0])).round(
    ...     6
    ... ).tolist()
    [0.636364, 1.727273]
    """

    parameter: str | float = "gcv"
    noise: Any = None
    factor: float = 1.0

    records: ClassVar[tuple[str, ...]] = ("residual", "parameter")
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        known = isinstance(self.parameter, (int, float)) and 0 <= self.parameter < np.inf
        if not known and self.parameter not in _RULES:
            raise ArgumentError(
                f"parameter of HybridLSQR must be one of {', '.join(map(repr, _RULES))} or a number of at "
                f"least 0, got {self.parameter!r}"
            )
        if (self.parameter == "discrepancy") != (self.noise is not None):
            raise ArgumentError(
                "HybridLSQR takes noise=..., its norm, with parameter='discrepancy' and only then"
            )
        if self.noise is not None and not np.all(np.greater(numbers(self.noise), 0)):
            raise ArgumentError(f"the noise of HybridLSQR must be positive, got {self.noise!r}")
        if not self.operator.exact_adjoint:
            warnings.warn(
                f"HybridLSQR needs the exact adjoint, that of {self.operator} is an approximation: the "
                "iteration may stall or diverge; use ABGMRES or BAGMRES, or the matched pair",
                AccuracyWarning,
                stacklevel=4,
            )

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the first vectors of the bidiagonalisation and its entries."""
        A, X, Y = self.operator, plain(self.operator.domain), plain(self.operator.range)
        r = y if x is None else Y.lincomb(1, y, -1, A(x))
        beta = inner(Y, r, r) ** 0.5
        u = Y.lincomb(ratio(1.0, beta), r)
        v = A.H(u)
        alpha = inner(X, v, v) ** 0.5
        origin = {} if x is None else {"origin": x}
        return self.start(
            y,
            x,
            u=u,
            v0=X.lincomb(ratio(1.0, alpha), v),
            alphas=(numbers(alpha),),
            betas=(numbers(beta),),
            residual=length(Y, r),
            parameter=0.0 * length(Y, r),
            **origin,
        )

    def step(self, state: State, y: Array) -> State:
        """One more column of the bidiagonalisation, and the regularised solution in its space."""
        A, X, Y = self.operator, plain(self.operator.domain), plain(self.operator.range)
        k = len(state.alphas) - 1
        v, following = getattr(state, f"v{k}"), f"v{k + 1}"
        q = A(v, out=state.buffer("q", Y))
        u = Y.lincomb(1, q, _like(-1 * state.alphas[-1], y), state.u, out=state.buffer("u", Y))
        # Below this a norm is the rounding of what was subtracted: the space is exhausted.
        nothing = 100 * rounding(X) * np.max([*state.alphas, *state.betas[1:]], axis=0)
        beta = where_above(nothing, inner(Y, u, u) ** 0.5)
        u = Y.lincomb(ratio(1.0, beta), u, out=state.buffer("u", Y))
        w = A.H(u, out=state.buffer(following, X))
        for j in range(k + 1):
            basis = getattr(state, f"v{j}")
            h = X.inner(w, basis)
            w = X.lincomb(1, w, -1 * h, basis, out=state.buffer(following, X))
        alpha = where_above(nothing, inner(X, w, w) ** 0.5)
        w = X.lincomb(ratio(1.0, alpha), w, out=state.buffer(following, X))
        alphas, betas = (*state.alphas, numbers(alpha)), (*state.betas, numbers(beta))
        weights, parameter, residual = self._solve(alphas, betas)
        return state.advance(
            x=self._combine(state, weights, y),
            u=u,
            alphas=alphas,
            betas=betas,
            residual=residual,
            parameter=parameter,
            **{following: w},
        )

    def _combine(self, state: State, weights: _Array, y: Array) -> Array:
        X = plain(self.operator.domain)
        x = state.origin if "origin" in state else None
        for j in range(weights.shape[-1]):
            weight, v = _like(weights[..., j], y), getattr(state, f"v{j}")
            if x is None:
                x = X.lincomb(weight, v, out=state.buffer("x", X))
            else:
                x = X.lincomb(1, x, weight, v, out=state.buffer("x", X))
        return x

    def _solve(self, alphas: tuple[Any, ...], betas: tuple[Any, ...]) -> tuple[_Array, Any, Any]:
        """Weights of the basis vectors, parameter and residual, per sample."""
        k = len(alphas) - 1
        batch = np.shape(betas[0])
        a = np.stack([np.broadcast_to(value, batch) for value in alphas], -1)
        b = np.stack([np.broadcast_to(value, batch) for value in betas], -1)
        weights, parameter, residual = np.zeros((*batch, k)), np.zeros(batch), np.zeros(batch)
        noise = None if self.noise is None else np.broadcast_to(self.noise, batch) * self.factor
        for i in np.ndindex(batch):
            B = np.zeros((k + 1, k))
            B[np.arange(k), np.arange(k)] = a[i][:-1]
            B[np.arange(1, k + 1), np.arange(k)] = b[i][1:]
            if not (np.isfinite(B).all() and np.isfinite(b[i]).all()):
                # Told by the run, which knows the iteration.
                weights[i], residual[i] = np.nan, np.nan
                continue
            problem = _Projected(B, b[i][0])
            chosen = self._choose(problem, None if noise is None else float(noise[i]))
            parameter[i] = chosen
            weights[i], residual[i] = problem.solution(chosen), problem.residual(chosen)
        return weights, _item(parameter), _item(residual)

    def _choose(self, problem: _Projected, noise: float | None) -> float:
        if not isinstance(self.parameter, str):
            return float(self.parameter)
        return _RULES[self.parameter](problem, noise)


class _Projected:
    """``min |B f - beta e|^2 + parameter^2 |f|^2`` for a small bidiagonal B, by its singular values."""

    def __init__(self, B: _Array, beta: float) -> None:
        U, self.s, self.Vh = np.linalg.svd(B)
        self.c = beta * U[0]  # the data in the basis of left singular vectors
        top = float(self.s[0])
        self.nothing = 100 * np.finfo(np.float64).eps * top
        self.grid = (
            np.geomspace(max(float(self.s[-1]), 1e-8 * top), top, _GRID) if top else np.zeros(1)
        )

    def filters(self, parameter: float) -> _Array:
        """What is left of each singular value."""
        square = self.s**2
        used = self.s > self.nothing
        return np.where(used, square / np.where(used, square + parameter**2, 1.0), 0.0)

    def solution(self, parameter: float) -> _Array:
        used = self.s > self.nothing
        f = self.filters(parameter) * self.c[: self.s.size] / np.where(used, self.s, 1.0)
        return self.Vh.T @ f

    def residual(self, parameter: float) -> float:
        kept = (1 - self.filters(parameter)) * self.c[: self.s.size]
        return float(np.hypot(np.linalg.norm(kept), np.linalg.norm(self.c[self.s.size :])))

    def gcv(self, parameter: float) -> float:
        """The function of cross validation of the small problem.

        With the trace for all measurements in place of the small one it would follow the noise, to which
        the Krylov space adapts: measured on tomograms, the error then grows with the iterations as that
        of LSQR does.
        """
        free = self.s.size + 1 - float(self.filters(parameter).sum())
        return self.residual(parameter) ** 2 / free**2

    def curvature(self, parameter: float) -> float:
        """Of the curve (log residual, log solution), Hansen 2010, section 5.3."""
        f, s = self.filters(parameter), self.s
        used = s > self.nothing
        c = self.c[: s.size]
        x = f * c / np.where(used, s, 1.0)
        eta, rho = float(x @ x), self.residual(parameter) ** 2
        slope = -4 / parameter * float(np.sum((1 - f) * x * x))
        if not (eta and rho and slope):
            return -np.inf
        square = parameter**2
        top = (
            2
            * eta
            * rho
            / slope
            * (square * slope * rho + 2 * parameter * eta * rho + square**2 * eta * slope)
        )
        return -top / (square * square * eta**2 + rho**2) ** 1.5


def _gcv(problem: _Projected, noise: float | None) -> float:
    return _least(problem.gcv, problem.grid)


def _l_curve(problem: _Projected, noise: float | None) -> float:
    return _least(lambda value: -problem.curvature(value), problem.grid)


def _discrepancy(problem: _Projected, noise: float | None) -> float:
    """The parameter whose residual is the noise; 0 if the space is too small for it yet."""
    assert noise is not None
    if problem.residual(0.0) >= noise or not problem.s[0]:
        return 0.0
    low, high = 0.0, float(problem.s[0])
    while problem.residual(high) < noise and high < 1e8 * problem.s[0]:
        low, high = high, 4 * high
    for _ in range(60):  # bisection: the residual grows with the parameter
        middle = (low + high) / 2
        low, high = (middle, high) if problem.residual(middle) < noise else (low, middle)
    return (low + high) / 2


_RULES: dict[str, Callable[[_Projected, float | None], float]] = {
    "gcv": _gcv,
    "discrepancy": _discrepancy,
    "l-curve": _l_curve,
}


def _least(function: Callable[[float], float], grid: _Array) -> float:
    """Where a function of a positive number is least: on a grid, then between neighbours of the best."""
    if not grid[-1]:
        return 0.0
    best = int(np.argmin([function(float(value)) for value in grid]))
    low = np.log(grid[max(best - 1, 0)])
    high = np.log(grid[min(best + 1, grid.size - 1)])
    golden = (5**0.5 - 1) / 2
    for _ in range(30):
        first, second = high - golden * (high - low), low + golden * (high - low)
        if function(float(np.exp(first))) <= function(float(np.exp(second))):
            high = second
        else:
            low = first
    return float(np.exp((low + high) / 2))


def _like(values: Any, like: Array) -> Any:
    """Numbers per sample as factors for elements like ``like``."""
    if not np.ndim(values):
        return float(values)
    first = parts(like)[0]
    xp = namespace(first)
    if xp is np:
        return np.asarray(values)
    real = xp.real(first) if first.dtype in (xp.complex64, xp.complex128) else first
    return xp.asarray(values, dtype=real.dtype, device=first.device)


def _item(values: _Array) -> Any:
    return values if values.ndim else float(values)
