"""What the solvers cost beside the projectors: share of the time, seconds, memory.

Usage: python benchmarks/solvers.py [--quick] [--repeat N] [--iterations N] [--output FILE]

Time: a wrapped operator counts the seconds spent inside projection and back projection; the rest of a
run is the solver's. Solvers take turns, and all numbers are medians, so that a busy moment of the machine
hits them alike. The floor is an iteration that costs one projection and one back projection.

Memory: the peak that tracemalloc sees beyond the data (arrays of NumPy), and how much the resident size
of a process of its own grows (with the working memory of the projectors, which the documented number does
not hold). The documented number is that of the class's docstring.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

import opalg as oa
from opalg import solvers, tomo

RESULTS = Path(__file__).parent / "results" / "solvers.json"
SOLVERS = {
    "Landweber": solvers.Landweber,
    "SIRT": solvers.SIRT,
    "SIRT, x >= 0": lambda A, **settings: solvers.SIRT(A, minimum=0.0, **settings),
    "CGLS": solvers.CGLS,
}
TARGET = 0.90  # share of the time inside the projectors


class Timed(oa.LinearOperator):
    """An operator that counts the seconds and the calls inside itself."""

    def __init__(self, operator: oa.LinearOperator) -> None:
        super().__init__(operator.domain, operator.range)
        self.operator = operator
        self.nonnegative = operator.nonnegative
        self.clock = {"seconds": 0.0, "calls": 0}

    def _timed(self, function, x, out):
        start = time.perf_counter()
        value = function(x, out)
        self.clock["seconds"] += time.perf_counter() - start
        self.clock["calls"] += 1
        return value

    def _apply(self, x, out):
        return self._timed(self.operator._apply, x, out)

    def _apply_transpose(self, y, out):
        return self._timed(self.operator._apply_transpose, y, out)

    def _norm_bounds(self):
        return self.operator.norm_bounds()


def transform(quick: bool) -> tomo.XrayTransform:
    """The geometry of the project's goals, or a quarter of it."""
    size, views, detectors = (128, 90, 192) if quick else (512, 360, 768)
    grid = oa.Grid((size, size), spacing=0.5)
    return tomo.XrayTransform(grid, tomo.ParallelBeam(angles=views, detector=detectors, pitch=0.5))


def sinogram(A: tomo.XrayTransform) -> np.ndarray:
    """Exact projections of a phantom that fills the image."""
    diameter = 0.9 * A.domain.extent[0]
    return tomo.phantoms.shepp_logan(diameter=diameter).project(A.geometry)


def measure_times(A: tomo.XrayTransform, iterations: int, repeat: int) -> dict[str, dict]:
    """Median seconds per iteration and share of the projectors, of `repeat` runs in turn."""
    y, runs = sinogram(A), {name: [] for name in SOLVERS}
    timed = Timed(A)
    made = {name: make(timed, iterations=iterations) for name, make in SOLVERS.items()}
    for solver in made.values():
        solver.solve(y, iterations=2)  # weights, norms and engine buffers are made once
    for _ in range(repeat):
        for name, solver in made.items():
            timed.clock.update(seconds=0.0, calls=0)
            start = time.perf_counter()
            solver.solve(y)
            total = time.perf_counter() - start
            inside, calls = timed.clock["seconds"], timed.clock["calls"]
            runs[name].append(
                (total / iterations, inside / total, (total - inside) / iterations, calls)
            )
    found = {}
    for name, rows in runs.items():
        seconds, share, rest, calls = (
            statistics.median(column) for column in zip(*rows, strict=True)
        )
        found[name] = {
            "seconds_per_iteration": seconds,
            "share_inside_projectors": share,
            "solver_ms_per_iteration": 1e3 * rest,
            "projector_calls": calls,
        }
    return found


def documented_bytes(A: tomo.XrayTransform, name: str) -> int:
    """What the docstring of the class promises."""
    words = type(SOLVERS[name](A)).__doc__
    volumes, sinograms = re.search(r"data: (\d) volumes and (\d) sinogram", words).groups()
    itemsize = A.domain.dtype.itemsize
    return (int(volumes) * A.domain.size + int(sinograms) * A.range.size) * itemsize


def traced_bytes(A: tomo.XrayTransform, name: str) -> int:
    """The peak beyond the data in NumPy's arrays, preparation included."""
    y, solver = sinogram(A), SOLVERS[name](A, iterations=3)
    A.norm_bounds()  # remembered for the operator, whichever solver asks
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    solver.solve(y)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak


def resident_bytes(quick: bool, name: str) -> int:
    """How much the process grew at its peak; in a process of its own, since a peak never shrinks."""
    command = [sys.executable, __file__, "--resident", name, *(["--quick"] if quick else [])]
    # Arrays that were freed before go back to the system at once instead of being used again unseen.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout)


def grow(quick: bool, name: str) -> int:
    """The growth of this process by one run, after everything else has been in memory once."""
    A = transform(quick)
    y = sinogram(A)
    A.H(A(A.domain.zeros()))
    A.norm_bounds()
    # Linux keeps the largest size; it is set back, so that what came before does not hide the run.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    SOLVERS[name](A, iterations=3).solve(y)
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes of this process in memory: now (VmRSS) or at most (VmHWM)."""
    return 1024 * int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a quarter of the size, few repetitions"
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--resident", metavar="SOLVER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.resident:
        print(grow(arguments.quick, arguments.resident))
        return
    A = transform(arguments.quick)
    repeat = 2 if arguments.quick else arguments.repeat
    print(
        f"{A.domain.shape} pixels, {A.range.shape} measurements, {arguments.iterations} iterations"
    )
    rows = measure_times(A, arguments.iterations, repeat)
    for name, row in rows.items():
        row["documented_bytes"] = documented_bytes(A, name)
        row["traced_bytes"] = traced_bytes(A, name)
        row["resident_growth_bytes"] = resident_bytes(arguments.quick, name)
    header = f"{'':14}{'ms/iteration':>14}{'projectors':>12}{'solver ms':>11}"
    print(header + f"{'documented':>13}{'traced':>10}{'resident':>10}   (MB)")
    for name, row in rows.items():
        share = row["share_inside_projectors"]
        print(
            f"{name:14}{1e3 * row['seconds_per_iteration']:14.2f}{share:12.1%}"
            f"{row['solver_ms_per_iteration']:11.2f}{row['documented_bytes'] / 1e6:13.2f}"
            f"{row['traced_bytes'] / 1e6:10.2f}{row['resident_growth_bytes'] / 1e6:10.2f}"
            f"   {'ok' if share >= TARGET else f'below {TARGET:.0%}'}"
        )
    record = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "load_before": os.getloadavg(),
        "pixels": A.domain.shape,
        "measurements": A.range.shape,
        "iterations": arguments.iterations,
        "repeat": repeat,
        "solvers": rows,
    }
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
