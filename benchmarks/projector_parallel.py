"""Parallel-beam projection and back projection on the CPU, beside ASTRA's `linear` projector.

Usage: python benchmarks/projector_parallel.py [--quick] [--repeat N] [--threads N] [--output FILE]

All candidates take turns, so that a busy moment of the machine hits them alike. Times are medians;
the table also has the best. A run writes one JSON file with every single time in it.

The floor. A sample costs at least the vector instructions counted in COSTS (AVX-512, 16 lanes, read
off the compiled inner loops). The machine's own rate of fused multiply-adds is measured in the same
run by a single-threaded matrix product of NumPy, which keeps the same ports busy; instructions
divided by that rate are the floor of one thread. Memory sets no higher one: an image and its sinogram
are 2 MB, which a core reads in a fraction of a millisecond.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # the rate of one core

import argparse
import datetime
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from opalg.engines import cpu

RESULTS = Path(__file__).parent / "results" / "projector_parallel.json"

# Vector instructions per sample and register of 16 lanes, on the ports that also do arithmetic.
COSTS = {
    # position, comparison, carry of weight and index, next index, two permutes, interpolation (3)
    "image project": 10,
    # the same five and two permutes, two weights of two instructions, two multiply-adds
    "image backproject": 13,
    # two multiply-adds: weights and indices are shared by 16 slices
    "stack project": 2,
    "stack backproject": 2,
}


def circular_plan(size: int, views: int, detectors: int, slices: int = 0) -> cpu.ParallelPlan:
    """Views over half a turn around the middle of a square image, pixel pitch = detector pitch."""
    angle = np.arange(views) * np.pi / views
    c, s = np.cos(angle), np.sin(angle)
    middle, half = (size - 1) / 2, (detectors - 1) / 2
    rays = np.stack([middle - half * c, middle - half * s, c, s, -s, c], axis=1)
    lengths = 1 / np.maximum(abs(c), abs(s))
    if slices:
        shape, detector = (slices, size, size), (slices, detectors)
        return cpu.ParallelPlan(shape, detector, rays, lengths, (0, 1))
    return cpu.ParallelPlan((size, size), (detectors,), rays, lengths)


def samples_inside(size: int, views: int, detectors: int) -> int:
    """Samples of all rays of a slice that meet a pixel."""
    total, planes, rays = 0, np.arange(size), np.arange(detectors)[:, None]
    for angle in np.arange(views) * np.pi / views:
        along, across = sorted((abs(np.cos(angle)), abs(np.sin(angle))), reverse=True)
        slope, step = across / along, 1 / along
        middle = (size - 1) / 2
        position = middle + step * (rays - (detectors - 1) / 2) + slope * (planes - middle)
        total += np.count_nonzero((position > -1) & (position < size))
    return total


def astra_calls(size: int, views: int, detectors: int) -> dict[str, Callable[[], object]]:
    """ASTRA's projection and back projection of one image, in preallocated memory."""
    import astra

    volume = astra.create_vol_geom(size, size)
    angles = np.arange(views) * np.pi / views
    geometry = astra.create_proj_geom("parallel", 1.0, detectors, angles)
    projector = astra.create_projector("linear", geometry, volume)
    image = astra.data2d.create("-vol", volume, np.random.default_rng(0).random((size, size)))
    sinogram = astra.data2d.create(
        "-sino", geometry, np.random.default_rng(0).random((views, detectors))
    )
    calls = {}
    for name, kind, keys in (
        ("project", "FP", ("VolumeDataId", "ProjectionDataId")),
        ("backproject", "BP", ("ReconstructionDataId", "ProjectionDataId")),
    ):
        options = {"ProjectorId": projector, keys[0]: image, keys[1]: sinogram, "type": kind}
        algorithm = astra.algorithm.create(options)
        calls[name] = lambda algorithm=algorithm: astra.algorithm.run(algorithm)
    return calls


def engine_calls(plan: cpu.ParallelPlan, threads: int) -> dict[str, Callable[[], None]]:
    """The engine's projection and back projection of one volume, in preallocated memory."""
    rng = np.random.default_rng(0)
    volume = rng.random(plan.volume_shape, np.float32)
    projections = rng.random(plan.projection_shape, np.float32)
    return {
        "project": lambda: cpu.project(plan, volume, projections, threads=threads),
        "backproject": lambda: cpu.backproject(plan, projections, volume, threads=threads),
    }


def multiply_adds_per_second() -> Callable[[], float]:
    """Scalar multiply-adds per second of one core, by a matrix product."""
    a = np.random.default_rng(0).random((768, 768), np.float32)
    out = np.empty_like(a)

    def measure() -> float:
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        return len(a) ** 3 / (time.perf_counter() - start)

    return measure


def measure(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, list[float]]:
    """Seconds of every call, in `repeat` rounds of all of them, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeat + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def machine() -> dict[str, object]:
    """Where and with what this was measured."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(
            line.split(":")[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        processor = platform.processor()
    packages = ("opalg", "numpy", "astra-toolbox")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": processor,
        "processors": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "instruction_set": cpu.active_instruction_set(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    parser.add_argument("--repeat", type=int, help="rounds (default 9, quick 2)")
    parser.add_argument("--threads", type=int, default=cpu.get_num_threads())
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    size, views, detectors, slices = (128, 90, 192, 16) if options.quick else (512, 360, 768, 64)
    repeat = options.repeat or (2 if options.quick else 9)

    about = machine()
    rate = multiply_adds_per_second()
    rates: list[float] = []
    calls: dict[str, Callable[[], object]] = {"rate": lambda: rates.append(rate())}
    for name, call in astra_calls(size, views, detectors).items():
        calls[f"astra {name} 1"] = call
    for what, plan in (
        ("image", circular_plan(size, views, detectors)),
        ("stack", circular_plan(size, views, detectors, slices)),
    ):
        for threads in dict.fromkeys((1, options.threads)):
            for name, call in engine_calls(plan, threads).items():
                calls[f"{what} {name} {threads}"] = call
    times = measure(calls, repeat)
    del times["rate"]

    counts = {
        "project": samples_inside(size, views, detectors),
        "backproject": size * size * views,
    }
    print(
        f"{size} x {size}, {views} views, {detectors} detectors, float32; stack of {slices} slices"
    )
    print(f"{about['processor']}, {about['instruction_set']}, load {about['load_before']:.2f}")
    print(
        f"{max(rates) / 1e9:.0f} G multiply-adds/s per core; medians of {repeat} rounds, per slice\n"
    )
    head = ("", "threads", "ms", "best", "G samples/s", "x ASTRA", "scaling", "floor ms", "x floor")
    print("{:<18}{:>8}{:>9}{:>9}{:>13}{:>9}{:>9}{:>10}{:>9}".format(*head))
    rows = []
    for key, seconds in times.items():
        what, name, threads = key.split()
        share = slices if what == "stack" else 1
        median, best = statistics.median(seconds) / share, min(seconds) / share
        row: dict[str, object] = {
            "case": f"{what} {name}",
            "threads": int(threads),
            "median_ms": 1e3 * median,
            "best_ms": 1e3 * best,
            "giga_samples_per_second": counts[name] / median / 1e9,
        }
        if what != "astra":
            alone = statistics.median(times[f"{what} {name} 1"]) / share
            floor = counts[name] * COSTS[f"{what} {name}"] / max(rates) / int(threads)
            row["times_astra"] = statistics.median(times[f"astra {name} 1"]) / median
            row["scaling"] = alone / median
            row["floor_ms"] = 1e3 * floor
            row["times_floor"] = median / floor
        rows.append(row | {"all_ms": [1e3 * s / share for s in seconds]})
        cells = [f"{v:.2f}" for k, v in row.items() if k not in {"case", "threads"}]
        line = f"{row['case']:<18}{row['threads']:>8}"
        print(
            line
            + "".join(f"{c:>{w}}" for c, w in zip(cells, (9, 9, 13, 9, 9, 10, 9), strict=False))
        )

    options.output.parent.mkdir(parents=True, exist_ok=True)
    sizes = {"size": size, "views": views, "detectors": detectors, "slices": slices}
    report = {
        "machine": about,
        "sizes": sizes,
        "multiply_adds_per_second": max(rates),
        "rows": rows,
    }
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
