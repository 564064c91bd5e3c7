"""Functionals made of others by minimisation or duality: Moreau envelopes, conjugates, Bregman distances."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array
from opalg.errors import NotSupportedError
from opalg.functionals.affine import perturb
from opalg.functionals.entries import Field, deliver, pairing
from opalg.functionals.functional import Functional, algebra, positive
from opalg.operators import printing
from opalg.spaces import Blocks

__all__ = ["BregmanDistance", "ConvexConjugate", "MoreauEnvelope"]


class MoreauEnvelope(Functional):
    """``x -> min_u f(u) + |u - x| ** 2 / (2 * step)``; made by ``f.moreau_envelope(step)``.

    Parameters
    ----------
    functional : Functional
        Convex, with a prox.
    step : float
        Positive.

    Raises
    ------
    NotSupportedError
        If the functional has no prox, or is not convex.

    Notes
    -----
    The gradient is ``(x - prox(x)) / step`` (Moreau 1965). The prox with step s moves ``x`` the
    fraction ``s / (s + step)`` of the way to the prox of ``f`` with step ``s + step``; the
    conjugate is ``f.convex_conjugate + step / 2 * |.| ** 2``.
    """

    def __init__(self, functional: Functional, step: float) -> None:
        super().__init__(functional.domain)
        self.functional, self.step = functional, positive(step, "the step of a Moreau envelope")
        if not functional.proximable:
            raise NotSupportedError(functional._no_prox())
        if not functional.convex:
            raise NotSupportedError(
                f"{functional} is not convex, so its Moreau envelope need not be smooth; use its prox"
            )
        self.native, self.separable = functional.native, functional.separable
        self.lipschitz = 1 / self.step

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """M / (1 + m * step) for that of the functional, m."""
        inner = self.functional.strong_convexity
        return inner / (1 + inner * self.step)

    def _value(self, x: Array) -> Array:
        u = self.functional.prox(self.step)(x)
        gap = x - u
        return self.functional._value(u) + pairing(self.domain, gap, gap) / (2 * self.step)

    def _gradient(self, x: Array, out: Array | None) -> Array:
        u = self.functional.prox(self.step)(x)
        return deliver((x - u) / self.step, out)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        total = step + self.step
        moved = self.functional._prox(x, total, None)
        return deliver(x + (step / total) * (moved - x), out)

    @property
    def _step_space(self) -> Any | None:
        return self.functional._step_space

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return self.functional._resolve_steps(step, x)

    def _conjugate(self) -> Functional:
        return self.functional.convex_conjugate.perturbed(quadratic=self.step)

    def _children(self) -> tuple[Any, ...]:
        return (self.functional,)

    def _infix(self) -> printing.Text:
        suffix = f".moreau_envelope({printing.number(self.step)})"
        return printing.postfix(self.functional._infix(), suffix)

    def _latex(self) -> printing.Text:
        inner = self.functional._latex().text
        return printing.atom(rf"\mathcal{{M}}_{{{printing.number(self.step)}}}\left[{inner}\right]")

    def _label(self) -> str:
        return f"_.moreau_envelope({printing.number(self.step)})"

    def __repr__(self) -> str:
        return f"{printing.parenthesise_repr(self.functional)}.moreau_envelope({self.step!r})"


class ConvexConjugate(Functional):
    """The convex conjugate of a functional, for those whose conjugate has no class of its own.

    Parameters
    ----------
    functional : Functional
        Convex, with a prox.

    Notes
    -----
    The prox follows from Moreau's identity, ``prox_{s f*}(p) = p - s prox_{f / s}(p / s)``. The
    value is known for some functionals only, as the support functions of sets.
    """

    def __init__(self, functional: Functional) -> None:
        super().__init__(functional.domain)
        self.functional = functional
        self.native = functional.native
        self.separable = functional.separable

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """1 / m, if the functional is strongly convex with constant m."""
        inner = self.functional.strong_convexity
        return 1 / inner if inner > 0 else super().lipschitz

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """1 / L, if the functional has a gradient with Lipschitz constant L."""
        return (
            1 / self.functional.lipschitz
            if self.functional.lipschitz > 0
            else super().strong_convexity
        )

    def _value(self, x: Array) -> Array:
        return self.functional._conjugate_value(x)

    @property
    def proximable(self) -> bool:
        return self.functional.proximable

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        inverse = 1 / step
        inner = self.functional._prox(x * inverse, inverse, None)
        return deliver(x - step * inner, out)

    @property
    def _step_space(self) -> Any | None:
        return self.functional._step_space

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return self.functional._resolve_steps(step, x)

    def _no_prox(self) -> str:
        return self.functional._no_prox()

    def _conjugate(self) -> Functional:
        return self.functional

    def _children(self) -> tuple[Any, ...]:
        return (self.functional,)

    def _infix(self) -> printing.Text:
        return printing.postfix(self.functional._infix(), ".convex_conjugate")

    def _latex(self) -> printing.Text:
        return printing.postfix(self.functional._latex(), "^{*}")

    def _label(self) -> str:
        return "_.convex_conjugate"

    def __repr__(self) -> str:
        return f"{printing.parenthesise_repr(self.functional)}.convex_conjugate"


class BregmanDistance(Functional):
    """``x -> f(x) - f(point) - <x - point, subgradient>``: how far ``f`` lies above its tangent at a point.

    Parameters
    ----------
    functional : Functional
        Convex.
    point : array or Blocks
        Element of the domain where ``f`` is finite; without batch axes.
    subgradient : array or Blocks, optional
        A subgradient at the point; by default the gradient there.

    Raises
    ------
    NotSupportedError
        If no subgradient is given and ``f`` is not differentiable.

    Notes
    -----
    At least 0 for convex ``f`` (Bregman 1967). Prox and conjugate are those of ``f`` with a linear
    part added.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn
    >>> X = oa.Space(2, "float64")
    >>> D = fn.BregmanDistance(fn.SquaredL2(X), np.array([1.0, 1.0]))
    >>> float(D(np.array([2.0, 3.0])))
    5.0
    """

    def __init__(
        self, functional: Functional, point: Array, subgradient: Array | None = None
    ) -> None:
        super().__init__(functional.domain)
        self.functional = functional
        self._point = Field(point, functional.domain, "the point of a Bregman distance")
        if functional.domain.batch_shape(point):
            raise NotSupportedError("the point of a Bregman distance must have no batch axes")
        slope = functional.gradient(point) if subgradient is None else subgradient
        self._slope = Field(slope, functional.domain, "the subgradient of a Bregman distance")
        slope = self._slope.value
        constant = float(pairing(functional.domain, point, slope)) - float(functional(point))
        self._perturbed = perturb(functional, 0.0, -slope, constant)
        self.convex, self.native = functional.convex, functional.native
        self.separable = functional.separable
        self.lipschitz = functional.lipschitz
        self.strong_convexity = functional.strong_convexity

    @property
    def point(self) -> Array:
        """The point of the tangent."""
        return self._point.value

    @property
    def subgradient(self) -> Array:
        """The slope of the tangent."""
        return self._slope.value

    def _value(self, x: Array) -> Array:
        return self._perturbed._value(x)

    @property
    def differentiable(self) -> bool:
        return self.functional.differentiable

    def _gradient(self, x: Array, out: Array | None) -> Array:
        return deliver(self._perturbed.gradient(x), out)

    def _hessian(self, x: Array) -> Any:
        return self.functional.gradient.derivative(x)

    @property
    def proximable(self) -> bool:
        return self.functional.proximable

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        return self._perturbed._prox(x, step, out)

    @property
    def _step_space(self) -> Any | None:
        return self.functional._step_space

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return self.functional._resolve_steps(step, x)

    def _no_prox(self) -> str:
        return self.functional._no_prox()

    def _conjugate(self) -> Functional:
        return self._perturbed.convex_conjugate

    def _key(self) -> tuple[Any, ...]:
        return self.functional, self._point, self._slope

    def _children(self) -> tuple[Any, ...]:
        return (self.functional,)

    def _words(self) -> str:
        return str(self.functional)

    def _label(self) -> str:
        return "BregmanDistance"


algebra.envelope = MoreauEnvelope
