"""Every instruction set this processor has is forced in turn and agrees with the definition."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opalg.engines import cpu

HERE = Path(__file__).parent


def run(isa, *arguments):
    environment = {**os.environ, "OPALG_ISA": isa}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


# The best one is what all other tests run.
@pytest.mark.parametrize("isa", list(cpu.instruction_sets())[1:])
def test_forced(isa):
    definitions = [
        str(HERE / f"test_{name}.py")
        for name in (
            "definition",
            "rays_definition",
            "fans",
            "siddon",
            "voxels",
            "differences",
            "footprints",
        )
    ]
    result = run(isa, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *definitions)
    assert result.returncode == 0, result.stdout[-3000:]


def test_best_comes_first():
    order = ["x86-64-v4", "x86-64-v3", "x86-64-v2", "plain"]
    names = list(cpu.instruction_sets())
    assert names == sorted(names, key=order.index)
    assert all(cpu.instruction_sets().values())


def test_unknown_name_is_told():
    program = "from opalg.engines import cpu; cpu.active_instruction_set()"
    result = run("avx1024", "-c", program)
    message = result.stderr.splitlines()[-1]
    assert message.startswith(
        "opalg.errors.ArgumentError: OPALG_ISA=avx1024 is unknown here; choose"
    )
    assert all(name in message for name in cpu.instruction_sets())


def test_a_wrong_name_does_not_break_questions():
    program = "from opalg.engines import cpu; print(list(cpu.instruction_sets()))"
    assert run("avx1024", "-c", program).stdout.strip() == str(list(cpu.instruction_sets()))
