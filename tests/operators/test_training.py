"""Parameters inside operators: gradients reach them, and nothing that is cached forgets their training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import opalg as oa
from opalg.errors import ArgumentError, NotSupportedError

torch = pytest.importorskip("torch")

X = oa.Space(3, "float64")
I, L = oa.Identity(X), oa.Laplacian(X)

EXPRESSIONS: dict[str, Callable[[Any], oa.Operator]] = {
    "leaf": lambda D: D,
    "multiple": lambda D: 2 * D,
    "sum": lambda D: D + I,
    "difference": lambda D: I - D,
    "square": lambda D: D @ D,
    "gram": lambda D: D.gram,
    "recognised gram": lambda D: D.H @ D,
    "longer gram": lambda D: (L @ D).gram,
    "between leaves": lambda D: oa.Crop(X, ((0, 1),)) @ D @ L,
    "power": lambda D: (D + L) ** 2,
    "transpose": lambda D: (D @ L).H,
    "plain transpose": lambda D: (D @ L).T,
    "inverse": lambda D: D.inverse,
    "stack": lambda D: oa.vstack([D, L @ D]),
    "not linear": lambda D: D @ oa.Modulus(X),
    "product of values": lambda D: oa.Modulus(X) * D,
    "shift": lambda D: D + torch.ones(3, dtype=torch.float64),
}


def loss(operator: oa.Operator, x: Any) -> Any:
    y = operator(x)
    parts = y.flatten() if isinstance(y, oa.Blocks) else [y]
    return sum((part**2).sum() for part in parts)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_gradients_reach_the_weight(name: str) -> None:
    weight = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64, requires_grad=True)
    operator = EXPRESSIONS[name](oa.Diagonal(weight))
    assert operator.trainable
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for _ in range(2):  # a second time through the same operator, after a step
        (gradient,) = torch.autograd.grad(loss(operator, x), weight)
        expected = torch.zeros(3, dtype=torch.float64)
        with torch.no_grad():
            for i in range(3):
                values = []
                for sign in (1, -1):
                    weight[i] += sign * 1e-6
                    values.append(
                        float(loss(operator if name != "inverse" else oa.Diagonal(1 / weight), x))
                    )
                    weight[i] -= sign * 1e-6
                expected[i] = (values[0] - values[1]) / 2e-6
        # Differences of a loss of about 1e2 with a step of 1e-6 are good to about 1e-7.
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-5)
        if name == "inverse":
            break  # made for the weight of the moment
        with torch.no_grad():
            weight += 0.25


def test_an_adjoint_made_without_recording_is_recorded_later() -> None:
    weight = torch.tensor([1 + 2j, 3j, 1.0], requires_grad=True, dtype=torch.complex128)
    D = oa.Diagonal(weight)
    with torch.no_grad():
        D.H(torch.ones(3, dtype=torch.complex128))
    y = D.H(torch.ones(3, dtype=torch.complex128))
    assert y.requires_grad
    torch.testing.assert_close(y.detach(), weight.detach().conj())


def test_a_subtracted_parameter_follows_its_training() -> None:
    bias = torch.ones(3, dtype=torch.float64, requires_grad=True)
    A = I - bias
    with torch.no_grad():
        bias += 1
    x = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(A(x).detach(), torch.full((3,), -2.0, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(A(x).sum(), bias)
    torch.testing.assert_close(gradient, -torch.ones(3, dtype=torch.float64))


def test_norms_of_what_is_trained_are_not_remembered() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    A = oa.Diagonal(weight) + 0.5 * I
    lower, upper = A.norm_bounds()
    assert lower <= 3.5 <= upper
    with torch.no_grad():
        weight *= 2
    assert A.norm_bounds().upper >= 6.5


def test_a_trained_matrix() -> None:
    matrix = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    A = oa.MatrixOperator(matrix)
    x = torch.rand(3, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(A(x).sum(), matrix)
    torch.testing.assert_close(gradient, x.repeat(2, 1))
    loss(A.H @ A, x).backward()
    assert matrix.grad is not None


def test_what_would_lose_the_graph_is_refused() -> None:
    D = oa.Diagonal(torch.ones(3, dtype=torch.float64, requires_grad=True))
    with pytest.raises(ArgumentError, match="gradient would be lost"):
        D(np.ones(3))
    with pytest.raises(NotSupportedError, match="trained through"):
        torch.ones((), requires_grad=True) * I
    with pytest.raises(NotSupportedError, match="no_grad"):
        L(
            torch.ones(3, dtype=torch.float64, requires_grad=True),
            out=torch.zeros(3, dtype=torch.float64),
        )


def test_second_derivative_of_the_modulus() -> None:
    C = oa.Space(3, "complex128")
    A = oa.Modulus(C) * oa.Modulus(C)
    z = torch.tensor([1 + 2j, -1j, 0.5], dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(A, (z,))
    assert torch.autograd.gradgradcheck(A, (z,))
    zero = torch.zeros(3, dtype=torch.complex128, requires_grad=True)
    (gradient,) = torch.autograd.grad(oa.Modulus(C)(zero).sum(), zero)
    torch.testing.assert_close(gradient, torch.zeros_like(zero))


def test_an_operator_first_used_in_inference_mode_can_be_differentiated_later():
    D = oa.Diagonal(np.array([1.0, 2.0]))
    with torch.inference_mode():
        D(torch.ones(2, dtype=torch.float64))
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    D(x).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
