"""The kernels for rays, run on the host, agree with the CPU engine and are each other's transpose."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_agreement import compare
from cuda_plans import KINDS, NAMED, random_plan

import opalg as oa
from opalg import tomo
from opalg.engines.launch_tables import IMAGES
from opalg.engines.launches import Output, Table, launches
from opalg.engines.parallel import ParallelPlan
from opalg.errors import ArgumentError, DtypeError
from opalg.tomo.plans import make_plan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", ["joseph", "siddon"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_geometries(kind, model, dtype):
    for seed in range(6):
        compare(random_plan(kind, seed, model), dtype)


@pytest.mark.parametrize("model", ["joseph", "siddon"])
@pytest.mark.parametrize("name", NAMED)
def test_named_geometries(name, model):
    compare(replace(NAMED[name], model=model), "float64")
    if model == "joseph":  # in float, a ray along a border of voxels may be given to either
        compare(NAMED[name], "float32")


@pytest.mark.parametrize("direction", ["project", "backproject"])
@pytest.mark.parametrize("kind", ["fan", "cone"])
def test_images_of_a_batch_are_done_alike(kind, direction):
    plan = random_plan(kind, 3)
    shapes = [plan.volume_shape, plan.projection_shape]
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(0).standard_normal((7, *source)).astype(np.float32)
    together = cuda_on_host.run(plan, direction, x, target)
    alone = [cuda_on_host.run(plan, direction, one[None], target)[0] for one in x]
    # To the last bit, but where a thread's other voxels are others: positions are relative to its first.
    room = 1e-6 * np.abs(alone).max() if direction == "backproject" else 0
    np.testing.assert_allclose(together, alone, rtol=0, atol=room)


def test_what_is_unknown_is_named():
    plan = random_plan("fan", 0)
    with pytest.raises(DtypeError, match="float16"):
        launches(plan, "project", 1, "int8")
    with pytest.raises(ArgumentError, match="direction must be one of project"):
        launches(plan, "sideways", 1)
    with pytest.raises(ArgumentError, match="weight must be"):
        launches(plan, "backproject_voxels", 1, weight="heavy")


@pytest.mark.parametrize("kind", ["parallel 2D", "parallel 3D"])
def test_plans_of_slices(kind):
    geometry = tomo.random_geometry(kind, 0)
    grid = oa.Grid((3, 5, 7)[-geometry.ndim :], spacing=(2.0, 0.8, 1.3)[-geometry.ndim :])
    plan = make_plan(geometry, grid)
    assert isinstance(plan, ParallelPlan)
    compare(plan, "float64", batch=2)
    compare(plan, "float32", batch=2)


def test_slices_of_a_stack_are_images_of_a_batch():
    geometry = tomo.ParallelBeam(angles=7, detector=(11, 9), pitch=(2.0, 1.0))
    plan = make_plan(geometry, oa.Grid((11, 8, 10), spacing=(2.0, 1.0, 1.3)))
    for direction in ("project", "backproject"):
        launch = launches(plan, direction, 2)[-1]
        assert dict(launch.defines)["OPALG_FLAT"] == "1"
    for dtype in ("float32", "float64"):
        compare(plan, dtype, batch=2)


def test_lengths_of_no_common_spacing_are_refused():
    plan = ParallelPlan((4, 4), (4,), [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 0, 1]], [1.0, 2.0])
    with pytest.raises(ArgumentError, match="no common spacing"):
        launches(plan, "project", 1)


def kernels(plan, direction):
    return {launch.kernel for launch in launches(plan, direction, 1)}


def test_columns_of_rays_are_gathered_from_together():
    assert "backproject_slices" in kernels(NAMED["fan, longer than a leap"], "backproject")
    for name in ("cone, more than a block", "curved"):
        assert "backproject_columns" in kernels(NAMED[name], "backproject"), name
    for name in ("source in the volume", "detector in the volume", "arc around another point"):
        assert "backproject_rays" in kernels(NAMED[name], "backproject"), name
    siddon = replace(NAMED["curved"], model="siddon")
    assert "backproject_rays" in kernels(siddon, "backproject")


def test_tables_are_made_once():
    tables = [launches(NAMED["curved"], "project", 1)[-1].arguments for _ in range(2)]
    assert all(a is b for a, b in zip(*tables, strict=True) if isinstance(a, Table))


def test_offsets_of_large_volumes_have_64_bits():
    """Such a volume would not fit; a small one must come out the same."""
    geometry = tomo.ConeBeam(1, (8, 8), 200.0, sod=4e3, sdd=6e3)
    large = launches(make_plan(geometry, oa.Grid((1300,) * 3)), "project", 1)[-1]
    assert dict(large.defines)["OPALG_WIDE"] == "1"
    plan = NAMED["cone, more than a block"]
    x = np.random.default_rng(0).standard_normal((5, *plan.volume_shape)).astype(np.float32)
    expected = cuda_on_host.run(plan, "project", x, plan.projection_shape)
    wide = [
        replace(launch, defines=tuple({**dict(launch.defines), "OPALG_WIDE": "1"}.items()))
        for launch in launches(plan, "project", 5)
    ]
    result = np.full_like(expected, np.nan)
    cuda_on_host.execute(wide, x, result)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("size", [256, 1024])
def test_every_image_of_large_scans_is_computed(size, batch):
    geometry = tomo.ConeBeam(size, (size, size), 2.0, sod=3.0 * size, sdd=6.0 * size)
    plan = make_plan(geometry, oa.Grid((size, size, size)))
    for direction in ("project", "backproject", "backproject_voxels", "project_voxels"):
        done = []
        for launch in launches(plan, direction, batch):
            images = int(dict(launch.defines).get("OPALG_BATCH", 0))
            if any(isinstance(argument, Output) for argument in launch.arguments):
                first = launch.arguments[-1]
                if isinstance(first, Output):
                    place = next(a for a in launch.arguments if getattr(a, "dtype", None) == IMAGES)
                    first = place["volume"] // place["volume_stride"]
                done.extend(range(int(first), int(first) + images * launch.grid[2]))
        assert done == list(range(batch)), direction
