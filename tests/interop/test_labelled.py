"""Arrays with labelled axes: xarray and pandas."""

import sys

import numpy as np
import pytest
import torch

import opalg as oa
from opalg import tomo
from opalg.interop import from_pandas, from_xarray, to_pandas, to_xarray

xarray = pytest.importorskip("xarray", reason="xarray is the other side")
pd = pytest.importorskip("pandas", reason="pandas is the other side")

GRIDS = [
    oa.Grid((3, 4), spacing=(0.5, 0.1), origin=(1.0, -20.0)),
    oa.Grid(5, dtype="complex128"),
    oa.Grid((2, 3), spacing=0.3, dtype="float64"),
]


@pytest.mark.parametrize("grid", [*GRIDS, oa.Grid((2, 3, 4), spacing=0.7)], ids=str)
def test_grids_come_back_from_xarray(grid):
    x = grid.random(0, batch=(2,))
    labelled = to_xarray(x, grid, name="image")
    assert labelled.dims == ("batch0", *grid.axes)
    assert labelled.name == "image"
    for name, points in zip(grid.axes, grid.coordinates, strict=True):
        np.testing.assert_array_equal(labelled[name], points)
    values, space = from_xarray(labelled, batch=["batch0"])
    np.testing.assert_array_equal(values, x)
    np.testing.assert_allclose(space.spacing, grid.spacing)
    np.testing.assert_allclose(space.origin, grid.origin, atol=1e-12)
    assert (space.shape, space.dtype, space.axes) == (grid.shape, grid.dtype, grid.axes)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_grids_come_back_from_pandas(grid):
    x = grid.random(0)
    table = to_pandas(x, grid)
    assert [axis.name for axis in table.axes] == list(grid.axes)
    values, space = from_pandas(table)
    np.testing.assert_array_equal(values, x)
    np.testing.assert_allclose(space.origin, grid.origin, atol=1e-12)
    assert (space.shape, space.dtype, space.axes) == (grid.shape, grid.dtype, grid.axes)


def test_sinograms_carry_angles_and_positions():
    geometry = tomo.ParallelBeam(angles=np.array([0.0, 0.5, 2.0]), detector=4, pitch=0.5)
    A = tomo.XrayTransform(oa.Grid((5, 5)), geometry)
    y = torch.rand(3, 4)
    labelled = to_xarray(y, A.range, geometry)
    np.testing.assert_array_equal(labelled["view"], [0.0, 0.5, 2.0])
    np.testing.assert_array_equal(labelled["u"], [-0.75, -0.25, 0.25, 0.75])
    assert float(labelled.sel(view=0.5, u=0.25)) == float(y[1, 2])
    # unequal angles make no grid
    values, space = from_xarray(labelled)
    assert type(space) is oa.Space
    assert space.axes == ("view", "u")
    np.testing.assert_array_equal(values, y)
    assert to_pandas(y, A.range, geometry).loc[0.5, 0.25] == float(y[1, 2])


def test_falling_coordinates_are_turned_round():
    labelled = xarray.DataArray(
        [[1, 2, 3], [4, 5, 6]], coords={"y": [2.0, 1.0], "x": [0, 1, 2]}, dims=["y", "x"]
    )
    values, grid = from_xarray(labelled)
    assert values.tolist() == [[4, 5, 6], [1, 2, 3]]
    assert grid == oa.Grid((2, 3), 1.0, "float64", (1.5, 1.0))
    values, _ = from_xarray(labelled, batch=["x"])
    assert values.tolist() == [[4, 1], [5, 2], [6, 3]]


def test_axes_without_numbers_make_a_plain_space():
    _, space = from_xarray(xarray.DataArray(np.ones((2, 3), "float32"), dims=["a", "b"]))
    assert space == oa.Space((2, 3), "float32", ("a", "b"))
    _, space = from_pandas(pd.Series([1.0, 2.0], index=["first", "second"]))
    assert space == oa.Space(2, "float64", ("axis0",))
    _, space = from_pandas(pd.Series([1.0, 2.0, 3.0], index=[0.0, 1.0, 1.0]))
    assert type(space) is oa.Space


def test_spaces_without_axes_get_names():
    assert to_xarray(np.ones((2, 3), "float32"), oa.Space((2, 3))).dims == ("axis0", "axis1")
    assert list(to_pandas(np.ones(2, "float32"), oa.Space(2)).index) == [0, 1]


def test_single_precision_coordinates_are_uniform():
    points = (np.arange(1000) * 0.1 + 1000).astype("float32")
    _, space = from_xarray(xarray.DataArray(np.zeros(1000), coords={"x": points}))
    assert type(space) is oa.Space  # a step of 0.1 at 1000 is known to 6e-4 only
    _, space = from_xarray(
        xarray.DataArray(np.zeros(1000), coords={"x": points - np.float32(1000)})
    )
    assert isinstance(space, oa.Grid) == bool(
        abs(np.diff(points - np.float32(1000)) - 0.1).max() < 1e-5
    )


def test_mistakes_are_explained(monkeypatch):
    grid = GRIDS[0]
    with pytest.raises(oa.errors.ArgumentError, match="convert its parts"):
        to_xarray((grid**2).zeros(), grid**2)
    with pytest.raises(oa.errors.ArgumentError, match="axis 'x' has 4 entries"):
        to_xarray(grid.zeros(), grid, {"x": [1, 2]})
    with pytest.raises(oa.errors.ArgumentError, match=r"coordinates for \['z'\]"):
        to_xarray(grid.zeros(), grid, {"z": [1, 2]})
    with pytest.raises(oa.errors.ArgumentError, match="or a geometry"):
        to_xarray(grid.zeros(), grid, 3)
    with pytest.raises(oa.errors.ArgumentError, match="use to_xarray"):
        to_pandas(np.zeros((2, 2, 2), "float32"), oa.Grid((2, 2, 2)))
    with pytest.raises(oa.errors.ArgumentError, match="one element at a time"):
        to_pandas(grid.zeros(batch=(2,)), grid)
    with pytest.raises(oa.errors.ArgumentError, match="table of numbers"):
        from_pandas(pd.Series(["a", "b"]))
    with pytest.raises(oa.errors.ArgumentError, match="got list"):
        from_xarray([1.0])
    with pytest.raises(oa.errors.ArgumentError, match=r"not \['time'\]"):
        from_xarray(xarray.DataArray([1.0]), batch=["time"])
    for name, function in (("xarray", to_xarray), ("pandas", to_pandas)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(oa.errors.MissingExtraError, match=rf"^{name} .* opalg\[tables\]"):
            function(grid.zeros(), grid)
