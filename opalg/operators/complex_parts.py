"""Between real and complex spaces: real and imaginary part, embedding, modulus.

These maps are linear over the real numbers only (the modulus not even that): ``A(1j * x)`` is not
``1j * A(x)``. Their adjoints are those of the real part of the inner product, which makes a complex number
a pair of real ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, copy, in_autograd, namespace
from opalg.errors import ArgumentError
from opalg.operators.elementary import Identity
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator, Operator
from opalg.spaces import Space

__all__ = ["ComplexEmbedding", "ImagPart", "Modulus", "RealPart"]


class RealPart(LinearOperator):
    """The real part of a complex array.

    Parameters
    ----------
    space : Space
        The complex domain; the range is ``space.real``.

    Raises
    ------
    ArgumentError
        If the space is real.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> R = oa.RealPart(oa.Space(2, "complex128"))
    >>> R(np.array([1 + 2j, 3j])).tolist(), str(R.H)
    ([1.0, 0.0], 'ComplexEmbedding')
    """

    native = True
    symbol = r"\operatorname{Re}"

    def __init__(self, space: Space) -> None:
        _check_complex(space, "RealPart")
        super().__init__(space, space.real)

    def _transposed(self) -> LinearOperator:
        return ComplexEmbedding(self.range)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return copy(namespace(x).real(x), out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return _as_complex(y, out, self.domain)

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)


class ImagPart(LinearOperator):
    """The imaginary part of a complex array, a real one.

    Parameters
    ----------
    space : Space
        The complex domain; the range is ``space.real``.

    Raises
    ------
    ArgumentError
        If the space is real.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> J = oa.ImagPart(oa.Space(2, "complex128"))
    >>> J(np.array([1 + 2j, 3j])).tolist(), J.H(np.ones(2)).tolist()
    ([2.0, 3.0], [1j, 1j])
    """

    native = True
    symbol = r"\operatorname{Im}"

    def __init__(self, space: Space) -> None:
        _check_complex(space, "ImagPart")
        super().__init__(space, space.real)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return copy(namespace(x).imag(x), out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        out = _as_complex(y, out, self.domain)
        if in_autograd(out):
            return out * 1j
        out *= 1j
        return out

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)


class ComplexEmbedding(LinearOperator):
    """A real array as a complex one with imaginary part zero.

    Parameters
    ----------
    space : Space
        The real domain; the range is ``space.complex``.

    Raises
    ------
    ArgumentError
        If the space is complex already.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> E = oa.ComplexEmbedding(oa.Space(2, "float64"))
    >>> E(np.array([1.0, 2.0])).tolist(), str(E.H)
    ([(1+0j), (2+0j)], 'RealPart')
    """

    native = True
    symbol = r"\iota"

    def __init__(self, space: Space) -> None:
        if not isinstance(space, Space) or space.is_complex:
            raise ArgumentError(f"ComplexEmbedding needs a real Space or Grid, got {space}")
        super().__init__(space, space.complex)

    def _transposed(self) -> LinearOperator:
        return RealPart(self.range)

    def _gram(self) -> LinearOperator:
        return Identity(self.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _as_complex(x, out, self.range)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return copy(namespace(y).real(y), out)

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)


class Modulus(Operator):
    """The modulus ``|x|`` of each entry, a real array. Not linear.

    Parameters
    ----------
    space : Space
        Real or complex; the range is ``space.real``.

    Notes
    -----
    The derivative at ``x`` maps ``h`` to ``Re(conj(x / |x|) h)``. Where ``x`` is 0 there is none, and 0 is
    taken, the subgradient of least norm, as PyTorch does.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> M = oa.Modulus(oa.Space(2, "complex128"))
    >>> x = np.array([3 + 4j, 0])
    >>> M(x).tolist(), M.derivative(x)(np.array([5 + 0j, 1 + 0j])).round(9).tolist()
    ([5.0, 0.0], [3.0, 0.0])
    """

    native = True

    def __init__(self, space: Space) -> None:
        if not isinstance(space, Space):
            raise ArgumentError(f"Modulus acts on a Space or Grid, got {space}")
        super().__init__(space, space.real)

    def _apply(self, x: Array, out: Array | None) -> Array:
        if type(out) is np.ndarray:
            return np.abs(x, out=out)
        value = namespace(x).abs(x)
        return value if out is None else copy(value, out)

    def _derivative(self, x: Array) -> LinearOperator:
        xp = namespace(x)
        size = xp.abs(x)
        one = xp.ones_like(size)
        sign = xp.where(size > 0, x / xp.where(size > 0, size, one), xp.zeros_like(x))
        return _Direction(self.domain, sign)


class _Direction(LinearOperator):
    """``h -> Re(conj(sign) h)``: the derivative of the modulus, at a batch of points or at one."""

    native = True

    def __init__(self, space: Space, sign: Array) -> None:
        super().__init__(space, space.real)
        self._sign = sign

    def _apply(self, x: Array, out: Array | None) -> Array:
        if not self.domain.is_complex:
            value = x * self._sign
        else:
            xp = namespace(x)
            value = xp.real(x) * xp.real(self._sign) + xp.imag(x) * xp.imag(self._sign)
        return value if out is None else copy(value, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        value = self._sign * y
        return value if out is None else copy(value, out)

    def _norm_bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)


def _as_complex(x: Array, out: Array | None, space: Space) -> Array:
    if out is not None:
        out[...] = x
        return out
    xp = namespace(x)
    dtype: Any = space.dtype if xp is np else getattr(xp, space.dtype.name)
    return xp.astype(x, dtype)


def _check_complex(space: Any, name: str) -> None:
    if not isinstance(space, Space) or not space.is_complex:
        raise ArgumentError(f"{name} needs a complex Space or Grid, got {space}")
