"""Reconstruct one slice of a measured scan in the DXchange layout, by FBP, SIRT and CGLS.

    python examples/real_tooth.py tooth.h5 --row 0 --output tooth/

The file holds counts, flat and dark fields (for example the tooth that TomoPy ships). Lengths are in
detector pixels, so values are per pixel.
"""

import argparse
import webbrowser
from pathlib import Path

import numpy as np

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import OpalgError


def main() -> None:
    """Read, correct, find the axis, reconstruct, write."""
    options = parse()
    try:
        scan = tomo.dxchange.read(options.file, rows=slice(options.row, options.row + 1))
    except OpalgError as error:
        raise SystemExit(str(error)) from None
    if scan.data.shape[1] == 0:
        raise SystemExit(f"{options.file} has no detector row {options.row}")
    transmission = tomo.preprocessing.transmission(scan.data, scan.flat, scan.dark)
    y = tomo.preprocessing.line_integrals(transmission, minimum=1e-4)[:, 0, :]

    axis = options.axis
    if axis is None:
        axis = tomo.find_rotation_axis(y, scan.angles)
    print(f"{y.shape[0]} views of {y.shape[1]} columns, rotation axis at column {axis:.2f}")

    geometry = tomo.ParallelBeam(scan.angles, detector=y.shape[1]).with_axis_at(axis)
    field = options.field or y.shape[1]
    size = options.size or round(field)
    A = tomo.XrayTransform(oa.Grid((size, size), spacing=field / size), geometry)

    sirt = solvers.SIRT(A).solve(y, iterations=options.iterations, progress=True)
    cgls = solvers.CGLS(A).solve(y, iterations=options.cgls, progress=True)
    images = {"FBP": tomo.FBP(A)(y), "SIRT": sirt.x, "CGLS": cgls.x}
    for name, x in images.items():
        residual = np.linalg.norm(A(x) - y) / np.linalg.norm(y)
        print(f"{name:<6} relative residual {residual:.4f}, values {x.min():.4g} to {x.max():.4g}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "slices.npz", axis=axis, sinogram=y, **images)
    limits = tuple(np.percentile(images["SIRT"], [0.5, 99.5]))
    figure = oa.show(*images.values(), titles=list(images), grid=A.domain, limits=limits)
    picture = output / "slices.png"
    figure.savefig(picture, dpi=110)
    print(f"The picture is {picture}, the images are in {output / 'slices.npz'}.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="HDF5 file in the DXchange layout")
    parser.add_argument("--row", type=int, default=0, help="detector row")
    parser.add_argument("--axis", type=float, help="column of the rotation axis; found without it")
    parser.add_argument(
        "--size", type=int, help="pixels along an edge; as on the detector without it"
    )
    parser.add_argument("--field", type=float, help="edge of the image; the detector without it")
    parser.add_argument("--iterations", type=int, default=100, help="iterations of SIRT")
    parser.add_argument("--cgls", type=int, default=20, help="iterations of CGLS")
    parser.add_argument("--output", default="tooth", help="folder for the picture and the images")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
