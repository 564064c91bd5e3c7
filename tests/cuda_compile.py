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

import opalg as oa
from opalg import tomo
from opalg.engines.launches import Launch, launches
from opalg.tomo.plans import general_plan

TABLE = Path(__file__).parent / "cuda" / "registers.json"
CACHE = SOURCES.parent / "build" / "cuda_compile"
TEXT = {"capture_output": True, "text": True, "check": True}
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
FLAGS = ("-std=c++17", "-Werror", "all-warnings")
ASSEMBLER_FLAGS = ("-v", "--warn-on-spills", "--warning-as-error")


def nvcc():
    """The compiler on the PATH, or None."""
    return shutil.which("nvcc")


def assembler():
    """The one that nvcc uses."""
    script = subprocess.run([nvcc(), "--dryrun", "-cubin", "-x", "cu", "/dev/null"], **TEXT).stderr
    return shutil.which("ptxas", path=re.search(r"#\$ PATH=(\S*)", script)[1])


def version():
    text = subprocess.run([nvcc(), "--version"], **TEXT).stdout
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
    """The specialisations that matter, by name."""
    cone, fan, curved = (
        NAMED[name] for name in ("cone, more than a block", "fan, longer than a leap", "curved")
    )
    near, free = NAMED["source in the volume"], random_plan("free cone", 9)
    slices = random_plan("parallel 2D", 0)
    directions = ("project", "backproject", "backproject_voxels", "project_voxels")
    table = {}

    def add(plan, which, batch=1, dtype="float32", **options):
        for direction in which:
            for launch in launches(plan, direction, batch, dtype, **options):
                table.setdefault(name_of(launch), launch)

    for plan in (cone, fan, free, slices, near):
        add(plan, directions)
    for plan in (cone, fan):
        add(plan, ["project", "backproject_voxels"], interpolation="texture")
    add(cone, directions[2:], weight="magnification")
    for plan, batch in ((cone, 2), (cone, 4), (curved, 1), (curved, 4)):
        add(plan, directions, batch)
    add(fan, directions[:2], 8)
    for batch in (1, 4):
        add(cone, directions[:3], batch, "float64")
    add(cone, ["project"], dtype="float16")
    add(cone, ["project", "backproject_voxels"], dtype="bfloat16")
    add(_wide(), ["project"], 4)
    for plan, batch in ((cone, 1), (fan, 1), (curved, 4)):
        add(replace(plan, model="siddon"), directions[:2], batch)
    for plan, batch in ((cone, 4), (near, 1), (fan, 8)):
        areas = replace(plan, model="footprint")
        for images in {1, batch}:
            add(areas, directions[:2], images)
    for plan in (cone, near):
        add(replace(plan, model="footprint"), directions[:2], 4, "float64")
    for real in ("float", "double"):  # see opalg/engines/cuda_streaming.py
        sums = Launch("add_into.cu", "add_into", (("OPALG_REAL", real),), (1,) * 3, (1,) * 3, 0, ())
        table[name_of(sums)] = sums
    return table


def _wide():
    """Offsets within a volume need 64 bits."""
    return general_plan(tomo.ConeBeam(1, (8, 8), 200.0, sod=4e3, sdd=6e3), oa.Grid((1300,) * 3))


def intermediate(launch, architecture):
    """The code that is made of a kernel for a virtual architecture, where a warning is an error."""
    macros = [f"-D{name}={value}" for name, value in launch.defines]
    source = str(SOURCES / launch.source)
    command = [nvcc(), *FLAGS, f"-arch=compute_{architecture}", *macros, "-ptx", "-o", "-", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return done.stdout


def compiled(launch):
    """Registers by architecture, from the cache if nothing has changed. A spill is an error."""
    key = source_key(version(), launch.source, launch.defines, FLAGS, ASSEMBLER_FLAGS)
    path = CACHE / f"{launch.kernel}-{key}.json"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_assembled(launch)))
    return json.loads(path.read_text())


def _assembled(launch):
    # The sine of a wide angle is found with an array, which is no spill.
    frame = r"\d+" if launch.kernel == "project_voxels" else "0"
    counts = {}
    for architecture in ARCHITECTURES:
        # Made once up to 9.0, and once from 10.0 on: it differs by a name only, and takes most of the time.
        if architecture in (75, 100):
            code = intermediate(launch, first := architecture)
        command = [
            assembler(),
            f"-arch=sm_{architecture}",
            *ASSEMBLER_FLAGS,
            "-o",
            "/dev/null",
            "-",
        ]
        done = subprocess.run(
            command,
            input=code.replace(f".target sm_{first}", f".target sm_{architecture}"),
            capture_output=True,
            text=True,
            check=False,
        )
        what = f"{name_of(launch)} for sm_{architecture}\n{done.stderr}"
        assert done.returncode == 0, what
        found = re.search(
            rf"properties for {launch.kernel}\n\s+{frame} bytes stack frame.*\n.*Used (\d+) reg",
            done.stderr,
        )
        assert found, what
        counts[f"sm_{architecture}"] = int(found[1])
    return counts


def registers():
    """The whole table."""
    wanted = collect()
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(compiled, wanted.values())
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
