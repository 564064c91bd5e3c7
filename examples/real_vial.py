"""Reconstruct a measured volume from a folder of TIFF images (parallel beam, 3D).

    python examples/real_vial.py FOLDER --views 10:101 --output vial/

The folder holds the projections in ``tiffs/``, in order, ``flat_00001.tiff`` and ``dark_00001.tiff``, and
their angles in degrees, one per line, in ``angles.txt``; ``--views`` chooses those of its lines that
belong to the images. Lengths are in detector pixels.
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
    """Read, find the axis, reconstruct, write."""
    options = parse()
    y, angles = read(Path(options.folder), options.views, options.rings)
    axis = options.axis
    if axis is None:
        axis = tomo.find_rotation_axis(y, angles)
    print(f"projections {y.shape} (view, v, u), rotation axis at column {axis:.2f}")

    rows, columns = y.shape[1:]
    geometry = tomo.ParallelBeam(angles, detector=(rows, columns)).with_axis_at(axis)
    A = tomo.XrayTransform(oa.Grid((rows, columns, columns)), geometry)
    volumes = {
        "FBP": tomo.FBP(A, window="hann")(y),
        "SIRT": solvers.SIRT(A, minimum=0.0).solve(y, options.iterations, progress=True).x,
        "CGLS": solvers.CGLS(A).solve(y, options.cgls, progress=True).x,
    }
    for name, x in volumes.items():
        print(f"{name:<6} relative residual {np.linalg.norm(A(x) - y) / np.linalg.norm(y):.4f}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    for name, x in volumes.items():
        tifffile.imwrite(output / f"{name.lower()}.tiff", x, photometric="minisblack")
    picture = output / "volumes.png"
    draw(volumes).savefig(picture, dpi=110)
    print(f"The picture is {picture}; the volumes, row 0 lowest, are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def read(folder: Path, views: slice, rings: int):
    """Line integrals (view, v, u), v upwards, and angles in radians."""
    if not (folder / "tiffs").is_dir():
        raise SystemExit(f"{folder} has no folder tiffs/ with projections")
    data = np.stack([tifffile.imread(path) for path in sorted((folder / "tiffs").iterdir())])
    flat, dark = (tifffile.imread(folder / f"{name}_00001.tiff") for name in ("flat", "dark"))
    angles = np.deg2rad(np.loadtxt(folder / "angles.txt")[views])
    if len(angles) != len(data):
        raise SystemExit(f"{len(data)} images but {len(angles)} angles: choose with --views 10:101")
    bad = preprocessing.bad_pixels(flat, dark)
    data, flat, dark = (preprocessing.mend_pixels(image, bad) for image in (data, flat, dark))
    print(f"{np.count_nonzero(bad)} bad pixels of {bad.size} are bridged")
    y = preprocessing.line_integrals(preprocessing.transmission(data, flat, dark), minimum=1e-3)
    if rings:
        y = preprocessing.remove_rings(y, rings)
    # Row 0 of a camera image is on top, row 0 of a detector is lowest.
    return np.ascontiguousarray(y[:, ::-1]), angles


def draw(volumes):
    """The middle slice seen from above, and the middle section seen from the side."""
    above = [x[x.shape[0] // 2] for x in volumes.values()]
    side = [x[:, x.shape[1] // 2] for x in volumes.values()]
    titles = [f"{name}, z middle" for name in volumes] + [f"{name}, y middle" for name in volumes]
    limits = tuple(np.percentile(volumes["SIRT"], [1, 99.5]))
    return oa.show(*above, *side, titles=titles, limits=limits, columns=3)


def a_slice(text: str) -> slice:
    """``"10:101"`` as a slice."""
    return slice(*(int(part) if part else None for part in text.split(":")))


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder with tiffs/, flat and dark images and angles.txt")
    parser.add_argument("--views", type=a_slice, default=slice(None), help="lines of angles.txt")
    parser.add_argument("--axis", type=float, help="column of the rotation axis; found without it")
    parser.add_argument("--rings", type=int, default=0, help="remove rings, with this filter width")
    parser.add_argument("--iterations", type=int, default=60, help="iterations of SIRT")
    parser.add_argument("--cgls", type=int, default=12, help="iterations of CGLS")
    parser.add_argument("--output", default="vial", help="folder for the picture and the volumes")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
