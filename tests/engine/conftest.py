"""Joseph's method as an explicit matrix, written from its definition, and geometries to try."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

from opalg.engines import cpu


def slice_matrix(plan):
    """Matrix [views * nu, ny * nx] of one slice: one sample per plane of the dominant index axis,
    interpolated between two pixels, zero outside, times the length between planes."""
    (ny, nx), nu = plan.volume_shape[-2:], plan.detector_shape[-1]
    rows, columns, values = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)]
    for view, (x0, y0, sx, sy, dx, dy) in enumerate(plan.rays):
        u = np.arange(nu)[:, None]
        x, y = x0 + sx * u, y0 + sy * u
        along_x = abs(dx) > abs(dy)
        plane = np.arange(nx if along_x else ny)
        position = y + (plane - x) * dy / dx if along_x else x + (plane - y) * dx / dy
        below = np.floor(position).astype(int)
        for pixel, weight in (
            (below, 1 - (position - below)),
            (below + 1, position - below),
        ):
            inside = (0 <= pixel) & (pixel < (ny if along_x else nx))
            index = pixel * nx + plane if along_x else plane * nx + pixel
            rows.append(view * nu + np.nonzero(inside)[0])
            columns.append(index[inside])
            values.append(plan.lengths[view] * weight[inside])
    shape = (len(plan.rays) * nu, ny * nx)
    value, row, column = map(np.concatenate, (values, rows, columns))
    return sp.csr_matrix((value, (row, column)), shape=shape)


def row_matrix(plan):
    """Matrix [nv, nz]: a detector row is interpolated between its two slices."""
    if plan.rows is None:
        return np.ones((1, 1))
    position = plan.rows[0] + plan.rows[1] * np.arange(plan.detector_shape[0])
    return np.maximum(0, 1 - abs(position[:, None] - np.arange(plan.volume_shape[0])))


class Definition:
    """The projection of a plan and its transpose in float64, and what bounds the rounding errors.

    A sample's weight is known to some multiple of machine epsilon, whatever its size. So an error
    is compared with the sum of |values| a result is made of, each counted with weight one.
    """

    def __init__(self, plan):
        self.plan = plan
        self.matrix, self.rows = slice_matrix(plan), row_matrix(plan)
        self.touched = self.matrix.copy()
        self.touched.data = np.repeat(np.abs(plan.lengths), plan.detector_shape[-1])[
            np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr))
        ]

    def project(self, x, touched=False):
        plan, matrix = self.plan, self.touched if touched else self.matrix
        (nv, nz), batch = self.rows.shape, x.shape[: x.ndim - len(plan.volume_shape)]
        n, views, nu = math.prod(batch), len(plan.rays), plan.detector_shape[-1]
        x = x.astype(np.float64).reshape(n, nz, matrix.shape[1])
        rows = np.einsum("vz,nzp->nvp", self.rows, x).reshape(n * nv, matrix.shape[1])
        y = (matrix @ rows.T).T.reshape(n, nv, views, nu)
        return y.swapaxes(1, 2).reshape(batch + plan.projection_shape)

    def backproject(self, y, touched=False):
        plan, matrix = self.plan, self.touched if touched else self.matrix
        (nv, _), batch = self.rows.shape, y.shape[: y.ndim - len(plan.projection_shape)]
        n, views, nu = math.prod(batch), len(plan.rays), plan.detector_shape[-1]
        y = (
            y.astype(np.float64)
            .reshape(n, views, nv, nu)
            .swapaxes(1, 2)
            .reshape(n * nv, views * nu)
        )
        x = (matrix.T @ y.T).T.reshape(n, nv, matrix.shape[1])
        return np.einsum("vz,nvp->nzp", self.rows, x).reshape(batch + plan.volume_shape)

    def check(self, x, y, **options):
        """Assert that the engine agrees on x and y; returns its results."""
        results = []
        for run, define, source in (
            (cpu.project, self.project, x),
            (cpu.backproject, self.backproject, y),
        ):
            expected, scale = define(source), define(abs(source), touched=True)
            out = np.full(expected.shape, np.nan, source.dtype)
            run(self.plan, source, out, **options)
            bound = tolerance(self.plan, source.dtype) * scale.max(initial=0)
            error = abs(out - expected).max(initial=0)
            assert error <= bound, f"{run.__name__}: {error:.2e} > {bound:.2e} for {self.plan}"
            results.append(out)
        return results


def tolerance(plan, dtype):
    """Relative to Definition's bound. float32: positions are reduced in float64, so that size does
    not matter; 5e-7 is the most that was seen in thousands of geometries. float64: the engine and
    the matrix both round positions, which are as large as the geometry."""
    if dtype == np.float32:
        return 2e-6
    extent = max(plan.volume_shape + plan.detector_shape)
    steepest = np.abs(plan.rays[:, :4]).max(initial=1)
    return 8 * np.finfo(np.float64).eps * (extent + steepest * (1 + plan.detector_shape[-1]))


def circular_plan(shape, detectors, angles, pitch=1.0, offset=(0.0, 0.0), spacing=(1.0, 1.0)):
    """Views at angles around the middle of a [y, x] image, detector shifted by offset."""
    angles = np.atleast_1d(np.asarray(angles, float))
    (ny, nx), (hy, hx) = shape, spacing
    u = np.stack([np.cos(angles) / hx, np.sin(angles) / hy], 1)  # physical unit vectors in pixels
    direction = np.stack([-np.sin(angles) / hx, np.cos(angles) / hy], 1)
    middle = np.array([(nx - 1) / 2, (ny - 1) / 2])
    start = middle - u * pitch * (detectors - 1) / 2 + np.asarray(offset)
    lengths = 1 / np.abs(direction).max(1, initial=0)
    rays = np.concatenate([start, pitch * u, direction], 1)
    return cpu.ParallelPlan(shape, (detectors,), rays, lengths)


def random_pair(plan, dtype=np.float32, batch=(), seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(batch + plan.volume_shape).astype(dtype)
    return x, rng.standard_normal(batch + plan.projection_shape).astype(dtype)


@st.composite
def plans(draw):
    """2D geometries of every kind: odd and even, non-square, fine and coarse detectors, shifted,
    anisotropic, axis-aligned and diagonal views, and views that miss the image."""
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    special = st.sampled_from([0, np.pi / 4, np.pi / 2, 3 * np.pi / 4, np.pi, -np.pi / 2])
    angles = draw(st.lists(special | st.floats(-7, 7), min_size=0, max_size=12))
    pitch = draw(st.sampled_from([0.0, 1e-3, 0.3, 0.6, 0.68, 0.9, 1.0, 1.3, 2.5, 30.0]))
    offset = draw(st.tuples(st.floats(-30, 30), st.floats(-30, 30)) | st.just((0.0, 0.0)))
    spacing = draw(st.sampled_from([(1.0, 1.0), (0.5, 2.0), (1.7, 1.0)]))
    sign = draw(st.sampled_from([1, -1]))
    return circular_plan(shape, draw(st.integers(1, 60)), angles, sign * pitch, offset, spacing)


@pytest.fixture(scope="session")
def joseph():
    """The tools above; tests are not a package, so they cannot import each other."""
    return SimpleNamespace(
        Definition=Definition,
        circular_plan=circular_plan,
        plans=plans,
        random_pair=random_pair,
        tolerance=tolerance,
    )
