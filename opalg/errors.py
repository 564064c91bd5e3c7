"""Exceptions raised by opalg.

::

    OpalgError
    ├── ArgumentError (ValueError)      a value that cannot be meant
    │   ├── SpaceMismatchError          an array or operator that does not fit a space
    │   └── NonFiniteError              NaN or infinity where a number is needed
    ├── DtypeError (TypeError)          a data type that would have to be cast silently
    ├── NotSupportedError (TypeError)   a question that this object cannot answer
    ├── MissingExtraError (ImportError) an optional dependency is not installed
    ├── DeviceError (RuntimeError)      a CUDA device, its driver or its compiler fails
    │   └── DeviceMemoryError (MemoryError)  it has less memory than is needed
    └── AccuracyWarning (UserWarning)   a result may be less accurate than expected
"""

__all__ = [
    "AccuracyWarning",
    "ArgumentError",
    "DeviceError",
    "DeviceMemoryError",
    "DtypeError",
    "MissingExtraError",
    "NonFiniteError",
    "NotSupportedError",
    "OpalgError",
    "SpaceMismatchError",
]


class OpalgError(Exception):
    """Base class of all exceptions raised by opalg."""


class ArgumentError(OpalgError, ValueError):
    """An argument has a value that cannot be meant."""


class SpaceMismatchError(ArgumentError):
    """An array or an operator does not belong to the space where it is used."""


class NonFiniteError(ArgumentError):
    """NaN or infinity was found where a finite number is needed."""


class DtypeError(OpalgError, TypeError):
    """An array has a data type that would have to be cast silently."""


class NotSupportedError(OpalgError, TypeError):
    """The object has no answer to the question asked, for example the inverse of a projector."""


class MissingExtraError(OpalgError, ImportError):
    """An optional dependency is needed and not installed."""


class DeviceError(OpalgError, RuntimeError):
    """A CUDA device, its driver or its compiler does not do what is asked of it."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A CUDA device has less free memory than is needed."""


class AccuracyWarning(UserWarning):
    """A result may be less accurate than one would expect, for example an unmatched adjoint."""
