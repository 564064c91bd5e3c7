"""A small scan that all tests of comparisons share."""

from typing import NamedTuple

import numpy as np
import pytest

import opalg as oa
from opalg import tomo


class Scan(NamedTuple):
    """A transform, data with little noise, and the image that they are of."""

    A: tomo.XrayTransform
    y: np.ndarray
    truth: np.ndarray


def make_scan() -> Scan:
    """Anew each time: an operator keeps the sums of its rows and columns, and calls are counted."""
    grid = oa.Grid((40, 48), spacing=0.5)
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=36, detector=64, pitch=0.5))
    body = tomo.phantoms.ellipse((7.0, 5.0), 0.02) + tomo.phantoms.disc(2.0, 0.01, (2.0, 1.0))
    y = tomo.noise.poisson(body.project(A.geometry), photons=1e5, seed=0)
    return Scan(A, y, body.sample(grid))


@pytest.fixture
def scan() -> Scan:
    return make_scan()


@pytest.fixture(scope="module")
def module_scan() -> Scan:
    return make_scan()
