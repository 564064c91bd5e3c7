"""Reconstruct a measured walnut (cone beam) by FDK and CGLS.

    python examples/real_walnut.py walnut_binned.npz --output walnut/

The file holds ``projections`` (view, v, u), line integrals; ``angles`` in radians; ``pixel_mm``,
``source_axis_distance_mm`` and ``source_detector_distance_mm``. At its angle *a* the source is at
(-sin a, cos a) and u runs along (cos a, sin a), which is said here by vectors, as it stands.
"""

import argparse
import webbrowser
from pathlib import Path

import numpy as np
import tifffile

import opalg as oa
from opalg import solvers, tomo


def main() -> None:
    """Read, reconstruct, write."""
    options = parse()
    cone, y = read(options.file)
    print(cone)
    volume = oa.Grid((options.size,) * 3, options.field / options.size)
    A = tomo.XrayTransform(volume, cone)
    volumes = {
        "FDK": tomo.FDK(A, window="hann")(y),
        "CGLS": solvers.CGLS(A).solve(y, options.iterations, progress=True).x,
    }
    for name, x in volumes.items():
        print(f"{name:<5} relative residual {np.linalg.norm(A(x) - y) / np.linalg.norm(y):.4f}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    for name, x in volumes.items():
        tifffile.imwrite(output / f"{name.lower()}.tiff", x, photometric="minisblack")
    middle = options.size // 2
    panels = [x[middle] for x in volumes.values()] + [x[:, middle] for x in volumes.values()]
    titles = [f"{n}, z middle" for n in volumes] + [f"{n}, y middle" for n in volumes]
    figure = oa.show(*panels, titles=titles, limits=(0.0, 0.07), columns=2)
    picture = output / "walnut.png"
    figure.savefig(picture, dpi=110)
    print(f"The picture is {picture}; the volumes (1 / mm) are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def read(path: str):
    """The geometry and the line integrals (view, v, u)."""
    with np.load(path) as file:
        data = dict(file)
    y = np.ascontiguousarray(data["projections"].astype("float32"))
    a = data["angles"].astype(float)
    sod, sdd = (float(data[f"source_{n}_distance_mm"]) for n in ("axis", "detector"))
    pitch = float(data["pixel_mm"])
    zero = np.zeros_like(a)
    towards = np.stack([-np.sin(a), np.cos(a), zero], axis=1)  # from the axis to the source
    cone = tomo.ConeBeam.from_vectors(
        source=sod * towards,
        detector_centre=(sod - sdd) * towards,
        v_step=[[0.0, 0.0, pitch]],
        u_step=pitch * np.stack([np.cos(a), np.sin(a), zero], axis=1),
        detector=y.shape[1:],
    )
    return cone, y


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="walnut_binned.npz")
    parser.add_argument("--size", type=int, default=128, help="voxels along an edge")
    parser.add_argument("--field", type=float, default=38.4, help="edge of the volume in mm")
    parser.add_argument("--iterations", type=int, default=15, help="iterations of CGLS")
    parser.add_argument("--output", default="walnut", help="folder for the picture and the volumes")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
