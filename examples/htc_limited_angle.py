"""Total variation against missing views: a disc of the Helsinki Tomography Challenge 2022 from 90 degrees.

    python examples/htc_limited_angle.py htc2022/htc2022_ta_full.mat --output htc_limited/

The challenge asked for the shape of an acrylic disc with holes, from a part of a turn. Score is the Matthews
correlation of the thresholded image (Otsu 1979) with the organisers' segmentation of the whole turn, which is
read from the file's neighbour ``*_recon_fbp_seg.mat``: 1 is perfect, 0 as good as chance.

FBP knows nothing of the views that are missing, SIRT that nothing is negative. The third reconstruction
minimises, by PDHG, ``|A x - y|^2 / 2 + 0.004 TV(x)`` over images between 0 and what acrylic attenuates: few
edges, and one material. The same parameters serve all discs; weights of the spaces make them independent
of the size of pixels.
"""

import argparse
import webbrowser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.io
from real_htc import read
from skimage.filters import threshold_otsu

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

STRENGTH = 0.004  # of total variation
ACRYLIC = 0.034  # 1 / mm, the median inside of disc tc over the whole turn


def main() -> None:
    """Read, reconstruct, score, draw."""
    options = parse()
    A, y = scan(options.file, options.degrees, options.size)
    truth = segmentation(options.file)
    print(f"{A.geometry}, {options.degrees:g} degrees, {options.size} x {options.size} pixels")

    grid = A.domain
    G = oa.Gradient(grid)
    few_edges = STRENGTH * fn.GroupL1(G.range) @ G + fn.Box(grid, 0.0, ACRYLIC)
    images = {
        "FBP": tomo.FBP(A, redundancy=np.ones(1))(y),  # no weights can make up for missing views
        "SIRT": solvers.SIRT(A, minimum=0.0, iterations=options.sirt)(y),
        "TV by PDHG": solvers.PDHG(A, regularizer=few_edges, iterations=options.iterations)(y),
    }
    shapes = {name: x > threshold_otsu(x) for name, x in images.items()}
    scores = {name: matthews(enlarged(shape, truth), truth) for name, shape in shapes.items()}
    for name, score in scores.items():
        print(f"{name:<12} Matthews correlation {score:.3f}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "images.npz", truth=truth, **images)
    picture = output / "htc_limited_angle.png"
    draw(images, shapes, scores, truth).savefig(picture, dpi=100, bbox_inches="tight")
    print(f"The picture is {picture}, the images (1 / mm, row 0 lowest) are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def scan(path: str, degrees: float, size: int):
    """The transform and the data of the first degrees, with pixels and views as coarse as the image's."""
    fan, y = read(path)
    bins = max(1, 512 // size)
    kept = slice(0, int((fan.angles - fan.angles[0] <= np.deg2rad(degrees) + 1e-9).sum()), bins)
    field = 512 * fan.pitch[0] * fan.sod / fan.sdd  # that of the challenge, mm
    y = y[kept].reshape(len(y[kept]), fan.detector_shape[0] // bins, bins).mean(axis=-1)
    coarse = tomo.FanBeam(
        fan.angles[kept], detector=y.shape[1], pitch=bins * fan.pitch[0], sod=fan.sod, sdd=fan.sdd
    )
    return tomo.XrayTransform(oa.Grid((size, size), field / size), coarse), y


def segmentation(path: str) -> np.ndarray:
    """Where there is acrylic, by the organisers: 512 x 512, row 0 lowest."""
    file = scipy.io.loadmat(path.removesuffix(".mat") + "_recon_fbp_seg.mat")
    return file["reconFullFbpSeg"][::-1] > 0


def enlarged(shape: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A coarse shape on the pixels of the segmentation."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(truth.shape, shape.shape, strict=True))
    return shape[np.ix_(rows, columns)]


def matthews(shape: np.ndarray, truth: np.ndarray) -> float:
    """The correlation of two shapes, from -1 to 1."""
    return float(np.corrcoef(shape.ravel(), truth.ravel())[0, 1])


def draw(images: dict, shapes: dict, scores: dict, truth: np.ndarray):
    """The images above, their shapes below: what is missing in blue, what is too much in red."""
    figure, axes = plt.subplots(2, 4, figsize=(11, 5.8))
    place = {"origin": "lower", "extent": (0, 1, 0, 1)}
    axes[0, 0].imshow(truth, cmap="gray", **place)
    axes[0, 0].set_title("segmentation, 360 degrees")
    axes[1, 0].set_visible(False)
    for column, (name, x) in enumerate(images.items(), start=1):
        axes[0, column].imshow(x, cmap="gray", vmin=0, vmax=0.045, **place)
        axes[0, column].set_title(name)
        shape = enlarged(shapes[name], truth)
        picture = np.ones((*truth.shape, 3))
        picture[truth & shape] = 0.75
        picture[truth & ~shape] = (0.1, 0.4, 0.9)
        picture[~truth & shape] = (0.9, 0.2, 0.1)
        axes[1, column].imshow(picture, **place)
        axes[1, column].set_title(f"correlation {scores[name]:.3f}")
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "file", help="a *_full.mat of the challenge, beside its *_recon_fbp_seg.mat"
    )
    parser.add_argument("--degrees", type=float, default=90.0, help="of the turn that are used")
    parser.add_argument("--size", type=int, default=256, help="pixels along an edge, 512 or a half")
    parser.add_argument("--iterations", type=int, default=1000, help="iterations of PDHG")
    parser.add_argument("--sirt", type=int, default=300, help="iterations of SIRT")
    parser.add_argument("--output", default="htc_limited", help="folder for picture and images")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
