"""To and from ODL, the Operator Discretization Library: spaces, operators and functionals.

Weighted inner products are carried over, so that adjoints, gradients and proximal maps mean the same on both
sides. ODL's elements wrap the arrays of opalg's, without a copy.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, copy, is_array, namespace
from opalg.errors import ArgumentError, MissingExtraError, NotSupportedError
from opalg.functionals import Functional
from opalg.interop.adjoints import adjoint_is_exact
from opalg.operators import LinearOperator, Operator, printing
from opalg.spaces import Blocks, Grid, ProductSpace, Space

__all__ = ["from_odl", "to_odl"]


def to_odl(thing: Any) -> Any:
    """A space, operator or functional as one of ODL.

    Parameters
    ----------
    thing : Space, ProductSpace, Operator or Functional

    Returns
    -------
    odl.TensorSpace, odl.DiscretizedSpace, odl.ProductSpace, odl.Operator or odl.functionals.Functional
        A `Grid` becomes a uniform discretisation with the same axis order and cell volume. The operator's
        ``adjoint`` is ``A.adjoint``, its ``derivative`` and ``inverse`` are those of ``A``; the functional
        offers ``gradient``, ``proximal`` and ``convex_conj`` as far as the original does.

    Raises
    ------
    MissingExtraError
        If ODL is not installed.
    ArgumentError
        For anything else.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg.interop import to_odl
    >>> A = to_odl(oa.Gradient(oa.Grid((4, 6), spacing=0.5)))
    >>> A.domain.cell_volume, len(A.range), A.is_linear
    (0.25, 2, True)
    >>> x, y = A.domain.one(), A.range.one()
    >>> abs(A(x).inner(y) - x.inner(A.adjoint(y))) < 1e-6
    True
    """
    if isinstance(thing, (Space, ProductSpace)):
        return _space_to_odl(thing)
    if isinstance(thing, (Operator, Functional)):
        view = _views()[isinstance(thing, Functional)]
        return view(thing)
    raise ArgumentError(
        f"to_odl takes a space, an operator or a functional, got {type(thing).__name__}"
    )


def from_odl(thing: Any) -> Any:
    """A space or operator of ODL as one of this library.

    Parameters
    ----------
    thing : odl.TensorSpace, odl.DiscretizedSpace, odl.ProductSpace or odl.Operator
        Of NumPy arrays, with constant or array weighting.

    Returns
    -------
    Space, Grid, ProductSpace, Operator or LinearOperator
        A uniform discretisation becomes a `Grid`; the weights of a product are multiplied to those of its
        parts. What came from `to_odl` is given back.

    Raises
    ------
    MissingExtraError
        If ODL is not installed.
    NotSupportedError
        If a space has another kind of inner product, array library or data type.
    ArgumentError
        For anything else.

    Notes
    -----
    ``A.adjoint`` is ODL's adjoint and ``A.H`` is derived from it by the weights. Whether they fit ``A`` is
    measured once, at one random element, and told by ``A.exact_adjoint``.

    Examples
    --------
    >>> import numpy as np, odl
    >>> from opalg.interop import from_odl
    >>> D = from_odl(
    ...     odl.PartialDerivative(odl.uniform_discr(0, 1, 4), axis=0, pad_mode="symmetric")
    ... )
    >>> D(np.array([1.0, 2.0, 4.0, 7.0])).tolist(), D.domain.spacing, D.exact_adjoint
    ([4.0, 8.0, 12.0, 0.0], (0.25,), True)
    """
    odl = import_odl()
    if isinstance(thing, odl.core.set.LinearSpace):
        return _space_from_odl(thing)
    if isinstance(thing, odl.Operator):
        original = getattr(thing, "opalg", None)
        if original is not None:
            return original
        return (OdlLinearOperator if thing.is_linear else OdlOperator)(thing)
    raise ArgumentError(f"from_odl takes a space or an operator, got {type(thing).__name__}")


@cache
def import_odl() -> Any:
    """The package, or an error that says how to get it."""
    options = np.get_printoptions()
    try:
        import odl
    except ImportError:
        raise MissingExtraError("ODL is not installed: pip install opalg[peers]") from None
    finally:
        # Importing ODL sets NumPy's printing to that of version 1.13, for everybody.
        np.set_printoptions(**options)
    return odl


# Spaces and their elements


def _space_to_odl(space: Any) -> Any:
    odl = import_odl()
    if isinstance(space, ProductSpace):
        return odl.ProductSpace(*map(_space_to_odl, space))
    weight = space.weighting
    weight = as_numpy(weight) if is_array(weight) else weight
    if is_array(weight):
        weight = np.broadcast_to(weight, space.shape).copy()
    words = {"dtype": space.dtype.name, "weighting": weight}
    if not isinstance(space, Grid):
        return odl.tensor_space(space.shape, **words)
    half = np.array(space.extent) / 2
    centre = np.array(space.origin)
    return odl.uniform_discr(
        centre - half, centre + half, space.shape, axis_labels=space.axes, **words
    )


def _space_from_odl(space: Any, factor: float = 1.0) -> Any:
    odl = import_odl()
    if isinstance(space, odl.ProductSpace):
        weights = _weight(space, space.weighting)
        weights = np.broadcast_to(weights, len(space))
        parts = (_space_from_odl(s, factor * float(w)) for s, w in zip(space, weights, strict=True))
        return ProductSpace(*parts)
    if getattr(space, "impl", None) != "numpy":
        raise NotSupportedError(f"spaces of NumPy arrays are supported, got {space!r:.200}")
    weight = _weight(space, space.weighting)
    dtype = np.dtype(space.dtype)
    if dtype.name not in {"float32", "float64", "complex64", "complex128"}:
        raise NotSupportedError(f"spaces of dtype {dtype} are not supported: {space!r:.200}")
    weight = weight * factor
    if is_array(weight):
        weight = weight.astype(dtype.type(0).real.dtype)
    if not getattr(space, "is_uniform", False):
        return Space(space.shape, dtype.name, weighting=weight)
    axes = tuple(label.strip("$") for label in space.axis_labels)
    centre = [(points[0] + points[-1]) / 2 for points in space.grid.coord_vectors]
    return Grid(space.shape, space.cell_sides, dtype.name, centre, axes, weight)


def _weight(space: Any, weighting: Any) -> Any:
    for name in ("const", "array"):
        value = getattr(weighting, name, None)
        if value is not None and getattr(weighting, "exponent", 2) == 2:
            return value
    raise NotSupportedError(
        f"inner products with a constant or an array as weight are supported, got {space!r:.200}"
    )


def _wrap(space: Any, x: Array) -> Any:
    """An array, or `Blocks`, as an element of a space of ODL."""
    if isinstance(x, tuple):
        return space.element([_wrap(part, value) for part, value in zip(space, x, strict=True)])
    return space.element(np.ascontiguousarray(as_numpy(x)))


def _unwrap(x: Any) -> Array:
    """The array, or `Blocks` of arrays, in an element of ODL."""
    return x.data if hasattr(x, "data") else Blocks(_unwrap(part) for part in x)


# Operators of ODL


class _OdlLeaf(Operator):
    def __init__(self, operator: Any) -> None:
        super().__init__(_space_from_odl(operator.domain), _space_from_odl(operator.range))
        self.operator = operator

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _run(self.operator, x, out, self.domain, self.range)

    def _derivative(self, x: Array) -> LinearOperator:
        if self.domain.batch_shape(x):
            raise NotSupportedError(
                f"the derivative of {self} at a batch of points is not supported"
            )
        try:
            return OdlLinearOperator(self.operator.derivative(_wrap(self.operator.domain, x)))
        except NotImplementedError:
            return super()._derivative(x)

    def _infix(self) -> printing.Text:
        return printing.atom(type(self.operator).__name__)


class OdlOperator(_OdlLeaf):
    """An operator of ODL that is not linear; made by `from_odl`."""


class OdlLinearOperator(_OdlLeaf, LinearOperator):
    """A linear operator of ODL; made by `from_odl`."""

    def __init__(self, operator: Any) -> None:
        super().__init__(operator)
        self.complex_linear = self.domain.is_complex == self.range.is_complex
        self.exact_adjoint = adjoint_is_exact(self)

    def _derivative(self, x: Array) -> LinearOperator:
        return self

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        try:
            adjoint = self.operator.adjoint
        except NotImplementedError as error:
            raise NotSupportedError(f"ODL knows no adjoint of {self.operator!r:.200}") from error
        # <A x, y> in the weighted spaces is <x, adjoint y>, hence A.H = W_domain adjoint W_range^-1.
        value = _weighted(y, self.range, -1)
        value = _run(adjoint, value, None, self.range, self.domain)
        value = _weighted(value, self.domain, 1)
        return value if out is None else _copy(value, out)


def _run(operator: Any, x: Array, out: Array | None, source: Any, target: Any) -> Array:
    batch = source.batch_shape(x)
    result = target.empty(like=x, batch=batch) if out is None else out
    for index in np.ndindex(batch):
        value = operator(_wrap(operator.domain, _entry(x, index)))
        _store(_unwrap(value), result, index)
    return result


def _entry(x: Array, index: tuple[int, ...]) -> Array:
    if isinstance(x, tuple):
        return Blocks(_entry(part, index) for part in x)
    return as_numpy(x)[index]


def _store(value: Array, result: Array, index: tuple[int, ...]) -> None:
    if isinstance(result, tuple):
        for part, target in zip(value, result, strict=True):
            _store(part, target, index)
    else:
        values = np.asarray(value)
        is_numpy = isinstance(result, np.ndarray)
        result[(*index, Ellipsis)] = (
            values if is_numpy else namespace(result).asarray(values.copy())
        )


def _weighted(x: Array, space: Any, exponent: int) -> Array:
    if isinstance(space, ProductSpace):
        return Blocks(_weighted(part, own, exponent) for part, own in zip(x, space, strict=True))
    weight = space.weighting
    if is_array(weight) and not isinstance(x, np.ndarray):
        weight = namespace(x).asarray(as_numpy(weight).copy())
    return x * weight if exponent == 1 else x / weight


def _copy(x: Array, out: Array) -> Array:
    if isinstance(out, tuple):
        return Blocks(_copy(part, target) for part, target in zip(x, out, strict=True))
    return copy(x, out)


# Operators and functionals in ODL's clothes


@cache
def _views() -> tuple[Any, Any]:
    odl = import_odl()

    class OperatorView(odl.Operator):  # type: ignore[misc, name-defined]
        """An operator of this library as one of ODL."""

        def __init__(self, operator: Operator) -> None:
            domain, range = _space_to_odl(operator.domain), _space_to_odl(operator.range)
            super().__init__(domain, range, linear=isinstance(operator, LinearOperator))
            self.opalg = operator

        def _call(self, x: Any, out: Any) -> Any:
            self.opalg(_unwrap(x), out=_unwrap(out))
            return out

        @property
        def adjoint(self) -> Any:
            if not isinstance(self.opalg, LinearOperator):
                raise odl.OpNotImplementedError(f"{self.opalg} is not linear: it has no adjoint")
            return OperatorView(self.opalg.adjoint)

        @property
        def inverse(self) -> Any:
            return OperatorView(self.opalg.inverse)

        def derivative(self, point: Any) -> Any:
            return OperatorView(self.opalg.derivative(_unwrap(self.domain.element(point))))

        def __repr__(self) -> str:
            return f"to_odl({self.opalg!r})"

    class FunctionalView(odl.functionals.Functional):  # type: ignore[misc, name-defined]
        """A functional of this library as one of ODL."""

        def __init__(self, functional: Functional) -> None:
            super().__init__(_space_to_odl(functional.domain), grad_lipschitz=functional.lipschitz)
            self.opalg = functional

        def _call(self, x: Any) -> float:
            return float(self.opalg(_unwrap(x)))

        @property
        def gradient(self) -> Any:
            return OperatorView(self.opalg.gradient)

        @property
        def proximal(self) -> Any:
            return lambda sigma: OperatorView(
                self.opalg.prox(_unwrap(sigma) if hasattr(sigma, "space") else sigma)
            )

        @property
        def convex_conj(self) -> Any:
            return FunctionalView(self.opalg.convex_conjugate)

        def __repr__(self) -> str:
            return f"to_odl({self.opalg!r})"

    return OperatorView, FunctionalView
