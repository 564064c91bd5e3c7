"""Interpolates views (cubic) at the places where the rays of other pixels pass the detector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opalg.arrays import Array, namespace
from opalg.errors import ArgumentError
from opalg.operators import LinearOperator
from opalg.operators.axiswise import AxisMatrix
from opalg.operators.costs import Cost
from opalg.operators.interpolation import neighbours
from opalg.spaces import Space
from opalg.tomo.frames import FloatArray

__all__ = ["ViewResampling"]

_AT_ONCE = 8  # views; each is copied twice, so that pixels come first


class ViewResampling(LinearOperator):
    """Views on another flat detector, interpolated along rows and columns; zero beyond.

    Values are those of rays, so nothing is scaled. The interpolation is cubic: a ramp filter raises what a
    linear one leaves of the pixels' pattern, and doubles the errors inside a ball.

    Parameters
    ----------
    domain, range : Space
        Of projections ``[view, v, u]``, with as many views.
    maps : array, shape (1 or views, 3, 3)
        ``map @ (u, v, 1) = w * (u', v', 1)``, from indices of pixels of the range to the indices where the
        same ray passes the domain's detector; one map if all views have the same.

    Notes
    -----
    Of one map the matrix is kept. Of a map for every view it is made when it is needed, one at a time, as
    all would take some hundred times the memory of the projections.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> half = np.array(
    ...     [[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]
    ... )  # half a column further
    >>> R = ViewResampling(oa.Space((1, 1, 3), "float64"), oa.Space((1, 1, 3), "float64"), half)
    >>> R(np.array([[[2.0, 4.0, 6.0]]])).tolist()
    [[[3.0, 5.5, 3.125]]]
    """

    symbol = "R"

    def __init__(self, domain: Space, range: Space, maps: FloatArray) -> None:
        super().__init__(domain, range)
        if domain.shape[0] != range.shape[0] or len(maps) not in (1, domain.shape[0]):
            raise ArgumentError(
                f"views of {domain} and {range}, and {len(maps)} maps, do not fit together"
            )
        self.maps = maps
        self._kept: dict[bool, AxisMatrix] = {}  # of one map the matrix and its transpose

    def of_views(self, views: slice) -> ViewResampling:
        """The operator of some of the views."""
        domain, range = (
            Space((views.stop - views.start, *space.shape[1:]), space.dtype)
            for space in (self.domain, self.range)
        )
        maps = self.maps[views] if len(self.maps) > 1 else self.maps
        part = ViewResampling(domain, range, maps)
        if len(self.maps) == 1:
            part.__dict__["_kept"] = self._kept
        return part

    def _matrix(self, image: FloatArray, transposed: bool) -> AxisMatrix:
        """From the pixels of a view of the domain to those of one of the range, or its transpose."""
        import scipy.sparse

        (rows, columns), (v_pixels, u_pixels) = self.domain.shape[1:], self.range.shape[1:]
        u, v = np.arange(u_pixels, dtype=float), np.arange(v_pixels, dtype=float)[:, None]
        along = [line[0] * u + line[1] * v + line[2] for line in image]
        with np.errstate(divide="ignore", invalid="ignore"):
            places = [np.where(along[2] > 0, part / along[2], -9.0).ravel() for part in along[:2]]
        (at_u, weight_u), (at_v, weight_v) = (
            (found.T for found in neighbours(place, n, "cubic", "zero"))
            for place, n in zip(places, (columns, rows), strict=True)
        )
        pixels = (at_v * columns)[:, :, None] + at_u[:, None]
        weights = weight_v[:, :, None] * weight_u[:, None]
        ends = np.arange(len(pixels) + 1) * pixels[0].size
        shape = (v_pixels * u_pixels, rows * columns)
        found = scipy.sparse.csr_array((weights.ravel(), pixels.ravel(), ends), shape=shape)
        return AxisMatrix(found.T if transposed else found)

    def _parts(self, transposed: bool) -> Iterator[tuple[slice, AxisMatrix]]:
        """Views that are done at a time, and their matrix."""
        views = self.domain.shape[0]
        if len(self.maps) > 1:
            for view, image in enumerate(self.maps):
                yield slice(view, view + 1), self._matrix(image, transposed)
            return
        if transposed not in self._kept:
            self._kept[transposed] = self._matrix(self.maps[0], transposed)
        for start in range(0, views, _AT_ONCE):
            yield slice(start, min(start + _AT_ONCE, views)), self._kept[transposed]

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._run(x, out, self.domain, self.range, False)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._run(y, out, self.range, self.domain, True)

    def _run(
        self, x: Array, out: Array | None, source: Space, target: Space, transposed: bool
    ) -> Array:
        batch, xp = source.batch_shape(x), namespace(x)
        result = target.empty(like=x, batch=batch) if out is None else out
        pixels = int(np.prod(source.shape[1:]))
        for views, matrix in self._parts(transposed):
            number = views.stop - views.start
            values = xp.reshape(x[..., views, :, :], (*batch, number, pixels))
            values = matrix.apply(values, -1)
            result[..., views, :, :] = xp.reshape(values, (*batch, number, *target.shape[1:]))
            del matrix  # before the next is made
        return result

    def scratch_bytes(self) -> int:
        """Of a call: views before and after, as many as are done at a time, and a matrix that is not kept."""
        at_once = 1 if len(self.maps) > 1 else min(_AT_ONCE, self.domain.shape[0])
        pixels = [int(np.prod(space.shape[1:])) for space in (self.domain, self.range)]
        copies = 2 * at_once * sum(pixels) * self.domain.dtype.itemsize
        # Of sixteen entries a pixel indices and weights, in two formats and transposed.
        return copies + (1000 * pixels[1] if len(self.maps) > 1 else 0)

    def cost(self) -> Cost:
        """Two operations for each of 16 neighbours, and the bytes of both sides and of what a call makes."""
        return Cost(32 * int(self.range.size), super().cost().bytes + self.scratch_bytes())
