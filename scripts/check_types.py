"""Check the types of opalg as it is installed.

The source tree maps ``solvers/`` to ``opalg.solvers``, which static tools cannot follow in an
editable installation. So the wheel is built and unpacked, mypy reads that, and the paths in its
messages are turned back into those of the source tree.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the source tree into `folder`, with the tools of this environment."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("opalg-*.whl")
    return wheel


def main() -> int:
    """Run mypy with the remaining arguments and give its exit status."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    mapping = settings["scikit-build"]["wheel"]["packages"]
    with tempfile.TemporaryDirectory() as scratch:
        installed = Path(scratch, "installed")
        with zipfile.ZipFile(build_wheel(Path(scratch, "wheel"))) as wheel:
            wheel.extractall(installed)
        command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
        command += ["--cache-dir", str(ROOT / ".mypy_cache"), "--package", "opalg", *sys.argv[1:]]
        # Run from the scratch folder: mypy would prefer the packages of the folder it is started
        # in.
        environment = {**os.environ, "MYPYPATH": str(installed)}
        result = subprocess.run(
            command, cwd=scratch, env=environment, capture_output=True, text=True, check=False
        )
    output = result.stdout
    # Longest target first, so that opalg/solvers/ becomes solvers/ before opalg/ is considered.
    for target, source in sorted(mapping.items(), key=lambda item: -len(item[0])):
        output = output.replace(f"installed/{target}/", f"{source}/")
    sys.stdout.write(output)
    sys.stderr.write(result.stderr)
    return result.returncode


if __name__ == "__main__":
    raise SystemExit(main())
