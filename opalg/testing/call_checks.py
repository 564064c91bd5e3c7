"""Checks of what a call does: result, arguments, memory, batch axes, data types, errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import shares_memory
from opalg.errors import ArgumentError, DtypeError, NotSupportedError
from opalg.operators import Operator
from opalg.spaces.parts import flat, leaves
from opalg.testing.case import Case, check, fail, mapped
from opalg.testing.report import NotApplicable

__all__: list[str] = []


def _takes_numpy(operator: Operator) -> bool:
    return not operator.trainable


def _sample(operator: Any, case: Case, offset: int = 0, batch: tuple[int, ...] = ()) -> Any:
    return operator.domain.random(case.rng(offset), batch=batch)


@check(_takes_numpy)
def check_result(case: Case) -> None:
    """The result is an element of the range, of the data type and library of the argument."""
    for name, operator, method in case.directions:
        y = operator(_sample(operator, case))
        wanted = operator.range.zeros()
        if len(flat(y)) != len(flat(wanted)):
            fail(
                f"{name}(x) gives {len(flat(y))} arrays, the range {operator.range} has "
                f"{len(flat(wanted))}; {method} must return Blocks with one array per part"
            )
        for got, want in zip(flat(y), flat(wanted), strict=True):
            if not isinstance(got, np.ndarray):
                fail(
                    f"{name}(x) of a NumPy array is a {type(got).__name__}; "
                    f"{method} must stay in the library of its argument"
                )
            if got.shape != want.shape:
                fail(f"{name}(x) has shape {got.shape}, the range needs {want.shape}; see {method}")
            if got.dtype != want.dtype:
                fail(
                    f"{name}(x) has dtype {got.dtype}, the range needs {want.dtype}; {method} casts: "
                    "look for float64 constants and integer arrays in its arithmetic"
                )
            if not np.isfinite(got).all():
                fail(f"{name}(x) holds NaN or infinity for a finite x; see {method}")
        if y not in operator.range:
            fail(f"{name}(x) is no element of the range {operator.range}; see {method}")


@check(_takes_numpy)
def check_argument_unchanged(case: Case) -> None:
    """The argument has the same values after the call, and may be read-only."""
    for name, operator, method in case.directions:
        x = _sample(operator, case)
        before = mapped(np.copy, x)
        operator(x)
        operator(x, out=operator.range.zeros())
        if any(not np.array_equal(a, b) for a, b in zip(flat(x), flat(before), strict=True)):
            fail(f"{name}(x) changes x; {method} must not write into its argument")
        for part in flat(x):
            part.flags.writeable = False
        try:
            operator(x)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            fail(f"{name}(x) fails for a read-only x ({error}); {method} must not write into it")


@check(_takes_numpy)
def check_fresh_result(case: Case) -> None:
    """The result is new memory: no view of the argument, no buffer that the next call overwrites."""
    for name, operator, method in case.directions:
        x, other = _sample(operator, case), _sample(operator, case, 1)
        first = operator(x)
        if any(shares_memory(a, b) for a in flat(first) for b in flat(x)):
            fail(
                f"{name}(x) shares memory with x; {method} must return a copy, never x or a view of it"
            )
        kept = mapped(np.copy, first)
        second = operator(other)
        if any(shares_memory(a, b) for a in flat(first) for b in flat(second)) or any(
            not np.array_equal(a, b, equal_nan=True)
            for a, b in zip(flat(first), flat(kept), strict=True)
        ):
            fail(
                f"a second call of {name} overwrites the first result; {method} must not return a buffer"
            )


@check(_takes_numpy)
def check_repeatable(case: Case) -> None:
    """Two calls with one argument give the same bits."""
    for name, operator, _ in case.directions:
        x = _sample(operator, case)
        pairs = zip(flat(operator(x)), flat(operator(x)), strict=True)
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            fail(f"{name}(x) differs from call to call; an operator must be deterministic")


@check(_takes_numpy)
def check_out(case: Case) -> None:
    """``out=`` is filled and returned, and gives what the call without it gives."""
    for name, operator, method in case.directions:
        x = _sample(operator, case)
        expected = operator(x)
        out = mapped(lambda a: np.full_like(a, np.nan), operator.range.zeros())
        returned = operator(x, out=out)
        if returned is not out:
            fail(f"{name}(x, out=out) must return out")
        if any(np.isnan(part).all() and part.size for part in flat(out)) and not any(
            np.isnan(part).all() for part in flat(expected)
        ):
            fail(
                f"{name}(x, out=out) leaves out as it was; {method} must write to out if it is given"
            )
        case.expect_close(
            out,
            expected,
            f"{name}(x, out=out) is not {name}(x); {method} must overwrite all of out",
        )
        direct = operator._apply(x, out)
        if any(
            a is not b and not np.shares_memory(a, b)
            for a, b in zip(flat(direct), flat(out), strict=True)
        ):
            fail(f"{method}(x, out) must return out itself, expressions rely on it")


@check(_takes_numpy)
def check_out_strided(case: Case) -> None:
    """``out=`` may be a non-contiguous array."""
    for name, operator, method in case.directions:
        x = _sample(operator, case)
        expected = operator(x)
        out = mapped(_scattered, operator.range.zeros())
        operator(x, out=out)
        case.expect_close(
            out,
            expected,
            f"{name}(x, out=out) is wrong for a non-contiguous out; {method} may reshape out into a copy",
        )


def _scattered(a: Any) -> Any:
    """The same values in an array with gaps that no reshaping can hide."""
    if not a.ndim:
        return a
    n = a.shape[-1]
    view = np.full((*a.shape[:-1], 2 * n + 1), np.nan, a.dtype)[..., 1::2]
    view[...] = a
    return view


@check(lambda operator: _takes_numpy(operator) and operator.domain == operator.range)
def check_out_is_argument(case: Case) -> None:
    """``A(x, out=x)`` works in place."""
    for name, operator, _ in case.directions:
        x = _sample(operator, case)
        expected = operator(x)
        operator(x, out=x)
        case.expect_close(x, expected, f"{name}(x, out=x) is not {name}(x)")


@check(_takes_numpy)
def check_memory_layout(case: Case) -> None:
    """Strided, reversed, Fortran-ordered and broadcast arguments give the same result."""
    layouts: dict[str, Any] = {
        "a strided": _scattered,
        "a reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a,
        "a Fortran-ordered": np.asfortranarray,
    }
    for name, operator, method in case.directions:
        x = _sample(operator, case)
        expected = operator(x)
        for words, layout in layouts.items():
            case.expect_close(
                operator(mapped(layout, x)),
                expected,
                f"{name} gives another result for {words} array; {method} must not assume a "
                "contiguous argument (use numpy.ascontiguousarray where a kernel needs one)",
            )
        constant = mapped(lambda a: np.broadcast_to(a.dtype.type(1.5), a.shape), x)
        case.expect_close(
            operator(constant),
            operator(mapped(np.array, constant)),
            f"{name} gives another result for a broadcast array; {method} assumes contiguous memory",
        )


@check(_takes_numpy)
def check_batch(case: Case) -> None:
    """Leading axes are batch axes: the result is that of a loop."""
    for name, operator, method in case.directions:
        for batch in ((3,), (2, 2), (1,)):
            x = _sample(operator, case, batch=batch)
            y = operator(x)
            shapes = [part.shape for part in flat(y)]
            wanted = [(*batch, *space.shape) for space in leaves(operator.range)]
            if shapes != wanted:
                fail(
                    f"{name} of a batch of shape {batch} has shape {shapes}, expected {wanted}; {method} "
                    "must let the axes in front alone: count axes from the end"
                )
            for index in np.ndindex(batch):
                one = operator(mapped(lambda a, i=index: a[i], x))
                case.expect_close(
                    mapped(lambda a, i=index: a[i], y),
                    one,
                    f"{name} of a batch is not {name} of each entry (entry {index}); {method} must treat "
                    "the axes in front independently: count axes from the end",
                )


@check(_takes_numpy)
def check_empty_batch(case: Case) -> None:
    """A batch without entries gives one."""
    for name, operator, method in case.directions:
        y = operator(_sample(operator, case, batch=(0,)))
        if [p.shape for p in flat(y)] != [(0, *space.shape) for space in leaves(operator.range)]:
            fail(f"{name} of an empty batch must be an empty batch; see {method}")


@check(_takes_numpy)
def check_refusal(case: Case) -> None:
    """Arrays that do not belong to the domain are refused, not cast or reshaped."""
    operator = case.operator
    if hasattr(operator.domain, "spaces"):
        raise NotApplicable("the domain is a product space")
    shape = (
        (*operator.domain.shape[:-1], operator.domain.shape[-1] + 1)
        if operator.domain.ndim
        else None
    )
    if shape:
        _expect_error(
            operator, np.zeros(shape, operator.domain.dtype), ArgumentError, "another shape"
        )
    other = {"float32": "float64", "float64": "float32"}.get(operator.domain.dtype.name, "float64")
    _expect_error(operator, np.zeros(operator.domain.shape, other), DtypeError, "another dtype")


def _expect_error(operator: Any, x: Any, kind: type[Exception], words: str) -> None:
    try:
        operator(x)
    except kind:
        return
    except Exception as error:
        fail(f"A(x) of an array of {words} must raise {kind.__name__}, raised {error!r}")
    fail(f"A(x) of an array of {words} must raise {kind.__name__}; is __call__ overridden?")


@check(_takes_numpy)
def check_array_api(case: Case) -> None:
    """Works on any library of the array API standard (tried with array-api-strict)."""
    try:
        import array_api_strict as xp
    except ImportError:
        raise NotApplicable("array-api-strict is not installed") from None
    for name, operator, method in case.directions:
        x = _sample(operator, case, batch=(2,))
        try:
            y = operator(mapped(xp.asarray, x))
        except NotSupportedError as error:
            raise NotApplicable(str(error)) from None
        if any(type(part) is not type(xp.zeros(1)) for part in flat(y)):
            fail(f"{name} of another library's array must stay in that library; see {method}")
        case.expect_close(
            mapped(np.asarray, y), operator(x), f"{name} gives another result on array-api-strict"
        )
