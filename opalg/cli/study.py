"""A study: what a TOML file says about data and methods, checked and made into objects.

The page "Compare solvers on your own data" of the documentation describes the file.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opalg import tomo
from opalg.cli.methods import build, check_parameters, nearest
from opalg.cli.scans import read_scan
from opalg.cli.toml import Document
from opalg.errors import ArgumentError
from opalg.spaces import Grid

__all__ = ["Method", "Study", "read_study"]

_BEAMS = {"parallel": tomo.ParallelBeam, "fan": tomo.FanBeam, "cone": tomo.ConeBeam}


@dataclass(frozen=True)
class Method:
    """One method with one value for each parameter."""

    name: str
    kind: str
    parameters: dict[str, Any]
    sweep: str
    """The name of the sweep that it belongs to; empty if it stands alone."""
    make: Callable[[], Any]


@dataclass(frozen=True)
class Study:
    """What a file describes."""

    A: tomo.XrayTransform
    y: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any] | None
    methods: tuple[Method, ...]
    metrics: list[str] | None
    best: str | None
    every: int | None
    seed: int | None
    summary: str


def read_study(path: Path) -> Study:
    """Read and check a study.

    Raises
    ------
    ArgumentError
        With file and line where something cannot be meant.
    """
    document = Document(path)
    document.check_keys(
        (), document.content, ("data", "geometry", "grid", "noise", "compare", "methods")
    )
    options = document.table("compare")
    document.check_keys(("compare",), options, ("metrics", "best", "every", "seed"))
    data = document.table("data", required=True)
    if ("file" in data) == ("phantom" in data):
        raise document.error(("data",), None, "[data] needs either 'file' or 'phantom'")
    methods = _methods(document)  # checked before data are read
    A, y, truth, summary = (_measured if "file" in data else _simulated)(document, data)
    made = tuple(_bound(document, A, *method) for method in methods)
    return Study(
        A,
        y,
        truth,
        made,
        options.get("metrics"),
        options.get("best"),
        options.get("every"),
        options.get("seed", 0),
        summary,
    )


# ------------------------------------------------------------------------------------------------- data


def _measured(document: Document, data: dict[str, Any]) -> Any:
    document.check_keys(("data",), data, ("file", "rows", "axis", "size", "pixel_size", "truth"))
    for name in ("geometry", "grid", "noise"):
        if name in document.content:
            raise document.error(
                (name,), None, f"[{name}] belongs to a phantom; a file brings its own: see [data]"
            )
    folder = document.path.absolute().parent
    file = folder / data["file"]
    options = {key: data[key] for key in ("rows", "axis", "size", "pixel_size") if key in data}
    try:
        measured = read_scan(file, **options)
        truth = None
        if "truth" in data:
            if not (folder / data["truth"]).is_file():
                raise ArgumentError(f"there is no file {folder / data['truth']}")
            truth = np.load(folder / data["truth"], allow_pickle=False)
    except (ArgumentError, TypeError) as error:
        raise document.error(("data",), None, str(error)) from None
    return measured.A, measured.y, truth, measured.summary


def _simulated(document: Document, data: dict[str, Any]) -> Any:
    kind = data["phantom"]
    kinds = [name for name in tomo.phantoms.__all__ if name.islower()]
    if kind not in kinds:
        words = (
            f"there is no phantom {kind!r}{nearest(str(kind), kinds)}; known are {', '.join(kinds)}"
        )
        raise document.error(("data",), "phantom", words)
    make = getattr(tomo.phantoms, kind)
    settings = {key: value for key, value in data.items() if key != "phantom"}
    document.check_keys(("data",), settings, inspect.signature(make).parameters)
    phantom = _made(document, ("data",), make, **settings)

    layout = document.table("geometry", required=True)
    beam = layout.pop("beam", "parallel")
    if beam not in _BEAMS:
        words = (
            f"there is no beam {beam!r}{nearest(str(beam), _BEAMS)}; known are {', '.join(_BEAMS)}"
        )
        raise document.error(("geometry",), "beam", words)
    offered = list(inspect.signature(_BEAMS[beam]).parameters)[1:]
    document.check_keys(("geometry",), layout, ["beam", "views", *offered])
    views = layout.pop("views", 360)
    geometry = _made(document, ("geometry",), _BEAMS[beam], angles=views, **layout)
    image = document.table("grid", required=True)
    document.check_keys(("grid",), image, ("shape", "spacing"))
    grid = _made(document, ("grid",), Grid, **image)
    A = _made(document, ("grid",), tomo.XrayTransform, grid, geometry)

    noise = document.table("noise")
    document.check_keys(("noise",), noise, ("photons", "sigma", "seed"))
    if "photons" in noise and "sigma" in noise:
        raise document.error(("noise",), None, "[noise] takes either 'photons' or 'sigma'")
    y = _made(document, ("data",), phantom.project, geometry)
    seed = noise.get("seed", 0)
    told = "without noise"
    if "photons" in noise:
        y = _made(document, ("noise",), tomo.noise.poisson, y, noise["photons"], seed)
        told = f"with {noise['photons']:g} photons per pixel"
    elif "sigma" in noise:
        y = _made(document, ("noise",), tomo.noise.gaussian, y, noise["sigma"], seed)
        told = f"with noise of deviation {noise['sigma']:g}"
    summary = (
        f"{kind}: {geometry.num_views} views of {geometry.detector_shape} pixels, {told}; {grid}"
    )
    return A, y, phantom.sample(grid), summary


def _made(document: Document, names: tuple[str, ...], make: Any, *args: Any, **kwargs: Any) -> Any:
    """What a constructor gives; what it refuses is told with the line of the table."""
    try:
        return make(*args, **kwargs)
    except (ArgumentError, TypeError, ValueError) as error:
        raise document.error(names, None, str(error)) from None


# ---------------------------------------------------------------------------------------------- methods


def _methods(document: Document) -> list[tuple[str, str, dict[str, Any], str]]:
    """Name, kind, parameters and sweep of every method, sweeps unrolled."""
    found = []
    for label, table in document.table("methods", required=True).items():
        names = ("methods", label)
        if not isinstance(table, dict):
            raise document.error(
                ("methods",), label, f"{label!r} must be a table, [methods.{label}]"
            )
        parameters = {key: value for key, value in table.items() if key != "method"}
        kind = table.get("method", label)
        try:
            check_parameters(str(kind), ())
        except ArgumentError as error:
            raise document.error(
                names, "method" if "method" in table else None, str(error)
            ) from None
        for key in parameters:
            try:
                check_parameters(str(kind), [key])
            except ArgumentError as error:
                raise document.error(names, key, str(error)) from None
        found += _unrolled(document, label, str(kind), parameters)
    if not found:
        raise document.error(
            ("methods",), None, "[methods] is empty; add for example [methods.fbp]"
        )
    return found


def _unrolled(
    document: Document, label: str, kind: str, parameters: dict[str, Any]
) -> list[tuple[str, str, dict[str, Any], str]]:
    """One entry per combination of the values of lists."""
    lists = {key: value for key, value in parameters.items() if isinstance(value, list)}
    for key, values in lists.items():
        if not values:
            raise document.error(("methods", label), key, f"the sweep over {key!r} has no values")
    entries = []
    for combination in itertools.product(*lists.values()):
        chosen = dict(zip(lists, combination, strict=True))
        told = ", ".join(f"{key}={value}" for key, value in chosen.items())
        name = f"{label} ({told})" if chosen else label
        entries.append((name, kind, {**parameters, **chosen}, label if lists else ""))
    return entries


def _bound(
    document: Document,
    A: tomo.XrayTransform,
    name: str,
    kind: str,
    parameters: dict[str, Any],
    sweep: str,
) -> Method:
    """A method for the operator; built once now, so that a wrong value is told before anything runs."""
    label = sweep or name

    def make() -> Any:
        return _made(document, ("methods", label), build, kind, A, parameters)

    make()
    return Method(name, kind, parameters, sweep, make)
