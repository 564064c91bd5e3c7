"""The voxel-driven kernels, run on the host, agree with the CPU engine and are each other's transpose."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_plans import KINDS, NAMED, random_plan

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.engines.launch_tables import case_of
from opalg.engines.launches import launches
from opalg.errors import ArgumentError
from opalg.tomo.plans import general_plan

#: Relative to the norm of the result; most seen is 1.4e-6 and, in double, 1e-14.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}
FREE_ARC = "arc around another point"


def compare(plan, dtype, weight, batch=1):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, *plan.volume_shape)).astype(dtype)
    y = rng.standard_normal((batch, *plan.projection_shape)).astype(dtype)
    expected = np.empty(x.shape, dtype)
    cpu.backproject_voxels(plan, y, expected, weight=weight)
    back = cuda_on_host.run(plan, "backproject_voxels", y, plan.volume_shape, weight=weight)
    error, norm = np.linalg.norm(back - expected), np.linalg.norm(expected)
    assert error <= TOLERANCE[dtype] * norm, f"{error / norm:.2e} for {plan}"
    expected = np.empty(y.shape, dtype)
    cpu.project_voxels(plan, x, expected, weight=weight)
    forth = cuda_on_host.run(plan, "project_voxels", x, plan.projection_shape, weight=weight)
    error, norm = np.linalg.norm(forth - expected), np.linalg.norm(expected)
    assert error <= TOLERANCE[dtype] * norm, f"{error / norm:.2e} for {plan}"
    difference = np.vdot(forth, y.astype(float)) - np.vdot(x, back.astype(float))
    assert abs(difference) <= TOLERANCE[dtype] * np.linalg.norm(forth) * np.linalg.norm(y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_geometries(kind, dtype):
    for seed in range(6):
        plan = random_plan(kind, seed)
        if plan.arc_centres is None or not kind.startswith("free"):
            # Every combination is a kernel to compile; test_named_geometries has both weights.
            weight = "magnification" if dtype == "float32" else "none"
            compare(plan, dtype, weight, batch=1 if seed else 3)


@pytest.mark.parametrize("name", [name for name in NAMED if name != FREE_ARC])
def test_named_geometries(name):
    for weight in ("none", "magnification"):
        compare(NAMED[name], "float64", weight)


def test_rows_are_kept_however_close_voxels_are():
    """On rows and between them, some rows apart, upwards and down; in groups of images, too."""
    grid = oa.Grid((37, 6, 5))
    steps = []
    for rows, pitch in ((60, 0.7), (37, 1.5), (30, 1.9), (20, 4.1)):
        geometry = tomo.ConeBeam(3, (rows, 9), pitch, sod=90.0, sdd=130.0)
        plan = general_plan(geometry, grid)
        turned = replace(
            plan, v_steps=-plan.v_steps, detectors=plan.detectors + (rows - 1) * plan.v_steps
        )
        for each in (plan, turned):
            assert case_of(each).upright
            steps.append(
                case_of(each).voxel_views.array[0, 6] * 130 / 90
            )  # magnified, in the middle
            compare(each, "float32", "magnification", batch=7 if rows == 37 else 1)
    assert min(np.abs(steps)) < 0.5
    assert max(np.abs(steps)) > 2
    assert min(steps) < 0 < max(steps)


def test_an_arc_around_another_point_is_refused():
    with pytest.raises(ArgumentError, match="use backproject"):
        launches(NAMED[FREE_ARC], "backproject_voxels", 1)
