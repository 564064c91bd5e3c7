"""The same numbers as ASTRA's CPU projector `linear`, Joseph's method too, once conventions are mapped.

ASTRA agrees in angles (counter-clockwise, rays along +y at 0) and u; its row 0 is the largest y.
"""

import numpy as np
import pytest

import opalg as oa
from opalg import tomo

astra = pytest.importorskip("astra")

# ASTRA forms positions in float32: 1e-5 to 1e-4 were seen.
TOLERANCE = 2e-4


@pytest.mark.parametrize("pitch", [0.3, 0.5, 1.1])
@pytest.mark.parametrize("offset", [0.0, 3.7])
def test_projection_and_back_projection(pitch, offset):
    shape, spacing, detectors = (60, 80), 0.5, int(70 / pitch)
    # Off the diagonals, at which rounding decides along which axis the image is sampled.
    angles = np.linspace(0, 2 * np.pi, 50, endpoint=False) + 0.01
    geometry = tomo.ParallelBeam(angles, detectors, pitch, offset)
    A = tomo.XrayTransform(oa.Grid(shape, spacing), geometry)
    x, y = A.domain.random(0), A.range.random(1)

    height, width = (n * spacing / 2 for n in shape)
    volume = astra.create_vol_geom(*shape, -width, width, -height, height)
    vectors = np.zeros((len(angles), 6))
    vectors[:, :2] = geometry.ray_directions
    vectors[:, 2:4] = offset * geometry.u_directions
    vectors[:, 4:] = pitch * geometry.u_directions
    projector = astra.create_projector(
        "linear", astra.create_proj_geom("parallel_vec", detectors, vectors), volume
    )
    number, expected = astra.create_sino(x[::-1].copy(), projector)
    astra.data2d.delete(number)
    number, gathered = astra.create_backprojection(y, projector)
    astra.data2d.delete(number)
    astra.projector.delete(projector)

    assert np.linalg.norm(A(x) - expected) <= TOLERANCE * np.linalg.norm(expected)
    assert np.linalg.norm(A.H(y) - gathered[::-1]) <= TOLERANCE * np.linalg.norm(gathered)
