"""See that an installed opalg works with its required dependencies only.

Run by `make wheel`, `make sdist` and cibuildwheel, each in an environment without extras.
"""

import importlib
import importlib.metadata
import importlib.resources

import numpy as np


def check_parts() -> None:
    """All packages are there, the kernel sources travel along, the version is the metadata's."""
    opalg = importlib.import_module("opalg")
    for name in ("opalg.tomo", "opalg.solvers", "opalg.testing", "opalg.engines.cpu"):
        importlib.import_module(name)
    files = importlib.resources.files("opalg")
    assert files.joinpath("py.typed").is_file(), (
        "py.typed is missing: type checkers would ignore the annotations"
    )
    names = [entry.name for entry in files.joinpath("cuda_src").iterdir()]
    assert any(name.endswith(".cuh") for name in names), (
        f"the kernel sources are missing from opalg/cuda_src: {names}"
    )
    assert opalg.__version__ == importlib.metadata.version("opalg")


def check_reconstruction() -> None:
    """A disc of value 1 projects to its chord lengths and is found again from them."""
    import opalg as oa
    from opalg import solvers, tomo

    grid = oa.Grid((64, 64), spacing=1.0)
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=90, detector=96, pitch=1.0))
    y, x = np.meshgrid(*[np.arange(64) - 31.5] * 2, indexing="ij")
    disc = (x**2 + y**2 < 20.0**2).astype(np.float32)
    sinogram = A(disc)
    assert abs(float(sinogram[:, 47:49].mean()) - 40.0) < 0.5, (
        "the central rays should cross 40 mm of the disc"
    )
    rng = np.random.default_rng(0)
    p, q = rng.random(A.domain.shape, "float32"), rng.random(A.range.shape, "float32")
    forward, backward = np.vdot(A(p), q), np.vdot(p, A.H(q))
    assert abs(forward - backward) < 1e-5 * abs(forward), (
        "projection and back projection are not a pair"
    )
    for method in (tomo.FBP(A), solvers.CGLS(A, iterations=10)):
        centre = float(method(sinogram)[28:36, 28:36].mean())
        assert abs(centre - 1.0) < 0.1, (
            f"{method} gives {centre:.3f} in the middle of a disc of value 1"
        )


if __name__ == "__main__":
    check_parts()
    check_reconstruction()
    print("The installed opalg works.")
