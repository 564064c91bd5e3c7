"""Tensors: the same numbers, and gradients through the unrolled steps."""

import numpy as np
import pytest

import opalg as oa
from opalg import solvers
from opalg.errors import ArgumentError

torch = pytest.importorskip("torch")


class Plain(solvers.Solver):
    """Steepest descent with exact line search, written with buffers."""

    def step(self, state, y):
        A, X, Y = self.operator, self.operator.domain, self.operator.range
        r = A(state.x, out=state.buffer("r", Y))
        r = Y.lincomb(1, y, -1, r, out=state.buffer("r", Y))
        g = A.H(r, out=state.buffer("g", X))
        q = A(g, out=state.buffer("q", Y))
        x = X.lincomb(1, state.x, X.inner(g, g) / Y.inner(q, q), g, out=state.buffer("x", X))
        return state.advance(x=x)


SOLVERS = {
    "user's": lambda A, **kw: Plain(A, **kw),
    "Landweber": solvers.Landweber,
    "SIRT": lambda A, **kw: solvers.SIRT(A, relaxation=1.3, **kw),
    "SIRT with bounds": lambda A, **kw: solvers.SIRT(A, minimum=0.0, maximum=0.5, **kw),
    "OSSART": lambda A, **kw: solvers.OSSART(A, subsets=3, **kw),
    "OSSIRT": lambda A, **kw: solvers.OSSIRT(A, subsets=3, **kw),
    "Cimmino": lambda A, **kw: solvers.Cimmino(A, row_norms=A.range.ones(), **kw),
    "CGLS": solvers.CGLS,
    "LSQR": lambda A, **kw: solvers.LSQR(A, damp=0.3, **kw),
    "LSMR": lambda A, **kw: solvers.LSMR(A, damp=0.3, **kw),
    "ABGMRES": solvers.ABGMRES,
    "BAGMRES": solvers.BAGMRES,
    "CG": lambda A, **kw: solvers.CG(A.gram + 0.1 * oa.Identity(A.domain), **kw),
}
every_solver = pytest.mark.parametrize("make", SOLVERS.values(), ids=SOLVERS.keys())


def data_for(solver, problem):
    y = problem.y if solver.domain == problem.A.range else problem.A.H(problem.y)
    return torch.from_numpy(y)


def close(a, b):
    # Sums are formed in another order by the two libraries.
    eps = float(np.finfo(np.asarray(b).dtype).eps)
    np.testing.assert_allclose(a, b, rtol=0, atol=200 * eps * float(abs(np.asarray(b)).max()))


@every_solver
def test_tensors_give_the_numbers_of_numpy(make_problem, dtype, make):
    problem = make_problem(dtype)
    solver = make(problem.A, iterations=4)
    y = data_for(solver, problem)
    result = solver.solve(y)
    assert result.x.dtype is y.dtype
    assert not result.x.requires_grad
    close(result.x.numpy(), solver(y.numpy()))
    if "residual" in result.history:
        assert isinstance(result.history["residual"], np.ndarray)
    batch = torch.stack([y, 2 * y, -y])
    close(solver(batch).numpy(), solver(batch.numpy()))


@every_solver
def test_unrolled_is_the_solver_bit_for_bit(problem, make):
    """One text for the step: in place with its buffers, recorded without."""
    solver = make(problem.A, iterations=5)
    for y in (data_for(solver, problem), torch.stack([data_for(solver, problem)] * 2)):
        with torch.no_grad():
            plain = solver(y)
        recorded = solver(y.clone().requires_grad_())
        assert recorded.requires_grad
        assert torch.equal(recorded.detach(), plain)
        state = solver.initial(y)
        for _ in range(5):
            state = solver.step(state, y)
        assert torch.equal(state.x, plain)


@every_solver
def test_running_without_gradients_reuses_memory(problem, make):
    solver = make(problem.A)
    places = {
        state.x.data_ptr()
        for state, _ in zip(solver.iterate(data_for(solver, problem)), range(5), strict=False)
    }
    assert len(places) == 1


# PyTorch's own forward mode calls what PyTorch deprecates.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@every_solver
def test_gradients(problem, make):
    solver = make(problem.A, iterations=3)
    y = data_for(solver, problem).requires_grad_()
    # The bounds of SIRT are kinks, but no value lies within the step of the check from one.
    assert torch.autograd.gradcheck(solver, y, check_forward_ad=True)
    assert torch.autograd.gradcheck(solver, torch.stack([y, 2 * y]).detach().requires_grad_())
    assert torch.autograd.gradgradcheck(solver, y)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@every_solver
def test_forward_mode_alone(make):
    """A tangent makes the run recorded, also where no gradient is required.

    The projector is compiled code: PyTorch cannot follow it unless it is asked to.
    """
    geometry = oa.tomo.ParallelBeam(angles=5, detector=9)
    A = oa.tomo.XrayTransform(oa.Grid((6, 6), dtype="float64"), geometry)
    solver = make(A, iterations=3)
    y = solver.domain.random(0, like=torch.empty(0))
    direction = solver.domain.random(1, like=y)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(y, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(solver(dual)).tangent
    expected = torch.autograd.functional.jvp(solver, y, direction)[1]
    torch.testing.assert_close(tangent, expected)


@every_solver
def test_gradients_of_solve_and_of_resumed_runs(problem, make):
    solver = make(problem.A, iterations=4)
    y = data_for(solver, problem).requires_grad_()
    (whole,) = torch.autograd.grad(solver(y).sum(), y)
    first = solver.solve(y, iterations=2)
    assert not first.state.in_place
    second = solver.solve(y, iterations=2, initial=first.state)
    (resumed,) = torch.autograd.grad(second.x.sum(), y)
    torch.testing.assert_close(resumed, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [solvers.Landweber, solvers.SIRT, solvers.CGLS])
def test_the_start_is_differentiated_too(problem, kind):
    solver = kind(problem.A)
    y = torch.from_numpy(problem.y)
    start = torch.linspace(0.1, 1, 7, dtype=torch.float64, requires_grad=True)
    before = start.detach().clone()

    def run(x):
        return solver.solve(y, iterations=2, initial=x).x

    assert torch.autograd.gradcheck(run, start)
    assert torch.equal(start.detach(), before)


def test_gradients_reach_the_operator(problem):
    weight = torch.linspace(0.5, 1.5, 7, dtype=torch.float64, requires_grad=True)
    y = torch.from_numpy(problem.y)

    def run(weight):
        A = problem.A @ oa.Diagonal(weight, problem.A.domain)
        return torch.stack([kind(A)(y) for kind in (step, sirt, cgls)])

    def step(A):
        return solvers.Landweber(A, iterations=3, step_size=lambda k: 0.01)

    def sirt(A):
        return solvers.SIRT(A, iterations=3)

    def cgls(A):
        return solvers.CGLS(A, iterations=3)

    assert run(weight).requires_grad
    assert torch.autograd.gradcheck(run, weight)


def test_gradients_reach_the_parameters(problem):
    """What learned iterations stand on: a schedule of tensors."""
    y = torch.from_numpy(problem.y)
    values = torch.tensor([1.0, 0.7, 1.2], dtype=torch.float64, requires_grad=True)

    def run(values):
        return solvers.SIRT(problem.A, relaxation=values, iterations=3)(y)

    assert torch.autograd.gradcheck(run, values)
    listed = solvers.SIRT(problem.A, relaxation=list(values.unbind()), iterations=3)
    assert listed.trainable
    assert torch.equal(listed(y), run(values))
    fixed = solvers.SIRT(problem.A, relaxation=[1.0, 0.7, 1.2], iterations=3)(y)
    assert torch.equal(run(values).detach(), fixed)


class Half(torch.nn.Module):
    """A schedule with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, step):
        return self.weight


def test_a_module_as_schedule_is_trained(problem):
    half = Half()
    solver = solvers.SIRT(problem.A, relaxation=half, iterations=3)
    assert solver.trainable
    y = torch.from_numpy(problem.y)
    solver(y).sum().backward()
    assert half.weight.grad is not None
    fixed = solvers.SIRT(problem.A, relaxation=0.5, iterations=3)(y)
    assert torch.equal(solver(y).detach(), fixed)


def test_complex_tensors(make_problem):
    problem = make_problem("complex128", complex_values=True)
    y = torch.from_numpy(problem.y)
    for kind in (solvers.Landweber, solvers.CGLS):
        solver = kind(problem.A, iterations=3)
        close(solver(y).numpy(), solver(problem.y))
        assert torch.autograd.gradcheck(solver, y.clone().requires_grad_())
    T = problem.A.gram + oa.Identity(problem.A.domain)
    b = problem.A.H(y)
    close(solvers.CG(T, iterations=3)(b).numpy(), solvers.CG(T, iterations=3)(b.numpy()))


def test_blocks_of_tensors(problem):
    A = oa.vstack([problem.A, oa.Identity(problem.A.domain)])
    y = A(torch.ones(7, dtype=torch.float64))
    u = y[0].clone().requires_grad_()
    for kind in (solvers.Landweber, solvers.SIRT, solvers.CGLS):
        solver = kind(A, iterations=3)
        assert torch.equal(solver(oa.Blocks((u, y[1]))).detach(), solver(y))
        assert torch.autograd.gradcheck(lambda u, s=solver: s(oa.Blocks((u, y[1]))), u)


def test_start_and_data_are_of_one_library(problem):
    with pytest.raises(ArgumentError, match="is of type ndarray, the data are of type Tensor"):
        solvers.SIRT(problem.A).solve(torch.from_numpy(problem.y), initial=np.zeros(7))


def test_weights_made_in_inference_mode_do_not_serve_autograd():
    geometry = oa.tomo.ParallelBeam(angles=5, detector=9)
    solver = solvers.SIRT(oa.tomo.XrayTransform(oa.Grid((6, 6)), geometry), iterations=2)
    y = torch.ones(solver.domain.shape)
    with torch.inference_mode():
        solver(y)
    y.requires_grad_()
    solver(y).sum().backward()
    assert y.grad is not None


def test_array_api_strict(problem):
    """Nothing beyond the array API standard is asked of other libraries."""
    xp = pytest.importorskip("array_api_strict")
    A = oa.Diagonal(np.linspace(0.5, 2, 9))
    y = np.random.default_rng(0).standard_normal((2, 9))
    for kind in (solvers.Landweber, solvers.SIRT, solvers.CGLS, solvers.CG):
        for values in (y, y[0]):
            found = kind(A, iterations=4)(xp.asarray(values))
            close(np.asarray(found), kind(A, iterations=4)(values))
