"""Structures that Python packs lie in memory as C++ reads them, and half numbers mean the same to both."""

import subprocess
from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_plans import NAMED, random_plan
from host_kernels import SOURCES

from opalg.engines.divergent import DivergentPlan
from opalg.engines.launch_footprints import SCAN, VIEW
from opalg.engines.launch_tables import IMAGES, RAY_GEOMETRY, case_of
from opalg.engines.launches import launches


def struct_checks(name, dtype, members=None):
    """Assertions that a structure has the size and the offsets of a dtype."""
    yield f"static_assert(sizeof({name}) == {dtype.itemsize});"
    for member in members or dtype.names:
        field = dtype.fields[member]
        yield f"static_assert(offsetof({name}, {member}) == {field[1]});"
        yield f"static_assert(sizeof({name}::{member}) == {field[0].itemsize});"


def compiles(lines, source):
    text = f'#include <cstddef>\n#include "{source}"\nusing namespace opalg;\n' + "\n".join(lines)
    command = ["g++", "-std=c++17", "-fsyntax-only", f"-I{SOURCES}", "-xc++", "-"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=False)


def test_structures_agree():
    case = case_of(NAMED["fan, longer than a leap"])
    lines = [
        *struct_checks("RayGeometry", RAY_GEOMETRY),
        *struct_checks("Images", IMAGES),
        *struct_checks("Arc", case.arc.dtype),
        f"static_assert(sizeof(VoxelView) == {case.voxel_views.array[0].nbytes});",
        "static_assert(offsetof(VoxelView, lift) == 96);",
        f"static_assert(sizeof(SliceView) == {case.slice_views['float'].array.itemsize});",
        "static_assert(offsetof(SliceView, source_x) == 48);",
    ]
    done = compiles(lines, "backproject_slices.cu")
    assert done.returncode == 0, done.stderr
    lines = [*struct_checks("FootprintTable", VIEW), *struct_checks("FootprintScan", SCAN)]
    done = compiles(lines, "project_footprints.cu")
    assert done.returncode == 0, done.stderr
    wrong = compiles(struct_checks("RayGeometry", RAY_GEOMETRY, ["nu"]), "project_rays.cu")
    assert wrong.returncode == 0, wrong.stderr
    assert compiles(["static_assert(sizeof(Arc) == 24);"], "voxel_shadow.cuh").returncode != 0


def test_structures_have_no_gaps_that_are_not_packed():
    plans = [NAMED[name] for name in ("fan, longer than a leap", "curved")]
    plans += [replace(plan, model="footprint") for plan in plans]
    for plan in plans:
        for direction in ("project", "backproject", "backproject_voxels", "project_voxels"):
            for launch in launches(plan, direction, 3):
                for argument in launch.arguments:
                    if isinstance(argument, np.void):
                        assert argument.dtype.itemsize % 8 == 0


def one_to_one(count):
    """Every pixel looks at one voxel, through a way of length one."""
    return DivergentPlan((1, count), (count,), [[0.0, 1.0]], [[0, 0]], [[1.0, 0.0]], parallel=True)


def test_every_half_number_is_read_and_written_as_by_numpy():
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16)
    numbers = numbers[np.isfinite(numbers)][None, None]
    plan = one_to_one(numbers.size)
    result = cuda_on_host.run(plan, "project", numbers, plan.projection_shape)
    np.testing.assert_array_equal(result, numbers)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["fan", "cone"])
def test_results_are_rounded_once(kind, dtype):
    plan = random_plan(kind, 4)
    rng = np.random.default_rng(0)
    for direction, source, target in (
        ("project", plan.volume_shape, plan.projection_shape),
        ("backproject", plan.projection_shape, plan.volume_shape),
        ("backproject_voxels", plan.projection_shape, plan.volume_shape),
    ):
        x = rng.standard_normal((2, *source)).astype(np.float32)
        half, wide = to_storage(x, dtype)
        expected, _ = to_storage(cuda_on_host.run(plan, direction, wide, target), dtype)
        result = cuda_on_host.run(plan, direction, half, target, dtype)
        np.testing.assert_array_equal(result.view(np.uint16), expected.view(np.uint16))


def to_storage(x, dtype):
    """Numbers as they are stored, and these as float32."""
    if dtype == "float16":
        return (half := x.astype(np.float16)), half.astype(np.float32)
    bits = x.view(np.uint32).astype(np.uint64)
    half = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)  # to nearest, ties to even
    return half, (half.astype(np.uint32) << 16).view(np.float32)
