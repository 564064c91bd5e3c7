"""Error of projections against exact line integrals, of every model, ours and the peers'.

Usage: python benchmarks/projector_accuracy.py [--quick] [--output FILE]

A ball (in 2D a disc) off the centre is projected exactly, averaged over every detector pixel, and through its
voxels by every model that the engine has, by ASTRA's fan models and by RTK's Joseph; ASTRA and RTK are left
out where they are not installed. Voxels hold the supersampled mean of the ball. Numbers are relative L2 norms
of the difference.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from projector_parallel import machine

import opalg as oa
from opalg import tomo
from opalg.engines.divergent import MODELS
from opalg.tomo.phantom import Phantom

RESULTS = Path(__file__).parent / "results" / "projector_accuracy.json"
FINE = 4  # rays per pixel and direction of the exact mean


def pixel_means(ball: Phantom, make: Callable[[int], Any]) -> np.ndarray[Any, Any]:
    """Exact integrals, averaged over FINE rays per pixel and direction."""
    fine = ball.project(make(FINE), dtype="float64")
    for axis in range(1, fine.ndim):
        shape = (*fine.shape[:axis], fine.shape[axis] // FINE, FINE, *fine.shape[axis + 1 :])
        fine = fine.reshape(shape).mean(axis + 1)
    return fine


def relative(found: np.ndarray[Any, Any], exact: np.ndarray[Any, Any]) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def ours(geometry: Any, grid: oa.Grid, image: np.ndarray[Any, Any]) -> Iterator[tuple[str, Any]]:
    for model in MODELS:
        yield f"opalg {model}", tomo.XrayTransform(grid, geometry, model=model)(image)


def astra_fans(size: int, views: int, pixels: int, image: Any) -> Iterator[tuple[str, Any]]:
    import astra

    volume = astra.create_vol_geom(size, size)
    angles = np.arange(views) * 2 * np.pi / views
    geometry = astra.create_proj_geom("fanflat", 1.5, pixels, angles, 2.0 * size, 1.0 * size)
    for kind in ("line_fanflat", "strip_fanflat"):
        projector = astra.create_projector(kind, geometry, volume)
        # ASTRA's row 0 is the highest y.
        yield f"ASTRA {kind}", astra.create_sino(np.ascontiguousarray(image[::-1]), projector)[1]


def rtk_cone(size: int, views: int, pixels: int, image: Any) -> Iterator[tuple[str, Any]]:
    import itk
    from itk import RTK as rtk

    kind = itk.Image[itk.F, 3]
    # RTK turns about its y axis: our z, and its z is our -y.
    volume = itk.image_from_array(np.ascontiguousarray(image.transpose(1, 0, 2)[::-1]))
    volume.SetOrigin([-(size - 1) / 2] * 3)
    stack = itk.image_from_array(np.zeros((views, pixels, pixels), np.float32))
    stack.SetSpacing([2.0, 2.0, 1.0])
    stack.SetOrigin([-(pixels - 1.0), -(pixels - 1.0), 0.0])
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    for view in range(views):
        geometry.AddProjection(4.0 * size, 8.0 * size, 360.0 * view / views)
    run = rtk.JosephForwardProjectionImageFilter[kind, kind].New()
    run.SetInput(0, stack)
    run.SetInput(1, volume)
    run.SetGeometry(geometry)
    run.Update()
    found = itk.array_from_image(run.GetOutput())
    yield "RTK Joseph", found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    size, views = (32, 6) if options.quick else (128, 12)
    pixels = size * 3 // 2
    radius = 0.3 * size
    rows: list[dict[str, object]] = []

    def collect(case: str, exact: Any, candidates: Iterator[tuple[str, Any]]) -> None:
        try:
            for name, found in candidates:
                rows.append({"case": case, "model": name, "relative_error": relative(found, exact)})
        except ImportError as error:
            print(f"{case}: a peer is left out ({error})")

    def fan(fine: int) -> tomo.FanBeam:
        return tomo.FanBeam(views, pixels * fine, 1.5 / fine, sod=2.0 * size, sdd=3.0 * size)

    def cone(fine: int) -> tomo.ConeBeam:
        return tomo.ConeBeam(
            views, (pixels * fine,) * 2, 2.0 / fine, sod=4.0 * size, sdd=8.0 * size
        )

    disc = tomo.phantoms.disc(radius, value=0.02, centre=(0.1 * size, -0.05 * size))
    slice_grid = oa.Grid((size, size))
    image = disc.sample(slice_grid, supersampling=8)
    exact = pixel_means(disc, fan)
    collect("fan", exact, ours(fan(1), slice_grid, image))
    collect("fan", exact, astra_fans(size, views, pixels, image))

    ball = tomo.phantoms.ball(radius, value=0.02, centre=(0.1 * size, -0.05 * size, 0.02 * size))
    grid = oa.Grid((size,) * 3)
    volume = ball.sample(grid, supersampling=4)
    exact = pixel_means(ball, cone)
    collect("cone", exact, ours(cone(1), grid, volume))
    collect("cone", exact, rtk_cone(size, views, pixels, volume))

    print(
        f"Discs and balls of {size} voxels a side, {views} views, detector pixels as wide as a voxel\n"
    )
    for row in rows:
        print(f"{row['case']:<6}{row['model']:<24}{100 * float(str(row['relative_error'])):8.3f} %")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "size": size, "views": views, "rows": rows}
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
