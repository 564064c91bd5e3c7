"""How often a projector and its transpose are applied, counted without touching the operator."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opalg.operators import LinearOperator, Operator

__all__ = ["CallCounter", "projector_of"]

_FORWARD = ("_apply", "_accumulate")
_TRANSPOSE = ("_apply_transpose", "_accumulate_transpose")


def projector_of(operator: Operator) -> Operator:
    """The costliest leaf of an expression: the part whose calls are worth counting.

    Parameters
    ----------
    operator : Operator

    Returns
    -------
    Operator
        ``operator`` itself if it has no parts.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> A = oa.MatrixOperator(np.ones((20, 30)))
    >>> projector_of(2 * (oa.Diagonal(np.ones(20)) @ A).H) is A
    True
    """
    children = operator._children()
    if not children:
        return operator
    leaves = [projector_of(child) for child in children]
    return max(leaves, key=lambda leaf: leaf.cost().operations)


class CallCounter:
    """Counts calls of a projector and of its transpose, wherever in an expression they happen.

    While it is entered, the methods of the projector's *class* note each call before they do what they
    always do: operators, solvers and results stay what they were, and subsets of views that a solver made
    long ago are seen too. A call of a subset counts as its part of the data, so that one pass over all
    subsets is one call.

    Parameters
    ----------
    operator : Operator
        Calls of its costliest leaf are counted (`projector_of`).

    Attributes
    ----------
    forward, transpose : float
        Calls so far.

    Notes
    -----
    An operator that is equal to the projector counts as the projector. A gram operator with a formula of its
    own is no call of the projector. Norms are remembered by structure, so that the calls that an estimate
    takes are those of the run that first needed it.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> A = oa.MatrixOperator(np.ones((2, 3)))
    >>> with CallCounter(A) as counter:
    ...     _ = (A.H @ A + oa.Identity(A.domain))(np.ones(3))
    >>> counter.forward, counter.transpose
    (1.0, 1.0)
    """

    def __init__(self, operator: Operator) -> None:
        self.projector = projector_of(operator)
        self.forward = 0.0
        self.transpose = 0.0
        self._paused = False
        self._inside = threading.local()  # a method that calls another is one call
        self._replaced: dict[str, Any] = {}

    def __enter__(self) -> CallCounter:
        cls = type(self.projector)
        for name in (*_FORWARD, *_TRANSPOSE):
            if hasattr(cls, name):
                self._replaced[name] = cls.__dict__.get(name)
                setattr(cls, name, self._counted(getattr(cls, name), name in _TRANSPOSE))
        return self

    def __exit__(self, *exception: object) -> None:
        cls = type(self.projector)
        for name, method in self._replaced.items():
            if method is None:  # it was inherited
                delattr(cls, name)
            else:
                setattr(cls, name, method)
        self._replaced.clear()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Calls in this block are not counted."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def _counted(self, method: Callable[..., Any], transpose: bool) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(operator: Any, *args: Any, **kwargs: Any) -> Any:
            if self._paused or getattr(self._inside, "call", False):
                return method(operator, *args, **kwargs)
            share = self._share(operator)
            if transpose:
                self.transpose += share
            else:
                self.forward += share
            self._inside.call = True
            try:
                return method(operator, *args, **kwargs)
            finally:
                self._inside.call = False

        return call

    def _share(self, operator: Operator) -> float:
        """The part of the projector's data that an operator of its class stands for."""
        if operator is self.projector:
            return 1.0
        if hasattr(operator, "subsets") and operator.domain == self.projector.domain:
            return float(operator.range.size / self.projector.range.size)
        equal = isinstance(self.projector, LinearOperator) and operator == self.projector
        return 1.0 if equal else 0.0
