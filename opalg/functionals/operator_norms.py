"""What functionals ask of operators: norms in weighted spaces, tightness, and systems of equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array, namespace
from opalg.functionals.entries import flat, pairing
from opalg.operators import Diagonal, Identity, LinearOperator, Scaling, block_diagonal
from opalg.operators.norms import Bounds
from opalg.spaces import ProductSpace

__all__ = ["conjugate_gradients", "norm_in_spaces", "tightness"]

_MAXIMUM = 500


def norm_in_spaces(operator: LinearOperator) -> Bounds:
    """Certified bounds of the norm of an operator in the inner products of its spaces.

    ``operator.norm_bounds()`` is that of the array map, which differs by the weights: with ``W`` on
    the diagonals, the norm is that of ``W_range ** 1/2 @ A @ W_domain ** -1/2``.
    """
    before, after = _root(operator.domain, -0.5), _root(operator.range, 0.5)
    if isinstance(before, float) and isinstance(after, float):
        return operator.norm_bounds().scaled(before * after)
    left = Scaling(operator.range, after) if isinstance(after, float) else after
    right = Scaling(operator.domain, before) if isinstance(before, float) else before
    return (left @ operator @ right).norm_bounds()


def _root(space: Any, exponent: float) -> Any:
    """A power of the weighting: a number where it is one, else an operator."""
    if isinstance(space, ProductSpace):
        parts = [_root(part, exponent) for part in space]
        if all(isinstance(part, float) and part == parts[0] for part in parts):
            return parts[0]
        return block_diagonal(
            [
                Scaling(own, part) if isinstance(part, float) else part
                for part, own in zip(parts, space, strict=True)
            ]
        )
    weight = space.weighting
    if is_array(weight):
        return Diagonal(as_numpy(weight) ** weight.dtype.type(exponent), space)
    return float(weight) ** exponent


def tightness(operator: Any) -> float | None:
    """The number a with ``A @ A.adjoint = a * Identity`` where the operator says so, else None."""
    if not isinstance(operator, LinearOperator) or not operator.exact_adjoint:
        return None
    if isinstance(operator, Scaling) and operator.factor != 0:
        return abs(operator.factor) ** 2  # whatever the weights
    product = operator @ operator.adjoint
    if isinstance(product, Identity):
        return 1.0
    if (
        isinstance(product, Scaling)
        and np.isreal(product.factor)
        and complex(product.factor).real > 0
    ):
        return float(complex(product.factor).real)
    return None


def conjugate_gradients(
    space: Any, system: Callable[[Array], Array], target: Array, tolerance: float | None = None
) -> Array:
    """The solution of a self-adjoint positive definite system by conjugate gradients.

    Parameters
    ----------
    space : Space or ProductSpace
        In whose inner product the system is self-adjoint.
    system : callable
        The linear map.
    target : array or Blocks
        Right-hand side; batch entries are solved side by side, each with its own step lengths.
    tolerance : float, optional
        Of the residual relative to the target; ten times the rounding of the data type by default.
    """
    xp = namespace(flat(target)[0])
    eps = float(np.finfo(space_dtype(space)).eps)
    limit = (10 * eps if tolerance is None else tolerance) ** 2
    x = target * 0
    residual = direction = target
    square = pairing(space, residual, residual)
    first = square
    for _ in range(_MAXIMUM):
        if bool(xp.all(square <= limit * first)):
            break
        image = system(direction)
        curvature = pairing(space, direction, image)
        # A batch entry that is solved already has nothing left to divide by.
        alpha = xp.where(curvature > 0, square / (curvature + (curvature <= 0)), 0 * square)
        x = space.lincomb(alpha, direction, 1.0, x)
        residual = space.lincomb(-alpha, image, 1.0, residual)
        new = pairing(space, residual, residual)
        beta = xp.where(square > 0, new / (square + (square <= 0)), 0 * square)
        direction = space.lincomb(beta, direction, 1.0, residual)
        square = new
    return x


def space_dtype(space: Any) -> Any:
    """The data type of the first array of a space."""
    while hasattr(space, "spaces"):
        space = space[0]
    return space.dtype
