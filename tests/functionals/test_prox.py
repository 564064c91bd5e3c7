"""Every proximal map against the minimisation that defines it."""

import itertools

import numpy as np
import pytest
from functionals.brute import lowest, pack, unpack, weights

import opalg as oa
from opalg import functionals as fn
from opalg.errors import NotSupportedError
from opalg.functionals.functional import Functional
from opalg.spaces import Blocks

STEPS = (0.3, 2.0)


def has_prox(case):
    return case.functional.proximable


def objective(f, x, step):
    """``u -> f(u) + |u - x|^2 / (2 step)`` of many flat vectors, for one step or one per coordinate."""
    w, centre = weights(f.domain), pack(f.domain, x)

    def value(v):
        distance = (w * (v - centre) ** 2 / (2 * step)).sum(axis=-1)
        return np.asarray(f(unpack(f.domain, v)), float) + distance

    return value


@pytest.mark.parametrize("step", STEPS)
def test_prox_minimises_its_definition(case, f, step, rng):
    for scale in (1.0, 4.0):
        x = f.domain.random(rng) * scale
        u = pack(f.domain, f.prox(step)(x))
        value = objective(f, x, step)
        reached = value(u[None])[0]
        assert np.isfinite(reached)
        starts = [u, pack(f.domain, x)]
        if not f.convex:  # one start per pattern of zeros
            starts += [starts[1] * mask for mask in itertools.product((0.0, 1.0), repeat=u.size)]
        best = min(lowest(value, start, rng, 60 if f.convex else 10) for start in starts)
        # The search ends within 1e-9 of a minimum; the prox must not be worse than what it found.
        assert reached <= best + 1e-9 * (1 + abs(best))


test_prox_minimises_its_definition.needs = has_prox


@pytest.mark.parametrize("step", STEPS)
def test_prox_beats_all_members_of_the_set(case, f, step, rng):
    """On thin sets a random search finds nothing; on the segments to members it must climb."""
    for scale in (1.0, 4.0):
        x = f.domain.random(rng) * scale
        u = pack(f.domain, f.prox(step)(x))
        value = objective(f, x, step)
        members = np.array([pack(f.domain, case.members(rng)) for _ in range(200)])
        assert np.isfinite(value(members)).all(), "the members of the test are no members"
        reached = value(u[None])[0]
        for t in (1.0, 0.1, 1e-2, 1e-3):
            near = u + t * (members - u)
            # Slightly off the set by rounding, f may be infinite there; that is no failure.
            assert (value(near) >= reached - 1e-10 * (1 + abs(reached))).all()


test_prox_beats_all_members_of_the_set.needs = lambda case: case.members and has_prox(case)


def test_step_per_entry(case, f, rng):
    """Diagonally preconditioned methods: each entry (or position) has its own step."""
    x = f.domain.random(rng) * 2
    space = f._step_space
    step = 0.3 + 2 * uniform(space, rng)
    u = pack(f.domain, f.prox(step)(x))
    grouped = hasattr(f.domain, "spaces") and not hasattr(space, "spaces")
    spread = Blocks(step for _ in f.domain) if grouped else step
    doubled = spread * (1 + 1j) if f.domain.is_complex else spread
    value = objective(f, x, pack(f.domain, doubled))
    reached = value(u[None])[0]
    assert np.isfinite(reached)
    best = min(lowest(value, start, rng) for start in (u, pack(f.domain, x)))
    assert reached <= best + 1e-9 * (1 + abs(best))


def uniform(space, rng):
    """A real element with entries between 0 and 1."""
    if hasattr(space, "spaces"):
        return Blocks(uniform(part, rng) for part in space)
    return rng.uniform(size=space.shape)


def _takes_arrays(case):
    f = case.functional
    mixed = hasattr(f.domain, "spaces") and len({s.is_complex for s in f.domain}) > 1
    return f.proximable and f.convex and f._step_space is not None and not mixed


test_step_per_entry.needs = _takes_arrays


def test_batch_equals_loop(case, f, rng):
    many = f.domain.random(rng, batch=(2, 3))
    steps = rng.uniform(0.2, 2.0, (2, 3))
    rows = pack(f.domain, many)
    together = pack(f.domain, f.prox(steps)(many)) if f.proximable else None
    values = f(many)
    assert values.shape == (2, 3)
    for i in np.ndindex(2, 3):
        one = unpack(f.domain, rows[i])
        np.testing.assert_allclose(values[i], f(one), rtol=1e-10)
        if together is not None:
            alone = pack(f.domain, f.prox(float(steps[i]))(one))
            np.testing.assert_allclose(together[i], alone, rtol=1e-7, atol=1e-9)


def test_out_and_arguments_are_respected(case, f, rng):
    x = f.domain.random(rng)
    before = pack(f.domain, x).copy()
    maps = [f.prox(0.7)] if f.proximable else []
    if f.differentiable and case.smooth:
        maps.append(f.gradient)
        x = case.smooth(rng)
        before = pack(f.domain, x).copy()
    for operator in maps:
        expected = pack(f.domain, operator(x))
        out = f.domain.zeros() + np.nan
        assert operator(x, out=out) is out or hasattr(out, "flatten")
        np.testing.assert_allclose(pack(f.domain, out), expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(pack(f.domain, x), before)
        fresh = operator(x)
        parts = zip(_arrays(fresh), _arrays(x), strict=True)
        assert not any(np.shares_memory(a, b) for a, b in parts)


def _arrays(x):
    return x.flatten() if isinstance(x, tuple) else [x]


def test_large_arrays_are_treated_as_small_ones(rng):
    """Large contiguous arrays are computed in pieces; the result must not show it."""
    space = oa.Space((3, 9000), "float32")
    data = abs(space.random(rng))
    for f in (fn.L1(space), fn.KullbackLeibler(space, data), fn.LeastSquares(space, data)):
        x = space.random(rng)
        for step in (0.4, abs(space.random(rng)) + 0.1):
            whole = f.prox(step)(x)
            strided = f.prox(step)(np.asfortranarray(x))
            np.testing.assert_array_equal(whole, strided)
            out = np.empty_like(x)
            f.prox(step)(x, out=out)
            np.testing.assert_array_equal(whole, out)
    g = fn.GroupL1(space**2)
    y = (space**2).random(rng)
    for step in (0.4, abs(space.random(rng)) + 0.1):
        whole = g.prox(step)(y)
        strided = g.prox(step)(type(y)(np.asfortranarray(part) for part in y))
        for a, b in zip(whole, strided, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_prox_may_write_over_its_argument(case, f, rng):
    """Expressions use this to do without arrays of their own."""
    x = f.domain.random(rng)
    for step in (0.7, np.array([0.3, 2.0])):
        many = f.domain.random(rng, batch=(2,)) if np.ndim(step) else x
        expected = f.prox(step)(many)
        y = f.domain.lincomb(1.0, many)
        f.prox(step)._apply(y, y)
        np.testing.assert_allclose(
            pack(f.domain, y), pack(f.domain, expected), rtol=1e-9, atol=1e-12
        )


test_a_prox_may_write_over_its_argument.needs = has_prox


def test_nothing_of_the_size_of_an_element_is_allocated(rng):
    """With ``out`` the prox of what iterations meet most makes no temporary arrays."""
    import tracemalloc

    space = oa.Space((500, 500))
    data = abs(space.random(rng))
    field = space**2
    simple = [
        fn.L1(space),
        fn.NonNegative(space),
        fn.Box(space, 0, 1),
        fn.L2Ball(space),
        fn.L2(space),
    ]
    simple += [fn.LeastSquares(space, data), fn.KullbackLeibler(space, data), fn.GroupL1(field)]
    duals = [f.convex_conjugate for f in simple if not isinstance(f, (fn.Box, fn.NonNegative))]
    others = [(0.3 * fn.GroupL1(field)).convex_conjugate, fn.L1(space).translated(data)]
    for f in simple + duals + others:
        x = f.domain.random(rng)
        out = f.domain.zeros()
        prox = f.prox(0.4)
        prox(x, out=out)
        tracemalloc.start()
        prox(x, out=out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # Pieces of 8192 entries, with a few temporaries each, against 250 000 entries.
        assert peak < 0.4 * data.nbytes, (str(f), peak)


def test_no_prox_says_what_can_be_done():
    grid = oa.Grid((4, 4))
    G = oa.Gradient(grid)
    total_variation = fn.GroupL1(G.range) @ G
    assert not total_variation.proximable
    with pytest.raises(NotSupportedError, match=r"solvers\.PDHG.*take f and A apart"):
        total_variation.prox(1.0)
    with pytest.raises(NotSupportedError, match="takes its terms one by one"):
        (fn.L2(grid) + fn.L1(grid)).prox(1.0)
    with pytest.raises(NotSupportedError, match="factor is negative"):
        (-1 * fn.L1(grid)).prox(1.0)
    with pytest.raises(NotSupportedError, match="one step for all entries"):
        fn.L2(grid).prox(np.ones(grid.shape, "float32"))(grid.ones())


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf, 1j, "1", np.array([1.0, 0.0, 2.0])])
def test_steps_must_be_positive(step):
    with pytest.raises(ValueError, match="step"):
        fn.L1(oa.Space(3)).prox(step)


def test_every_class_has_a_case():
    from functionals.cases import CASES, TESTED_APART
    from functionals.conftest import concrete_classes

    used = set()

    def visit(node):
        if isinstance(node, Functional):
            used.add(type(node))
            for child in node._children():
                visit(child)

    for case in CASES:
        visit(case.functional)
    names = {cls.__name__ for cls in used} | TESTED_APART.keys()
    missing = [cls.__name__ for cls in concrete_classes() if cls.__name__ not in names]
    assert not missing, f"tests/functionals/cases.py needs an instance of {missing}"
