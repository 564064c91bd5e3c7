"""Draws geometries of every kind for property tests."""

from hypothesis import strategies as st

from opalg import tomo

_PLAIN = ("parallel 2D", "parallel 3D", "fan", "cone")
KINDS = (*_PLAIN, *(f"free {kind}" for kind in _PLAIN))


@st.composite
def geometries(draw, kinds=KINDS):
    """Few views and pixels, any angles, sizes and offsets; the object is some ten units wide."""
    kind = draw(st.sampled_from(kinds))
    seed = draw(st.integers(0, 2**31))
    return tomo.random_geometry(kind, seed)
