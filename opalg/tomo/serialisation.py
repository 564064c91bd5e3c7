"""Geometries as JSON text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.frames import Frames

__all__ = ["read", "write"]

_FORMAT = "opalg geometry 1"


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


def read(text: str) -> tuple[str, tuple[int, ...], dict[str, Any], Frames | None]:
    """Class, shape of the detector, and arguments or frames."""
    try:
        data = json.loads(text)
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']!r}")
        if "arguments" in data:
            return data["type"], (), dict(data["arguments"]), None
        arrays = {name: np.array(rows, float) for name, rows in data["vectors"].items()}
        frames = Frames(**arrays, parallel=data["parallel"], arc_step=data["arc_step"])
        return data["type"], tuple(data["detector"]), {}, frames
    except (ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"the text is no geometry in the format {_FORMAT!r}: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
