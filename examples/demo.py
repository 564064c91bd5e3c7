"""The main job: reconstruct a head phantom from noisy projections by FBP, SIRT and CGLS.

    python examples/demo.py --output demo/

The projections are exact line integrals of ten ellipses with the noise of a finite number of photons, so they
do not come from the projector that inverts them. Prints a table and writes a figure and the table.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import opalg as oa
from opalg import solvers, tomo

FIELD_OF_VIEW = 256.0  # mm
SOFT_TISSUE = (0.0, 0.0085)  # grey values per mm: the skull (0.02) is left to shine


def main() -> None:
    """Make the data, reconstruct, print, draw."""
    options = parse()
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)

    size = options.size
    grid = oa.Grid((size, size), spacing=FIELD_OF_VIEW / size)
    geometry = tomo.ParallelBeam(
        angles=options.views, detector=size * 3 // 2, pitch=FIELD_OF_VIEW / size
    )
    A = tomo.XrayTransform(grid, geometry)
    print(f"opalg reconstructs a head phantom: {grid}")
    print(f"from {geometry.num_views} views of {geometry.detector_shape[0]} detector pixels,")
    print(f"{options.photons:.0e} photons per pixel\n")

    phantom = tomo.phantoms.shepp_logan(diameter=230.0)
    truth = phantom.sample(grid)
    y = tomo.noise.poisson(phantom.project(geometry), photons=options.photons, seed=0)

    images, rows = {}, []
    for name, reconstruct in methods(A, options).items():
        start = time.perf_counter()
        x = reconstruct(y)
        seconds = time.perf_counter() - start
        images[name] = x
        rows.append((name, *quality(A, x, y, truth), seconds))

    table = as_table(rows)
    print("\n" + table)
    (output / "table.txt").write_text(table + "\n", encoding="utf-8")
    figure = draw(grid, images, truth, rows)
    figure.savefig(output / "reconstructions.png", dpi=110)
    print(f"\nThe picture is {output / 'reconstructions.png'}, the table {output / 'table.txt'}.")


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="demo", help="folder for the picture and the table")
    parser.add_argument("--size", type=int, default=512, help="pixels along an edge of the image")
    parser.add_argument("--views", type=int, default=360, help="views over half a turn")
    parser.add_argument("--photons", type=float, default=1e5, help="photons per detector pixel")
    parser.add_argument("--sirt", type=int, default=300, help="iterations of SIRT")
    parser.add_argument("--cgls", type=int, default=18, help="iterations of CGLS")
    return parser.parse_args()


def methods(A, options):
    """What is compared: a name and a function from projections to an image."""

    def fbp(y):
        return tomo.FBP(A, window="hann")(y)

    def sirt(y):
        return solvers.SIRT(A, minimum=0.0).solve(y, options.sirt, progress=True).x

    def cgls(y):
        return solvers.CGLS(A).solve(y, options.cgls, progress=True).x

    return {
        "FBP": fbp,
        f"SIRT, {options.sirt} iterations": sirt,
        f"CGLS, {options.cgls} iterations": cgls,
    }


def quality(A, x, y, truth):
    """PSNR in decibels, structural similarity, and the relative residual of the projections."""
    top = float(truth.max())
    psnr = peak_signal_noise_ratio(truth, x, data_range=top)
    ssim = structural_similarity(truth, x, data_range=top)
    return psnr, ssim, float(np.linalg.norm(A(x) - y) / np.linalg.norm(y))


def as_table(rows):
    """The results as text."""
    head = f"{'method':<22}{'PSNR (dB)':>11}{'SSIM':>8}{'residual':>11}{'seconds':>10}"
    lines = [f"{n:<22}{p:>11.2f}{s:>8.3f}{r:>11.4f}{t:>10.3f}" for n, p, s, r, t in rows]
    return "\n".join([head, "-" * len(head), *lines])


def draw(grid, images, truth, rows):
    """The images beside the truth, on the scale of soft tissue."""
    captions = [f"{name}\n{psnr:.1f} dB, SSIM {ssim:.2f}" for name, psnr, ssim, *_ in rows]
    return oa.show(
        *images.values(),
        truth,
        titles=[*captions, "truth\n"],
        grid=grid,
        limits=SOFT_TISSUE,
        columns=2,
    )


if __name__ == "__main__":
    main()
