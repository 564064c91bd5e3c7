"""AB- and BA-GMRES: Krylov methods for a projector whose back projector is not its transpose."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array, is_array, namespace
from opalg.errors import ArgumentError, SpaceMismatchError
from opalg.operators import LinearOperator
from opalg.solvers.convergence import numbers, rounding, vanished, where_above
from opalg.solvers.solver import Solver
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, length, plain, ratio
from opalg.spaces.compatibility import join

__all__ = ["ABGMRES", "BAGMRES", "GMRES"]


class GMRES(Solver):
    """Base of both: Arnoldi's process, and least squares with its Hessenberg matrix by rotations.

    Parameters
    ----------
    operator : LinearOperator
        A.
    iterations : int, default 100
    back_projector : LinearOperator, optional
        B, from the range of A to its domain; ``A.H`` by default.
    """

    back_projector: LinearOperator | None = None

    _measure: ClassVar[str]  # the variable with the norm that is minimised
    _direction: ClassVar[str]  # variables with the changes of x that belong to the basis vectors

    def __post_init__(self) -> None:
        super().__post_init__()
        name, A, B = type(self).__name__, self.operator, self.back_projector
        if B is not None and not isinstance(B, LinearOperator):
            raise ArgumentError(
                f"the back_projector of {name} must be a linear operator, got {type(B).__name__}"
            )
        if B is not None and (join(A.range, B.domain) is None or join(A.domain, B.range) is None):
            raise SpaceMismatchError(
                f"the back_projector of {name} must lead from {A.range} to {A.domain}, {B} leads from "
                f"{B.domain} to {B.range}"
            )
        self.trainable = self.trainable or (B is not None and B.trainable)

    @property
    def _back(self) -> LinearOperator:
        return self.operator.H if self.back_projector is None else self.back_projector

    @property
    def _space(self) -> Any:
        """The space of the basis."""
        raise NotImplementedError

    def _residual(self, y: Array, x: Array | None) -> Array:
        """What is minimised, at the start."""
        Y = plain(self.operator.range)
        return y if x is None else Y.lincomb(1, y, -1, self.operator(x))

    def _extend(self, state: State, k: int) -> tuple[Array, dict[str, Array]]:
        """The matrix times basis vector ``k``, and a variable that is kept of it."""
        raise NotImplementedError

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, and the first basis vector."""
        space = self._space
        r = self._residual(y, x)
        norm = length(space, r)
        beta = inner(space, r, r) ** 0.5
        start = {} if x is None else {"origin": x}
        return self.start(
            y,
            x,
            v0=space.lincomb(ratio(1.0, beta), r),
            largest=0.0 * norm,  # norm of a column of the Hessenberg matrix
            columns=(),  # of the triangular matrix
            rotations=(),  # that made it triangular
            rest=(beta,),  # the right-hand side, rotated
            floor=10 * rounding(space) * norm,
            **{self._measure: norm},
            **start,
        )

    def step(self, state: State, y: Array) -> State:
        """One more basis vector, and the best ``x`` in the space that the basis spans."""
        k, space = len(state.columns), self._space
        following = f"v{k + 1}"
        q, kept = self._extend(state, k)
        column = []
        for j in range(k + 1):  # modified Gram-Schmidt
            v = getattr(state, f"v{j}")
            h = _scalar(space.inner(q, v))
            q = space.lincomb(1, q, -h, v, out=state.buffer(following, space))
            column.append(h)
        below = inner(space, q, q) ** 0.5
        # Below this a number is rounding, and the space is exhausted: of what was subtracted now, and of the
        # largest image so far, since a vector that the matrix maps to zero has nothing but rounding itself.
        largest = np.maximum(state.largest, sum(numbers(abs(h)) ** 2 for h in column) ** 0.5)
        noise = 100 * rounding(space) * largest
        below = where_above(noise, below)
        v = space.lincomb(ratio(1.0, below), q, out=state.buffer(following, space))
        turned, rotation, rest = _rotate(column, below, noise, state.rotations, state.rest)
        columns = (*state.columns, turned)
        return state.advance(
            x=self._combine(state, kept, _back_substitution(columns, rest)),
            columns=columns,
            largest=largest,
            rotations=(*state.rotations, rotation),
            rest=rest,
            **{following: v, self._measure: numbers(abs(rest[-1]))},
            **kept,
        )

    def _combine(self, state: State, kept: dict[str, Array], weights: list[Any]) -> Array:
        """The start plus the weighted sum of the directions."""
        X = plain(self.operator.domain)
        x = state.origin if "origin" in state else None
        for j, weight in enumerate(weights):
            name, out = f"{self._direction}{j}", state.buffer("x", X)
            direction = kept[name] if name in kept else getattr(state, name)
            if x is None:
                x = X.lincomb(weight, direction, out=out)
            else:
                x = X.lincomb(1, x, weight, direction, out=out)
        return x

    def finished(self, state: State) -> str | None:
        """Whether what is minimised has vanished for every sample."""
        return vanished(state, getattr(state, self._measure), self._measure.replace("_", " "))


class ABGMRES(GMRES):
    """AB-GMRES: minimises ``|A(B(z)) - y|`` over growing Krylov spaces of ``A B``; ``x = B(z)``.

    For an unmatched pair of projector A and back projector B, with which `CGLS` and `LSQR` stall.

    Parameters
    ----------
    operator : LinearOperator
        A.
    iterations : int, default 100
        With noisy data the best reconstruction comes early: see `Discrepancy`.
    back_projector : LinearOperator, optional
        B, from the range of A to its domain; by default ``A.H``, which is what the operator has for its
        back projector, matched or not.

    Raises
    ------
    ArgumentError, SpaceMismatchError
        If the back projector is none.

    Notes
    -----
    The residual ``|A(x) - y|`` falls monotonically, and is the least in the space, whatever B. It reaches
    the least squares solution if the range of ``A B`` is that of A. With ``B = A.H`` the iterates are
    those of `LSQR`. To bound the memory start anew from the result: ``solve(y, initial=result.x)``.

    Memory beyond the data: after k iterations k + 1 volumes and k + 1 sinograms (one volume more with a
    start). Cost per iteration: one application of A and one of B. Each sample of a batch has its own
    steps.

    References
    ----------
    P. C. Hansen, K. Hayami and K. Morikuni, "GMRES methods for tomographic reconstruction with an
    unmatched back projector", J. Comput. Appl. Math. 413, 2022.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> B = oa.MatrixOperator(np.array([[1.0, 0.0], [0.5, 1.0]]))
    >>> solvers.ABGMRES(A, back_projector=B, iterations=2)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    _measure = "residual"
    _direction = "w"

    @property
    def _space(self) -> Any:
        return plain(self.operator.range)

    def _extend(self, state: State, k: int) -> tuple[Array, dict[str, Array]]:
        X, Y = plain(self.operator.domain), self._space
        w = self._back(getattr(state, f"v{k}"), out=state.buffer(f"w{k}", X))
        return self.operator(w, out=state.buffer(f"v{k + 1}", Y)), {f"w{k}": w}


class BAGMRES(GMRES):
    """BA-GMRES: minimises ``|B(A(x) - y)|`` over growing Krylov spaces of ``B A``.

    For an unmatched pair of projector A and back projector B, with which `CGLS` and `LSQR` stall.

    Parameters
    ----------
    operator : LinearOperator
        A.
    iterations : int, default 100
        With noisy data the best reconstruction comes early.
    back_projector : LinearOperator, optional
        B, from the range of A to its domain; by default ``A.H``.

    Raises
    ------
    ArgumentError, SpaceMismatchError
        If the back projector is none.

    Notes
    -----
    Ends at a solution of ``B(A(x)) = B(y)`` if there is one. With ``B = A.H`` the iterates are those of
    `LSMR`. ``normal_residual`` is the norm of ``B(A(x) - y)``. Rules that need the residual apply the
    operator. To bound the memory start anew from the result: ``solve(y, initial=result.x)``.

    Memory beyond the data: after k iterations k + 2 volumes and 1 sinogram (one volume more with a
    start). Cost per iteration: one application of A and one of B, before the first one of B. Each sample
    of a batch has its own steps.

    References
    ----------
    P. C. Hansen, K. Hayami and K. Morikuni, 2022 (see `ABGMRES`).

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> B = oa.MatrixOperator(np.array([[1.0, 0.0], [0.5, 1.0]]))
    >>> solvers.BAGMRES(A, back_projector=B, iterations=2)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    records: ClassVar[tuple[str, ...]] = ("normal_residual",)

    _measure = "normal_residual"
    _direction = "v"

    @property
    def _space(self) -> Any:
        return plain(self.operator.domain)

    def _residual(self, y: Array, x: Array | None) -> Array:
        return self._back(super()._residual(y, x))

    def _extend(self, state: State, k: int) -> tuple[Array, dict[str, Array]]:
        X, Y = self._space, plain(self.operator.range)
        q = self.operator(getattr(state, f"v{k}"), out=state.buffer("q", Y))
        return self._back(q, out=state.buffer(f"v{k + 1}", X)), {}


def _rotate(
    column: list[Any], below: Any, noise: Any, rotations: tuple[Any, ...], rest: tuple[Any, ...]
) -> tuple[tuple[Any, ...], tuple[Any, Any], tuple[Any, ...]]:
    """A column of the Hessenberg matrix made triangular, and the right-hand side with it.

    A rotation ``(p, q)`` maps (a, b) to (conj(p) a + q b, p b - q a), with q real.
    """
    column = list(column)
    for i, (p, q) in enumerate(rotations):
        a, b = column[i], column[i + 1]
        column[i], column[i + 1] = _conj(p) * a + q * b, p * b - q * a
    a = column[-1]
    r = (_square(a) + below * below) ** 0.5
    known = where_above(noise, r)
    # Where the matrix has nothing new, rows swap places: the residual stays, and the weight is zero.
    p, q = ratio(a, known), where_above(noise, r, ratio(below, known), 1.0)
    *head, last = rest
    return (*column[:-1], known), (p, q), (*head, _conj(p) * last, -q * last)


def _back_substitution(columns: tuple[Any, ...], rest: tuple[Any, ...]) -> list[Any]:
    """The solution of the triangular system; zero where a diagonal entry is."""
    size = len(columns)
    weights: list[Any] = [0.0] * size
    for i in reversed(range(size)):
        value = rest[i]
        for j in range(i + 1, size):
            value = value - columns[j][i] * weights[j]
        weights[i] = ratio(value, columns[i][i])
    return weights


def _scalar(value: Any) -> Any:
    """An inner product as a number per sample; see `opalg.solvers.vectors.number`."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.astype(np.result_type(value.dtype, np.float64))
        return value if value.ndim else value.item()
    return value


def _conj(value: Any) -> Any:
    if not _is_complex(value):
        return value
    return namespace(value).conj(value) if is_array(value) else value.conjugate()


def _square(value: Any) -> Any:
    """``|value| ** 2`` without the kink that a modulus has for PyTorch at zero."""
    product = value * _conj(value)
    return product.real if _is_complex(product) else product


def _is_complex(value: Any) -> bool:
    if not is_array(value):
        return isinstance(value, complex)
    xp = namespace(value)
    return value.dtype in (xp.complex64, xp.complex128)
