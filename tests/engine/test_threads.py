"""Threads: the same bits from any number of them, calls from many, Ctrl-C, settings."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from opalg.engines import cpu
from opalg.errors import ArgumentError


@pytest.fixture
def problem(joseph):
    angles = np.linspace(0, np.pi, 75, endpoint=False)
    return joseph.circular_plan((150, 130), 210, angles, 0.95, (0.2, 0.4))


def both(plan, x, y, threads=None):
    projections, volumes = np.empty_like(y), np.empty_like(x)
    cpu.project(plan, x, projections, threads=threads)
    cpu.backproject(plan, y, volumes, threads=threads)
    return projections, volumes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (20,)])
def test_bits_do_not_depend_on_the_number_of_threads(joseph, problem, dtype, batch):
    x, y = joseph.random_pair(problem, dtype, batch)
    expected = both(problem, x, y, threads=1)
    for threads in (2, 3, 7):
        for result, bits in zip(both(problem, x, y, threads=threads), expected, strict=True):
            np.testing.assert_array_equal(result, bits)


def test_calls_from_several_threads(joseph, problem):
    small = joseph.circular_plan((31, 64), 70, np.linspace(0, 3, 20))
    work = [
        (plan, *joseph.random_pair(plan, dtype, batch))
        for plan in (problem, small)
        for dtype in (np.float32, np.float64)
        for batch in ((), (18,))
    ]
    expected = [both(*item) for item in work]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda k: both(*work[k % len(work)]), range(4 * len(work))))
    for k, result in enumerate(results):
        for array, bits in zip(result, expected[k % len(work)], strict=True):
            np.testing.assert_array_equal(array, bits)


LONG_CALL = """
import numpy as np
from opalg.engines import cpu
angles = np.linspace(0, np.pi, 8000, endpoint=False)
c, s = np.cos(angles), np.sin(angles)
rays = np.stack([1024 - 1400 * c, 1024 - 1400 * s, c, s, -s, c], 1)
plan = cpu.ParallelPlan((2048, 2048), (2800,), rays, np.ones(8000))
image, sinogram = np.ones((2048, 2048)), np.zeros((8000, 2800))
call = {"project": lambda: cpu.project(plan, image, sinogram),
        "backproject": lambda: cpu.backproject(plan, sinogram, image)}[CALL]
print("go", flush=True)
try:
    call()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    cpu.project(plan.__class__((4, 4), (4,), rays[:1], np.ones(1)), np.ones((4, 4)), np.ones((1, 4)))
    print("alive", flush=True)
"""


@pytest.mark.parametrize("call", ["project", "backproject"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_stops_a_long_call(call, threads):
    program = LONG_CALL.replace("CALL", repr(call))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads},
    )
    with process:
        assert process.stdout.readline() == "go\n"
        time.sleep(0.3)
        assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        answer = process.stdout.readline()
        waited = time.monotonic() - start
        assert answer == "interrupted\n"
        assert process.stdout.readline() == "alive\n"
    assert waited < 1


def test_the_gil_is_released(joseph):
    plan = joseph.circular_plan((300, 300), 430, np.linspace(0, np.pi, 400), 1.0)
    x, y = joseph.random_pair(plan, np.float64, (4,))
    worker = threading.Thread(target=cpu.project, args=(plan, x, y), kwargs={"threads": 1})
    ticks = 0
    worker.start()
    while worker.is_alive():
        ticks += 1
        time.sleep(0.001)
    assert ticks > 3


@pytest.fixture
def default_threads():
    yield
    cpu.set_num_threads(None)


def test_number_of_threads(monkeypatch, default_threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if hasattr(os, "sched_getaffinity"):
        assert cpu.get_num_threads() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert cpu.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert cpu.get_num_threads() >= 1
    cpu.set_num_threads(5)
    assert cpu.get_num_threads() == 5
    with pytest.raises(ArgumentError, match="at least 1, not 0"):
        cpu.set_num_threads(0)
    assert cpu.get_num_threads() == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_can_project(joseph, problem):
    """Threads that wait for the next call do not exist in a child made by fork (as by data loaders): it
    starts its own."""
    program = """
import os, numpy as np
from opalg.engines import cpu
plan = cpu.ParallelPlan((300, 300), (300,), np.tile([[0, 0, 1, 0, .1, 1.]], (90, 1)), np.ones(90))
x, y = np.ones((300, 300)), np.empty((90, 300))
cpu.project(plan, x, y, threads=2)
child = os.fork()
if child == 0:
    z = np.empty_like(y)
    cpu.project(plan, x, z, threads=2)
    os._exit(0 if (z == y).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "0\n", result.stderr


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="this system does not list threads"
)
def test_calls_borrow_the_same_threads_again():
    """One call after the other needs one worker, two at once need two; the process ends quietly."""
    program = """
import os, threading, time, numpy as np
from opalg.engines import cpu
plan = cpu.ParallelPlan((300, 300), (300,), np.tile([[0, 0, 1, 0, .1, 1.]], (90, 1)), np.ones(90))
x, results = np.ones((300, 300)), [np.empty((90, 300)) for _ in range(4)]
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
def call(y):
    for _ in range(50):
        cpu.project(plan, x, y, threads=2)
call(results[0])
print(count() - before)
callers = [threading.Thread(target=call, args=(y,)) for y in results[1:]]
for caller in callers: caller.start()
for caller in callers: caller.join()
end = time.monotonic() + 10  # the callers themselves may take a moment to leave
while count() - before > 3 and time.monotonic() < end: time.sleep(0.01)
print(1 <= count() - before <= 3, all((y == results[0]).all() for y in results))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (result.stdout, result.stderr, result.returncode) == ("1\nTrue True\n", "", 0)
