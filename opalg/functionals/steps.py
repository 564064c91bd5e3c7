"""Steps of proximal maps: one number, one per batch entry, or one per entry of the element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, dtype_of, is_array, is_torch, move, namespace, native_dtype
from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Blocks

__all__ = ["as_step", "is_number", "per_batch", "resolve", "resolve_entries", "transfer"]


def is_number(value: object) -> bool:
    """Whether ``value`` is a number, or an array without axes."""
    return isinstance(value, (int, float, complex, np.number)) or (
        is_array(value) and getattr(value, "ndim", 1) == 0
    )


def as_step(step: Any, domain: Any) -> Any:
    """A step as a Python number, an array or `Blocks`, all of the precision of the domain, verified.

    Raises
    ------
    ArgumentError
        If it is not positive and finite everywhere.
    """
    if isinstance(step, (tuple, list)):
        spaces = domain.spaces if hasattr(domain, "spaces") else ()
        if len(step) != len(spaces):
            raise ArgumentError(
                f"{len(step)} steps were given for the {len(spaces)} parts of {domain}"
            )
        return Blocks(as_step(part, space) for part, space in zip(step, spaces, strict=True))
    if is_number(step) and not (is_torch(step) and step.requires_grad):
        number = float(step) if np.isreal(step) else math.nan
        if not (math.isfinite(number) and number > 0):
            raise ArgumentError(f"the step of a prox must be positive and finite, got {step!r}")
        return number
    if not is_array(step):
        raise ArgumentError(
            f"the step of a prox must be a number or an array, got {type(step).__name__}"
        )
    xp = namespace(step)
    if dtype_of(step).kind != "f" or not bool(xp.all(xp.isfinite(step) & (step > 0))):
        raise ArgumentError(
            "the steps of a prox must be real, positive and finite everywhere; "
            "a step of zero leaves an entry as it is: use a very small one"
        )
    space = domain
    while hasattr(space, "spaces"):
        space = space[0]
    return xp.astype(step, native_dtype(xp, space.real.dtype), copy=False)


def resolve(functional: Any, step: Any, x: Array) -> Any:
    """A step as ``functional._prox`` takes it: a number, or shaped to multiply ``x``.

    Raises
    ------
    NotSupportedError
        If there is one step per entry and the functional is no sum over entries.
    ArgumentError
        If the shape fits neither the entries nor the batch.
    """
    domain = functional.domain
    if isinstance(step, float):
        return step
    if isinstance(step, Blocks):
        return functional._resolve_steps(step, x)
    step = move(step, x.first if isinstance(x, Blocks) else x)
    batch = domain.batch_shape(x)
    entries = functional._step_space
    if step.ndim == 0:
        return step
    if entries is not None and not hasattr(entries, "spaces") and _per_entry(entries, step, batch):
        return step
    ones = getattr(domain, "ndim", 0)
    if ones and step.shape == batch + (1,) * ones:
        return step
    if step.shape == batch:
        return domain.expand(step)
    if not hasattr(domain, "spaces") and domain.real.accepts(step):
        raise NotSupportedError(
            f"the prox of {functional} takes one step for all entries (or one per batch entry): it is "
            "no sum over entries"
        )
    wanted = f"{batch} (one per batch entry)" + (
        f" or that of {entries}" if entries is not None else ""
    )
    raise ArgumentError(f"the step of a prox must have shape {wanted}, got {tuple(step.shape)}")


def resolve_entries(space: Any, step: Any, x: Array) -> Any:
    """Steps of a sum over entries, given part by part: numbers, one per batch entry, or one per entry."""
    if isinstance(step, Blocks):
        parts = zip(space, step, x, strict=True)
        return Blocks(resolve_entries(*part) for part in parts)
    if isinstance(step, float):
        return step
    step = move(step, x)
    if _per_entry(space.real, step, space.batch_shape(x)):
        return step
    if step.shape != space.batch_shape(x):
        raise ArgumentError(
            f"the steps for a part in {space} must have its shape, or that of the batch, "
            f"{space.batch_shape(x)}, got {tuple(step.shape)}"
        )
    return space.expand(step)


def _per_entry(space: Any, step: Array, batch: tuple[int, ...]) -> bool:
    """Whether there is one step per entry, the same for the whole batch or not."""
    return bool(space.accepts(step)) and space.batch_shape(step) in {(), batch}


def per_batch(step: Any, batch: tuple[int, ...]) -> Any:
    """A step that is shaped to multiply elements as a number, or as one number per batch entry."""
    if isinstance(step, Blocks):
        step = step.first
    return namespace(step).reshape(step, batch) if getattr(step, "ndim", 0) else step


def transfer(step: Any, batch: tuple[int, ...], space: Any) -> Any:
    """A step (number or one per batch entry) shaped to multiply elements of ``space`` instead."""
    return space.expand(per_batch(step, batch))
