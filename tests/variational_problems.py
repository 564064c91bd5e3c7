"""Small variational problems with solutions found independently, by dense linear algebra and SciPy."""

from types import SimpleNamespace

import numpy as np
from scipy.optimize import lsq_linear

import opalg as oa
from opalg import functionals as fn


def total_variation_problem(seed=0, weighted=True, size=7, rows=10, strength=0.4, dtype="float64"):
    """``LeastSquares(A x) + strength * L1(G x)`` in one dimension; its dual is least squares in a box.

    The spaces have different weights, so that a method that mixes up transpose and adjoint, or the norms
    of arrays and of spaces, finds another minimiser.
    """
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((rows, size)).astype(dtype)
    X = oa.Grid(size, spacing=0.5, dtype=dtype) if weighted else oa.Space(size, dtype)
    Y = oa.Space(rows, dtype, weighting=3.0 if weighted else 1.0)
    A, G = oa.MatrixOperator(matrix, X, Y), oa.Gradient(X)
    y = Y.asarray(
        matrix @ np.repeat([1.0, -2.0, 0.5], [2, 3, size - 5]) + 0.3 * rng.standard_normal(rows)
    )
    regularizer = strength * fn.GroupL1(G.range) @ G
    D = np.stack([G(X.asarray(e))[0] for e in np.eye(size)], axis=1).astype("float64")
    x = generalised_lasso(matrix.astype("float64"), y, D, strength, Y.weighting, X.weighting)
    return SimpleNamespace(A=A, G=G, X=X, Y=Y, y=y, regularizer=regularizer, x=x, strength=strength)


def generalised_lasso(matrix, y, D, strength, data_weight, weight):
    """``argmin v/2 |M x - y|^2 + w s |D x|_1`` by its dual: ``x = H^-1 (v M.T y - D.T p)``, |p| <= w s."""
    H, b = data_weight * matrix.T @ matrix, data_weight * matrix.T @ np.asarray(y, "float64")
    L = np.linalg.cholesky(H)
    bound = weight * strength
    system, target = np.linalg.solve(L, D.T), np.linalg.solve(L, b)
    found = lsq_linear(system, target, (-bound, bound), tol=1e-14, max_iter=1000)
    return np.linalg.solve(H, b - D.T @ found.x)
