"""Random expressions against dense matrices that are built beside them from the definitions.

Complex numbers are pairs of real ones throughout, so one matrix stands for operators that are complex linear
and for those that are linear over the reals only: ``A.H`` is its transpose, ``A.T`` the transpose between two
conjugations, ``A.adjoint`` the transpose between the weights.
"""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opalg as oa
from opalg.operators.adjoints import Conjugate
from opalg.operators.printing import Text, atom
from opalg.spaces.parts import flat, leaves
from opalg.testing.case import mapped, real_vector
from opalg.testing.structure_checks import _names

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # of the norms, as promised for single expressions


class World(NamedTuple):
    """The spaces of an example, all of one precision."""

    spaces: dict[str, Any]
    precision: str


def world(precision: str, seed: int) -> World:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 2.0, (2, 2)).astype(precision)
    X = oa.Grid((2, 2), (0.5, 3.0), precision)
    spaces = {
        "X": X,
        "V": oa.Space((2, 2), precision, weighting=weights),
        "Y": oa.Space(3, precision),
        "C": X.complex,
        "Z": oa.Space(2, oa.Space(1, precision).complex.dtype.name, weighting=0.25),
    }
    spaces["P"] = X * spaces["C"]
    spaces["Q"] = spaces["C"] ** 2
    return World(spaces, precision)


# Dense matrices, from the definitions
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])


def pairs(matrix: Any) -> Any:
    """A complex matrix as a real one between pairs."""
    return np.kron(matrix.real, np.eye(2)) + np.kron(matrix.imag, ROTATION)


def as_real(matrix: Any, space: Any) -> Any:
    return pairs(np.asarray(matrix, complex)) if space.is_complex else np.asarray(matrix).real


def count(space: Any) -> int:
    return sum(leaf.size * (2 if leaf.is_complex else 1) for leaf in leaves(space))


def per_number(space: Any, function: Any) -> Any:
    """One value per real number of an element: ``function(leaf)`` gives those of a leaf."""
    return np.concatenate([np.broadcast_to(function(leaf), count(leaf)) for leaf in leaves(space)])


def conjugation(space: Any) -> Any:
    return per_number(
        space, lambda leaf: np.resize([1.0, -1.0], count(leaf)) if leaf.is_complex else 1.0
    )


def weight(space: Any) -> Any:
    def of(leaf: Any) -> Any:
        values = np.broadcast_to(leaf.weighting, leaf.shape).reshape(-1).astype(float)
        return np.repeat(values, 2) if leaf.is_complex else values

    return per_number(space, of)


def difference_matrix(shape: tuple[int, int], axis: int, step: float) -> Any:
    """Forward difference with the last row zero."""
    n = shape[axis]
    one = (np.eye(n, k=1) - np.eye(n)) / step
    one[-1] = 0
    return np.kron(one, np.eye(shape[1])) if axis == 0 else np.kron(np.eye(shape[0]), one)


class Term(NamedTuple):
    """An operator, its matrix, and a bound of its norm that ignores cancellation."""

    operator: Any
    matrix: Any
    size: float


def leaf(domain: Any, range: Any, kind: int, seed: int) -> Term:
    """A leaf between two spaces of arrays; ``kind`` chooses among those that exist."""
    rng = np.random.default_rng(seed)
    dtype = domain.dtype.name
    options: list[tuple[Any, Any]] = []
    if domain == range:
        values = rng.standard_normal(domain.shape) + (
            1j * rng.standard_normal(domain.shape) if domain.is_complex else 0
        )
        values = values.astype(dtype)
        number = 1.5 - 0.5j if domain.is_complex else -1.5
        size = domain.size
        options += [
            (oa.Identity(domain), as_real(np.eye(size), domain)),
            (oa.Scaling(domain, number), as_real(number * np.eye(size), domain)),
            (oa.Zero(domain), as_real(np.zeros((size, size)), domain)),
            (oa.Diagonal(values, domain), as_real(np.diag(values.reshape(-1)), domain)),
            (oa.Diagonal(values), as_real(np.diag(values.reshape(-1)), domain)),
            (oa.Diagonal(abs(values), domain), as_real(np.diag(abs(values).reshape(-1)), domain)),
        ]
        if len(domain.shape) == 2:
            step = getattr(domain, "spacing", (1.0, 1.0))[1]
            one = difference_matrix(domain.shape, 1, step)
            options += [(oa.PartialDerivative(domain, 1), as_real(one, domain))]
    if domain.dtype == range.dtype:
        matrix = rng.standard_normal((range.size, domain.size))
        if domain.is_complex:
            matrix = matrix + 1j * rng.standard_normal(matrix.shape)
        matrix = matrix.astype(dtype)
        options += [(oa.MatrixOperator(matrix, domain, range), as_real(matrix, domain))]
    if domain.is_complex and range == domain.real:
        options += [
            (oa.RealPart(domain), np.kron(np.eye(domain.size), [[1.0, 0.0]])),
            (oa.ImagPart(domain), np.kron(np.eye(domain.size), [[0.0, 1.0]])),
        ]
    if range.is_complex and domain == range.real:
        options += [(oa.ComplexEmbedding(domain), np.kron(np.eye(domain.size), [[1.0], [0.0]]))]
    if not options:
        options += [(oa.Zero(domain, range), np.zeros((count(range), count(domain))))]
    operator, matrix = options[kind % len(options)]
    return Term(operator, matrix, float(np.linalg.norm(matrix, 2)))


# Recipes: nested tuples that can be built with rewriting and without
@st.composite
def recipes(draw: Any, domain: str, range: str, depth: int) -> Any:
    products = {"P": ("X", "C"), "Q": ("C", "C")}
    if domain in products and range in products:
        kind = draw(st.sampled_from(["product", "block_diagonal", "component_embedding"]))
        if kind == "block_diagonal" and domain == range:
            pair = [draw(recipes(s, s, depth - 1)) for s in products[domain]]
            return ("block_diagonal", domain, range, *pair)
        if kind == "component_embedding":
            i, j = draw(st.integers(0, 1)), draw(st.integers(0, 1))
            inner = draw(recipes(products[domain][i], products[range][j], depth - 1))
            return ("between_parts", domain, range, i, j, inner)
        middle = draw(st.sampled_from(["X", "C"]))
        return (
            "product",
            domain,
            range,
            draw(recipes(middle, range, depth - 1)),
            draw(recipes(domain, middle, depth - 1)),
        )
    if range in products:
        return (
            "vstack",
            domain,
            range,
            *[draw(recipes(domain, s, depth - 1)) for s in products[range]],
        )
    if domain in products:
        return (
            "hstack",
            domain,
            range,
            *[draw(recipes(s, range, depth - 1)) for s in products[domain]],
        )
    if depth <= 0:
        return ("leaf", domain, range, draw(st.integers(0, 11)), draw(st.integers(0, 5)))
    kinds = [
        "leaf",
        "sum",
        "sum",
        "difference",
        "product",
        "product",
        "scaled",
        "H",
        "T",
        "adjoint",
    ]
    if domain == range:
        kinds += ["power", "gram", "H H"]
    kind = draw(st.sampled_from(kinds))
    if kind == "leaf":
        return draw(recipes(domain, range, 0))
    if kind in {"sum", "difference"}:
        return (
            kind,
            domain,
            range,
            draw(recipes(domain, range, depth - 1)),
            draw(recipes(domain, range, depth - 1)),
        )
    if kind in {"product", "gram", "H H"}:
        middle = draw(st.sampled_from(["X", "V", "Y", "C", "Z", "P", "Q"]))
        if kind == "product":
            return (
                kind,
                domain,
                range,
                draw(recipes(middle, range, depth - 1)),
                draw(recipes(domain, middle, depth - 1)),
            )
        return (kind, domain, range, draw(recipes(domain, middle, depth - 1)))
    if kind == "scaled":
        numbers = [0, 1, -1, 2, 0.5, -1.25] + ([1j, 2 - 0.5j] if range in {"C", "Z"} else [])
        return (
            kind,
            domain,
            range,
            draw(st.sampled_from(numbers)),
            draw(recipes(domain, range, depth - 1)),
        )
    if kind == "power":
        return (
            kind,
            domain,
            range,
            draw(st.integers(0, 3)),
            draw(recipes(domain, range, depth - 1)),
        )
    return (kind, domain, range, draw(recipes(range, domain, depth - 1)))


def build(recipe: Any, spaces: dict[str, Any]) -> Term:
    kind, domain, range, *rest = recipe
    X, Y = spaces[domain], spaces[range]
    if kind == "leaf":
        return leaf(X, Y, *rest)
    if kind in {"sum", "difference"}:
        (a, A, p), (b, B, q) = (build(part, spaces) for part in rest)
        return Term(a + b, A + B, p + q) if kind == "sum" else Term(a - b, A - B, p + q)
    if kind == "product":
        (a, A, p), (b, B, q) = (build(part, spaces) for part in rest)
        return Term(a @ b, A @ B, p * q)
    if kind == "scaled":
        a, A, p = build(rest[1], spaces)
        # A plain leaf may have lost the weight that the recipe's space has; the numbers are the same.
        return Term(
            rest[0] * a,
            as_real(rest[0] * np.eye(count(Y) // (2 if Y.is_complex else 1)), Y) @ A,
            abs(rest[0]) * p,
        )
    if kind == "power":
        a, A, p = build(rest[1], spaces)
        return Term(a ** rest[0], np.linalg.matrix_power(A, rest[0]), p ** rest[0])
    if kind == "gram":
        a, A, p = build(rest[0], spaces)
        return Term(a.gram, A.T @ A, p * p)
    if kind == "H H":
        a, A, p = build(rest[0], spaces)
        return Term(a.H @ a, A.T @ A, p * p)
    if kind == "vstack":
        terms = [build(part, spaces) for part in rest]
        return Term(
            oa.vstack([t.operator for t in terms]),
            np.vstack([t.matrix for t in terms]),
            sum(t.size for t in terms),
        )
    if kind == "hstack":
        terms = [build(part, spaces) for part in rest]
        return Term(
            oa.hstack([t.operator for t in terms]),
            np.hstack([t.matrix for t in terms]),
            sum(t.size for t in terms),
        )
    if kind == "block_diagonal":
        (a, A, p), (b, B, q) = (build(part, spaces) for part in rest)
        corner = np.zeros((A.shape[0], B.shape[1])), np.zeros((B.shape[0], A.shape[1]))
        return Term(
            oa.block_diagonal([a, b]), np.block([[A, corner[0]], [corner[1], B]]), max(p, q)
        )
    if kind == "between_parts":
        i, j, inner = rest
        a, A, p = build(inner, spaces)
        return Term(
            oa.Embedding(Y, j) @ a @ oa.Component(X, i), selection(Y, j).T @ A @ selection(X, i), p
        )
    a, A, p = build(rest[0], spaces)
    if kind == "H":
        return Term(a.H, A.T, p)
    if kind == "T":
        return Term(a.T, conjugation(a.domain)[:, None] * A.T * conjugation(a.range), p)
    before, after = weight(a.range), weight(a.domain)
    return Term(a.adjoint, A.T * before / after[:, None], p * before.max() / after.min())


def selection(space: Any, index: int) -> Any:
    """The matrix that picks one part of a product space."""
    ends = np.cumsum([0, *(count(part) for part in space)])
    return np.eye(count(space))[ends[index] : ends[index + 1]]


ENDS = ["X", "V", "Y", "C", "Z", "P", "Q"]


@st.composite
def expressions(draw: Any, depth: int = 3) -> Any:
    precision = draw(st.sampled_from(["float32", "float64", "float64"]))
    domain, range = draw(st.sampled_from(ENDS)), draw(st.sampled_from(ENDS))
    return world(precision, draw(st.integers(0, 3))), draw(recipes(domain, range, depth))


def expect(found: Any, expected: Any, size: float, precision: str, word: str) -> None:
    error = np.linalg.norm(real_vector(found) - expected)
    assert error <= TOLERANCE[precision] * size, f"{word}: error {error:.2g}, size {size:.2g}"


@settings(max_examples=250)
@given(expressions())
def test_expression_is_its_matrix(case: Any) -> None:
    place, recipe = case
    rewritten = build(recipe, place.spaces)
    with oa.rewriting(False):
        written = build(recipe, place.spaces)
    for term in (rewritten, written):
        A, M = term.operator, term.matrix
        x, y = A.domain.random(1), A.range.random(2)
        u, v = real_vector(x), real_vector(y)
        scale = term.size + 1e-30
        expect(A(x), M @ u, scale * np.linalg.norm(u), place.precision, f"{A}")
        expect(A.H(y), M.T @ v, scale * np.linalg.norm(v), place.precision, f"({A}).H")
        T = conjugation(A.domain)[:, None] * M.T * conjugation(A.range)
        expect(A.T(y), T @ v, scale * np.linalg.norm(v), place.precision, f"({A}).T")
        before, after = weight(A.range), weight(A.domain)
        stretch = before.max() / after.min()
        expect(
            A.adjoint(y),
            (M.T * before / after[:, None]) @ v,
            scale * stretch * np.linalg.norm(v),
            place.precision,
            f"({A}).adjoint",
        )
        expect(
            A.gram(x), M.T @ (M @ u), scale**2 * np.linalg.norm(u), place.precision, f"({A}).gram"
        )
        out = A.range.empty()
        assert A(x, out=out) is out
        expect(out, M @ u, scale * np.linalg.norm(u), place.precision, f"{A} with out=")
        assert A.H.H is A
        assert A.T.T is A
        assert A.adjoint.adjoint is A
    assert rewritten.operator.domain == written.operator.domain
    assert rewritten.operator.range == written.operator.range


@settings(max_examples=80)
@given(expressions())
def test_expression_as_an_object(case: Any) -> None:
    place, recipe = case
    A, M, size = build(recipe, place.spaces)
    assert pickle.loads(pickle.dumps(A)) == A
    again, _, _ = build(recipe, place.spaces)
    assert again == A
    assert hash(again) == hash(A)
    lower, upper = A.norm_bounds()
    norm = np.linalg.norm(M, 2)
    room = TOLERANCE[place.precision] * (size + 1e-30)
    assert lower <= norm + room, (str(A), lower, norm)
    assert norm <= upper + room, (str(A), norm, upper)
    assert lower <= A.norm() <= upper
    assert len(A.tree().splitlines()) >= 1
    assert A._repr_latex_().count("{") == A._repr_latex_().count("}")


@settings(max_examples=80)
@given(expressions(2))
def test_repr_rebuilds(case: Any) -> None:
    place, recipe = case
    A, M, size = build(recipe, place.spaces)
    rebuilt = eval(repr(A), _names())
    x = A.domain.random(1)
    scale = (size + 1e-30) * np.linalg.norm(real_vector(x))
    assert (rebuilt.domain, rebuilt.range) == (A.domain, A.range)
    expect(rebuilt(x), M @ real_vector(x), scale, place.precision, repr(A))


@settings(max_examples=60)
@given(expressions(2))
def test_batch_and_torch(case: Any) -> None:
    torch = pytest.importorskip("torch")
    place, recipe = case
    A, M, size = build(recipe, place.spaces)
    x = A.domain.random(1, batch=(3,))
    y = A(x)
    t = A(mapped(lambda a: torch.from_numpy(a.copy()).requires_grad_(True), x))
    for i in range(3):
        u = real_vector(mapped(lambda a, i=i: a[i], x))
        scale = (size + 1e-30) * np.linalg.norm(u)
        expect(mapped(lambda a, i=i: a[i], y), M @ u, scale, place.precision, f"{A} of a batch")
        found = mapped(lambda a, i=i: a[i].detach(), t)
        expect(found, M @ u, scale, place.precision, f"{A} of a batch of tensors")
    assert {part.dtype for part in flat(y)} == {leaf.dtype for leaf in leaves(A.range)}


# Printing: the text, evaluated, is the same operator
class Named(oa.LinearOperator):
    """A matrix that prints a name."""

    def __init__(self, name: str, matrix: Any) -> None:
        self.matrix = oa.MatrixOperator(matrix)
        super().__init__(self.matrix.domain, self.matrix.range)
        self.name = name

    def _apply(self, x: Any, out: Any) -> Any:
        return self.matrix._apply(x, out)

    def _apply_transpose(self, y: Any, out: Any) -> Any:
        return self.matrix._apply_transpose(y, out)

    def _infix(self) -> Text:
        return atom(self.name)


def named(name: str, seed: int) -> Named:
    rng = np.random.default_rng(seed)
    return Named(name, rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)))


LETTERS = {name: named(name, seed) for seed, name in enumerate("ABC")}
SPACE = LETTERS["A"].domain
NAMES = LETTERS | {"Identity": oa.Identity(SPACE), "Zero": oa.Zero(SPACE), "conj": Conjugate}


def texts() -> Any:
    numbers = st.sampled_from(["2", "-1", "0.5", "(1-2j)", "-3"])
    return st.recursive(
        st.sampled_from(["A", "B", "C", "Identity"]),
        lambda inner: st.one_of(
            st.builds("({} + {})".format, inner, inner),
            st.builds("({} - {})".format, inner, inner),
            st.builds("({} @ {})".format, inner, inner),
            st.builds("({} * {})".format, numbers, inner),
            st.builds("(-{})".format, inner),
            st.builds("({}.H)".format, inner),
            st.builds("({}.T)".format, inner),
            st.builds("({} ** {})".format, inner, st.integers(0, 3)),
        ),
        max_leaves=6,
    )


@settings(max_examples=300)
@given(texts(), st.booleans())
def test_printed_text_means_the_operator(text: str, enabled: bool) -> None:
    with oa.rewriting(enabled):
        operator = eval(text, dict(NAMES))
    with oa.rewriting(False):
        back = eval(str(operator), dict(NAMES))
    x = SPACE.random(0)
    expected = operator(x)
    size = np.linalg.norm(expected) + operator.norm_bounds().upper * np.linalg.norm(x)
    assert np.linalg.norm(back(x) - expected) <= 1e-5 * size, f"{text} prints as {operator}"
