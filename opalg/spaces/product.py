"""Products of spaces; their elements are `Blocks`, one array (or `Blocks`) per part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, SpaceMismatchError
from opalg.spaces.elements import Blocks
from opalg.values import Value

__all__ = ["ProductSpace"]


class ProductSpace(Value):
    """The product of spaces; an element is a `Blocks` with one entry per part.

    ``X * Y`` is ``ProductSpace(X, Y)`` and ``X ** n`` has n equal parts. Products nest: ``X * Y * Z`` is
    ``(X * Y) * Z``, a pair whose first part is a pair; ``ProductSpace(X, Y, Z)`` has three parts.
    The inner product is the sum over the parts.

    Parameters
    ----------
    *spaces : Space or ProductSpace

    Raises
    ------
    ArgumentError
        If no space is given, or something that is none.

    Examples
    --------
    >>> import opalg as oa
    >>> X, Y = oa.Space((2, 3)), oa.Space(4, "float64")
    >>> u = (X * Y).zeros()
    >>> [part.shape for part in u], u in X * Y
    ([(2, 3), (4,)], True)
    """

    spaces: tuple[Any, ...]

    def __init__(self, *spaces: Any) -> None:
        if not spaces or not all(hasattr(space, "lincomb") for space in spaces):
            raise ArgumentError(f"ProductSpace takes one or more spaces, got {spaces!r}")
        self.spaces = spaces

    @staticmethod
    def power(space: Any, count: int) -> ProductSpace:
        """The product of ``count`` copies of ``space``; also written ``space ** count``."""
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise ArgumentError(f"a power of a space needs a positive integer, got {count!r}")
        return ProductSpace(*[space] * int(count))

    # What the space is

    @property
    def is_power(self) -> bool:
        """Whether all parts are equal."""
        return all(space == self.spaces[0] for space in self.spaces[1:])

    @property
    def size(self) -> int:
        """Number of entries of an element, all parts together."""
        return sum(space.size for space in self.spaces)

    @property
    def is_complex(self) -> bool:
        """Whether any part is complex."""
        return any(space.is_complex for space in self.spaces)

    @cached_property
    def is_mixed(self) -> bool:
        """Whether some parts are real and some complex."""
        return any(space.is_mixed or space.is_complex != self.is_complex for space in self.spaces)

    @property
    def is_plain(self) -> bool:
        """Whether all parts are plain."""
        return all(space.is_plain for space in self.spaces)

    @cached_property
    def real(self) -> ProductSpace:
        """The product of the real counterparts."""
        return ProductSpace(*(space.real for space in self.spaces))

    @cached_property
    def complex(self) -> ProductSpace:
        """The product of the complex counterparts."""
        return ProductSpace(*(space.complex for space in self.spaces))

    def astype(self, dtype: Any) -> ProductSpace:
        """The same product with another data type in all parts."""
        return ProductSpace(*(space.astype(dtype) for space in self.spaces))

    def __len__(self) -> int:
        return len(self.spaces)

    def __getitem__(self, index: int) -> Any:
        return self.spaces[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.spaces)

    # Elements

    def zeros(self, like: Array | None = None, batch: tuple[int, ...] = ()) -> Blocks:
        """`Blocks` of zeros; see `Space.zeros`."""
        return Blocks(space.zeros(like, batch) for space in self.spaces)

    def ones(self, like: Array | None = None, batch: tuple[int, ...] = ()) -> Blocks:
        """`Blocks` of ones; see `Space.zeros`."""
        return Blocks(space.ones(like, batch) for space in self.spaces)

    def empty(self, like: Array | None = None, batch: tuple[int, ...] = ()) -> Blocks:
        """`Blocks` with arbitrary content; see `Space.zeros`."""
        return Blocks(space.empty(like, batch) for space in self.spaces)

    def random(
        self,
        seed: int | np.random.Generator | None = None,
        like: Array | None = None,
        batch: tuple[int, ...] = (),
    ) -> Blocks:
        """`Blocks` with standard normal entries; see `Space.random`."""
        rng = np.random.default_rng(seed)
        return Blocks(space.random(rng, like, batch) for space in self.spaces)

    def asarray(self, x: Any, like: Array | None = None) -> Blocks:
        """A sequence of array-likes as an element; see `Space.asarray`."""
        self._check_length(x, "argument")
        return Blocks(space.asarray(part, like) for space, part in zip(self.spaces, x, strict=True))

    def __contains__(self, x: object) -> bool:
        return self.accepts(x)

    def accepts(self, x: Any) -> bool:
        """Whether ``x`` is a `Blocks` whose parts lie in the parts, with the same batch axes."""
        if not isinstance(x, Blocks) or len(x) != len(self.spaces):
            return False
        batch = None  # a loop, as it is asked in every call of an operator
        for space, part in zip(self.spaces, x, strict=True):
            if not space.accepts(part):
                return False
            own = space.batch_shape(part)
            if batch is not None and own != batch:
                return False
            batch = own
        return True

    def check(self, x: Any, what: str = "argument") -> Blocks:
        """``x`` as a `Blocks` if it is an element (a plain tuple will do), else a helpful error.

        Raises
        ------
        SpaceMismatchError, DtypeError
            If ``x`` is no element of this space.
        """
        if self.accepts(x):
            return x
        self._check_length(x, what)
        parts = Blocks(
            space.check(part, f"part {i} of {what}")
            for i, (space, part) in enumerate(zip(self.spaces, x, strict=True))
        )
        batches = [space.batch_shape(part) for space, part in zip(self.spaces, parts, strict=True)]
        if len(set(batches)) != 1:
            raise SpaceMismatchError(
                f"the parts of {what} must have the same batch axes, got {batches}"
            )
        return parts

    def _check_length(self, x: Any, what: str) -> None:
        if not isinstance(x, (tuple, list)):
            raise SpaceMismatchError(
                f"{what} must be Blocks of {len(self)} arrays to lie in {self}, "
                f"got {type(x).__name__}"
            )
        if len(x) != len(self):
            raise SpaceMismatchError(
                f"{what} must have {len(self)} parts to lie in {self}, got {len(x)}"
            )

    def batch_shape(self, x: Blocks) -> tuple[int, ...]:
        """The extents of the batch axes of an element."""
        return self.spaces[0].batch_shape(x[0])

    # Linear algebra

    def inner(self, x: Blocks, y: Blocks) -> Array:
        """Sum of the inner products of the parts; see `Space.inner`."""
        x, y = self.check(x, "x"), self.check(y, "y")
        values = [space.inner(a, b) for space, a, b in zip(self.spaces, x, y, strict=True)]
        return sum(values[1:], values[0])

    def norm(self, x: Blocks) -> Array:
        """Square root of the sum of the squared norms of the parts; see `Space.norm`."""
        x = self.check(x, "x")
        squares = [space.norm(a) ** 2 for space, a in zip(self.spaces, x, strict=True)]
        return sum(squares[1:], squares[0]) ** 0.5

    def expand(self, factor: Any) -> Any:
        """A number per batch entry, shaped to multiply elements; plain numbers pass through."""
        if not getattr(factor, "ndim", 0):
            return factor
        return Blocks(space.expand(factor) for space in self.spaces)

    def lincomb(
        self, a: Any, x: Blocks, b: Any = None, y: Blocks | None = None, out: Blocks | None = None
    ) -> Blocks:
        """``a * x + b * y`` part by part; see `Space.lincomb`."""
        return Blocks(
            space.lincomb(a, x[i], b, None if y is None else y[i], None if out is None else out[i])
            for i, space in enumerate(self.spaces)
        )

    # Algebra of spaces

    def __mul__(self, other: Any) -> ProductSpace:
        return ProductSpace(self, other) if hasattr(other, "lincomb") else NotImplemented

    def __pow__(self, count: int) -> ProductSpace:
        return ProductSpace.power(self, count)

    def __str__(self) -> str:
        if len(self) > 1 and self.is_power:
            return f"({self.spaces[0]}) ** {len(self)}"
        return " * ".join(f"({space})" for space in self.spaces)
