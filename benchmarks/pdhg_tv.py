"""Denoising with total variation by PDHG, beside the same iteration written by hand in NumPy, and ODL.

Usage: python benchmarks/pdhg_tv.py [--quick] [--repeat N] [--output FILE]

The hand-written loop uses preallocated arrays and ``out=`` throughout, as a careful person would write it.
All minimise ``|x - y|^2 / 2 + 0.1 TV(x)`` with isotropic total variation in float32, with fixed steps and
without a stop rule, and take turns, so that a busy moment of the machine hits them alike; numbers are
medians. ODL is left out where it is not installed.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np

import opalg as oa
from opalg import functionals as fn
from opalg import solvers

RESULTS = Path(__file__).parent / "results" / "pdhg_tv.json"
STRENGTH = 0.1
STEP = float(1 / np.sqrt(8))
TARGETS = {256: 1.3, 1024: 1.1}  # times the hand-written loop


def by_hand(y: np.ndarray, iterations: int) -> np.ndarray:
    """PDHG with arrays made once."""
    tau = sigma = np.float32(STEP)
    x, new, bar = np.zeros_like(y), np.empty_like(y), np.empty_like(y)
    px, py = np.zeros_like(y), np.zeros_like(y)
    gx, gy, size = np.zeros_like(y), np.zeros_like(y), np.empty_like(y)
    strength, weight = np.float32(STRENGTH), np.float32(1 / (1 + STEP))
    for _ in range(iterations):
        # new = (x + tau * div(p) + tau * y) / (1 + tau)
        np.subtract(px[1:-1], px[:-2], out=new[1:-1])
        new[0], new[-1] = px[0], -px[-2]
        new[:, 1:-1] += py[:, 1:-1]
        new[:, 1:-1] -= py[:, :-2]
        new[:, 0] += py[:, 0]
        new[:, -1] -= py[:, -2]
        new += y
        new *= tau
        new += x
        new *= weight
        # bar = 2 * new - x
        np.multiply(new, np.float32(2), out=bar)
        bar -= x
        x, new = new, x
        # p = project(p + sigma * grad(bar))
        np.subtract(bar[1:], bar[:-1], out=gx[:-1])
        np.subtract(bar[:, 1:], bar[:, :-1], out=gy[:, :-1])
        gx *= sigma
        gy *= sigma
        px += gx
        py += gy
        np.multiply(px, px, out=size)
        np.multiply(py, py, out=gx)
        size += gx
        np.sqrt(size, out=size)
        size /= strength
        np.maximum(size, np.float32(1), out=size)
        px /= size
        py /= size
        gx[-1] = 0
    return x


def library(y: np.ndarray, iterations: int) -> np.ndarray:
    """The same with opalg."""
    X = oa.Space(y.shape)
    G = oa.Gradient(X)
    solver = solvers.PDHG(
        oa.Identity(X),
        regularizer=STRENGTH * fn.GroupL1(G.range) @ G,
        primal_step=STEP,
        dual_step=STEP / (1 + 1e-6),
        accelerated=False,
        iterations=iterations,
    )
    return solver(y)


def with_odl(y: np.ndarray, iterations: int) -> np.ndarray:
    """The same with ODL's solver."""
    import odl
    from odl.functionals import GroupL1Norm, L2NormSquared
    from odl.solvers import pdhg

    X = odl.uniform_discr([0, 0], list(y.shape), y.shape, dtype="float32")
    G = odl.Gradient(X, pad_mode="symmetric")
    x = X.zero()
    f = 0.5 * L2NormSquared(X).translated(X.element(y))
    pdhg(x, f, STRENGTH * GroupL1Norm(G.range), G, iterations, tau=STEP, sigma=STEP)
    return np.asarray(x.data)


def measure(size: int, iterations: int, repeat: int) -> dict:
    """Median seconds per iteration of both, in turn, and how far their results differ."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((size, size), dtype="float32")
    y[size // 4 : size // 2, size // 4 : size // 2] += 2
    methods = {"NumPy": by_hand, "opalg": library}
    try:
        with_odl(y, 1)
        methods["ODL"] = with_odl
    except Exception as error:  # another version, or not installed: said in the table
        print(f"ODL is left out: {type(error).__name__}: {error}")
    seconds = {name: [] for name in methods}
    results = {}
    for name, method in methods.items():
        results[name] = method(y, 3)
    for _ in range(repeat):
        for name, method in methods.items():
            start = time.perf_counter()
            results[name] = method(y, iterations)
            seconds[name].append((time.perf_counter() - start) / iterations)
    found = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = [a / b for a, b in zip(seconds["opalg"], seconds["NumPy"], strict=True)]
    return {
        "size": size,
        "iterations": iterations,
        "seconds_per_iteration": found,
        "ratio": statistics.median(ratios),
        "ratio_of_minima": min(seconds["opalg"]) / min(seconds["NumPy"]),
        "target": TARGETS.get(size),
        "relative_difference": float(
            np.linalg.norm(results["opalg"] - results["NumPy"]) / np.linalg.norm(results["NumPy"])
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer iterations and repetitions")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    repeat = 3 if arguments.quick else arguments.repeat
    load = os.getloadavg()
    rows = [
        measure(size, (20 if arguments.quick else 100) * 256 // size, repeat)
        for size in (256, 1024)
    ]
    names = list(rows[0]["seconds_per_iteration"])
    print(
        f"{'':12}" + "".join(f"{name + ' ms':>12}" for name in names) + f"{'ratio':>8}{'target':>8}"
    )
    for row in rows:
        cells = "".join(f"{1e3 * row['seconds_per_iteration'][name]:12.3f}" for name in names)
        print(f"{row['size']:>5} x {row['size']:<4}{cells}{row['ratio']:8.2f}{row['target']:8.1f}")
    record = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "load_before": load,
        "repeat": repeat,
        "rows": rows,
    }
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
