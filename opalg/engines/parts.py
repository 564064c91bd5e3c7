"""Parts of a projection: some of the views, a slab of the volume.

Projection is linear in the volume, and voxels beyond it count as zero. So the projection of a volume is the
sum of those of its slabs, each in a plan whose volume is the slab, and the back projection of all views is
the sum of those of some.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from opalg.engines.divergent import DivergentPlan
from opalg.engines.parallel import ParallelPlan

__all__ = ["part_of", "split"]


def part_of(
    plan: ParallelPlan | DivergentPlan, views: slice, slab: slice
) -> ParallelPlan | DivergentPlan:
    """The plan of some views and of a slab of the volume.

    Parameters
    ----------
    plan
        The geometry.
    views
        Of its views.
    slab
        Along the first axis of the volume, z or (in 2D) y; with a start and a stop.

    Examples
    --------
    >>> import numpy as np
    >>> from opalg.engines.cpu import project
    >>> plan = ParallelPlan((4, 3), (3,), [[0, 0, 1, 0, 0.3, 1], [0, 0, 0, 1, 1, 0]], [1.0, 1.0])
    >>> image, whole, parts = (
    ...     np.random.default_rng(0).random((4, 3)),
    ...     np.zeros((2, 3)),
    ...     np.zeros((2, 3)),
    ... )
    >>> project(plan, image, whole)
    >>> for slab in (slice(0, 3), slice(3, 4)):
    ...     sums = np.empty((1, 3))
    ...     project(part_of(plan, slice(0, 1), slab), image[slab], sums)
    ...     parts[:1] += sums
    >>> bool(np.allclose(parts[0], whole[0]))
    True
    """
    extent = slab.stop - slab.start
    shape = (extent, *plan.volume_shape[1:])
    if isinstance(plan, ParallelPlan):
        rays = np.array(plan.rays[views])
        rows = plan.rows
        if rows is None:
            rays[:, 1] -= slab.start
        else:
            rows = (rows[0] - slab.start, rows[1])
        return replace(plan, volume_shape=shape, rays=rays, lengths=plan.lengths[views], rows=rows)
    origin = np.zeros(len(shape))
    origin[-1] = slab.start  # vectors are ordered (x, y) or (x, y, z)
    return replace(
        plan,
        volume_shape=shape,
        sources=plan.sources[views] - (0 if plan.parallel else origin),
        detectors=plan.detectors[views] - origin,
        u_steps=plan.u_steps[views],
        v_steps=None if plan.v_steps is None else plan.v_steps[views],
        arc_centres=None if plan.arc_centres is None else plan.arc_centres[views] - origin,
    )


def split(extent: int, count: int) -> list[slice]:
    """An axis in ``count`` slices whose lengths differ by one at most.

    Examples
    --------
    >>> split(7, 3)
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    lengths = [extent // count + (k < extent % count) for k in range(count)]
    ends = np.cumsum([0, *lengths]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
