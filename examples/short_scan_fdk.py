"""Reconstruct a head from a short cone-beam scan by FDK with Parker's weights (simulated).

    python examples/short_scan_fdk.py --output short_scan/

The source turns by half a turn plus the fan angle, as a C-arm does. Some rays are measured twice then;
Parker's weights share them smoothly; Riess' make the best of a scan that is a little too short. The head is
the FORBILD phantom, its line integrals are exact.
"""

import argparse
import math
import warnings
import webbrowser
from pathlib import Path

import numpy as np

import opalg as oa
from opalg import tomo
from opalg.errors import AccuracyWarning

SOD, SDD, WIDTH, HEIGHT = 785.0, 1200.0, 420.0, 60.0  # mm


def main() -> None:
    """Scan a head over several ranges, reconstruct, compare, write."""
    options = parse()
    n, views = options.size, options.views
    head = tomo.phantoms.forbild_head_3d(ear=False)  # without hundreds of air cells
    grid = oa.Grid((4, n, n), 256.0 / n)
    truth = head.sample(grid)
    # The fan angle, and what the steps between views need beyond it.
    fan = math.degrees(2 * math.atan(WIDTH / 2 / SDD))
    short = 180.0 + fan + 360.0 / views
    tissue = np.abs(truth - 0.021) < 1e-5
    images = {}
    for name, degrees, redundancy in (
        ("full turn", 360.0, None),
        ("short, Parker", short, "parker"),
        ("short, equal weights", short, np.ones(1) * 180.0 / short),
        ("8 degrees less, Riess", short - 8.0, "riess"),
    ):
        A = tomo.XrayTransform(grid, scan(degrees, views, options.columns))
        with warnings.catch_warnings():
            # What is missing is what this is about.
            warnings.simplefilter("ignore", AccuracyWarning)
            fdk = tomo.FDK(A, window="hann", redundancy=redundancy)
        images[name] = fdk(head.project(A.geometry))
        error = images[name][tissue] / 0.021 - 1
        print(
            f"{name:<22} {A.geometry.num_views:4d} views, {degrees:5.1f} degrees: brain off by "
            f"{100 * error.mean():+.2f} % on average, {100 * np.abs(error).mean():.2f} % per voxel"
        )

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "slices.npz", truth=truth[2], **{k: x[2] for k, x in images.items()})
    picture = output / "short_scan.png"
    figure = oa.show(
        truth[2],
        *(x[2] for x in images.values()),
        titles=["truth", *images],
        limits=(0.018, 0.024),
        columns=5,
    )
    figure.savefig(picture, dpi=110)
    print(f"The picture is {picture}, the slices (1 / mm) are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def scan(degrees: float, views: int, columns: int) -> tomo.ConeBeam:
    """Views in steps of a full turn over ``views``, over the range asked for."""
    step = 360.0 / views
    angles = np.deg2rad(np.arange(0.0, degrees - 1e-6, step))
    pitch = WIDTH / columns
    return tomo.ConeBeam(angles, (round(HEIGHT / pitch), columns), pitch, SOD, SDD)


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="voxels along an edge of a slice")
    parser.add_argument("--views", type=int, default=360, help="views of a full turn")
    parser.add_argument("--columns", type=int, default=256, help="columns of the detector")
    parser.add_argument("--output", default="short_scan", help="folder for the picture and slices")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
