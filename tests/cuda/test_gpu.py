"""The CUDA engine on a GPU, beside the CPU engine; and, by test_on_stand_in.py, on a stand-in for a GPU.

Needs NumPy, SciPy, PyTorch, PyCUDA and pytest; CuPy for what concerns it. Nothing here may ask for more.
"""

import dataclasses
import gc
import os
import shutil
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo
from opalg.engines import compiler, cpu, cuda
from opalg.engines.cuda_schedule import plan_schedule
from opalg.engines.launches import launches
from opalg.errors import (
    ArgumentError,
    DeviceError,
    DeviceMemoryError,
    DtypeError,
    SpaceMismatchError,
)

torch = pytest.importorskip("torch", reason="the CUDA engine is tested with PyTorch's tensors")

pytestmark = [
    pytest.mark.gpu,
    # Other people's, of whatever version is on the machine. A failed clean-up of PyCUDA is a UserWarning.
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning"),
]
ON_STAND_IN = bool(os.environ.get("OPALG_STAND_IN"))

SLICE, VOLUME = (
    oa.Grid((37, 43), spacing=(1.1, 0.9)),
    oa.Grid((15, 21, 27), spacing=(1.2, 0.9, 1.1)),
)
HELIX = tomo.ConeBeam.helical(1.5, 12.0, 9, (11, 33), 1.7, 60.0, 110.0)
CASES = {
    "parallel 2D": (SLICE, tomo.ParallelBeam(23, 61, 1.1)),
    "parallel 3D": (VOLUME, tomo.ParallelBeam(11, (17, 41), 1.07)),
    "fan": (SLICE, tomo.FanBeam(23, 61, 1.7, sod=60.0, sdd=110.0)),
    "curved fan": (SLICE, tomo.FanBeam(23, 61, 1.7, sod=60.0, sdd=110.0, curved=True)),
    "cone": (VOLUME, tomo.ConeBeam(11, (19, 41), 1.7, sod=60.0, sdd=110.0)),
    "curved cone": (VOLUME, tomo.ConeBeam(11, (19, 41), 1.7, sod=60.0, sdd=110.0, curved=True)),
    "helix": (VOLUME, HELIX),
    "tilted cone": (VOLUME, tomo.rotate((1.0, 2.0, 3.0), 0.4) * HELIX),
}
# Every case is a kernel to compile, and the host's tests of kernels have them all.
QUICK = ("parallel 2D", "cone")


def cases(*names):
    names = names or tuple(CASES)
    return pytest.mark.parametrize(
        "case", [name for name in names if not ON_STAND_IN or name in QUICK] or names[:1]
    )


def directions(*wanted):
    return pytest.mark.parametrize("direction", wanted)


PRECISION = {"float32": 1e-5, "float64": 1e-12}


def plan_of(case, model="joseph"):
    grid, geometry = CASES[case]
    plan = tomo.XrayTransform(grid, geometry)._plan
    if model != "joseph":
        plan = plan if hasattr(plan, "model") else plan.as_rays()
        plan = dataclasses.replace(plan, model=model)
    return plan


def on_device(array, dtype=None):
    return (
        torch.from_numpy(np.array(array)).to("cuda").to(dtype or getattr(torch, array.dtype.name))
    )


def on_host(tensor):
    return tensor.detach().cpu().double().numpy()


def transform(case="parallel 2D", dtype="float32", **options):
    grid, geometry = CASES[case]
    return tomo.XrayTransform(grid.astype(dtype), geometry, **options)


def difference(a, b):
    """The largest difference, relative to the largest value."""
    return np.abs(a - b).max() / np.abs(b).max()


def both(direction, plan, batch=(), dtype="float32", **options):
    """What the engines make of the same random numbers: CUDA's, and the CPU's."""
    shapes = plan.volume_shape, plan.projection_shape
    source, target = shapes if direction == "project" else shapes[::-1]
    x = np.random.default_rng(1).standard_normal((*batch, *source)).astype(dtype)
    expected = np.full((*batch, *target), np.nan, dtype)
    getattr(cpu, direction)(plan, x, expected, **options)
    result = on_device(np.full_like(expected, np.nan))
    getattr(cuda, direction)(plan, on_device(x), result, **options)
    return on_host(result), expected


# --------------------------------------------------------------------------- agreement with the CPU
@directions("project", "backproject", "backproject_voxels")
@cases()
def test_agrees_with_the_cpu(case, direction):
    for dtype, precision in PRECISION.items():
        assert difference(*both(direction, plan_of(case), (), dtype)) < precision


@directions("project", "backproject", "backproject_voxels")
@cases("parallel 2D", "cone")
@pytest.mark.parametrize("batch", [(7,), (0,)] if ON_STAND_IN else [(1,), (2, 3), (7,), (0,)])
def test_batches_agree_with_the_cpu(case, direction, batch):
    result, expected = both(direction, plan_of(case), batch)
    assert result.shape == expected.shape
    assert not result.size or difference(result, expected) < 1e-5


@directions("project", "backproject")
@cases()
def test_siddon_agrees_with_the_cpu(case, direction):
    # In float32 a ray along the border of two voxels may be given to either.
    assert difference(*both(direction, plan_of(case, "siddon"), (), "float64")) < 1e-10


@directions("project", "backproject")
@cases()
def test_footprints_agree_with_the_cpu(case, direction):
    batch = () if ON_STAND_IN else (3,)
    for dtype, precision in PRECISION.items():
        assert difference(*both(direction, plan_of(case, "footprint"), batch, dtype)) < precision


@cases("fan", "cone", "curved cone")
def test_weighted_by_magnification_agrees_with_the_cpu(case):
    options = {"weight": "magnification"}
    assert difference(*both("backproject_voxels", plan_of(case), (2,), **options)) < 1e-5


@pytest.mark.parametrize("model", ["joseph", "footprint"])
@cases()
def test_adjoint(case, model):
    for dtype, precision in PRECISION.items():
        A = transform(case, dtype, model=model)
        x, y = (on_device(space.random(seed)) for seed, space in enumerate((A.domain, A.range)))
        Ax, Aty = A(x), A.H(y)
        error = abs(float((Ax * y).sum() - (x * Aty).sum()))
        assert error < precision * float(Ax.norm() * y.norm())


@cases("parallel 2D", "cone", "curved fan")
def test_voxel_driven_back_projection_has_its_transpose(case):
    A = transform(case, "float64")
    B = tomo.VoxelBackProjection(A, weighted=case != "parallel 2D")
    x, y = on_device(A.domain.random(0)), on_device(A.range.random(1))
    assert difference(on_host(B.H(x)), B.H(A.domain.random(0))) < 1e-10
    assert float((B(y) * x).sum()) == pytest.approx(float((y * B.H(x)).sum()), rel=1e-10)


@cases("parallel 2D", "fan", "cone")
def test_reconstructs(case):
    A = transform(case)
    y = A(A.domain.ones())
    method = (tomo.FDK if case == "cone" else tomo.FBP)(A)
    assert difference(on_host(method(on_device(y))), method(y)) < 2e-5
    sirt = solvers.SIRT(A, iterations=3)
    assert difference(on_host(sirt(on_device(y))), sirt(y)) < 2e-5


@pytest.mark.parametrize(("dtype", "precision"), [("float16", 2e-3), ("bfloat16", 1.6e-2)])
@directions("project", "backproject", "backproject_voxels")
def test_half_precision_is_rounded_once(direction, dtype, precision):
    """Storage has 11 or 8 bits, sums have 24: results are off by the rounding of operands and results."""
    plan = plan_of("cone")
    source, target = plan.volume_shape, plan.projection_shape
    if direction != "project":
        source, target = target, source
    x = on_device(np.random.default_rng(1).random((3, *source), "float32")).to(
        getattr(torch, dtype)
    )
    result = torch.empty((3, *target), dtype=x.dtype, device="cuda")
    getattr(cuda, direction)(plan, x, result)
    expected = np.empty(result.shape, "float32")
    getattr(cpu, direction)(plan, x.cpu().float().numpy(), expected)
    assert difference(on_host(result), expected) < precision / 2


def test_operators_take_half_precision_on_a_device():
    A = transform("cone")
    x = on_device(A.domain.random(0, batch=(2,))).half()
    y = A(x)
    assert (y.dtype, y.shape) == (torch.float16, (2, *A.range.shape))
    assert difference(on_host(y), A(x.cpu().float().numpy())) < 1e-3
    assert torch.equal(A(x, out=torch.empty_like(y)), y)
    assert A.H(y.bfloat16()).dtype == torch.bfloat16
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(A(x).float().sum(), x)
    assert torch.equal(gradient, A.H(torch.ones_like(y)))
    with pytest.raises(SpaceMismatchError, match=r"must have shape \(15, 21, 27\)"):
        A(x[..., 1:])
    with pytest.raises(DtypeError, match="out must have the dtype"):
        A(x.detach(), out=y.float())


@cases("parallel 2D", "parallel 3D", "curved fan", "cone")
def test_arrays_of_the_host_go_through_a_device(case):
    A = transform(case)
    B = transform(case, device="cuda")
    x, y = A.domain.random(0, batch=(2,)), A.range.random(1)
    calls = ((B, x, A(x)), (B.H, y, A.H(y)))
    for operator, operand, expected in calls:
        for _ in range(2):  # the second finds page-locked memory of the first
            result = operator(operand)
            assert type(result) is np.ndarray
            assert difference(result, expected) < 1e-5
    assert B[::2].device == "cuda"


@pytest.mark.parametrize(
    ("direction", "model"),
    [
        *((direction, "joseph") for direction in ("project", "backproject", "backproject_voxels")),
        *((direction, "footprint") for direction in ("project", "backproject")),
    ],
)
@cases("parallel 2D", "cone")
def test_a_limit_of_memory_is_kept_by_working_in_parts(case, direction, model):
    plan = plan_of(case, model)
    source, target = plan.volume_shape, plan.projection_shape
    if direction != "project":
        source, target = target, source
    x = np.random.default_rng(0).standard_normal((2, *source)).astype("float32")
    expected = np.empty((2, *target), "float32")
    getattr(cpu, direction)(plan, x, expected)
    whole = x[0].nbytes + expected[0].nbytes
    devices = (0, 1)[: torch.cuda.device_count()]
    for limit, chosen in ((4 * whole, (0,)), (whole, devices), (whole // 2, (0,))):
        schedule = plan_schedule(direction, plan, "float32", limit, len(chosen))
        assert schedule.bytes <= limit
        result = np.full_like(expected, np.nan)
        cuda.run_on_host(direction, plan, x, result, chosen, limit)
        assert difference(result, expected) < 1e-5
    assert len(schedule.parts) > 1
    with pytest.raises(
        ArgumentError, match="memory_limit is 100 bytes, and the smallest parts need"
    ):
        cuda.run_on_host(direction, plan, x, result, (0,), 100)


@cases()
def test_texture_units_round_weights(case):
    """They keep 8 bits of the position between two voxels: weights are off by up to 1/512."""
    A = transform(case, interpolation="texture")
    assert not A.exact_adjoint
    x = A.domain.random(0)
    assert 0 < difference(on_host(A(on_device(x))), A(x)) < 1 / 128
    y = A.range.random(0)
    B = tomo.VoxelBackProjection(A)
    assert 0 < difference(on_host(B(on_device(y))), B(y)) < 1 / 128


# --------------------------------------------------------------------------- what follows the input
def test_the_lines_that_users_write():
    grid = oa.Grid((512, 512), spacing=0.5) if not ON_STAND_IN else oa.Grid((52, 52), spacing=0.5)
    n = grid.shape[0]
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=n // 2, detector=3 * n // 2, pitch=0.5))
    # fmt: off
    xg = torch.rand(n, n, device="cuda"); yg = A(xg)      # noqa: E702
    At = tomo.XrayTransform(grid, A.geometry, interpolation="texture")
    # fmt: on
    assert yg.device == xg.device
    assert difference(on_host(yg), A(xg.cpu().numpy())) < 1e-5
    assert difference(on_host(At(xg)), on_host(yg)) < 1e-2


def test_results_follow_the_input():
    A = transform()
    x = on_device(A.domain.random(0, batch=(2,)))
    y = A(x)
    assert (type(y), y.device, y.dtype, y.is_contiguous()) == (type(x), x.device, x.dtype, True)
    out = torch.empty_like(y)
    assert A(x, out=out) is out
    assert torch.equal(out, y)


def test_layouts_that_are_not_contiguous_are_read_right():
    A = transform()
    x = on_device(A.domain.random(0, batch=(4,)))
    assert torch.equal(A(x[::2]), A(x[::2].contiguous()))
    turned = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    assert not turned.is_contiguous()
    assert torch.equal(A(turned), A(x))
    wide = torch.zeros(*A.range.shape, 2, device="cuda")[..., 0]
    A(x[0], out=wide)
    assert torch.equal(wide, A(x[0]))


def test_bits_are_those_of_the_first_call():
    A = transform("cone")
    y = on_device(A.range.random(0))
    assert torch.equal(A.H(y), A.H(y))


def test_gradients_of_first_and_second_order():
    A = tomo.XrayTransform(oa.Grid((5, 6), dtype="float64"), tomo.FanBeam(4, 9, 1.0, 20.0, 30.0))
    x = torch.rand(2, 5, 6, dtype=torch.float64, device="cuda", requires_grad=True)
    assert torch.autograd.gradcheck(A, x)
    assert torch.autograd.gradgradcheck(lambda x: A(x) ** 2, x)
    (A(x) ** 2).sum().backward()
    assert torch.allclose(x.grad, 2 * A.H(A(x.detach())))


def test_gradients_through_reconstructions():
    A = tomo.XrayTransform(oa.Grid((5, 5), dtype="float64"), tomo.FanBeam(9, 9, 1.0, 20.0, 30.0))
    y = torch.rand(A.range.shape, dtype=torch.float64, device="cuda", requires_grad=True)
    assert torch.autograd.gradcheck(tomo.FBP(A), y)


@pytest.mark.parametrize("interpolation", ["software", "texture"])
def test_threads_use_one_operator(interpolation):
    A = transform("fan", interpolation=interpolation)
    images = [on_device(A.domain.random(seed)) for seed in range(4)]
    expected, results = [A(x) for x in images], []

    def work(k):
        for _ in range(20):
            results.append(bool(torch.equal(A(images[k]), expected[k])))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80


def test_work_is_ordered_on_the_callers_stream():
    """What stands on the stream before a call is done before it, and what comes after waits for it."""
    A = transform("cone")
    x = on_device(A.domain.random(0))
    expected = A(x)
    A.H(expected)
    torch.cuda.synchronize()
    for _ in range(3):
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            late = torch.zeros_like(x)
            torch.cuda._sleep(
                20_000_000
            )  # some 10 ms, in which a call out of order would read zeros
            late.copy_(x)
            y = A(late)
            late.zero_()  # would be read by a call that is late
            z = y.clone()
            y.zero_()
        side.synchronize()
        assert torch.equal(z, expected)


def test_calls_are_captured_into_graphs():
    A = transform("cone")
    x = on_device(A.domain.random(0))
    A.H(A(x))  # compiles and uploads
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = A(x)
        z = A.H(y)
    for seed in (1, 2):
        x.copy_(on_device(A.domain.random(seed)))
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(y, A(x))
        assert torch.equal(z, A.H(y))


def test_texture_units_are_captured_on_a_stream_that_was_used():
    A = transform("cone", interpolation="texture")
    x = on_device(A.domain.random(0))
    s = torch.cuda.Stream()
    s.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(s):
        A(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=s):
        y = A(x)
    for seed in (1, 2):
        x.copy_(on_device(A.domain.random(seed)))
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(y, A(x))


def test_the_first_call_cannot_be_captured():
    A = transform("fan")
    x = on_device(A.domain.random(0))
    graph = torch.cuda.CUDAGraph()
    with (
        pytest.warns(UserWarning, match="The CUDA Graph is empty")
        if not ON_STAND_IN
        else nullcontext(),
        pytest.raises(DeviceError, match="call the operator once"),
        torch.cuda.graph(graph),
    ):
        A(x)
    torch.cuda.synchronize()
    assert A(x).shape == A.range.shape  # and nothing is left of the attempt


# ---------------------------------------------------------------------------------- other libraries
def test_cupy_arrays():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    A = transform("cone")
    x = A.domain.random(0, batch=(2,))
    y = A(cupy.asarray(x))
    assert isinstance(y, cupy.ndarray)
    assert difference(y.get(), A(x)) < 1e-5
    assert difference(A.H(y[:, :, ::-1]).get(), A.H(A(x)[:, :, ::-1])) < 1e-5
    with cupy.cuda.Stream(non_blocking=True) as stream:
        late = cupy.asarray(x)
        later = A(late)
        late[...] = 0
        stream.synchronize()
    assert cupy.array_equal(later, y)
    fdk = tomo.FDK(A)
    assert difference(fdk(y).get(), fdk(A(x))) < 2e-5


class Foreign:
    """An array that says where its memory is, and nothing else."""

    def __init__(self, tensor, stream=None):
        self.tensor, self.shape = tensor, tuple(tensor.shape)
        self.dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
        self.__cuda_array_interface__ = {
            "data": (tensor.data_ptr(), False),
            "shape": self.shape,
            "strides": tuple(step * tensor.element_size() for step in tensor.stride()),
            "typestr": self.dtype.str,
            "version": 3,
            "stream": stream,
        }


def test_arrays_of_unknown_libraries():
    A = transform()
    x = on_device(A.domain.random(0))
    torch.cuda.synchronize()
    y = torch.zeros(A.range.shape, device="cuda")
    cuda.project(A._plan, Foreign(x), Foreign(y))
    torch.cuda.synchronize()
    assert torch.equal(y, A(x))
    with pytest.raises(ArgumentError, match="must be C-contiguous"):
        cuda.project(A._plan, Foreign(x.T.contiguous().T), Foreign(y))


class ForeignDLPack:
    """An array that can hand out its memory by DLPack, and nothing else."""

    def __init__(self, tensor):
        self.tensor, self.shape = tensor, tuple(tensor.shape)

    def __dlpack_device__(self):
        return (2, 0)  # CUDA

    def __dlpack__(self, stream):
        return self.tensor.__dlpack__(stream=None if ON_STAND_IN else stream)


def test_arrays_that_speak_dlpack_only():
    A = transform()
    x = on_device(A.domain.random(0, batch=(2,)))
    y = torch.zeros(2, *A.range.shape, device="cuda")
    cuda.project(A._plan, ForeignDLPack(x), ForeignDLPack(y))
    torch.cuda.synchronize()
    assert torch.equal(y, A(x))
    with pytest.raises(ArgumentError, match="must be C-contiguous"):
        cuda.project(A._plan, ForeignDLPack(x.mT.contiguous().mT), ForeignDLPack(y))
    with pytest.raises(DtypeError, match="not int64"):
        cuda.project(A._plan, ForeignDLPack(x.long()), ForeignDLPack(y))


def test_gpuarrays():
    """In the primary context, where PyCUDA works together with others."""
    import pycuda.driver as driver
    from pycuda import gpuarray

    A = transform()
    x = A.domain.random(0)
    A(on_device(x))
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        y = A(gpuarray.to_gpu(x))
        assert isinstance(y, gpuarray.GPUArray)
        assert difference(y.get(), A(x)) < 1e-5
        del y
        gc.collect()
    finally:
        driver.Context.pop()
        context.detach()


# ------------------------------------------------------------------------------------------- errors
def test_errors_name_what_is_wrong():
    plan = plan_of("parallel 2D")
    x = torch.zeros(plan.volume_shape, device="cuda")
    y = torch.zeros(plan.projection_shape, device="cuda")
    with pytest.raises(ArgumentError, match="ndarray is not in the memory of a CUDA device"):
        cuda.project(plan, np.zeros(plan.volume_shape, "float32"), y)
    with pytest.raises(ArgumentError, match=r"must have shape \(\.\.\., 37, 43\)"):
        cuda.project(plan, x[1:], y)
    with pytest.raises(ArgumentError, match="leading axes"):
        cuda.project(plan, x, y.repeat(2, 1, 1))
    with pytest.raises(DtypeError, match="must agree"):
        cuda.project(plan, x, y.double())
    with pytest.raises(DtypeError, match="not int32"):
        cuda.project(plan, x.int(), y)
    with pytest.raises(ArgumentError, match="out must be C-contiguous"):
        cuda.project(plan, x, y.T.contiguous().T)


def test_too_little_memory_is_told():
    A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(4096, 1 << 16))
    x = torch.ones(8, 8, device="cuda")  # 1 GiB of results
    torch.cuda.set_per_process_memory_fraction(0.001)
    torch.cuda.empty_cache()
    try:
        with pytest.raises(DeviceMemoryError, match=r" free, and 1 GiB are needed at once"):
            A(x)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_memory_of_a_plan_goes_with_it():
    """What is freed, and when, is seen by the stand-in, in check_driver.py."""
    grid, _ = CASES["cone"]
    x = torch.ones(grid.shape, device="cuda")
    device = cuda._device(0)

    def kept():
        gc.collect()
        return len(device._plans), len(device._gone)

    before = kept()[0]
    for views in range(30, 40):
        tomo.XrayTransform(grid, tomo.ConeBeam(views, (3, 5), 1.7, sod=60.0, sdd=110.0))(x)
        assert kept()[1] <= 1  # the last one waits for the next call that prepares something
    assert kept()[0] == before


@pytest.mark.skipif(
    ON_STAND_IN or torch.cuda.device_count() < 2,
    reason="needs two GPUs with PyTorch tensors on both",
)
def test_second_device():
    A = transform("cone")
    x = A.domain.random(0)
    y = A(torch.from_numpy(x).to("cuda:1"))
    assert y.device.index == 1
    assert difference(on_host(y), A(x)) < 1e-5


def test_memory_is_accessed_within_bounds():
    """On the stand-in the script only runs: over kernels on the host test_sanitized.py watches."""
    folders = [os.environ["PATH"], "/usr/local/cuda/bin"]
    if home := os.environ.get("CUDA_HOME"):
        folders.append(os.path.join(home, "bin"))
    tool = shutil.which("compute-sanitizer", path=os.pathsep.join(folders))
    if not (tool or ON_STAND_IN):
        pytest.skip("compute-sanitizer is not installed")
    watched = [] if ON_STAND_IN else [tool, "--tool", "memcheck", "--error-exitcode", "9"]
    script = str(Path(__file__).with_name("under_memcheck.py"))
    done = subprocess.run(
        [*watched, sys.executable, script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert "calls" in done.stdout
    assert ON_STAND_IN or "ERROR SUMMARY: 0 errors" in done.stdout


def test_nvrtc_compiles_what_nvcc_compiles(monkeypatch, tmp_path):
    monkeypatch.setenv("OPALG_CUDA_COMPILER", "nvrtc")
    monkeypatch.setenv("OPALG_CACHE_DIR", str(tmp_path))
    try:
        compiler.find_compiler()
    except DeviceError:
        pytest.skip("NVRTC is not installed")
    seen = set()
    for case in QUICK if ON_STAND_IN else CASES:
        for direction in ("project", "backproject", "backproject_voxels", "project_voxels"):
            for launch in launches(plan_of(case), direction, 1):
                if (launch.source, launch.defines) not in seen:
                    seen.add((launch.source, launch.defines))
                    compiler.compile_kernel(launch.source, launch.defines, "sm_90")
    assert len(list(tmp_path.glob("*.cubin"))) == len(seen)
