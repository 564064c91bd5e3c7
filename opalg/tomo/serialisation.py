"""Geometries as JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.frames import Frames

__all__ = ["read", "write"]

_FORMAT = "opalg geometry 1"
# Arguments of `from_vectors` by the names of the frames' arrays.
_VECTORS = {
    "centres": "detector_centre",
    "u_steps": "u_step",
    "v_steps": "v_step",
    "arc_centres": "arc_centre",
}


def write(
    kind: str,
    detector: tuple[int, ...],
    arguments: dict[str, Any] | None = None,
    frames: Frames | None = None,
) -> str:
    """The text of a geometry: the arguments of a regular one, the vectors of any other."""
    data: dict[str, Any] = {"format": _FORMAT, "type": kind}
    if frames is None:
        data["arguments"] = {name: _plain(value) for name, value in (arguments or {}).items()}
    else:
        data["detector"] = list(detector)
        data["parallel"], data["arc_step"] = frames.parallel, frames.arc_step
        data["vectors"] = {name: array.tolist() for name, array in frames.arrays.items()}
    # Python writes floats such that reading gives the same bits.
    return json.dumps(data, allow_nan=False)


def read(text: str, kinds: Mapping[str, Any]) -> Any:
    """The geometry of one of the classes that the text holds, after the checks of its constructors."""
    try:
        data = json.loads(text)
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']!r}")
        if data["type"] not in kinds:
            raise ValueError(f"it holds a {data['type']!r}, expected one of {sorted(kinds)}")
        kind = kinds[data["type"]]
        if "arguments" in data:
            return kind(**data["arguments"])
        arrays = {name: np.array(rows, float) for name, rows in data["vectors"].items()}
        frames = Frames(**arrays, parallel=data["parallel"], arc_step=data["arc_step"])
        return _of_vectors(kind, frames, data["detector"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ArgumentError(f"the text is no geometry in the format {_FORMAT!r}: {error}") from None


def _of_vectors(kind: Any, frames: Frames, detector: Any) -> Any:
    """The geometry of these frames to the last bit, if its constructor takes them."""
    if len({len(array) for array in frames.arrays.values()}) > 1:
        raise ValueError("its vectors have different numbers of views")
    names = {"origins": "direction" if frames.parallel else "source", **_VECTORS}
    vectors: dict[str, Any] = {names[name]: array for name, array in frames.arrays.items()}
    if frames.parallel:
        vectors.setdefault("v_step", None)
    checked = kind.from_vectors(**vectors, detector=detector)
    arc_step = checked.frames.arc_step
    if checked.frames.parallel is not frames.parallel or not math.isclose(
        arc_step, frames.arc_step, rel_tol=1e-9
    ):
        raise ValueError(f"its vectors make an arc_step of {arc_step}, not {frames.arc_step!r}")
    return kind._of_frames(frames, checked.detector_shape)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
