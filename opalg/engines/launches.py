"""What kernels run, on what grid, with which arguments: from a plan to a list of launches.

NumPy only: a list is the same whoever executes it, PyCUDA on a device or a test on the host. The
kernels are in ``cuda_src/*.cu``.
"""

from __future__ import annotations

from opalg.engines import launch_footprints, launch_rays, launch_voxels
from opalg.engines.divergent import DivergentPlan, check_shadows
from opalg.engines.launch_grids import LAYERS
from opalg.engines.launch_parts import STORAGE, Input, Launch, Output, Scratch, Table, Texture
from opalg.engines.launch_rays import Run
from opalg.engines.launch_tables import Case, case_of
from opalg.engines.parallel import ParallelPlan
from opalg.errors import ArgumentError, DtypeError

__all__ = [
    "Input",
    "Launch",
    "Output",
    "Scratch",
    "Table",
    "Texture",
    "launches",
]

_DIRECTIONS = ("project", "backproject", "backproject_voxels", "project_voxels")
_POWERS = {"none": 0, "magnification": 2}
_TEXTURE_SIDE = 16384  # pixels, at most


def launches(
    plan: ParallelPlan | DivergentPlan,
    direction: str,
    batch: int,
    dtype: str = "float32",
    *,
    weight: str = "none",
    interpolation: str = "software",
) -> list[Launch]:
    """What computes a direction of a plan.

    Parameters
    ----------
    plan
        The geometry.
    direction
        ``"project"``, ``"backproject"``: its exact transpose, ``"backproject_voxels"``, or
        ``"project_voxels"``: the transpose of that.
    batch
        Number of images.
    dtype
        ``"float32"``, ``"float64"``, or, of numbers in memory only, ``"float16"`` or ``"bfloat16"``.
    weight
        Of the directions with voxels: ``"none"`` or ``"magnification"``, see `opalg.engines.cpu`.
    interpolation
        ``"software"``, or of ``"project"`` and ``"backproject_voxels"`` ``"texture"``: by the texture
        units, with weights rounded to 1/256, from a copy of what is read. No direction is the exact
        transpose of these.

    Raises
    ------
    ArgumentError
        If the direction, the weight or the interpolation is unknown, texture units cannot do it, the
        plan has more rows than a grid has blocks, or voxels cannot find their shadow on its detector.
    DtypeError
        If the dtype is unknown, or not one that texture units take.

    Examples
    --------
    >>> plan = DivergentPlan((2, 3), (3,), [[1.0, -4.0]], [[0.0, 4.0]], [[1.0, 0.0]])
    >>> [launch.kernel for launch in launches(plan, "project", batch=1)]
    ['project_rays']
    """
    if dtype not in STORAGE:
        raise DtypeError(f"kernels take {', '.join(STORAGE)}, not {dtype}")
    if direction not in _DIRECTIONS:
        raise ArgumentError(f"direction must be one of {', '.join(_DIRECTIONS)}, not {direction!r}")
    if weight not in _POWERS:
        raise ArgumentError(f'weight must be "none" or "magnification", not {weight!r}')
    if interpolation not in ("software", "texture"):
        raise ArgumentError(f'interpolation must be "software" or "texture", not {interpolation!r}')
    case = case_of(plan)
    texture = interpolation == "texture"
    if texture:
        _check_texture(case, direction, dtype)
    if direction.endswith("_voxels"):
        check_shadows(plan if isinstance(plan, DivergentPlan) else plan.as_rays())
        power = _POWERS[weight]
        if direction == "project_voxels":
            return list(launch_voxels.project_voxels(case, batch, dtype, power))
        return list(launch_voxels.backproject_voxels(case, batch, dtype, power, texture))
    if texture:
        return list(launch_rays.project_textures(case, batch, dtype))
    if case.model == "footprint":
        footprints = launch_footprints
        forward = direction == "project"
        return list((footprints.project if forward else footprints.backproject)(case, batch, dtype))
    runs: list[Run] = [(case, batch, 0, 0, None)]
    if case.slices is not None:
        # Slices are images of a batch, and share all weights.
        one = case.slices
        runs = [
            (one, case.nz, item * case.nz, item * case.projection_size, case.nv)
            for item in range(batch)
        ]
    build = launch_rays.project if direction == "project" else launch_rays.backproject
    return list(build(runs, dtype))


def _check_texture(case: Case, direction: str, dtype: str) -> None:
    other = 'use interpolation="software"'
    if direction not in ("project", "backproject_voxels"):
        raise ArgumentError(f"texture units do not help to {direction}: {other}")
    if dtype not in ("float32", "float16"):
        raise DtypeError(f"texture units do not interpolate {dtype}: {other}")
    sides = [case.nv, case.nu]
    if direction == "project":
        if case.model != "joseph":
            raise ArgumentError(f"texture units do not know the model {case.model!r}: {other}")
        sides = [case.nz, case.ny, case.nx]
    elif case.views > LAYERS:
        raise ArgumentError(f"a texture has {LAYERS} layers, not {case.views}: {other}")
    if max(sides) > _TEXTURE_SIDE:
        raise ArgumentError(f"a texture has no side longer than {_TEXTURE_SIDE}: {other}")
