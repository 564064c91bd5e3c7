"""ASTRA's projectors as operators."""

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.interop import from_astra
from opalg.testing import check_operator

astra = pytest.importorskip("astra", reason="ASTRA is the other side")


def projector(
    kind="linear", shape=(6, 8), window=(-4.0, 4.0, -3.0, 3.0), views=5, detector=11, pitch=1.0
):
    volume = astra.create_vol_geom(*shape, *window)
    angles = np.pi * np.arange(views) / views
    geometry = astra.create_proj_geom("parallel", pitch, detector, angles)
    return astra.OpTomo(astra.create_projector(kind, geometry, volume))


@pytest.mark.parametrize("kind", ["linear", "line", "strip"])
def test_conformance(kind):
    A = from_astra(projector(kind))
    assert A.exact_adjoint
    check_operator(
        A, expected_failures={"pickling": "a projector of ASTRA is a number in its own tables"}
    )


def test_positions_are_ours():
    """One off-centre spot: the same sinogram from ASTRA and from our own transform."""
    A = from_astra(
        projector(shape=(12, 10), window=(-4.0, 6.0, -5.0, 7.0), detector=31, pitch=0.75, views=7)
    )
    assert A.domain == oa.Grid((12, 10), 1.0, origin=(1.0, 1.0))
    ours = tomo.XrayTransform(A.domain, tomo.ParallelBeam(angles=7, detector=31, pitch=0.75))
    x = A.domain.zeros()
    x[9:11, 2:4] = 1.0
    assert np.linalg.norm(A(x) - ours(x)) < 1e-5 * np.linalg.norm(ours(x))
    y = A.range.random(0)
    assert np.linalg.norm(A.H(y) - ours.H(y)) < 1e-5 * np.linalg.norm(ours.H(y))


def test_unmatched_pairs_are_found():
    class Unmatched:
        def __init__(self, matched):
            self.vg, self.pg = matched.vg, matched.pg
            self.vshape, self.sshape = matched.vshape, matched.sshape
            self.FP, self.BP = matched.FP, lambda y: 1.1 * matched.BP(y)

    A = from_astra(Unmatched(projector()))
    assert not A.exact_adjoint
    assert not isinstance(A.H @ A, type(A.gram))


def test_spaces_can_be_given():
    own = oa.Space((5, 11), "float32", ("view", "u"), weighting=0.5)
    A = from_astra(projector(), range=own)
    assert A.range is own
    x, y = A.domain.random(0), A.range.random(1)
    np.testing.assert_allclose(own.inner(A(x), y), A.domain.inner(x, A.adjoint(y)), rtol=1e-3)
    with pytest.raises(oa.errors.SpaceMismatchError, match=r"shape \(6, 8\) and dtype float32"):
        from_astra(projector(), domain=oa.Grid((8, 6)))
    with pytest.raises(oa.errors.ArgumentError, match=r"astra\.OpTomo"):
        from_astra(3)
