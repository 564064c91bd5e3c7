"""Gradient, divergence and the dual step of total variation: the engine beside NumPy, and beside memory.

Usage: python benchmarks/differences.py [--quick] [--repeat N] [--output FILE]

The NumPy functions are written as a careful person would: every result in memory made before, ``out=``
throughout. Both take turns, so that a busy moment of the machine hits them alike; times are the shortest of
all repetitions (the file holds the medians, too).

The floor is the time in which memory moves what has to be moved: every operand read once and every result
written once, at the bandwidth of copies between as many arrays of that size, by as many threads. (The dual
step may fall below it: what it writes it has read, while a copy fetches lines only to overwrite them.)
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import opalg as oa
from opalg import functionals as fn
from opalg.engines import cpu

RESULTS = Path(__file__).parent / "results" / "differences.json"
SHAPES = ((512, 512), (256, 256, 256))
RADIUS, SIGMA = 0.1, 0.3
TARGET = 3.0


def along(axis, ndim, start, stop):
    """The index of samples start to stop along an axis."""
    index = [slice(None)] * ndim
    index[axis] = slice(start, stop)
    return tuple(index)


def numpy_gradient(x, out):
    for axis, part in enumerate(out):
        behind, before = along(axis, x.ndim, 1, None), along(axis, x.ndim, None, -1)
        np.subtract(x[behind], x[before], out=part[before])


def numpy_divergence(p, out):
    for axis, part in enumerate(p):
        first, last = along(axis, out.ndim, 0, 1), along(axis, out.ndim, -1, None)
        inner, shifted = along(axis, out.ndim, 1, -1), along(axis, out.ndim, None, -2)
        before = along(axis, out.ndim, -2, -1)
        if axis == 0:
            np.subtract(part[inner], part[shifted], out=out[inner])
            out[first] = part[first]
            np.negative(part[before], out=out[last])
        else:
            out[inner] += part[inner]
            out[inner] -= part[shifted]
            out[first] += part[first]
            out[last] -= part[before]


def numpy_dual_step(x, p, g, size):
    """p <- p + sigma grad(x), cut to the length of the radius; ``g``, ``size`` are scratch."""
    numpy_gradient(x, g)
    for axis, (part, step) in enumerate(zip(p, g, strict=True)):
        step[along(axis, x.ndim, -1, None)] = 0
        step *= np.float32(SIGMA)
        part += step
    np.multiply(p[0], p[0], out=size)
    for part in p[1:]:
        np.multiply(part, part, out=g[0])
        size += g[0]
    np.sqrt(size, out=size)
    size /= np.float32(RADIUS)
    np.maximum(size, np.float32(1), out=size)
    for part in p:
        part /= size


def bandwidth(shape, arrays, threads, repeat):
    """Bytes per second, read and written, of copies between so many arrays of a shape."""
    pool = [np.ones(shape, "float32") for _ in range(arrays)]
    cuts = np.linspace(0, shape[0], threads + 1).astype(int)
    pieces = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    rounds = max(
        1, 2**22 // pool[0].size
    )  # so many copies that starting the threads does not count

    def copies(piece):
        for k in range(rounds * arrays):
            np.copyto(pool[(k + 1) % arrays][piece], pool[k % arrays][piece])

    seconds = []
    with ThreadPoolExecutor(threads) as workers:
        for _ in range(repeat):
            start = time.perf_counter()
            list(workers.map(copies, pieces))
            seconds.append(time.perf_counter() - start)
    return 2 * pool[0].nbytes * rounds * arrays / min(seconds)


def measure(shape, repeat):
    """One row for each of the three, after a check that both find the same."""
    X = oa.Space(shape)
    G, divergence, ball = oa.Gradient(X), oa.Divergence(X), fn.GroupBall(X ** len(shape), RADIUS)
    x, y, size = X.random(0), X.zeros(), X.empty()
    p, q, g = G.range.random(1), G.range.random(1), G.range.zeros()
    mine, parts = G.range.zeros(), len(shape)
    ways = {  # name: (NumPy, opalg, arrays read and written)
        "gradient": (lambda: numpy_gradient(x, g), lambda: G(x, out=mine), 1 + parts),
        "divergence": (lambda: numpy_divergence(p, y), lambda: divergence(p, out=size), parts + 1),
        "dual step": (
            lambda: numpy_dual_step(x, p, g, size),
            lambda: ball._ascend(G, x, q, SIGMA, q),
            1 + 2 * parts,
        ),
    }
    rows = []
    for name, (by_numpy, by_opalg, moved) in ways.items():
        by_numpy(), by_opalg()
        found = {"gradient": (g, mine), "divergence": ([y], [size]), "dual step": (p, q)}[name]
        difference = max(float(abs(a - b).max()) for a, b in zip(*found, strict=True))
        seconds = {"NumPy": [], "opalg": []}
        many = max(1, 2**23 // X.size)  # small fields stay in the caches, as in an iteration
        for _ in range(repeat):
            for way, run in (("NumPy", by_numpy), ("opalg", by_opalg)):
                start = time.perf_counter()
                for _ in range(many):
                    run()
                seconds[way].append((time.perf_counter() - start) / many)
        medians = {way: statistics.median(values) for way, values in seconds.items()}
        least = {way: min(values) for way, values in seconds.items()}
        speed = bandwidth(shape, min(moved, 4), cpu.get_num_threads(), 5)
        floor = moved * 4 * X.size / speed
        rows.append(
            {
                "operation": name,
                "shape": shape,
                "seconds": least,
                "median_seconds": medians,
                "times_faster": least["NumPy"] / least["opalg"],
                "times_faster_by_medians": medians["NumPy"] / medians["opalg"],
                "target": TARGET,
                "greatest_difference": difference,
                "bytes_to_move": moved * 4 * X.size,
                "bandwidth": speed,
                "seconds_to_move": floor,
                "times_the_floor": least["opalg"] / floor,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller volumes")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    load = os.getloadavg()
    shapes = ((512, 512), (64, 64, 64)) if arguments.quick else SHAPES
    rows = [
        row
        for shape in shapes
        for row in measure(shape, 3 if arguments.quick else arguments.repeat)
    ]
    print(
        f"{'':14}{'':12}{'NumPy ms':>10}{'opalg ms':>10}{'faster':>8}{'floor ms':>10}{'to floor':>10}"
    )
    for row in rows:
        times = [1e3 * row["seconds"][way] for way in ("NumPy", "opalg")]
        print(
            f"{' x '.join(map(str, row['shape'])):14} {row['operation']:11}"
            f"{times[0]:10.3f}{times[1]:10.3f}{row['times_faster']:8.1f}"
            f"{1e3 * row['seconds_to_move']:10.3f}{row['times_the_floor']:10.1f}"
        )
    record = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": cpu.get_num_threads(),
            "instruction_set": cpu.active_instruction_set(),
        },
        "numpy": np.__version__,
        "load_before": load,
        "repeat": arguments.repeat,
        "rows": rows,
    }
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
