"""Fan-beam projection and back projection on the CPU, beside ASTRA's `line_fanflat`.

Usage: python benchmarks/projector_fan.py [--quick] [--repeat N] [--threads N] [--output FILE]

ASTRA's CPU projector for fans takes exact lengths (Siddon's model), in one thread; ours is measured
in this model and in Joseph's. All candidates take turns, so that a busy moment of the machine hits
them alike. Times are medians; the table also has the best.

The floor is that of projector_parallel.py: vector instructions per register of 16 samples (COSTS) at
the machine's own rate of multiply-adds, measured in the same run.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from projector_parallel import machine, measure, multiply_adds_per_second

from opalg.engines import cpu

RESULTS = Path(__file__).parent / "results" / "projector_fan.json"
NEAR, FAR = 2.0, 1.0  # distances of source and detector from the axis, in sides of the image

# Vector instructions per register of 16 samples, on the ports that also do arithmetic.
COSTS = {
    # position (1), whole and remainder (2), two permutes and an index (3), interpolation (2), sum (1)
    "joseph project": 9,
    # two voxels per sample, each: index (1), two permutes (2), distance (1), weight (2), product (1);
    # and once per register: number of the first ray (2), place (1)
    "joseph backproject": 17,
    # position (1), floor (4), clamp (2), index (1), two gathers of 8 pairs (16), sorting (2), sum (3),
    # shares of the way (6)
    "siddon project": 35,
    # the same without gathers, two shares (2) and their interleaving (2), 16 additions to cells
    "siddon backproject": 34,
}


def fan_plan(size: int, views: int, detectors: int, model: str) -> cpu.DivergentPlan:
    """A full circle; detector pixels as wide as a pixel's shadow."""
    angle = np.arange(views) * 2 * np.pi / views
    out = np.stack([np.sin(angle), -np.cos(angle)], 1)
    u = (NEAR + FAR) / NEAR * np.stack([np.cos(angle), np.sin(angle)], 1)
    middle = (size - 1) / 2
    corner = middle - FAR * size * out - (detectors - 1) / 2 * u
    return cpu.DivergentPlan(
        (size, size), (detectors,), middle + NEAR * size * out, corner, u, model=model
    )


def samples_inside(plan: cpu.DivergentPlan) -> int:
    """Samples of all rays that meet a pixel."""
    total, size = 0, plan.volume_shape[0]
    planes = np.arange(size)
    for view, source in enumerate(plan.sources):
        way = plan.pixels(view) - source
        axis = (abs(way[:, 0]) > abs(way[:, 1])).astype(int)  # of what lies across: 0 is x
        along = np.where(axis, way[:, 0], way[:, 1])
        across = np.where(axis, way[:, 1], way[:, 0])
        start, off = np.where(axis, source[0], source[1]), np.where(axis, source[1], source[0])
        place = off[:, None] + (planes - start[:, None]) * (across / along)[:, None]
        total += int(np.count_nonzero((place > -1) & (place < size)))
    return total


def astra_calls(size: int, views: int, detectors: int) -> dict[str, Callable[[], object]]:
    """ASTRA's projection and back projection of one image, in preallocated memory."""
    import astra

    volume = astra.create_vol_geom(size, size)
    angles = np.arange(views) * 2 * np.pi / views
    pitch = (NEAR + FAR) / NEAR
    geometry = astra.create_proj_geom("fanflat", pitch, detectors, angles, NEAR * size, FAR * size)
    projector = astra.create_projector("line_fanflat", geometry, volume)
    rng = np.random.default_rng(0)
    image = astra.data2d.create("-vol", volume, rng.random((size, size)))
    sinogram = astra.data2d.create("-sino", geometry, rng.random((views, detectors)))
    calls = {}
    for name, kind, keys in (
        ("project", "FP", ("VolumeDataId", "ProjectionDataId")),
        ("backproject", "BP", ("ReconstructionDataId", "ProjectionDataId")),
    ):
        options = {"ProjectorId": projector, keys[0]: image, keys[1]: sinogram, "type": kind}
        algorithm = astra.algorithm.create(options)
        calls[name] = lambda algorithm=algorithm: astra.algorithm.run(algorithm)
    return calls


def engine_calls(plan: cpu.DivergentPlan, threads: int) -> dict[str, Callable[[], None]]:
    rng = np.random.default_rng(0)
    image = rng.random(plan.volume_shape, np.float32)
    sinogram = rng.random(plan.projection_shape, np.float32)
    sums, gathered = np.empty_like(sinogram), np.empty_like(image)
    return {
        "project": lambda: cpu.project(plan, image, sums, threads=threads),
        "backproject": lambda: cpu.backproject(plan, sinogram, gathered, threads=threads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    parser.add_argument("--repeat", type=int, help="rounds (default 9, quick 2)")
    parser.add_argument("--threads", type=int, default=cpu.get_num_threads())
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    size, views, detectors = (128, 90, 192) if options.quick else (512, 360, 768)
    repeat = options.repeat or (2 if options.quick else 9)

    about = machine()
    rate = multiply_adds_per_second()
    rates: list[float] = []
    calls: dict[str, Callable[[], object]] = {"rate": lambda: rates.append(rate())}
    try:
        for name, call in astra_calls(size, views, detectors).items():
            calls[f"astra {name} 1"] = call
    except ImportError as error:
        print(f"ASTRA is left out ({error}): pip install astra-toolbox\n")
    plans = {model: fan_plan(size, views, detectors, model) for model in ("joseph", "siddon")}
    for model, plan in plans.items():
        for threads in dict.fromkeys((1, options.threads)):
            for name, call in engine_calls(plan, threads).items():
                calls[f"{model} {name} {threads}"] = call
    times = measure(calls, repeat)
    del times["rate"]

    samples = samples_inside(plans["joseph"])
    print(f"{size} x {size}, {views} views, {detectors} detectors, float32")
    print(f"{about['processor']}, {about['instruction_set']}, load {about['load_before']:.2f}")
    print(f"{max(rates) / 1e9:.0f} G multiply-adds/s per core; medians of {repeat} rounds\n")
    head = ("", "threads", "ms", "best", "G/s core", "x ASTRA", "scaling", "floor ms", "x floor")
    print("{:<20}{:>8}{:>9}{:>9}{:>10}{:>9}{:>9}{:>10}{:>9}".format(*head))
    rows = []
    for key, seconds in times.items():
        what, name, threads = key.split()
        median = statistics.median(seconds)
        row: dict[str, object] = {
            "case": f"{what} {name}",
            "threads": int(threads),
            "median_ms": 1e3 * median,
            "best_ms": 1e3 * min(seconds),
            "giga_samples_per_second_and_core": samples / median / int(threads) / 1e9,
        }
        if what != "astra":
            peer = times.get(f"astra {name} 1")
            floor = samples * COSTS[f"{what} {name}"] / max(rates) / int(threads)
            row["times_astra"] = statistics.median(peer) / median if peer else float("nan")
            row["scaling"] = statistics.median(times[f"{what} {name} 1"]) / median
            row["floor_ms"] = 1e3 * floor
            row["times_floor"] = median / floor
        rows.append(row | {"all_ms": [1e3 * s for s in seconds]})
        cells = [f"{v:.2f}" for k, v in row.items() if k not in {"case", "threads"}]
        line = f"{row['case']:<20}{row['threads']:>8}"
        print(
            line
            + "".join(f"{c:>{w}}" for c, w in zip(cells, (9, 9, 10, 9, 9, 10, 9), strict=False))
        )

    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": about,
        "sizes": {"size": size, "views": views, "detectors": detectors},
        "multiply_adds_per_second": max(rates),
        "samples": samples,
        "rows": rows,
    }
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
