"""The discrete wavelet transform, with its exact transpose for every wavelet and boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from opalg.arrays import Array, copy, dtype_of
from opalg.errors import ArgumentError, MissingExtraError, NotSupportedError
from opalg.operators.axiswise import AxisMatrix
from opalg.operators.costs import Cost
from opalg.operators.elementary import Identity
from opalg.operators.fourier import _as_axes
from opalg.operators.norms import Bounds, refined
from opalg.operators.operator import LinearOperator
from opalg.spaces import Blocks, ProductSpace, Space

__all__ = ["WaveletReconstruction", "WaveletTransform"]

WaveletMode = Literal["periodization", "zero", "constant", "symmetric", "reflect", "periodic"]
_MODES = ("periodization", "zero", "constant", "symmetric", "reflect", "periodic")
_ORTHONORMAL = 1e-12  # the tabulated filters are good to some 1e-13


class _Level(NamedTuple):
    """One step of the cascade: a matrix along each axis, coarse rows above detail rows."""

    matrices: tuple[AxisMatrix, ...]
    halves: tuple[int, ...]  # coarse entries along each axis


class _Cascade(LinearOperator):
    """What analysis and reconstruction share: the levels, run forwards or transposed."""

    transform: WaveletTransform

    @property
    def real(self) -> bool:
        return True

    def _analyse(self, levels: list[_Level], x: Array, out: Array | None) -> Array:
        axes = self.transform._axes
        details = []
        for number, level in enumerate(levels):
            for matrix, axis in zip(level.matrices, axes, strict=True):
                x = matrix.apply(x, axis)
            bands = self.transform._bands(level)
            target = None if out is None else out[len(levels) - number]
            details.append(_split(x, bands[1:], target))
            x = x[bands[0]]
        coarse = copy(x, None if out is None else out[0])
        return Blocks([coarse, *reversed(details)])

    def _synthesise(self, levels: list[_Level], y: Array, out: Array | None) -> Array:
        axes = self.transform._axes
        coarse = y[0]
        for level, details in zip(reversed(levels), y[1:], strict=True):
            bands = self.transform._bands(level)
            x = _join(coarse, details, bands, level, self.transform)
            for matrix, axis in zip(level.matrices, axes, strict=True):
                x = matrix.transposed.apply(x, axis)
            coarse = x
        return copy(coarse, out)

    def cost(self) -> Cost:
        """Two operations per stored filter coefficient and vector."""
        operations, shape = 0, list(self.transform.domain.shape)
        for level in self.transform._levels:
            for matrix, axis, half in zip(
                level.matrices, self.transform._axes, level.halves, strict=True
            ):
                vectors = math.prod(shape) // shape[axis]
                operations += 2 * matrix.matrix.nnz * vectors
                shape[axis] = 2 * half
            for axis, half in zip(self.transform._axes, level.halves, strict=True):
                shape[axis] = half
        return Cost(operations, super().cost().bytes)


class WaveletTransform(_Cascade):
    """The discrete wavelet transform over several levels.

    Parameters
    ----------
    space : Space
    wavelet : str or (dec_lo, dec_hi, rec_lo, rec_hi), default "db4"
        A discrete wavelet of PyWavelets ("haar", "db2", "sym4", "coif1", "bior4.4", ...), or four filters of
        one even length.
    levels : int, optional
        By default as many as filters fit into the shortest axis, at least 1.
    mode : {"periodization", "zero", "constant", "symmetric", "reflect", "periodic"}, default "periodization"
        How the array goes on beyond its ends, in the words of PyWavelets. Only ``"periodization"`` gives
        as many coefficients as entries (for extents that halve evenly), the others some more.
    axes : sequence of int or str, optional
        Axes to transform, by index or name; all by default.

    Attributes
    ----------
    range : ProductSpace
        The coarse part, then for each level, coarsest first, the details: a product of ``2 ** d - 1`` spaces
        for ``d`` axes (for one axis the space itself). Their order is that of `pywt.wavedec2`, horizontal,
        vertical, diagonal: in band number i, axis j holds details if bit j of i is set. The constant
        weight of the inner product is that of ``space``.
    reconstruction : WaveletReconstruction
        Takes coefficients back: ``W.reconstruction(W(x))`` is ``x``.

    Raises
    ------
    MissingExtraError
        If a wavelet is named and PyWavelets is not installed.
    ArgumentError
        If wavelet, mode, axes or levels make no sense.

    Notes
    -----
    Each level is one sparse matrix along each axis, so ``W.H`` is the exact transpose for every wavelet, mode
    and extent, which is the reconstruction only for orthonormal wavelets. For these, in mode
    ``"periodization"`` with extents that halve evenly, ``W`` is unitary; in mode ``"zero"`` its columns
    are orthonormal; both are checked, and then ``W.H @ W`` is the identity. All array libraries get the
    coefficients of PyWavelets, with equal transposes.

    References
    ----------
    .. [1] S. Mallat, "A theory for multiresolution signal decomposition: the wavelet representation", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 11(7), 674-693, 1989.
    .. [2] G. R. Lee et al., "PyWavelets: A Python package for wavelet analysis", Journal of Open Source
       Software 4(36), 1237, 2019.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> W = oa.WaveletTransform(oa.Space((8, 8)), "haar", levels=2)
    >>> coarse, details, finest = W(np.ones((8, 8), "float32"))
    >>> coarse.round(5).tolist(), len(finest), finest[0].shape
    ([[4.0, 4.0], [4.0, 4.0]], 3, (4, 4))
    >>> W.unitary, print(W.H @ W)
    Identity
    (True, None)
    """

    symbol = "W"

    def __init__(
        self,
        space: Space,
        wavelet: str | Sequence[Sequence[float]] = "db4",
        levels: int | None = None,
        mode: WaveletMode = "periodization",
        axes: Sequence[int | str] | None = None,
    ) -> None:
        if not isinstance(space, Space) or not space.ndim:
            raise ArgumentError(f"WaveletTransform acts on a Space or Grid, got {space!r:.80}")
        if mode not in _MODES:
            raise ArgumentError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
        self._filters = _filters(wavelet)
        self.axes, self.mode = _as_axes(space, axes), mode
        self._axes = tuple(axis - space.ndim for axis in self.axes)
        extents = [space.shape[axis] for axis in self.axes]
        self.levels = _count(levels, min(extents), len(self._filters[0]))
        self._levels = self._cascade(extents, self._filters[:2], mode)
        super().__init__(space, self._coefficient_space(space))
        self.transform = self
        products = [
            m.transposed.matrix @ m.matrix for level in self._levels for m in level.matrices
        ]
        self._isometric = all(_is_identity(product) for product in products)
        self.unitary = self._isometric and all(
            m.matrix.shape[0] == m.matrix.shape[1] for level in self._levels for m in level.matrices
        )

    @cached_property
    def reconstruction(self) -> WaveletReconstruction:
        """The operator that takes coefficients back to the array."""
        return WaveletReconstruction(self)

    @property
    def inverse(self) -> LinearOperator:
        """The inverse, where there are as many coefficients as entries."""
        if self.unitary:
            return self.H
        if self.range.size != self.domain.size:
            raise NotSupportedError(
                f"{self} has {self.range.size} coefficients for {self.domain.size} entries, so it has no "
                "inverse; W.reconstruction takes coefficients back"
            )
        return self.reconstruction

    def _cascade(self, extents: list[int], filters: Any, mode: str) -> list[_Level]:
        levels = []
        for _ in range(self.levels):
            found = [_matrix(n, filters, mode) for n in extents]
            matrices = tuple(AxisMatrix(matrix) for matrix in found)
            extents = [matrix.shape[0] // 2 for matrix in found]
            levels.append(_Level(matrices, tuple(extents)))
        return levels

    def _bands(self, level: _Level) -> list[tuple[Any, ...]]:
        """The index of the coarse part and of each band of details."""
        found = []
        for number in range(1 << len(level.halves)):
            index = [slice(None)] * -min(self._axes)
            for bit, (axis, half) in enumerate(zip(self._axes, level.halves, strict=True)):
                index[axis] = slice(half, None) if number >> bit & 1 else slice(half)
            found.append((Ellipsis, *index))
        return found

    def _coefficient_space(self, space: Space) -> ProductSpace:
        weight: Any = space.weighting if isinstance(space.weighting, float) else 1.0
        parts: list[Any] = []
        shape = list(space.shape)
        for level in self._levels:
            for axis, half in zip(self.axes, level.halves, strict=True):
                shape[axis] = half
            band = Space(tuple(shape), space.dtype.name, space.axes, weight)
            parts.append(band if len(self.axes) == 1 else band ** (2 ** len(self.axes) - 1))
        return ProductSpace(band, *reversed(parts))

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._analyse(self._levels, x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._synthesise(self._levels, y, out)

    def _gram(self) -> LinearOperator:
        return Identity(self.domain) if self._isometric else super()._gram()

    def _norm_bounds(self) -> Bounds:
        if self._isometric:
            return Bounds(1.0, 1.0)
        return _cascade_bounds(self, self._levels)


class WaveletReconstruction(_Cascade):
    """The array that belongs to wavelet coefficients; made by ``W.reconstruction``.

    Parameters
    ----------
    transform : WaveletTransform

    Notes
    -----
    It is the transpose of the transform with the dual wavelet.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> W = oa.WaveletTransform(oa.Space(7, "float64"), "bior2.2", levels=1, mode="symmetric")
    >>> x = W.domain.random(seed=0)
    >>> bool(np.allclose(W.reconstruction(W(x)), x)), bool(np.allclose(W.H(W(x)), x))
    (True, False)
    """

    symbol = "W^{+}"

    def __init__(self, transform: WaveletTransform) -> None:
        super().__init__(transform.range, transform.domain)
        self.transform = transform
        self.unitary = transform.unitary
        extents = [transform.domain.shape[axis] for axis in transform.axes]
        _, _, lo, hi = transform._filters
        # Beyond the ends the dual sees zeros: coefficients there are thrown away by reconstruction.
        mode = "cut periodization" if transform.mode == "periodization" else "zero"
        self._levels = transform._cascade(extents, (lo[::-1], hi[::-1]), mode)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._synthesise(self._levels, x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._analyse(self._levels, y, out)

    def _norm_bounds(self) -> Bounds:
        return _cascade_bounds(self, self._levels)


def _filters(wavelet: Any) -> tuple[tuple[float, ...], ...]:
    """The filters dec_lo, dec_hi, rec_lo, rec_hi."""
    if isinstance(wavelet, str):
        try:
            import pywt
        except ImportError:
            raise MissingExtraError(
                f"the wavelet {wavelet!r} comes from PyWavelets, which is not installed: "
                "pip install opalg[wavelets]; or pass the four filters"
            ) from None
        try:
            bank = pywt.Wavelet(wavelet).filter_bank
        except ValueError as error:
            raise ArgumentError(
                f"{error} (pywt.wavelist(kind='discrete') names those there are)"
            ) from None
    else:
        bank = wavelet
    try:
        found = tuple(tuple(float(value) for value in part) for part in bank)
    except TypeError:
        found = ()
    if (
        len(found) != 4
        or len({len(part) for part in found}) != 1
        or len(found[0]) % 2
        or not found[0]
    ):
        raise ArgumentError(
            "a wavelet is a name or four filters (dec_lo, dec_hi, rec_lo, rec_hi) of one even length, "
            f"got {wavelet!r:.80}"
        )
    return found


def _count(levels: Any, n: int, length: int) -> int:
    if levels is None:
        return max(1, int(math.log2(n / (length - 1)))) if n >= length - 1 else 1
    if not isinstance(levels, (int, np.integer)) or levels < 1:
        raise ArgumentError(f"levels must be a positive integer, got {levels!r}")
    return int(levels)


def _matrix(n: int, filters: tuple[tuple[float, ...], tuple[float, ...]], mode: str) -> Any:
    """One level along an axis of ``n`` entries: rows of the low-pass filter, then of the high-pass one."""
    import scipy.sparse

    length = len(filters[0])
    if mode.endswith("periodization"):
        count, first = (n + 1) // 2, length // 2
    else:
        count, first = (n + length - 1) // 2, 1
    # coefficient i is the sum over k of filter[k] times the entry at position 2 i + first - k
    positions = 2 * np.arange(count)[:, None] + first - np.arange(length)
    source, inside = _source(positions, n, mode)
    rows = np.broadcast_to(np.arange(count)[:, None], positions.shape)[inside]
    halves = []
    for taps in filters:
        values = np.broadcast_to(taps, positions.shape)[inside]
        entries = (values, (rows, source[inside]))
        halves.append(scipy.sparse.coo_array(entries, shape=(count, n)))
    return scipy.sparse.vstack(halves)


def _source(positions: Any, n: int, mode: str) -> tuple[Any, Any]:
    """Which entry stands at each position, and whether there is one."""
    everywhere = np.ones(positions.shape, bool)
    if mode == "zero":
        return positions, (positions >= 0) & (positions < n)
    if mode == "constant":
        return np.clip(positions, 0, n - 1), everywhere
    if mode == "periodic":
        return positions % n, everywhere
    if mode.endswith("periodization"):  # an odd axis is first made even by repeating its last entry
        found = positions % (n + n % 2)
        return (
            (np.minimum(found, n - 1), everywhere)
            if mode == "periodization"
            else (found, found < n)
        )
    if mode == "symmetric":
        found = positions % (2 * n)
        return np.minimum(found, 2 * n - 1 - found), everywhere
    found = positions % max(2 * n - 2, 1)
    return np.minimum(found, max(2 * n - 2, 1) - found) if n > 1 else found * 0, everywhere


def _is_identity(product: Any) -> bool:
    import scipy.sparse

    return bool(abs(product - scipy.sparse.eye_array(product.shape[0])).max() < _ORTHONORMAL)


def _split(x: Array, bands: list[Any], out: Array | None) -> Array:
    if len(bands) == 1:
        return copy(x[bands[0]], out)
    return Blocks(copy(x[band], None if out is None else out[i]) for i, band in enumerate(bands))


def _join(
    coarse: Array, details: Array, bands: list[Any], level: _Level, transform: WaveletTransform
) -> Array:
    axes, ndim = transform._axes, transform.domain.ndim
    shape = list(coarse.shape)
    for axis, half in zip(axes, level.halves, strict=True):
        shape[axis] = 2 * half
    own = Space(tuple(shape[-ndim:]), dtype_of(coarse))
    x = own.empty(like=coarse, batch=tuple(shape[:-ndim]))
    for band, part in zip(
        bands, [coarse, *(details if isinstance(details, tuple) else [details])], strict=True
    ):
        x[band] = part
    return x


def _cascade_bounds(operator: _Cascade, levels: list[_Level]) -> Bounds:
    """The norm of a cascade is at most the product of what its levels stretch the coarse part by."""
    top = 1.0
    for level in reversed(levels):
        norm = math.prod(matrix.norm_bounds.upper for matrix in level.matrices)
        top = norm * max(1.0, top)
    return refined(
        operator, 0.0, top * (1 + 8 * float(np.finfo(operator.transform.domain.dtype).eps))
    )
