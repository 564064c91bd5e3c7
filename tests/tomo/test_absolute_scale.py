"""The promise of the analytic methods: a ball of 0.02 / mm comes back as 0.02 / mm, in every geometry."""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo

CENTRE = (6.0, -9.0, 2.0)
RADIUS = 24.0
FAN = {"detector": 340, "pitch": 0.7, "sod": 250.0, "sdd": 400.0}
CONE = {"detector": (64, 120), "pitch": 1.75, "sod": 250.0, "sdd": 400.0}
SHORT = np.deg2rad(np.arange(0.0, 216.0, 1.0))  # half a turn plus the fan angle, 34 degrees
MOVED = {"angles": 360, "offset": 55.0}  # of 119 to one side, 119 to the other

SCANS = {
    "parallel 2D": tomo.ParallelBeam(270, detector=200, pitch=0.7),
    "parallel 2D, full turn": tomo.ParallelBeam(
        np.linspace(0, 2 * math.pi, 400, endpoint=False), detector=200, pitch=0.7, offset=5.3
    ),
    "parallel 3D": tomo.ParallelBeam(270, detector=(50, 150), pitch=(1.3, 1.0)),
    "fan flat": tomo.FanBeam(400, **FAN),
    "fan curved": tomo.FanBeam(400, **FAN, curved=True),
    "fan flat, short scan (Parker)": tomo.FanBeam(SHORT, **FAN),
    "fan curved, short scan (Parker)": tomo.FanBeam(SHORT, **FAN, curved=True),
    "fan flat, offset detector (Wang)": tomo.FanBeam(**FAN, **MOVED),
    "fan curved, offset detector (Wang)": tomo.FanBeam(**FAN, **MOVED, curved=True),
    "cone flat": tomo.ConeBeam(180, **CONE),
    "cone curved": tomo.ConeBeam(180, **CONE, curved=True),
    "cone flat, short scan (Parker)": tomo.ConeBeam(SHORT, **CONE),
    "cone curved, short scan (Parker)": tomo.ConeBeam(SHORT, **CONE, curved=True),
    "cone flat, offset detector (Wang)": tomo.ConeBeam(**CONE, **MOVED),
}


@pytest.mark.parametrize("scan", list(SCANS))
def test_a_ball_comes_back_with_its_value(scan):
    geometry, spacing = SCANS[scan], 1.1
    centre = CENTRE[: geometry.ndim]
    n = round(2.4 * RADIUS / spacing)
    shape = (n, n) if geometry.ndim == 2 else (9, n, n)
    grid = oa.Grid(shape, spacing, origin=centre[::-1])
    ball = tomo.phantoms.ball if geometry.ndim == 3 else tomo.phantoms.disc
    y = ball(RADIUS, 0.02, centre).project(geometry)
    A = tomo.XrayTransform(grid, geometry)
    x = (tomo.FDK if isinstance(geometry, tomo.ConeBeam) else tomo.FBP)(A)(y)
    away = [
        coordinates.reshape(-1, *[1] * (grid.ndim - 1 - axis)) - middle
        for axis, (coordinates, middle) in enumerate(
            zip(grid.coordinates, centre[::-1], strict=True)
        )
    ]
    inside = np.sqrt(sum(way**2 for way in away)) < RADIUS - 4.0
    error = x[inside] / 0.02 - 1
    # Every pixel of the interior to 1 %; their mean is much better, so that no factor can hide.
    assert np.abs(error).max() < 0.01
    assert abs(error.mean()) < 0.002
