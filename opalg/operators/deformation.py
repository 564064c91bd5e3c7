"""Images deformed by a displacement field: linear in the image, differentiable in the field."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from opalg.arrays import Array, Constant, as_numpy, copy, dtype_of, is_torch, namespace
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.operators.blocks import diagonal_of, hstack
from opalg.operators.interpolation import Interpolation, Outside, neighbours
from opalg.operators.matrix import MatrixOperator
from opalg.operators.operator import LinearOperator, Operator
from opalg.spaces import Space

__all__ = ["Deformation", "TemplateDeformation"]


class Deformation(MatrixOperator):
    """An image read at displaced positions: ``A(x)`` at a point p is ``x`` at ``p + displacement(p)``.

    Parameters
    ----------
    space : Space
        Of the image; the unit of length is that of a `Grid`, one sample for other spaces.
    displacement : sequence of array_like
        For each axis an array of the shape of the space, in the unit of length; an element of
        ``space.real ** space.ndim`` will do.
    method : {"linear", "nearest", "cubic"}, default "linear"
        Interpolation between the samples; see `Resampling`.
    boundary : {"replicate", "zero"}, default "replicate"
        What stands beyond the outermost samples: their values, or zero.

    Raises
    ------
    ArgumentError
        If the number or the shapes of the arrays do not fit the space, or method or boundary is unknown.
    NonFiniteError
        If a displacement is NaN or infinite.
    NotSupportedError
        If a displacement is a tensor that requires a gradient; see `TemplateDeformation`.

    See Also
    --------
    TemplateDeformation : the same as a function of the displacement.

    Notes
    -----
    The values are those of the image at ``p + u(p)`` (a pull-back): an image seen through a displacement of
    one pixel to the right moves one pixel to the left. The interpolation is one sparse matrix, so the
    transpose (which splats every value to the samples it was read from) is exact.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> space = oa.Space(5, "float64")
    >>> A = oa.Deformation(space, [np.full(5, 1.5)])
    >>> A(np.array([0.0, 1.0, 2.0, 3.0, 4.0])).tolist()
    [1.5, 2.5, 3.5, 4.0, 4.0]
    >>> A.H(np.ones(5)).tolist()
    [0.0, 0.5, 1.0, 1.0, 2.5]
    """

    symbol = "D"

    def __init__(
        self,
        space: Space,
        displacement: Any,
        method: Interpolation = "linear",
        boundary: Outside = "replicate",
    ) -> None:
        if any(is_torch(part) and part.requires_grad for part in displacement):
            raise NotSupportedError(
                "a displacement that requires a gradient would be detached here; apply "
                "oa.TemplateDeformation(space, image) to it"
            )
        field = _as_field(space, displacement)
        positions = _positions(space, field)
        matrix = _matrix(space.shape, positions, method, boundary, (0,) * space.ndim)
        super().__init__(matrix.astype(space.real.dtype), space, space)
        self.method, self.boundary = method, boundary
        self._displacement = tuple(Constant(part) for part in field)

    def _key(self) -> tuple[Any, ...]:
        return self.domain, self._displacement, self.method, self.boundary


class _Interpolant(Operator):
    """A partial derivative of any order of an interpolated image, at displaced positions."""

    def __init__(
        self, space: Space, image: Constant, method: str, boundary: str, orders: tuple[int, ...]
    ) -> None:
        super().__init__(space**space.ndim, space)
        self.method, self.boundary = method, boundary
        self._image, self._orders = image, orders

    def _apply(self, x: Array, out: Array | None) -> Array:
        parts = [as_numpy(part).astype(np.float64) for part in x]
        batch = self.range.batch_shape(x[0])
        values = np.empty((*batch, *self.range.shape))
        image = self._image.array.ravel().astype(np.float64)
        for index in np.ndindex(batch):
            positions = _positions(self.range, [part[index] for part in parts])
            matrix = _matrix(self.range.shape, positions, self.method, self.boundary, self._orders)
            values[index] = (matrix @ image).reshape(self.range.shape)
        # Positions are counted in samples, displacements in units of length.
        for step, order in zip(_spacings(self.range), self._orders, strict=True):
            values /= step**order
        found: Array = values.astype(self.range.dtype)
        first = x[0]
        if not isinstance(first, np.ndarray):
            found = namespace(first).asarray(found, device=first.device)
        return found if out is None else copy(found, out)

    def _derivative(self, x: Array) -> LinearOperator:
        slopes: Any = []
        for axis in range(self.range.ndim):
            orders = tuple(order + (i == axis) for i, order in enumerate(self._orders))
            slope = _Interpolant(self.range, self._image, self.method, self.boundary, orders)
            # Called, not computed here, so that PyTorch can differentiate the derivative again.
            slopes.append(diagonal_of(slope(x), self.range))
        found: Any = hstack(slopes)
        return found


class TemplateDeformation(_Interpolant):
    """A fixed image deformed by its argument, the displacement: ``u -> image(p + u(p))``; not linear.

    Parameters
    ----------
    space : Space
        Real, of the image. The domain is ``space ** space.ndim``: one array of displacements per axis, in the
        unit of length of a `Grid`, in samples for other spaces.
    image : array
        Element of ``space``.
    method : {"linear", "cubic"}, default "linear"
        Interpolation between the samples. The derivative of linear interpolation jumps at the samples;
        cubic is continuously differentiable.
    boundary : {"replicate", "zero"}, default "replicate"
        What stands beyond the outermost samples.

    Raises
    ------
    ArgumentError
        If the space is complex, or method or boundary is unknown.

    See Also
    --------
    Deformation : the same as a function of the image.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> space = oa.Space(4, "float64")
    >>> T = oa.TemplateDeformation(space, np.array([0.0, 1.0, 4.0, 9.0]))
    >>> u = oa.Blocks([np.full(4, 0.5)])
    >>> T(u).tolist()
    [0.5, 2.5, 6.5, 9.0]
    >>> T.derivative(u)(oa.Blocks([np.ones(4)])).tolist()
    [1.0, 3.0, 5.0, 0.0]
    """

    def __init__(
        self,
        space: Space,
        image: Array,
        method: Interpolation = "linear",
        boundary: Outside = "replicate",
    ) -> None:
        if not isinstance(space, Space) or space.is_complex or not space.ndim:
            raise ArgumentError(
                f"TemplateDeformation acts on a real Space or Grid, got {space!r:.80}"
            )
        if method not in {"linear", "cubic"}:
            raise ArgumentError(f"method must be 'linear' or 'cubic', got {method!r}")
        if boundary not in {"replicate", "zero"}:
            raise ArgumentError(f"boundary must be 'replicate' or 'zero', got {boundary!r}")
        values = np.array(as_numpy(space.check(image, "image")))
        if values.shape != space.shape:
            raise ArgumentError(f"image must have shape {space.shape}, got {values.shape}")
        super().__init__(space, Constant(values), method, boundary, (0,) * space.ndim)

    def _key(self) -> tuple[Any, ...]:
        return self.range, self._image, self.method, self.boundary


def _as_field(space: Any, displacement: Any) -> list[np.ndarray[Any, Any]]:
    if not isinstance(space, Space) or not space.ndim:
        raise ArgumentError(f"a deformation acts on a Space or Grid with axes, got {space!r:.80}")
    parts = [np.array(as_numpy(part) if hasattr(part, "dtype") else part) for part in displacement]
    if len(parts) != space.ndim or any(part.shape != space.shape for part in parts):
        raise ArgumentError(
            f"the displacement must have {space.ndim} arrays of shape {space.shape}, one for each axis of "
            f"{space}, got shapes {[part.shape for part in parts]}"
        )
    if any(dtype_of(part).kind not in "iuf" for part in parts):
        raise ArgumentError(
            f"displacements must be real, got {[str(part.dtype) for part in parts]}"
        )
    if not all(np.isfinite(part).all() for part in parts):
        raise NonFiniteError("the displacement holds NaN or infinity")
    return [part.astype(np.float64) for part in parts]


def _spacings(space: Any) -> tuple[float, ...]:
    found: tuple[float, ...] = getattr(space, "spacing", (1.0,) * space.ndim)
    return found


def _positions(space: Space, field: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Where each point is read, along each axis, in samples."""
    return [
        (index + part / step).ravel()
        for index, part, step in zip(np.indices(space.shape), field, _spacings(space), strict=True)
    ]


def _matrix(
    shape: tuple[int, ...],
    positions: list[np.ndarray[Any, Any]],
    method: str,
    boundary: str,
    orders: tuple[int, ...],
) -> Any:
    """The sparse matrix that interpolates at positions, or a derivative there."""
    import scipy.sparse

    found = [
        neighbours(place, n, method, boundary, order)
        for place, n, order in zip(positions, shape, orders, strict=True)
    ]
    size = len(positions[0])
    rows, columns, values = [], [], []
    for corner in itertools.product(*(range(len(indices)) for indices, _ in found)):
        index = [indices[k] for k, (indices, _) in zip(corner, found, strict=True)]
        columns.append(np.ravel_multi_index(index, shape))
        values.append(np.prod([w[k] for k, (_, w) in zip(corner, found, strict=True)], axis=0))
        rows.append(np.arange(size))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    matrix = scipy.sparse.coo_array(entries, shape=(size, size)).tocsr()
    matrix.eliminate_zeros()
    return matrix
