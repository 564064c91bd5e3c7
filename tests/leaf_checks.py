"""What every linear leaf must satisfy, checked against its own dense matrix; for tests of leaves."""

import pickle

import numpy as np
import torch

import opalg as oa


def flat(x):
    """All entries of an element as one vector of real numbers (complex ones as two each)."""
    parts = x.flatten() if isinstance(x, oa.Blocks) else [x]
    parts = [np.ascontiguousarray(part).reshape(-1) for part in parts]
    return np.concatenate(
        [part.view(part.real.dtype) if part.dtype.kind == "c" else part for part in parts]
    ).astype("float64")


def leaves(space):
    return (
        [leaf for part in space for leaf in leaves(part)] if hasattr(space, "spaces") else [space]
    )


def units(space):
    """All unit vectors of a space over the reals."""
    for i, leaf in enumerate(leaves(space)):
        for j in range(leaf.size):
            for unit in (1, 1j) if leaf.is_complex else (1,):
                x = space.zeros()
                parts = x.flatten() if isinstance(x, oa.Blocks) else [x]
                parts[i].reshape(-1)[j] = unit
                yield x


def dense(A):
    """The matrix of an operator over the reals."""
    return np.stack([flat(A(x)) for x in units(A.domain)], axis=1)


def as_torch(x):
    return (
        oa.Blocks(as_torch(part) for part in x)
        if isinstance(x, tuple)
        else torch.from_numpy(x.copy())
    )


def as_numpy(x):
    return oa.Blocks(as_numpy(part) for part in x) if isinstance(x, tuple) else x.detach().numpy()


def strided(x):
    """The same element in memory with gaps, read-only."""
    if isinstance(x, tuple):
        return oa.Blocks(strided(part) for part in x)
    wide = np.zeros((*x.shape, 2), x.dtype)
    wide[..., 0] = x
    view = wide[..., 0]
    view.flags.writeable = False
    return view


def check_leaf(A, gradcheck=False):
    """The matrix of ``A``, after checking everything that must hold for a linear leaf."""
    single = any(leaf.dtype.name in {"float32", "complex64"} for leaf in leaves(A.domain))
    M = dense(A)
    scale = np.linalg.norm(M, 2)
    tol = (3e-6 if single else 1e-13) * max(
        scale, 1e-30
    )  # some ten units in the last place of the norm
    assert np.abs(dense(A.H) - M.T).max() <= tol, "A.H is not the transpose"
    lower, upper = A.norm_bounds()
    slack = 1e-5 if single else 1e-9
    assert lower * (1 - slack) <= scale <= upper * (1 + slack), (lower, scale, upper)
    assert lower * (1 - slack) <= A.norm() <= upper * (1 + slack)
    assert np.abs(dense(A.gram) - M.T @ M).max() <= tol * max(scale, 1e-30) * 4
    for B in (A, A.H):
        _check_call(B)
        assert pickle.loads(pickle.dumps(B)) == B
        assert hash(pickle.loads(pickle.dumps(B))) == hash(B)
        assert str(B)
        assert B.tree()
        assert B._repr_latex_()
    _check_adjoint(A, tol)
    if A.nonnegative:
        assert M.min() >= -tol
    if A.unitary:
        assert np.abs(M.T @ M - np.eye(M.shape[1])).max() <= tol
    if gradcheck and not single:
        _check_gradients(A)
    return M


def _close(x, y, single):
    x, y = flat(x), flat(y)
    bound = (3e-6 if single else 1e-13) * max(np.linalg.norm(y), 1e-30)
    assert np.linalg.norm(x - y) <= bound


def _check_call(A):
    single = any(leaf.dtype.name in {"float32", "complex64"} for leaf in leaves(A.domain))
    x = A.domain.random(seed=1)
    before = flat(x).copy()
    y = A(x)
    assert y in A.range
    assert (flat(x) == before).all(), "the argument was changed"
    out = A.range.random(seed=2)
    assert A(x, out=out) is out or isinstance(out, oa.Blocks)
    _close(out, y, single)
    _close(A(strided(x)), y, single)
    batch = A.domain.random(seed=3, batch=(2, 3))
    several = A(batch)
    assert A.range.batch_shape(several) == (2, 3)
    one = _entry(batch, (1, 2))
    _close(_entry(several, (1, 2)), A(one), single)
    _close(as_numpy(A(as_torch(x))), y, single)
    _close(as_numpy(A(as_torch(batch))), several, single)
    import array_api_strict

    if not isinstance(x, tuple):
        found = A(array_api_strict.asarray(x))
        parts = found if isinstance(found, tuple) else (found,)
        assert all(
            isinstance(part, array_api_strict.asarray(0.0).__class__) for part in _leaves(parts)
        )


def _leaves(parts):
    for part in parts:
        yield from _leaves(part) if isinstance(part, tuple) else (part,)


def _entry(x, index):
    return oa.Blocks(_entry(part, index) for part in x) if isinstance(x, tuple) else x[index]


def _check_adjoint(A, tol):
    x, y = A.domain.random(seed=4), A.range.random(seed=5)
    left, right = A.range.inner(A(x), y), A.domain.inner(x, A.adjoint(y))
    weight = abs(complex(A.range.norm(y))) * abs(complex(A.domain.norm(x)))
    if not A.complex_linear:
        left, right = left.real, right.real
    assert abs(left - right) <= 100 * tol * max(weight, 1e-30), (
        "A.adjoint is not the weighted adjoint"
    )


def _check_gradients(A):
    x = as_torch(A.domain.random(seed=6))
    parts = x.flatten() if isinstance(x, tuple) else [x]
    if sum(part.numel() for part in parts) > 200:
        return
    parts = [part.requires_grad_() for part in parts]

    def call(*tensors):
        remaining = iter(tensors)

        def build(space):
            if hasattr(space, "spaces"):
                return oa.Blocks(build(part) for part in space)
            return next(remaining)

        y = A(build(A.domain))
        return tuple(_leaves(y)) if isinstance(y, tuple) else y

    assert torch.autograd.gradcheck(call, parts)
    assert torch.autograd.gradgradcheck(call, parts)
