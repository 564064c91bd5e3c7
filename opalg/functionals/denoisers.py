"""Denoisers in the place of proximal maps: plug-and-play priors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, dtype_of, is_torch, move, namespace
from opalg.errors import ArgumentError, MissingExtraError, NotSupportedError
from opalg.functionals.entries import deliver
from opalg.functionals.functional import Functional, positive
from opalg.functionals.steps import per_batch
from opalg.spaces import Space

__all__ = ["Denoiser"]


class Denoiser(Functional):
    """A denoiser as the proximal map of a functional that nobody knows.

    Removing Gaussian noise of standard deviation sigma from ``x`` is, for a prior with negative
    logarithm f, the prox of f with step ``sigma ** 2``. So plug-and-play methods (Venkatakrishnan,
    Bouman and Wohlberg 2013) call any denoiser where a proximal map is asked for.

    Parameters
    ----------
    space : Space
    function : callable or torch.nn.Module
        ``function(x)``, or with ``sigma`` other than None ``function(x, sigma)``, returns an array
        of the shape of ``x``.
    sigma : {"step", None} or float, default None
        What is handed over as second argument: nothing; the square root of the step; or always this
        number.
    arrays : {"any", "numpy", "torch"}, default "any"
        What ``function`` takes. "any": the arrays as they come, with batch axes in front. "numpy":
        one NumPy array of the shape of the space at a time (functions of scikit-image). "torch": a
        tensor (batch, channel, ...) (a module for images); a space with 2 or 3 axes is given one
        channel. Modules of PyTorch are "torch" by default.

    Raises
    ------
    ArgumentError
        If the function cannot be called, or returns another shape.

    Notes
    -----
    There is no value: ``f(x)`` raises `NotSupportedError`. A module is evaluated in the mode in
    which it is, and PyTorch differentiates through it; functions on NumPy arrays cannot be
    differentiated.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> def smooth(x):
    ...     return (np.roll(x, 1, axis=-1) + x + np.roll(x, -1, axis=-1)) / 3
    >>> f = fn.Denoiser(oa.Space(3, "float64"), smooth)
    >>> f.prox(1.0)(np.array([0.0, 3.0, 0.0])).tolist()
    [1.0, 1.0, 1.0]
    """

    convex = False

    def __init__(
        self,
        space: Space,
        function: Callable[..., Any],
        sigma: str | float | None = None,
        arrays: str | None = None,
    ) -> None:
        super().__init__(space)
        if not callable(function):
            raise ArgumentError(f"a denoiser must be callable, got {type(function).__name__}")
        if not isinstance(space, Space):
            raise NotSupportedError(f"a denoiser acts on a Space or Grid, got {space}")
        if not (sigma is None or sigma == "step"):
            sigma = positive(sigma, "sigma")
        self.function, self.sigma = function, sigma
        is_module = hasattr(function, "forward") and hasattr(function, "parameters")
        self.arrays = ("torch" if is_module else "any") if arrays is None else arrays
        if self.arrays not in {"any", "numpy", "torch"}:
            raise ArgumentError(f"arrays must be any, numpy or torch, got {arrays!r}")
        self.native = self.arrays != "numpy"

    def _arguments_for(self, step: Any) -> tuple[Any, ...]:
        if self.sigma is None:
            return ()
        return (step**0.5,) if self.sigma == "step" else (self.sigma,)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        batch = self.domain.batch_shape(x)
        step = per_batch(step, batch)
        if self.arrays == "numpy":
            return deliver(self._by_image(x, step, batch), out)
        if self.arrays == "torch":
            return deliver(self._by_module(x, step, batch), out)
        value = self.function(x, *self._arguments_for(self.domain.expand(step)))
        return deliver(self._checked(value, x), out)

    def _checked(self, value: Any, x: Array) -> Array:
        """The result as an element with the library and dtype of ``x``, and memory of its own."""
        if not hasattr(value, "shape") or tuple(value.shape) != tuple(x.shape):
            got: Any = getattr(value, "shape", type(value).__name__)
            got = got if isinstance(got, str) else tuple(got)
            raise ArgumentError(
                f"the denoiser {self._name()} must return an array of shape {tuple(x.shape)}, got {got}"
            )
        xp = namespace(x)
        value = move(value, x)
        if dtype_of(value) != self.domain.dtype:
            value = xp.astype(value, x.dtype)
        return xp.asarray(value, copy=True) if value is x else value

    def _by_image(self, x: Array, step: Any, batch: tuple[int, ...]) -> Array:
        values = as_numpy(x)
        step = as_numpy(step) if getattr(step, "ndim", 0) else step
        result = np.empty_like(values)
        for i in np.ndindex(batch):
            one = step[i] if getattr(step, "ndim", 0) else step
            image = np.array(values[i])  # a copy: the function may write into it
            result[i] = self._checked(
                np.asarray(self.function(image, *self._arguments_for(one))), image
            )
        return move(result, x)

    def _by_module(self, x: Array, step: Any, batch: tuple[int, ...]) -> Array:
        torch = _torch()
        tensor = x if is_torch(x) else torch.from_numpy(np.array(as_numpy(x)))
        shape = self.domain.shape
        images = tensor.reshape(-1, 1, *shape)
        arguments = self._arguments_for(step)
        if any(getattr(argument, "ndim", 0) for argument in arguments):
            # One noise level per image, shaped to multiply the images.
            level = torch.as_tensor(arguments[0]).reshape(-1, 1, *(1 for _ in shape))
            arguments = (level.to(images),)
        if is_torch(x):
            value = self.function(images, *arguments)
        else:
            with torch.no_grad():
                value = self.function(images, *arguments)
        if tuple(value.shape) != tuple(images.shape):
            raise ArgumentError(
                f"the denoiser {self._name()} must return a tensor of shape {tuple(images.shape)}, "
                f"got {tuple(value.shape)}"
            )
        return self._checked(value.reshape(x.shape), x)

    def _name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _words(self) -> str:
        return self._name()


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "a denoiser that takes tensors needs PyTorch; install it with pip install opalg[torch]"
        ) from error
    return torch
