"""The set-up script: one clear sentence for each missing prerequisite, and no work done twice.

It runs here on a copy of the few files that it reads, with a PATH that holds only what a test puts
there, and with a stand-in for the environment's Python that notes what pip is asked to do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("cat", "cksum", "dirname", "find", "mkdir", "mktemp", "rm", "sh", "sort", "tr")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the set-up script is for POSIX systems")


class Tree:
    """A copy of the files that the set-up reads, and a PATH for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.pip_log = folder / "pip.log"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for name in ("pyproject.toml", "constraints.txt", "scripts/setup.sh"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.write("CMakeLists.txt", "project(opalg)")
        self.write("cuda_src/host/module.cpp", "int main() {}")
        self.write("opalg/shapes.py", "")
        self.write("solvers/sirt.py", "")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True, parents=True)
        (self.folder / name).write_text(text)

    def command(self, name: str, script: str) -> None:
        """Put an executable shell script into the tree."""
        self.write(name, f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def python(self, name: str, refuse: str = "nothing is refused") -> None:
        """A Python that fails when asked for `refuse` and only notes what pip is to do."""
        script = f"""
case "$*" in
    *"{refuse}"*) exit 1 ;;
    *"-m pip"*) echo "$*" >>'{self.pip_log}' ;;
    *) exec '{sys.executable}' "$@" ;;
esac"""
        self.command(name, script)

    def compiler(self) -> None:
        self.command("bin/c++", "exit 0")

    def run(self, kind: str = "dev", **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), **environment}
        return subprocess.run(
            [str(self.bin / "sh"), str(self.folder / "scripts/setup.sh"), kind],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def refuses(self, **environment: str) -> str:
        """Run, expect a failure explained by one sentence, and give the sentence."""
        done = self.run(**environment)
        assert done.returncode == 1, done.stdout + done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("opalg set-up: ")
        assert line.endswith(".")
        return line

    def pip_calls(self) -> list[str]:
        """What pip was asked to do since the last question."""
        calls = self.pip_log.read_text().splitlines() if self.pip_log.exists() else []
        self.pip_log.unlink(missing_ok=True)
        return calls


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


# ----------------------------------------------------------------------------- what may be missing
def test_no_python(tree: Tree) -> None:
    sentence = tree.refuses()
    assert "needs Python >= 3.11 and found no working python3" in sentence


def test_python_too_old(tree: Tree) -> None:
    tree.command("bin/python3", 'case "$*" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    assert "needs Python >= 3.11 and found Python 3.9.2" in tree.refuses()


def test_commands_that_exist_and_fail_are_passed_over(tree: Tree) -> None:
    tree.command("bin/python3", "echo 'python3: command not found' >&2; exit 127")
    tree.python("bin/python3.12", refuse="ensurepip")
    assert "python3.12 has no venv module" in tree.refuses()


def test_python_named_by_the_caller_does_not_work(tree: Tree) -> None:
    tree.python("bin/python3")
    sentence = tree.refuses(PYTHON="python9")
    assert "PYTHON=python9 is not a working Python >= 3.11" in sentence


def test_no_venv_module(tree: Tree) -> None:
    tree.python("bin/python3", refuse="ensurepip")
    assert "python3 has no venv module" in tree.refuses()


def test_no_compiler(tree: Tree) -> None:
    tree.python(".venv/bin/python")
    assert "found no working C++17 compiler" in tree.refuses()


def test_compiler_named_by_the_caller_does_not_work(tree: Tree) -> None:
    tree.python(".venv/bin/python")
    tree.compiler()
    assert "CXX=/bin/false does not compile C++17" in tree.refuses(CXX="/bin/false")


def test_no_python_headers(tree: Tree) -> None:
    tree.python(".venv/bin/python", refuse="Python.h")
    tree.compiler()
    assert "comes without its C headers" in tree.refuses()


def test_packages_cannot_be_installed(tree: Tree) -> None:
    tree.python(".venv/bin/python", refuse="-m pip")
    tree.compiler()
    assert "pip could not install the above" in tree.refuses()


# ------------------------------------------------------------------------------ no work done twice
def test_second_run_does_nothing(tree: Tree) -> None:
    tree.python(".venv/bin/python")
    tree.compiler()
    assert tree.run().returncode == 0
    assert any("--editable .[dev,docs,examples,report,torch]" in call for call in tree.pip_calls())
    (tree.bin / "c++").unlink()  # a set-up that is complete needs no compiler
    again = tree.run()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert tree.pip_calls() == []


def test_changed_engine_sources_only_compile(tree: Tree) -> None:
    tree.python(".venv/bin/python")
    tree.compiler()
    assert tree.run().returncode == 0
    tree.pip_calls()
    tree.write("cuda_src/host/module.cpp", "int main() { return 0; }")
    assert tree.run().returncode == 0
    (call,) = tree.pip_calls()
    assert "--no-build-isolation --no-deps --editable ." in call


def test_modules_that_come_install_again(tree: Tree) -> None:
    """An editable installation knows the files of modules; one that became a folder is another file."""
    tree.python(".venv/bin/python")
    tree.compiler()
    assert tree.run().returncode == 0
    tree.pip_calls()
    tree.write("opalg/shapes.py", "# changed")
    assert tree.run().returncode == 0
    assert not tree.pip_calls()
    tree.write("opalg/shapes/__init__.py", "")
    assert tree.run().returncode == 0
    (call,) = tree.pip_calls()
    assert "--no-build-isolation --no-deps --editable ." in call


def test_changed_constraints_install_again(tree: Tree) -> None:
    tree.python(".venv/bin/python")
    tree.compiler()
    assert tree.run().returncode == 0
    tree.pip_calls()
    tree.write("constraints.txt", "torch==2.14.0")
    assert tree.run().returncode == 0
    assert len(tree.pip_calls()) == 2


def test_main_job_needs_no_torch(tree: Tree) -> None:
    """A set-up for tests serves the main job too, which by itself installs much less."""
    tree.python(".venv/bin/python")
    tree.compiler()
    assert tree.run("demo").returncode == 0
    assert any("--editable .[examples]" in call for call in tree.pip_calls())
    assert tree.run("dev").returncode == 0
    assert tree.pip_calls() != []
    assert tree.run("demo").returncode == 0
    assert tree.pip_calls() == []
