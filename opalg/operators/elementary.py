"""The simplest leaves: identity, zero, scaling by a number, multiplication by an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, Constant, as_numpy, broadcasts, copy, dtype_of, is_array, multiply
from opalg.errors import ArgumentError, DtypeError, NonFiniteError, NotSupportedError
from opalg.operators import printing
from opalg.operators.costs import Cost
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator
from opalg.operators.scalars import as_scalar, conjugate
from opalg.spaces import Blocks, Space

__all__ = ["Diagonal", "Identity", "Scaling", "Zero"]


class Identity(LinearOperator):
    """The identity of a space.

    Parameters
    ----------
    space : Space or ProductSpace

    Examples
    --------
    >>> import opalg as oa
    >>> I = oa.Identity(oa.Space(3))
    >>> A = oa.Gradient(oa.Grid((3, 3)))
    >>> I @ I is I, (A @ oa.Identity(A.domain)) is A
    (True, True)
    """

    native = True
    self_adjoint = True
    unitary = True
    nonnegative = True
    symbol = "I"

    def __init__(self, space: Any) -> None:
        super().__init__(space, space)

    @property
    def inverse(self) -> Identity:
        """The identity itself."""
        return self

    def _gram(self) -> LinearOperator:
        return self

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _copy(x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return _copy(y, out)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        out += x if scale == 1 else scale * x
        return out

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)


class Scaling(LinearOperator):
    """Multiplication by a number.

    Parameters
    ----------
    space : Space or ProductSpace
    factor : number
        A complex factor needs a complex space; it is conjugated in the adjoint.

    Raises
    ------
    ArgumentError
        If the factor is not finite, or complex on a real space.

    Examples
    --------
    >>> import opalg as oa
    >>> S = oa.Scaling(oa.Space(2, "complex64"), 2j)
    >>> S(np.ones(2, "complex64")).tolist(), S.H(np.ones(2, "complex64")).tolist()
    ([2j, 2j], [-2j, -2j])
    """

    native = True

    def __init__(self, space: Any, factor: complex) -> None:
        super().__init__(space, space)
        self.factor = as_scalar(factor, space)
        self.self_adjoint = conjugate(self.factor) == self.factor
        self.unitary = abs(self.factor) == 1
        self.nonnegative = isinstance(self.factor, float) and self.factor >= 0

    @property
    def inverse(self) -> Scaling:
        """Multiplication by the reciprocal."""
        if self.factor == 0:
            raise NotSupportedError("scaling by zero has no inverse")
        return Scaling(self.domain, 1 / self.factor)

    def _transposed(self) -> LinearOperator:
        return Scaling(self.domain, conjugate(self.factor))

    def _gram(self) -> LinearOperator:
        return Scaling(self.domain, abs(self.factor) ** 2)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _multiply(x, self.factor, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return _multiply(y, conjugate(self.factor), out)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        out += (scale * self.factor) * x
        return out

    def _norm_bounds(self) -> Bounds:
        return Bounds(abs(self.factor), abs(self.factor))

    def _infix(self) -> printing.Text:
        return printing.scaled(self.factor, printing.atom("Identity"))

    def _latex(self) -> printing.Text:
        return printing.scaled(self.factor, printing.atom("I"), latex=True)


class Zero(LinearOperator):
    """The operator that maps everything to zero.

    Parameters
    ----------
    domain : Space or ProductSpace
    range : Space or ProductSpace, optional
        The domain by default.

    Examples
    --------
    >>> import opalg as oa
    >>> oa.Zero(oa.Space(2), oa.Space(3))(np.ones(2, "float32"))
    array([0., 0., 0.], dtype=float32)
    """

    nonnegative = True
    symbol = "0"

    def __init__(self, domain: Any, range: Any | None = None) -> None:
        super().__init__(domain, domain if range is None else range)
        self.self_adjoint = self.domain == self.range

    def _transposed(self) -> LinearOperator:
        return Zero(self.range, self.domain)

    def _gram(self) -> LinearOperator:
        return Zero(self.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _zeros(self.domain, self.range, x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return _zeros(self.range, self.domain, y, out)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        return out

    def _norm_bounds(self) -> Bounds:
        return Bounds(0.0, 0.0)

    def _key(self) -> tuple[Any, ...]:
        return self.domain, self.range


class Diagonal(LinearOperator):
    """Pointwise multiplication by an array.

    Parameters
    ----------
    weight : array
        Broadcasts to the shape of the space. A torch tensor that requires a gradient is trained through.
    domain : Space, optional
        By default the plain space of the shape and dtype of ``weight``, which fits any space of
        that shape and dtype in an expression.

    Raises
    ------
    ArgumentError
        If ``weight`` does not broadcast to the shape of the space.
    DtypeError
        If the precisions differ, or ``weight`` is complex and the space real.
    NonFiniteError
        If ``weight`` holds NaN or infinity (a division by zero?).

    Examples
    --------
    >>> import opalg as oa
    >>> D = oa.Diagonal(np.array([1.0, 2.0, 4.0]))
    >>> D(np.ones(3)).tolist(), D.inverse(np.ones(3)).tolist(), D.norm()
    ([1.0, 2.0, 4.0], [1.0, 0.5, 0.25], 4.0)
    """

    native = True
    symbol = "D"

    def __init__(self, weight: Array, domain: Space | None = None) -> None:
        if not is_array(weight):
            raise DtypeError(f"the weight must be an array, got {type(weight).__name__}")
        if domain is None:
            domain = Space(tuple(weight.shape), dtype_of(weight))
        super().__init__(domain, domain)
        self._check(weight, domain)
        self._weight = Constant(weight)
        values = as_numpy(weight)
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise NonFiniteError(
                f"the weight of Diagonal holds {count} entries that are NaN or infinite; "
                "clip the divisor if it is a reciprocal"
            )
        real = values.dtype.kind != "c"
        self.trainable = self._weight.trainable
        self.self_adjoint = real
        self.nonnegative = bool(real and not self.trainable and (values >= 0).all())

    @staticmethod
    def _check(weight: Array, domain: Space) -> None:
        if not broadcasts(tuple(weight.shape), domain.shape):
            raise ArgumentError(
                f"the weight of Diagonal must broadcast to {domain.shape}, got shape {tuple(weight.shape)}"
            )
        if dtype_of(weight) not in {domain.dtype, domain.real.dtype}:
            raise DtypeError(
                f"the weight of Diagonal must have dtype {domain.dtype} to act on {domain}, "
                f"got {dtype_of(weight)}; convert it with domain.asarray(weight)"
            )

    @property
    def weight(self) -> Array:
        """The array of factors; read-only for NumPy."""
        return self._weight.array

    @property
    def inverse(self) -> Diagonal:
        """Multiplication by the reciprocals."""
        if bool((self.weight == 0).any()):
            raise NotSupportedError("the weight of Diagonal has zeros, so it has no inverse")
        return Diagonal(1 / self.weight, self.domain)

    def _transposed(self) -> LinearOperator:
        if self.trainable:  # what is computed from the weight now would not follow its training
            return super()._transposed()
        return Diagonal(self.weight.conj(), self.domain)

    def _gram(self) -> LinearOperator:
        if self.trainable:
            return super()._gram()
        weight = self.weight
        square = weight * weight if self.self_adjoint else abs(weight) ** 2
        return Diagonal(square, self.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return multiply(x, self._weight.like(x), out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        weight = self._weight.like(y)
        return multiply(y, weight if self.self_adjoint else weight.conj(), out)

    def _norm_bounds(self) -> Bounds:
        top = float(abs(as_numpy(self.weight)).max())
        return Bounds(top, top)

    def cost(self) -> Cost:
        """What the parts cost together."""
        size, itemsize = self.domain.size, self.domain.dtype.itemsize
        return Cost(size, (2 * size + int(np.prod(self.weight.shape))) * itemsize)

    def _key(self) -> tuple[Any, ...]:
        return self._weight, self.domain


def _copy(x: Array, out: Array | None) -> Array:
    if isinstance(x, Blocks):
        return Blocks(_copy(part, None if out is None else out[i]) for i, part in enumerate(x))
    return copy(x, out)


def _multiply(x: Array, factor: Any, out: Array | None) -> Array:
    if isinstance(x, Blocks):
        return Blocks(
            _multiply(part, factor, None if out is None else out[i]) for i, part in enumerate(x)
        )
    return multiply(x, factor, out)


def _zeros(source: Any, target: Any, x: Array, out: Array | None) -> Array:
    if out is None:
        return target.zeros(like=x, batch=source.batch_shape(x))
    for part in out.flatten() if isinstance(out, Blocks) else [out]:
        part[...] = 0
    return out
