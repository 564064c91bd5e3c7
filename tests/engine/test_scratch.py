"""What memory a call takes is told before it runs: by the engine's count, and by that of the system."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.engines.divergent import DivergentPlan
from opalg.tomo.plans import general_plan, make_plan

SLICE, VOLUME = oa.Grid((60, 70)), oa.Grid((33, 40, 36))
FAR = {"sod": 120.0, "sdd": 200.0}
CONE = tomo.ConeBeam(9, (41, 50), 2.0, **FAR)
TILTED = tomo.rotate("x", 0.3) * CONE

PLANS = {
    "parallel": make_plan(tomo.ParallelBeam(13, 90), SLICE),
    "stack": make_plan(tomo.ParallelBeam(13, (20, 64), (1.3, 1.0)), VOLUME),
    "fan": make_plan(tomo.FanBeam(13, 90, 2.0, **FAR), SLICE),
    "curved fan": make_plan(tomo.FanBeam(13, 90, 2.0, **FAR, curved=True), SLICE),
    "lines": make_plan(CONE, VOLUME),
    "curved lines": make_plan(tomo.ConeBeam(9, (41, 50), 2.0, **FAR, curved=True), VOLUME),
    "rays": make_plan(TILTED, VOLUME),
    "lines and rays": make_plan(tomo.trajectories.concatenate([CONE, TILTED]), VOLUME),
    "laminography": make_plan(tomo.rotate("x", 0.6) * tomo.ParallelBeam(9, (30, 40)), VOLUME),
    "siddon": replace(general_plan(CONE, VOLUME), model="siddon"),
    "footprints": replace(
        general_plan(tomo.trajectories.concatenate([CONE, TILTED]), VOLUME), model="footprint"
    ),
    "footprints, slice": replace(
        general_plan(tomo.FanBeam(13, 90, 2.0, **FAR), SLICE), model="footprint"
    ),
    "siddon, slice": replace(general_plan(tomo.FanBeam(13, 90, 2.0, **FAR), SLICE), model="siddon"),
}


def run(call, plan, dtype, batch, threads):
    shapes = [(batch, *plan.volume_shape), (batch, *plan.projection_shape)]
    given, result = shapes if call.startswith("project") else shapes[::-1]
    operand, out = np.ones(given, dtype), np.empty(result, dtype)
    cpu.take_scratch_peak()
    getattr(cpu, call)(plan, operand, out, threads=threads)
    return cpu.take_scratch_peak()


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("call", ["project", "backproject", "backproject_voxels", "project_voxels"])
def test_a_call_takes_what_was_told(name, call):
    plan = PLANS[name]
    for dtype, batch, threads in (("float32", 1, 1), ("float64", 3, 2)):
        told = cpu.scratch_bytes(call, plan, dtype, batch=batch, threads=threads)
        assert run(call, plan, dtype, batch, threads) == told > 0


def test_nothing_is_made_to_tell_it():
    # 10 TB of voxels: they are not there when the memory is told.
    plan = DivergentPlan(
        (16000, 16000, 10000),
        (64, 64),
        [[8e3, -1e5, 8e3]],
        [[8e3, 1e5, 8e3]],
        [[1, 0, 0]],
        [[0, 0, 1]],
    )
    assert cpu.scratch_bytes("project", plan) > 4 * 16000**2 * 10000


PROBE = """
import sys, numpy as np
from opalg import Grid, tomo
from opalg.engines import cpu
from opalg.tomo.plans import make_plan

call, kind = sys.argv[1:]
grid = Grid((160, 160, 160))
geometry = tomo.ConeBeam(40, (192, 192), 2.0, sod=400.0, sdd=700.0)
if kind == "rays":
    geometry = tomo.rotate("x", 0.3) * geometry
plan = make_plan(geometry, grid)
x, y = np.ones(plan.volume_shape, "float32"), np.ones(plan.projection_shape, "float32")
told = cpu.scratch_bytes(call, plan, threads=2)
small = make_plan(geometry[:1, :8, :8], Grid((8, 8, 8)))  # loads the engine
cpu.project(small, np.ones((8, 8, 8), "float32"), np.empty((1, 8, 8), "float32"))
def most():  # kilobytes resident at the worst moment since it was forgotten
    return next(int(row.split()[1]) for row in open("/proc/self/status") if row.startswith("VmHWM"))
open("/proc/self/clear_refs", "w").write("5")
before = most()
getattr(cpu, call)(plan, *((x, y) if call == "project" else (y, x)), threads=2)
print(told, 1024 * (most() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process")
@pytest.mark.parametrize("kind", ["lines", "rays"])
@pytest.mark.parametrize("call", ["project", "backproject", "backproject_voxels"])
def test_the_system_counts_the_same(call, kind):
    found = subprocess.run(
        [sys.executable, "-c", PROBE, call, kind], capture_output=True, text=True, check=True
    )
    told, taken = map(int, found.stdout.split())
    # Threads have stacks, and buffers are rounded up to large pages of 2 MB, not all of which are touched.
    assert 0.8 * told < taken < 1.1 * told + (4 << 20)
