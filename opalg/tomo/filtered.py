"""What FBP and FDK share: operators that are an expression of filters, weights and a back projection."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, broadcasts, is_array
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError
from opalg.operators import Diagonal, LinearOperator, Operator, Pad, Scaling
from opalg.operators.costs import Cost
from opalg.operators.norms import Bounds
from opalg.spaces import Space
from opalg.spaces.compatibility import join
from opalg.tomo import weights
from opalg.tomo.circle import CircularScan
from opalg.tomo.filtered_parts import FilteredParts, Steps
from opalg.tomo.filters import RampFilter, Window
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.helical import check_helix, flattened, helical_back_projection
from opalg.tomo.helix import helix_of
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.parallel_scan import ParallelScan, scan_of
from opalg.tomo.redundancy import fitting_weights
from opalg.tomo.upright import upright_transform
from opalg.tomo.voxel_driven import VoxelBackProjection
from opalg.tomo.xray import XrayTransform

__all__ = [
    "FilteredBackProjection",
    "of_scan",
    "redundancy_weights",
    "refuse_masked_pixels",
    "row_filter",
]

_BY_NAME = {
    "full turn": weights.full_turn,
    "parker": weights.parker,
    "riess": weights.riess,
    "wang": weights.wang,
}


class FilteredBackProjection(LinearOperator):
    """Base class of `FBP` and `FDK`: applies its attribute ``expression``."""

    expression: LinearOperator
    filter: LinearOperator
    transform: XrayTransform

    def __init__(self, transform: XrayTransform, steps: Steps) -> None:
        super().__init__(transform.range, transform.domain)
        self.transform = transform
        self._steps = steps
        self.expression = steps.expression
        self.filter = steps.filter
        self.exact_adjoint = self.expression.exact_adjoint
        self.trainable = self.expression.trainable
        limited = transform.memory_limit is not None and not transform._devices
        self._parts = FilteredParts(steps, type(self).__name__) if limited and steps.cut else None

    def _apply(self, x: Array, out: Array | None) -> Array:
        if self._parts is not None and self._parts.takes(x):
            return self._parts.apply(x, out)
        return self.expression._apply(x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        if self._parts is not None and self._parts.takes(y):
            return self._parts.apply_transpose(y, out)
        return self.expression.H._apply(y, out)

    def _trace(self, x: Array) -> Array:
        return self.expression._trace(x)

    def _norm_bounds(self) -> Bounds:
        return self.expression.norm_bounds()

    def cost(self) -> Cost:
        """Operations of the expression, and the bytes that a call holds at most, step by step."""
        parts = self._parts
        return self.expression.cost()._replace(
            bytes=self._steps.bytes(False) if parts is None else parts.forward.bytes
        )

    def _transpose_cost(self) -> Cost:
        parts = self._parts
        return self.expression.H.cost()._replace(
            bytes=self._steps.bytes(True) if parts is None else parts.backward.bytes
        )

    def _children(self) -> tuple[Operator, ...]:
        return (self.expression,)


def refuse_masked_pixels(transform: XrayTransform, name: str) -> None:
    """Raise if pixels are masked: a filter would take them for measured zeros."""
    if transform._hidden_pixels is not None:
        raise ArgumentError(
            f"{name} would take masked pixels for measured zeros: interpolate them and give it a transform "
            "without detector_mask, or use a solver such as solvers.SIRT"
        )


def of_scan(
    transform: XrayTransform,
    window: Window,
    frequency_scaling: float,
    redundancy: Any,
    filter: LinearOperator | None,
) -> Steps:
    """The steps for views about one axis.

    Views of a detector that is rolled or tilted are resampled onto an upright one. The distance weight of
    fans and cones is that of the back projection. The rows of a moved detector are continued by zeros to
    the width of its longer side: the filtered ones are not zero there.
    """
    helix = helix_of(transform.geometry)
    prepare: list[LinearOperator] = []
    if helix is None:
        transform, prepare = upright_transform(transform)
    else:
        along, transform = transform, flattened(transform, helix)
    geometry, space = transform.geometry, transform.range
    scan = scan_of(geometry)
    wide, weigh = transform, redundancy_weights(geometry, redundancy)
    angles, pitch = scan.view_weights, geometry.pitch[-1]
    if helix is not None:
        assert isinstance(scan, CircularScan)
        check_helix(along, helix, scan)
        angles = helix.view_weights
    if isinstance(scan, CircularScan):
        weigh = weigh * weights.cosine(geometry)
        angles = angles * scan.sod / scan.sdd
    elif isinstance(scan, ParallelScan):
        pitch = scan.pitch
    angles = angles / scan.relative_pitch  # as the ramp of every view by its own pitch would do
    prepare.append(_diagonal(weigh, space))
    if scan.moved or (isinstance(redundancy, str) and redundancy == "wang"):
        columns = scan.missing_columns
        wide = _continued(transform, columns)
        widths = ((0, 0),) * (space.ndim - 1) + (columns,)
        prepare.append(Pad(Space(space.shape, space.dtype), widths))
    ramp = row_filter(filter, wide, pitch, window, frequency_scaling)
    per_view = _diagonal(angles.reshape(-1, *[1] * (space.ndim - 1)), wide.range)
    try:
        back: LinearOperator = (
            VoxelBackProjection(wide, weighted=isinstance(scan, CircularScan))
            if helix is None
            else helical_back_projection(wide, helix)
        )
    except ArgumentError as error:  # of a curved detector, before which nothing told
        raise NotSupportedError(
            "FBP and FDK take a curved detector if its arc is around the source, and if its columns are "
            "parallel to z; solvers such as solvers.CGLS take any geometry"
        ) from error
    return Steps([*prepare, ramp, per_view], back, ramp)


def row_filter(
    given: LinearOperator | None,
    transform: XrayTransform,
    pitch: float,
    window: Window,
    frequency_scaling: float,
) -> LinearOperator:
    """The ramp for a transform's rows, or what a user gave in its place, checked."""
    space = transform.range
    if given is None:
        return RampFilter(
            space, pitch, window, frequency_scaling, transform.geometry.frames.arc_step
        )
    if not isinstance(given, LinearOperator):
        raise ArgumentError(
            f"filter must be a LinearOperator such as tomo.FrequencyFilter, got {given!r:.80}; a function "
            "of the frequency is a window="
        )
    if join(given.domain, space) is None or join(given.range, space) is None:
        raise ArgumentError(
            f"the filter must lead from and to {space}, the rows that are filtered (those of a moved "
            f"detector are continued), got one from {given.domain} to {given.range}; "
            "tomo.FBP(A).filter.domain is their space"
        )
    return given


def _continued(transform: XrayTransform, columns: tuple[int, int]) -> XrayTransform:
    """The transform with columns added before the first and behind the last."""
    geometry = transform.geometry
    before, after = columns
    detector = (*geometry.detector_shape[:-1], geometry.detector_shape[-1] + before + after)
    middle = (after - before) / 2
    if geometry.regular:
        offset = (*geometry.offset[:-1], geometry.offset[-1] + middle * geometry.pitch[-1])
        wide = geometry._replace(detector=detector, offset=offset)
    else:
        wide = geometry._of_frames(geometry.frames.moved_in_plane(u=middle), detector)
    return transform._along(wide)


def _diagonal(values: FloatArray, space: Space) -> LinearOperator:
    """Multiplication by an array that broadcasts; equal factors are made exactly so."""
    if np.allclose(values, values.flat[0], rtol=1e-9, atol=0):
        return Scaling(space, float(values.flat[0]))
    return Diagonal(values.astype(space.dtype), space)


def redundancy_weights(geometry: Geometry, choice: Any) -> np.ndarray[Any, Any]:
    """Weights by name, by an array, or those that fit the scan; warns if a scan is too short for any."""
    if choice is None:
        found, missing = fitting_weights(geometry)
        if missing:
            warnings.warn(
                f"{missing}: values come out wrong where rays are missing. Give redundancy= an array of "
                "weights (for fans and cones also 'riess') to have no warning, or take a solver such as "
                "solvers.CGLS",
                AccuracyWarning,
                stacklevel=5,
            )
        return found
    if isinstance(choice, str):
        if isinstance(geometry, ParallelBeam):
            raise ArgumentError(
                "a parallel beam takes no redundancy weights by name: angles and the place of the detector "
                "have them all; an array of weights replaces them"
            )
        if choice not in _BY_NAME:
            raise ArgumentError(f"redundancy must be one of {', '.join(_BY_NAME)}, got {choice!r}")
        return _BY_NAME[choice](geometry)
    given = np.asarray(as_numpy(choice) if is_array(choice) else choice, float)
    if not broadcasts(given.shape, geometry.shape) or not np.isfinite(given).all():
        raise ArgumentError(
            f"redundancy weights must be finite and broadcast to {geometry.shape}, got shape {given.shape}"
        )
    return given.reshape((1,) * (len(geometry.shape) - given.ndim) + given.shape)
