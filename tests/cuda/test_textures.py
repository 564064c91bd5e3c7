"""Interpolation by the texture units, as their stand-in on the host does it: eight bits behind the point."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_plans import NAMED, random_plan

from opalg.engines.divergent import DivergentPlan
from opalg.engines.launches import Texture, launches
from opalg.errors import ArgumentError, DtypeError

PLANS = {
    "fan": NAMED["fan, longer than a leap"],
    "cone": NAMED["cone, more than a block"],
    "curved": NAMED["curved"],
    "free cone": random_plan("free cone", 9),
    "parallel": random_plan("parallel 3D", 1),
}


@pytest.mark.parametrize("direction", ["project", "backproject_voxels"])
@pytest.mark.parametrize("name", PLANS)
def test_differ_by_their_rounding_only(name, direction):
    plan = PLANS[name]
    shapes = [plan.volume_shape, plan.projection_shape]
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(0).random((3, *source), np.float32)
    expected = cuda_on_host.run(plan, direction, x, target)
    result = cuda_on_host.run(plan, direction, x, target, interpolation="texture")
    # Every weight is off by 1/512 at most, and in sums they mostly cancel; but not the same.
    error = np.linalg.norm(result - expected) / np.linalg.norm(expected)
    assert 0 < error < 2e-3


@pytest.mark.parametrize("direction", ["project", "backproject_voxels"])
def test_half_numbers_are_interpolated_as_floats(direction):
    plan = PLANS["cone"]
    shapes = [plan.volume_shape, plan.projection_shape]
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(0).random((1, *source), np.float32).astype(np.float16)
    expected = cuda_on_host.run(
        plan, direction, x.astype(np.float32), target, interpolation="texture"
    )
    result = cuda_on_host.run(plan, direction, x, target, "float16", interpolation="texture")
    np.testing.assert_array_equal(result, expected.astype(np.float16))


def test_layers_beyond_those_of_a_texture_come_in_another():
    plan = NAMED["fan, longer than a leap"]
    made = launches(plan, "project", 5000, interpolation="texture")
    textures = [a for launch in made for a in launch.arguments if isinstance(a, Texture)]
    assert sum(texture.shape[0] for texture in textures) == 5000
    assert max(texture.shape[0] for texture in textures) <= 2048


def test_what_texture_units_cannot_do_is_said():
    plan = NAMED["fan, longer than a leap"]
    with pytest.raises(ArgumentError, match='interpolation must be "software" or "texture"'):
        launches(plan, "project", 1, interpolation="cubic")
    with pytest.raises(ArgumentError, match="do not help to backproject: use interpolation"):
        launches(plan, "backproject", 1, interpolation="texture")
    with pytest.raises(DtypeError, match="do not interpolate float64"):
        launches(plan, "project", 1, "float64", interpolation="texture")
    with pytest.raises(ArgumentError, match="do not know the model 'siddon'"):
        launches(replace(plan, model="siddon"), "project", 1, interpolation="texture")
    vectors = np.ones((2049, 2))
    many = DivergentPlan((2, 2), (2,), -9 * vectors, 9 * vectors, vectors * [1, -1])
    with pytest.raises(ArgumentError, match="2048 layers, not 2049"):
        launches(many, "backproject_voxels", 1, interpolation="texture")
