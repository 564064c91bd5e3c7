"""Projectors on the CPU: Joseph's method for parallel and divergent beams, and its exact transpose.

Arrays are NumPy's, float32 or float64, and are used where they lie. Results do not depend on the
number of threads, to the last bit.
"""

import importlib
import math
import os
import threading
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from opalg.engines.divergent import DivergentPlan
from opalg.errors import ArgumentError, DtypeError, MissingExtraError

__all__ = [
    "DivergentPlan",
    "ParallelPlan",
    "active_instruction_set",
    "backproject",
    "get_num_threads",
    "instruction_sets",
    "project",
    "set_num_threads",
]

_AXIS_LIMIT = 2**29  # pixels along an axis of a slice or a detector row: half the range of int32
_MOST_THREADS = 1024

_chosen_threads: int | None = None


@dataclass(frozen=True, eq=False)
class ParallelPlan:
    """A parallel-beam geometry in index coordinates of the volume.

    The centre of pixel ``[i, j]`` of a slice is at ``y = i, x = j``. In every view the rays of a
    detector row lie within a slice; detector rows lie between slices and are interpolated.

    Parameters
    ----------
    volume_shape
        ``(ny, nx)``, or ``(nz, ny, nx)`` for a stack of slices.
    detector_shape
        ``(nu,)``, or ``(nv, nu)`` for a stack.
    rays
        ``[views, 6]``: x, y of detector pixel u = 0; step of x, y from one pixel u to the next;
        direction x, y of the rays (of any length but zero). A strided view will do.
    lengths
        ``[views]``: length of the ray between consecutive planes of its dominant index axis, the
        one along which the direction is larger. Samples are taken on these planes.
    rows
        For a stack ``(first, step)``: detector row v lies at slice coordinate ``first + step * v``.
        For a single slice None.

    Raises
    ------
    ArgumentError
        If shapes do not fit together, numbers are not finite, or a direction is zero.

    Examples
    --------
    Two views of a 2 x 3 image, along y and along x:

    >>> import numpy as np
    >>> rays = [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]]
    >>> plan = ParallelPlan((2, 3), (3,), rays, [1.0, 1.0])
    >>> sums = np.empty((2, 3))
    >>> project(plan, np.arange(6.0).reshape(2, 3), sums)
    >>> sums
    array([[ 3.,  5.,  7.],
           [ 3., 12.,  0.]])
    """

    volume_shape: tuple[int, ...]
    detector_shape: tuple[int, ...]
    rays: np.ndarray
    lengths: np.ndarray
    rows: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        volume = _shape("volume_shape", self.volume_shape)
        detector = _shape("detector_shape", self.detector_shape)
        if (len(volume), len(detector)) not in {(2, 1), (3, 2)}:
            raise ArgumentError(
                "a plan has volume_shape (ny, nx) and detector_shape (nu,), or (nz, ny, nx) and "
                f"(nv, nu), not {volume} and {detector}"
            )
        if max(*volume[-2:], detector[-1]) >= _AXIS_LIMIT:
            raise ArgumentError(f"an axis x, y or u has {_AXIS_LIMIT} pixels or more")
        rays = np.asarray(self.rays, dtype=np.float64)
        lengths = np.asarray(self.lengths, dtype=np.float64)
        if rays.ndim != 2 or rays.shape[1] != 6:
            raise ArgumentError(f"rays must have shape (views, 6), not {rays.shape}")
        if lengths.shape != rays.shape[:1]:
            raise ArgumentError(
                f"lengths must have shape {rays.shape[:1]}, one per view, not {lengths.shape}"
            )
        if not (np.isfinite(rays).all() and np.isfinite(lengths).all()):
            raise ArgumentError("rays and lengths must be finite")
        if not rays[:, 4:].any(axis=1).all():
            raise ArgumentError("the direction of a view is zero")
        if (self.rows is None) != (len(volume) == 2):
            raise ArgumentError("rows=(first, step) belongs to a stack of slices, and only there")
        rows = None if self.rows is None else (float(self.rows[0]), float(self.rows[1]))
        if rows is not None and not all(map(math.isfinite, rows)):
            raise ArgumentError("rows must be finite")
        object.__setattr__(self, "volume_shape", volume)
        object.__setattr__(self, "detector_shape", detector)
        object.__setattr__(self, "rays", rays)
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "rows", rows)

    @property
    def projection_shape(self) -> tuple[int, ...]:
        """``(views, *detector_shape)``."""
        return (len(self.rays), *self.detector_shape)


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
    Besides its arguments a call uses memory for one padded copy of a slice; of as many slices as
    the processor has lanes (`active_instruction_set`) if there are several to do at once.
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
) -> None:
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
    if isinstance(plan, DivergentPlan):
        getattr(_extension(), f"{name}_rays")(*_ray_arguments(plan), *arguments)
        return
    first, step = plan.rows or (0.0, 1.0)
    nz = plan.volume_shape[0] if plan.rows else 1
    nv = plan.detector_shape[0] if plan.rows else 1
    getattr(_extension(), name)(
        np.ascontiguousarray(plan.rays),
        np.ascontiguousarray(plan.lengths),
        (nz, *plan.volume_shape[-2:]),
        (nv, plan.detector_shape[-1]),
        first,
        step,
        *arguments,
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


def _shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in shape)
    if min(sizes, default=0) < 0:
        raise ArgumentError(f"{name} must not be negative, not {sizes}")
    return sizes


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
