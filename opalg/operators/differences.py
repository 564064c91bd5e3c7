"""Finite differences: partial derivatives, gradient, divergence and Laplacian.

All are built of one rule. A difference needs values outside the array, and ``boundary`` says which they
are; for samples ``x[0] ... x[n - 1]`` along an axis they are

=============  ==========  ==========  ===================================================
boundary       ``x[-1]``   ``x[n]``    meaning
=============  ==========  ==========  ===================================================
``zero``       ``0``       ``0``       the object ends at the edge (Dirichlet)
``replicate``  ``x[0]``    ``x[n-1]``  no jump across the edge (Neumann); of total variation
``reflect``    ``x[1]``    ``x[n-2]``  mirrored at the outermost samples
``periodic``   ``x[n-1]``  ``x[0]``    the axis is a circle
=============  ==========  ==========  ===================================================

(an axis of one sample is mirrored into itself), and ``scheme`` which difference is taken:
``forward`` ``(x[i + 1] - x[i]) / h``, ``backward`` ``(x[i] - x[i - 1]) / h``, ``central``
``(x[i + 1] - x[i - 1]) / 2h``, with the spacing ``h`` of a `Grid`, or 1 for other spaces.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.operators import printing
from opalg.operators.compiled_differences import CompiledDifferences, along_axes, along_axis
from opalg.operators.costs import Cost
from opalg.operators.difference_norms import first_difference_norm, second_difference_norm
from opalg.operators.norms import Bounds, refined
from opalg.operators.operator import LinearOperator, algebra
from opalg.operators.stencils import Stencil, first_difference, second_difference
from opalg.spaces import Blocks, Space

__all__ = ["Boundary", "Divergence", "Gradient", "Laplacian", "PartialDerivative", "Scheme"]

Scheme = Literal["forward", "backward", "central"]
Boundary = Literal["zero", "replicate", "reflect", "periodic"]

_SCHEMES = ("forward", "backward", "central")
_BOUNDARIES = ("zero", "replicate", "reflect", "periodic")


class PartialDerivative(LinearOperator):
    """The difference quotient along one axis.

    Parameters
    ----------
    space : Space
        Its ``spacing`` is used if it has one (`Grid`), else 1.
    axis : int or str
        Index or name of the axis.
    scheme : {"forward", "backward", "central"}, default "forward"
    boundary : {"zero", "replicate", "reflect", "periodic"}, default "replicate"
        Which values stand beyond the edges; the table is in `opalg.operators.differences`.

    Raises
    ------
    ArgumentError
        If the space has no such axis, or scheme or boundary is unknown.

    Notes
    -----
    The matrices of the forward difference of four samples::

        zero           replicate      reflect        periodic
        -1  1  0  0    -1  1  0  0    -1  1  0  0    -1  1  0  0
         0 -1  1  0     0 -1  1  0     0 -1  1  0     0 -1  1  0
         0  0 -1  1     0  0 -1  1     0  0 -1  1     0  0 -1  1
         0  0  0 -1     0  0  0  0     0  0  1 -1     1  0  0 -1

    The norm has a closed form for every scheme and boundary, so `norm_bounds` costs nothing.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> D = oa.PartialDerivative(oa.Space(4, "float64"), 0)
    >>> D(np.array([1.0, 2.0, 4.0, 7.0])).tolist()
    [1.0, 2.0, 3.0, 0.0]
    >>> oa.PartialDerivative(oa.Grid((3, 3), spacing=0.5), "x")
    PartialDerivative(Grid((3, 3), spacing=0.5), 'x')
    """

    def __init__(
        self,
        space: Space,
        axis: int | str,
        scheme: Scheme = "forward",
        boundary: Boundary = "replicate",
    ) -> None:
        _check_space(space, type(self).__name__)
        super().__init__(space, space)
        self.axis = _axis_index(space, axis)
        self.scheme = _one_of(scheme, _SCHEMES, "scheme")
        self.boundary = _one_of(boundary, _BOUNDARIES, "boundary")
        self.spacing = _spacings(space)[self.axis]
        n, behind = space.shape[self.axis], space.ndim - self.axis - 1
        self._stencil = first_difference(n, behind, self.scheme, self.boundary, self.spacing)
        self._reverse = self._stencil.transposed()
        self._compiled = along_axis(space.shape, self.axis, self._stencil)
        self._compiled_reverse = along_axis(space.shape, self.axis, self._reverse)

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return True

    def _apply(self, x: Array, out: Array | None) -> Array:
        out = _memory(x, out, self.range)
        return out if self._compiled.write([x], [out]) else self._stencil.write(x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        out = _memory(y, out, self.domain)
        return out if self._compiled_reverse.write([y], [out]) else self._reverse.write(y, out)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        return out if self._compiled.add([x], [out], scale) else self._stencil.add(x, out, scale)

    def _accumulate_transpose(self, y: Array, out: Array, scale: Any = 1) -> Array:
        done = self._compiled_reverse.add([y], [out], scale)
        return out if done else self._reverse.add(y, out, scale)

    def _norm_bounds(self) -> Bounds:
        n = self.domain.shape[self.axis]
        return _exact(
            first_difference_norm(n, self.scheme, self.boundary) / self.spacing, self.domain
        )

    def cost(self) -> Cost:
        """Two operations per entry; operand and result are read and written once."""
        size = self.domain.size
        return Cost(2 * size, 2 * size * self.domain.dtype.itemsize)

    def _axis_name(self) -> str:
        return str(self.axis) if self.domain.axes is None else self.domain.axes[self.axis]

    def _infix(self) -> printing.Text:
        return printing.atom(f"PartialDerivative_{self._axis_name()}")

    def _latex(self) -> printing.Text:
        return printing.atom(rf"\partial_{{{self._axis_name()}}}")


class Gradient(LinearOperator):
    """The partial derivatives along all axes, ``X -> X ** n``.

    The result is a `Blocks` with one array per axis, in the order of the axes.

    Parameters
    ----------
    space : Space
    scheme : {"forward", "backward", "central"}, default "forward"
    boundary : {"zero", "replicate", "reflect", "periodic"}, default "replicate"
        As for `PartialDerivative`. Forward differences without a jump across the edges are those of total
        variation, in which a constant image costs nothing.

    Notes
    -----
    ``Gradient.gram`` is ``-Laplacian`` with the same boundary for one-sided differences with boundary
    ``replicate`` or ``periodic``; it is found without the n arrays of the gradient.
    The norm is exact: its square is the sum of the squares along the axes.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> G = oa.Gradient(oa.Grid((3, 4), spacing=0.5))
    >>> y, x = np.meshgrid(*G.domain.coordinates, indexing="ij")
    >>> down, along = G((2 * x).astype("float32"))
    >>> along[0].tolist(), bool(down.any())
    ([2.0, 2.0, 2.0, 0.0], False)
    >>> print(G.H @ G)
    -Laplacian
    """

    symbol = r"\nabla"

    def __init__(
        self, space: Space, scheme: Scheme = "forward", boundary: Boundary = "replicate"
    ) -> None:
        _check_space(space, type(self).__name__)
        super().__init__(space, space**space.ndim)
        self.scheme = _one_of(scheme, _SCHEMES, "scheme")
        self.boundary = _one_of(boundary, _BOUNDARIES, "boundary")
        self.partials = tuple(
            PartialDerivative(space, axis, scheme, boundary) for axis in range(space.ndim)
        )
        stencils = [partial._stencil for partial in self.partials]
        self._compiled = along_axes(space.shape, stencils, targets=True)
        self._compiled_reverse = along_axes(
            space.shape, [partial._reverse for partial in self.partials], sources=True
        )

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return True

    def _gram(self) -> LinearOperator:
        if self.scheme != "central" and self.boundary in {"replicate", "periodic"}:
            negative: LinearOperator = algebra.scale(-1, Laplacian(self.domain, self.boundary))
            return negative
        return super()._gram()

    def _apply(self, x: Array, out: Array | None) -> Array:
        if out is None:
            out = self.range.empty(like=x, batch=self.domain.batch_shape(x))
        if self._compiled.write([x], out):
            return out
        return Blocks(p._apply(x, part) for p, part in zip(self.partials, out, strict=True))

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        out = _memory(y[0], out, self.domain)
        if self._compiled_reverse.write(y, [out]):
            return out
        out = self.partials[0]._apply_transpose(y[0], out)
        return self._add_rest(y, out, 1)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        if self._compiled.add([x], out, scale):
            return out
        parts = zip(self.partials, out, strict=True)
        return Blocks(partial._accumulate(x, part, scale) for partial, part in parts)

    def _accumulate_transpose(self, y: Array, out: Array, scale: Any = 1) -> Array:
        if self._compiled_reverse.add(y, [out], scale):
            return out
        out = self.partials[0]._accumulate_transpose(y[0], out, scale)
        return self._add_rest(y, out, scale)

    def _add_rest(self, y: Array, out: Array, scale: Any) -> Array:
        for partial, part in zip(self.partials[1:], y[1:], strict=True):
            out = partial._accumulate_transpose(part, out, scale)
        return out

    def _norm_bounds(self) -> Bounds:
        squares = (
            (first_difference_norm(n, self.scheme, self.boundary) / h) ** 2
            for n, h in zip(self.domain.shape, _spacings(self.domain), strict=True)
        )
        return _exact(math.sqrt(sum(squares)), self.domain)

    def cost(self) -> Cost:
        """The cost of the partial derivatives together."""
        total = Cost(0, 0)
        for partial in self.partials:
            total = total + partial.cost()
        return total


class Divergence(LinearOperator):
    """The divergence of a vector field, ``X ** n -> X``: exactly ``-Gradient(...).H``.

    Parameters
    ----------
    space : Space
        The range; the domain is ``space ** space.ndim``.
    scheme : {"forward", "backward", "central"}, default "forward"
    boundary : {"zero", "replicate", "reflect", "periodic"}, default "replicate"
        Those of the *gradient* whose negative adjoint this is. The adjoint of forward differences takes
        backward ones.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> grid = oa.Grid((3, 4))
    >>> field = (grid**2).random(seed=0)
    >>> bool(np.all(oa.Divergence(grid)(field) == -oa.Gradient(grid).H(field)))
    True
    >>> print(oa.Divergence(grid).H)
    -Gradient
    """

    symbol = r"\operatorname{div}"

    def __init__(
        self, space: Space, scheme: Scheme = "forward", boundary: Boundary = "replicate"
    ) -> None:
        _check_space(space, type(self).__name__)
        super().__init__(space**space.ndim, space)
        self.gradient = Gradient(space, scheme, boundary)

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return True

    def _transposed(self) -> LinearOperator:
        negative: LinearOperator = algebra.scale(-1, self.gradient)
        return negative

    def _apply(self, x: Array, out: Array | None) -> Array:
        out = _memory(x[0], out, self.range)
        if self.gradient._compiled_reverse.write(x, [out], -1):
            return out
        return _negate(self.gradient._apply_transpose(x, out))

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        return self.gradient._accumulate_transpose(x, out, -scale)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return Blocks(_negate(part) for part in self.gradient._apply(y, out))

    def _norm_bounds(self) -> Bounds:
        return self.gradient.norm_bounds()

    def cost(self) -> Cost:
        """The cost of the gradient."""
        return self.gradient.cost()


class Laplacian(LinearOperator):
    """The sum of the second differences ``(x[i + 1] - 2 x[i] + x[i - 1]) / h ** 2`` along all axes.

    Parameters
    ----------
    space : Space
    boundary : {"zero", "replicate", "reflect", "periodic"}, default "replicate"
        As for `PartialDerivative`.

    Notes
    -----
    There is no scheme to choose: the backward difference of the forward one, and the forward difference
    of the backward one, are both this. (Central differences taken twice reach over two spacings; that is
    ``Divergence(space, "central") @ Gradient(space, "central")``.)
    With boundary ``replicate`` and ``periodic`` it is exactly ``-G.H @ G`` for ``G = Gradient(space,
    "forward", boundary)`` or ``"backward"``; with ``zero`` it is not (``G`` ends one edge openly), with
    ``reflect`` it is not even symmetric. The matrices for four samples::

        zero           replicate      reflect        periodic
        -2  1  0  0    -1  1  0  0    -2  2  0  0    -2  1  0  1
         1 -2  1  0     1 -2  1  0     1 -2  1  0     1 -2  1  0
         0  1 -2  1     0  1 -2  1     0  1 -2  1     0  1 -2  1
         0  0  1 -2     0  0  1 -1     0  0  2 -2     1  0  1 -2

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> L = oa.Laplacian(oa.Space(4, "float64"))
    >>> L(np.array([0.0, 1.0, 4.0, 9.0])).tolist()
    [1.0, 2.0, 2.0, -5.0]
    """

    symbol = r"\Delta"

    def __init__(self, space: Space, boundary: Boundary = "replicate") -> None:
        _check_space(space, type(self).__name__)
        super().__init__(space, space)
        self.boundary = _one_of(boundary, _BOUNDARIES, "boundary")
        self.self_adjoint = self.boundary != "reflect"
        self._stencils = [
            second_difference(n, space.ndim - axis - 1, self.boundary, h)
            for axis, (n, h) in enumerate(zip(space.shape, _spacings(space), strict=True))
        ]
        self._reverse = [stencil.transposed() for stencil in self._stencils]
        self._compiled = along_axes(space.shape, self._stencils)
        self._compiled_reverse = along_axes(space.shape, self._reverse)

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return True

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._sum(self._compiled, self._stencils, x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._sum(self._compiled_reverse, self._reverse, y, out)

    def _sum(
        self, compiled: CompiledDifferences, stencils: list[Stencil], x: Array, out: Array | None
    ) -> Array:
        out = _memory(x, out, self.range)
        if compiled.write([x], [out]):
            return out
        out = stencils[0].write(x, out)
        for stencil in stencils[1:]:
            out = stencil.add(x, out, 1)
        return out

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        if self._compiled.add([x], [out], scale):
            return out
        for stencil in self._stencils:
            out = stencil.add(x, out, scale)
        return out

    def _norm_bounds(self) -> Bounds:
        norms = [
            second_difference_norm(n, self.boundary) / h**2
            for n, h in zip(self.domain.shape, _spacings(self.domain), strict=True)
        ]
        bounds = _exact(sum(norms), self.domain)
        if self.self_adjoint or self.domain.ndim == 1:
            return bounds
        # Not symmetric: the singular vectors of the axes do not combine, so the sum is an upper bound.
        return refined(self, 0.0, bounds.upper)

    def cost(self) -> Cost:
        """Three operations per entry and axis."""
        size = self.domain.size
        return Cost(3 * self.domain.ndim * size, 2 * size * self.domain.dtype.itemsize)


def _memory(x: Array, out: Array | None, space: Space) -> Array:
    """``out``, or memory for a result like ``x``."""
    return space.empty(like=x, batch=space.batch_shape(x)) if out is None else out


def _negate(x: Array) -> Array:
    x *= -1
    return x


def _exact(norm: float, space: Space) -> Bounds:
    """A norm known by formula, with room for the rounding of the factors in the space's precision."""
    slack = 4 * float(np.finfo(space.dtype).eps)
    return Bounds(norm * (1 - slack), norm * (1 + slack))


def _spacings(space: Any) -> tuple[float, ...]:
    found: tuple[float, ...] = getattr(space, "spacing", (1.0,) * space.ndim)
    return found


def _check_space(space: Any, name: str) -> None:
    if not isinstance(space, Space):
        raise ArgumentError(
            f"{name} acts on a Space or Grid, got {space}; for the parts of a product space write "
            f"oa.block_diagonal([oa.{name}(part) for part in space])"
        )
    if not space.ndim:
        raise ArgumentError(f"{name} needs a space with at least one axis, got {space}")


def _axis_index(space: Space, axis: int | str) -> int:
    if isinstance(axis, str):
        if axis not in (space.axes or ()):
            raise ArgumentError(f"{space} has the axes {space.axes}, got axis {axis!r}")
        return (space.axes or ()).index(axis)
    if not isinstance(axis, int) or not -space.ndim <= axis < space.ndim:
        raise ArgumentError(f"{space} has the axes 0 to {space.ndim - 1}, got axis {axis!r}")
    return axis % space.ndim


def _one_of(value: str, known: tuple[str, ...], what: str) -> Any:
    if value not in known:
        raise ArgumentError(f"{what} must be one of {', '.join(known)}, got {value!r}")
    return value
