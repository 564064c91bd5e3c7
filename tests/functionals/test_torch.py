"""Functionals on tensors: the values of NumPy, and derivatives that PyTorch confirms."""

import numpy as np
import pytest
from functionals.brute import pack, weights

import opalg as oa
from opalg import functionals as fn
from opalg.spaces import Blocks

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def tensors(x):
    if isinstance(x, Blocks):
        return Blocks(tensors(part) for part in x)
    return torch.from_numpy(np.array(x))


def arrays(x):
    if isinstance(x, Blocks):
        return Blocks(arrays(part) for part in x)
    return x.detach().numpy()


def flat(x):
    return x.flatten() if isinstance(x, Blocks) else [x]


def build(like, parts):
    return Blocks(parts) if isinstance(like, Blocks) else parts[0]


def inside(case, rng):
    return (case.smooth or case.members or case.functional.domain.random)(rng)


def test_tensors_give_the_numbers_of_numpy(case, f, rng):
    x = inside(case, rng)
    np.testing.assert_allclose(float(f(tensors(x))), float(f(x)), rtol=1e-9, atol=1e-12)
    if f.proximable:
        x = f.domain.random(rng, batch=(2,))
        for step in (0.7, np.array([0.3, 2.0])):
            there = f.prox(step)(tensors(x))
            np.testing.assert_allclose(
                pack(f.domain, arrays(there)), pack(f.domain, f.prox(step)(x)), rtol=1e-7, atol=1e-9
            )


def test_vectors_shrunk_by_pytorch_have_the_bits_of_the_engine():
    """Which of the two does it must not show: the engine, or PyTorch where it records for autograd."""
    field = oa.Space(37, "float64") ** 3
    x = field.random(0)
    for f in (fn.GroupBall(field, 0.7), fn.GroupL1(field)):
        for found, expected in zip(arrays(f.prox(0.4)(tensors(x))), f.prox(0.4)(x), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_gradient_of_pytorch_is_the_weighted_gradient(case, f, rng):
    x = case.smooth(rng)
    leaves = [part.requires_grad_() for part in flat(tensors(x))]
    f(build(x, leaves)).backward()
    recorded = pack(f.domain, build(x, [leaf.grad.numpy() for leaf in leaves]))
    # PyTorch differentiates with respect to array entries, without the weights of the space.
    np.testing.assert_allclose(
        recorded, weights(f.domain) * pack(f.domain, f.gradient(x)), rtol=1e-7, atol=1e-9
    )


test_gradient_of_pytorch_is_the_weighted_gradient.needs = (
    lambda case: case.smooth is not None and case.name != "Constant"  # which depends on no tensor
)


def test_prox_is_differentiable(case, f, rng):
    x = f.domain.random(rng) * 2
    leaves = [part.requires_grad_() for part in flat(tensors(x))]

    def prox(*parts):
        return tuple(flat(f.prox(0.7)(build(x, list(parts)))))

    assert torch.autograd.gradcheck(prox, leaves, eps=1e-7, atol=1e-4, rtol=1e-4)


# Where singular values or eigenvalues meet, the derivative of their vectors does not exist; PyTorch
# then gives no answer for the projection, though it has one almost everywhere.
test_prox_is_differentiable.needs = lambda case: (
    case.functional.proximable and case.functional.native and case.name not in MATRICES
)
MATRICES = {"NuclearNorm-complex", "PSDCone", "TotalVariation-weighted"}


def test_prox_without_a_derivative_refuses_to_lose_it():
    space = oa.Space(3, "float64")
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    y = fn.Lp(space, 3).prox(0.1)(x)
    with pytest.raises(TypeError, match="no derivative"):
        y.sum().backward()


def test_derivatives_at_zero_are_not_nan():
    space = oa.Space(3, "float64")
    for f in (
        fn.L1(space),
        fn.L2(space),
        fn.Huber(space, 1.0),
        fn.L2Ball(space),
        fn.KullbackLeibler(space, 0.0),
    ):
        x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        (f.prox(0.5)(x).sum() + f(x)).backward()
        assert bool(torch.isfinite(x.grad).all()), f
    y = Blocks(torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for f in (fn.GroupL1(space**2), fn.GroupBall(space**2)):
        u, v = f.prox(0.5)(y)
        (u.sum() + v.sum() + f(y)).backward()
        assert all(bool(torch.isfinite(part.grad).all()) for part in y), f


def test_steps_and_data_are_trained_through():
    space = oa.Space(3, "float64")
    step = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    data = torch.ones(3, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: fn.L1(space).prox(s)(x), [step])
    assert torch.autograd.gradcheck(lambda d: fn.LeastSquares(space, d).prox(0.5)(x), [data])
    assert torch.autograd.gradcheck(lambda d: fn.KullbackLeibler(space, d)(abs(x)), [data])
