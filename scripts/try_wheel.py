"""Build a wheel, install it in an environment of its own, and see that it works there.

``--from tree`` builds from the source tree with the tools of this environment (quick). ``--from
sdist`` makes the source archive first and builds from it alone, in isolation, as pip does for a
user without a matching wheel: this proves that the archive is complete and that ``[build-system]``
names everything the build needs. Both leave their files in ``dist/``.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"

# The archives hold code and documentation. Larger ones have caught test data or build results.
MAX_SDIST_MB = 2.0
MAX_WHEEL_MB = 5.0


def say(message: str) -> None:
    """Print a line at once: the programs run from here write to the same output."""
    print(f"==> {message}", flush=True)


def newest(folder: Path, pattern: str) -> Path:
    """Give the file just built."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def build_sdist() -> Path:
    """Build the source archive and check its size."""
    say("Building the source archive")
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", DIST, ROOT],
        check=True,
    )
    sdist = newest(DIST, "opalg-*.tar.gz")
    check_size(sdist, MAX_SDIST_MB)
    return sdist


def build_wheel(source: Path, isolated: bool) -> Path:
    """Build a wheel from a source tree or archive and check its size."""
    say(f"Building a wheel from {source.name}")
    options = [] if isolated else ["--no-build-isolation"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        *options,
        "--wheel-dir",
        DIST,
        source,
    ]
    subprocess.run(command, check=True)
    wheel = newest(DIST, "opalg-*.whl")
    check_size(wheel, MAX_WHEEL_MB)
    return wheel


def check_size(path: Path, limit: float) -> None:
    """Stop when an archive is larger than it has reason to be."""
    size = path.stat().st_size / 1e6
    say(f"{path.name}: {size:.2f} MB")
    if size > limit:
        raise SystemExit(
            f"{path.name} is {size:.2f} MB, more than {limit} MB: it holds more than code."
        )


def try_wheel(wheel: Path) -> None:
    """Install `wheel` without extras, and run the smoke test far from the source tree."""
    with tempfile.TemporaryDirectory() as scratch:
        say("Installing the wheel in a fresh environment, without extras")
        venv.create(Path(scratch, "env"), with_pip=True)
        python = Path(scratch, "env", "Scripts" if os.name == "nt" else "bin", "python")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel],
            check=True,
        )
        subprocess.run([python, "-m", "pip", "check"], check=True)
        smoke_test = shutil.copy(ROOT / "scripts" / "smoke_test.py", scratch)
        # -I: neither the current folder nor PYTHONPATH may lend the wheel a file that it lacks.
        subprocess.run([python, "-I", smoke_test], cwd=scratch, check=True)


def main() -> None:
    """Build and try one wheel."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", choices=["tree", "sdist"], required=True)
    try:
        if parser.parse_args().source == "sdist":
            try_wheel(build_wheel(build_sdist(), isolated=True))
        else:
            try_wheel(build_wheel(ROOT, isolated=False))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"This command failed: {' '.join(map(str, error.cmd))}") from None


if __name__ == "__main__":
    main()
