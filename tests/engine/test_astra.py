"""The same numbers as ASTRA's CPU projector `linear`, which is Joseph's method too.

ASTRA, like opalg, lets a ray within a pixel outside the border sample the border pixel with the
weight that is left. Its row 0 is the one of largest y.
"""

import numpy as np
import pytest

from opalg.engines import cpu

astra = pytest.importorskip("astra")


@pytest.mark.parametrize("size", [32, 77])
@pytest.mark.parametrize("pitch", [0.5, 1.0, 2.1])
def test_agrees_with_astra(joseph, size, pitch):
    angles = np.linspace(0, np.pi, 61) + 0.01
    detectors = int(1.6 * size / pitch)
    plan = joseph.circular_plan((size, size), detectors, angles, pitch)
    x, y = joseph.random_pair(plan)
    volume = astra.create_vol_geom(size, size)
    projector = astra.create_projector(
        "linear", astra.create_proj_geom("parallel", pitch, detectors, angles), volume
    )
    number, expected = astra.create_sino(x[::-1].copy(), projector)
    astra.data2d.delete(number)
    number, gathered = astra.create_backprojection(y, projector)
    astra.data2d.delete(number)
    astra.projector.delete(projector)

    projections, image = np.empty_like(y), np.empty_like(x)
    cpu.project(plan, x, projections)
    cpu.backproject(plan, y, image)
    # ASTRA forms positions in float32: a few 1e-5 were seen.
    assert np.linalg.norm(projections - expected) <= 2e-4 * np.linalg.norm(expected)
    assert np.linalg.norm(image - gathered[::-1]) <= 2e-4 * np.linalg.norm(gathered)
