"""Projectors on the CPU, for parallel and divergent beams, and their exact transposes.

Arrays are NumPy's, float32 or float64, and are used where they lie. Results do not depend on the
number of threads, to the last bit.
"""

import importlib
import math
import os
import threading
from types import ModuleType

import numpy as np
import numpy.typing as npt

from opalg.engines.divergent import MODELS, DivergentPlan, check_shadows
from opalg.engines.parallel import ParallelPlan
from opalg.errors import ArgumentError, DtypeError, MissingExtraError

__all__ = [
    "DivergentPlan",
    "ParallelPlan",
    "active_instruction_set",
    "backproject",
    "backproject_voxels",
    "get_num_threads",
    "instruction_sets",
    "project",
    "project_voxels",
    "scratch_bytes",
    "set_num_threads",
    "take_scratch_peak",
]

_MOST_THREADS = 1024

_chosen_threads: int | None = None


def project(
    plan: ParallelPlan | DivergentPlan,
    x: np.ndarray,
    out: np.ndarray,
    *,
    threads: int | None = None,
) -> None:
    """Integrate volumes along the rays.

    Parameters
    ----------
    plan
        The geometry.
    x
        Volumes, ``[..., *volume_shape]``, C-contiguous, float32 or float64.
    out
        Projections, ``[..., views, *detector_shape]`` of the same dtype, overwritten.
    threads
        Number of threads; by default `get_num_threads`. Small work is done by fewer.

    Raises
    ------
    ArgumentError
        If shapes do not fit the plan, or an array is not contiguous, not aligned, not writable, or
        overlaps the other.
    DtypeError
        If an array is not float32 or float64, or the two differ.

    Notes
    -----
    Besides its arguments a call uses memory of its own, such as a padded copy of the volume:
    `scratch_bytes`.
    """
    _run("project", plan, x, plan.volume_shape, out, plan.projection_shape, threads)


def backproject(
    plan: ParallelPlan | DivergentPlan,
    y: np.ndarray,
    out: np.ndarray,
    *,
    threads: int | None = None,
) -> None:
    """Apply the exact transpose of `project`.

    Parameters
    ----------
    plan
        The geometry.
    y
        Projections, ``[..., views, *detector_shape]``, C-contiguous, float32 or float64.
    out
        Volumes, ``[..., *volume_shape]`` of the same dtype, overwritten.
    threads
        Number of threads; by default `get_num_threads`. Small work is done by fewer.

    Raises
    ------
    ArgumentError, DtypeError
        As `project`.

    Examples
    --------
    >>> import numpy as np
    >>> plan = ParallelPlan((2, 3), (3,), [[0.5, 0, 1, 0, 0, 1]], [2.0])
    >>> image = np.empty((2, 3), np.float32)
    >>> backproject(plan, np.ones((1, 3), np.float32), image)
    >>> image
    array([[1., 2., 2.],
           [1., 2., 2.]], dtype=float32)
    """
    _run("backproject", plan, y, plan.projection_shape, out, plan.volume_shape, threads)


def backproject_voxels(
    plan: ParallelPlan | DivergentPlan,
    y: np.ndarray,
    out: np.ndarray,
    *,
    weight: str = "none",
    threads: int | None = None,
) -> None:
    """Sum over views what every voxel's shadow falls on: fast, and not the transpose of `project`.

    The projection is interpolated linearly between pixels at the point where the ray through the
    centre of the voxel meets the detector; outside the detector it is zero.

    Parameters
    ----------
    plan
        The geometry; its ends of rays and its spacing play no role.
    y
        Projections, ``[..., views, *detector_shape]``, C-contiguous, float32 or float64.
    out
        Volumes, ``[..., *volume_shape]`` of the same dtype, overwritten.
    weight
        ``"none"``, or ``"magnification"``: values count with the square of how many times the way from
        the source to the voxel leads to the detector. Divided by the square of the ratio of detector
        and axis distances this is the distance weight of Feldkamp, Davis and Kress (1984). For
        parallel rays it is one.
    threads
        Number of threads; by default `get_num_threads`. Small work is done by fewer.

    Raises
    ------
    ArgumentError
        As `project`, if ``weight`` is unknown, or if a curved detector is not equiangular: with its
        arc around the source and, in 3D, its rows parallel to z.
    DtypeError
        As `project`.

    Examples
    --------
    A voxel half way to the detector is seen twice as large, here by pixel 2:

    >>> import numpy as np
    >>> plan = DivergentPlan((1, 1), (3,), [[0, -4]], [[-2, 4]], [[1, 0]])
    >>> image = np.empty((1, 1))
    >>> backproject_voxels(plan, np.array([[1.0, 2, 3]]), image, weight="magnification")
    >>> image
    array([[12.]])
    """
    plan, power = _voxel_plan(plan, weight)
    _run(
        "backproject_voxels", plan, y, plan.projection_shape, out, plan.volume_shape, threads, power
    )


def project_voxels(
    plan: ParallelPlan | DivergentPlan,
    x: np.ndarray,
    out: np.ndarray,
    *,
    weight: str = "none",
    threads: int | None = None,
) -> None:
    """Apply the exact transpose of `backproject_voxels`: every voxel adds to the pixels it looks at.

    Parameters
    ----------
    plan, weight, threads
        As of `backproject_voxels`.
    x
        Volumes, ``[..., *volume_shape]``, C-contiguous, float32 or float64.
    out
        Projections, ``[..., views, *detector_shape]`` of the same dtype, overwritten.

    Raises
    ------
    ArgumentError, DtypeError
        As `backproject_voxels`.

    Examples
    --------
    >>> import numpy as np
    >>> plan = DivergentPlan((1, 1), (3,), [[0, -4]], [[-2, 4]], [[1, 0]])
    >>> sums = np.empty((1, 3))
    >>> project_voxels(plan, np.array([[2.0]]), sums, weight="magnification")
    >>> sums
    array([[0., 0., 8.]])
    """
    plan, power = _voxel_plan(plan, weight)
    _run("project_voxels", plan, x, plan.volume_shape, out, plan.projection_shape, threads, power)


def _voxel_plan(plan: ParallelPlan | DivergentPlan, weight: str) -> tuple[DivergentPlan, int]:
    """The geometry of a voxel-driven call, and the power of the magnification."""
    if weight not in {"none", "magnification"}:
        raise ArgumentError(f'weight must be "none" or "magnification", not {weight!r}')
    plan = plan if isinstance(plan, DivergentPlan) else plan.as_rays()
    check_shadows(plan)
    return plan, 2 if weight == "magnification" else 0


def scratch_bytes(
    call: str,
    plan: ParallelPlan | DivergentPlan,
    dtype: npt.DTypeLike = np.float32,
    *,
    batch: int = 1,
    threads: int | None = None,
) -> int:
    """Tell what memory of its own a call will use at most, besides its arguments, in bytes.

    The engine goes through the call without doing it: it makes no buffers, and no arrays are needed.

    Parameters
    ----------
    call
        ``"project"``, ``"backproject"``, ``"backproject_voxels"`` or ``"project_voxels"``.
    plan
        The geometry.
    dtype
        float32 or float64.
    batch
        How many volumes or projections at once.
    threads
        As of the call.

    Examples
    --------
    >>> plan = ParallelPlan((200, 300), (3,), [[0.5, 0, 1, 0, 0, 1]], [2.0])
    >>> 1.0 < scratch_bytes("project", plan) / (4 * 200 * 300) < 1.5  # a padded copy of the image
    True
    """
    if call.endswith("_voxels"):
        plan = plan if isinstance(plan, DivergentPlan) else plan.as_rays()
    count = get_num_threads() if threads is None else _thread_count(threads)
    active_instruction_set()
    is_double = np.dtype(dtype) == np.float64
    return int(_extension().scratch(*_arguments(plan), batch, call, is_double, count))


def take_scratch_peak() -> int:
    """Tell the most bytes of scratch memory held at a time, by all calls, since this was last asked."""
    return int(_extension().take_scratch_peak())


def set_num_threads(threads: int | None) -> None:
    """Set how many threads calls use that do not say; None returns to the default.

    The default is ``OMP_NUM_THREADS``, else the number of processors this process may use.

    Examples
    --------
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(None)
    """
    global _chosen_threads
    _chosen_threads = None if threads is None else _thread_count(threads)


def get_num_threads() -> int:
    """Tell how many threads a call uses that does not say."""
    if _chosen_threads is not None:
        return _chosen_threads
    # OpenMP allows a list, one number per level of nesting; nothing is nested here.
    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if setting.isdecimal() and int(setting) > 0:
        return min(int(setting), _MOST_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def instruction_sets() -> dict[str, str]:
    """Name and description of the instruction sets this processor can run, best first."""
    return dict(_extension().instruction_sets())


def active_instruction_set() -> str:
    """Name the instruction set in use: the best, or the one named by ``OPALG_ISA``.

    The choice is made at the first use and holds for the process.

    Raises
    ------
    ArgumentError
        If ``OPALG_ISA`` names one that is unknown or that this processor cannot run.
    """
    try:
        return str(_extension().active_instruction_set())
    except ValueError as error:
        raise ArgumentError(str(error)) from None


def _run(
    name: str,
    plan: ParallelPlan | DivergentPlan,
    source: np.ndarray,
    source_shape: tuple[int, ...],
    target: np.ndarray,
    target_shape: tuple[int, ...],
    threads: int | None,
    *options: int,
) -> None:
    _check_views(name, plan)
    batch = _batch("input", source, source_shape)
    if _batch("out", target, target_shape) != batch:
        raise ArgumentError(
            f"input and out differ in their leading axes: {source.shape} and {target.shape}"
        )
    if target.dtype != source.dtype:
        raise DtypeError(f"input is {source.dtype} and out is {target.dtype}: they must agree")
    if not target.flags.writeable:
        raise ArgumentError("out is read-only")
    if np.may_share_memory(source, target):
        raise ArgumentError("out overlaps the input: give it memory of its own")
    count = get_num_threads() if threads is None else _thread_count(threads)
    active_instruction_set()  # a wrong OPALG_ISA is told here, in words
    arguments = (
        math.prod(batch),
        source,
        target,
        count,
        threading.current_thread() is threading.main_thread(),
    )
    rays = isinstance(plan, DivergentPlan) and not name.endswith("_voxels")
    call = getattr(_extension(), f"{name}_rays" if rays else name)
    call(*_arguments(plan), *options, *arguments)


def _check_views(name: str, plan: ParallelPlan | DivergentPlan) -> None:
    """Refuse views in which footprints could not be counted; all else counts rows and views in 64 bits."""
    footprints = name == "project_voxels" or (
        isinstance(plan, DivergentPlan)
        and plan.model == "footprint"
        and not name.endswith("voxels")
    )
    if footprints and math.prod(n + 64 for n in plan.detector_shape) >= 2**31:
        what = "project_voxels" if name == "project_voxels" else "the model 'footprint'"
        raise ArgumentError(
            f"a view of shape {plan.detector_shape} has 2**31 pixels or more (64 counted behind each axis), "
            f"and {what} counts them in 32 bits: cut the detector into parts, which see by themselves"
        )


def _arguments(plan: ParallelPlan | DivergentPlan) -> tuple[object, ...]:
    """The geometry as the extension takes it."""
    if isinstance(plan, DivergentPlan):
        return _ray_arguments(plan)
    first, step = plan.rows or (0.0, 1.0)
    nz = plan.volume_shape[0] if plan.rows else 1
    nv = plan.detector_shape[0] if plan.rows else 1
    return (
        np.ascontiguousarray(plan.rays),
        np.ascontiguousarray(plan.lengths),
        (nz, *plan.volume_shape[-2:]),
        (nv, plan.detector_shape[-1]),
        first,
        step,
    )


def _ray_arguments(plan: DivergentPlan) -> tuple[object, ...]:
    """Rays, spacing, shapes of volume and detector; a slice as the plane z = 0 of a volume."""
    flat = len(plan.volume_shape) == 2
    views = len(plan.sources)

    def vectors(array: np.ndarray | None) -> np.ndarray:
        if array is None:
            return np.zeros((0, 3))
        return np.pad(array, ((0, 0), (0, 1))) if flat else array

    rays = _extension().RayArrays(
        vectors(plan.sources),
        vectors(plan.detectors),
        vectors(plan.u_steps),
        np.tile([0.0, 0.0, 1.0], (views, 1)) if flat else plan.v_steps,
        vectors(plan.arc_centres),
        plan.arc_step,
        plan.parallel,
        flat,
        MODELS.index(plan.model),
    )
    one = (1,) if flat else ()
    spacing = (*(plan.spacing or ()), *map(float, one))
    return rays, spacing, (*one, *plan.volume_shape), (*one, *plan.detector_shape)


def _batch(name: str, array: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Check an array; its axes in front of `shape`."""
    if not isinstance(array, np.ndarray):
        raise ArgumentError(f"{name} must be a NumPy array, not {type(array).__name__}")
    if array.dtype != np.float32 and array.dtype != np.float64:
        raise DtypeError(f"{name} must be float32 or float64, not {array.dtype}")
    split = array.ndim - len(shape)
    if split < 0 or array.shape[split:] != shape:
        axes = ", ".join(map(str, shape))
        raise ArgumentError(f"{name} must have shape (..., {axes}), not {array.shape}")
    if not array.flags.c_contiguous:
        raise ArgumentError(f"{name} is not C-contiguous: numpy.ascontiguousarray makes a copy")
    if not array.flags.aligned:
        raise ArgumentError(f"{name} is not aligned to its dtype: a copy would be")
    if not array.dtype.isnative:
        raise DtypeError(f"{name} has the byte order of another machine")
    return array.shape[:split]


def _thread_count(threads: int) -> int:
    if threads < 1:
        raise ArgumentError(f"the number of threads must be at least 1, not {threads}")
    return min(int(threads), _MOST_THREADS)


_loaded: ModuleType | None = None
_failure: str | None = None


def _extension() -> ModuleType:
    """Load the compiled engine at its first use; a failure is remembered and repeated."""
    global _loaded, _failure
    if _loaded is None and _failure is None:
        try:
            _loaded = importlib.import_module("opalg.engines._cpu")
        except ImportError as error:
            _failure = (
                f"the compiled CPU engine of opalg cannot be loaded ({error}): install opalg "
                "from a wheel, or from source with a C++17 compiler"
            )
    if _loaded is None:
        raise MissingExtraError(_failure)
    return _loaded
