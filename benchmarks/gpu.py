"""Projectors on a CUDA device: are they right, and how close to what the card can do.

Usage: python benchmarks/gpu.py [--quick] [--only NAME ...] [--output FILE]

Needs NumPy, SciPy, PyTorch and PyCUDA, and compiles the kernels it uses. First the engine is compared with
that of the CPU at small sizes. Then cases are timed between two events of PyTorch on its current stream:
medians of several runs, each of one call or of as many as take some milliseconds. Lines in front of the table
say which card, driver and compiler it was; the file holds all that is printed, and the command. With --quick
sizes are toys, to see that it runs.

The ceilings are measured in the same run: the rate of a copy from device memory to device memory (bytes
read and written), and of multiply-adds in registers. A sample is a ray on a plane of voxels, interpolated,
or, of footprints, a voxel in a pixel; an update is a voxel in a view.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import opalg as oa
from opalg import solvers, tomo
from opalg.engines import compiler, cpu, cuda
from opalg.tomo.plans import count_samples

RESULTS = Path(__file__).parent / "results" / "gpu.json"


class Case(NamedTuple):
    """Something to time: what it is called, how it is made, and what it counts."""

    name: str
    build: Callable[[], tuple[Callable[[Any], Any], Any, float]]
    """Gives the function, its operand on the device, and how many samples or updates it makes."""
    unit: str


# --------------------------------------------------------------------------------------- geometries
def cone(size: int, views: int, **options: Any) -> tomo.XrayTransform:
    """A full circle with magnification 2, detector pixels of two voxels."""
    geometry = tomo.ConeBeam(views, (size, size), 2.0, sod=4.0 * size, sdd=8.0 * size)
    return tomo.XrayTransform(oa.Grid((size,) * 3), geometry, **options)


def fan(size: int, views: int) -> tomo.XrayTransform:
    """The same in a plane."""
    geometry = tomo.FanBeam(views, size, 2.0, sod=4.0 * size, sdd=8.0 * size)
    return tomo.XrayTransform(oa.Grid((size, size)), geometry)


def parallel(size: int, views: int) -> tomo.XrayTransform:
    """torch-radon's case: a detector as wide as the image."""
    return tomo.XrayTransform(oa.Grid((size, size)), tomo.ParallelBeam(views, size))


# -------------------------------------------------------------------------------------------- cases
def projection(
    A: tomo.XrayTransform, batch: int = 1, dtype: torch.dtype = torch.float32
) -> tuple[Callable[[Any], Any], Any, float]:
    x = torch.rand(batch, *A.domain.shape, device="cuda").to(dtype)
    out = torch.empty(batch, *A.range.shape, device="cuda", dtype=dtype)

    def call(x: Any) -> Any:
        cuda.project(A._plan, x, out, interpolation=A.interpolation)
        return out

    return call, x, batch * count_samples(A._plan)


def back_projection(
    A: tomo.XrayTransform, batch: int = 1, dtype: torch.dtype = torch.float32
) -> tuple[Callable[[Any], Any], Any, float]:
    y = torch.rand(batch, *A.range.shape, device="cuda").to(dtype)
    out = torch.empty(batch, *A.domain.shape, device="cuda", dtype=dtype)

    def call(y: Any) -> Any:
        cuda.backproject(A._plan, y, out)
        return out

    return call, y, batch * count_samples(A._plan)


def voxel_driven(A: tomo.XrayTransform, batch: int = 1) -> tuple[Any, Any, float]:
    y = torch.rand(batch, *A.range.shape, device="cuda")
    B = tomo.VoxelBackProjection(A, weighted=True)
    out = torch.empty(batch, *A.domain.shape, device="cuda")
    return lambda y: B(y, out=out), y, batch * A.domain.size * A.geometry.num_views


def reconstruction(method: Any, A: tomo.XrayTransform) -> tuple[Any, Any, float]:
    y = torch.rand(A.range.shape, device="cuda")
    return method(A), y, A.domain.size * A.geometry.num_views


def from_host_to_host(A: tomo.XrayTransform) -> tuple[Any, Any, float]:
    """A projection of a NumPy array, transfers and all."""
    x = np.random.default_rng(0).random(A.domain.shape, "float32")
    out = A.range.zeros()
    return lambda x: A(x, out=out), x, count_samples(A._plan)


def sirt_iteration(A: tomo.XrayTransform) -> tuple[Any, Any, float]:
    """One of them: a projection, a back projection and the arithmetic between."""
    y = torch.rand(A.range.shape, device="cuda")
    states = solvers.SIRT(A).iterate(y)
    next(states), next(states)
    return lambda _: next(states), y, 2 * count_samples(A._plan)


def cases(quick: bool) -> Iterator[Case]:
    """All of them, in the order of the table."""
    small, large, views = (12, 16, 7) if quick else (256, 512, 360)
    for size in (small, large):
        name = f"cone {size}^3, {views} views of {size}^2"
        for what, build, unit in (
            ("project", projection, "samples"),
            ("project, texture", projection, "samples"),
            ("back project", back_projection, "samples"),
            ("voxel-driven", voxel_driven, "updates"),
            ("voxel-driven, texture", voxel_driven, "updates"),
        ):
            options = {"interpolation": "texture"} if "texture" in what else {}
            yield Case(
                f"{name}: {what}",
                lambda size=size, build=build, options=options: build(cone(size, views, **options)),
                unit,
            )
    name = f"cone {small}^3, {views} views of {small}^2"
    for dtype in (torch.float16, torch.bfloat16):
        short = str(dtype).removeprefix("torch.")
        yield Case(
            f"{name}: project, {short}",
            lambda dtype=dtype: projection(cone(small, views), 1, dtype),
            "samples",
        )
        yield Case(
            f"{name}: back project, {short}",
            lambda dtype=dtype: back_projection(cone(small, views), 1, dtype),
            "samples",
        )
    for what, build in (("project", projection), ("back project", back_projection)):
        yield Case(
            f"{name}: {what}, footprints",
            lambda build=build: build(cone(small, views, model="footprint")),
            "samples",
        )
    yield Case(
        f"{name}: project, host to host",
        lambda: from_host_to_host(cone(small, views, device="cuda")),
        "samples",
    )
    yield Case(f"{name}: FDK", lambda: reconstruction(tomo.FDK, cone(small, views)), "updates")
    yield Case(f"{name}: SIRT iteration", lambda: sirt_iteration(cone(small, views)), "samples")
    size, views = (16, 9) if quick else (512, 512)
    for batch in (1, 3) if quick else (1, 8, 64, 256):
        name = f"parallel {size}^2, {views} views of {size}, batch {batch}"
        for what, build in (("project", projection), ("back project", back_projection)):
            yield Case(
                f"{name}: {what}",
                lambda build=build, batch=batch: build(parallel(size, views), batch),
                "samples",
            )
            if batch > 1:
                yield Case(
                    f"{name}: {what}, float16",
                    lambda build=build, batch=batch: build(
                        parallel(size, views), batch, torch.float16
                    ),
                    "samples",
                )
    name = f"fan {size}^2, {views} views of {size}"
    for what, build in (("project", projection), ("back project", back_projection)):
        yield Case(f"{name}: {what}", lambda build=build: build(fan(size, views), 1), "samples")
    yield Case(f"{name}: FBP", lambda: reconstruction(tomo.FBP, fan(size, views)), "updates")
    yield Case(f"{name}: SIRT iteration", lambda: sirt_iteration(fan(size, views)), "samples")


# ------------------------------------------------------------------------------------------- right?
def check() -> dict[str, float | str]:
    """The largest differences between the engines, relative to the largest value."""
    differences: dict[str, float | str] = {}
    for name, A in (
        ("cone", cone(24, 11)),
        ("cone, texture", cone(24, 11, interpolation="texture")),
        ("cone, footprints", cone(24, 11, model="footprint")),
        ("fan", fan(48, 13)),
        ("parallel", parallel(48, 13)),
    ):
        x, y = A.domain.random(0, batch=(2,)), A.range.random(1, batch=(2,))
        B = tomo.VoxelBackProjection(A)
        for what, operator, operand in (("", A, x), (", transposed", A.H, y), (", voxels", B, y)):
            try:
                got = operator(torch.from_numpy(operand).to("cuda")).cpu().numpy()
            except Exception as error:
                differences[name + what] = f"{type(error).__name__}: {error}"
                print(f"  {name + what:24} {differences[name + what]}")
                continue
            expected = operator(operand)
            error = float(np.abs(got - expected).max() / np.abs(expected).max())
            differences[name + what] = error
            right = is_right(name + what, error)
            print(f"  {name + what:24} {error:.1e}{'' if right else ': TOO MUCH'}")
    return differences


def is_right(name: str, difference: float | str) -> bool:
    """Whether there is a number (NaN is none), and it is small enough."""
    limit = 1 / 128 if "texture" in name else 1e-5  # texture units round weights to 1/256
    return not isinstance(difference, str) and difference < limit


# -------------------------------------------------------------------------------------------- times
def measure(call: Callable[[], Any], repeat: int, least: float) -> dict[str, Any]:
    """Seconds per call, each time over as many as take `least` seconds."""
    first = time.perf_counter()
    call()  # compiles and uploads
    torch.cuda.synchronize()
    first = time.perf_counter() - first
    call()
    once = _timed(call, 1)
    repeat = repeat if once < 0.5 else min(repeat, 3)
    count = max(1, min(1000, int(least / max(once, 1e-6))))
    times = [_timed(call, count) for _ in range(repeat)]
    return {
        "median_s": statistics.median(times),
        "best_s": min(times),
        "first_call_s": first,
        "calls": count,
        "all_s": times,
    }


def _timed(call: Callable[[], Any], count: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / count


def ceilings(quick: bool) -> dict[str, float]:
    """Bytes per second of a copy, multiply-adds per second in float32."""
    size = 1 << (16 if quick else 28)
    source, target = (torch.ones(size, device="cuda") for _ in range(2))
    copied = measure(lambda: target.copy_(source), 5, 0.02)["median_s"]
    return {
        "bytes_per_second": 8 * size / copied,
        "multiply_adds_per_second": multiply_adds_per_second(quick),
    }


FMA = """
extern "C" __global__ void __launch_bounds__(256) multiply_add(float* out, float a, int count) {
    float sums[8];
    for (int k = 0; k < 8; ++k) sums[k] = threadIdx.x + k;
    for (int i = 0; i < count; ++i)
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int k = 0; k < 8; ++k) sums[k] = sums[k] * a + 0.5f;
    float sum = 0;
    for (int k = 0; k < 8; ++k) sum += sums[k];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
"""


def multiply_adds_per_second(quick: bool) -> float:
    """By a kernel that does nothing else."""
    count, blocks = (
        (4, 2) if quick else (4096, 32 * torch.cuda.get_device_properties(0).multi_processor_count)
    )
    out = torch.empty(blocks * 256, device="cuda")
    device = cuda._device(0)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "multiply_add.cu")
        source.write_text(FMA)
        with device:
            function = device.module(str(source), ()).get_function("multiply_add")
            function.prepare("Pfi")

    def call() -> None:
        with device:
            function.prepared_async_call(
                (blocks, 1, 1), (256, 1, 1), None, out.data_ptr(), 0.999, count
            )

    return blocks * 256 * 8 * count / measure(call, 5, 0.02)["median_s"]


def overhead(quick: bool) -> dict[str, float]:
    """Microseconds of Python per call of an operator on a tiny image, not waiting for the device."""
    A = parallel(8, 2)
    x = torch.rand(A.domain.shape, device="cuda")
    side = torch.cuda.Stream()

    def per_call() -> float:
        A(x)
        torch.cuda.synchronize()
        count = 10 if quick else 500
        start = time.perf_counter()
        for _ in range(count):
            A(x)
        taken = time.perf_counter() - start
        torch.cuda.synchronize()
        return 1e6 * taken / count

    default = per_call()
    with torch.cuda.stream(side):
        return {"default stream": default, "another stream": per_call()}


def machine() -> dict[str, Any]:
    """What the numbers belong to."""
    properties = torch.cuda.get_device_properties(0)
    driver = cuda._pycuda()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "card": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "driver": driver.get_driver_version(),
        "compiler": str(compiler.find_compiler()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("opalg", "numpy", "torch")},
        "cpu_instruction_set": cpu.active_instruction_set(),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="toy sizes: does it run?")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases that contain one of these")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not torch.cuda.is_available() or cuda.why_not():
        print(f"There is nothing to measure: {cuda.why_not() or 'PyTorch sees no CUDA device'}.")
        return

    begin = time.perf_counter()
    report: dict[str, Any] = {"machine": machine(), "rows": []}
    for name, value in report["machine"].items():
        print(f"{name:20} {value}")
    print("\nLargest relative difference from the CPU engine:")
    report["differences"] = check()
    report["ceilings"] = ceilings(options.quick)
    report["overhead_us"] = overhead(options.quick)
    copy_rate, fma_rate = report["ceilings"].values()
    print(f"\nCopy {copy_rate / 1e12:.2f} TB/s, multiply-adds {fma_rate / 1e12:.1f} T/s")
    print(
        "Python per call: "
        + ", ".join(f"{v:.0f} us ({k})" for k, v in report["overhead_us"].items())
    )
    print(f"\n{'case':58} {'ms':>10} {'best':>10} {'G/s':>9}")
    for case in cases(options.quick):
        if options.only and not any(text in case.name for text in options.only):
            continue
        try:
            call, operand, count = case.build()
            row = measure(
                lambda call=call, x=operand: call(x), options.repeat, 0.0 if options.quick else 0.03
            )
        except Exception as error:  # the others are worth having
            report["rows"].append({"case": case.name, "error": f"{type(error).__name__}: {error}"})
            print(f"{case.name:58} {type(error).__name__}: {str(error)[:200]}", flush=True)
            continue
        rate = count / row["median_s"]
        report["rows"].append({"case": case.name, case.unit: count, "per_second": rate, **row})
        print(
            f"{case.name:58} {1e3 * row['median_s']:10.3f} {1e3 * row['best_s']:10.3f} "
            f"{rate / 1e9:9.2f} {case.unit}",
            flush=True,
        )
        del call, operand
    report["seconds"] = time.perf_counter() - begin
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{report['seconds']:.0f} s; the numbers are in {options.output}")
    # All is measured and written first: on a borrowed card the rest is worth having.
    failed = [name for name, value in report["differences"].items() if not is_right(name, value)]
    failed += [row["case"] for row in report["rows"] if "error" in row]
    if failed:
        raise SystemExit(f"Wrong, or did not run: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
