"""SIRT and CGLS on the CPU beside ASTRA's, on the same data, for as many iterations.

Usage: python benchmarks/solvers_astra.py [--quick] [--repeat N] [--output FILE]

256 x 256 pixels, 180 views over half a turn, 384 detectors, 150 iterations, float32. ASTRA runs its CPU
algorithms "SIRT" and "CGLS" with its projector "linear", which interpolates as opalg's does; both start from
zero, and are given arrays that are in memory already. Times are of whole runs, with the weights of SIRT and
without the geometry's set-up; all candidates take turns, so that a busy moment of the machine hits them
alike. The table has medians and how far the two images are apart: rounding, which 150 steps of CGLS, long
past the best one, amplify as they amplify the noise.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import opalg as oa
from opalg import solvers, tomo
from opalg.engines import cpu

RESULTS = Path(__file__).parent / "results" / "solvers_astra.json"
METHODS = {"SIRT": solvers.SIRT, "CGLS": solvers.CGLS}
TARGET = 15.0  # times as fast as ASTRA, on all processors


def astra_call(
    name: str, A: tomo.XrayTransform, y: np.ndarray, iterations: int
) -> Callable[[], np.ndarray]:
    """A run of ASTRA's algorithm from zero; the image with rows upwards."""
    import astra

    views, volume = A.geometry.to_astra(A.domain)
    projector = astra.create_projector("linear", views, volume)
    sinogram = astra.data2d.create("-sino", views, np.ascontiguousarray(y))
    image = astra.data2d.create("-vol", volume)

    def call() -> np.ndarray:
        astra.data2d.store(image, 0.0)
        # The algorithm is made anew, since it would go on from where it was.
        algorithm = astra.algorithm.create(
            {
                "type": name,
                "ProjectorId": projector,
                "ReconstructionDataId": image,
                "ProjectionDataId": sinogram,
            }
        )
        astra.algorithm.run(algorithm, iterations)
        astra.algorithm.delete(algorithm)
        return astra.data2d.get(image)[::-1]

    return call


def opalg_call(
    name: str, A: tomo.XrayTransform, y: np.ndarray, iterations: int
) -> Callable[[], np.ndarray]:
    """A run of a new solver, which computes its weights."""
    return lambda: METHODS[name](A, iterations=iterations)(y)


def timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    x = call()
    return time.perf_counter() - start, x


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    parser.add_argument("--repeat", type=int, help="runs of each (default 3, quick 1)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    size, views, detectors, iterations = (64, 45, 96, 10) if options.quick else (256, 180, 384, 150)
    repeat = options.repeat or (1 if options.quick else 3)

    load, threads = os.getloadavg()[0], cpu.get_num_threads()
    A = tomo.XrayTransform(
        oa.Grid((size, size)), tomo.ParallelBeam(angles=views, detector=detectors)
    )
    # With the noise of some 1e5 photons, so that late iterations have something to do.
    phantom = tomo.phantoms.shepp_logan(diameter=0.9 * size)
    exact = phantom.project(A.geometry)
    y = exact + 3e-3 * exact.max() * np.random.default_rng(0).standard_normal(exact.shape)
    y = y.astype("float32")

    counts = list(dict.fromkeys((1, threads)))
    times: dict[tuple[str, str], list[float]] = {}
    images: dict[tuple[str, str], np.ndarray] = {}
    for turn in range(repeat + 1):  # the first to warm up
        for name in METHODS:
            steps = iterations if turn else 3
            candidates = {"astra": (astra_call(name, A, y, steps), threads)}
            for count in counts:
                candidates[f"opalg {count}"] = (opalg_call(name, A, y, steps), count)
            for label, (call, count) in candidates.items():
                cpu.set_num_threads(count)
                seconds, images[name, label] = timed(call)
                if turn:
                    times.setdefault((name, label), []).append(seconds)
    cpu.set_num_threads(threads)

    print(f"{size} x {size} pixels, {views} views, {detectors} detectors, {iterations} iterations")
    print(f"{processor()}, {cpu.active_instruction_set()}, load before {load:.2f}")
    print(f"medians of {repeat} runs; ASTRA's CPU algorithms use one thread\n")
    print(f"{'':6}{'threads':>8}{'ASTRA s':>10}{'opalg s':>10}{'times':>8}{'difference':>12}")
    rows = []
    for name in METHODS:
        theirs = statistics.median(times[name, "astra"])
        for count in counts:
            ours = statistics.median(times[name, f"opalg {count}"])
            x, other = images[name, f"opalg {count}"], images[name, "astra"]
            row = {
                "method": name,
                "threads": count,
                "astra_seconds": theirs,
                "opalg_seconds": ours,
                "times_astra": theirs / ours,
                "relative_difference": float(np.linalg.norm(x - other) / np.linalg.norm(other)),
                "all_astra_seconds": times[name, "astra"],
                "all_opalg_seconds": times[name, f"opalg {count}"],
            }
            rows.append(row)
            told = "" if count != threads else ("   ok" if theirs / ours >= TARGET else "   below")
            print(
                f"{name:6}{count:8}{theirs:10.3f}{ours:10.3f}{theirs / ours:8.1f}"
                f"{row['relative_difference']:12.2e}{told}"
            )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "machine": {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "processor": processor(),
            "processors": os.cpu_count(),
            "threads": threads,
            "load_before": load,
            "instruction_set": cpu.active_instruction_set(),
            "versions": {
                package: importlib.metadata.version(package)
                for package in ("opalg", "numpy", "astra-toolbox")
            },
        },
        "pixels": size,
        "views": views,
        "detectors": detectors,
        "iterations": iterations,
        "target": TARGET,
        "rows": rows,
    }
    options.output.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
