"""Total variation as one functional, with a proximal map computed on its dual."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from opalg.arrays import Array, in_autograd, namespace
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.functionals.entries import deliver, duplicate, flat, length, pairing
from opalg.functionals.functional import Functional, positive
from opalg.functionals.groups import GroupBall, GroupL1
from opalg.functionals.indicators import LInfinityBall
from opalg.functionals.norms import L1
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.functionals.steps import per_batch
from opalg.operators import Gradient
from opalg.spaces import Space

__all__ = ["TotalVariation"]

_CHECK = 10  # iterations between two looks at the duality gap, which costs as much as one iteration
_LIMIT = 20_000


class TotalVariation(Functional):
    """The sum of the lengths of the gradient, ``sum(w * |grad x|)``.

    The same as ``GroupL1(G.range) @ G`` for ``G = Gradient(space)``, for solvers that need its prox
    (such as FISTA); primal-dual solvers are faster with the composition, which they take apart.

    Parameters
    ----------
    space : Space
        Real or complex. The gradient takes forward differences, without jumps across the edges.
    isotropic : bool, default True
        Lengths of gradient vectors, `GroupL1`; else the sum of the moduli of their components,
        `L1`.
    tolerance : float, default 1e-3
        How far the result of the prox may be from the exact one, relative to the norm of the
        argument. It is certified by the duality gap.
    iterations : int, optional
        At most so many iterations, whatever the tolerance. Without it the tolerance is reached, or
        an `AccuracyWarning` says that it is not.
    warm_start : bool, default False
        Whether each prox starts from the dual solution of the one before (for the same batch
        shape), as solvers call it with nearly equal arguments. Results then depend on earlier
        calls, within the tolerance: a run that is stored and resumed elsewhere is equal to that of
        one piece up to it, and no longer to the bit.

    Raises
    ------
    ArgumentError
        If the tolerance is not positive, or the number of iterations no positive integer.

    Notes
    -----
    The prox is found by the fast gradient projection of Beck and Teboulle (2009): accelerated
    projected gradient steps on the dual problem, in the inner products of the spaces. Memory: 3
    gradient fields and 1 image. Inside PyTorch's autograd the iteration is recorded, which needs
    the memory of all its steps.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.TotalVariation(oa.Space(4, "float64"), tolerance=1e-6)
    >>> float(f(np.array([0.0, 3.0, 3.0, 1.0])))
    5.0
    >>> f.prox(0.5)(np.array([0.0, 3.0, 3.0, 1.0])).round(3).tolist()
    [0.5, 2.5, 2.5, 1.5]
    """

    symbol = r"\mathrm{TV}"

    def __init__(
        self,
        space: Space,
        isotropic: bool = True,
        tolerance: float = 1e-3,
        iterations: int | None = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__(space)
        self.isotropic, self.warm_start = bool(isotropic), bool(warm_start)
        self.tolerance = positive(tolerance, "the tolerance")
        if iterations is not None and not (
            isinstance(iterations, (int, np.integer)) and iterations > 0
        ):
            raise ArgumentError(
                f"iterations must be a positive integer or None, got {iterations!r}"
            )
        self.iterations = iterations
        self._gradient_of = Gradient(space)
        field = self._gradient_of.range
        self._norm: Functional = GroupL1(field) if isotropic else L1(field)
        self._ball: Functional = GroupBall(field) if isotropic else LInfinityBall(field)
        self._last: dict[Any, Array] = {}  # dual solutions, for a warm start

    def _value(self, x: Array) -> Array:
        return self._norm._value(self._gradient_of(x))

    def _dilated(self, factor: complex) -> Functional | None:
        return abs(factor) * self

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        batch = self.domain.batch_shape(x)
        step = per_batch(step, batch)
        key = (type(x), str(getattr(x, "device", "")), batch)
        start = self._last.get(key) if self.warm_start else None
        if start is None:
            start = self._gradient_of.range.zeros(like=x, batch=batch)
        u, p = self._minimise(x, step, start)
        if self.warm_start:
            self._last[key] = (
                p if not in_autograd(flat(p)[0]) else type(p)(part.detach() for part in p)
            )
        return deliver(u, out)

    def _minimise(self, x: Array, step: Any, p: Array) -> tuple[Array, Array]:
        """The minimum and a dual solution, from a dual start."""
        G, X, Y = self._gradient_of, self.domain, self._gradient_of.range
        batch = X.batch_shape(x)
        recording = in_autograd(x)
        # Inside autograd every array is new; else four buffers serve all iterations.
        u, q, r = (
            (None,) * 3 if recording else (X.empty(x, batch), Y.empty(x, batch), Y.empty(x, batch))
        )
        # Descent along the dual gradient needs 1 / (step * norm ** 2); the upper end of the bracket
        # is safe.
        norm = norm_in_spaces(G).upper
        if norm == 0.0:  # a single pixel
            return duplicate(x, None), p
        rate = 1 / (step * norm**2)
        previous, ahead, t = p, p, 1.0
        if not recording:
            previous = Y.lincomb(
                1.0, p, out=Y.empty(x, batch)
            )  # the start may be kept by the warm start
            ahead = Y.lincomb(1.0, p, out=q)
        xp = namespace(x)
        # The objective is strongly convex: |u - exact| ** 2 / 2 is at most the duality gap.
        limit, last = (self.tolerance * length(X, x)) ** 2 / 2, math.inf
        for k in range(self.iterations or _LIMIT):
            point = self._primal(x, step, ahead, u)
            if recording or not self._ball._ascend(G, point, ahead, rate, r):
                moved = Y.lincomb(rate, G(point, out=r), 1.0, ahead, out=r)
                new = self._ball._prox(moved, 1.0, r)
            else:
                new = r
            t, old = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
            beta = (old - 1) / t
            ahead = Y.lincomb(1 + beta, new, -beta, previous, out=q)
            if not recording:
                r = previous  # its memory is free for the next iterate
            previous = new
            if k % _CHECK == _CHECK - 1:
                gap = self._gap(x, step, previous, r, u)
                if bool(xp.all(gap <= limit)):
                    break
                if bool(xp.any(gap > last)):
                    t = 1.0  # the momentum overshoots: start it anew (O'Donoghue and Candes 2015)
                last = gap
        else:
            if self.iterations is None:
                warnings.warn(
                    f"the prox of {self} did not reach its tolerance {self.tolerance:g} in "
                    f"{_LIMIT} iterations",
                    AccuracyWarning,
                    stacklevel=5,
                )
        return self._primal(x, step, previous, u), previous

    def _primal(self, x: Array, step: Any, p: Array, out: Array | None) -> Array:
        """``x - step * G.adjoint(p)``."""
        return self.domain.lincomb(
            -1 * step, self._gradient_of.adjoint(p, out=out), 1.0, x, out=out
        )

    def _gap(self, x: Array, step: Any, p: Array, r: Array | None, u: Array | None) -> Array:
        """The duality gap of ``|u - x| ** 2 / 2 + step * TV(u)`` at the point that belongs to ``p``."""
        slope = self._gradient_of(self._primal(x, step, p, u), out=r)
        return step * (self._norm._value(slope) - pairing(self._gradient_of.range, slope, p))

    def _words(self) -> str:
        return "" if self.isotropic else "isotropic=False"
