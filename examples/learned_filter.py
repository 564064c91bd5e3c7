"""Learn the filter of filtered back projection from data (PyTorch).

    python examples/learned_filter.py --output learned/

Back projection, weights and geometry are known; only the frequency response of the filter is a parameter.
It starts as a constant, which is no filter at all, and learns from pairs of a random scene and its line
integrals. What comes out is the discrete ramp of Kak and Slaney, up to what the noise of the training data
suppresses.

C. Syben, B. Stimpel, K. Breininger, T. Wuerfl, R. Fahrig, A. Doerfler and A. Maier, "Precision learning:
reconstruction filter kernel discretization", CT Meeting, 2018.
"""

import argparse
import webbrowser
from pathlib import Path

import numpy as np
import torch

import opalg as oa
from opalg import tomo


def main() -> None:
    """Make data, learn, compare, write."""
    options = parse()
    n = options.size
    grid = oa.Grid((n, n))
    geometry = tomo.ParallelBeam(options.views, detector=round(1.5 * n))
    A = tomo.XrayTransform(grid, geometry)
    exact = tomo.RampFilter(A.range, geometry.pitch[-1])
    start = np.full_like(exact.response, exact.response.mean())

    response = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    fbp = tomo.FBP(A, filter=tomo.FrequencyFilter(A.range, response))
    y, truth = scenes(grid, geometry, options.scenes, options.photons)
    losses = train(fbp, response, y, truth, options.iterations)
    print(f"loss {losses[0]:.3g} at the start, {losses[-1]:.3g} after {len(losses)} steps")

    learned = response.detach().numpy()
    head = tomo.phantoms.shepp_logan(diameter=0.9 * n, value=0.02)
    data = tomo.noise.poisson(head.project(geometry), options.photons, seed=1000)
    image = head.sample(grid)
    filters = {"constant": start, "learned": learned, "Ram-Lak": exact.response}
    images = {}
    for name, values in filters.items():
        F = tomo.FrequencyFilter(A.range, values.astype("float32"))
        images[name] = tomo.FBP(A, filter=F)(data)
        error = np.linalg.norm(images[name] - image) / np.linalg.norm(image)
        print(f"{name:<8} relative error of a head it never saw {error:.3f}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(output / "filters.npz", frequencies=exact.frequencies, losses=losses, **filters)
    picture = output / "learned_filter.png"
    draw(exact.frequencies, filters, images, picture)
    print(f"The picture is {picture}, the filters are beside it.")
    if options.show:
        webbrowser.open(picture.resolve().as_uri())


def scenes(grid, geometry, count, photons):
    """Noisy line integrals and images of random scenes, as tensors."""
    diameter = 0.9 * grid.shape[0]
    found = [tomo.phantoms.random_scene(8, diameter, 0.02, ndim=2, seed=k) for k in range(count)]
    y = np.stack([scene.project(geometry) for scene in found])
    y = tomo.noise.poisson(y, photons, seed=0)
    truth = np.stack([scene.sample(grid) for scene in found])
    return torch.from_numpy(y), torch.from_numpy(truth)


def train(fbp, response, y, truth, iterations):
    """The losses of Adam, which moves rare high frequencies as far as frequent low ones."""
    optimizer = torch.optim.Adam([response], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    scale = float((truth**2).mean())
    losses = []
    for _ in range(iterations):
        optimizer.zero_grad()
        loss = ((fbp(y) - truth) ** 2).mean() / scale
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def draw(frequencies, filters, images, path):
    """The filters in one panel, what they reconstruct in the others."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.6), layout="constrained")
    curves, *panels = figure.subplots(1, 1 + len(images))
    for name, values in filters.items():
        curves.plot(frequencies, values, label=name, linewidth=1.2)
    curves.set(xlabel="cycles per pixel", title="response")
    curves.legend()
    for axes, (name, image) in zip(panels, images.items(), strict=True):
        axes.imshow(image, origin="lower", cmap="gray", vmin=0, vmax=0.0085)
        axes.set(title=name, xticks=[], yticks=[])
    figure.savefig(path, dpi=110)


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="pixels along an edge")
    parser.add_argument("--views", type=int, default=180, help="views over half a turn")
    parser.add_argument("--scenes", type=int, default=16, help="random scenes to learn from")
    parser.add_argument("--photons", type=float, default=1e6, help="per pixel of the detector")
    parser.add_argument("--iterations", type=int, default=200, help="steps of Adam")
    parser.add_argument("--output", default="learned_filter", help="folder for picture and filters")
    parser.add_argument("--show", action="store_true", help="open the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
