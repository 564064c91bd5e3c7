"""Methods by name, and regularizers in words."""

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.cli import methods
from opalg.errors import ArgumentError


@pytest.fixture(scope="module")
def A():
    return tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(angles=6, detector=12))


def test_every_solver_is_known():
    known = methods.known_methods()
    assert known["fbp"] is tomo.FBP
    public = {getattr(solvers, name) for name in solvers.__all__}
    expected = {c for c in public if isinstance(c, type) and issubclass(c, solvers.Solver)}
    denoising = {solvers.PnPADMM, solvers.PnPProximalGradient, solvers.RED}
    assert set(known.values()) - {getattr(tomo, n, None) for n in ("FBP", "FDK")} == (
        expected - {solvers.Solver} - denoising
    )


def test_what_a_shell_cannot_give_is_said(A):
    with pytest.raises(
        ArgumentError, match="RED needs denoiser and strength, which cannot be given in a shell"
    ):
        methods.build("red", A, {})


@pytest.mark.parametrize("name", ["ista", "fista", "saga", "pdhg", "admm", "spdhg"])
def test_total_variation_suits_every_solver_that_takes_it(A, name):
    """Where only proximal maps will do the functional with one is taken: the same objective."""
    words = {"regularizer": "tv", "lambda": 0.1, "iterations": 2}
    if "subsets" in methods.parameters_of(methods.find_method(name)):
        words["subsets"] = 3
    solver = methods.build(name, A, words)
    x = solver(np.ones(A.range.shape, "float32"))
    expected = 0.1 * fn.TotalVariation(A.domain)
    assert float(solver.regularizer(x)) == pytest.approx(float(expected(x)), rel=1e-5)


@pytest.mark.parametrize("name", ["cgls", "CGLS", "c-g_ls"])
def test_names_may_be_spelled_as_people_do(A, name):
    assert methods.build(name, A, {"iterations": 3}) == solvers.CGLS(A, iterations=3)


class Regularized(solvers.Solver):
    """Stands for any solver that takes a regularizer."""

    regularizer: object = None


@pytest.fixture
def regularized(monkeypatch):
    known = {**methods.known_methods(), "regularized": Regularized}
    monkeypatch.setattr(methods, "known_methods", lambda: known)


def test_regularizers_are_those_that_python_writes(A, regularized):
    x = np.random.default_rng(0).standard_normal(A.domain.shape).astype("float32")
    G = oa.Gradient(A.domain)
    expected = {
        "tv": 0.05 * fn.GroupL1(G.range) @ G,
        "smooth": 0.05 * fn.SquaredL2(G.range) @ G,
        "l1": 0.05 * fn.L1(A.domain),
        "l2": 0.05 * fn.SquaredL2(A.domain),
    }
    for kind, functional in expected.items():
        built = methods.build("regularized", A, {"regularizer": kind, "lambda": 0.05}).regularizer
        assert float(built(x)) == pytest.approx(float(functional(x)), rel=1e-6)
    both = methods.build(
        "regularized", A, {"regularizer": "tv", "lambda": 0.05, "nonnegative": True}
    )
    assert float(both.regularizer(abs(x))) == pytest.approx(float(expected["tv"](abs(x))), rel=1e-6)
    assert float(both.regularizer(x)) == np.inf
    alone = methods.build("regularized", A, {"nonnegative": True})
    assert float(alone.regularizer(x)) == np.inf
    assert methods.build("regularized", A, {}).regularizer is None


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"lambda": 0.1}, "lambda of regularized is the weight of a regularizer; say which: tv"),
        (
            {"regularizer": "vtv"},
            r"no regularizer 'vtv' \(did you mean 'tv'\?\); known are tv, smooth",
        ),
        ({"regularizer": "tv", "lambda": -1}, "must be a number, at least 0, got -1"),
        (
            {"regularizer": "tv", "lambda": "big"},
            "lambda of regularized must be a number, got 'big'",
        ),
        ({"regularizer": "tv", "lamda": 1}, r"no parameter 'lamda' \(did you mean 'lambda'\?\)"),
    ],
)
def test_wrong_regularizers(A, regularized, parameters, words):
    with pytest.raises(ArgumentError, match=words):
        methods.build("regularized", A, parameters)


def test_lambda_is_for_those_with_a_regularizer(A):
    with pytest.raises(ArgumentError, match="cgls has no parameter 'lambda'"):
        methods.build("cgls", A, {"lambda": 1.0})


def test_settings_are_toml_values():
    found = methods.parse_settings(
        ["a=1", "b=1e-3", "c=true", "d=[1, 2]", "e=ram-lak", 'f="x"', "g=a=b"]
    )
    assert found == {
        "a": 1,
        "b": 1e-3,
        "c": True,
        "d": [1, 2],
        "e": "ram-lak",
        "f": "x",
        "g": "a=b",
    }
