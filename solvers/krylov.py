"""Krylov methods: each step is the best one in a space that grows by one dimension per iteration."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import AccuracyWarning, ArgumentError, SpaceMismatchError
from opalg.operators import LinearOperator
from opalg.solvers.certificates import Certificate, least_squares
from opalg.solvers.convergence import gradient_floor, numbers, rounding, vanished, where_active
from opalg.solvers.solver import Solver
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, length, plain, ratio
from opalg.spaces.compatibility import join

__all__ = ["CG", "CGLS"]


class CG(Solver):
    """Conjugate gradients for ``A(x) = y`` with a self-adjoint positive operator.

    Parameters
    ----------
    operator : LinearOperator
        Self-adjoint and positive, with one space for domain and range, such as
        ``A.H @ A + 0.1 * oa.Identity(A.domain)``.
    iterations : int, default 100
        A run ends before if the residual vanishes to rounding.
    preconditioner : LinearOperator, optional
        On the same space, self-adjoint and positive, near the inverse of the operator:
        ``oa.Diagonal(1 / diagonal)``, a Fourier filter.

    Raises
    ------
    SpaceMismatchError
        If domain and range differ, or the preconditioner acts on another space.
    ArgumentError
        If the preconditioner is no linear operator; when run, if one of the two turns out not to be positive.

    Warns
    -----
    AccuracyWarning
        If the operator does not say that it is self-adjoint, or has an unmatched adjoint inside.

    Notes
    -----
    The iterate after k steps minimises the energy of the error, ``<e, A(e)>``, over the Krylov space of
    dimension k. The energy norm of the error falls at least by ``(sqrt(c) - 1) / (sqrt(c) + 1)`` per step,
    twice that at first, where c is the condition number of A (of P A, with a preconditioner P). Least squares
    are preconditioned by composition: ``P @ CGLS(A @ P)``.

    Memory beyond the data: 4 arrays of the space. (With a preconditioner 5.) Cost per iteration: one
    application, and one of the preconditioner. ``residual`` is
    the norm of the recurred residual, which agrees with ``y - A(x)`` to rounding. Starting from an array
    costs one application more. Each sample of a batch has its own steps.

    References
    ----------
    M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res.
    Nat. Bur. Standards 49, 1952.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> result = solvers.CG(oa.Diagonal(np.array([1.0, 2.0, 4.0]))).solve(np.ones(3))
    >>> result.x.round(6).tolist(), result.reason
    ([1.0, 0.5, 0.25], 'the residual vanished to rounding after 3 iterations')
    """

    preconditioner: LinearOperator | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        A, P = self.operator, self.preconditioner
        if P is not None:
            if not isinstance(P, LinearOperator):
                raise ArgumentError(
                    f"the preconditioner of CG must be a linear operator, got {type(P).__name__}"
                )
            if join(P.domain, A.domain) is None or join(P.range, A.domain) is None:
                raise SpaceMismatchError(
                    f"the preconditioner of CG must map {A.domain} to itself, {P} maps {P.domain} to "
                    f"{P.range}"
                )
            self.trainable = self.trainable or P.trainable
        if join(A.domain, A.range) is None:
            raise SpaceMismatchError(
                f"CG needs an operator from a space to itself, {A} maps {A.domain} to {A.range}; "
                "use CGLS(A) for least squares"
            )
        if not A.self_adjoint:
            warnings.warn(
                f"CG needs a self-adjoint operator; {A} does not say that it is one (self_adjoint = True in "
                "its class does)",
                AccuracyWarning,
                stacklevel=4,
            )

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the residual ``r``, the direction ``p = P(r)`` and ``gamma = <r, p>``."""
        X = plain(self.operator.domain)
        r = y if x is None else X.lincomb(1, y, -1, self.operator(x))
        z = r if self.preconditioner is None else self.preconditioner(r)
        gamma, residual = inner(X, r, z), length(X, r)
        floor = rounding(X) * (residual if x is None else length(X, y))
        return self.start(y, x, r=r, p=z, gamma=gamma, residual=residual, floor=floor)

    def step(self, state: State, y: Array) -> State:
        """The best step along ``p``, then the next direction, conjugate to all before."""
        A, X = self.operator, plain(self.operator.domain)
        q = A(state.p, out=state.buffer("q", X))
        curvature = inner(X, state.p, q)
        self._refuse_negative(curvature, state)
        alpha = where_active(state, ratio(state.gamma, curvature))
        x = X.lincomb(1, state.x, alpha, state.p, out=state.buffer("x", X))
        r = X.lincomb(1, state.r, -alpha, q, out=state.buffer("r", X))
        z = r if self.preconditioner is None else self.preconditioner(r, out=state.buffer("z", X))
        gamma, residual = inner(X, r, z), length(X, r)
        self._refuse_indefinite(gamma, residual, state)
        p = X.lincomb(1, z, ratio(gamma, state.gamma), state.p, out=state.buffer("p", X))
        return state.advance(x=x, r=r, p=p, gamma=gamma, residual=residual)

    def finished(self, state: State) -> str | None:
        """Whether the residual of every sample has vanished."""
        return vanished(state, state.residual, "residual")

    def _refuse_indefinite(self, gamma: Any, residual: Any, state: State) -> None:
        values = numbers(gamma)
        if np.any(np.less_equal(values, 0) & np.greater(residual, state.floor)):
            raise ArgumentError(
                f"the preconditioner of CG must be positive, but <r, P(r)> = {np.min(values):g} in iteration "
                f"{state.iteration + 1}"
            )

    def _refuse_negative(self, curvature: Any, state: State) -> None:
        values = numbers(curvature)
        wrong = np.less_equal(values, 0) & np.greater(state.residual, state.floor)
        if np.any(wrong):
            raise ArgumentError(
                f"CG needs a positive operator, but <p, A(p)> = {np.min(values):g} in iteration "
                f"{state.iteration + 1}; for least squares use CGLS, or add a multiple of the identity"
            )


class CGLS(Solver):
    """Conjugate gradients for least squares: minimises ``|A(x) - y|`` over growing Krylov spaces.

    Parameters
    ----------
    operator : LinearOperator
        Any; its transpose must be exact.
    iterations : int, default 100
        With noisy data the best reconstruction comes after some 10 to 30 iterations: see `Discrepancy`.

    Warns
    -----
    AccuracyWarning
        If the operator's adjoint is not exact: the method then stalls or diverges.

    Notes
    -----
    In exact arithmetic CG for ``A.H A x = A.H y``, but with rounding errors of A instead of its square.
    From x = 0 converges to the solution of smallest norm. With ``oa.vstack([A, d * oa.Identity(A.domain)])``
    and zero data for the second part it solves Tikhonov's problem.

    Memory beyond the data: 3 volumes and 2 sinograms. Cost per iteration: one application and one
    transpose, before the first iteration one transpose. ``residual`` is the norm of the recurred
    residual. Starting from an array costs one application more. Each sample of a batch has its own steps.

    References
    ----------
    Å. Björck, "Numerical Methods for Least Squares Problems", SIAM, 1996, section 7.4. M. R. Hestenes and
    E. Stiefel, 1952 (see `CG`).

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
    >>> solvers.CGLS(A, iterations=2)(np.array([3.0, 4.0, 5.0])).round(6).tolist()
    [1.0, 2.0]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.operator.exact_adjoint:
            warnings.warn(
                f"CGLS needs the exact adjoint, that of {self.operator} is an approximation: the iteration "
                "may stall or diverge; use SIRT, or the matched pair",
                AccuracyWarning,
                stacklevel=4,
            )

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the residual."""
        return least_squares(self.operator, state.x, y, "CGLS")

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the residual ``r``, the direction ``p = A.H(r)`` and ``gamma = |p|^2``."""
        A, X, Y = self.operator, plain(self.operator.domain), plain(self.operator.range)
        r = y if x is None else Y.lincomb(1, y, -1, A(x))
        p = A.H(r)
        residual, gradient = length(Y, r), length(X, p)
        noise, scale = rounding(X) * gradient, residual
        floor = gradient_floor(noise, scale, residual)
        gamma = inner(X, p, p)
        return self.start(
            y,
            x,
            r=r,
            p=p,
            gamma=gamma,
            residual=residual,
            gradient=gradient,
            noise=noise,
            scale=scale,
            floor=floor,
        )

    def step(self, state: State, y: Array) -> State:
        """The best step along ``p``, then the next direction."""
        A, X, Y = self.operator, plain(self.operator.domain), plain(self.operator.range)
        q = A(state.p, out=state.buffer("q", Y))
        alpha = where_active(state, ratio(state.gamma, inner(Y, q, q)))
        x = X.lincomb(1, state.x, alpha, state.p, out=state.buffer("x", X))
        r = Y.lincomb(1, state.r, -alpha, q, out=state.buffer("r", Y))
        s = A.H(r, out=state.buffer("s", X))
        gamma = inner(X, s, s)
        p = X.lincomb(1, s, ratio(gamma, state.gamma), state.p, out=state.buffer("p", X))
        residual, gradient = length(Y, r), numbers(gamma) ** 0.5
        floor = gradient_floor(state.noise, state.scale, residual)
        return state.advance(
            x=x, r=r, p=p, gamma=gamma, residual=residual, gradient=gradient, floor=floor
        )

    def finished(self, state: State) -> str | None:
        """Whether the gradient ``A.H(r)`` of every sample has vanished."""
        return vanished(state, state.gradient, "gradient of the least squares")
