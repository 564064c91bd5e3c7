"""Spaces of arrays: shape, data type, axes and inner product. Elements are the arrays themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.arrays import (
    Array,
    Constant,
    as_array,
    as_numpy,
    broadcasts,
    dtype_of,
    is_array,
    namespace,
    native_dtype,
)
from opalg.errors import ArgumentError, DtypeError, NonFiniteError, SpaceMismatchError
from opalg.spaces.elements import Blocks, expand, lincomb
from opalg.spaces.product import ProductSpace
from opalg.values import Value

__all__ = ["Space", "as_shape"]

_DTYPES = ("float32", "float64", "complex64", "complex128")
_COMPLEX = {"float32": "complex64", "float64": "complex128"}
_REAL = {"complex64": "float32", "complex128": "float64"}


def as_shape(shape: int | Sequence[int], what: str = "shape") -> tuple[int, ...]:
    """A shape as a tuple of positive integers, or an error that names ``what``."""
    try:
        extents = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        found = tuple(int(extent) for extent in extents)
        whole = all(a == b for a, b in zip(found, extents, strict=True))
    except (TypeError, ValueError):
        found, whole = (), False
    if not whole or any(extent < 1 for extent in found):
        raise ArgumentError(f"{what} must be positive integers, got {shape!r}")
    return found


class Space(Value):
    """The space of arrays of one shape and data type, with an inner product.

    A space describes arrays and holds none. Its elements are arrays of any library, on any device;
    axes in front of the space's own are batch axes. A space without axis names and with weighting 1
    is *plain*: it says nothing about what the numbers mean, and fits wherever shape and dtype fit.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : {"float32", "float64", "complex64", "complex128"}, default "float32"
    axes : tuple of str, optional
        One name per axis.
    weighting : float or array, default 1.0
        Positive weight *w* of the inner product ``sum(w * x * conj(y))``; an array must broadcast to
        ``shape``.

    Raises
    ------
    ArgumentError
        If the shape, the axis names or the weighting make no sense.
    DtypeError
        If the data type is none of the four.

    Examples
    --------
    >>> X = Space((2, 3), "float64", weighting=0.5)
    >>> x = X.ones()
    >>> float(X.inner(x, x)), float(X.norm(np.ones((4, 2, 3)))[0])
    (3.0, 1.7320508075688772)
    >>> x in X, x.astype("float32") in X
    (True, False)
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[str, ...] | None

    def __init__(
        self,
        shape: int | Sequence[int],
        dtype: npt.DTypeLike = "float32",
        axes: Sequence[str] | None = None,
        weighting: float | Array = 1.0,
    ) -> None:
        self.shape = as_shape(shape)
        self.dtype = _as_dtype(dtype)
        self.axes = _as_axes(axes, len(self.shape))
        self._weighting = _as_weighting(weighting, self.shape, self.dtype)

    # What the space is

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries of an element."""
        return math.prod(self.shape)

    @property
    def weighting(self) -> float | Array:
        """Weight of the inner product: a number, or a read-only array."""
        weight = self._weighting
        return weight.array if isinstance(weight, Constant) else weight

    @property
    def is_complex(self) -> bool:
        """Whether the entries are complex."""
        return self.dtype.kind == "c"

    is_mixed = False  # a product may have real and complex parts

    @property
    def is_plain(self) -> bool:
        """Whether the space says nothing beyond shape and dtype."""
        return type(self) is Space and self.axes is None and self._weighting == 1.0

    @cached_property
    def real(self) -> Space:
        """The space of real arrays of the same precision."""
        return self.astype(_REAL.get(self.dtype.name, self.dtype.name))

    @cached_property
    def complex(self) -> Space:
        """The space of complex arrays of the same precision."""
        return self.astype(_COMPLEX.get(self.dtype.name, self.dtype.name))

    def astype(self, dtype: npt.DTypeLike) -> Space:
        """The same space with another data type."""
        if np.dtype(dtype) == self.dtype:
            return self
        return self._with_dtype(np.dtype(dtype))

    def _with_dtype(self, dtype: np.dtype[Any]) -> Space:
        weight = self.weighting
        if is_array(weight):
            weight = as_numpy(weight).astype(_REAL.get(dtype.name, dtype.name))
        return Space(self.shape, dtype.name, self.axes, weight)

    def _key(self) -> tuple[Any, ...]:
        return self.shape, self.dtype.name, self.axes, self._weighting

    # Elements

    def zeros(self, like: Array | None = None, batch: tuple[int, ...] = ()) -> Array:
        """An element filled with zeros.

        Parameters
        ----------
        like : array, optional
            Gives the array library and the device; NumPy without it.
        batch : tuple of int
            Extents of batch axes in front.
        """
        return self._create("zeros", like, batch)

    def ones(self, like: Array | None = None, batch: tuple[int, ...] = ()) -> Array:
        """An element filled with ones; see `zeros`."""
        return self._create("ones", like, batch)

    def empty(self, like: Array | None = None, batch: tuple[int, ...] = ()) -> Array:
        """An element with arbitrary content; see `zeros`."""
        return self._create("empty", like, batch)

    def _create(self, function: str, like: Array | None, batch: tuple[int, ...]) -> Array:
        try:
            shape = (*batch, *self.shape)
        except TypeError:
            raise ArgumentError(f"batch must be a tuple of extents, got {batch!r}") from None
        if like is None or type(like) is np.ndarray:
            return getattr(np, function)(shape, self.dtype)
        if isinstance(like, Blocks):
            return self._create(function, like.first, batch)
        xp = namespace(like)
        dtype = native_dtype(xp, self.dtype)
        return getattr(xp, function)(shape, dtype=dtype, device=like.device)

    def random(
        self,
        seed: int | np.random.Generator | None = None,
        like: Array | None = None,
        batch: tuple[int, ...] = (),
    ) -> Array:
        """An element with standard normal entries (real and imaginary part each); see `zeros`.

        The same seed gives the same numbers in every array library.
        """
        rng = np.random.default_rng(seed)
        shape = (*batch, *self.shape)
        values = rng.standard_normal(shape)
        if self.is_complex:
            values = values + 1j * rng.standard_normal(shape)
        return self.asarray(values, like)

    def asarray(self, x: Any, like: Array | None = None) -> Array:
        """``x`` as an element of this space: the explicit conversion of values, library and dtype.

        Parameters
        ----------
        x : array_like
            Nested lists, or an array of any library; axes in front are batch axes.
        like : array, optional
            Gives the array library and the device; those of ``x`` without it.

        Raises
        ------
        SpaceMismatchError
            If the shape does not fit.
        DtypeError
            If complex values would lose their imaginary part.
        NonFiniteError
            If finite values overflow in the dtype of this space.
        """
        if not is_array(x):
            try:
                x = np.asarray(x)
            except ValueError as error:
                raise ArgumentError(f"no array can be made of these values: {error}") from None
        x = as_array(x)
        like = like.first if isinstance(like, Blocks) else like
        if dtype_of(x).kind == "c" and not self.is_complex:
            raise DtypeError(
                f"complex values do not fit into {self}; take .real or abs(), or use {self}.complex"
            )
        if tuple(x.shape[max(x.ndim - self.ndim, 0) :]) != self.shape:
            raise SpaceMismatchError(self._complaint(x, "array"))
        if like is not None and namespace(like) is not namespace(x):
            x = as_numpy(x)
        xp = namespace(x)
        # Overflow is reported below with the names of both types, not by a bare warning here.
        with np.errstate(over="ignore"):
            converted = xp.astype(x, native_dtype(xp, self.dtype), copy=False)
        if dtype_of(x) != self.dtype and bool(xp.any(xp.isinf(converted) & ~xp.isinf(x))):
            raise NonFiniteError(f"values overflow when {dtype_of(x)} is converted to {self.dtype}")
        if like is None:
            return converted
        if namespace(like) is np:
            return converted
        xp = namespace(like)
        return xp.asarray(converted, device=like.device)

    def __contains__(self, x: object) -> bool:
        return self.accepts(x)

    def accepts(self, x: Any) -> bool:
        """Whether ``x`` is an array with this space's dtype whose last axes have its shape."""
        try:
            dtype, shape = x.dtype, x.shape
        except AttributeError:
            return False
        if dtype is not self.dtype and (not is_array(x) or dtype_of(x) != self.dtype):
            return False
        own = self.shape
        return shape == own or tuple(shape[max(len(shape) - len(own), 0) :]) == own

    def check(self, x: Any, what: str = "argument") -> Array:
        """``x`` itself if it is an element, else an error that says what is wrong with ``what``.

        Raises
        ------
        SpaceMismatchError, DtypeError
            If ``x`` is no element of this space.
        """
        if self.accepts(x):
            return x
        if not is_array(x):
            described, advice = type(x).__name__, "; convert it with space.asarray(x)"
            # Arrays of a library that only some operators know.
            if hasattr(x, "shape") and hasattr(x, "dtype"):
                described, advice = f"{described} of shape {x.shape} and dtype {x.dtype}", ""
            raise DtypeError(f"{what} must be an array in {self}, got {described}{advice}")
        if dtype_of(x) != self.dtype and tuple(x.shape[max(x.ndim - self.ndim, 0) :]) == self.shape:
            name = dtype_of(x).name
            if name == self.dtype.name:
                name = f"{name} in the byte order of another machine"
            other = f", or build the space with dtype={name!r}" if name in _DTYPES else ""
            raise DtypeError(
                f"{what} must have dtype {self.dtype}, got {name}; convert it with "
                f"space.asarray(x){other}"
            )
        raise SpaceMismatchError(self._complaint(x, what))

    def _complaint(self, x: Array, what: str) -> str:
        return (
            f"{what} must have shape {self.shape} (batch axes may stand in front) to lie in {self}, "
            f"got shape {tuple(x.shape)}"
        )

    def batch_shape(self, x: Array) -> tuple[int, ...]:
        """The extents of the batch axes of an element."""
        batch = len(x.shape) - len(self.shape)
        return tuple(x.shape[:batch]) if batch else ()

    # Linear algebra

    def inner(self, x: Array, y: Array) -> Array:
        """Inner product ``sum(w * x * conj(y))``, one value per batch entry; linear in ``x``.

        Parameters
        ----------
        x, y : array
            Elements with the same batch axes.

        Returns
        -------
        array
            Of the shape of the batch axes (0-d without any).

        Raises
        ------
        SpaceMismatchError, DtypeError
            If ``x`` or ``y`` is no element, or they differ in their batch axes.
        """
        self.check(x, "x"), self.check(y, "y")
        if x.shape != y.shape:
            raise SpaceMismatchError(
                f"x and y must have the same batch axes, got {self.batch_shape(x)} and "
                f"{self.batch_shape(y)}"
            )
        weight = self._weighting
        if isinstance(weight, float):
            value = _plain_inner(x, y, self.ndim)
            return value if weight == 1.0 else value * weight
        return _plain_inner(x * weight.like(x), y, self.ndim)

    def norm(self, x: Array) -> Array:
        """Norm ``sqrt(inner(x, x))``, one real value per batch entry."""
        value = self.inner(x, x)
        xp = namespace(value) if is_array(value) else np
        return xp.sqrt(xp.real(value) if self.is_complex else value)

    def expand(self, factor: Any) -> Any:
        """A number per batch entry, shaped to multiply elements; plain numbers pass through."""
        return expand(factor, self.ndim)

    def lincomb(
        self, a: Any, x: Array, b: Any = None, y: Array | None = None, out: Array | None = None
    ) -> Array:
        """``a * x + b * y``, with one number ``a``, ``b`` per batch entry, or one for all.

        Parameters
        ----------
        a, b : number or array of the batch shape
        x, y : array
            Elements; without ``y`` the result is ``a * x``.
        out : array, optional
            Receives the result, may be ``x`` or ``y``; no temporary array of its size is made.
            Without it the result is new, and differentiable in PyTorch.
        """
        return lincomb(a, x, b, y, out, self.ndim)

    # Algebra of spaces

    def __mul__(self, other: Any) -> Any:
        return ProductSpace(self, other) if hasattr(other, "lincomb") else NotImplemented

    def __pow__(self, count: int) -> Any:
        return ProductSpace.power(self, count)

    def __str__(self) -> str:
        axes = "" if self.axes is None else f" [{', '.join(self.axes)}]"
        return f"{type(self).__name__} {self.shape}{axes} {self.dtype}"


def _as_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        name = np.dtype(dtype).name if dtype is not None else "None"
    except TypeError:
        name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise DtypeError(f"dtype must be one of {', '.join(_DTYPES)}, got {name}")
    return np.dtype(name)


def _as_axes(axes: Any, ndim: int) -> tuple[str, ...] | None:
    if axes is None:
        return None
    try:
        names = tuple(axes)
    except TypeError:
        names = ()
    if len(names) != ndim or len(set(names)) != ndim or not all(isinstance(n, str) for n in names):
        raise ArgumentError(f"{ndim} axis names are needed, each another text, got {axes!r}")
    return names


def _as_weighting(weighting: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> float | Constant:
    if not is_array(weighting) or weighting.ndim == 0:
        try:
            weight = float(weighting)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"weighting must be a number or an array, got {weighting!r}"
            ) from None
        if not (math.isfinite(weight) and weight > 0):
            raise ArgumentError(f"weighting must be positive and finite, got {weighting!r}")
        return weight
    real = np.dtype(_REAL.get(dtype.name, dtype.name))
    if dtype_of(weighting) != real:
        raise DtypeError(f"weighting must have dtype {real}, got {dtype_of(weighting)}")
    if not broadcasts(tuple(weighting.shape), shape):
        raise ArgumentError(
            f"weighting must broadcast to {shape}, got shape {tuple(weighting.shape)}"
        )
    values = as_numpy(weighting)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ArgumentError("weighting must be positive and finite everywhere")
    return Constant(weighting)


def _plain_inner(x: Array, y: Array, ndim: int) -> Array:
    if isinstance(x, np.ndarray):
        if x.ndim == ndim:
            return np.vdot(y, x)
        batch = x.shape[: x.ndim - ndim]
        values = [np.vdot(y[i], x[i]) for i in np.ndindex(batch)]
        return np.array(values, x.dtype).reshape(batch)
    xp = namespace(x)
    product = x * xp.conj(y) if xp.isdtype(x.dtype, "complex floating") else x * y
    axes = tuple(range(x.ndim - ndim, x.ndim))
    return xp.sum(product, axis=axes) if axes else product
