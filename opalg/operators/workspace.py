"""Memory for the intermediate results of expressions, kept between applications while a solver runs.

``A @ B`` needs room for what B gives. An expression cannot keep that room: it is immutable, may be applied
by several threads at once, and would hold memory for as long as it exists. So a solver that works in place
lends a `Workspace` to the expressions that it applies, within one thread and for one run. Elsewhere, and
wherever PyTorch records, intermediate results are new arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opalg.arrays import Array
from opalg.spaces import Blocks

__all__ = ["Workspace", "give_back", "lent", "take"]


class _Current(threading.local):
    """The workspace in use in this thread."""

    workspace: Workspace | None = None


_current = _Current()


class Workspace:
    """A supply of arrays, in use within a ``with`` block.

    Examples
    --------
    >>> import opalg as oa
    >>> X = oa.Space(3)
    >>> x = X.ones()
    >>> take(X, x, ()) is None  # none in use
    True
    >>> with Workspace():
    ...     first = take(X, x, ())
    ...     give_back(X, first, ())
    ...     take(X, x, ()) is first
    True
    """

    __slots__ = ("_free", "_outer")

    def __init__(self) -> None:
        self._free: dict[Any, list[Array]] = {}
        self._outer: list[Workspace | None] = []

    def __enter__(self) -> Workspace:
        self._outer.append(_current.workspace)
        _current.workspace = self
        return self

    def __exit__(self, *details: object) -> None:
        _current.workspace = self._outer.pop()


def take(space: Any, like: Array, batch: tuple[int, ...]) -> Array | None:
    """Memory for an element of ``space`` with arbitrary content, or None where no workspace is in use.

    Parameters
    ----------
    space : Space or ProductSpace
    like : array or Blocks
        Gives the array library and the device.
    batch : tuple of int
        Extents of batch axes.
    """
    workspace = _current.workspace
    if workspace is None:
        return None
    free = workspace._free.get(_place(space, like, batch))
    return free.pop() if free else space.empty(like=like, batch=batch)


def give_back(space: Any, memory: Array | None, batch: tuple[int, ...]) -> None:
    """Return what `take` gave, once nobody reads it any more."""
    workspace = _current.workspace
    if workspace is not None and memory is not None:
        workspace._free.setdefault(_place(space, memory, batch), []).append(memory)


@contextmanager
def lent(space: Any, like: Array, batch: tuple[int, ...]) -> Iterator[Array | None]:
    """Memory to be used within a ``with`` block; see `take`."""
    memory = take(space, like, batch)
    yield memory
    give_back(space, memory, batch)


def _place(space: Any, like: Array, batch: tuple[int, ...]) -> tuple[Any, ...]:
    first = like.first if isinstance(like, Blocks) else like
    return space, batch, type(first), getattr(first, "device", None)
