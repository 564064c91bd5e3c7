"""The non-uniform Fourier transform against its definition as a sum."""

import sys
import threading

import numpy as np
import pytest
from leaf_checks import check_leaf

import opalg as oa
from opalg.operators.fourier import FourierTransform
from opalg.operators.fourier_filter import FilterGram
from opalg.operators.nufft import NonuniformFourierTransform

pytest.importorskip("finufft", reason="FINUFFT does the transform")


def frequencies(shape, d, seed=0):
    return np.random.default_rng(seed).uniform(-7, 7, (*shape, d))


@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize(
    ("shape", "samples"), [((6,), (9,)), ((5,), (3,)), ((4, 3), (2, 4)), ((2, 3, 2), (7,))]
)
def test_values_are_the_sums(shape, samples, dtype, norm):
    k = frequencies(samples, len(shape))
    A = NonuniformFourierTransform(oa.Space(shape, dtype), k, norm)
    positions = np.stack(
        [i - n // 2 for i, n in zip(np.indices(shape), shape, strict=True)], axis=-1
    )
    phases = k.reshape(-1, len(shape)) @ positions.reshape(-1, len(shape)).T
    factor = {
        "ortho": positions[..., 0].size ** -0.5,
        "backward": 1,
        "forward": 1 / positions[..., 0].size,
    }[norm]
    matrix = factor * np.exp(-1j * phases)
    x = A.domain.random(seed=1)
    expected = (matrix @ x.ravel()).reshape(samples)
    error = abs(A(x) - expected).max() / (np.linalg.norm(matrix, 2) * np.linalg.norm(x))
    assert error < (3e-6 if dtype == "complex64" else 1e-11)  # three and ten times the tolerance
    assert A.range.shape == samples
    if norm == "ortho":
        check_adjoint_and_gram(A)


def check_adjoint_and_gram(A):
    x, y = A.domain.random(seed=2), A.range.random(seed=3)
    left, right = np.vdot(y, A(x)), np.vdot(A.H(y), x)
    size = np.linalg.norm(x) * np.linalg.norm(y) * A.norm()
    assert abs(left - right) < (1e-6 if x.dtype == np.complex64 else 1e-14) * size
    assert isinstance(A.H @ A, FilterGram)
    error = np.linalg.norm(A.gram(x) - A.H(A(x))) / (np.linalg.norm(x) * A.norm() ** 2)
    assert error < (1e-5 if x.dtype == np.complex64 else 1e-10)
    batch = A.gram(np.stack([x, 2 * x]))
    np.testing.assert_allclose(batch[1], 2 * A.gram(x), rtol=1e-4, atol=1e-5)


def test_everything_that_holds_for_leaves():
    # So tight a tolerance makes the gram, computed in another way, agree to rounding.
    A = NonuniformFourierTransform(
        oa.Grid((3, 4), dtype="complex128"), frequencies((6,), 2), tolerance=1e-14
    )
    check_leaf(A)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_transposes_are_exact_at_any_tolerance(tolerance):
    A = NonuniformFourierTransform(
        oa.Space((20, 30), "complex128"), frequencies((500,), 2), tolerance=tolerance
    )
    x, y = A.domain.random(seed=2), A.range.random(seed=3)
    left, right = np.vdot(y, A(x)), np.vdot(A.H(y), x)
    assert abs(left - right) < 1e-14 * np.linalg.norm(x) * np.linalg.norm(y)


@pytest.mark.parametrize("shape", [(8, 7), (5,)])
def test_uniform_frequencies_give_the_fourier_transform(shape):
    space = oa.Space(shape, "complex128")
    k = np.stack(
        np.meshgrid(*(2 * np.pi * (np.arange(n) - n // 2) / n for n in shape), indexing="ij"),
        axis=-1,
    )
    A, F = NonuniformFourierTransform(space, k), FourierTransform(space)
    x = space.random(seed=0)
    np.testing.assert_allclose(A(x), F(x), atol=1e-10)
    np.testing.assert_allclose(A.gram(x), x, atol=1e-10)
    assert abs(A.norm() - 1) < 1e-6


def test_bounds_of_radial_sampling():
    angles = np.pi * np.arange(16) / 16
    radii = np.linspace(-np.pi, np.pi, 48, endpoint=False)
    k = radii[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=-1)[:, None]
    A = NonuniformFourierTransform(oa.Space((24, 24), "complex128"), k)
    gram = np.stack([A.gram(e.reshape(24, 24)).ravel() for e in np.eye(576, dtype=complex)])
    top = np.linalg.norm(gram, 2) ** 0.5
    lower, upper = A.norm_bounds()
    assert lower <= top * (1 + 1e-9)  # the gram is computed in another way, to 1e-12
    assert top <= upper < 1.6 * top
    assert abs(A.norm() / top - 1) < 0.02


def test_batches_of_changing_length_and_threads():
    A = NonuniformFourierTransform(oa.Space((6, 5), "complex64"), frequencies((9,), 2))
    x = A.domain.random(seed=0, batch=(7,))
    for count in (1, 2, 3, 4, 5, 6, 7):
        np.testing.assert_allclose(A(x[:count])[-1], A(x[count - 1]), atol=1e-5)
    assert A(x[:0]).shape == (0, 9)
    results = {}

    def work(i):
        results[i] = [A(x[i]) for _ in range(50)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        for found in results[i]:
            np.testing.assert_allclose(found, A(x[i]), atol=1e-5)


def test_mistakes_are_explained(monkeypatch):
    space = oa.Space((4, 4), "complex64")
    with pytest.raises(oa.errors.DtypeError, match="complex arrays"):
        NonuniformFourierTransform(space.real, [[0.0, 0.0]])
    with pytest.raises(oa.errors.ArgumentError, match=r"shape \(\.\.\., 2\)"):
        NonuniformFourierTransform(space, [0.0, 0.0])
    with pytest.raises(oa.errors.ArgumentError, match="one to three axes"):
        NonuniformFourierTransform(oa.Space((2, 2, 2, 2), "complex64"), np.zeros((1, 4)))
    with pytest.raises(oa.errors.NonFiniteError, match="frequencies"):
        NonuniformFourierTransform(space, [[np.inf, 0.0]])
    with pytest.raises(oa.errors.ArgumentError, match="tolerance must lie"):
        NonuniformFourierTransform(space, [[0.0, 0.0]], tolerance=0.0)
    monkeypatch.setitem(sys.modules, "finufft", None)
    with pytest.raises(oa.errors.MissingExtraError, match=r"opalg\[nufft\]"):
        NonuniformFourierTransform(space, [[0.0, 0.0]])
