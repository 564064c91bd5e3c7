"""What is written down so that a comparison can be repeated: seed, versions, machine, parameters."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from opalg.arrays import fingerprint
from opalg.engines import cpu
from opalg.errors import OpalgError
from opalg.solvers.comparison.problem import Problem
from opalg.solvers.vectors import parts

__all__ = ["digest", "make_record", "seeded"]

_PACKAGES = ("opalg", "numpy", "scipy", "scikit-image", "torch", "plotly", "array-api-compat")


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """The global generators of Python, NumPy and (if it is loaded) PyTorch start from ``seed``.

    Afterwards they are as they were before. None leaves them alone.
    """
    if seed is None:
        yield
        return
    torch = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 (what foreign code uses)
    before_torch = torch.get_rng_state() if torch is not None else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        if torch is not None and before_torch is not None:
            torch.set_rng_state(before_torch)


def digest(x: Any) -> Any:
    """Shape, dtype and a hash of the content of arrays, in a form that JSON holds."""
    if x is None:
        return None
    prints = [fingerprint(part) for part in parts(x)]
    return [{"shape": list(p[0]), "dtype": p[1], "blake2b": p[2]} for p in prints]


def make_record(problem: Problem, methods: dict[str, Any]) -> dict[str, Any]:
    """Everything that a repetition needs to know, as JSON holds it.

    Parameters
    ----------
    problem : Problem
    methods : dict
        Name and method, or the text that describes it.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": problem.seed,
        "metrics": [metric.name for metric in problem.metrics],
        "methods": {name: describe(method) for name, method in methods.items()},
        "operator": None if problem.operator is None else repr(problem.operator),
        "data": digest(problem.y),
        "truth": digest(problem.truth),
        "versions": {"python": platform.python_version(), **versions()},
        "machine": machine(),
    }


def describe(method: Any) -> str:
    """A method in one line: its ``repr``, or for functions the name under which they are found."""
    if isinstance(method, str):
        return method
    name = getattr(method, "__qualname__", None)
    if name is not None and getattr(method, "__module__", None) is not None:
        return f"{method.__module__}.{name}"
    text = " ".join(repr(method).split())
    return text if len(text) <= 2000 else text[:2000] + "..."


def versions() -> dict[str, str]:
    """Installed versions of the packages that take part."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """System, processor and the threads and instruction set of the engine."""
    try:
        instructions = cpu.active_instruction_set()
    except OpalgError as error:
        instructions = f"none: {error}"
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": cpu.get_num_threads(),
        "instruction set": instructions,
    }


@cache
def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
