"""What the algebra costs on small arrays: expressions beside the same arithmetic written in NumPy.

Usage: python benchmarks/algebra_overhead.py [--quick] [--output FILE]

Prints a table (medians over repeats, microseconds) and writes it to a JSON file. The promise: at most
10 microseconds over NumPy for ``(2 * D + I)(x)`` on 1 000 doubles, 1 for an adjoint that was made
before, 50 for building the expression.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import opalg as oa

RESULTS = Path(__file__).parent / "results" / "algebra_overhead.json"
SIZE = 1000


def measure(function: Callable[[], Any], loops: int = 2000, repeats: int = 15) -> float:
    """Median time of one call."""
    for _ in range(50):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(loops):
            function()
        times.append((time.perf_counter() - start) / loops * 1e6)
    return statistics.median(times)


def rows(repeats: int) -> dict[str, dict[str, float | None]]:
    microseconds = partial(measure, repeats=repeats)
    X = oa.Space(SIZE, "float64")
    x, w = X.random(0), X.random(1)
    out = X.empty()
    D, W, I = oa.PartialDerivative(X, 0), oa.Diagonal(w), oa.Identity(X)
    derivative, diagonal = 2 * D + I, 2 * W + I

    def numpy_derivative() -> Any:
        y = np.empty_like(x)
        np.subtract(x[1:], x[:-1], out=y[:-1])
        y[-1] = 0
        y *= 2
        y += x
        return y

    def numpy_diagonal() -> Any:
        y = w * x
        y *= 2
        y += x
        return y

    np.testing.assert_allclose(derivative(x), numpy_derivative())
    np.testing.assert_allclose(diagonal(x), numpy_diagonal())
    peer = pylops_operators(w)
    hand = {"derivative": microseconds(numpy_derivative), "diagonal": microseconds(numpy_diagonal)}
    found: dict[str, dict[str, float | None]] = {}
    for name, operator in (("derivative", derivative), ("diagonal", diagonal)):
        theirs = peer.get(name)
        found[f"(2 * D + I)(x), D a {name}"] = {
            "opalg": microseconds(partial(operator, x)),
            "opalg, out=": microseconds(partial(operator, x, out=out)),
            "numpy": hand[name],
            "pylops": None if theirs is None else microseconds(partial(theirs.__matmul__, x)),
        }
    A = 2 * D + I
    _ = A.H
    found["A.H, made before"] = {"opalg": microseconds(lambda: A.H)}
    found["2 * D + I, construction"] = {"opalg": microseconds(lambda: 2 * D + I)}
    found["hash of a new expression"] = {"opalg": microseconds(lambda: hash(2 * D + I), loops=500)}
    found["D(x)"] = {"opalg": microseconds(lambda: D(x)), "numpy": microseconds(lambda: np.diff(x))}
    return found


def pylops_operators(weight: Any) -> dict[str, Any]:
    try:
        import pylops
    except ImportError:
        return {}
    identity = pylops.Identity(SIZE)
    first = pylops.FirstDerivative(SIZE, kind="forward", dtype="float64")
    return {"derivative": 2 * first + identity, "diagonal": 2 * pylops.Diagonal(weight) + identity}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions: does it run?")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    columns = ("opalg", "opalg, out=", "numpy", "pylops")
    table = rows(repeats=2 if options.quick else 15)
    print(f"microseconds, {SIZE} doubles, NumPy {np.__version__}")
    print(f"{'':36}" + "".join(f"{column:>14}" for column in columns))
    for name, row in table.items():
        cells = (row.get(column) for column in columns)
        print(
            f"{name:36}" + "".join(f"{'' if cell is None else f'{cell:.2f}':>14}" for cell in cells)
        )
    options.output.parent.mkdir(exist_ok=True)
    machine = {
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    options.output.write_text(
        json.dumps({"machine": machine, "microseconds": table}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
