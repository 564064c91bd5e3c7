"""Brackets on a grid: which cells are left, where they are, and what is refused."""

import numpy as np
import pytest

import opalg as oa
from opalg.errors import ArgumentError


def test_parts_of_a_grid():
    """Centres of cells stay where they are; the spacing is that of the cells that are left."""
    grid = oa.Grid((6, 8, 5), (2.0, 0.5, 1.0), "float64", origin=(1.0, -2.0, 3.0))
    odd = np.arange(8) % 3 == 1
    for key, indices in (
        (np.s_[1:5], [np.arange(1, 5), np.arange(8), np.arange(5)]),
        (np.s_[::2, 1::3, 4], [np.arange(0, 6, 2), np.arange(1, 8, 3), [4]]),
        (np.s_[..., -2:], [np.arange(6), np.arange(8), [3, 4]]),
        (np.s_[:, odd], [np.arange(6), [1, 4, 7], np.arange(5)]),
        (np.s_[[0, 5], ..., 2], [[0, 5], np.arange(8), [2]]),
    ):
        part = grid[key]
        assert (part.dtype, part.axes) == (grid.dtype, grid.axes)
        assert part.cell_volume == part.weighting
        for own, whole, chosen in zip(part.coordinates, grid.coordinates, indices, strict=True):
            np.testing.assert_allclose(own, whole[chosen], atol=1e-12)
        steps = [np.diff(c)[0] if len(c) > 1 else 1 for c in indices]
        np.testing.assert_allclose(part.spacing, np.multiply(steps, grid.spacing))
    assert grid[...] == grid
    assert oa.Grid((4, 6), weighting=3.0)[::2].weighting == 3.0
    weights = np.arange(1.0, 25.0, dtype="float32").reshape(4, 6)
    part = oa.Grid((4, 6), weighting=weights)[1::2, :3]
    np.testing.assert_array_equal(part.weighting, weights[1::2, :3])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (np.s_[::-1], "positive steps"),
        ([0, 1, 3], "equally spaced"),
        ([1, 1], "equally spaced"),
        (np.s_[9:], "leaves nothing of 6"),
        ([], "leaves nothing of 6"),
        ([0.5, 1.5], "whole numbers or a mask"),
        (np.s_[:, :, :, 0], "take no index"),
        (np.zeros(5, bool), r"shape \(6,\)"),
    ],
)
def test_no_grid_is_left(key, message):
    with pytest.raises(ArgumentError, match=message):
        oa.Grid((6, 8, 5))[key]
    with pytest.raises(TypeError, match="not iterable"):
        iter(oa.Grid(3))
