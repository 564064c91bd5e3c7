"""Compiles kernels for GPUs, without one, and reads what the assembler says of them.

``python tests/cuda_compile.py`` writes the table of registers that tests/cuda/test_compile.py compares with.
"""

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from cuda_plans import NAMED, random_plan
from host_kernels import SOURCES, source_key

from opalg.engines.launches import launches

TABLE = Path(__file__).parent / "cuda" / "registers.json"
CACHE = SOURCES.parent / "build" / "cuda_compile"
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
FLAGS = ("-std=c++17", "-Werror", "all-warnings", "-Xptxas", "-v,--warn-on-spills")


def nvcc():
    """The compiler on the PATH, or None."""
    return shutil.which("nvcc")


def version():
    text = subprocess.run([nvcc(), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([\d.]+)", text)[1]


def name_of(launch):
    """Kernel and the macros that are not as usual."""
    usual = {"OPALG_REAL": "float", "OPALG_STORE": "float", "OPALG_BATCH": "1"}
    parts = [
        f"{key.removeprefix('OPALG_').lower()}={value}"
        for key, value in launch.defines
        if value != usual.get(key, "0")
    ]
    return " ".join([launch.kernel, *parts])


def collect():
    """The specialisations that matter, by name, with the architectures to compile them for."""
    cone, fan, curved = (
        NAMED[name] for name in ("cone, more than a block", "fan, longer than a leap", "curved")
    )
    free, slices = random_plan("free cone", 9), random_plan("parallel 2D", 0)
    directions = ("project", "backproject", "backproject_voxels", "project_voxels")
    wanted = []

    def add(plan, which, architectures=(90,), batch=1, dtype="float32", **options):
        for direction in which:
            made = launches(plan, direction, batch, dtype, **options)
            wanted.extend((launch, architectures) for launch in made)

    add(cone, directions[:3], ARCHITECTURES)
    add(fan, ["backproject"], ARCHITECTURES)
    for plan in (cone, fan):
        add(plan, ["project", "backproject_voxels"], interpolation="texture")
    for plan in (fan, free, slices, NAMED["source in the volume"]):
        add(plan, directions)
    add(curved, directions[1:])
    add(cone, directions[:3], batch=4)
    add(fan, directions[:2], batch=8)
    for plan in (cone, fan):
        add(replace(plan, model="siddon"), directions[:2])
    for plan in (cone, NAMED["source in the volume"]):
        areas = replace(plan, model="footprint")
        add(areas, directions[:2], ARCHITECTURES)
        add(areas, directions[:2], batch=4, dtype="float64")
    add(replace(cone, model="footprint"), directions[:2], batch=4)
    add(replace(fan, model="footprint"), directions[:2], batch=8)
    add(cone, directions[:3], dtype="float64")
    add(cone, ["project"], dtype="float16")
    table = {}
    for launch, architectures in wanted:
        table.setdefault(name_of(launch), (launch, architectures))
    return table


def compiled(launch, architectures):
    """Registers by architecture, from the cache if nothing has changed. A spill is an error."""
    # Intermediate code is the same up to 9.0, and from 10.0 on: made once for a group it takes half the time.
    groups = [[a for a in architectures if (a < 100) == old] for old in (True, False)]
    codes = [
        f"-gencode=arch=compute_{group[0]},code=[{','.join(f'sm_{a}' for a in group)}]"
        for group in groups
        if group
    ]
    key = source_key(version(), launch.source, launch.defines, codes, FLAGS)
    path = CACHE / f"{launch.kernel}-{key}.json"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        macros = [f"-D{name}={value}" for name, value in launch.defines]
        source, out = str(SOURCES / launch.source), str(path.with_suffix(".fatbin"))
        command = [nvcc(), *FLAGS, *codes, *macros, "-fatbin", "-o", out, source]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        found = re.findall(
            rf"'{launch.kernel}' for 'sm_(\d+)'\n.*\n\s+(\d+) bytes stack frame.*\n.*Used (\d+) reg",
            done.stderr,
        )
        assert len(found) == len(architectures), done.stderr
        # The sine of a wide angle is found with an array, which is no spill.
        plain = launch.kernel != "project_voxels"
        assert not plain or all(stack == "0" for _, stack, _ in found), done.stderr
        path.write_text(json.dumps({f"sm_{a}": int(n) for a, _, n in found}))
    return json.loads(path.read_text())


def registers():
    """The whole table."""
    wanted = collect()
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda item: compiled(*item), wanted.values())
        return dict(zip(wanted, found, strict=True))


def main():
    text = json.dumps({"nvcc": version(), "registers": registers()}, indent=1, sort_keys=True)
    # One kernel per line.
    text = re.sub(
        r"\{\n\s+(\"sm_[^{}]*?)\n\s+\}", lambda m: "{" + re.sub(r"\s+", " ", m[1]) + "}", text
    )
    TABLE.write_text(text + "\n")


if __name__ == "__main__":
    main()
