"""Joseph's method as a sparse matrix, written from its definition: the slow twin of the engines.

One sample per plane of pixels along the axis on which the ray's index coordinates change fastest, linear
interpolation between the two nearest pixels of the plane, zero outside, times the length between planes.
"""

import math

import numpy as np
import pytest
import scipy.sparse


def matrix_2d(grid, angles, detector_coordinates):
    """Rows (view, u), columns (y, x); float64. Written in physical coordinates, unlike the engine."""
    ny, nx = grid.shape
    (sy, sx), (ys, xs) = grid.spacing, grid.coordinates
    entries = []
    row = 0
    for angle in angles:
        direction = np.array([-math.sin(angle), math.cos(angle)])
        along_x = abs(direction[0]) / sx > abs(direction[1]) / sy
        for u in detector_coordinates:
            point = u * np.array([math.cos(angle), math.sin(angle)])
            if along_x:  # planes are columns: where does the ray meet x = xs[j]?
                t = (xs - point[0]) / direction[0]
                position, length = (
                    (point[1] + t * direction[1] - ys[0]) / sy,
                    sx / abs(direction[0]),
                )
            else:
                t = (ys - point[1]) / direction[1]
                position, length = (
                    (point[0] + t * direction[0] - xs[0]) / sx,
                    sy / abs(direction[1]),
                )
            lower = np.floor(position).astype(int)
            weight = position - lower
            for index, part in ((lower, 1 - weight), (lower + 1, weight)):
                across = ny if along_x else nx
                plane = np.flatnonzero((index >= 0) & (index < across))
                cell = index[plane] * nx + plane if along_x else plane * nx + index[plane]
                entries.append((np.full(len(plane), row), cell, part[plane] * length))
            row += 1
    rows, columns, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return scipy.sparse.coo_array((values, (rows, columns)), (row, ny * nx)).tocsr()


def interpolation_1d(positions, count):
    """Linear interpolation of ``count`` values at ``positions`` in index coordinates, zero outside."""
    lower = np.floor(positions).astype(int)
    weight = positions - lower
    matrix = np.zeros((len(positions), count))
    for index, part in ((lower, 1 - weight), (lower + 1, weight)):
        inside = np.flatnonzero((index >= 0) & (index < count))
        matrix[inside, index[inside]] += part[inside]
    return matrix


def joseph_matrix(grid, geometry):
    """The dense matrix of the X-ray transform of a parallel geometry in 2D or 3D; float64."""
    plane = grid if grid.ndim == 2 else _slice(grid)
    image = matrix_2d(plane, geometry.angles, geometry.detector_coordinates[-1])
    if grid.ndim == 2:
        return image.toarray()
    z = (geometry.detector_coordinates[0] - grid.coordinates[0][0]) / grid.spacing[0]
    rows = interpolation_1d(z, grid.shape[0])
    views, (nv, nu) = geometry.num_views, geometry.detector_shape
    cells = image.toarray().reshape(views, nu, -1)
    full = np.einsum("vz,auc->avuzc", rows, cells)
    return full.reshape(views * nv * nu, -1)


def ray_matrix(grid, geometry):
    """The dense matrix for rays in any direction, written in physical coordinates; float64.

    A divergent ray has samples on the planes between its source and its pixel, both included.
    """
    frames, ndim = geometry.frames, grid.ndim
    pixels = frames.pixels(geometry.detector_shape).reshape(geometry.num_views, -1, ndim)
    spacing, first = np.array(grid.spacing[::-1]), np.array([a[0] for a in grid.coordinates[::-1]])
    shape = np.array(grid.shape[::-1])
    matrix = np.zeros((*pixels.shape[:2], grid.size))
    # Among equals y comes before x before z.
    order = [1, 0] if ndim == 2 else [1, 0, 2]
    for view, ray in np.ndindex(*pixels.shape[:2]):
        end, origin = pixels[view, ray], frames.origins[view]
        along = origin if frames.parallel else end - origin
        steps = np.abs(along / spacing)
        axis = max(order, key=lambda k: (steps[k], -order.index(k)))
        length = spacing[axis] * np.linalg.norm(along) / abs(along[axis])
        planes = np.arange(shape[axis])
        t = (first[axis] + planes * spacing[axis] - end[axis]) / along[axis]
        if not frames.parallel:
            planes, t = planes[(-1 <= t) & (t <= 0)], t[(-1 <= t) & (t <= 0)]
        position = (end + t[:, None] * along - first) / spacing
        position[:, axis] = planes
        lower = np.floor(position).astype(int)
        for corner in np.ndindex(*(2,) * ndim):
            cell = lower + corner
            weight = np.prod(np.maximum(1 - np.abs(position - cell), 0), axis=1)
            inside = ((cell >= 0) & (cell < shape)).all(axis=1)
            places = np.ravel_multi_index(tuple(cell[inside, ::-1].T), grid.shape)
            matrix[view, ray, places] += weight[inside] * length  # each place but once
    return matrix.reshape(-1, grid.size)


def _slice(grid):
    return type(grid)(grid.shape[1:], grid.spacing[1:], grid.dtype, grid.origin[1:])


@pytest.fixture(scope="session")
def joseph():
    """The function (grid, geometry) -> dense matrix."""
    return joseph_matrix


@pytest.fixture(scope="session")
def joseph_rays():
    """The same for any geometry, ray by ray."""
    return ray_matrix
