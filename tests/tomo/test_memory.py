"""What a projection holds is known before it runs; a limit is kept, on arrays on disk too."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.engines.parts import split
from opalg.errors import ArgumentError
from opalg.tomo.slabs import plan_slabs, run_parts

GRID = oa.Grid((36, 40, 44))
SLICE = oa.Grid((256, 240))
FAR = {"sod": 120.0, "sdd": 200.0}
CONE = tomo.ConeBeam(20, (31, 40), 2.0, **FAR)
TILTED = tomo.rotate("x", 0.3) * CONE
VOXELS = np.random.default_rng(0).random(GRID.shape) < 0.5

TRANSFORMS = {
    "parallel": lambda **o: tomo.XrayTransform(SLICE, tomo.ParallelBeam(60, 300), **o),
    "stack": lambda **o: tomo.XrayTransform(GRID, tomo.ParallelBeam(30, (30, 60), (1.3, 1.0)), **o),
    "fan": lambda **o: tomo.XrayTransform(
        SLICE, tomo.FanBeam(60, 300, 2.0, sod=400.0, sdd=600.0), **o
    ),
    "lines": lambda **o: tomo.XrayTransform(GRID, CONE, **o),
    "rays": lambda **o: tomo.XrayTransform(GRID, TILTED, **o),
    "siddon": lambda **o: tomo.XrayTransform(GRID, CONE, model="siddon", **o),
    "footprint": lambda **o: tomo.XrayTransform(GRID, CONE, model="footprint", **o),
    "footprint, rays": lambda **o: tomo.XrayTransform(GRID, TILTED, model="footprint", **o),
    "masks": lambda **o: tomo.XrayTransform(
        GRID, CONE, volume_mask=VOXELS, detector_mask=VOXELS[:20, :31, :40], **o
    ),
    "voxels, lines": lambda **o: tomo.VoxelBackProjection(tomo.XrayTransform(GRID, CONE, **o)),
    "voxels, pixels": lambda **o: tomo.VoxelBackProjection(
        tomo.XrayTransform(GRID, TILTED, **o), weighted=True
    ),
}
every = pytest.mark.parametrize("name", TRANSFORMS)


@pytest.fixture(autouse=True)
def one_thread():
    """Parts are small: starting threads for them takes longer than they do."""
    cpu.set_num_threads(1)
    yield
    cpu.set_num_threads(None)


def held(call, operand, out):
    """Bytes that a call makes, of NumPy and of the engine together, and those of its arguments."""
    made, scratch = peaks(call, operand, out)
    return made + scratch, operand.nbytes + out.nbytes


def peaks(call, operand, out):
    """Bytes that a call makes at most, of NumPy and of the engine, which need not be at one time."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    cpu.take_scratch_peak()
    try:
        call(operand, out=out)
        made = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return made, cpu.take_scratch_peak()


@every
@pytest.mark.parametrize("transposed", [False, True])
def test_the_cost_is_what_a_call_holds(name, transposed):
    A = TRANSFORMS[name]()
    call = A.H if transposed else A
    operand = np.ones(call.domain.shape, "float32")
    call(operand)  # loads what is loaded once
    made, arguments = held(call, operand, np.empty(call.range.shape, "float32"))
    told = call.cost().bytes
    assert made + arguments <= told + 20_000  # small Python objects, such as plans
    # And not much more is told: masks are held all the time, a cautious guess stands for NumPy's way.
    assert told < 1.2 * (made + arguments) + 2 * VOXELS.size


@every
def test_parts_give_the_same(name):
    A = TRANSFORMS[name]()
    rng = np.random.default_rng(1)
    for transposed in (False, True):
        plain = A.H if transposed else A
        x = rng.random(plain.domain.shape, "float32")
        expected = plain(x)
        hopeless = TRANSFORMS[name](memory_limit=1)
        with pytest.raises(ArgumentError, match="least that works") as error:
            (hopeless.H if transposed else hopeless)(x)
        least = int(str(error.value).split(" takes ")[1].split()[0])
        whole = plain.cost().bytes
        for limit in (whole, whole // 3):
            limited = TRANSFORMS[name](memory_limit=max(limit, least))
            call = limited.H if transposed else limited
            told = call.cost().bytes
            assert told <= max(limit, least)
            slabs = limited._slabs(None, transposed)
            assert (slabs is None) == (limit >= whole)
            out = np.full(call.range.shape, np.nan, "float32")
            made, _ = held(call, x, out)
            # Of the arguments only parts are in use; these are not counted here.
            assert made <= told + 60_000
            if slabs is None or (limited._is_projection(transposed) and len(slabs.planes) == 1):
                np.testing.assert_array_equal(out, expected)
            else:
                # float32 sums in another order: some units in the last place of the largest.
                np.testing.assert_allclose(out, expected, rtol=0, atol=3e-6 * expected.max())


@pytest.mark.parametrize(
    "name", ["parallel", "stack", "fan", "lines", "rays", "siddon", "footprint", "masks"]
)
def test_the_pair_stays_exact(name):
    whole = TRANSFORMS[name]()
    A = TRANSFORMS[name](memory_limit=whole.cost().bytes // 3)
    assert A._slabs(None, False) is not None
    x, y = A.domain.random(0), A.range.random(1)
    forward, back = A(x).astype(float), A.H(y).astype(float)
    difference = np.vdot(forward, y) - np.vdot(x, back)
    assert abs(difference) < 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y)
    batch = np.stack([x, 2 * x])
    np.testing.assert_array_equal(A(batch)[1], A(2 * x))


def test_tensors_subsets_and_values():
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(GRID, CONE, memory_limit=400_000)
    x = A.domain.random(0)
    np.testing.assert_array_equal(A(torch.from_numpy(x)).numpy(), A(x))
    assert A.subsets(2)[1].memory_limit == A.memory_limit
    assert "memory_limit=400000" in repr(A)
    oa.testing.check_operator(tomo.XrayTransform(oa.Grid((6, 7, 8)), CONE[:4], memory_limit=60_000))
    with pytest.raises(ArgumentError, match="positive number of bytes, got 'much'"):
        tomo.XrayTransform(GRID, CONE, memory_limit="much")


DISK = """
import resource, sys
import numpy as np
import opalg as oa
from opalg import tomo
from opalg.engines import cpu

folder, limit = sys.argv[1], int(sys.argv[2]) or None
n = 192
cpu.set_num_threads(1)
geometry = tomo.ConeBeam(4, (64, 64), 8.0, sod=800.0, sdd=1400.0)
A = tomo.XrayTransform(oa.Grid((n, n, n)), geometry, model="footprint", memory_limit=limit)
x = np.memmap(folder + "/x", "float32", "r", shape=(n, n, n))
y = np.memmap(folder + "/y", "float32", "w+", shape=A.range.shape)
back = np.memmap(folder + "/back", "float32", "w+", shape=(n, n, n))
small = tomo.XrayTransform(oa.Grid((8, 8, 8)), geometry[:1])
small(np.ones((8, 8, 8), "float32"))  # loads the engine
data = next(1024 * int(row.split()[1]) for row in open("/proc/self/status") if row.startswith("VmData"))
allowed = data + (16 << 20)  # of memory that is no file; this model copies the volume, 28 MB
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
A(x, out=y)
A.H(np.array(y), out=back)
print(float(y.max()), float(back.mean()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps the limit of memory that is used")
def test_volumes_on_disk_larger_than_memory(tmp_path):
    np.memmap(tmp_path / "x", "float32", "w+", shape=(192,) * 3)[:] = 1.0

    def run(limit):
        command = [sys.executable, "-c", DISK, str(tmp_path), str(limit)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    whole = run(0)
    assert whole.returncode != 0
    assert "MemoryError" in whole.stderr
    parts = run(8 << 20)
    assert parts.returncode == 0, parts.stderr
    longest, mean = map(float, parts.stdout.split())
    assert 192 < longest < 1.1 * 192  # millimetres through the cube
    assert mean > 0


def test_plans():
    def needs(planes, views):
        return 10 * (planes.stop - planes.start) + (views.stop - views.start) + 3

    assert plan_slabs(10, 20, needs, 123, "it").whole
    found = plan_slabs(10, 20, needs, 122, "it")
    assert (len(found.planes), len(found.views)) == (1, 2)  # the fewest slabs among equally many
    for limit in range(14, 124):
        found = plan_slabs(10, 20, needs, limit, "it")
        assert found.bytes <= limit
        assert [i for s in found.planes for i in range(s.start, s.stop)] == list(range(10))
        assert [i for s in found.views for i in range(s.start, s.stop)] == list(range(20))
    with pytest.raises(ArgumentError, match=r"memory_limit=13 bytes.*takes 14 in the smallest"):
        plan_slabs(10, 20, needs, 13, "it")
    # Slabs at the end may need more than that in the middle, by which the plan is made.
    uneven = plan_slabs(10, 20, lambda p, v: needs(p, v) * (2 if p.stop == 10 else 1), 60, "it")
    assert uneven.bytes <= 60


def test_parts_are_summed_into_the_result():
    matrix = np.arange(35.0).reshape(7, 5)
    x, y = np.arange(5.0), np.empty(7)

    def part(columns, rows, operand, target):
        target[...] = matrix[rows, columns] @ operand

    run_parts(part, x, y, split(5, 3), split(7, 2), np.empty_like)
    np.testing.assert_allclose(y, matrix @ x)


FILTERED = {
    "parallel": lambda **o: tomo.FBP(TRANSFORMS["parallel"](**o), window="hann"),
    "stack": lambda **o: tomo.FBP(TRANSFORMS["stack"](**o)),
    "fan": lambda **o: tomo.FBP(TRANSFORMS["fan"](**o)),
    "cone": lambda **o: tomo.FDK(TRANSFORMS["lines"](**o)),
    "moved": lambda **o: tomo.FBP(
        tomo.XrayTransform(
            SLICE, tomo.FanBeam(60, 200, 2.0, sod=400.0, sdd=600.0, offset=80.0), **o
        )
    ),
    "rolled": lambda **o: tomo.FDK(turned_detector(roll=0.3, **o)),
    "rolled in every view": lambda **o: tomo.FDK(turned_detector(roll=np.arange(20) / 50, **o)),
    "helix": lambda **o: tomo.FDK(along_a_helix(**o)),
    "filter for every view": lambda **o: tomo.FDK(TRANSFORMS["lines"](**o), filter=by_view()),
}


def turned_detector(roll, **options):
    A = TRANSFORMS["lines"](**options)
    return tomo.XrayTransform(A.domain, A.geometry.rotate_detector(roll=roll), **options)


def along_a_helix(**options):
    scan = tomo.ConeBeam.helical(4, 20.0, 16, (31, 40), 3.0, sod=150.0, sdd=250.0)
    return tomo.XrayTransform(oa.Grid((24, 20, 22), 1.5), scan, **options)


def by_view():
    space = TRANSFORMS["lines"]().range
    response = tomo.RampFilter(space, 2.0).response
    rising = np.linspace(0.5, 1.5, space.shape[0])[:, None, None] * response
    return tomo.FrequencyFilter(space, np.broadcast_to(rising, (20, 31, len(response))).astype("f"))


@pytest.mark.parametrize("name", FILTERED)
@pytest.mark.parametrize("transposed", [False, True])
def test_filtering_keeps_the_limit_too(name, transposed):
    plain = FILTERED[name]()
    call = plain.H if transposed else plain
    x = np.random.default_rng(1).standard_normal(call.domain.shape, "float32")
    expected = call(x)
    roomy = FILTERED[name](memory_limit=10**9)
    whole = (roomy.H if transposed else roomy).cost().bytes
    parts = set()
    for limit in (whole // 2, whole):
        limited = FILTERED[name](memory_limit=limit)
        call = limited.H if transposed else limited
        told = call.cost().bytes
        assert told <= limit
        out = np.full(call.range.shape, np.nan, "float32")
        call(x, out=out)  # makes what is made once
        made, _ = held(call, x, out)
        assert made <= told + 60_000
        slabs = limited._parts.backward if transposed else limited._parts.forward
        parts.add((len(slabs.planes), len(slabs.views)))
        # float32: factors and sums in another order
        np.testing.assert_allclose(out, expected, rtol=0, atol=3e-6 * abs(expected).max())
    assert (1, 1) in parts
    assert len(parts) == 2
    np.testing.assert_array_equal(call(np.stack([x, 2 * x]))[1], call(2 * x))


@pytest.mark.parametrize("name", FILTERED)
@pytest.mark.parametrize("transposed", [False, True])
def test_the_cost_of_filtering_is_what_a_call_holds(name, transposed):
    call = FILTERED[name]().H if transposed else FILTERED[name]()
    x = np.ones(call.domain.shape, "float32")
    call(x)  # makes what is made once
    made, scratch = peaks(call, x, None)
    told = call.cost().bytes
    assert made + x.nbytes <= told + 60_000
    # Filters and back projection make their peaks one after the other.
    assert told < 1.3 * (made + scratch + x.nbytes)


def test_too_little_for_filtering():
    with pytest.raises(ArgumentError, match=r"application of FDK, which takes .* least that works"):
        FILTERED["cone"](memory_limit=1)(CONE.space("float32").zeros())


def test_a_filter_of_another_kind_is_applied_at_once():
    """It may mix views, so that it cannot be cut into groups of them."""
    A = TRANSFORMS["lines"](memory_limit=400_000)
    mixes = tomo.RampFilter(A.range, 2.0) + 0.1 * oa.Identity(A.range)
    y = A.range.random(0)
    whole = tomo.FDK(TRANSFORMS["lines"](), filter=mixes)(y)
    np.testing.assert_allclose(tomo.FDK(A, filter=mixes)(y), whole, atol=3e-6 * abs(whole).max())


def test_filtering_of_tensors_and_data_on_disk(tmp_path):
    torch = pytest.importorskip("torch")
    limited, y = FILTERED["cone"](memory_limit=400_000), CONE.space("float32").random(0)
    expected = limited(y)
    np.testing.assert_allclose(limited(torch.from_numpy(y)), expected, atol=3e-6 * expected.max())
    disk = np.memmap(tmp_path / "y", "float32", "w+", shape=y.shape)
    disk[:] = y
    out = np.memmap(tmp_path / "x", "float32", "w+", shape=expected.shape)
    limited(disk, out=out)
    np.testing.assert_array_equal(out, expected)
    trained = torch.from_numpy(y).requires_grad_()
    limited(trained).sum().backward()
    assert trained.grad.shape == y.shape
