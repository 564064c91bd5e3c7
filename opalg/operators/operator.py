"""Operators between spaces: what a call does, and what every operator can be asked.

The author of an operator writes underscored methods only; checks, batch axes, ``out=``, autograd and
the algebra are done once, here. The constructors of expressions stand above this file, in
`opalg.operators.rewriting`, and register themselves in `algebra`.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from opalg.arrays import (
    Array,
    in_autograd,
    is_array,
    is_torch,
    namespace,
    shares_memory,
    short_repr,
)
from opalg.errors import ArgumentError, NotSupportedError, SpaceMismatchError
from opalg.operators import autograd, norms, printing, workspace
from opalg.operators.costs import Cost
from opalg.operators.scalars import is_scalar, refuse_product
from opalg.spaces import Blocks
from opalg.spaces.parts import flat, leaves
from opalg.values import Value

__all__ = ["LinearOperator", "Operator", "algebra"]


class _Algebra:
    """The constructors of expressions, set by the files that define them."""

    add: Any
    compose: Any
    multiply: Any
    power: Any
    scale: Any
    shift: Any
    transpose: Any
    weigh: Any
    gram: Any
    conjugate: Any
    identity: Any


algebra = _Algebra()


class Operator(Value):
    """A map from one space to another.

    A subclass calls ``super().__init__(domain, range)`` and writes ``_apply``; a non-linear one that is to
    be differentiated writes ``_derivative`` too. Linear operators derive from `LinearOperator`.

    Parameters
    ----------
    domain, range : Space or ProductSpace

    Raises
    ------
    ArgumentError
        If one of them is no space.

    Notes
    -----
    ``_apply(x, out)`` gets an element ``x`` of the domain (batch axes may stand in front) and either
    ``out``, an array for the result, or None. It returns the result: ``out`` itself if there is one, else
    a new array that shares no memory with ``x``. It never changes ``x``.
    """

    __array_ufunc__ = None  # NumPy arrays leave `array + operator` to the operator

    native: bool = False
    """Whether ``_apply(x, None)`` is made of operations that PyTorch can record and differentiate."""
    trainable: bool = False
    """Whether the operator holds tensors that require a gradient."""
    symbol: str = ""
    """LaTeX of the operator's name; the class name without one."""

    domain: Any
    range: Any

    def __init__(self, domain: Any, range: Any) -> None:
        for space in (domain, range):
            if not hasattr(space, "lincomb"):
                raise ArgumentError(
                    f"{type(self).__name__} maps between spaces such as oa.Space or oa.Grid, "
                    f"got {short_repr(space):.80}"
                )
        self.domain = domain
        self.range = range

    # Calling

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """The value of the operator at ``x``.

        Parameters
        ----------
        x : array or Blocks
            Element of ``domain``; axes in front are batch axes.
        out : array or Blocks, optional
            Receives the result; may be ``x``. Not inside autograd.

        Returns
        -------
        array or Blocks
            Element of ``range``, in the library and on the device of ``x``.

        Raises
        ------
        SpaceMismatchError, DtypeError
            If ``x`` or ``out`` is no element of its space.
        ArgumentError
            If ``out`` is read-only, or of another array library than ``x``.
        """
        if not self.domain.accepts(x):
            if isinstance(x, Operator):
                raise NotSupportedError("A(x) applies to arrays; write A @ B to compose operators")
            x = self.domain.check(x, f"the argument of {self}")
        if out is None:
            first = x.first if type(x) is Blocks else x
            if type(first) is not np.ndarray and in_autograd(first):
                return self._trace(x)
            return self._apply(x, None)
        return self._apply_into(x, out)

    def _apply_into(self, x: Array, out: Array) -> Array:
        if not self.range.accepts(out):  # the words of an error are only made when there is one
            out = self.range.check(out, f"out of {self}")
        if self.range.batch_shape(out) != self.domain.batch_shape(x):
            raise SpaceMismatchError(
                f"out must have the batch axes of the argument, {self.domain.batch_shape(x)}, "
                f"got {self.range.batch_shape(out)}"
            )
        if type(x) is np.ndarray and type(out) is np.ndarray:  # nothing to record, and many
            if not out.flags.writeable:
                raise ArgumentError(f"out of {self} is read-only")
            if np.may_share_memory(x, out):
                out[...] = self._apply(x, None)
            else:
                self._apply(x, out)
            return out
        operands, results = flat(x), flat(out)
        for part in results:
            if isinstance(part, np.ndarray) and not part.flags.writeable:
                raise ArgumentError(f"out of {self} is read-only")
        every = operands + results
        if set(map(type, every)) != {np.ndarray}:
            if any(namespace(part) is not namespace(operands[0]) for part in every):
                raise ArgumentError(
                    f"the argument and out of {self} must be of one array library, got "
                    f"{', '.join(sorted({type(part).__name__ for part in every}))}"
                )
            if any(in_autograd(part) and part.requires_grad for part in every):
                raise NotSupportedError(
                    "out= cannot be used while PyTorch records; call without it, or under torch.no_grad()"
                )
        if any(shares_memory(a, b) for a in operands for b in results):
            for target, value in zip(results, flat(self._apply(x, None)), strict=True):
                target[...] = value
        else:
            self._apply(x, out)
        return out

    def _apply(self, x: Array, out: Array | None) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not define _apply")

    def _trace(self, x: Array) -> Array:
        """The value at a tensor, recorded by PyTorch."""
        if self.native:
            return self._apply(x, None)
        return autograd.apply(self, x)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        """``out + scale * self(x)``, in the memory of ``out`` where the library allows it."""
        with workspace.lent(self.range, x, self.domain.batch_shape(x)) as memory:
            value = self._apply(x, memory)
            if scale != 1:
                value *= scale
            out += value
        return out

    # Questions

    def derivative(self, x: Array) -> LinearOperator:
        """The derivative at ``x``, a linear operator from ``domain`` to ``range``.

        Raises
        ------
        NotSupportedError
            If the operator has none.
        """
        return self._derivative(self.domain.check(x, f"the point of the derivative of {self}"))

    def _derivative(self, x: Array) -> LinearOperator:
        raise NotSupportedError(
            f"{self} has no derivative; its class would have to define _derivative"
        )

    @property
    def inverse(self) -> Operator:
        """The inverse operator where a formula is known.

        Raises
        ------
        NotSupportedError
            Where none is known.
        """
        raise NotSupportedError(
            f"no formula is known for the inverse of {self}; solve A(x) = y with a solver, "
            "for example opalg.solvers.CGLS(A)"
        )

    def cost(self) -> Cost:
        """Operations and bytes of one application to one element, roughly."""
        entries = self.domain.size + self.range.size
        return Cost(entries, _nbytes(self.domain) + _nbytes(self.range))

    def tree(self) -> str:
        """The expression as an indented tree with the spaces, data types and cost of each part.

        Examples
        --------
        >>> import opalg as oa
        >>> L = oa.Laplacian(oa.Space(3))
        >>> print((2 * L).tree())
        2 * _    Space (3,) float32 -> Space (3,) float32    12 op, 24 B
        └─ Laplacian    Space (3,) float32 -> Space (3,) float32    9 op, 24 B
        """
        return printing.tree(self)

    # Printing: a text and how tightly it binds

    def _children(self) -> tuple[Operator, ...]:
        return ()

    def _infix(self) -> printing.Text:
        return printing.atom(type(self).__name__)

    def _latex(self) -> printing.Text:
        return printing.atom(self.symbol or rf"\mathrm{{{type(self).__name__}}}")

    def _label(self) -> str:
        return self._infix().text

    def __str__(self) -> str:
        return self._infix().text

    def _repr_latex_(self) -> str:
        return f"${self._latex().text}$"

    # Algebra

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Operator):
            return algebra.compose(self, other)
        if is_array(other):
            raise NotSupportedError("A @ B composes operators; write A(x) to apply to an array")
        return NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        if is_array(other):
            raise NotSupportedError(
                "x @ A has no meaning for an operator; write A.T(x), or oa.MatrixOperator(x) @ A"
            )
        return NotImplemented

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Operator):
            return algebra.add(self, other)
        if is_array(other) or isinstance(other, Blocks):
            return algebra.shift(self, other)
        if is_scalar(other):
            raise NotSupportedError(
                f"{other!r} is no operator; write A + {other!r} * oa.Identity(A.domain), or add an array"
            )
        return NotImplemented

    def __radd__(self, other: Any) -> Any:
        return self.__add__(other)

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Operator):
            return algebra.add(self, algebra.scale(-1, other))
        if is_array(other) or isinstance(other, Blocks):
            if any(is_torch(part) and part.requires_grad for part in flat(other)):
                return -(-self + other)  # keeps the tensor itself, which training will change
            return algebra.shift(self, -other)
        return self.__add__(-other) if is_scalar(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return algebra.scale(-1, self).__add__(other)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Operator):
            return algebra.multiply(self, other)
        if is_scalar(other):
            if isinstance(self, LinearOperator):
                return algebra.scale(other, self)
            return algebra.compose(self, algebra.scale(other, algebra.identity(self.domain)))
        return refuse_product(other)

    def __rmul__(self, other: Any) -> Any:
        return algebra.scale(other, self) if is_scalar(other) else refuse_product(other)

    def __truediv__(self, other: Any) -> Any:
        return algebra.scale(1 / other, self) if is_scalar(other) else NotImplemented

    def __neg__(self) -> Any:
        return algebra.scale(-1, self)

    def __pos__(self) -> Any:
        return self

    def __pow__(self, exponent: Any) -> Any:
        return algebra.power(self, exponent)


class LinearOperator(Operator):
    """A linear map from one space to another, with its transpose.

    A subclass calls ``super().__init__(domain, range)`` and writes ``_apply(x, out)`` and
    ``_apply_transpose(y, out)``, the conjugate transpose of the array map (for real operators the
    transpose). It sets as class attributes what else holds.

    Parameters
    ----------
    domain, range : Space or ProductSpace

    Notes
    -----
    There are two adjoints. ``A.H`` is the conjugate transpose of the array map, ``A.T`` the transpose; for
    real operators they are the same object. ``A.adjoint`` is the adjoint in the inner products of
    ``domain`` and ``range``: ``range.inner(A(x), y) == domain.inner(x, A.adjoint(y))``. In spaces with equal
    constant weights it is ``A.H`` itself. Norms are those of the array map, so ``A.norm() ** 2`` is the norm
    of ``A.H @ A``.

    An operator between a real and a complex space (`RealPart`) is linear over the reals only;
    ``complex_linear`` is False and the adjoints are those of the real part of the inner product.
    """

    exact_adjoint: bool = True
    """Whether ``A.H`` is the transpose to rounding, not an approximation."""
    self_adjoint: bool = False
    """Whether ``A.H`` is ``A``."""
    nonnegative: bool = False
    """Whether all entries of the matrix are real and at least zero."""
    unitary: bool = False
    """Whether ``A.H @ A`` and ``A @ A.H`` are identities."""
    complex_linear: bool = True
    """Whether ``A(1j * x)`` is ``1j * A(x)``; False between real and complex spaces."""

    def __init__(self, domain: Any, range: Any) -> None:
        super().__init__(domain, range)
        if domain.is_mixed or range.is_mixed or domain.is_complex != range.is_complex:
            self.complex_linear = False

    if TYPE_CHECKING:  # linear operators combine to linear operators
        # fmt: off
        @overload
        def __matmul__(self, other: LinearOperator) -> LinearOperator: ...
        @overload
        def __matmul__(self, other: Operator) -> Operator: ...
        def __matmul__(self, other: Any) -> Any: ...
        @overload
        def __add__(self, other: LinearOperator) -> LinearOperator: ...
        @overload
        def __add__(self, other: Operator | Array) -> Operator: ...
        def __add__(self, other: Any) -> Any: ...
        @overload
        def __sub__(self, other: LinearOperator) -> LinearOperator: ...
        @overload
        def __sub__(self, other: Operator | Array) -> Operator: ...
        def __sub__(self, other: Any) -> Any: ...
        @overload
        def __mul__(self, other: complex) -> LinearOperator: ...
        @overload
        def __mul__(self, other: Operator) -> Operator: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: complex) -> LinearOperator: ...
        def __truediv__(self, other: complex) -> LinearOperator: ...
        def __neg__(self) -> LinearOperator: ...
        def __pow__(self, exponent: int) -> LinearOperator: ...
        # fmt: on

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return self.nonnegative or not (self.domain.is_complex or self.range.is_complex)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not define _apply_transpose")

    def _accumulate_transpose(self, y: Array, out: Array, scale: Any = 1) -> Array:
        """``out + scale * self.H(y)``, in the memory of ``out`` where the library allows it."""
        return Operator._accumulate(self.H, y, out, scale)

    # Adjoints

    @cached_property
    def H(self) -> LinearOperator:
        """The conjugate transpose of the array map; ``A.H.H is A``."""
        if self.self_adjoint:
            return self
        transposed = self._transposed()
        transposed.__dict__["H"] = self
        return transposed

    def _transposed(self) -> LinearOperator:
        """A new operator, the conjugate transpose."""
        transposed: LinearOperator = algebra.transpose(self)
        return transposed

    @cached_property
    def T(self) -> LinearOperator:
        """The transpose of the array map, without conjugation; ``A.T.T is A``."""
        if self.real:
            return self.H
        transposed: LinearOperator = algebra.conjugate(self.H)
        transposed.__dict__["T"] = self
        return transposed

    @cached_property
    def adjoint(self) -> LinearOperator:
        """The adjoint in the inner products of ``domain`` and ``range``.

        ``A.adjoint.adjoint is A``. With constant weights it is ``(w_range / w_domain) * A.H``.
        """
        adjoint: LinearOperator = algebra.weigh(self)
        if adjoint.__dict__.setdefault("adjoint", self) is not self:
            # Two operators, equal or not, may have one adjoint: zero operators do.
            adjoint = copy.copy(adjoint)
            adjoint.__dict__["adjoint"] = self
        return adjoint

    @cached_property
    def gram(self) -> LinearOperator:
        """``A.H @ A``, in a faster form where the operator has one."""
        return self._gram()

    def _gram(self) -> LinearOperator:
        found: LinearOperator = algebra.gram(self)
        return found

    def _derivative(self, x: Array) -> LinearOperator:
        return self

    # Norms

    def norm_bounds(self) -> norms.Bounds:
        """Certified bounds (lower, upper) of the norm of the array map; cached by structure.

        ``upper`` is infinite where no bound is known.

        Examples
        --------
        >>> import opalg as oa
        >>> oa.Gradient(oa.Grid((64, 64), spacing=0.5)).norm_bounds().upper < 8**0.5 / 0.5
        True
        """
        return norms.cached(self, "bounds", self._norm_bounds)

    def norm(self) -> float:
        """An estimate of the norm of the array map that lies inside `norm_bounds`."""
        return norms.cached(self, "norm", lambda: norms.estimate(self, self.norm_bounds()))

    def _norm_bounds(self) -> norms.Bounds:
        """What is known of the norm; power sequences in the general case."""
        return norms.measured(self)

    # Matrices

    def to_scipy(self) -> Any:
        """The operator as a ``scipy.sparse.linalg.LinearOperator`` on flat vectors."""
        from opalg.interop.scipy import to_scipy

        return to_scipy(self)


def _nbytes(space: Any) -> int:
    return sum(int(leaf.size * leaf.dtype.itemsize) for leaf in leaves(space))
