"""Quadratic functionals: squared norms, least squares, quadratic forms of operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, namespace
from opalg.errors import ArgumentError, NotSupportedError, SpaceMismatchError
from opalg.functionals.entries import Field, deliver, duplicate, flat, pairing, volume
from opalg.functionals.functional import Functional
from opalg.functionals.operator_norms import conjugate_gradients, norm_in_spaces
from opalg.functionals.pointwise import Pointwise
from opalg.operators import Diagonal, Identity, LinearOperator, Scaling, printing
from opalg.spaces.compatibility import join, remedy

__all__ = ["LeastSquares", "QuadraticForm", "SquaredL2"]


class SquaredL2(Pointwise):
    """The squared norm, ``sum(w * weight * |x| ** 2)``; without a factor 1/2.

    Parameters
    ----------
    space : Space or ProductSpace
    weight : float, array or Blocks, default 1.0
        Positive; an additional weight per entry (the weights ``w`` are those of the space).

    Raises
    ------
    ArgumentError
        If the weight is not positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.SquaredL2(oa.Space(2, "float64"))
    >>> float(f(np.array([1.0, 2.0]))), f.gradient(np.array([1.0, 2.0])).tolist(), f.lipschitz
    (5.0, [2.0, 4.0], 2.0)
    """

    symbol = r"\|\cdot\|_2^2"

    def __init__(self, space: Any, weight: Any = 1.0) -> None:
        self._weight = _weight_field(weight, space)
        if self._weight.smallest() <= 0:
            raise ArgumentError(
                "the weight of SquaredL2 must be positive; LeastSquares may have zeros"
            )
        super().__init__(space, self._weight)
        self.lipschitz = 2 * self._weight.largest()
        self.strong_convexity = 2 * self._weight.smallest()

    @property
    def weight(self) -> Any:
        """The additional weight, a number or a real element."""
        return self._weight.value

    def _density(self, x: Array, *parameters: Any) -> Array:
        size = namespace(x).abs(x)
        return parameters[0] * (size * size)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        return (2 * parameters[0]) * x

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return x / (1 + 2 * step * parameters[0])

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return namespace(x).ones_like(x) * (2 * parameters[0])

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        return None if self._weight.number is None else (2 * self._weight.number, None, 0.0)


class LeastSquares(Pointwise):
    """Half the squared distance to data, ``1/2 * sum(w * weight * |x - data| ** 2)``.

    Parameters
    ----------
    space : Space or ProductSpace
    data : array or Blocks, optional
        Element of the space, batch axes allowed; zero by default.
    weight : float, array or Blocks, default 1.0
        At least 0; an additional weight per entry, such as the reciprocal variance of the data
        (zero for data that do not count).

    Raises
    ------
    ArgumentError
        If the weight is negative somewhere.
    NonFiniteError
        If data or weight hold NaN or infinity.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.LeastSquares(oa.Space(2, "float64"), np.array([1.0, 2.0]))
    >>> float(f(np.zeros(2))), f.prox(1.0)(np.zeros(2)).tolist()
    (2.5, [0.5, 1.0])
    """

    def __init__(self, space: Any, data: Any = None, weight: Any = 1.0) -> None:
        self._data = Field(0.0 if data is None else data, space, "the data")
        self._weight = _weight_field(weight, space)
        super().__init__(space, self._data, self._weight)
        self.lipschitz = self._weight.largest()
        self.strong_convexity = self._weight.smallest()

    @property
    def data(self) -> Any:
        """The data: an element, or the number 0."""
        return self._data.value

    @property
    def weight(self) -> Any:
        """The additional weight, a number or a real element."""
        return self._weight.value

    def _density(self, x: Array, *parameters: Any) -> Array:
        data, weight = parameters
        size = namespace(x).abs(x - data)
        return (0.5 * weight) * (size * size)

    def _slope(self, x: Array, *parameters: Any) -> Array:
        data, weight = parameters
        return weight * (x - data)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        data, weight = parameters
        scale = step * weight
        return (x + scale * data) / (1 + scale)

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        return namespace(x).ones_like(x) * parameters[1]

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        if self._weight.number is None:
            return None
        a = self._weight.number
        if self._data.number is not None:
            b = self._data.number
            if b == 0:
                return a, None, 0.0
            return a, self.domain.ones() * (-a * b), a * b * b / 2 * volume(self.domain)
        data = self._data.value
        if self.domain.batch_shape(data):
            return None  # the constant would be one per batch entry
        return a, data * (-a), a / 2 * float(pairing(self.domain, data, data))


class QuadraticForm(Functional):
    """``1/2 * <A(x), x> + <x, linear> + constant`` with a positive semidefinite operator.

    Parameters
    ----------
    operator : LinearOperator
        From a space to itself, self-adjoint in its inner product, and positive semidefinite (that
        is not verified) for prox and conjugate to be right.
    linear : array or Blocks, optional
        Element of the space.
    constant : float, default 0.0

    Raises
    ------
    SpaceMismatchError
        If the operator leads out of its domain.
    ArgumentError
        If the operator is not self-adjoint.

    Notes
    -----
    The prox solves ``(I + step * A) u = x - step * linear``: in closed form for multiples of the
    identity and diagonal operators, else by conjugate gradients to the rounding of the data type.
    The conjugate needs ``A.inverse``.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> M = oa.MatrixOperator(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> f = fn.QuadraticForm(M, linear=np.array([1.0, 0.0]))
    >>> float(f(np.array([1.0, 1.0]))), f.gradient(np.array([1.0, 1.0])).tolist()
    (4.0, [4.0, 3.0])
    """

    native = False

    def __init__(self, operator: LinearOperator, linear: Any = None, constant: float = 0.0) -> None:
        space = join(operator.domain, operator.range)
        if space is None:
            raise SpaceMismatchError(
                f"the operator of a quadratic form must map a space to itself, got {operator} from "
                f"{operator.domain} to {operator.range}; {remedy(operator.range, operator.domain)}"
            )
        super().__init__(space)
        self.operator = operator
        self._linear = Field(0.0 if linear is None else linear, space, "linear")
        self.constant = float(constant)
        if not math.isfinite(self.constant):
            raise ArgumentError(f"the constant must be finite, got {constant!r}")
        refuse_asymmetric(operator)

    @property
    def linear(self) -> Any:
        """The linear part: an element, or the number 0."""
        return self._linear.value

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """The upper bound of the operator's norm in the inner product of the space."""
        return norm_in_spaces(self.operator).upper

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """The least eigenvalue of a multiple of the identity or a diagonal; 0 is always a lower bound."""
        if isinstance(self.operator, Identity):
            return 1.0
        if isinstance(self.operator, Scaling):
            return float(np.real(self.operator.factor))
        if isinstance(self.operator, Diagonal):
            return min(float(np.min(as_numpy(part).real)) for part in flat(self.operator.weight))
        return 0.0

    def _add_linear(self, x: Array, factor: Any = 1) -> Array:
        return x if self._linear.number == 0 else x + factor * self._linear.element(x)

    def _value(self, x: Array) -> Array:
        value = pairing(self.domain, self.operator(x), x) / 2
        if self._linear.number != 0:
            value = value + pairing(self.domain, x, self._linear.element(x))
        return value + self.constant if self.constant else value

    def _gradient(self, x: Array, out: Array | None) -> Array:
        return deliver(self._add_linear(self.operator(x)), out)

    def _gradient_operator(self) -> Any:
        if self._linear.number == 0:
            return self.operator
        return self.operator + self._linear.value

    def _hessian(self, x: Array) -> LinearOperator:
        return self.operator

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        target = self._add_linear(x, -1 * step) if self._linear.number != 0 else duplicate(x, None)
        if isinstance(step, float):
            system = Identity(self.domain) + step * self.operator
            try:
                return deliver(system.inverse(target), out)
            except NotSupportedError:
                pass
        solution = conjugate_gradients(self.domain, lambda u: u + step * self.operator(u), target)
        return deliver(solution, out)

    def _conjugate(self) -> Functional:
        try:
            inverse: Any = self.operator.inverse
        except NotSupportedError:
            return super()._conjugate()
        form = QuadraticForm(inverse, None, -self.constant)
        shifted = (
            form
            if self._linear.number == 0
            else form.translated(self._linear.element(_numpy(self.domain)))
        )
        return shifted

    def _dilated(self, factor: complex) -> Functional | None:
        if self._linear.number != 0:
            return None
        return QuadraticForm(abs(factor) ** 2 * self.operator, None, self.constant)

    def _key(self) -> tuple[Any, ...]:
        return self.operator, self._linear, self.constant

    def _children(self) -> tuple[Any, ...]:
        return (self.operator,)

    def _words(self) -> str:
        return str(self.operator)

    def _label(self) -> str:
        return "QuadraticForm"

    def _latex(self) -> printing.Text:
        inner = self.operator._latex().text
        return printing.atom(rf"\tfrac{{1}}{{2}} \langle {inner} \, \cdot, \cdot \rangle")


def refuse_asymmetric(operator: LinearOperator) -> None:
    """An error unless an operator is self-adjoint in the inner product of its space."""
    adjoint = operator.adjoint
    if operator is adjoint or operator == adjoint or isinstance(operator, Scaling):
        return
    x, y = operator.domain.random(seed=0), operator.domain.random(seed=1)
    left = complex(operator.domain.inner(operator(x), y))
    right = complex(operator.domain.inner(x, operator(y)))
    scale = float(operator.domain.norm(operator(x)) * operator.domain.norm(y))
    eps = float(np.finfo(flat(x)[0].dtype).eps)
    if abs(left - right) > 100 * eps**0.75 * max(scale, eps):
        raise ArgumentError(
            f"the operator of a quadratic form must be self-adjoint in the inner product of its space, but "
            f"{operator} is not; take (A + A.adjoint) / 2, which has the same form"
        )


def _weight_field(weight: Any, space: Any) -> Field:
    field = Field(weight, space.real if hasattr(space, "real") else space, "the weight")
    if field.smallest() < 0:
        raise ArgumentError("the weight must be at least 0 everywhere")
    return field


def _numpy(space: Any) -> Array:
    return space.zeros()
