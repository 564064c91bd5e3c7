"""The discrete Fourier transform, complex, and real to half a spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from opalg.arrays import Array, copy, is_array, namespace
from opalg.errors import ArgumentError, DtypeError, NotSupportedError
from opalg.operators.costs import Cost
from opalg.operators.fft import transform
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator, algebra
from opalg.spaces import Space

__all__ = ["FourierTransform", "RealFourierTransform"]

Norm = Literal["ortho", "backward", "forward"]
_TRANSPOSED_NORM = {"ortho": "ortho", "backward": "forward", "forward": "backward"}


class _Transform(LinearOperator):
    """What the complex and the real transform share."""

    native = True
    symbol = r"\mathcal{F}"

    def __init__(self, space: Any, axes: Any, norm: str, half: bool) -> None:
        name = type(self).__name__
        if not isinstance(space, Space) or not space.ndim:
            raise ArgumentError(f"{name} acts on a Space or Grid with axes, got {space!r:.80}")
        self.axes = _as_axes(space, axes)
        if norm not in _TRANSPOSED_NORM:
            raise ArgumentError(f"norm must be 'ortho', 'backward' or 'forward', got {norm!r}")
        self.norm_convention = norm
        super().__init__(space, _spectral_space(space, self.axes, half))
        # Counted from the back, where batch axes do not move them.
        self._axes = tuple(axis - space.ndim for axis in self.axes)
        count = math.prod(space.shape[axis] for axis in self.axes)
        self._square = {"ortho": 1.0, "backward": float(count), "forward": 1 / count}[norm]

    def _norm_bounds(self) -> Bounds:
        return Bounds(math.sqrt(self._square), math.sqrt(self._square))

    def cost(self) -> Cost:
        """Five operations per entry and halving, the textbook count."""
        count = math.prod(self.domain.shape[axis] for axis in self.axes)
        return Cost(int(5 * self.domain.size * math.log2(max(count, 2))), super().cost().bytes)


class FourierTransform(_Transform):
    """The discrete Fourier transform of complex arrays.

    Parameters
    ----------
    space : Space
        Complex.
    axes : sequence of int or str, optional
        Axes to transform, by index or name; all by default.
    centred : bool, default True
        Whether position 0 and frequency 0 stand in the middle, at index ``n // 2`` (as in MRI), or at
        index 0 (as in `numpy.fft`).
    norm : {"ortho", "backward", "forward"}, default "ortho"
        The factor in front of the sum: ``1 / sqrt(n)``, ``1`` or ``1 / n``.

    Attributes
    ----------
    range : Space
        Shape and dtype of ``space``; a transformed axis "x" is named "kx". A constant weight of the inner
        product is kept, so that with ``norm="ortho"`` the adjoint is the inverse in weighted spaces too.

    Raises
    ------
    DtypeError
        If the space is real.
    ArgumentError
        If an axis does not exist or is named twice, or ``norm`` is unknown.

    See Also
    --------
    RealFourierTransform : of real arrays.

    Notes
    -----
    Forward is ``exp(-2 pi i k x / n)``. With ``norm="ortho"`` it is unitary: ``F.H`` is the inverse, and
    ``F.H @ F`` is recognised as the identity. NumPy arrays go through `scipy.fft`, on as many threads as
    the CPU engine uses, others through their own library's transform.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> F = oa.FourierTransform(oa.Space(4, "complex128"))
    >>> F(np.array([0, 0, 1, 0j])).real.tolist()  # a point in the middle
    [0.5, 0.5, 0.5, 0.5]
    >>> print(F.H @ F)
    Identity
    """

    def __init__(
        self,
        space: Space,
        axes: Sequence[int | str] | None = None,
        centred: bool = True,
        norm: Norm = "ortho",
    ) -> None:
        if isinstance(space, Space) and not space.is_complex:
            raise DtypeError(
                f"FourierTransform acts on complex arrays, got {space}; use oa.RealFourierTransform, or "
                "space.complex behind oa.ComplexEmbedding(space)"
            )
        super().__init__(space, axes, norm, half=False)
        self.centred = bool(centred)
        self.unitary = norm == "ortho"

    @property
    def inverse(self) -> LinearOperator:
        """The inverse transform, ``F.H`` with the fitting factor."""
        found: LinearOperator = algebra.scale(1 / self._square, self.H)
        return found

    def _gram(self) -> LinearOperator:
        found: LinearOperator = algebra.scale(self._square, algebra.identity(self.domain))
        return found

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._run("fftn", x, self.norm_convention, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._run("ifftn", y, _TRANSPOSED_NORM[self.norm_convention], out)

    def _run(self, name: str, x: Array, norm: str, out: Array | None) -> Array:
        if not self.centred:
            value = transform(name, x, self._axes, norm)
        else:
            fft = namespace(x).fft
            value = transform(
                name, fft.ifftshift(x, axes=self._axes), self._axes, norm, overwrite=True
            )
            value = fft.fftshift(value, axes=self._axes)
        return value if out is None else copy(value, out)


class RealFourierTransform(_Transform):
    """The discrete Fourier transform of real arrays, as the half of the spectrum that determines it.

    Parameters
    ----------
    space : Space
        Real.
    axes : sequence of int or str, optional
        Axes to transform, by index or name; all by default. The last of them is the one that is halved,
        to ``n // 2 + 1`` entries.
    norm : {"ortho", "backward", "forward"}, default "ortho"
        The factor in front of the sum: ``1 / sqrt(n)``, ``1`` or ``1 / n``.

    Attributes
    ----------
    range : Space
        Complex. Its inner product counts twice the frequencies that stand for two, so that with
        ``norm="ortho"`` the transform keeps inner products and ``F.adjoint`` undoes it.

    Raises
    ------
    DtypeError
        If the space is complex.
    ArgumentError
        If an axis does not exist or is named twice, or ``norm`` is unknown.

    Notes
    -----
    Frequency 0 stands at index 0. A real array goes to a complex one, so the map is linear over the reals
    only; ``F.H`` is the transpose in the real part of the unweighted inner product, which is not the
    inverse (frequencies standing for two are halved in it). There is no inverse: not every half spectrum
    belongs to a real array.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> F = oa.RealFourierTransform(oa.Space(6, "float64"))
    >>> x = np.arange(6.0)
    >>> F(x).shape, F.range.weighting.tolist(), bool(np.allclose(F.adjoint(F(x)), x))
    ((4,), [1.0, 2.0, 2.0, 1.0], True)
    """

    complex_linear = False

    def __init__(
        self, space: Space, axes: Sequence[int | str] | None = None, norm: Norm = "ortho"
    ) -> None:
        if isinstance(space, Space) and space.is_complex:
            raise DtypeError(
                f"RealFourierTransform acts on real arrays, got {space}; use oa.FourierTransform"
            )
        super().__init__(space, axes, norm, half=True)
        self._extents = tuple(space.shape[axis] for axis in self.axes)

    @property
    def inverse(self) -> LinearOperator:
        """None: not every half spectrum belongs to a real array."""
        raise NotSupportedError(
            "RealFourierTransform has no inverse, as not every half spectrum belongs to a real array; "
            "with norm='ortho' F.adjoint undoes it"
        )

    def _gram(self) -> LinearOperator:
        return algebra.gram(self)

    def _apply(self, x: Array, out: Array | None) -> Array:
        value = transform("rfftn", x, self._axes, self.norm_convention)
        return value if out is None else copy(value, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        # irfftn adds the conjugate of every frequency that stands for two; half of each is due.
        n, axis = self._extents[-1], self._axes[-1]
        xp = namespace(y)
        factors = np.full(n // 2 + 1, 0.5, self.domain.dtype)
        factors[0] = 1
        if n % 2 == 0:
            factors[-1] = 1
        factors = factors.reshape(-1, *[1] * (-axis - 1))
        scale = factors if xp is np else xp.asarray(factors, device=y.device)
        norm = _TRANSPOSED_NORM[self.norm_convention]
        value = transform("irfftn", y * scale, self._axes, norm, self._extents, overwrite=True)
        return value if out is None else copy(value, out)


def _as_axes(space: Space, axes: Any) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(space.ndim))
    chosen = (axes,) if isinstance(axes, (int, str)) else tuple(axes)
    found = []
    for axis in chosen:
        if isinstance(axis, str) and axis in (space.axes or ()):
            found.append((space.axes or ()).index(axis))
        elif isinstance(axis, (int, np.integer)) and -space.ndim <= axis < space.ndim:
            found.append(int(axis) % space.ndim)
        else:
            names = f"0 to {space.ndim - 1}" if space.axes is None else f"{space.axes}"
            raise ArgumentError(f"{space} has the axes {names}, got axis {axis!r}")
    if not found or len(set(found)) != len(found):
        raise ArgumentError(f"axes must name one or more different axes, got {axes!r}")
    return tuple(found)


def _spectral_space(space: Space, axes: tuple[int, ...], half: bool) -> Space:
    names = space.axes
    if names is not None:
        names = tuple(f"k{name}" if i in axes else name for i, name in enumerate(names))
    # A weight that varies over positions says nothing about frequencies.
    weight: Any = 1.0 if is_array(space.weighting) else space.weighting
    if not half:
        return Space(space.shape, space.dtype.name, names, weight)
    n = space.shape[axes[-1]]
    shape = tuple(n // 2 + 1 if i == axes[-1] else extent for i, extent in enumerate(space.shape))
    weights = np.full(n // 2 + 1, 2 * weight, space.dtype)
    weights[0] = weight
    if n % 2 == 0:
        weights[-1] = weight
    weights = weights.reshape(-1, *[1] * (space.ndim - axes[-1] - 1))
    return Space(shape, space.complex.dtype.name, names, weights)
