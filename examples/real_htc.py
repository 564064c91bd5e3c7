"""Reconstruct a measured fan-beam scan of the Helsinki Tomography Challenge 2022.

    python examples/real_htc.py htc2022_ta_full.mat --output htc/
    python examples/real_htc.py htc2022_ta_full.mat --degrees 90 --output htc/

The file holds line integrals and all that is known of the scan. With ``--degrees`` only the first views are
used, as the challenge asked; then SIRT, which knows that nothing is negative, is ahead of FBP.
"""

import argparse
import webbrowser
from pathlib import Path

import numpy as np
import scipy.io

import opalg as oa
from opalg import solvers, tomo


def main() -> None:
    """Read, reconstruct, write."""
    options = parse()
    fan, y = read(options.file)
    if options.degrees is not None:
        views = int((fan.angles - fan.angles[0] <= np.deg2rad(options.degrees) + 1e-9).sum())
        fan, y = fan[:views], np.ascontiguousarray(y[:views])
    limited = options.degrees is not None and options.degrees < 180
    print(f"{fan}, {np.rad2deg(np.ptp(fan.angles)):.1f} degrees")

    # As in the challenge: 512 pixels as large as those of the detector appear at the axis.
    field = 512 * fan.pitch[0] * fan.sod / fan.sdd
    A = tomo.XrayTransform(oa.Grid((options.size, options.size), field / options.size), fan)
    # No weights can make up for views that are missing.
    redundancy = np.ones(1) if limited else None
    images = {
        "FBP": tomo.FBP(A, redundancy=redundancy)(y),
        "SIRT": solvers.SIRT(A, minimum=0.0).solve(y, options.iterations, progress=True).x,
        "CGLS": solvers.CGLS(A).solve(y, options.cgls, progress=True).x,
    }
    for name, x in images.items():
        residual = np.linalg.norm(A(x) - y) / np.linalg.norm(y)
        print(f"{name:<6} relative residual {residual:.4f}, values {x.min():.4g} to {x.max():.4g}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "images.npz", **images)
    picture = output / "images.png"
    oa.show(*images.values(), titles=list(images), grid=A.domain, limits=(0.0, 0.05)).savefig(
        picture, dpi=110
    )
    print(f"The picture is {picture}, the images (1 / mm, row 0 lowest) are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def read(path: str):
    """The geometry and the line integrals (view, u)."""
    data = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)["CtDataFull"]
    scan = data.parameters
    fan = tomo.FanBeam(
        np.deg2rad(scan.angles.astype(float)),
        detector=int(scan.numDetectorsPost),
        pitch=float(scan.pixelSizePost),
        sod=float(scan.distanceSourceOrigin),
        sdd=float(scan.distanceSourceDetector),
    )
    return fan, data.sinogram.astype("float32")


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="a *_full.mat of the challenge")
    parser.add_argument("--degrees", type=float, help="use the views of the first degrees only")
    parser.add_argument("--size", type=int, default=512, help="pixels along an edge")
    parser.add_argument("--iterations", type=int, default=100, help="iterations of SIRT")
    parser.add_argument("--cgls", type=int, default=15, help="iterations of CGLS")
    parser.add_argument("--output", default="htc", help="folder for the picture and the images")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
