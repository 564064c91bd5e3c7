"""More than 2^31 elements are indexed rightly. The memory is zero pages that cost nothing."""

import numpy as np
import pytest

from opalg.engines import cpu

RAYS = [[3.2, 0, 1.5, 0, 0.3, 1], [1, 2, 0.2, 1, 1, 0.4]]
LENGTHS = [1.0, 1.2]


@pytest.mark.parametrize("extra", [1, 16])  # one image after the other, and a stack
def test_volume(extra):
    ny = nx = 256
    nz = 2**31 // (ny * nx) + extra
    volume = np.zeros((nz, ny, nx), np.float32)
    assert volume.size > 2**31
    tail = np.random.default_rng(1).random((extra, ny, nx), np.float32)
    volume[-extra:] = tail
    plan = cpu.ParallelPlan(volume.shape, (extra, 70), RAYS, LENGTHS, (nz - extra, 1))
    short = cpu.ParallelPlan(tail.shape, (extra, 70), RAYS, LENGTHS, (0, 1))
    out, expected = np.empty((2, extra, 70), np.float32), np.empty((2, extra, 70), np.float32)
    cpu.project(plan, volume, out)
    cpu.project(short, tail, expected)
    assert expected.any()
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("extra", [1, 16])
def test_projections(extra):
    nu = 1024
    nv = 2**31 // (2 * nu) + extra
    projections = np.zeros((2, nv, nu), np.float32)
    assert projections.size > 2**31
    tail = np.random.default_rng(1).random((2, extra, nu), np.float32)
    projections[:, -extra:] = tail
    plan = cpu.ParallelPlan((extra, 9, 8), (nv, nu), RAYS, LENGTHS, (extra - nv, 1))
    short = cpu.ParallelPlan((extra, 9, 8), (extra, nu), RAYS, LENGTHS, (0, 1))
    out, expected = np.empty((extra, 9, 8), np.float32), np.empty((extra, 9, 8), np.float32)
    cpu.backproject(plan, projections, out)
    cpu.backproject(short, tail, expected)
    assert expected.any()
    np.testing.assert_array_equal(out, expected)


def test_long_lines():
    # A group of rays meets cells of some thirty lines, whose numbers are more than float32 counts.
    first, shape = 1_299_600, (36, 1, 1_300_000)
    tail = np.random.default_rng(2).random((36, 1, 40), np.float32)
    volume = np.zeros(shape, np.float32)
    volume[..., first : first + 40] = tail
    u, v = np.array([0.7, 0, 4.4]), np.array([4.4, 0, -0.7])
    source, middle = np.array([20.0, -30, 18]), np.array([20.0, 40, 18])
    expected = np.empty((1, 4, 16), np.float32)
    out = np.empty_like(expected)
    for offset, image, target in ((0, tail, expected), (first, volume, out)):
        moved = np.array([offset, 0, 0])
        corner = middle + moved - 1.5 * v - 7.5 * u
        plan = cpu.DivergentPlan(
            image.shape, target.shape[1:], [source + moved], [corner], [u], [v]
        )
        cpu.project(plan, image, target)
    assert (expected > 0.1).sum() > 40
    # Positions near column 1.3e6 have 3e-10 of a voxel in float64, and weights 1e-7 in float32.
    np.testing.assert_allclose(out, expected, atol=1e-6)
