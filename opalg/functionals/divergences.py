"""Divergences between positive functions, the likelihood of counts, entropy and the logarithmic barrier.

All are sums over entries of a function of one number, finite on a half line only; the steps of
their proximal maps are roots of quadratic equations, or of ``v + log(v) = z``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, dtype_of, namespace
from opalg.errors import ArgumentError
from opalg.functionals.entries import Field
from opalg.functionals.indicators import refuse_complex
from opalg.functionals.pointwise import Pointwise

__all__ = [
    "Entropy",
    "KullbackLeibler",
    "KullbackLeiblerConjugate",
    "KullbackLeiblerCrossEntropy",
    "KullbackLeiblerCrossEntropyConjugate",
    "LogBarrier",
    "PoissonLikelihood",
]


class _Counts(Pointwise):
    """A functional with data that are at least 0."""

    def __init__(self, space: Any, data: Any) -> None:
        refuse_complex(space, type(self).__name__)
        self._data = Field(data, space, "the data")
        if self._data.smallest() < 0:
            raise ArgumentError(
                f"the data of {type(self).__name__} must be at least 0; clip them first"
            )
        super().__init__(space, self._data)

    @property
    def data(self) -> Any:
        """The data, a number or element of the space."""
        return self._data.value


class KullbackLeibler(_Counts):
    """The Kullback-Leibler divergence ``sum(w * (x - b + b * log(b / x)))`` of ``x`` from data ``b``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    data : float, array or Blocks
        At least 0.

    Raises
    ------
    ArgumentError
        If the data are negative somewhere.

    Notes
    -----
    At least 0, and 0 where ``x`` equals the data; infinite where ``x`` is negative, or zero and the
    data are not. The gradient ``1 - b / x`` has no Lipschitz constant. It is the negative logarithm
    of the likelihood of Poisson-distributed data up to a constant (`PoissonLikelihood`).

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.KullbackLeibler(oa.Space(2, "float64"), np.array([1.0, 4.0]))
    >>> float(f(np.array([1.0, 4.0]))), f.gradient(np.array([2.0, 2.0])).tolist()
    (0.0, [0.5, -1.0])
    >>> f.prox(1.0)(np.array([1.0, -2.0])).tolist()
    [1.0, 1.0]
    """

    def _density(self, x: Array, *parameters: Any) -> Array:
        return _relative_entropy(x, parameters[0])

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return 1 - parameters[0] / _nonzero(x, parameters[0])

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return _positive_root(x - step, step * parameters[0])

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return parameters[0] / _nonzero(x * x, parameters[0])


class PoissonLikelihood(_Counts):
    """The negative logarithm of the likelihood of counts, ``sum(w * (x - b * log(x)))``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    data : float, array or Blocks
        Counts, at least 0.

    Notes
    -----
    The constant ``log(b!)`` is left out. Gradient and prox are those of `KullbackLeibler`, which
    differs by a constant so that its least value is 0.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.PoissonLikelihood(oa.Space(2, "float64"), np.array([0.0, 5.0]))
    >>> float(f(np.array([2.0, 1.0])))
    3.0
    """

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        data = parameters[0] + xp.zeros_like(x)
        positive = xp.where(x > 0, x, xp.ones_like(x))
        inside = (x > 0) | ((x == 0) & (data == 0))
        return xp.where(inside, x - data * xp.log(positive), xp.ones_like(x) * math.inf)

    _slope = KullbackLeibler._slope
    _shrink = KullbackLeibler._shrink
    _curvature = KullbackLeibler._curvature


class KullbackLeiblerConjugate(_Counts):
    """The conjugate of `KullbackLeibler`, ``-sum(w * b * log(1 - p))`` for ``p < 1``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    data : float, array or Blocks
        At least 0.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.KullbackLeiblerConjugate(oa.Space(1, "float64"), 2.0)
    >>> float(f(np.array([0.0]))), f.prox(1.0)(np.array([1.0])).tolist()
    (0.0, [-0.414...])
    """

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        data = parameters[0] + xp.zeros_like(x)
        rest = 1 - x
        positive = xp.where(rest > 0, rest, xp.ones_like(x))
        # Without data the bound itself is inside, and rounding may lead past it.
        edge = rest >= -8 * float(np.finfo(dtype_of(x)).eps)
        inside = (rest > 0) | (edge & (data == 0))
        return xp.where(inside, -data * xp.log(positive), xp.ones_like(x) * math.inf)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return parameters[0] / _nonzero(1 - x, parameters[0])

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        # 1 - p is the root for KullbackLeibler at 1 - x.
        return 1 - _positive_root(1 - x, step * parameters[0])

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return parameters[0] / _nonzero((1 - x) ** 2, parameters[0])


class KullbackLeiblerCrossEntropy(_Counts):
    """The divergence of a prior ``b`` from ``x``, ``sum(w * (x * log(x / b) - x + b))`` for ``x >= 0``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    prior : float, array or Blocks
        Positive.

    Raises
    ------
    ArgumentError
        If the prior is not positive everywhere.

    Notes
    -----
    The prox is ``step * W(b / step * exp(x / step))`` with Lambert's function W, computed from its
    logarithm so that nothing overflows.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.KullbackLeiblerCrossEntropy(oa.Space(1, "float64"), 2.0)
    >>> float(f(np.array([2.0]))), f.gradient(np.array([2.0 * np.e])).tolist()
    (0.0, [1.0])
    """

    def __init__(self, space: Any, prior: Any) -> None:
        super().__init__(space, prior)
        refuse_zero(self._data, "prior")

    @property
    def prior(self) -> Any:
        """The prior, a number or element of the space."""
        return self._data.value

    def _density(self, x: Array, *parameters: Any) -> Array:
        return _relative_entropy(parameters[0] + 0 * x, x)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return _log(x / parameters[0])

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        xp = namespace(x)
        return step * omega(x / step + xp.log(parameters[0] / step + 0 * x))

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return 1 / x


class KullbackLeiblerCrossEntropyConjugate(_Counts):
    """The conjugate of `KullbackLeiblerCrossEntropy`, ``sum(w * b * (exp(p) - 1))``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    prior : float, array or Blocks
        Positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.KullbackLeiblerCrossEntropyConjugate(oa.Space(1, "float64"), 2.0)
    >>> float(f(np.array([0.0]))), f.gradient(np.array([0.0])).tolist()
    (0.0, [2.0])
    """

    def __init__(self, space: Any, prior: Any) -> None:
        super().__init__(space, prior)
        refuse_zero(self._data, "prior")

    @property
    def prior(self) -> Any:
        """The prior, a number or element of the space."""
        return self._data.value

    def _density(self, x: Array, *parameters: Any) -> Array:
        return parameters[0] * namespace(x).expm1(x)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return parameters[0] * namespace(x).exp(x)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        xp = namespace(x)
        return x - omega(x + xp.log(step * parameters[0] + 0 * x))

    _curvature = _slope


class Entropy(Pointwise):
    """The negative entropy ``sum(w * x * log(x))`` for ``x >= 0``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.Entropy(oa.Space(2, "float64"))
    >>> float(f(np.array([1.0, 0.0]))), f.gradient(np.ones(2)).tolist()
    (0.0, [1.0, 1.0])
    """

    def __init__(self, space: Any) -> None:
        refuse_complex(space, type(self).__name__)
        super().__init__(space)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        value = x * xp.log(xp.where(x > 0, x, xp.ones_like(x)))
        return xp.where(x >= 0, value, xp.ones_like(x) * math.inf)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return 1 + _log(x)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return step * omega(x / step - 1 - namespace(x).log(step + 0 * x))

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return 1 / x


class LogBarrier(Pointwise):
    """The barrier ``-sum(w * log(x))`` for ``x > 0``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.LogBarrier(oa.Space(2, "float64"))
    >>> float(f(np.ones(2))), f.prox(2.0)(np.array([-1.0, 1.0])).tolist()
    (0.0, [1.0, 2.0])
    """

    def __init__(self, space: Any) -> None:
        refuse_complex(space, type(self).__name__)
        super().__init__(space)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        positive = xp.where(x > 0, x, xp.ones_like(x))
        return xp.where(x > 0, -xp.log(positive), xp.ones_like(x) * math.inf)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return -1 / x

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return _positive_root(x, step + 0 * x)

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return 1 / (x * x)


def refuse_zero(field: Field, what: str) -> None:
    """An error unless a field is positive everywhere."""
    if field.smallest() <= 0:
        raise ArgumentError(f"the {what} must be positive everywhere; add a small number to it")


def omega(z: Array) -> Array:
    """Wright's function: the positive root ``v`` of ``v + log(v) = z``, which is ``W(exp(z))``.

    Fritsch, Shafer and Crowley's iteration (1973), two steps of which reach rounding from these
    starts.

    Examples
    --------
    >>> v = omega(np.array([-30.0, 1.0, 50.0]))
    >>> bool(np.allclose(v + np.log(v), [-30.0, 1.0, 50.0], rtol=1e-14))
    True
    """
    xp = namespace(z)
    # exp(z) underflows where the root does; kept normal, the logarithm below stays finite.
    floor = math.log(float(np.finfo(dtype_of(z)).tiny)) + 1
    z = xp.maximum(z, floor)
    small = xp.exp(xp.minimum(z, 1.0))
    large = xp.where(z > 1, z, xp.ones_like(z))
    v = xp.where(
        z > 1, large - xp.log(large) + xp.log(large) / (large + 1), small / (1 + small / 2)
    )
    for _ in range(3):
        r = z - v - xp.log(v)
        s = 1 + v
        q = 2 * s * (s + 2 * r / 3)
        v = v * (1 + r / s * (q - r) / (q - 2 * r))
    return v


def _relative_entropy(x: Array, b: Any) -> Array:
    """``x - b + b * log(b / x)``, infinite where x < 0, or x = 0 < b, or b < 0."""
    xp = namespace(x)
    b = b + 0 * x
    positive = xp.where(x > 0, x, xp.ones_like(x))
    ratio = xp.where(b > 0, b, xp.ones_like(b)) / positive
    inside = ((x > 0) & (b >= 0)) | ((x == 0) & (b == 0))
    return xp.where(inside, x - b + b * xp.log(ratio), xp.ones_like(x) * math.inf)


def _positive_root(s: Array, product: Any) -> Array:
    """The root u >= 0 of ``u ** 2 - s * u = product``, without cancellation for negative s."""
    xp = namespace(s)
    square = s * s + 4 * product
    if xp is not np:
        square = xp.maximum(
            square, xp.finfo(square.dtype).smallest_normal
        )  # no NaN in its derivative
    root = xp.sqrt(square)
    other = xp.maximum((root - s) / 2, float(np.finfo(np.float32).tiny))
    return xp.where(s < 0, product / other, (s + root) / 2)


def _nonzero(x: Array, data: Any) -> Array:
    """``x``, but 1 where the data are zero and the quotient by x does not matter."""
    xp = namespace(x)
    data = data + 0 * x
    return xp.where(data > 0, x, xp.ones_like(x))


def _log(x: Array) -> Array:
    """The logarithm, minus infinity at 0 and NaN below, without warnings."""
    xp = namespace(x)
    inside = xp.log(xp.where(x > 0, x, xp.ones_like(x)))
    outside = xp.where(x == 0, xp.ones_like(x) * -math.inf, xp.ones_like(x) * math.nan)
    return xp.where(x > 0, inside, outside)
