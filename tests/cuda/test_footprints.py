"""The kernels of the footprint model, run on the host: as the CPU engine, and each other's transpose."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_agreement import TOLERANCE, compare
from cuda_plans import KINDS, NAMED, random_plan

import opalg as oa
from opalg import tomo
from opalg.engines.divergent import DivergentPlan
from opalg.engines.launch_footprints import Footprints
from opalg.engines.launch_tables import case_of
from opalg.engines.launches import launches
from opalg.errors import ArgumentError
from opalg.tomo.plans import general_plan


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


def test_columns_are_done_for_images_of_a_batch():
    """In other groups of voxels than alone, whose places are rounded otherwise."""
    plan = footprints(NAMED["curved"])
    made = launches(plan, "backproject", 7)
    assert {launch.kernel for launch in made[1::2]} == {"backproject_footprint_columns"}
    compare(plan, "float32", batch=7)


@pytest.mark.parametrize("direction", ["project", "backproject"])
def test_half_numbers_are_rounded_once(direction):
    plan = footprints(random_plan("fan", 3))
    shapes = [plan.volume_shape, plan.projection_shape]
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(0).standard_normal((1, *source)).astype(np.float16)
    expected = cuda_on_host.run(plan, direction, x.astype(np.float32), target)
    result = cuda_on_host.run(plan, direction, x, target, "float16")
    np.testing.assert_array_equal(result, expected.astype(np.float16))


def test_upright_views_share_what_columns_of_voxels_have_in_common():
    helix = tomo.ConeBeam.helical(1.5, 12.0, 9, (11, 33), 1.7, 60.0, 110.0)
    cases = {
        "curved": NAMED["curved"],
        "rows counted down": NAMED["rows counted down"],
        "helix": general_plan(helix, oa.Grid((5, 9, 11))),
        "parallel": general_plan(tomo.ParallelBeam(3, (4, 9)), oa.Grid((5, 6, 7))),
    }
    for name, plan in cases.items():
        for direction in ("project", "backproject"):
            last = launches(footprints(plan), direction, 1)[-1]
            assert last.kernel == f"{direction}_footprint_columns", name
    compare(footprints(cases["helix"]), "float64")
    # Beside the volume, seen so steeply that slices' shadows are longer along v than lines along z.
    steep = tomo.ConeBeam(3, (9, 9), 9.0, sod=14.0, sdd=30.0)
    plan = footprints(general_plan(steep, oa.Grid((25, 9, 9))))
    assert launches(plan, "project", 1)[-1].kernel == "project_footprints"
    compare(plan, "float64")


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
