"""A projection in parts is the projection: on the CPU engine, for all geometries."""

import numpy as np
import pytest
from geometries import KINDS

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.engines.parts import part_of, split
from opalg.errors import ArgumentError
from opalg.tomo.dispatch import device_numbers


@pytest.mark.parametrize("kind", KINDS)
def test_parts_make_up_the_whole(kind):
    for seed in range(5):
        geometry = tomo.random_geometry(kind, seed)
        grid = oa.Grid((5, 7, 6)[-geometry.ndim :], spacing=(2.0, 1.5, 1.7)[-geometry.ndim :])
        plan = tomo.XrayTransform(grid, geometry)._plan
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal(plan.volume_shape), rng.standard_normal(plan.projection_shape)
        projected, back = np.empty_like(y), np.empty_like(x)
        cpu.project(plan, x, projected)
        cpu.backproject(plan, y, back)
        sums, parts = np.zeros_like(y), np.zeros_like(x)
        for views in split(len(y), min(2, len(y))):
            for slab in split(len(x), 3):
                part = part_of(plan, views, slab)
                more, layers = np.empty_like(y[views]), np.empty_like(x[slab])
                cpu.project(part, x[slab], more)
                cpu.backproject(part, y[views], layers)
                sums[views] += more
                parts[slab] += layers
        np.testing.assert_allclose(sums, projected, rtol=0, atol=1e-11 * abs(projected).max())
        np.testing.assert_allclose(parts, back, rtol=0, atol=1e-11 * abs(back).max())


@pytest.mark.parametrize("device", ["cpu", "cuda:x", [], ["cuda", "cuda:0"], ["cuda", "cpu"], 0])
def test_names_of_devices_are_checked(device):
    with pytest.raises(ArgumentError, match="device must be"):
        device_numbers(device)
