"""The symmetrised gradient of vector fields, the second operator of total generalised variation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.operators.costs import Cost
from opalg.operators.differences import Boundary, Gradient, Scheme
from opalg.operators.norms import Bounds, refined
from opalg.operators.operator import LinearOperator
from opalg.spaces import Blocks, Space

__all__ = ["SymmetrisedGradient"]

_ROOT = math.sqrt(0.5)


class SymmetrisedGradient(LinearOperator):
    """The symmetric part of the derivative of a vector field, ``E(v) = (grad v + (grad v)^T) / 2``.

    Parameters
    ----------
    space : Space
        Of the components. The domain is ``space ** n`` for n axes, the range ``space ** (n (n + 1) / 2)``.
    scheme : {"backward", "forward", "central"}, default "backward"
        Of the differences; backward ones fit behind a forward `Gradient`.
    boundary : {"zero", "replicate", "reflect", "periodic"}, default "replicate"
        As for `PartialDerivative`.

    Notes
    -----
    The range holds first the diagonal ``E_00, E_11, ...``, then the entries beside it, ``sqrt(2) E_ij`` for
    i < j, row by row. The factor (Mandel's notation) makes the sum of squares of the parts that of the whole
    symmetric matrix, where ``E_ij`` stands twice. So inner products, ``A.H`` and functionals that take
    pointwise norms over the parts (`GroupL1`) are those of matrices, without weights.

    The norm is at most that of the gradient of one component, and equal to it for periodic
    boundaries.

    References
    ----------
    .. [1] K. Bredies, K. Kunisch, T. Pock, "Total generalized variation", SIAM Journal on Imaging Sciences
       3(3), 492-526, 2010.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> E = oa.SymmetrisedGradient(oa.Grid((8, 8), spacing=0.5))
    >>> len(E.domain), len(E.range)
    (2, 3)
    >>> y, x = np.meshgrid(*E.range[0].coordinates, indexing="ij")
    >>> rotation = oa.Blocks(
    ...     [x.astype("float32"), -y.astype("float32")]
    ... )  # moves nothing relative to another
    >>> [abs(part[1:, 1:]).max().item() for part in E(rotation)]
    [0.0, 0.0, 0.0]
    """

    symbol = r"\mathcal{E}"

    def __init__(
        self, space: Space, scheme: Scheme = "backward", boundary: Boundary = "replicate"
    ) -> None:
        if not isinstance(space, Space) or not space.ndim:
            raise ArgumentError(
                f"SymmetrisedGradient takes the space of one component, a Space or Grid, got {space!r:.80}"
            )
        n = space.ndim
        super().__init__(space**n, space ** (n * (n + 1) // 2))
        self._gradient = Gradient(space, scheme, boundary)
        self.scheme, self.boundary = scheme, boundary
        # Per part of the range: which difference of which component, with which factor.
        self._parts: list[list[tuple[int, int, float]]] = [[(i, i, 1.0)] for i in range(n)]
        for i in range(n):
            self._parts += [[(i, j, _ROOT), (j, i, _ROOT)] for j in range(i + 1, n)]

    @property
    def real(self) -> bool:
        return True

    def _apply(self, x: Array, out: Array | None) -> Array:
        partials = self._gradient.partials
        found = []
        for number, terms in enumerate(self._parts):
            axis, component, factor = terms[0]
            part = partials[axis]._apply(x[component], None if out is None else out[number])
            if factor != 1:
                part *= factor
            for axis, component, factor in terms[1:]:
                part = partials[axis]._accumulate(x[component], part, factor)
            found.append(part)
        return Blocks(found)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        partials = self._gradient.partials
        found = []
        for i, partial in enumerate(partials):
            own = partial._apply_transpose(y[i], None if out is None else out[i])
            for number, terms in enumerate(self._parts[len(partials) :], start=len(partials)):
                for axis, component, factor in terms:
                    if component == i:
                        own = partials[axis]._accumulate_transpose(y[number], own, factor)
            found.append(own)
        return Blocks(found)

    def _norm_bounds(self) -> Bounds:
        # E(v) is an orthogonal projection of the gradients of the components. For periodic boundaries the
        # differences are normal and commute, and v = gradient of their common mode attains the bound.
        lower, upper = self._gradient.norm_bounds()
        if self.boundary == "periodic":
            return Bounds(lower, upper)
        slack = 8 * float(np.finfo(self.range[0].dtype).eps)
        return refined(self, 0.0, upper * (1 + slack))

    def cost(self) -> Cost:
        """The differences of all components along all axes."""
        total: Any = Cost(0, 0)
        for terms in self._parts:
            for axis, _, _ in terms:
                total = total + self._gradient.partials[axis].cost()
        return total
