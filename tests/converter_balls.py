"""One ball off the centre, and where a package's own source and detector see it: for tests of converters."""

import numpy as np

from opalg import tomo

# Pixels: the centre of mass of a projected ball is not quite the projection of its centre, and is summed over
# few pixels. A mistaken convention is off by several.
NEAR = 0.1
BALL = np.array([12.0, -7.0, 5.0])
ANGLES = np.array([0.0, 0.4, 1.9, 4.0])
CONE = {"detector": (101, 121), "pitch": (1.0, 0.8), "sod": 200.0, "sdd": 300.0}
UP = np.tile([0.0, 0.0, 1.0], (4, 1))


def seen(geometry):
    """Row and column at which the ball is seen in every view, by its centre of mass."""
    body = tomo.phantoms.ball(5.0, centre=BALL.tolist())
    if geometry.ndim == 2:
        body = tomo.phantoms.disc(5.0, centre=BALL[:2].tolist())
    return centres_of_mass(body.project(geometry, "float64"))


def centres_of_mass(y):
    """Of every view, in pixels; shape (views, detector axes)."""
    places = []
    axes = tuple(range(1, y.ndim))
    for axis in axes:
        index = np.arange(y.shape[axis]).reshape([-1 if i == axis else 1 for i in range(y.ndim)])
        places.append((y * index).sum(axis=axes) / y.sum(axis=axes))
    return np.stack(places, axis=-1)


def on_detector(sources, centres, steps, shape, rays=None):
    """The same for a point, from vectors (x, y, z); ``steps`` in the order of the detector's axes."""
    found = []
    for i, centre in enumerate(centres):
        direction = rays[i] if rays is not None else sources[i] - BALL[: len(centre)]
        columns = np.stack([*(step[i] for step in steps), direction], axis=1)
        *place, _ = np.linalg.solve(columns, BALL[: len(centre)] - centre)
        found.append([p + (n - 1) / 2 for p, n in zip(place, shape, strict=True)])
    return np.array(found)


def turned(angles, vector):
    """A vector (x, y, z) turned about z."""
    c, s, (x, y, z) = np.cos(angles), np.sin(angles), vector
    return np.stack([x * c - y * s, x * s + y * c, z + 0 * c], axis=1)


def agrees(geometry, sources, centres, steps, rays=None):
    """Our geometry has these vectors to the last digits, and sees the ball where they do."""
    expected = on_detector(sources, centres, steps, geometry.detector_shape, rays)
    assert (expected > 5).all()
    assert (expected < np.array(geometry.detector_shape) - 5).all()
    np.testing.assert_allclose(seen(geometry), expected, atol=NEAR)
    frames = geometry.frames
    if rays is None:
        np.testing.assert_allclose(frames.origins, sources, atol=1e-9)
        np.testing.assert_allclose(frames.centres, centres, atol=1e-9)
    own = [frames.u_steps] if frames.v_steps is None else [frames.v_steps, frames.u_steps]
    np.testing.assert_allclose(own, steps, atol=1e-9)
