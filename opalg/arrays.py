"""What opalg needs to know about array libraries: which one an array belongs to, its dtype and device.

Elements are plain arrays of NumPy, PyTorch, CuPy or any library of the Python array API standard. Only
libraries that the caller has imported already are ever asked; none is imported for its own sake.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any, TypeAlias

import numpy as np

from opalg.errors import ArgumentError, DtypeError

__all__ = [
    "Array",
    "Constant",
    "as_array",
    "as_numpy",
    "broadcasts",
    "copy",
    "dtype_of",
    "fingerprint",
    "in_autograd",
    "in_inference_mode",
    "is_array",
    "is_cupy",
    "is_torch",
    "move",
    "multiply",
    "namespace",
    "native_dtype",
    "shares_memory",
    "short_repr",
]

Array: TypeAlias = Any
"""An array of any library; its methods are those of the Python array API standard."""

_namespaces: dict[type, Any] = {np.ndarray: np}
_dtypes: dict[Any, np.dtype[Any]] = {}


def is_array(x: object) -> bool:
    """Whether ``x`` is an array of a known library (lists are not; NumPy's scalars are since NumPy 2)."""
    known = type(x) in _namespaces or hasattr(x, "__array_namespace__")
    return known or is_torch(x) or is_cupy(x)


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of one shape broadcasts to another, by itself.

    Examples
    --------
    >>> broadcasts((3, 1), (2, 3, 4)), broadcasts((5, 2, 3, 4), (2, 3, 4))
    (True, False)
    """
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def is_torch(x: object) -> bool:
    """Whether ``x`` is a PyTorch tensor; false without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_cupy(x: object) -> bool:
    """Whether ``x`` is a CuPy array, whose class does not name its namespace."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(x, cupy.ndarray)


def in_inference_mode(x: Array) -> bool:
    """Whether tensors like ``x`` that are made now can never be used by autograd later."""
    if not is_torch(x):
        return False
    import torch

    return torch.is_inference_mode_enabled()


def namespace(x: Array) -> Any:
    """The array API namespace of an array.

    Parameters
    ----------
    x : array

    Returns
    -------
    module
        ``numpy`` for NumPy arrays, the module of ``array-api-compat`` for PyTorch and CuPy,
        else what ``x.__array_namespace__()`` answers.

    Raises
    ------
    DtypeError
        If ``x`` is no array.

    Examples
    --------
    >>> namespace(np.zeros(3)).__name__
    'numpy'
    """
    try:
        return _namespaces[type(x)]
    except KeyError:
        pass
    if isinstance(x, np.ndarray):
        found: Any = np
    elif is_array(x):
        import array_api_compat

        found = array_api_compat.array_namespace(x)
    else:
        advice = "convert it with space.asarray(x)"
        if hasattr(x, "__cuda_array_interface__"):
            advice = 'torch.as_tensor(x, device="cuda") or cupy.asarray(x) makes one of it'
        raise DtypeError(
            f"expected an array (NumPy, PyTorch, CuPy or any array API library), got "
            f"{type(x).__name__}; {advice}"
        )
    _namespaces[type(x)] = found
    return found


def dtype_of(x: Array) -> np.dtype[Any]:
    """The data type of an array as a NumPy dtype.

    Raises
    ------
    DtypeError
        If NumPy has no such type (for example ``torch.bfloat16``).
    """
    dtype = x.dtype
    if isinstance(dtype, np.dtype):
        return dtype
    try:
        return _dtypes[dtype]
    except KeyError:
        pass
    name = str(dtype).rpartition(".")[2]
    try:
        found = np.dtype(name)
    except TypeError:
        raise DtypeError(f"data type {dtype} is not supported; use float32 or float64") from None
    _dtypes[dtype] = found
    return found


def native_dtype(xp: Any, dtype: np.dtype[Any]) -> Any:
    """The dtype object of namespace ``xp`` for a NumPy dtype."""
    return dtype if xp is np else getattr(xp, dtype.name)


def in_autograd(x: Array) -> bool:
    """Whether operations on ``x`` are being recorded by PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor) and torch.is_grad_enabled()


def as_numpy(x: Array) -> np.ndarray[Any, Any]:
    """A NumPy array with the values of ``x``, without a copy where the memory can be shared."""
    if is_torch(x):
        return np.asarray(x.detach().cpu().resolve_conj().resolve_neg())
    return x.get() if hasattr(x, "get") else np.asarray(x)


def move(x: Array, like: Array) -> Array:
    """``x`` in the array library and on the device of ``like``.

    Raises
    ------
    ArgumentError
        If ``x`` is a tensor that requires a gradient and ``like`` is of another library.
    """
    xp = namespace(like)
    if namespace(x) is xp:
        return x.to(like.device) if is_torch(x) else x
    if is_torch(x) and x.requires_grad:
        raise ArgumentError(
            f"a parameter that requires a gradient cannot be applied to a {type(like).__name__}: "
            "its gradient would be lost; pass a torch tensor, or detach the parameter"
        )
    values = as_numpy(x)
    if xp is np:
        return values
    # A writable copy: other libraries warn about, or refuse, read-only memory.
    return xp.asarray(values.copy(), device=getattr(like, "device", None))


def multiply(x: Array, factor: Any, out: Array | None = None) -> Array:
    """``x * factor``, written to ``out`` without a temporary array where the library allows it."""
    if out is None:
        product = x * factor
        return product if x.ndim else as_array(product)
    if type(out) is np.ndarray:
        return np.multiply(x, factor, out=out)
    out[...] = x * factor
    return out


def as_array(x: Array) -> Array:
    """``x`` itself, or a 0-d array in place of the scalar that NumPy makes of one."""
    return np.asarray(x) if isinstance(x, np.generic) else x


def copy(x: Array, out: Array | None = None) -> Array:
    """A contiguous copy of ``x`` in new memory, or in ``out``."""
    if out is not None:
        out[...] = x
        return out
    if isinstance(x, np.ndarray):
        return np.array(x, order="C")
    xp = namespace(x)
    return x.clone(memory_format=xp.contiguous_format) if is_torch(x) else xp.asarray(x, copy=True)


def shares_memory(x: Array, y: Array) -> bool:
    """Whether two arrays may overlap in memory (true when in doubt)."""
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return np.may_share_memory(x, y)
    if is_torch(x) and is_torch(y):
        return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    return type(x) is type(y)


def fingerprint(x: Array) -> tuple[Any, ...]:
    """A hashable stand-in for the content of an array; identity for a trainable tensor."""
    if is_torch(x) and x.requires_grad:
        return ("trainable", id(x))
    values = np.ascontiguousarray(as_numpy(x))
    digest = hashlib.blake2b(values.data if values.size else b"", digest_size=16).hexdigest()
    return (values.shape, values.dtype.str, digest)


def short_repr(value: object, limit: int = 24) -> str:
    """``repr`` that rebuilds small values and describes large arrays without printing them."""
    if isinstance(value, (list, tuple)) and any(is_array(item) for item in value):
        inner = ", ".join(short_repr(item, limit) for item in value)
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, np.dtype):
        return repr(value.name)
    if isinstance(value, np.generic):
        return repr(value.item())
    if not is_array(value):
        return repr(value)
    array: Any = value
    size = 1
    for extent in array.shape:
        size *= extent
    if size > limit:
        return f"<{dtype_of(array).name} array of shape {tuple(array.shape)}>"
    values = as_numpy(array)
    return f"array({values.tolist()!r}, dtype={values.dtype.name!r})"


class Constant:
    """An array that an operator holds, ready in the array library and on the device of its operand.

    A writable NumPy array is copied once and the copy is closed for writing, so that an operator never
    changes behind its cached norms. A tensor that requires a gradient is kept as it is.

    Parameters
    ----------
    array : array
    """

    __slots__ = ("_fingerprint", "_moved", "array")

    def __init__(self, array: Array) -> None:
        if isinstance(array, np.ndarray) and array.flags.writeable:
            array = array.copy()
            array.flags.writeable = False
        self.array = array
        self._moved: dict[Any, Array] = {}
        self._fingerprint: tuple[Any, ...] | None = None

    def like(self, x: Array) -> Array:
        """The array in the library and on the device of ``x``."""
        if type(x) is type(self.array) and type(x) is np.ndarray:
            return self.array
        if self.trainable:
            return move(self.array, x)
        # Tensors made in inference mode cannot serve outside of it.
        mode = is_torch(x) and sys.modules["torch"].is_inference_mode_enabled()
        device = getattr(x, "device", None)
        place = (type(x), getattr(device, "id", device), mode)  # CuPy's devices have no hash
        try:
            return self._moved[place]
        except KeyError:
            return self._moved.setdefault(place, move(self.array, x))

    @property
    def trainable(self) -> bool:
        """Whether the array is a tensor that requires a gradient."""
        return is_torch(self.array) and self.array.requires_grad

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __reduce__(self) -> tuple[Any, ...]:
        return Constant, (self.array,)

    def _content(self) -> tuple[Any, ...]:
        if self.trainable:
            return fingerprint(self.array)
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.array)
        return self._fingerprint
