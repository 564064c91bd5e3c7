"""Functionals of matrices: the last two axes of a space are rows and columns, axes before them a sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, dtype_of, is_array, namespace
from opalg.errors import NotSupportedError
from opalg.functionals.entries import deliver
from opalg.functionals.functional import Functional, positive
from opalg.functionals.indicators import Indicator
from opalg.spaces import Space

__all__ = ["NuclearNorm", "PSDCone", "SpectralBall"]


class _Matrices(Functional):
    def __init__(self, space: Any) -> None:
        super().__init__(space)
        if not isinstance(space, Space) or space.ndim < 2:
            raise NotSupportedError(
                f"{type(self).__name__} takes a Space whose last two axes are rows and columns, got {space}"
            )
        if is_array(space.weighting):
            raise NotSupportedError(
                f"{type(self).__name__} needs a constant weighting: singular values know no entries"
            )

    def _total(self, values: Array) -> Array:
        """``w *`` the sum of one value per singular value over all matrices."""
        axes = tuple(range(values.ndim - self.domain.ndim + 1, values.ndim))
        return namespace(values).sum(values, axis=axes) * self.domain.weighting

    def _barrier(self, inside: Array, like: Array) -> Array:
        xp = namespace(like)
        return self._total(xp.where(inside, xp.zeros_like(like), xp.ones_like(like) * math.inf))


class NuclearNorm(_Matrices):
    """The sum of the singular values, times the weight of the space.

    Parameters
    ----------
    space : Space
        Two axes, or more: then the sum over all matrices on the last two. Constant weighting.

    Raises
    ------
    NotSupportedError
        If the space has less than two axes, is a product, or has an array of weights.

    Notes
    -----
    The prox shrinks the singular values by the step (Cai, Candes and Shen 2010); the conjugate is
    the indicator of the `SpectralBall`.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.NuclearNorm(oa.Space((2, 2), "float64"))
    >>> float(f(np.diag([3.0, 1.0]))), f.prox(1.0)(np.diag([3.0, 1.0])).tolist()
    (4.0, [[2.0, 0.0], [0.0, 0.0]])
    """

    symbol = r"\|\cdot\|_{*}"

    def _value(self, x: Array) -> Array:
        return self._total(_singular_values(x))

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        xp = namespace(x)
        u, s, v = xp.linalg.svd(x, full_matrices=False)
        if getattr(step, "ndim", 0):
            step = step[..., 0]  # the axis of columns is gone
        kept = xp.clip(s - step, 0, None)
        return deliver(_product(u, kept, v), out)

    def _dilated(self, factor: complex) -> Functional | None:
        return abs(factor) * self


class SpectralBall(_Matrices, Indicator):
    """The indicator of matrices whose singular values are at most ``radius``.

    Parameters
    ----------
    space : Space
        As for `NuclearNorm`.
    radius : float, default 1.0

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> fn.SpectralBall(oa.Space((2, 2), "float64")).prox(1.0)(np.diag([3.0, 0.5])).tolist()
    [[1.0, 0.0], [0.0, 0.5]]
    """

    def __init__(self, space: Any, radius: float = 1.0) -> None:
        super().__init__(space)
        self.radius = positive(radius, "radius")

    def _value(self, x: Array) -> Array:
        s = _singular_values(x)
        return self._barrier(s <= self.radius * (1 + _slack(x)), s)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        xp = namespace(x)
        u, s, v = xp.linalg.svd(x, full_matrices=False)
        return deliver(_product(u, xp.clip(s, 0, self.radius), v), out)

    def _dilated(self, factor: complex) -> Functional | None:
        return SpectralBall(self.domain, self.radius / abs(factor))

    def _words(self) -> str:
        return f"{self.radius:g}"


class PSDCone(_Matrices, Indicator):
    """The indicator of Hermitian positive semidefinite matrices.

    Parameters
    ----------
    space : Space
        The last two axes of equal extent; real or complex, constant weighting.

    Notes
    -----
    The projection takes the Hermitian part and sets its negative eigenvalues to zero. The conjugate
    is the indicator of matrices whose Hermitian part is negative semidefinite.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.PSDCone(oa.Space((2, 2), "float64"))
    >>> f.prox(1.0)(np.array([[1.0, 2.0], [2.0, 1.0]])).round(12).tolist()
    [[1.5, 1.5], [1.5, 1.5]]
    """

    def __init__(self, space: Any) -> None:
        super().__init__(space)
        if space.shape[-1] != space.shape[-2]:
            raise NotSupportedError(f"PSDCone takes square matrices, got {space}")

    def _value(self, x: Array) -> Array:
        xp = namespace(x)
        hermitian = _hermitian(x)
        values = xp.linalg.eigvalsh(hermitian)
        scale = xp.max(xp.abs(values), axis=-1, keepdims=True)
        skew = xp.max(xp.max(xp.abs(x - hermitian), axis=-1), axis=-1, keepdims=True)
        inside = (values >= -_slack(x) * scale) & (skew <= _slack(x) * scale)
        return self._barrier(inside, values)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        xp = namespace(x)
        values, vectors = xp.linalg.eigh(_hermitian(x))
        return deliver(_product(vectors, xp.clip(values, 0, None), _adjoint(vectors)), out)

    def _conjugate_value(self, p: Array) -> Array:
        xp = namespace(p)
        values = xp.linalg.eigvalsh(_hermitian(p))
        scale = xp.max(xp.max(xp.abs(p), axis=-1), axis=-1, keepdims=True)
        return self._barrier(values <= _slack(p) * scale, values)

    def _dilated(self, factor: complex) -> Functional | None:
        return self if np.isreal(factor) and complex(factor).real > 0 else None


def _singular_values(x: Array) -> Array:
    xp = namespace(x)
    return xp.linalg.svd(x, compute_uv=False) if xp is np else xp.linalg.svdvals(x)


def _adjoint(x: Array) -> Array:
    xp = namespace(x)
    turned = xp.moveaxis(x, -1, -2)
    return xp.conj(turned) if dtype_of(x).kind == "c" else turned


def _hermitian(x: Array) -> Array:
    return (x + _adjoint(x)) / 2


def _product(u: Array, s: Array, v: Array) -> Array:
    """``u @ diag(s) @ v``."""
    return (u * s[..., None, :]) @ v


def _slack(x: Array) -> float:
    return float(32 * max(x.shape[-2:]) * np.finfo(dtype_of(x)).eps)
