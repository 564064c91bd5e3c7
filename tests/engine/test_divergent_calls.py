"""Calls for fan and cone beams, by every way of computing them: Ctrl-C, threads, more than 2^31 elements."""

import inspect
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from opalg.engines import cpu


def make_plan(way, size, views, pixels):
    """Rows along z are computed by lines of voxels, a tilted detector and a slice ray by ray."""
    angle = np.arange(views) * 2 * np.pi / views
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros(views)
    out, u = np.stack([s, -c, zero], 1), np.stack([c, s, zero], 1)
    v = np.broadcast_to([0.0, 0.0, 1.0], u.shape)
    tilt = 0.2 if way == "rays" else 0.0
    u, v = np.cos(tilt) * u + np.sin(tilt) * v, np.cos(tilt) * v - np.sin(tilt) * u
    middle, reach = (np.array(size)[::-1] - 1) / 2, 4 * max(size)
    if way == "fan":
        out, u, v = out[:, :2], u[:, :2], 0 * u[:, :2]
    source, corner = middle + reach * out, middle - reach * out - (pixels - 1) * (u + v)
    if way == "fan":
        return cpu.DivergentPlan(size, (pixels,), source, corner, 2 * u)
    return cpu.DivergentPlan(size, (pixels,) * 2, source, corner, 2 * u, 2 * v)


LONG_CALL = (
    "import numpy as np\nfrom opalg.engines import cpu\n"
    + inspect.getsource(make_plan)
    + """
size, views, pixels = ((2000, 2000), 2000, 1500) if WAY == "fan" else ((160,) * 3, 1500, 240)
plan = make_plan(WAY, size, views, pixels)
given, result = plan.volume_shape, plan.projection_shape
if CALL != "project":
    given, result = result, given
operand, out = np.ones(given, np.float32), np.empty(result, np.float32)
print("go", flush=True)
try:
    getattr(cpu, CALL)(plan, operand, out)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
)


@pytest.mark.parametrize(
    ("way", "call"),
    [
        ("lines", "project"),
        ("lines", "backproject"),
        ("lines", "backproject_voxels"),
        ("rays", "project"),
        ("rays", "backproject"),
        ("rays", "backproject_voxels"),
        ("fan", "backproject"),
    ],
)
def test_ctrl_c_stops_a_long_call(way, call):
    program = LONG_CALL.replace("WAY", repr(way)).replace("CALL", repr(call))
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    )
    with process:
        assert process.stdout.readline() == "go\n"
        time.sleep(0.3)
        assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        answer = process.stdout.readline()
        waited = time.monotonic() - start
    assert answer == "interrupted\n"
    assert waited < 1


@pytest.mark.parametrize("way", ["lines", "rays", "fan"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_the_number_of_threads(way, dtype):
    plan = make_plan(way, (50, 46) if way == "fan" else (20, 23, 26), 41, 37)
    rng = np.random.default_rng(3)
    volume = rng.random(plan.volume_shape).astype(dtype)
    data = rng.random(plan.projection_shape).astype(dtype)
    calls = {"project": volume, "backproject": data, "backproject_voxels": data}
    for call, operand in calls.items():
        results = []
        for threads in (1, 2, 5):
            out = np.empty_like(data if call == "project" else volume)
            getattr(cpu, call)(plan, operand, out, threads=threads)
            results.append(out)
        assert results[0].any()
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


def test_more_than_2_to_31_voxels():
    """In a batch of zeros, which are pages that cost nothing, but for the last volume."""
    plan = make_plan("lines", (128,) * 3, 1, 5)
    volumes = np.zeros((2**31 // 128**3 + 1, *plan.volume_shape), np.float32)
    assert volumes.size > 2**31
    volumes[-1] = np.random.default_rng(1).random(plan.volume_shape, np.float32)
    out = np.empty((len(volumes), *plan.projection_shape), np.float32)
    expected = np.empty(plan.projection_shape, np.float32)
    cpu.project(plan, volumes, out)
    cpu.project(plan, volumes[-1].copy(), expected)
    assert expected.all()
    np.testing.assert_array_equal(out[-1], expected)
    assert not out[:-1].any()


def test_more_than_2_to_31_pixels():
    plan = make_plan("rays", (4, 5, 6), 1, 1024)
    data = np.zeros((2**31 // 1024**2 + 1, *plan.projection_shape), np.float32)
    assert data.size > 2**31
    data[-1] = np.random.default_rng(1).random(plan.projection_shape, np.float32)
    out = np.empty((len(data), *plan.volume_shape), np.float32)
    expected = np.empty(plan.volume_shape, np.float32)
    cpu.backproject_voxels(plan, data, out)
    cpu.backproject_voxels(plan, data[-1].copy(), expected)
    assert expected.all()
    np.testing.assert_array_equal(out[-1], expected)
    assert not out[:-1].any()
