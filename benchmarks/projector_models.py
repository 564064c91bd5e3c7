"""Accuracy and time of the models of the X-ray transform, against exact projections.

Usage: python benchmarks/projector_models.py [--quick] [--output FILE]

Phantoms have exact line integrals. *ray* is the relative L2 error against those through the centres of
pixels, *area* against their mean over the area of each pixel (8 x 8 rays, 8 in 2D). Images are the means of
the phantom over the voxels, so that a part of every error is that of the voxels, whatever the model.
"joseph, 4 rays" is the mean over pixels divided by four along each axis. Times are medians of both ways.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from projector_parallel import machine

import opalg as oa
from opalg import tomo
from opalg.tomo.supersampling import divided

RESULTS = Path(__file__).parent / "results" / "projector_models.json"
MODELS = ("joseph", "joseph, 4 rays", "siddon", "footprint")


def geometries(size: int) -> dict[str, tomo.Geometry]:
    """Pixels that are as wide as voxels seen from the source, or so many times as wide."""
    far = {"sod": 150.0, "sdd": 240.0}
    found: dict[str, tomo.Geometry] = {}
    for wide in (1, 2, 4):
        n = size // wide
        pitch = 1.6 * wide * 64 / size
        found[f"parallel 2D, {wide}"] = tomo.ParallelBeam(31, n, pitch / 1.6)
        found[f"fan, {wide}"] = tomo.FanBeam(31, n, pitch, **far)
        found[f"cone, {wide}"] = tomo.ConeBeam(7, (n, n), pitch, **far)
        found[f"tilted cone, {wide}"] = tomo.rotate("x", 0.4) * found[f"cone, {wide}"]
    return found


def transform(grid: oa.Grid, geometry: tomo.Geometry, model: str) -> oa.LinearOperator:
    name, _, rays = model.partition(", ")
    return tomo.supersampled(grid, geometry, detector=4 if rays else 1, model=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    size, repeat = (16, 1) if options.quick else (64, 3)
    rows = []
    print(
        f"{'geometry, pixel / voxel':<24}{'model':<16}{'ray':>8}{'area':>8}{'ms':>9}{'ms back':>9}"
    )
    for name, geometry in geometries(size).items():
        flat = geometry.ndim == 2
        phantom = tomo.phantoms.shepp_logan(60.0) if flat else tomo.phantoms.shepp_logan_3d(60.0)
        grid = oa.Grid((size,) * geometry.ndim, 64 / size, "float32")
        image = phantom.sample(grid)
        ray, pixels = phantom.project(geometry, "float64"), geometry.detector_shape
        parts = [k for n in pixels for k in (n, 8)]
        fine = phantom.project(divided(geometry, 8), "float64")
        area = fine.reshape(geometry.num_views, *parts).mean((2,) if flat else (2, 4))
        for model in MODELS:
            A = transform(grid, geometry, model)
            y = A(image)
            errors = [np.linalg.norm(y - exact) / np.linalg.norm(exact) for exact in (ray, area)]
            times = [[], []]
            for _ in range(repeat):
                for taken, call, argument in zip(times, (A, A.H), (image, y), strict=True):
                    start = time.perf_counter()
                    call(argument)
                    taken.append(time.perf_counter() - start)
            forward, back = (statistics.median(taken) for taken in times)
            rows.append(
                {"case": name, "model": model, "ray": float(errors[0]), "area": float(errors[1]),
                 "project_s": forward, "backproject_s": back}
            )  # fmt: skip
            print(f"{name:<24}{model:<16}{errors[0]:>8.2%}{errors[1]:>8.2%}"
                  f"{1e3 * forward:>9.1f}{1e3 * back:>9.1f}")  # fmt: skip
    record = {"machine": machine(), "size": size, "rows": rows}
    options.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
