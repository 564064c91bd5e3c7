"""``opalg doctor``, and the command itself: help, version, a real process."""

import importlib.metadata
import subprocess
import sys

import pytest

import opalg
from opalg.cli import doctor
from opalg.errors import DeviceError, MissingExtraError


def test_a_healthy_installation(run):
    done = run("doctor")
    assert done.exit_code == 0, done.output
    assert f"[ok] opalg {opalg.__version__} on Python 3." in done.output
    assert "[ok] The CPU engine runs with " in done.output
    assert "[ok] It projects a disc of diameter 40 to 40.0, as it should." in done.output
    assert done.output.endswith("opalg can reconstruct.\n")


def test_what_is_missing_is_told_with_what_brings_it(run, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name in ("torch", "pycuda", "plotly"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)

    def nothing():
        raise DeviceError("no compiler for CUDA kernels was found")

    monkeypatch.setattr(doctor.compiler, "find_compiler", nothing)
    done = run("doctor")
    assert done.exit_code == 0
    assert (
        "[--] PyTorch is not installed; tensors and gradients need it: pip install opalg[torch]"
        in (done.output)
    )
    assert "pip install opalg[cuda]" in done.output
    assert "[--] CUDA kernels cannot be compiled: no compiler" in done.output
    assert "plotly missing: pip install opalg[report]" in done.output


def test_what_there_is_of_cuda(run, monkeypatch):
    def version(name):
        return "2026.1" if name == "pycuda" else real(name)

    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", version)
    found = doctor.compiler.Compiler("nvcc", "/cuda/bin/nvcc", "Cuda, release 13.0, V13.0.88")
    monkeypatch.setattr(doctor.compiler, "find_compiler", lambda: found)
    monkeypatch.setattr(doctor.cuda, "devices", lambda: ["a card"])
    for projected, exit_code, verdict in (
        (4.0, 0, ", as it should."),
        (3.0, 1, ", which is wrong."),
    ):
        monkeypatch.setattr(doctor.cuda, "try_out", lambda value=projected: value)
        done = run("doctor")
        assert done.exit_code == exit_code
        assert "[ok] PyCUDA 2026.1 is installed.\n[ok] CUDA device 0 is a card.\n" in done.output
        assert "[ok] CUDA kernels are compiled by nvcc 13.0 (/cuda/bin/nvcc).\n" in done.output
        assert f"It projects four pixels of one to {projected:g}{verdict}" in done.output


def test_a_broken_engine(run, monkeypatch):
    def broken():
        raise MissingExtraError("the compiled CPU engine of opalg cannot be loaded")

    monkeypatch.setattr(doctor.cpu, "active_instruction_set", broken)
    done = run("doctor")
    assert done.exit_code == 1
    assert "[!!] The CPU engine does not work: the compiled CPU engine" in done.output
    assert done.output.endswith("opalg cannot reconstruct: see [!!] above.\n")


def test_help_names_the_commands(run):
    done = run("--help")
    assert done.exit_code == 0
    for command in ("doctor", "reconstruct", "compare"):
        assert command in done.output
        assert run(command, "--help").exit_code == 0
    assert run("--version").output == f"opalg {opalg.__version__}\n"


def test_an_unknown_command(run):
    done = run("recontruct")
    assert done.exit_code == 2
    assert "No such command 'recontruct'" in done.output


def test_the_command_is_installed_and_runs():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="opalg")
    assert entry.value == "opalg.cli:main"
    code = f"import sys; from {entry.module} import {entry.attr} as main; sys.argv[0] = 'opalg'; main()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "reconstruct", "gone.h5"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: there is no file gone.h5\n"


def test_help_imports_neither_solvers_nor_tomography():
    """`opalg --help` is typed often; what commands need is loaded when one runs."""
    code = """
import sys
from opalg.cli import main
sys.argv = ["opalg", "--help"]
try:
    main()
except SystemExit:
    pass
print([name for name in ("opalg.tomo", "opalg.solvers", "matplotlib", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_click_the_extra_is_named():
    code = "import sys; sys.modules['click'] = None; from opalg.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "The opalg command needs click: pip install opalg[report]\n"


def test_main_is_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "opalg.cli", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"opalg {opalg.__version__}\n"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_exit_codes(run, monkeypatch, error):
    def failing():
        raise error

    monkeypatch.setattr(doctor, "examine", failing)
    done = run("doctor")
    assert done.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert ("Interrupted." if done.exit_code == 130 else "Error: disk full") in done.output
