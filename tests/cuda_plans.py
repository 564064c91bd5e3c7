"""Small plans of every kind for the kernels."""

from dataclasses import replace

import numpy as np

import opalg as oa
from opalg import tomo
from opalg.engines.divergent import DivergentPlan
from opalg.tomo.plans import general_plan

KINDS = [
    *("parallel 2D", "parallel 3D", "fan", "cone"),
    *("free parallel 2D", "free parallel 3D", "free fan", "free cone"),
]


def random_plan(kind, seed, model="joseph"):
    """A random geometry before a volume of odd size, some axes of length one."""
    geometry = tomo.random_geometry(kind, seed)
    shape = tuple(map(int, np.random.default_rng(seed).integers(1, 12, geometry.ndim)))
    grid = oa.Grid(shape, spacing=tuple(10 / np.array(shape)))
    return replace(general_plan(geometry, grid), model=model)


def _cone(**arguments):
    return general_plan(tomo.ConeBeam(**arguments), oa.Grid((7, 9, 11)))


def _moved(plan, **changes):
    return replace(plan, **{name: change(getattr(plan, name)) for name, change in changes.items()})


NAMED = {
    # Blocks of 32 x 8 threads with a rest, several leaps of 32 planes.
    "fan, longer than a leap": general_plan(
        tomo.FanBeam(5, 131, 0.9, sod=200.0, sdd=300.0), oa.Grid((70, 37))
    ),
    "cone, more than a block": general_plan(
        tomo.ConeBeam(3, (11, 37), 1.7, sod=90.0, sdd=150.0), oa.Grid((19, 34, 41))
    ),
    "one voxel": general_plan(tomo.ConeBeam(3, (3, 4), 0.3, sod=5.0, sdd=9.0), oa.Grid((1, 1, 1))),
    "one pixel": _cone(angles=4, detector=(1, 1), pitch=1.0, sod=30.0, sdd=50.0),
    "fine pixels": _cone(angles=3, detector=(23, 29), pitch=0.45, sod=30.0, sdd=40.0),
    "coarse pixels": _cone(angles=3, detector=(3, 4), pitch=9.0, sod=30.0, sdd=40.0),
    "curved": _cone(angles=3, detector=(6, 9), pitch=2.0, sod=30.0, sdd=50.0, curved=True),
    "rows counted down": _moved(
        _cone(angles=3, detector=(6, 9), pitch=2.0, sod=30.0, sdd=50.0),
        v_steps=np.negative,
        detectors=lambda d: d * [1, 1, -1] + [0, 0, 6],
    ),
    "diagonals": general_plan(
        tomo.ParallelBeam(angles=np.arange(8) * (np.pi / 4), detector=8), oa.Grid((6, 6))
    ),
    "source in the volume": DivergentPlan(
        (6, 7, 8),
        (5, 6),
        [[3.2, 3.1, 2.4], [4.0, 3.0, 2.0], [3.5, 6.9, 5.2]],
        [[-2.0, 11.0, -2.0], [-1.5, 8.0, -1.0], [-2.0, 9.5, 0.0]],
        np.tile([2.0, 0.1, 0.0], (3, 1)),
        np.tile([0.1, 0.0, 1.5], (3, 1)),
        spacing=(1.0, 0.8, 1.3),
    ),
    "detector in the volume": DivergentPlan(
        (6, 7, 8),
        (5, 6),
        [[3.2, -9.1, 2.4]],
        [[0.3, 4.2, 0.1]],
        [[1.3, 0.1, 0.0]],
        [[0.1, 0.2, 1.1]],
    ),
    "arc around another point": DivergentPlan(
        (9, 10),
        (21,),
        [[4.0, -12.0], [-11.0, 3.0]],
        [[16.0, 4.0], [4.0, 16.0]],
        [[0.0, 1.2], [-1.2, 0.0]],
        arc_centres=[[4.0, 4.0], [4.0, 4.0]],
        arc_step=0.1,
    ),
    "no views": DivergentPlan((3, 4), (5,), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2))),
}
