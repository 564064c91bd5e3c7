"""Reconstruct a measured slice of a neutron scan over a full turn (parallel beam).

    python examples/real_neutron.py sinogram_360_neutron_image.tif --output neutron/

The image holds transmissions, one view per row, the last at the same angle as the first. Its first columns
see air. Lengths are in detector pixels.
"""

import argparse
import webbrowser
from pathlib import Path

import numpy as np
import tifffile

import opalg as oa
from opalg import solvers, tomo
from opalg.tomo import preprocessing


def main() -> None:
    """Read, correct, find the axis, reconstruct, write."""
    options = parse()
    raw = tifffile.imread(options.file)
    counts = preprocessing.remove_zingers(raw)
    print(f"{np.count_nonzero(counts != raw)} values of {raw.size} stood out and were replaced")
    transmission = preprocessing.transmission(counts, flat=counts[:, : options.air].mean())
    y = preprocessing.line_integrals(transmission, minimum=1e-3)
    angles = np.linspace(0, 2 * np.pi, len(y))

    axis = options.axis
    if axis is None:
        axis = tomo.find_rotation_axis(y, angles)
    print(f"{y.shape[0]} views of {y.shape[1]} columns, rotation axis at column {axis:.2f}")
    geometry = tomo.ParallelBeam(angles, detector=y.shape[1]).with_axis_at(axis)
    size = options.size or y.shape[1]
    A = tomo.XrayTransform(oa.Grid((size, size), y.shape[1] / size), geometry)
    images = {
        "FBP": tomo.FBP(A, window="hann")(y),
        "FBP, folded": folded(y, angles, axis, A.domain),
        "SIRT": solvers.SIRT(A, minimum=0.0).solve(y, options.iterations, progress=True).x,
    }
    for name, x in images.items():
        print(f"{name:<11} relative residual {np.linalg.norm(A(x) - y) / np.linalg.norm(y):.4f}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "slices.npz", axis=axis, **images)
    limits = tuple(np.percentile(images["SIRT"], [1, 99.8]))
    picture = output / "slices.png"
    figure = oa.show(*images.values(), titles=list(images), grid=A.domain, limits=limits)
    figure.savefig(picture, dpi=110)
    print(f"The picture is {picture}, the images are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def folded(y, angles, axis, grid):
    """The image from half a turn, which has the mean of each ray there and back."""
    half = preprocessing.half_turn(y, angles, axis)
    columns = half.projections.shape[1]
    geometry = tomo.ParallelBeam(half.angles, detector=columns).with_axis_at(half.axis)
    return tomo.FBP(tomo.XrayTransform(grid, geometry), window="hann")(half.projections)


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="TIFF image (view, u) of transmissions")
    parser.add_argument("--air", type=int, default=30, help="so many first columns see air")
    parser.add_argument("--axis", type=float, help="column of the rotation axis; found without it")
    parser.add_argument("--size", type=int, help="pixels along an edge; as columns without it")
    parser.add_argument("--iterations", type=int, default=100, help="iterations of SIRT")
    parser.add_argument("--output", default="neutron", help="folder for the picture and the images")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
