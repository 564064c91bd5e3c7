"""Linear leaves against their own dense matrix; cheap, for many cases.

Calls, pickling, gradients and the like are left to the conformance suite, which meets the instances in
`operator_registry`.
"""

import numpy as np
import torch

import opalg as oa


def parts(x):
    """The arrays of an element."""
    return x.flatten() if isinstance(x, oa.Blocks) else [x]


def flat(x):
    """All entries of an element as one vector of real numbers (complex ones as two each)."""
    pieces = [np.ascontiguousarray(part).reshape(-1) for part in parts(x)]
    pieces = [part.view(part.real.dtype) if part.dtype.kind == "c" else part for part in pieces]
    return np.concatenate(pieces).astype("float64")


def units(space):
    """All unit vectors of a space over the reals."""
    for i, part in enumerate(parts(space.zeros())):
        for j in range(part.size):
            for unit in (1, 1j) if part.dtype.kind == "c" else (1,):
                x = space.zeros()
                parts(x)[i].reshape(-1)[j] = unit
                yield x


def dense(A):
    """The matrix of an operator over the reals."""
    return np.stack([flat(A(x)) for x in units(A.domain)], axis=1)


def is_single(space):
    return any(part.dtype.name in {"float32", "complex64"} for part in parts(space.zeros()))


def check_leaf(A):
    """The matrix of ``A``, after checking transposes, norm, gram matrix, and what the class declares."""
    single = is_single(A.domain)
    M = dense(A)
    scale = max(np.linalg.norm(M, 2), 1e-30)
    tol = (3e-6 if single else 1e-13) * scale  # some ten units in the last place of the norm
    assert np.abs(dense(A.H) - M.T).max() <= tol, "A.H is not the transpose"
    assert np.abs(dense(A.gram) - M.T @ M).max() <= 4 * tol * scale
    lower, upper = A.norm_bounds()
    slack = 1e-5 if single else 1e-9
    assert lower * (1 - slack) <= scale <= upper * (1 + slack), (lower, scale, upper)
    x, y = A.domain.random(seed=4), A.range.random(seed=5)
    left, right = A.range.inner(A(x), y), A.domain.inner(x, A.adjoint(y))
    weight = float(A.range.norm(y)) * float(A.domain.norm(x))
    gap = abs(left - right if A.complex_linear else left.real - right.real)
    assert gap <= 100 * tol * max(weight, 1e-30), (
        "A.adjoint is not the adjoint in the weighted spaces"
    )
    if A.nonnegative:
        assert M.min() >= -tol
    if A.unitary:
        assert np.abs(M.T @ M - np.eye(M.shape[1])).max() <= tol
    _check_tensors(A, x, single)
    return M


def _check_tensors(A, x, single):
    """Tensors, here a batch of two, give the same numbers as NumPy arrays."""

    def stacked(x):
        if isinstance(x, tuple):
            return oa.Blocks(stacked(part) for part in x)
        return torch.from_numpy(np.stack([x, 2 * x]))

    expected = A(x)
    for found, values in zip(parts(A(stacked(x))), parts(expected), strict=True):
        bound = (3e-6 if single else 1e-13) * max(np.linalg.norm(flat(expected)), 1e-30)
        assert np.abs(found[0].numpy() - values).max() <= bound
        assert np.abs(found[1].numpy() - 2 * values).max() <= 2 * bound
