"""The kernels of the footprint model, run on the host: as the CPU engine, and each other's transpose."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_agreement import TOLERANCE, compare
from cuda_plans import KINDS, NAMED, random_plan

from opalg.engines.divergent import DivergentPlan
from opalg.engines.launch_footprints import Footprints
from opalg.engines.launch_tables import case_of
from opalg.engines.launches import launches
from opalg.errors import ArgumentError


def footprints(plan):
    return replace(plan, model="footprint")


def plans(kind):
    """Those of the first seeds that the model takes."""
    found = [random_plan(kind, seed) for seed in range(8)]
    return [footprints(plan) for plan in found if plan.arcs_around_sources]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_geometries(kind, dtype):
    found = plans(kind)
    assert len(found) > 3
    for plan in found:
        compare(plan, dtype)


@pytest.mark.parametrize("name", [name for name in NAMED if NAMED[name].arcs_around_sources])
def test_named_geometries(name):
    for dtype in TOLERANCE:
        compare(footprints(NAMED[name]), dtype)


@pytest.mark.parametrize("direction", ["project", "backproject"])
def test_images_of_a_batch_are_done_alike(direction):
    plan = footprints(random_plan("fan", 3))
    shapes = [plan.volume_shape, plan.projection_shape]
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(0).standard_normal((3, *source)).astype(np.float32)
    together = cuda_on_host.run(plan, direction, x, target)
    alone = [cuda_on_host.run(plan, direction, one[None], target)[0] for one in x]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("direction", ["project", "backproject"])
def test_half_numbers_are_rounded_once(direction):
    plan = footprints(random_plan("fan", 3))
    shapes = [plan.volume_shape, plan.projection_shape]
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(0).standard_normal((1, *source)).astype(np.float16)
    expected = cuda_on_host.run(plan, direction, x.astype(np.float32), target)
    result = cuda_on_host.run(plan, direction, x, target, "float16")
    np.testing.assert_array_equal(result, expected.astype(np.float16))


def widening(plan):
    return Footprints.of(case_of(footprints(plan))).views.array["widening"]


def test_beams_are_narrow_unless_voxels_are_close_to_the_source():
    for name in ("cone, more than a block", "fan, longer than a leap", "curved"):
        assert (widening(NAMED[name]) > 1).all()
        assert (widening(NAMED[name]) < 1.1).all()
    assert (widening(NAMED["diagonals"]) == 1).all()
    assert (widening(NAMED["source in the volume"]) == 0).all()  # any voxel may meet any pixel


def test_a_detector_seen_edge_on_sees_nothing():
    vectors = {"detectors": [[0.0, 1.0], [0.0, 1.0]], "u_steps": [[1.0, 0.0], [1.0, 0.0]]}
    plan = DivergentPlan(
        (4, 5), (3,), [[1.0, 0.0], [0.0, 1.0]], **vectors, parallel=True, model="footprint"
    )
    compare(plan, "float64")
    seen = cuda_on_host.run(plan, "project", np.ones((1, 4, 5)), plan.projection_shape)[0]
    assert not seen[0].any()
    assert seen[1].all()


def test_arcs_around_other_points_and_texture_units_are_refused():
    with pytest.raises(ArgumentError, match="if its arc is around the source"):
        footprints(NAMED["arc around another point"])
    plan = footprints(NAMED["fan, longer than a leap"])
    with pytest.raises(ArgumentError, match="texture units do not know the model 'footprint'"):
        launches(plan, "project", 1, interpolation="texture")
