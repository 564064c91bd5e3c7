"""The commands with their options; what they do is in modules that are loaded when a command runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from opalg.errors import ArgumentError, OpalgError

__all__ = ["opalg"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="opalg", message="opalg %(version)s")
def opalg() -> None:
    """Image reconstruction: look at the installation, reconstruct a scan, compare methods."""


@opalg.command(short_help="Say what is installed and what is missing.")
def doctor() -> None:
    """Say what is installed, what is missing and what brings it."""
    with _told():
        healthy = _work("doctor").examine()
    sys.exit(0 if healthy else 1)


@opalg.command(short_help="Reconstruct a measured scan.")
@click.argument("scan", type=click.Path(path_type=Path))
@click.option("--method", "-m", default="fbp", show_default=True, help="fbp, sirt, cgls, ...")
@click.option("--iterations", "-n", type=int, help="Number of iterations of an iterative method.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, for example relaxation=1.5; may be repeated.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("slice.png"),
    show_default=True,
    help="Picture (.png, middle slice), or values (.npy, .tiff, .h5).",
)
@click.option(
    "--rows",
    default="middle",
    show_default=True,
    metavar="ROW|FIRST:LAST",
    help="Detector row to reconstruct, or a range (LAST left out) for a volume.",
)
@click.option("--axis", type=float, help="Column of the rotation axis; found without it.")
@click.option(
    "--size",
    type=int,
    help="Pixels along an edge of the image; those of a detector row without it.",
)
@click.option(
    "--pixel-size",
    type=float,
    help="Edge of a detector pixel in mm; lengths are in pixels without it.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def reconstruct(**options: Any) -> None:
    """Reconstruct SCAN, an HDF5 file in the DXchange layout (counts, flat and dark fields, angles)."""
    with _told():
        _work("reconstruct").reconstruct(**options)


@opalg.command(short_help="Compare methods on the same data.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write a web page with curves and images."
)
@click.option(
    "--json", "record", type=click.Path(path_type=Path), help="Write results and record as JSON."
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="Folder of finished runs, which are not repeated; by default STUDY with .runs at its end.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bars.")
def compare(**options: Any) -> None:
    """Run the methods that STUDY, a TOML file, describes on the same data, and compare them.

    A list as the value of a parameter sweeps over it. Finished runs are kept, so an interrupted study goes on
    where it was.
    """
    with _told():
        failures = _work("compare").compare(**options)
    sys.exit(1 if failures else 0)


def _work(name: str) -> Any:
    """The module that does the work of a command."""
    return importlib.import_module(f"opalg.cli.{name}")


@contextmanager
def _told() -> Iterator[None]:
    """Errors as one sentence without a traceback, with the exit codes that the package states."""
    try:
        yield
    except (OpalgError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2 if isinstance(error, ArgumentError) else 1)
    except KeyboardInterrupt as stop:
        click.echo(f"\nInterrupted. {stop}".rstrip(), err=True)
        sys.exit(130)
