"""Fans of rays in a slice, which take their own way: Joseph's method and its exact transpose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opalg.engines import cpu

DTYPES = [np.float32, np.float64]


def fan_plan(shape, detectors, angles, density=1.0, distances=(3.0, 2.0), shift=0.0, curved=False):
    """Sources and detectors at distances from the middle, in sides of the image; `density`: pixels of
    the image between two rays there; a curved detector is an arc about the source."""
    angles = np.atleast_1d(np.asarray(angles, float))
    middle, side = (np.array(shape[::-1]) - 1) / 2, max(shape)
    near, far = np.array(distances) * side
    out = np.stack([np.sin(angles), -np.cos(angles)], 1)
    across = np.stack([np.cos(angles), np.sin(angles)], 1) * density * (near + far) / near
    sources = middle + near * out + shift
    if not curved:
        corners = middle - far * out - (detectors - 1) / 2 * across + shift
        return cpu.DivergentPlan(shape, (detectors,), sources, corners, across)
    step = density / near
    first = angles - (detectors - 1) / 2 * step  # of the ray of pixel 0
    reach = near + far
    corners = sources - reach * np.stack([np.sin(first), -np.cos(first)], 1)
    u_steps = step * reach * np.stack([-np.cos(first), -np.sin(first)], 1)
    return cpu.DivergentPlan(
        shape, (detectors,), sources, corners, u_steps, arc_centres=sources, arc_step=step
    )


def fan_matrix(plan):
    """Matrices [rays, pixels]: the definition, and the same with every weight one."""
    (ny, nx), spacing = plan.volume_shape, np.array(plan.spacing)
    weights, touched = np.zeros((2, *plan.projection_shape, ny, nx))
    for view, source in enumerate(plan.sources):
        pixels = plan.pixels(view)
        along_y = abs(pixels - source)[:, 1] >= abs(pixels - source)[:, 0]
        for a, rays in ((0, ~along_y), (1, along_y)):
            end, way = pixels[rays], (pixels - source)[rays]
            size, across = ((nx, ny), (ny, nx))[a]
            planes = np.arange(size)
            low, high = np.minimum(source, end)[:, [a]], np.maximum(source, end)[:, [a]]
            place = source[1 - a] + (planes - source[a]) * way[:, [1 - a]] / way[:, [a]]
            tent = np.maximum(0, 1 - abs(place[:, None] - np.arange(across)[:, None]))
            tent *= ((planes >= low) & (planes <= high))[:, None]
            length = (np.linalg.norm(way * spacing, axis=1) / abs(way[:, a]))[:, None, None]
            if a:
                tent = tent.swapaxes(1, 2)
            weights[view, rays] = length * tent
            touched[view, rays] = length * (tent > 0)
    return weights.reshape(-1, ny * nx), touched.reshape(-1, ny * nx)


def twin(plan):
    """The same rays through a volume of one slice, which the engine computes ray by ray."""
    flat = lambda points: np.pad(points, ((0, 0), (0, 1)))  # noqa: E731
    arcs = {}
    if plan.arc_centres is not None:
        arcs = {"arc_centres": flat(plan.arc_centres), "arc_step": plan.arc_step}
    return cpu.DivergentPlan(
        (1, *plan.volume_shape), (1, *plan.detector_shape), flat(plan.sources), flat(plan.detectors),
        flat(plan.u_steps), np.tile([0.0, 0, 1], (len(plan.sources), 1)), (*plan.spacing, 1.0), **arcs,
    )  # fmt: skip


def both_ways(plan, x, y, **options):
    projections, volume = np.full(y.shape, np.nan, y.dtype), np.full(x.shape, np.nan, x.dtype)
    cpu.project(plan, x, projections, **options)
    cpu.backproject(plan, y, volume, **options)
    return projections, volume


def pair(plan, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(plan.volume_shape), rng.standard_normal(plan.projection_shape)
    return x.astype(dtype), y.astype(dtype)


def check(plan, dtype, seed=0):
    """Compares with the definition; float32: places of rays within a group are below 40 or so and rounded
    some times, float64: they are as large as the geometry."""
    matrix, touched = fan_matrix(plan)
    x, y = pair(plan, dtype, seed)
    extent = max(abs(plan.sources).max(), abs(plan.detectors).max(), *plan.volume_shape)
    relative = 4e-6 if dtype == np.float32 else 16 * np.finfo(float).eps * extent
    for result, weights, counts, operand in zip(
        both_ways(plan, x, y), (matrix, matrix.T), (touched, touched.T), (x, y), strict=True
    ):
        operand = operand.astype(float).ravel()
        error = abs(result.ravel() - weights @ operand).max()
        assert error <= relative * (counts @ abs(operand)).max(initial=1e-300), (error, plan)


def computed_as_fans(plan):
    """Whether it is, projected and back projected: rays one by one have the last bits of the twin's."""
    x, y = pair(plan, np.float32)
    ours = both_ways(plan, x, y)
    theirs = both_ways(twin(plan), x[None], y[:, None])
    return [bool((a != b.reshape(a.shape)).any()) for a, b in zip(ours, theirs, strict=True)]


TURN = np.linspace(0.05, 6.2, 11)
FANS = {
    "even": fan_plan((64, 64), 96, TURN),
    "odd": fan_plan((61, 83), 131, TURN),
    "wide image": fan_plan((33, 301), 320, TURN[::4], 1.1, (1.5, 1.0)),
    "many groups": fan_plan((9, 1200), 300, [0.1, 1.5], 2.0, (2.0, 1.0)),
    "along the axes": fan_plan((40, 50), 70, np.arange(8) * np.pi / 4),
    "fine": fan_plan((40, 47), 160, TURN, 0.5),
    "finer": fan_plan((40, 47), 200, TURN, 0.36),
    "coarse": fan_plan((80, 90), 40, TURN, 2.9),
    "near": fan_plan((50, 50), 90, TURN, 1.2, (1.1, 1.0)),
    "far": fan_plan((50, 50), 90, TURN, 1.0, (60.0, 60.0)),
    "shifted": fan_plan((50, 50), 70, TURN, 1.0, shift=9.3),
    "short scan": fan_plan((45, 45), 70, np.linspace(0, np.pi + 0.4, 9)),
    "arc": fan_plan((61, 53), 101, TURN, curved=True),
    "fine arc": fan_plan((61, 53), 201, TURN, 0.6, curved=True),
    "detector inside": fan_plan((64, 64), 60, TURN, 1.0, (3.0, -0.2)),
    "arc inside": fan_plan((64, 64), 60, TURN, 1.0, (3.0, 0.1), curved=True),
    "two rays": fan_plan((20, 20), 2, [0.1, 1.7], 1.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FANS)
def test_agrees_with_the_definition(name, dtype):
    check(FANS[name], dtype)


@pytest.mark.parametrize("name", FANS)
def test_rays_one_by_one_give_the_same(name):
    plan = FANS[name]
    x, y = pair(plan, np.float64)
    for ours, theirs in zip(
        both_ways(plan, x, y), both_ways(twin(plan), x[None], y[:, None]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=0, atol=1e-11)
    # Without permutes of registers, rays one by one are faster back; with short ones, if they lie closely.
    isa = cpu.active_instruction_set()
    permutes = {"x86-64-v4": True, "x86-64-v3": name != "finer"}.get(isa, False)
    assert computed_as_fans(plan) == [permutes or name != "finer", permutes]


@pytest.mark.parametrize(
    "plan",
    [
        fan_plan((40, 40), 50, TURN, 1.0, (0.2, 1.0)),
        fan_plan((40, 47), 300, TURN, 0.1),
        fan_plan((40, 40), 12, TURN, 9.0),
    ],
    ids=["source inside", "too fine", "too coarse"],
)
def test_other_geometries_are_right_too(plan):
    assert computed_as_fans(plan) == [False, False]
    for dtype in DTYPES:
        check(plan, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_geometries(dtype):
    """Shapes, distances, detectors of any direction, slanted and shifted; fans and others in one call."""

    @settings(max_examples=60, deadline=None)
    @given(
        shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
        detectors=st.integers(1, 80),
        density=st.sampled_from([0.2, 0.3, 0.5, 0.67, 0.8, 1.0, 1.3, 2.0, 3.0]),
        near=st.sampled_from([0.3, 0.8, 1.2, 2.0, 10.0]),
        far=st.sampled_from([-0.4, 0.0, 0.3, 1.0, 5.0]),
        curved=st.booleans(),
        seed=st.integers(0, 10**6),
    )
    def agree(shape, detectors, density, near, far, curved, seed):
        rng = np.random.default_rng(seed)
        plan = fan_plan(
            shape,
            detectors,
            rng.uniform(-4, 4, 3),
            density,
            (near, far),
            rng.uniform(-5, 5, 2),
            curved,
        )
        if not curved:  # slanted, by up to 60 degrees
            turn = rng.uniform(-1, 1)
            c, s = np.cos(turn), np.sin(turn)
            u = plan.u_steps @ np.array([[c, s], [-s, c]])
            middle = plan.detectors + (detectors - 1) / 2 * plan.u_steps
            plan = cpu.DivergentPlan(
                shape,
                (detectors,),
                plan.sources,
                middle - (detectors - 1) / 2 * u,
                u,
                spacing=(0.7, 1.6),
            )
        check(plan, dtype, seed)

    agree()


def test_images_of_a_batch_are_computed_alike():
    plan = FANS["odd"]
    pairs = [pair(plan, np.float32, seed) for seed in range(3)]
    x, y = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    projections, volumes = both_ways(plan, x, y, threads=2)
    for k, (image, sinogram) in enumerate(pairs):
        for together, alone in zip(
            (projections, volumes), both_ways(plan, image, sinogram), strict=True
        ):
            np.testing.assert_array_equal(together[k], alone)


def test_what_no_ray_touches_is_zero():
    """Values far away leave no rounding errors behind."""
    plan = fan_plan((64, 64), 96, TURN[:1])
    y = np.zeros(plan.projection_shape, np.float32)
    y[0, 40] = 1e6
    volume = np.full(plan.volume_shape, np.nan, np.float32)
    cpu.backproject(plan, y, volume)
    weights = fan_matrix(plan)[0][40].reshape(plan.volume_shape)
    assert np.array_equal(volume != 0, weights != 0)
