"""ASD-POCS: few-view tomography by sweeps of SART in turn with descent of the total variation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.functionals import GroupBall
from opalg.functionals.functional import positive
from opalg.operators import Gradient
from opalg.solvers.row_action import OSSART
from opalg.solvers.solver import Schedule
from opalg.solvers.splits import per_sample
from opalg.solvers.state import State
from opalg.solvers.vectors import length, plain
from opalg.spaces import Space

__all__ = ["ASDPOCS"]


class ASDPOCS(OSSART):
    """Adaptive steepest descent with projections onto convex sets (Sidky and Pan).

    Looks for the image of least total variation among those with ``|A(x) - y| <= noise`` and the bounds.
    One iteration descends along the gradient of the total variation and then makes a sweep of `OSSART`;
    the lengths of the descent are tied to those of the sweeps.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries, from a `Space` or `Grid`, and in subsets: as for `OSSART`.
    iterations : int, default 100
    relaxation : float, default 1.0
        Of the first sweep, between 0 and 2; it falls by ``reduction`` in each iteration.
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every update; at least 0 by default.
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.
    subsets : int, default 10
    noise : float, default 0.0
        The norm of the error of the data that is tolerated.
    descents : int, default 20
        Steps along the gradient of the total variation per iteration.
    descent : float, default 0.2
        Length of the first of these steps, relative to the change in the first sweep.
    reduction : float, default 0.995
        By which the relaxation falls.
    descent_reduction : float, default 0.95
        By which the lengths of the descent fall when it undid more than ``ratio`` of a sweep and the data
        do not fit yet.
    ratio : float, default 0.95
    smoothing : float, default 1e-6
        Lengths of image gradients below this count quadratically.

    Raises
    ------
    ArgumentError
        If a parameter is out of range; else as `OSSART`.
    NotSupportedError
        When run, if the operator cannot be split.

    Notes
    -----
    No convergence theorem is known, and the result depends on the parameters; it was made for few views, and
    is compared with by many papers. `PDHG` and `ADMM` minimise a stated objective. The sweeps reach the data
    where those of `OSSART` do: subsets must see the voxels nearly alike, as views do (see there). All
    numbers that decide are those of each sample of a batch. PyTorch does not differentiate through it.

    Memory beyond the data: 5 volumes, 2 elements of the gradient's range and 3 sinograms (the data in
    subsets and the weights of rows among them), and the residual of a subset. Cost per iteration: two
    applications and one transpose (with more than 16 subsets two), and ``descents`` gradients of the image
    and their transposes. ``residual`` is that of the iterate.

    References
    ----------
    E. Y. Sidky and X. Pan, "Image reconstruction in circular cone-beam computed tomography by constrained,
    total-variation minimization", Phys. Med. Biol. 53, 2008.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> grid = oa.Space(4, "float64")
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]), grid)
    >>> solvers.ASDPOCS(A, subsets=2, iterations=300)(np.array([4.0, 2.0])).round(2).tolist()
    [2.0, 2.0, 1.0, 1.0]
    """

    relaxation: Schedule = 1.0
    minimum: float | None = 0.0
    noise: float = 0.0
    descents: int = 20
    descent: float = 0.2
    reduction: float = 0.995
    descent_reduction: float = 0.95
    ratio: float = 0.95
    smoothing: float = 1e-6

    records: ClassVar[tuple[str, ...]] = ("residual",)
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.operator.domain, Space):
            raise ArgumentError(
                f"ASDPOCS needs images in a Space or Grid, got {self.operator.domain}"
            )
        if not isinstance(self.relaxation, (int, float)):
            raise ArgumentError(
                f"the relaxation of ASDPOCS is a number, that of the first sweep, got {self.relaxation!r:.80}"
            )
        for name in ("descent", "smoothing", "ratio"):
            positive(getattr(self, name), f"{name} of ASDPOCS")
        for name in ("reduction", "descent_reduction"):
            if not 0 < getattr(self, name) <= 1:
                raise ArgumentError(
                    f"{name} of ASDPOCS must lie in (0, 1], got {getattr(self, name)!r}"
                )
        if not self.noise >= 0:
            raise ArgumentError(f"noise of ASDPOCS must be at least 0, got {self.noise!r}")
        count = self.descents
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
            raise ArgumentError(f"descents of ASDPOCS must be a whole number, got {count!r}")
        self._gradient = Gradient(self.operator.domain)
        self._ball = GroupBall(self._gradient.range)

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x`` and the numbers that tie the descent to the sweeps."""
        self._weights(y)
        start = self.start(y, x)
        Y = self.operator.range
        r = y if x is None else Y.lincomb(1.0, y, -1.0, self.operator(x))
        zero = np.zeros(self.domain.batch_shape(y)) if self.domain.batch_shape(y) else 0.0
        beta = zero + float(self.relaxation)  # type: ignore[arg-type, operator]
        residual = length(plain(Y), r)
        return State(start.x, beta=beta, stride=zero, swept=zero, residual=residual)

    def step(self, state: State, y: Array) -> State:
        """Descent of the total variation, tied to the sweep before, then a sweep."""
        X, Y = self.operator.domain, self.operator.range
        x, stride = state.x, np.asarray(state.stride)
        if state.iteration:
            x = self._descend(state, x)
            moved = self._distance(state, x, state.buffer("old", X), state.x)
            undone = (moved > self.ratio * np.asarray(state.swept)) & (
                np.asarray(state.residual) > self.noise
            )
            stride = np.where(undone, self.descent_reduction * stride, stride)
        before = X.lincomb(1.0, x, out=state.buffer("old", X))
        data = state.keep("subsets", y, lambda y: [subset.cut(y) for subset in self._subsets])
        weights, beta = self._weights(y), per_sample(state.beta, x)
        for i in self._order(state.iteration):
            subset, name = self._subsets[i], self._names[i]
            part = subset.operator.range
            r = subset.operator(x, out=state.buffer(name, part))
            r = part.lincomb(1.0, data[i], -1.0, r, out=state.buffer(name, part))
            x = self._update(state, i, x, r, y, weights, beta)
        swept = self._distance(state, x, None, before)
        if not state.iteration:
            stride = self.descent * np.asarray(swept)
        r = self.operator(x, out=state.buffer("whole", Y))
        r = Y.lincomb(1.0, y, -1.0, r, out=state.buffer("whole", Y))
        return state.advance(
            x=x,
            beta=self.reduction * state.beta,
            stride=_number(stride),
            swept=swept,
            residual=length(plain(Y), r),
        )

    def _descend(self, state: State, x: Array) -> Array:
        """Steps of one length along the normalised gradient of the (smoothed) total variation."""
        X, G = self.operator.domain, self._gradient
        if state.in_place:
            X.lincomb(1.0, x, out=state.buffer("old", X))
        for _ in range(int(self.descents)):
            v = G(x, out=state.buffer("v", G.range))
            v = G.range.lincomb(1 / self.smoothing, v, out=state.buffer("v", G.range))
            # The gradient of the Moreau envelope of lengths: directions, cut where lengths are small.
            v = self._ball._prox(v, 1.0, state.buffer("p", G.range))
            g = G.H(v, out=state.buffer("g", X))
            size = np.asarray(length(plain(X), g))
            step = np.asarray(state.stride) / np.where(size > 0, size, 1.0)
            x = X.lincomb(per_sample(-step, x), g, 1.0, x, out=state.buffer("x", X))
        return x

    def _distance(self, state: State, x: Array, kept: Array | None, before: Array) -> Any:
        """The norm of the change, from the copy that was kept where ``x`` was overwritten."""
        X = self.operator.domain
        other = before if kept is None else kept
        return length(plain(X), X.lincomb(1.0, x, -1.0, other, out=state.buffer("g", X)))


def _number(value: Any) -> Any:
    return value if np.ndim(value) else float(value)
