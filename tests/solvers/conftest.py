"""Small problems whose solutions are known from dense linear algebra."""

from types import SimpleNamespace

import numpy as np
import pytest

import opalg as oa


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def dense_problem(dtype="float64", rows=12, columns=7, seed=0, complex_values=False):
    """A non-negative (or complex) matrix of full column rank, an exact solution and noisy data."""
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0.1, 1, (rows, columns)) * (rng.uniform(size=(rows, columns)) < 0.6)
    matrix[np.arange(columns), np.arange(columns)] += 1
    x, noise = rng.standard_normal(columns), 0.1 * rng.standard_normal(rows)
    if complex_values:
        matrix = matrix * np.exp(2j * np.pi * rng.uniform(size=matrix.shape))
        x = x * (1 + 1j)
    matrix = matrix.astype(dtype)
    operator = oa.MatrixOperator(
        matrix, oa.Space(columns, matrix.dtype), oa.Space(rows, matrix.dtype)
    )
    y = (matrix @ x + noise).astype(matrix.dtype)
    return SimpleNamespace(matrix=matrix, A=operator, x=x.astype(matrix.dtype), y=y)


@pytest.fixture
def problem():
    return dense_problem()


@pytest.fixture
def make_problem():
    return dense_problem
