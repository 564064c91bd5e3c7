"""What all methods of a comparison share: the data, the truth, the operator, how they are judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array
from opalg.errors import ArgumentError, NonFiniteError
from opalg.operators import LinearOperator, Operator
from opalg.solvers.comparison.metrics import Metric, as_metrics
from opalg.solvers.vectors import length, parts, plain, refuse_nonfinite
from opalg.spaces import Blocks

__all__ = ["Problem", "make_problem"]

_SAMPLES = 50  # about so many points per curve


@dataclass(frozen=True, eq=False)
class Problem:
    """Data and how reconstructions of them are judged; made by `make_problem`."""

    y: Array
    truth: np.ndarray[Any, Any] | None
    operator: LinearOperator | None
    metrics: tuple[Metric, ...]
    every: int | None
    seed: int | None

    def is_sampled(self, iteration: int, last: int) -> bool:
        """Whether metrics are computed after this iteration: the first, each ``every``-th and the last."""
        every = self.every or max(1, math.ceil(last / _SAMPLES))
        return iteration in (1, last) or iteration % every == 0

    @cached_property
    def data_norm(self) -> float:
        """The norm of the data."""
        assert self.operator is not None
        return float(length(plain(self.operator.range), self.y))

    def relative_residual(self, x: Array, known: float | None) -> float:
        """``|A(x) - y| / |y|``; ``known`` is the norm above if a solver has it already."""
        assert self.operator is not None
        if known is None:
            space = plain(self.operator.range)
            known = length(space, space.lincomb(1, self.y, -1, self.operator(x)))
        return float(known) / self.data_norm if self.data_norm else float(known)


def make_problem(
    methods: dict[str, Any],
    y: Array,
    truth: Array | None,
    metrics: Any,
    operator: LinearOperator | None,
    every: int | None,
    seed: int | None,
) -> Problem:
    """Check what the methods share, before any of them runs.

    Raises
    ------
    ArgumentError, NonFiniteError, SpaceMismatchError
        Saying what does not fit.
    """
    known = None if truth is None else _image(truth)
    if operator is not None and not isinstance(operator, LinearOperator):
        raise ArgumentError(f"operator must be a linear operator, got {operator!r:.80}")
    found = operator or next(filter(None, map(operator_of, methods.values())), None)
    if found is not None:
        _check_data(found, y)
        if known is not None and known.shape != found.domain.shape:
            raise ArgumentError(
                f"the truth has shape {known.shape}, reconstructions have shape {found.domain.shape}"
            )
    if metrics is None:
        metrics = ["psnr", "ssim"] if known is not None else [] if found is None else ["residual"]
    chosen = as_metrics(metrics, known)
    if found is None and any(metric.name == "residual" for metric in chosen):
        raise ArgumentError("the residual needs operator=, since no method tells its operator")
    if every is not None and (not isinstance(every, (int, np.integer)) or every < 1):
        raise ArgumentError(f"every must be a positive number of iterations, got {every!r}")
    return Problem(y, known, found, chosen, every, seed)


def operator_of(method: Any) -> LinearOperator | None:
    """The operator that a method inverts, if it tells: ``operator`` of solvers, ``transform`` of FBP."""
    for name in ("operator", "transform"):
        found: Any = getattr(method, name, None)
        fits = isinstance(found, LinearOperator) and isinstance(method, Operator)
        if fits and found.range == method.domain:  # not the part of an expression
            return found
    return None


def _image(truth: Array) -> np.ndarray[Any, Any]:
    if not is_array(truth):
        raise ArgumentError(f"the truth must be an array, got {type(truth).__name__}")
    values = np.asarray(as_numpy(truth))
    if values.size == 0:
        raise ArgumentError(f"the truth is empty, it has shape {values.shape}")
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"the truth holds {bad} values that are NaN or infinite")
    return values


def _check_data(operator: LinearOperator, y: Array) -> None:
    space = operator.range
    y = space.check(y, "the data to compare with")
    if space.batch_shape(y):
        raise ArgumentError(
            f"compare takes one set of data, got batch axes {space.batch_shape(y)}; compare sample by sample"
        )
    refuse_nonfinite(plain(space), y, "the data to compare with")
    if isinstance(operator.domain.zeros(like=parts(y)[0]), Blocks):
        raise ArgumentError(f"compare judges single arrays, not elements of {operator.domain}")
