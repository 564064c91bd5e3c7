"""``opalg reconstruct``: one scan, one method, one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from opalg.arrays import as_numpy
from opalg.cli.methods import build, check_parameters, parse_settings
from opalg.cli.output import check_output, write_image
from opalg.cli.scans import read_scan
from opalg.solvers import Solver

__all__ = ["reconstruct"]


def reconstruct(
    scan: Path,
    method: str,
    iterations: int | None,
    settings: tuple[str, ...],
    output: Path,
    rows: str,
    axis: float | None,
    size: int | None,
    pixel_size: float | None,
    quiet: bool,
) -> None:
    """Do what the command line says.

    Raises
    ------
    OpalgError
        Naming what is wrong; everything that can be checked is before the work begins.
    """
    parameters: dict[str, Any] = parse_settings(settings)
    if iterations is not None:
        parameters["iterations"] = iterations
    check_parameters(method, parameters)
    check_output(output)
    measured = read_scan(scan, rows, axis, size, pixel_size)
    click.echo(measured.summary)
    solver = build(method, measured.A, parameters)
    if isinstance(solver, Solver):
        result = solver.solve(measured.y, progress=not quiet)
        x, reason = result.x, f": {result.reason}"
    else:
        x, reason = solver(measured.y), ""
    image = np.asarray(as_numpy(x))
    residual = np.linalg.norm(measured.A(image) - measured.y) / np.linalg.norm(measured.y)
    unit = "per pixel" if pixel_size is None else "per mm"
    click.echo(
        f"{method}{reason}; relative residual {residual:.4g}, values {image.min():.4g} to "
        f"{image.max():.4g} {unit}"
    )
    write_image(output, image, {"method": str(solver), "scan": str(scan), "unit": unit})
    click.echo(f"Written to {output}.")
