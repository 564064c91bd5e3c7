"""Errors of the detector and of the gantry: unequal pixels, shaking, drift, turning during an exposure."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError
from opalg.tomo.measured import finite
from opalg.tomo.simulation.common import Seed, detector_axes, like, not_negative, view_axis

__all__ = ["drift", "jitter", "rings", "rotation_blur"]


def rings(projections: Array, sigma: float, seed: Seed = None, fraction: float = 1.0) -> Array:
    """Projections of a detector whose pixels respond unequally: the same error of a pixel in all views.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front for all alike
    sigma : float
        Standard deviation of the errors, in the unit of the projections (the logarithm of a gain).
    seed : int or numpy.random.Generator, optional
    fraction : float, default 1.0
        Which part of the pixels, chosen at random, has an error.

    Returns
    -------
    array
        Like ``projections``; reconstructions of it have rings.

    Examples
    --------
    >>> y = rings(np.zeros((3, 4)), sigma=0.01, seed=0)
    >>> bool((y[0] == y[2]).all()), bool((y[0, :3] != y[0, 1:]).all())
    (True, True)
    """
    values = finite(projections)
    # Without knowing which axes are batch: (views, u) in 2D, (views, v, u) from three axes on.
    detector = values.shape[view_axis(values) + 1 :]
    if not 0 <= fraction <= 1:
        raise ArgumentError(f"fraction must lie in [0, 1], got {fraction!r}")
    rng = np.random.default_rng(seed)
    error = rng.standard_normal(detector)
    if fraction < 1:
        error *= rng.uniform(size=detector) < fraction
    return like(values + not_negative(sigma, "sigma") * error, projections)


def drift(projections: Array, shifts: Any) -> Array:
    """Projections of a detector, or an object, that moves between views while nobody knows.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front for all alike
    shifts : array, shape (views,) or (views, 2)
        By how many pixels the picture moves in each view, towards higher u; in 3D two numbers may be given,
        for v and u.

    Returns
    -------
    array
        Like ``projections``. Between pixels values are those of a cubic spline; what comes in at an edge
        repeats the last pixel.

    Raises
    ------
    ArgumentError
        If there are not as many shifts as views, or one is not finite.

    Notes
    -----
    A phantom needs no interpolation: ``phantom.project(geometry.shift_detector(u=-shifts * pitch))``.

    Examples
    --------
    >>> y = np.tile([0.0, 0.0, 1.0, 0.0, 0.0], (2, 1))
    >>> drift(y, [0, 1]).argmax(axis=1).tolist()
    [2, 3]
    """
    from scipy import ndimage

    values = finite(projections)
    axis = view_axis(values)
    views, detector = values.shape[axis], len(detector_axes(values))
    ways = np.asarray(as_numpy(shifts) if hasattr(shifts, "shape") else shifts, float)
    if ways.shape == (views,):
        ways = np.stack([np.zeros_like(ways)] * (detector - 1) + [ways], axis=1)
    if ways.shape != (views, detector) or not np.isfinite(ways).all():
        wanted = f"({views},)" if detector == 1 else f"({views},) or ({views}, 2)"
        raise ArgumentError(f"shifts must be finite, of shape {wanted}, got shape {ways.shape}")
    result = np.empty_like(values)
    pictures, target = (np.moveaxis(a, axis, 0) for a in (values, result))
    for view, way in enumerate(ways):
        whole = (0,) * (values.ndim - 1 - detector) + tuple(way)
        ndimage.shift(pictures[view], whole, output=target[view], order=3, mode="nearest")
    return like(result, projections)


def jitter(projections: Array, sigma: float, seed: Seed = None) -> Array:
    """Projections of a detector that shakes: each view is moved along u, and v, by a random way.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front for all alike
    sigma : float
        Standard deviation of the ways, in pixels.
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    array
        Like ``projections``; see `drift`.

    Examples
    --------
    >>> y = np.tile(np.arange(9.0), (3, 1))
    >>> bool((jitter(y, 0.3, seed=0) != y).any()), bool((jitter(y, 0.0) == y).all())
    (True, True)
    """
    values = finite(projections)
    count = not_negative(sigma, "sigma")
    if count == 0:
        return like(values, projections)
    ways = (values.shape[view_axis(values)], len(detector_axes(values)))
    return drift(projections, count * np.random.default_rng(seed).standard_normal(ways))


def rotation_blur(projections: Array, exposure: float, full_turn: bool = False) -> Array:
    """Projections of a gantry that turns on while a view is taken.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front for all alike
        At angles of equal steps.
    exposure : float
        Turn during an exposure, in steps between views: 1 if the detector never rests. Every view stands for
        a step about its angle, so that blur sets in above 1.
    full_turn : bool, default False
        Whether the first view follows the last; else the end views are repeated.

    Returns
    -------
    array
        Like ``projections``: the mean over the exposure.

    Examples
    --------
    >>> y = np.eye(5)[2][:, None] * np.ones(2)
    >>> rotation_blur(y, 3.0)[:, 0].round(3).tolist()
    [0.0, 0.333, 0.333, 0.333, 0.0]
    """
    from scipy import ndimage

    values = finite(projections)
    axis = view_axis(values)
    width = not_negative(exposure, "exposure")
    reach = int(np.ceil(max(width - 1, 0.0) / 2))
    if width > values.shape[axis]:
        raise ArgumentError(f"an exposure of {exposure!r} steps is longer than the scan")
    # Which part of each step the exposure covers.
    edges = np.clip(np.arange(-reach - 0.5, reach + 1), -width / 2, width / 2)
    weights = np.diff(edges) / width if width > 1 else np.ones(1)
    mode = "wrap" if full_turn else "nearest"
    return like(ndimage.correlate1d(values, weights, axis=axis, mode=mode), projections)
