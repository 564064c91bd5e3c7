"""Run every benchmark of this folder, one after the other, and say how each went.

Usage: python benchmarks/run.py [--quick] [NAME ...]

Each script prints its own table and writes its numbers, with the machine they belong to, into
benchmarks/results/. With --quick all is small, to see that it runs, and nothing is kept.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    scripts = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem != "run"}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(scripts)}")
    parser.add_argument("--quick", action="store_true", help="small and few: does it run?")
    options = parser.parse_args()
    if unknown := set(options.names) - scripts.keys():
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; see --help")

    chosen = options.names or list(scripts)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 0.5 * cores and not options.quick:
        print(f"The machine is busy (load {load:.1f} on {cores} cores): times will be too long.\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if options.quick else HERE / "results"
        rows = [
            run(scripts[name], folder, options.quick, i, chosen) for i, name in enumerate(chosen, 1)
        ]
    width = max(len(name) for name in chosen)
    print("\nSummary")
    for name, outcome, seconds in rows:
        print(f"  {name:<{width}}  {outcome:<16}  {seconds:7.1f} s")
    return int(any(outcome != "done" for _, outcome, _ in rows))


def run(
    script: Path, folder: Path, quick: bool, number: int, chosen: list[str]
) -> tuple[str, str, float]:
    """Run one script in a process of its own, its table going to the screen."""
    print(f"\n[{number}/{len(chosen)}] {script.stem}\n", flush=True)
    command = [sys.executable, str(script), "--output", str(folder / f"{script.stem}.json")]
    start = time.perf_counter()
    status = subprocess.run(command + ["--quick"] * quick, check=False).returncode
    outcome = "done" if status == 0 else f"failed ({status})"
    return script.stem, outcome, time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
