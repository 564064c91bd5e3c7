"""Wrong arguments are refused in words, before any memory is touched."""

import subprocess
import sys

import numpy as np
import pytest

from opalg.engines import cpu
from opalg.errors import ArgumentError, DtypeError, MissingExtraError

RAYS = np.array([[0.0, 0, 1, 0, 0, 1]])
PLAN = cpu.ParallelPlan((4, 6), (5,), RAYS, [1.0])


def test_plan_refuses():
    def plan(volume=(4, 6), detector=(5,), rays=RAYS, lengths=(1.0,), rows=None):
        return cpu.ParallelPlan(volume, detector, rays, lengths, rows)

    for message, arguments in {
        r"not \(4,\) and \(5,\)": {"volume": (4,)},
        r"not \(4, 6\) and \(3, 5\)": {"detector": (3, 5)},
        "must not be negative": {"volume": (-4, 6)},
        "536870912 pixels or more": {"volume": (1, 2**29)},
        r"rays must have shape \(views, 6\), not \(1, 5\)": {"rays": RAYS[:, :5]},
        r"lengths must have shape \(1,\), one per view, not \(2,\)": {"lengths": (1, 2)},
        "must be finite": {"rays": RAYS * np.nan},
        "direction of a view is zero": {"rays": RAYS * [1, 1, 1, 1, 0, 0]},
        "belongs to a stack": {"rows": (0, 1)},
        "rows must be finite": {"volume": (3, 4, 6), "detector": (3, 5), "rows": (np.inf, 1)},
    }.items():
        with pytest.raises(ArgumentError, match=message):
            plan(**arguments)
    with pytest.raises(ArgumentError, match="belongs to a stack"):
        plan(volume=(3, 4, 6), detector=(3, 5))


def large_plan(volume, detector, model="joseph"):
    one = np.ones((1, 3))
    return cpu.DivergentPlan(volume, detector, 9 * one, -one, one, [[0.0, 0, 1]], model=model)


@pytest.mark.parametrize("volume", [(2, 46341, 46341), (46341, 2, 46341), (46341, 46341, 2)])
def test_too_large_planes_are_refused(volume):
    with pytest.raises(ArgumentError, match=r"2\*\*31 voxels or more .* cut the volume along"):
        large_plan(volume, (2, 2))
    large_plan((46000, 46000, 46000), (2, 2))  # the whole may be larger


def test_too_large_views_are_refused_before_anything_else():
    """Of footprints only: so the arrays need not be there."""
    nothing = np.zeros(1, np.float32)
    for detector, refused in (((46341, 46341), True), ((46000, 46000), False)):
        joseph, footprint = (
            large_plan((2, 2, 2), detector, model) for model in ("joseph", "footprint")
        )
        for plan, call, counted in (
            (joseph, cpu.project, False),
            (joseph, cpu.backproject, False),
            (joseph, cpu.backproject_voxels, False),
            (joseph, cpu.project_voxels, True),
            (footprint, cpu.project, True),
            (footprint, cpu.backproject, True),
            (footprint, cpu.backproject_voxels, False),
        ):
            message = r"2\*\*31 pixels or more .* cut the detector into parts"
            with pytest.raises(
                ArgumentError, match=message if refused and counted else "input must have shape"
            ):
                call(plan, nothing, nothing)


@pytest.mark.parametrize("call", [cpu.project, cpu.backproject])
def test_arrays_refused(call):
    shapes = [(4, 6), (1, 5)] if call is cpu.project else [(1, 5), (4, 6)]
    x, out = (np.ones(shape, np.float32) for shape in shapes)
    read_only = out.copy()
    read_only.flags.writeable = False
    unaligned = (
        np.frombuffer(bytearray(x.nbytes + 1), np.uint8)[1:].view(np.float32).reshape(x.shape)
    )
    for error, message, arguments in [
        (ArgumentError, r"input must have shape \(\.\.\., ", (x[:, 1:], out)),
        (ArgumentError, r"out must have shape \(\.\.\., ", (x, out[:, 1:])),
        (ArgumentError, "differ in their leading axes", (x[None], out)),
        (
            ArgumentError,
            "input is not C-contiguous",
            (np.asfortranarray(np.ones((2, *x.shape), "f")), out),
        ),
        (ArgumentError, "out is read-only", (x, read_only)),
        (ArgumentError, "input is not aligned", (unaligned, out)),
        (ArgumentError, "must be a NumPy array, not list", (x.tolist(), out)),
        (DtypeError, "input must be float32 or float64, not int32", (x.astype(np.int32), out)),
        (DtypeError, "input must be float32 or float64, not float16", (x.astype(np.float16), out)),
        (DtypeError, "input is float32 and out is float64", (x, out.astype(np.float64))),
        (DtypeError, "float32 or float64|byte order", (x.astype(">f4"), out)),
    ]:
        with pytest.raises(error, match=message):
            call(PLAN, *arguments)
    with pytest.raises(ArgumentError, match="at least 1, not 0"):
        call(PLAN, x, out, threads=0)


def test_overlap_is_refused():
    memory = np.ones(40)
    with pytest.raises(ArgumentError, match="overlaps"):
        cpu.project(PLAN, memory[:24].reshape(4, 6), memory[20:25].reshape(1, 5))


def test_read_only_input_is_welcome():
    x = np.ones((4, 6))
    x.flags.writeable = False
    out = np.empty((1, 5))
    cpu.project(PLAN, x, out)
    assert (out == 4).all()


def test_the_extension_is_loaded_at_first_use_only():
    program = (
        "import sys, opalg, opalg.engines.cpu as cpu\n"
        "print('opalg.engines._cpu' in sys.modules)\n"
        "cpu.active_instruction_set()\n"
        "print('opalg.engines._cpu' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert result.stdout.split() == ["False", "True"], result.stderr


def test_missing_extension_is_told_once_and_again(monkeypatch):
    monkeypatch.setattr(cpu, "_loaded", None)
    monkeypatch.setattr(cpu, "_failure", None)
    monkeypatch.setitem(sys.modules, "opalg.engines._cpu", None)
    for _ in range(2):
        with pytest.raises(
            MissingExtraError, match="compiled CPU engine of opalg cannot be loaded"
        ):
            cpu.active_instruction_set()
