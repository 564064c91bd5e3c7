"""Immutable objects that are compared, hashed, printed and pickled by their constructor arguments."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import fingerprint, is_array, short_repr

__all__ = ["Value"]


class _Frozen(type):
    """Remembers the constructor's arguments and closes the instance once it is built."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        args = tuple(_closed(value) for value in args)
        kwargs = {name: _closed(value) for name, value in kwargs.items()}
        self = super().__call__(*args, **kwargs)
        # Subclasses that build a different object in __new__ hand back one that is closed already.
        self.__dict__.setdefault("_arguments", (args, kwargs))
        return self

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's parameters, for help() and notebooks, which would see those above."""
        parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
        return inspect.Signature(list(parameters)[1:])


class Value(metaclass=_Frozen):
    """Base class of spaces, operators and geometries: an immutable object that *is* its arguments.

    A subclass writes ``__init__`` and nothing else: equality, hash, ``repr`` and pickling follow from
    the arguments of the constructor. Arrays among them are copied, closed for writing and compared by
    content. Attributes can be assigned inside ``__init__`` only; ``functools.cached_property`` works.
    """

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __setattr__(self, name: str, value: Any) -> None:
        if "_arguments" in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__} is immutable; build a new one to change {name!r}"
            )
        object.__setattr__(self, name, value)

    def _key(self) -> tuple[Any, ...]:
        """What two equal objects share; hashable."""
        args, kwargs = self._arguments
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        return tuple(_hashable(value) for value in list(bound.arguments.values())[1:])

    @cached_property
    def _cached_key(self) -> tuple[Any, ...]:
        return (type(self), *self._key())

    @cached_property
    def _hash(self) -> int:
        return hash(self._cached_key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return self._hash == hash(other) and self._cached_key == other._cached_key

    def __reduce__(self) -> tuple[Any, ...]:
        args, kwargs = self._arguments
        return _build, (type(self), args, kwargs)

    def __repr__(self) -> str:
        args, kwargs = self._arguments
        words = [short_repr(value) for value in args]
        words += [f"{name}={short_repr(value)}" for name, value in kwargs.items()]
        return f"{type(self).__name__}({', '.join(words)})"


def _closed(value: Any) -> Any:
    """An argument that nobody else can change: arrays that are open for writing are copied.

    Tensors are kept as they are, because trainable ones must be and others cannot be closed.
    """
    if type(value) is np.ndarray:
        if not value.flags.writeable:
            return value
        value = value.copy()
        value.flags.writeable = False
        return value
    if type(value) is list:
        return [_closed(item) for item in value]
    if type(value) is tuple or (isinstance(value, tuple) and hasattr(value, "first")):
        return type(value)(_closed(item) for item in value)  # a tuple, or Blocks
    return value.copy() if hasattr(value, "tocsr") else value


def _build(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return cls(*args, **kwargs)


def _hashable(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if is_array(value):
        return fingerprint(value)
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, dict):
        return tuple((name, _hashable(item)) for name, item in value.items())
    if hasattr(value, "tocsr"):  # a SciPy sparse matrix or array: no hash of its own
        return (type(value), value.shape, *(fingerprint(part) for part in _triplets(value)))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _triplets(matrix: Any) -> tuple[Any, ...]:
    coordinates = matrix.tocsr().tocoo()
    return coordinates.row, coordinates.col, coordinates.data
