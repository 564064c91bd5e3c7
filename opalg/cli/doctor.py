"""``opalg doctor``: what is installed, what is missing, and what brings it."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator

import click
import numpy as np

from opalg import tomo
from opalg.engines import compiler, cpu, cuda
from opalg.errors import OpalgError
from opalg.spaces import Grid

__all__ = ["examine"]

_TOLD_ELSEWHERE = {"torch", "cuda", "dev", "docs", "peers"}


def examine() -> bool:
    """Print what there is; give whether reconstructions can be computed."""
    healthy = True
    for good, sentence in _findings():
        click.echo(f"[{'ok' if good else '--' if good is None else '!!'}] {sentence}")
        healthy = healthy and good is not False
    click.echo("opalg can reconstruct." if healthy else "opalg cannot reconstruct: see [!!] above.")
    return healthy


def _findings() -> Iterator[tuple[bool | None, str]]:
    """True: it is there; None: something optional is missing; False: something is wrong."""
    opalg = importlib.metadata.version("opalg")
    yield True, f"opalg {opalg} on Python {platform.python_version()}, {platform.platform()}."
    yield True, f"NumPy {np.__version__}, SciPy {importlib.metadata.version('scipy')}."
    yield from _engine()
    yield from _torch()
    yield from _cuda()
    yield from _extras()


def _engine() -> Iterator[tuple[bool | None, str]]:
    try:
        active = cpu.active_instruction_set()
        others = [name for name in cpu.instruction_sets() if name != active]
    except OpalgError as error:
        yield False, f"The CPU engine does not work: {error}"
        return
    more = f" (this processor also runs {', '.join(others)}; OPALG_ISA chooses)" if others else ""
    threads = cpu.get_num_threads()
    yield True, f"The CPU engine runs with {active} instructions{more} on {threads} threads."
    geometry = tomo.ParallelBeam(angles=8, detector=65)
    A = tomo.XrayTransform(Grid((64, 64)), geometry)
    disc = tomo.phantoms.disc(radius=20.0)
    chord = float(A(disc.sample(A.domain))[:, 32].mean())
    right = abs(chord - 40.0) < 0.4
    yield (
        right,
        (
            f"It projects a disc of diameter 40 to {chord:.1f}"
            + (", as it should." if right else ", which is wrong.")
        ),
    )


def _torch() -> Iterator[tuple[bool | None, str]]:
    if not _installed("torch"):
        yield (
            None,
            "PyTorch is not installed; tensors and gradients need it: pip install opalg[torch]",
        )
        return
    import torch

    yield True, f"PyTorch {torch.__version__}: tensors, batches and gradients work."
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        yield True, f"PyTorch sees {torch.cuda.device_count()} CUDA device(s), the first a {name}."
    else:
        yield None, "PyTorch sees no CUDA device."


def _cuda() -> Iterator[tuple[bool | None, str]]:
    """What the CUDA engine finds, from the package to a projection on a device."""
    if not _installed("pycuda"):
        yield (
            None,
            "PyCUDA is not installed; arrays on CUDA devices need it: pip install opalg[cuda]",
        )
        yield from _compiler()
        yield (
            None,
            "NumPy arrays and CPU tensors are projected by the CPU engine; there is no other.",
        )
        return
    yield True, f"PyCUDA {importlib.metadata.version('pycuda')} is installed."
    try:
        devices = cuda.devices()
    except OpalgError as error:
        yield None, f"There is no CUDA device: {error}."
        devices = []
    for ordinal, device in enumerate(devices):
        yield True, f"CUDA device {ordinal} is {device}."
    yield from _compiler()
    reason = cuda.why_not()
    if reason:
        yield None, f"Arrays on CUDA devices cannot be projected: {reason}."
        return
    try:
        chord = cuda.try_out()
    except OpalgError as error:
        yield False, f"The CUDA engine does not work: {error}"
        return
    right = chord == 4.0
    yield (
        right,
        f"It projects four pixels of one to {chord:g}"
        + (", as it should." if right else ", which is wrong."),
    )
    yield (
        True,
        "Arrays on CUDA devices are projected there, NumPy arrays and CPU tensors by the CPU engine.",
    )


def _compiler() -> Iterator[tuple[bool | None, str]]:
    try:
        found = compiler.find_compiler()
    except OpalgError as error:
        yield None, f"CUDA kernels cannot be compiled: {error}."
        return
    yield True, f"CUDA kernels are compiled by {found} ({found.path})."
    yield True, f"What was compiled is kept in {compiler.cache_folder()}."


def _extras() -> Iterator[tuple[bool | None, str]]:
    """One sentence per extra for users; those of developers are not looked at."""
    wanted: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("opalg") or []:
        name = re.match(r"[\w.-]+", line)
        condition = re.search(r"extra == ['\"](\w+)['\"]", line)
        if name and condition:
            wanted.setdefault(condition[1], []).append(name[0])
    for extra, packages in sorted(wanted.items()):
        if extra in _TOLD_ELSEWHERE:
            continue
        missing = [name for name in packages if not _installed(name)]
        if missing:
            yield None, f"{', '.join(missing)} missing: pip install opalg[{extra}]"
        else:
            yield True, f"The extra {extra} is complete: {', '.join(packages)}."


def _installed(name: str) -> bool:
    if name in sys.modules and sys.modules[name] is None:
        return False
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
