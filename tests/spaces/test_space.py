"""Spaces of arrays and grids: elements, membership, inner products, conversions, equality, errors."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest

import opalg as oa
from opalg.errors import ArgumentError, DtypeError, NonFiniteError, SpaceMismatchError

DTYPES = ("float32", "float64", "complex64", "complex128")
WEIGHT = np.array([[0.5, 1.0, 2.0], [3.0, 0.25, 1.5]])


def spaces() -> list[Any]:
    found: list[Any] = [oa.Space((2, 3), dtype) for dtype in DTYPES]
    found += [oa.Space((2, 3), dtype, weighting=0.3) for dtype in ("float64", "complex128")]
    found += [oa.Space((2, 3), dtype, weighting=WEIGHT) for dtype in ("float64", "complex128")]
    found += [
        oa.Space((2, 3), "float64", weighting=WEIGHT[0]),
        oa.Grid((2, 3), (0.5, 2.0), "float64"),
    ]
    return found


def libraries() -> list[Any]:
    found: list[Any] = [pytest.param(np.zeros(1), id="numpy")]
    torch = pytest.importorskip("torch")
    strict = pytest.importorskip("array_api_strict")
    return [
        *found,
        pytest.param(torch.zeros(1), id="torch"),
        pytest.param(strict.zeros(1), id="strict"),
    ]


# Elements
@pytest.mark.parametrize("space", spaces(), ids=str)
@pytest.mark.parametrize("like", libraries())
def test_created_elements_belong(space: Any, like: Any) -> None:
    for create in (space.zeros, space.ones, space.empty, space.random):
        x = create(like=like)
        assert x in space
        assert type(x) is type(like)
        assert create(like=like, batch=(4, 1)).shape == (4, 1, 2, 3)
    assert np.all(np.asarray(space.ones(like=like)) == 1)
    assert not np.any(np.asarray(space.zeros(like=like)))


@pytest.mark.parametrize("like", libraries())
def test_one_seed_gives_one_element_in_every_library(like: Any) -> None:
    for dtype in DTYPES:
        space = oa.Space((2, 3), dtype)
        np.testing.assert_array_equal(np.asarray(space.random(7, like=like)), space.random(7))
    assert not np.array_equal(space.random(7), space.random(8))


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_without_axes_are_arrays(dtype: str) -> None:
    space = oa.Space((), dtype)
    assert isinstance(space.random(0), np.ndarray)
    assert isinstance(space.asarray(np.float32(2)), np.ndarray)


def test_random_entries_are_standard_normal() -> None:
    x = oa.Space(100_000, "complex128").random(0)
    # The mean of n standard normal numbers deviates by 1 / sqrt(n); five times that is never seen.
    for part in (x.real, x.imag):
        assert abs(part.mean()) < 5 / 100_000**0.5
        assert abs(part.std() - 1) < 5 / 100_000**0.5


@pytest.mark.parametrize("space", spaces(), ids=str)
def test_membership(space: Any) -> None:
    x = space.random(0)
    assert x in space
    assert space.random(0, batch=(5,)) in space
    other = (
        DTYPES[(DTYPES.index(space.dtype.name) + 2) % 4] if not space.is_complex else "complex64"
    )
    other = "complex128" if space.dtype.name == "complex64" else other
    for stranger in (x[:, :2], x[0], x.T, x.astype(other), x.tolist(), None, 1.0, "x", (x,)):
        assert stranger not in space


def test_errors_say_what_came_and_how_to_mend_it() -> None:
    X = oa.Space((2, 3), axes=("y", "x"))
    with pytest.raises(
        SpaceMismatchError, match=r"argument must have shape \(2, 3\).*got shape \(3, 2\)"
    ):
        X.check(np.zeros((3, 2), "float32"))
    with pytest.raises(
        DtypeError, match=r"dtype float32, got float64; convert it with space\.asarray"
    ):
        X.check(np.zeros((2, 3)), "y")
    with pytest.raises(DtypeError, match=r"got int64; convert it with space\.asarray\(x\)$"):
        X.check(np.zeros((2, 3), "int64"))
    with pytest.raises(DtypeError, match="got list"):
        X.check([[1.0]])
    assert X.check(x := np.zeros((2, 3), "float32")) is x


# Inner products
@pytest.mark.parametrize("space", spaces(), ids=str)
@pytest.mark.parametrize("like", libraries())
def test_inner_product_is_its_formula(space: Any, like: Any) -> None:
    x, y = space.random(1, batch=(2,)), space.random(2, batch=(2,))
    wide = "complex128" if space.is_complex else "float64"
    expected = (np.asarray(space.weighting) * x.astype(wide) * y.astype(wide).conj()).sum(
        axis=(-2, -1)
    )
    found = np.asarray(space.inner(space.asarray(x, like), space.asarray(y, like)))
    assert found.shape == (2,)
    # Six terms: a few units in the last place of the largest.
    tolerance = 20 * np.finfo(space.dtype).eps
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, atol=tolerance * abs(expected).max()
    )
    norm = np.asarray(space.norm(space.asarray(x, like)))
    assert norm.dtype.kind == "f"
    wanted = np.sqrt((np.asarray(space.weighting) * abs(x.astype(wide)) ** 2).sum(axis=(-2, -1)))
    np.testing.assert_allclose(norm, wanted, rtol=tolerance)


def test_inner_is_linear_in_the_first_argument() -> None:
    space = oa.Space(3, "complex128", weighting=0.5)
    x, y = space.random(0), space.random(1)
    assert space.inner(1j * x, y) == pytest.approx(1j * space.inner(x, y))
    assert space.inner(x, 1j * y) == pytest.approx(-1j * space.inner(x, y))


@pytest.mark.parametrize("like", libraries())
@pytest.mark.parametrize("batches", [((3,), (5,)), ((3,), ()), ((), (3,)), ((1,), (2,))])
def test_inner_refuses_different_batches(like: Any, batches: Any) -> None:
    space = oa.Space(4)
    first, second = (space.ones(like, batch) for batch in batches)
    with pytest.raises(SpaceMismatchError, match="same batch axes"):
        space.inner(first, second)


def test_the_byte_order_of_another_machine() -> None:
    foreign = np.arange(3, dtype=">f4")
    space = oa.Space(3, foreign.dtype)
    assert space == oa.Space(3)
    assert space.dtype.isnative
    with pytest.raises(DtypeError, match=r"byte order of another machine; .* space\.asarray\(x\)$"):
        space.check(foreign)
    assert space.asarray(foreign) in space


def test_numbers_of_numpy_are_printed_and_compared_as_numbers() -> None:
    grid = oa.Grid((np.int64(4), 5), spacing=np.float64(0.5))
    assert repr(grid) == "Grid((4, 5), spacing=0.5)"
    assert oa.Scaling(grid, np.float64(2)) == oa.Scaling(grid, 2.0)


def test_inner_of_strided_and_empty_batches() -> None:
    space = oa.Space((2, 3), "float64")
    x = space.random(0, batch=(4,))
    np.testing.assert_allclose(
        space.inner(x[::2, :, ::-1], x[::2, :, ::-1]), space.inner(x[::2], x[::2])
    )
    assert space.norm(x[:0]).shape == (0,)
    with pytest.raises(SpaceMismatchError):
        space.inner(x, x[:, :1])


@pytest.mark.parametrize(
    ("weighting", "error"),
    [
        (0.0, "positive and finite"),
        (-1.0, "positive and finite"),
        (np.inf, "positive and finite"),
        (np.zeros((2, 3)), "positive and finite everywhere"),
        (np.ones((3, 2)), "broadcast"),
        (np.ones((2, 2, 3)), "broadcast"),
    ],
)
def test_weights_that_make_no_inner_product(weighting: Any, error: str) -> None:
    with pytest.raises(ArgumentError, match=error):
        oa.Space((2, 3), "float64", weighting=weighting)


def test_weights_have_the_precision_of_the_space() -> None:
    with pytest.raises(DtypeError, match="float32"):
        oa.Space((2, 3), "float32", weighting=WEIGHT)
    assert oa.Space((2, 3), "float64", weighting=WEIGHT).complex.weighting.dtype == np.float64
    assert (
        oa.Space((2, 3), "float64", weighting=WEIGHT).astype("float32").weighting.dtype
        == np.float32
    )


def test_weights_are_closed() -> None:
    weight = WEIGHT.copy()
    space = oa.Space((2, 3), "float64", weighting=weight)
    before = space.norm(space.ones())
    weight[:] = 9
    assert space.norm(space.ones()) == before
    with pytest.raises(ValueError, match="read-only"):
        space.weighting[0] = 1


# Conversion
def test_asarray_converts_values_libraries_and_types() -> None:
    torch = pytest.importorskip("torch")
    X = oa.Space((2, 2))
    assert X.asarray([[1, 2], [3, 4]]) in X
    assert X.asarray(torch.ones(2, 2, dtype=torch.int64)).dtype == torch.float32
    assert isinstance(X.asarray(torch.ones(2, 2), like=np.ones(1)), np.ndarray)
    assert isinstance(X.asarray(np.ones((2, 2)), like=torch.ones(1)), torch.Tensor)
    assert isinstance(X.asarray(np.ones((2, 2)), like=oa.Blocks((np.ones(1),))), np.ndarray)
    assert X.complex.asarray(np.ones((2, 2))).dtype == np.complex64
    x = X.zeros()
    assert X.asarray(x) is x


def test_asarray_refuses_what_would_be_lost() -> None:
    X = oa.Space(2)
    with pytest.raises(DtypeError, match=r"take \.real or abs"):
        X.asarray([1j, 0])
    with pytest.raises(SpaceMismatchError, match=r"\(2,\)"):
        X.asarray([1.0, 2.0, 3.0])
    with pytest.raises(NonFiniteError, match="overflow when float64 is converted to float32"):
        X.asarray([1e300, 0])
    # Infinity that was there before is the caller's own.
    assert np.isinf(X.asarray(np.array([np.inf, 0.0]))[0])


# What a space is
def test_equality_and_hash_by_value() -> None:
    assert oa.Space(3) == oa.Space((3,)) == oa.Space([3], np.float32)  # type: ignore[comparison-overlap]
    assert hash(oa.Space(3)) == hash(oa.Space((3,), "f4"))
    different = [
        oa.Space(3),
        oa.Space(4),
        oa.Space((3, 1)),
        oa.Space(3, "float64"),
        oa.Space(3, axes=("x",)),
        oa.Space(3, weighting=2.0),
        oa.Space(3, weighting=np.array([1, 1, 1], "float32")),
        oa.Grid(3),
        oa.Grid(3, origin=1.0),
        oa.Grid(3, spacing=2.0),
        oa.Grid(3, spacing=2.0, weighting=1.0),
        oa.Space(3) ** 1,
    ]
    assert len(set(different)) == len(different)
    for space in different:
        assert pickle.loads(pickle.dumps(space)) == space == copy.deepcopy(space)
        assert eval(repr(space), vars(oa) | {"array": np.array}) == space
    weighted = oa.Space((2, 3), "float64", weighting=WEIGHT)
    assert weighted == oa.Space((2, 3), "float64", weighting=WEIGHT.copy())


def test_spaces_are_immutable() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        oa.Space(3).shape = (4,)


@pytest.mark.parametrize("shape", [0, -1, 2.5, (2, 0), "ab", None])
def test_shapes_that_make_no_sense(shape: Any) -> None:
    with pytest.raises(ArgumentError, match="positive integers"):
        oa.Space(shape)


def torch_type() -> Any:
    return pytest.importorskip("torch").int32


def test_other_arguments_that_make_no_sense() -> None:
    with pytest.raises(DtypeError, match="float32, float64, complex64, complex128"):
        oa.Space(3, "int32")
    for dtype in ("nonsense", None, torch_type()):
        with pytest.raises(DtypeError, match="float32, float64, complex64, complex128"):
            oa.Space(3, dtype)
    for axes in (("x",), 5, ("x", "x"), (1, 2)):
        with pytest.raises(ArgumentError, match="2 axis names"):
            oa.Space((2, 3), axes=axes)
    for weighting in ("heavy", None, [1.0, 2.0], 1j):
        with pytest.raises(ArgumentError, match="weighting must be a number or an array"):
            oa.Space(2, weighting=weighting)
    with pytest.raises(ArgumentError, match="batch must be a tuple of extents, got 3"):
        oa.Space(2).zeros(batch=3)
    with pytest.raises(ArgumentError, match="no array can be made"):
        oa.Space((2, 2)).asarray([[1, 2], [3]])
    with pytest.raises(ArgumentError, match="spacing must be positive"):
        oa.Grid(3, spacing=0.0)
    with pytest.raises(ArgumentError, match="spacing must be one number, or 2"):
        oa.Grid((3, 3), spacing=(1.0, 1.0, 1.0))


def test_real_and_complex_counterparts() -> None:
    for space in spaces():
        assert space.complex.real == space.real
        assert space.real.is_complex is False
        assert space.complex.is_complex
        assert space.real.shape == space.shape
        assert np.array_equal(space.complex.weighting, space.weighting)
    assert isinstance(oa.Grid(3).complex, oa.Grid)


def test_grid_positions() -> None:
    grid = oa.Grid((2, 3), spacing=(1.0, 0.5), origin=(10.0, 0.0))
    y, x = grid.coordinates
    assert y.tolist() == [9.5, 10.5]
    assert x.tolist() == [-0.5, 0.0, 0.5]
    assert grid.extent == (2.0, 1.5)
    assert grid.cell_volume == grid.weighting == 0.5
    with pytest.raises(ValueError, match="read-only"):
        y[0] = 0
    assert oa.Grid((2, 3, 4)).axes == ("z", "y", "x")
    # The norm of a constant is that of the function, however fine the grid.
    coarse, fine = oa.Grid(4, 0.5, "float64"), oa.Grid(8, 0.25, "float64")
    assert coarse.norm(coarse.ones()) == pytest.approx(fine.norm(fine.ones()))


# Linear combinations
@pytest.mark.parametrize("space", spaces(), ids=str)
@pytest.mark.parametrize("like", libraries())
def test_lincomb(space: Any, like: Any) -> None:
    x, y = space.random(1), space.random(2)
    u, v = space.asarray(x.copy(), like), space.asarray(y, like)
    tolerance = {"rtol": 4 * np.finfo(space.dtype).eps, "atol": 4 * np.finfo(space.dtype).eps}
    np.testing.assert_allclose(
        np.asarray(space.lincomb(2.0, u, -0.5, v)), 2 * x - 0.5 * y, **tolerance
    )
    np.testing.assert_allclose(np.asarray(space.lincomb(2.0, u)), 2 * x, **tolerance)
    out = space.empty(like=like)
    assert space.lincomb(2.0, u, 1, v, out=out) is out
    np.testing.assert_allclose(np.asarray(out), 2 * x + y, **tolerance)
    space.lincomb(2.0, u, -1.0, v, out=u)
    np.testing.assert_allclose(np.asarray(u), 2 * x - y, **tolerance)


def test_lincomb_with_a_number_per_batch_entry() -> None:
    torch = pytest.importorskip("torch")
    space = oa.Space((2, 3), "float64")
    x, y = space.random(1, batch=(4,)), space.random(2, batch=(4,))
    a, b = np.arange(4.0), np.ones(4) * 0.5
    expected = a[:, None, None] * x + b[:, None, None] * y
    np.testing.assert_allclose(space.lincomb(a, x, b, y), expected)
    np.testing.assert_allclose(space.lincomb(a, x, b, y, out=np.empty_like(x)), expected)
    tensors = [torch.from_numpy(v) for v in (a, x, b, y)]
    np.testing.assert_allclose(space.lincomb(*tensors).numpy(), expected)


def test_lincomb_makes_no_temporary_array() -> None:
    space = oa.Space(4_000_000, "float64")
    x, y, out = space.ones(), space.ones(), space.zeros()
    tracemalloc.start()
    space.lincomb(2.0, x, 3.0, y, out=out)
    space.lincomb(2.0, x, 1, out, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert out[0] == 7
    assert peak < 1_000_000  # the array has 32 MB
