"""The operator under test, with samples, tolerances and the few measures that the checks share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from opalg.arrays import as_numpy
from opalg.operators import LinearOperator, Operator
from opalg.spaces import Blocks
from opalg.spaces.parts import flat, leaves
from opalg.testing.report import CheckFailure

__all__ = ["CHECKS", "Case", "Check", "check", "fail"]

_DENSE_COLUMNS, _DENSE_ENTRIES = 400, 400_000


class Check(NamedTuple):
    """A named check and the operators that it fits."""

    name: str
    run: Callable[[Case], None]
    fits: Callable[[Operator], bool]


CHECKS: list[Check] = []


def check(fits: Callable[[Operator], bool]) -> Callable[[Callable[[Case], None]], Any]:
    """Decorator: list a function ``check_<name>(case)`` among the checks for operators that fit."""

    def enlist(function: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS.append(Check(function.__name__.removeprefix("check_"), function, fits))
        return function

    return enlist


def fail(message: str) -> None:
    """End a check: the operator is wrong."""
    raise CheckFailure(message)


class Case:
    """An operator and what is needed to ask it questions.

    Parameters
    ----------
    operator : Operator
    seed : int
        Seed of all samples.
    """

    def __init__(self, operator: Operator, seed: int = 0) -> None:
        self.operator: Any = operator
        self.seed = seed
        self.linear = isinstance(operator, LinearOperator)

    @cached_property
    def dtypes(self) -> list[np.dtype[Any]]:
        """All data types of domain and range."""
        return [s.dtype for s in leaves(self.operator.domain) + leaves(self.operator.range)]

    @property
    def is_double(self) -> bool:
        """Whether everything happens in double precision."""
        return all(dtype.name in {"float64", "complex128"} for dtype in self.dtypes)

    @property
    def tolerance(self) -> float:
        """Relative error allowed: 1e-12 in double, 1e-5 in single precision."""
        return 1e-12 if self.is_double else 1e-5

    def rng(self, offset: int = 0) -> np.random.Generator:
        """Reproducible random numbers."""
        return np.random.default_rng((self.seed, offset))

    def x(self, offset: int = 0, batch: tuple[int, ...] = ()) -> Any:
        """A random element of the domain."""
        return self.operator.domain.random(self.rng(offset), batch=batch)

    def y(self, offset: int = 0, batch: tuple[int, ...] = ()) -> Any:
        """A random element of the range."""
        return self.operator.range.random(self.rng(100 + offset), batch=batch)

    @property
    def directions(self) -> list[tuple[str, Any, str]]:
        """The maps to be called: their name, the operator, the method that its author wrote."""
        found = [("A", self.operator, "_apply")]
        if self.linear:
            found.append(("A.H", self.operator.H, "_apply_transpose"))
        return found

    @property
    def is_small(self) -> bool:
        """Whether a dense matrix of the operator can be made."""
        columns, rows = self.operator.domain.size, self.operator.range.size
        return columns <= _DENSE_COLUMNS and columns * rows <= _DENSE_ENTRIES

    def dense(self) -> np.ndarray[Any, Any]:
        """The matrix in double precision, column by column; complex numbers as pairs of real ones."""
        operator = self.operator
        rows = []
        zero = operator.domain.zeros()
        for array in flat(zero):
            entries = array.reshape(-1)
            for i in range(entries.size):
                for unit in (1.0, 1j) if entries.dtype.kind == "c" else (1.0,):
                    entries[i] = unit
                    rows.append(real_vector(operator(zero)))
                    entries[i] = 0
        return np.array(rows).T

    def expect_close(self, found: Any, expected: Any, message: str, factor: float = 1.0) -> None:
        """Fail unless two elements agree to the tolerance, relative to the size of the expected one."""
        size = max(length(expected), length(found))
        distance = difference(found, expected)
        if not distance <= self.tolerance * factor * size:
            relative = distance / size if size else math.inf
            fail(
                f"{message} (relative difference {relative:.2g}, allowed {self.tolerance * factor:.0e})"
            )


def mapped(function: Callable[..., Any], x: Any, *others: Any) -> Any:
    """A function applied to each array of an element."""
    if isinstance(x, Blocks):
        return Blocks(mapped(function, *group) for group in zip(x, *others, strict=True))
    return function(x, *others)


def real_vector(x: Any) -> np.ndarray[Any, Any]:
    """All numbers of an element in one float64 vector, complex ones as pairs."""
    pieces = []
    for part in flat(x):
        values = as_numpy(part).reshape(-1)
        if values.dtype.kind == "c":
            values = np.stack([values.real, values.imag], axis=-1).reshape(-1)
        pieces.append(values.astype(np.float64))
    return np.concatenate(pieces)


def length(x: Any) -> float:
    """Euclidean length, in double precision."""
    return float(np.linalg.norm(real_vector(x)))


def difference(x: Any, y: Any) -> float:
    """Euclidean distance, in double precision; infinite when the shapes differ."""
    if [part.shape for part in flat(x)] != [part.shape for part in flat(y)]:
        return math.inf
    return float(np.linalg.norm(real_vector(x) - real_vector(y)))


def dot(x: Any, y: Any) -> complex:
    """``sum(x * conj(y))`` in double precision."""
    pairs = zip(flat(x), flat(y), strict=True)
    return sum(
        complex(np.vdot(as_numpy(b).astype(np.complex128), as_numpy(a).astype(np.complex128)))
        for a, b in pairs
    )
