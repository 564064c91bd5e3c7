"""Cone-beam projection, back projection and FDK on the CPU, beside RTK.

Usage: python benchmarks/projector_cone.py [--quick] [--large] [--only NAME] [--cases NAME ...]
       [--repeat N] [--threads N] [--output FILE]

RTK's (itk-rtk) Joseph pair, its voxel-driven back projection and its FDK take turns with ours, so that a
busy moment of the machine hits all alike. Times are medians; the table also has the best. RTK is left out
where it is not installed; it uses all processors, and its numbers include its own preparation, as ours do.
Ratios hold within one run. With `--only` (project, backproject, voxels or fdk) and `--cases` the other
rows of an earlier run are kept.

The floor. A sample is a ray on a plane inside the volume, an update a voxel in a view; each costs at
least the vector instructions counted in COSTS (AVX-512, 16 lanes, read off the inner loops) at the
machine's own rate of multiply-adds (a matrix product, measured in the same run). Bytes: volume and
projections read or written once, at the rate of a copy. The larger of the two is the floor; a factor
of 2 to 4 above it is what positions, the rims of lines and the caches cost.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from projector_parallel import machine, measure, multiply_adds_per_second

import opalg as oa
from opalg import tomo
from opalg.engines import cpu

RESULTS = Path(__file__).parent / "results"

# Vector instructions per register of 16 samples, on the ports that also do arithmetic.
COSTS = {
    # two lines blended once (2), position (1), index and weight (2), next index (1), permutes (2),
    # interpolation (2), sum (1)
    "circular project": 11,
    # position (1), index and fraction (2), weights of three rays (6), indices (2), permutes (3),
    # sum (3), two lines (2)
    "circular backproject": 19,
    # the same as the projection along lines: a voxel line looks at columns
    "circular voxels": 11,
    # two positions (2), clamp (4), floor and rest (4), index (2), cells put together (12) and transposed (8),
    # interpolation (6), sum (1)
    "tilted project": 39,
    # the same up to the index, places (1), four shares (6) and their interleaving (8), 16 additions to cells
    "tilted backproject": 43,
    # the middle in double (8), inverse of the depth (5), two places (4), floor (4), weights (2), index (2),
    # cells put together (12) and transposed (8), interpolation (3), sum (1)
    "tilted voxels": 49,
}
COSTS |= {
    f"helical {name}": COSTS[f"tilted {name}"] for name in ("project", "backproject", "voxels")
}


def cone_plan(
    size: int,
    views: int,
    pixels: int,
    tilt: float = 0.0,
    model: str = "joseph",
    pitch_z: float = 0.0,
) -> cpu.DivergentPlan:
    """A full turn, rising by pitch_z sides of the volume; magnification 2, detector pixels of two voxels."""
    near = far = 500.0 * size / 128
    pitch = 2.0
    angle = np.arange(views) * 2 * np.pi / views
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros(views)
    out, u = np.stack([s, -c, zero], 1), np.stack([c, s, zero], 1)
    v = np.broadcast_to([0.0, 0.0, 1.0], u.shape)
    u, v = np.cos(tilt) * u + np.sin(tilt) * v, np.cos(tilt) * v - np.sin(tilt) * u
    middle = (size - 1) / 2
    centre = middle + np.stack([zero, zero, pitch_z * size * (np.arange(views) / views - 0.5)], 1)
    corner = centre - far * out - pitch * (pixels - 1) / 2 * (u + v)
    return cpu.DivergentPlan(
        (size,) * 3, (pixels,) * 2, centre + near * out, corner, pitch * u, pitch * v, model=model
    )


def fdk_call(size: int, views: int, pixels: int, threads: int) -> Callable[[], None]:
    """The operator FDK, of the same scan."""
    distance = 500.0 * size / 128
    beam = tomo.ConeBeam(views, (pixels, pixels), 2.0, sod=distance, sdd=2 * distance)
    reconstruct = tomo.FDK(tomo.XrayTransform(oa.Grid((size,) * 3), beam))
    data = np.random.default_rng(0).random((views, pixels, pixels), np.float32)
    out = np.empty((size,) * 3, np.float32)

    def call() -> None:
        cpu.set_num_threads(threads)
        reconstruct(data, out=out)
        cpu.set_num_threads(None)

    return call


def samples_inside(plan: cpu.DivergentPlan) -> int:
    """Samples of all rays that meet a voxel, from every 16th ray."""
    total, size = 0, plan.volume_shape[0]
    planes = np.arange(size)
    for view in range(0, len(plan.sources), 6):
        source = plan.sources[view]
        way = plan.pixels(view)[2::4, 2::4].reshape(-1, 3) - source
        axis = abs(way).argmax(1)
        share = (planes - source[axis][:, None]) / np.take_along_axis(way, axis[:, None], 1)
        inside = np.ones(share.shape, bool)
        for k in range(3):
            place = source[k] + share * way[:, k : k + 1]
            inside &= ((place > -1) & (place < size)) | (axis == k)[:, None]
        total += int(inside.sum()) * 16
    return total * len(plan.sources) // len(range(0, len(plan.sources), 6))


def engine_calls(
    plan: cpu.DivergentPlan, threads: int, voxels: bool
) -> dict[str, Callable[[], None]]:
    rng = np.random.default_rng(0)
    volume = rng.random(plan.volume_shape, np.float32)
    projections = rng.random(plan.projection_shape, np.float32)
    sums, image = np.empty_like(projections), np.empty_like(volume)
    calls = {
        "project": lambda: cpu.project(plan, volume, sums, threads=threads),
        "backproject": lambda: cpu.backproject(plan, projections, image, threads=threads),
    }
    if voxels:
        calls["voxels"] = lambda: cpu.backproject_voxels(plan, projections, image, threads=threads)
    return calls


def rtk_calls(size: int, views: int, pixels: int) -> dict[str, Callable[[], None]]:
    """RTK's Joseph pair, its voxel-driven back projection and its FDK, all on the CPU."""
    import itk
    from itk import RTK as rtk

    image_type = itk.Image[itk.F, 3]

    def image(shape: tuple[int, ...], spacing: float) -> object:
        array = np.random.default_rng(0).random(shape, np.float32)
        result = itk.image_from_array(array)
        result.SetSpacing([spacing, spacing, spacing if len(set(shape)) == 1 else 1.0])
        origin = [-spacing * (n - 1) / 2 for n in shape[::-1]]
        if len(set(shape)) != 1:
            origin[2] = 0.0
        result.SetOrigin(origin)
        return result

    distance = 500.0 * size / 128
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    for view in range(views):
        geometry.AddProjection(distance, 2 * distance, 360.0 * view / views)
    volume, projections = image((size,) * 3, 1.0), image((views, pixels, pixels), 2.0)
    calls = {}
    for name, kind, first, second in (
        ("project", rtk.JosephForwardProjectionImageFilter, projections, volume),
        ("backproject", rtk.JosephBackProjectionImageFilter, volume, projections),
        ("voxels", rtk.BackProjectionImageFilter, volume, projections),
        ("fdk", rtk.FDKConeBeamReconstructionFilter, volume, projections),
    ):

        def call(kind: object = kind, first: object = first, second: object = second) -> None:
            types = (
                (image_type,) if kind is rtk.FDKConeBeamReconstructionFilter else (image_type,) * 2
            )
            run = kind[types].New()
            run.SetInput(0, first)
            run.SetInput(1, second)
            run.SetGeometry(geometry)
            run.InPlaceOff()  # else it takes the memory of its input away
            run.Update()

        calls[name] = call
    return calls


def bytes_per_second() -> float:
    """Rate at which one core copies numbers that lie beyond the caches; the best of five."""
    a = np.ones(1 << 24, np.float32)
    b = np.empty_like(a)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(b, a)
        times.append(time.perf_counter() - start)
    return 2 * a.nbytes / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    parser.add_argument("--large", action="store_true", help="256^3, 180 views of 384^2")
    parser.add_argument("--only", metavar="NAME", help="project, backproject, voxels or fdk")
    parser.add_argument("--cases", nargs="*", help="of circular, tilted, helical, siddon")
    parser.add_argument("--repeat", type=int, help="rounds (default 5, quick 1, large 3)")
    parser.add_argument("--threads", type=int, default=cpu.get_num_threads())
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    name = "projector_cone_large.json" if options.large else "projector_cone.json"
    output = options.output or RESULTS / name
    size, views, pixels = (48, 20, 72) if options.quick else (128, 90, 192)
    if options.large:
        size, views, pixels = 256, 180, 384
    repeat = options.repeat or (1 if options.quick else 3 if options.large else 5)

    about = machine()
    rate, copies = multiply_adds_per_second(), bytes_per_second()
    rates: list[float] = []
    calls: dict[str, Callable[[], object]] = {"rate": lambda: rates.append(rate())}
    try:
        for name, call in rtk_calls(size, views, pixels).items():
            calls[f"rtk {name} all"] = call
    except ImportError as error:
        print(f"RTK is left out ({error}): pip install itk-rtk\n")
    plans = {
        "circular": cone_plan(size, views, pixels),
        "tilted": cone_plan(size, views, pixels, 0.2),
        "helical": cone_plan(size, views, pixels, 0.1, pitch_z=0.5),
        "siddon": cone_plan(size, views, pixels, 0.0, "siddon"),
    }
    for what, plan in plans.items():
        for threads in dict.fromkeys((1, options.threads)):
            for name, call in engine_calls(plan, threads, what != "siddon").items():
                calls[f"{what} {name} {threads}"] = call
    for threads in dict.fromkeys((1, options.threads)):
        calls[f"circular fdk {threads}"] = fdk_call(size, views, pixels, threads)
    if options.cases:
        wanted = {"rate", "rtk", *options.cases}
        calls = {key: call for key, call in calls.items() if key.split()[0] in wanted}
    if options.only:
        calls = {key: call for key, call in calls.items() if options.only in (*key.split(), "rate")}
        calls["rate"] = lambda: rates.append(rate())
    times = measure(calls, repeat)
    del times["rate"]

    samples = {what: samples_inside(plan) for what, plan in plans.items()}
    updates = size**3 * views
    data = 4 * (size**3 + views * pixels**2)
    print(f"{size}^3, {views} views of {pixels}^2, float32")
    print(f"{about['processor']}, {about['instruction_set']}, load {about['load_before']:.2f}")
    print(
        f"{max(rates) / 1e9:.0f} G multiply-adds/s and {copies / 1e9:.1f} GB/s per core; "
        f"medians of {repeat} rounds\n"
    )
    head = ("", "threads", "s", "best", "G/s core", "x RTK", "scaling", "floor s", "x floor")
    print("{:<22}{:>8}{:>9}{:>9}{:>10}{:>8}{:>9}{:>9}{:>9}".format(*head))
    rows = []
    for key, seconds in times.items():
        what, name, threads = key.split()
        median = statistics.median(seconds)
        row: dict[str, object] = {
            "case": f"{what} {name}",
            "threads": threads,
            "median_s": median,
            "best_s": min(seconds),
        }
        cells = [f"{median:.3f}", f"{min(seconds):.3f}"]
        if what != "rtk":
            count = updates if name in {"voxels", "fdk"} else samples[what]
            row["giga_per_second_and_core"] = count / median / int(threads) / 1e9
            peer = times.get(f"rtk {name} all")
            row["times_rtk"] = statistics.median(peer) / median if peer else None
            row["scaling"] = statistics.median(times[f"{what} {name} 1"]) / median
            cost = COSTS.get(f"{what} {name}")
            floor = cost and max(
                count * cost / 16 / (max(rates) / 16) / int(threads), data / copies / int(threads)
            )
            row["floor_s"] = floor
            row["times_floor"] = median / floor if floor else None
            cells += [
                "-" if row[k] is None else f"{row[k]:.{digits}f}"
                for k, digits in (
                    ("giga_per_second_and_core", 2),
                    ("times_rtk", 1),
                    ("scaling", 2),
                    ("floor_s", 3),
                    ("times_floor", 1),
                )
            ]
        rows.append(row | {"all_s": seconds})
        line = f"{row['case']:<22}{threads:>8}"
        print(
            line + "".join(f"{c:>{w}}" for c, w in zip(cells, (9, 9, 10, 8, 9, 9, 9), strict=False))
        )

    if (options.only or options.cases) and output.exists():
        measured = {(row["case"], row["threads"]) for row in rows}
        before = json.loads(output.read_text())["rows"]
        rows = [row for row in before if (row["case"], row["threads"]) not in measured] + rows
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": about,
        "sizes": {"size": size, "views": views, "pixels": pixels},
        "multiply_adds_per_second": max(rates),
        "bytes_per_second": copies,
        "samples": samples,
        "updates": updates,
        "rows": rows,
    }
    output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {output}")


if __name__ == "__main__":
    main()
