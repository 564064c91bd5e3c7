"""To and from PyLops, whose operators act on flat vectors and know their arrays' shapes as ``dims``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import MissingExtraError, NotSupportedError
from opalg.interop.adjoints import adjoint_is_exact
from opalg.interop.scipy import ScipyOperator, to_scipy
from opalg.operators import LinearOperator
from opalg.spaces import ProductSpace, Space

__all__ = ["from_pylops", "to_pylops"]


def to_pylops(operator: LinearOperator) -> Any:
    """A linear operator as one of PyLops.

    Parameters
    ----------
    operator : LinearOperator

    Returns
    -------
    pylops.LinearOperator
        With the shapes of the spaces as ``dims`` and ``dimsd``; elements of product spaces are flat, one part
        after the other. Its adjoint is the plain transpose, ``A.H``.

    Raises
    ------
    MissingExtraError
        If PyLops is not installed.
    NotSupportedError
        If the operator is not linear over the complex numbers (`RealPart`), or not linear.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg.interop import to_pylops
    >>> L = to_pylops(oa.Laplacian(oa.Grid((4, 6))))
    >>> L.shape, L.dims, (L @ np.ones((4, 6), "float32")).shape
    ((24, 24), (4, 6), (4, 6))
    """
    view = _view()
    if isinstance(operator, PylopsOperator):
        return operator.operator
    return view(to_scipy(operator), operator)


def from_pylops(operator: Any, domain: Any = None, range: Any = None) -> LinearOperator:
    """A linear operator of PyLops as one of this library.

    Parameters
    ----------
    operator : pylops.LinearOperator
    domain, range : Space or ProductSpace, optional
        Of as many entries as the operator has columns and rows; by default plain spaces with the operator's
        ``dims`` and ``dimsd`` as shapes, of its dtype.

    Returns
    -------
    LinearOperator
        The original one if ``operator`` came from `to_pylops` and no other spaces are asked for. Whether the
        adjoint fits is measured once, at one random element, and told by ``exact_adjoint``.

    Raises
    ------
    MissingExtraError
        If PyLops is not installed.
    NotSupportedError
        If the operator is linear over the real numbers only (``clinear`` is False).
    SpaceMismatchError, DtypeError
        If the spaces do not fit.

    Examples
    --------
    >>> import numpy as np, pylops
    >>> from opalg.interop import from_pylops
    >>> D = from_pylops(pylops.FirstDerivative((4, 3), axis=0))
    >>> D.domain.shape, D(np.ones((4, 3))).any().item(), D.exact_adjoint
    ((4, 3), False, True)
    """
    _view()
    original = getattr(operator, "opalg", None)
    if (
        original is not None
        and domain in (None, original.domain)
        and range in (None, original.range)
    ):
        return original
    if not getattr(operator, "clinear", True):
        raise NotSupportedError(
            f"{type(operator).__name__} of PyLops is linear over the real numbers only, which its vectors "
            "do not show; use the operator of this library (oa.RealPart, oa.RealFourierTransform)"
        )
    dtype = np.result_type(np.dtype(operator.dtype or np.float64), np.float32)
    return PylopsOperator(
        operator,
        Space(_extents(operator.dims), dtype) if domain is None else domain,
        Space(_extents(operator.dimsd), dtype) if range is None else range,
    )


class PylopsOperator(ScipyOperator):
    """A linear operator of PyLops; made by `from_pylops`."""

    def __init__(self, operator: Any, domain: Any, range: Any) -> None:
        super().__init__(operator, domain, range)
        self.exact_adjoint = adjoint_is_exact(self)

    def _through(self, one: Any, many: Any, x: Array, out: Array | None, back: bool) -> Array:
        source, target = (self.range, self.domain) if back else (self.domain, self.range)
        batch = source.batch_shape(x)
        if 0 in batch:  # PyLops cannot stack no columns
            return target.empty(like=x, batch=batch) if out is None else out
        return super()._through(one, many, x, out, back)


@cache
def _view() -> Any:
    try:
        import pylops
    except ImportError:
        raise MissingExtraError("PyLops is not installed: pip install opalg[peers]") from None

    class OperatorView(pylops.LinearOperator):  # type: ignore[misc]
        """An operator of this library as one of PyLops."""

        def __init__(self, matrix: Any, operator: LinearOperator) -> None:
            super().__init__(
                dtype=matrix.dtype, dims=_dims(operator.domain), dimsd=_dims(operator.range)
            )
            self._matrix, self.opalg = matrix, operator

        def _matvec(self, x: Any) -> Any:
            return self._matrix.matvec(x)

        def _rmatvec(self, y: Any) -> Any:
            return self._matrix.rmatvec(y)

    return OperatorView


def _extents(dims: Any) -> tuple[int, ...]:
    return tuple(int(extent) for extent in dims)


def _dims(space: Any) -> tuple[int, ...]:
    return (space.size,) if isinstance(space, ProductSpace) else space.shape
