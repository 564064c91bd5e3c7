"""Largest singular values and eigenvalues with bounds of their errors: power method, Lanczos, Golub-Kahan.

All numbers are those of the array map, with plain inner products, as `opalg.LinearOperator.norm` is. For
those of the weighted spaces ask ``W_range ** 1/2 @ A @ W_domain ** -1/2``.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from opalg.arrays import Array
from opalg.errors import AccuracyWarning, ArgumentError, NonFiniteError, SpaceMismatchError
from opalg.functionals.functional import positive
from opalg.operators import LinearOperator
from opalg.solvers.convergence import rounding
from opalg.solvers.vectors import length, plain
from opalg.spaces.compatibility import join

__all__ = ["Spectrum", "lanczos", "power_method", "singular_values"]


# NumPy's warnings of overflow would come before the error that says in which iteration it was.
_QUIET = np.errstate(over="ignore", invalid="ignore")


class Spectrum(NamedTuple):
    """Eigenvalues or singular values, each with a bound of its error.

    Attributes
    ----------
    values : numpy.ndarray
        float64, the largest first.
    errors : numpy.ndarray
        As many: within this distance of ``values[i]`` there surely is an eigenvalue (singular value), up to
        rounding. That it is the i-th is likely, not sure: a start that by chance holds nothing of a vector
        never finds it.
    vectors : list of arrays
        Of norm 1, in the domain of the operator, in the same order.
    applications : int
        Of the operator and its transpose together.
    reason : str
        Why the search ended.
    """

    values: np.ndarray[Any, Any]
    errors: np.ndarray[Any, Any]
    vectors: list[Array]
    applications: int
    reason: str

    def __repr__(self) -> str:
        pairs = zip(self.values, self.errors, strict=True)
        listed = ", ".join(f"{value:.6g} ± {error:.1e}" for value, error in pairs)
        return f"Spectrum({listed}; {self.reason})"


@_QUIET
def power_method(
    operator: LinearOperator,
    tolerance: float = 1e-3,
    iterations: int = 1000,
    seed: int = 0,
    start: Array | None = None,
) -> Spectrum:
    """The largest singular value of an operator by powers of ``A.H A``, in the memory of two vectors.

    Parameters
    ----------
    operator : LinearOperator
    tolerance : float, default 1e-3
        Stop when the bound of the error fell to so many times the value.
    iterations : int, default 1000
        At most so many.
    seed : int, default 0
        Of the random start.
    start : array or Blocks, optional
        Where to start instead: an element of the domain.

    Returns
    -------
    Spectrum
        With one value and one vector. The value never exceeds the norm (but for rounding).

    Raises
    ------
    ArgumentError
        If a number is out of range, or the start is zero.
    NonFiniteError
        If the operator gives NaN or infinity; the message says in which iteration.

    Warns
    -----
    AccuracyWarning
        If the operator's adjoint is not exact, or the tolerance was not reached.

    Notes
    -----
    With ``|v| = 1``, ``s = |A v|`` and ``r = |A.H A v - s^2 v|`` there is a singular value within ``r / s``
    of ``s``. The part of ``v`` along other singular vectors falls by the square of the ratio of their
    singular values per iteration; `singular_values` needs fewer iterations and more memory. Cost per
    iteration: one application and one transpose. For bounds from above that are certain see
    `opalg.LinearOperator.norm_bounds`.

    Memory: 3 elements of the domain and 1 of the range.

    References
    ----------
    B. N. Parlett, "The Symmetric Eigenvalue Problem", SIAM, 1998, chapter 4.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> found = solvers.power_method(oa.Diagonal(np.array([1.0, 2.0, 3.0])), tolerance=1e-9)
    >>> found.values.round(8).tolist()
    [3.0]
    """
    A, X, Y = _checked(operator, tolerance, iterations, "power_method")
    v = _start(operator.domain, seed, start)
    q, w, s, error, k = None, None, 0.0, math.inf, 0
    for k in range(1, iterations + 1):
        q = A(v, out=q)
        s = length(Y, q)
        w = A.H(q, out=w)
        size = length(X, w)
        _refuse_nonfinite(size, "power_method", k)
        if s == 0.0:
            return Spectrum(
                np.zeros(1), np.zeros(1), [v], 2 * k, "the operator maps the start to 0"
            )
        rest = X.lincomb(1.0, w, -(s**2), v, out=v)
        error = length(X, rest) / s
        if error <= tolerance * s or k == iterations:
            v = X.lincomb(s**-2, w, -(s**-2), rest, out=v)  # as it was
            break
        v = X.lincomb(1 / size, w, out=v)
    reached = error <= tolerance * s
    if not reached:
        _warn("power_method", tolerance, iterations, "singular_values(A) converges faster")
    reason = f"the error fell to {tolerance:g}" if reached else f"{iterations} iterations were done"
    return Spectrum(np.array([s]), np.array([error]), [v], 2 * k, reason)


@_QUIET
def lanczos(
    operator: LinearOperator,
    count: int = 1,
    tolerance: float = 1e-6,
    iterations: int = 200,
    which: str = "largest",
    seed: int = 0,
) -> Spectrum:
    """Extreme eigenvalues of a self-adjoint operator by Lanczos' method.

    Parameters
    ----------
    operator : LinearOperator
        From a space to itself, with ``A.H == A``.
    count : int, default 1
        How many eigenvalues. A multiple one counts once.
    tolerance : float, default 1e-6
        Stop when the bounds of their errors fell to so many times the largest modulus.
    iterations : int, default 200
        At most so many.
    which : {"largest", "smallest"}, default "largest"
        Algebraically: the smallest of a positive semidefinite operator are those near zero.
    seed : int, default 0
        Of the random start.

    Returns
    -------
    Spectrum
        With ``count`` values, or fewer if there are no more that differ.

    Raises
    ------
    ArgumentError
        If a number is out of range.
    SpaceMismatchError
        If domain and range differ.
    NonFiniteError
        If the operator gives NaN or infinity.

    Warns
    -----
    AccuracyWarning
        If the operator does not say that it is self-adjoint, or the tolerance was not reached.

    Notes
    -----
    The eigenvalues of the tridiagonal matrix ``V.H A V``, for an orthonormal basis V of the Krylov space; a
    pair (value, vector) has the error ``|A v - value v|``, which is ``beta`` times the last entry of its
    eigenvector there. The basis is orthogonalised fully, twice, so that no eigenvalue is found again by
    rounding.

    Memory: one element of the space for each iteration, and 2. Cost per iteration: one application, and one
    pass over the basis.

    References
    ----------
    C. Lanczos, "An iteration method for the solution of the eigenvalue problem of linear differential and
    integral operators", J. Res. Nat. Bur. Standards 45, 1950. B. N. Parlett, "The Symmetric Eigenvalue
    Problem", SIAM, 1998, chapter 13.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> D = oa.Diagonal(np.array([1.0, -2.0, 5.0, 3.0]))
    >>> solvers.lanczos(D, count=2).values.round(8).tolist()
    [5.0, 3.0]
    >>> solvers.lanczos(D, which="smallest").values.round(8).tolist()
    [-2.0]
    """
    A, X, _ = _checked(operator, tolerance, iterations, "lanczos", count)
    exhausted = False
    if join(A.domain, A.range) is None:
        raise SpaceMismatchError(
            f"lanczos needs an operator from a space to itself, {A} maps {A.domain} to {A.range}; for "
            "singular values use singular_values(A)"
        )
    if which not in ("largest", "smallest"):
        raise ArgumentError(f"which is 'largest' or 'smallest', got {which!r}")
    if not A.self_adjoint:
        warnings.warn(
            f"lanczos needs a self-adjoint operator; {A} does not say that it is one (self_adjoint = True "
            "in its class does)",
            AccuracyWarning,
            stacklevel=2,
        )
    sign = 1.0 if which == "largest" else -1.0
    basis = [_start(A.domain, seed, None)]
    alphas: list[float] = []
    betas: list[float] = []
    values = errors = weights = np.zeros(0)
    reached = False
    for k in range(1, iterations + 1):
        w = A(basis[-1])
        alphas.append(_real_inner(X, basis[-1], w))
        w, beta = _orthogonalised(X, w, basis)
        _refuse_nonfinite(beta, "lanczos", k)
        T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
        theta, S = np.linalg.eigh(sign * T)
        top = float(np.abs(theta).max())
        exhausted = beta <= 100 * rounding(X) * top
        chosen = slice(None, -count - 1, -1)
        values, weights = sign * theta[chosen], S[:, chosen]
        errors = (0.0 if exhausted else beta) * np.abs(weights[-1])
        reached = exhausted or (k >= count and bool(np.all(errors <= tolerance * top)))
        if reached or k == iterations:
            break
        betas.append(beta)
        basis.append(X.lincomb(1 / beta, w))
    if not reached:
        _warn("lanczos", tolerance, iterations, "allow more iterations")
    return _spectrum(X, values, errors, weights, basis, len(alphas), exhausted, tolerance, reached)


@_QUIET
def singular_values(
    operator: LinearOperator,
    count: int = 1,
    tolerance: float = 1e-6,
    iterations: int = 200,
    seed: int = 0,
) -> Spectrum:
    """The largest singular values by the bidiagonalisation of Golub and Kahan.

    Parameters
    ----------
    operator : LinearOperator
    count : int, default 1
        How many. A multiple one counts once.
    tolerance : float, default 1e-6
        Stop when the bounds of their errors fell to so many times the largest.
    iterations : int, default 200
        At most so many.
    seed : int, default 0
        Of the random start.

    Returns
    -------
    Spectrum
        With ``count`` values, or fewer if there are no more that differ, and right singular vectors.

    Raises
    ------
    ArgumentError
        If a number is out of range.
    NonFiniteError
        If the operator gives NaN or infinity.

    Warns
    -----
    AccuracyWarning
        If the operator's adjoint is not exact, or the tolerance was not reached.

    Notes
    -----
    ``A V = U B`` with orthonormal bases and a bidiagonal B, whose singular values are found: the method of
    Lanczos for ``A.H A``, with rounding errors of A instead of its square. A triple (s, u, v) has the error
    ``|A.H u - s v|``, which is the next entry of B times the last of u's coordinates.

    Memory: one element of the domain and one of the range for each iteration, and 2. Cost per iteration: one
    application, one transpose, and one pass over the bases.

    References
    ----------
    G. Golub and W. Kahan, "Calculating the singular values and pseudo-inverse of a matrix", SIAM J. Numer.
    Anal. 2, 1965.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))
    >>> solvers.singular_values(A, count=2).values.round(8).tolist()
    [4.0, 3.0]
    """
    A, X, Y = _checked(operator, tolerance, iterations, "singular_values", count)
    right: list[Array] = [_start(A.domain, seed, None)]
    left: list[Array] = []
    alphas: list[float] = []
    betas: list[float] = []
    values = errors = weights = np.zeros(0)
    reached = exhausted = False
    for k in range(1, iterations + 1):
        u, alpha = _orthogonalised(Y, A(right[-1]), left)
        _refuse_nonfinite(alpha, "singular_values", k)
        top = max([alpha, *alphas, *betas])
        nothing = 100 * rounding(X) * top
        # An exhausted left space ends the search with a column of B that has no diagonal entry.
        u = Y.lincomb(1 / alpha if alpha > nothing else 0.0, u)
        alphas.append(alpha if alpha > nothing else 0.0)
        left.append(u)
        w, beta = _orthogonalised(X, A.H(u), right)
        _refuse_nonfinite(beta, "singular_values", k)
        exhausted = alpha <= nothing or beta <= nothing
        P, s, Qh = np.linalg.svd(np.diag(alphas) + np.diag(betas, 1))
        values, weights = s[:count], Qh[:count].T
        errors = (0.0 if exhausted else beta) * np.abs(P[-1, :count])
        reached = exhausted or (k >= count and bool(np.all(errors <= tolerance * s[0])))
        if reached or k == iterations:
            break
        betas.append(beta)
        right.append(X.lincomb(1 / beta, w))
    if not reached:
        _warn("singular_values", tolerance, iterations, "allow more iterations")
    return _spectrum(X, values, errors, weights, right, 2 * k, exhausted, tolerance, reached)


# What the methods share


def _checked(
    A: LinearOperator, tolerance: float, iterations: int, name: str, count: int = 1
) -> tuple[LinearOperator, Any, Any]:
    """The operator and its plain spaces; an error if an argument makes no sense."""
    if not isinstance(A, LinearOperator):
        raise ArgumentError(f"{name} takes a linear operator, got {type(A).__name__}")
    positive(tolerance, f"tolerance of {name}")
    for what, value in (("iterations", iterations), ("count", count)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(f"{what} of {name} must be a positive whole number, got {value!r}")
    if not A.exact_adjoint:
        warnings.warn(
            f"{name} needs the exact adjoint, that of {A} is an approximation: what it finds belongs to "
            "neither of the two",
            AccuracyWarning,
            stacklevel=3,
        )
    return A, plain(A.domain), plain(A.range)


def _start(space: Any, seed: int, given: Array | None) -> Array:
    """A vector of norm 1 in memory of its own."""
    X = plain(space)
    x = (
        space.random(seed=seed)
        if given is None
        else space.check(given, "the start of power_method")
    )
    size = length(X, x)
    if np.ndim(size) or not (math.isfinite(size) and size > 0):
        raise ArgumentError("the start must be one element, finite and other than zero")
    return X.lincomb(1 / size, x)


def _orthogonalised(space: Any, w: Array, basis: list[Array]) -> tuple[Array, float]:
    """``w`` without its parts along the basis, and the norm of what is left."""
    for _ in range(2 if basis else 0):  # twice is enough (Parlett 1998, section 6.9)
        for v in basis:
            weight = np.asarray(space.inner(w, v))[()]
            w = space.lincomb(1.0, w, -(weight if space.is_complex else weight.real), v)
    return w, float(length(space, w))


def _spectrum(
    space: Any,
    values: Any,
    errors: Any,
    weights: Any,
    basis: list[Array],
    applications: int,
    exhausted: bool,
    tolerance: float,
    reached: bool,
) -> Spectrum:
    """The result, with vectors combined from the basis."""
    vectors = []
    for column in weights.T:
        x = space.lincomb(float(column[0]), basis[0])
        for weight, v in zip(column[1:], basis[1:], strict=True):
            x = space.lincomb(1.0, x, float(weight), v, out=x)
        vectors.append(x)
    # Below this the bounds are rounding themselves.
    floor = 10 * rounding(space) * float(np.abs(values).max(initial=0.0))
    if exhausted:
        reason = f"the Krylov space was exhausted after {len(basis)} iterations"
    elif reached:
        reason = f"the errors fell to {tolerance:g} after {len(basis)} iterations"
    else:
        reason = f"{len(basis)} iterations were done"
    return Spectrum(values, np.maximum(errors, floor), vectors, applications, reason)


def _real_inner(space: Any, x: Array, y: Array) -> float:
    return float(np.asarray(space.inner(x, y))[()].real)


def _warn(name: str, tolerance: float, iterations: int, advice: str) -> None:
    warnings.warn(
        f"{name} did not reach the tolerance {tolerance:g} in {iterations} iterations; {advice}",
        AccuracyWarning,
        stacklevel=3,
    )


def _refuse_nonfinite(value: float, name: str, iteration: int) -> None:
    if not math.isfinite(value):
        raise NonFiniteError(
            f"the operator of {name} gave NaN or infinity in iteration {iteration}"
        )
