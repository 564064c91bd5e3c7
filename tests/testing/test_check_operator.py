"""The conformance suite catches what it should: each broken operator fails by the name of its fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import opalg as oa
from opalg.arrays import Constant, as_numpy
from opalg.errors import ArgumentError
from opalg.operators.norms import Bounds
from opalg.testing import ConformanceError, check_operator, operator_checks

SPACE = oa.Space((3, 4), "float64")
COMPLEX = oa.Space((3, 4), "complex128")
W = np.linspace(1, 2, 12).reshape(3, 4)


class Good(oa.LinearOperator):
    """Multiplication by an array, written by hand; the broken ones change one thing each."""

    weight = W

    def __init__(self, space: Any = SPACE) -> None:
        super().__init__(space, space)
        if space.is_complex:
            self.weight = W * np.exp(1j * W)
        self._constant = Constant(self.weight)
        self._conjugate = Constant(self.weight.conj())

    def _weight(self, x: Any) -> Any:
        return self._constant.like(x)

    def _apply(self, x: Any, out: Any) -> Any:
        return self._write(x * self._weight(x), out)

    def _apply_transpose(self, y: Any, out: Any) -> Any:
        return self._write(y * self._conjugate.like(y), out)

    @staticmethod
    def _write(value: Any, out: Any) -> Any:
        if out is None:
            return value
        out[...] = value
        return out


def failures(operator: oa.Operator) -> dict[str, str]:
    with pytest.raises(ConformanceError) as caught:
        check_operator(operator)
    return {outcome.name: outcome.message for outcome in caught.value.report.failures}


def test_a_good_operator_passes() -> None:
    report = check_operator(Good())
    assert report.passed
    assert {"adjoint", "batch", "torch_gradcheck"} <= {
        o.name for o in report.outcomes if o.status == "passed"
    }
    assert "passes" in str(report)
    assert check_operator(Good(COMPLEX)).passed


class WrongAdjoint(Good):
    def _apply_transpose(self, y: Any, out: Any) -> Any:
        return self._write(y * self._weight(y) ** 2, out)


class WrongFactor(Good):
    def _apply_transpose(self, y: Any, out: Any) -> Any:
        return self._write(3 * y * self._weight(y), out)


class ForgetsConjugate(Good):
    def _apply_transpose(self, y: Any, out: Any) -> Any:
        return self._write(y * self._weight(y), out)


class ChangesArgument(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        x *= self._weight(x)
        return self._write(1 * x, out)


class ReturnsView(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        return self._write(x[...], out)


class ReturnsBuffer(Good):
    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros((3, 4))

    def _apply(self, x: Any, out: Any) -> Any:
        if isinstance(x, np.ndarray) and x.ndim == 2 and out is None:
            return np.multiply(x, self.weight, out=self.buffer)
        return super()._apply(x, out)


class IgnoresOut(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        return x * self._weight(x)


class ReshapesOut(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        if out is None:
            return super()._apply(x, None)
        flat = out.reshape(-1)
        flat[:] = (x * self._weight(x)).reshape(-1)
        return out


class CountsAxesFromTheFront(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        return self._write(
            x * self._weight(x)[..., :1] if x.shape[0] == 2 else x * self._weight(x), out
        )


class MixesBatch(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        value = x * self._weight(x)
        return self._write(value + (value - value[::-1] if x.ndim > 2 else 0 * value), out)


class Casts(Good):
    def __init__(self) -> None:
        super().__init__(oa.Space((3, 4), "float32"))

    def _apply(self, x: Any, out: Any) -> Any:
        return self._write(x * self._weight(x), out)


class AssumesContiguous(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        if isinstance(x, np.ndarray) and not x.flags.c_contiguous:
            x = np.ascontiguousarray(np.asarray(x).T).reshape(x.shape)
        return super()._apply(x, out)


class NotLinear(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        return self._write(x * self._weight(x) + 1, out)


class NotFinitelyRepeatable(Good):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def _apply(self, x: Any, out: Any) -> Any:
        return self._write(x * self._weight(x) * (1 + 1e-15 * float(self.rng.integers(1, 99))), out)


class WrongNorm(Good):
    def _norm_bounds(self) -> Bounds:
        return Bounds(0.0, 1.5)


class TooLowerBound(Good):
    def _norm_bounds(self) -> Bounds:
        return Bounds(2.5, 3.0)


class NotNonnegative(Good):
    nonnegative = True

    def __init__(self) -> None:
        super().__init__()
        self._constant = self._conjugate = Constant(W - 1.5)

    def _norm_bounds(self) -> Bounds:
        return Bounds(0.0, 2.0)


class NotSelfAdjoint(Good):
    self_adjoint = True


class NotUnitary(Good):
    unitary = True


class WrongGram(Good):
    def _gram(self) -> oa.LinearOperator:
        return oa.Identity(self.domain)


class WrongInverse(Good):
    @property
    def inverse(self) -> oa.Operator:
        return oa.Identity(self.domain)


class HidesState(Good):
    """An attribute that is not among the constructor's arguments cannot come back from pickle."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        HidesState.count += 1
        self.number = HidesState.count

    def _key(self) -> tuple[Any, ...]:
        return (self.number,)


class Mutable(Good):
    __setattr__ = object.__setattr__


class PrintsArrays(Good):
    def __str__(self) -> str:
        return f"Good({self.weight[0].tolist()!r})".replace("[", "array([")


class BadRepr(Good):
    def __repr__(self) -> str:
        return "Good(space=)"


class LeavesTheGraph(Good):
    native = True

    def _apply(self, x: Any, out: Any) -> Any:
        value = x.detach() if hasattr(x, "detach") else x
        return super()._apply(value, out)


class StaysInNumpy(Good):
    def _apply(self, x: Any, out: Any) -> Any:
        return as_numpy(x) * self.weight if out is None else super()._apply(x, out)


class OwnAdjoint(Good):
    @property
    def adjoint(self) -> oa.LinearOperator:
        return 2 * self.H


class Square(oa.Operator):
    def __init__(self) -> None:
        super().__init__(SPACE, SPACE)

    def _apply(self, x: Any, out: Any) -> Any:
        return Good._write(x * x, out)

    def _derivative(self, x: Any) -> oa.LinearOperator:
        return oa.Diagonal(3 * x, self.domain)


class AcceptsAnything(Good):
    def __call__(self, x: Any, out: Any = None) -> Any:
        return self._apply(x, out)


BROKEN = {
    WrongAdjoint: ("adjoint", "not the transpose"),
    WrongFactor: ("adjoint", "factor 0.333333"),
    ChangesArgument: ("argument_unchanged", "changes x"),
    ReturnsView: ("fresh_result", "shares memory with x"),
    ReturnsBuffer: ("fresh_result", "overwrites the first result"),
    IgnoresOut: ("out", "must write to out"),
    ReshapesOut: ("out_strided", "non-contiguous out"),
    CountsAxesFromTheFront: ("batch", "count axes from the end"),
    MixesBatch: ("batch", "of each entry"),
    Casts: ("result", "casts"),
    AssumesContiguous: ("memory_layout", "contiguous"),
    NotLinear: ("linearity", "is not linear"),
    NotFinitelyRepeatable: ("repeatable", "from call to call"),
    WrongNorm: ("norm_bounds", "norm_bounds"),
    TooLowerBound: ("norm_bounds", "the norm of the matrix"),
    NotNonnegative: ("declarations", "nonnegative is declared"),
    NotUnitary: ("declarations", "unitary is declared"),
    WrongGram: ("gram", "_gram"),
    WrongInverse: ("inverse", "is not y"),
    HidesState: ("pickling", "not equal"),
    Mutable: ("immutable", "can be assigned"),
    PrintsArrays: ("text", "must not print arrays"),
    BadRepr: ("repr", "cannot be evaluated"),
    LeavesTheGraph: ("torch_gradient", "left the graph"),
    StaysInNumpy: ("torch_values", "tensor"),
    OwnAdjoint: ("weighted_adjoint", "leave the adjoint property to the base class"),
    Square: ("derivative", "expected t ** 2"),
    AcceptsAnything: ("refusal", "must raise"),
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda cls: cls.__name__)
def test_fault_is_named(broken: type[oa.Operator]) -> None:
    name, words = BROKEN[broken]
    found = failures(broken())
    assert name in found, found
    assert words in found[name]


def test_forgotten_conjugate_is_recognised() -> None:
    assert "must conjugate" in failures(ForgetsConjugate(COMPLEX))["adjoint"]


def test_false_self_adjointness_is_found() -> None:
    assert "self_adjoint is declared" in failures(NotSelfAdjoint(COMPLEX))["declarations"]


def test_complex_linearity_must_be_declared() -> None:
    class Conjugation(Good):
        def _apply(self, x: Any, out: Any) -> Any:
            return self._write(x.conj() if hasattr(x, "conj") else x, out)

        _apply_transpose = _apply

    assert "complex_linear = False" in failures(Conjugation(COMPLEX))["linearity"]


def test_the_part_to_blame_is_named() -> None:
    operator = oa.Identity(SPACE) + 2 * oa.Laplacian(SPACE) @ WrongAdjoint()
    with pytest.raises(ConformanceError) as caught:
        check_operator(operator)
    assert caught.value.report.failures[0].culprit.startswith("WrongAdjoint, ")
    assert "The fault is in this part, which fails by itself: WrongAdjoint" in str(caught.value)


def test_an_error_inside_the_operator_is_reported_with_its_place() -> None:
    class Raises(Good):
        def _apply_transpose(self, y: Any, out: Any) -> Any:
            raise ValueError("wrong turn")

    message = failures(Raises())["adjoint"]
    assert "ValueError: wrong turn" in message
    assert "test_check_operator.py" in message


def test_one_reason_is_told_once() -> None:
    class Raises(Good):
        def _apply(self, x: Any, out: Any = None) -> Any:
            raise RuntimeError("out of order")

    with pytest.raises(ConformanceError, match="result, argument_unchanged") as caught:
        check_operator(Raises())
    found = caught.value.report.failures
    reasons = {outcome.message for outcome in found}
    assert str(caught.value).count("out of order") == len(reasons) < len(found)


def test_nan_is_named() -> None:
    class Divides(Good):
        def _apply(self, x: Any, out: Any = None) -> Any:
            return self._write(np.nan * x, out)

    assert "A(x) holds NaN or infinity" in failures(Divides())["result"]


def test_expected_failures_are_strict() -> None:
    excuse = {"adjoint": "an approximation on purpose"}
    others = dict.fromkeys(failures(WrongAdjoint()), "follows from the adjoint")
    report = check_operator(WrongAdjoint(), expected_failures=others | excuse)
    assert any(
        o.status == "expected failure" and o.message == excuse["adjoint"] for o in report.outcomes
    )
    with pytest.raises(ConformanceError, match="drop the excuse"):
        check_operator(Good(), expected_failures=excuse)


@pytest.mark.parametrize("excuses", [{"no_such_check": "reason"}, {"adjoint": ""}])
def test_excuses_need_a_check_and_a_reason(excuses: dict[str, str]) -> None:
    with pytest.raises(ArgumentError, match="reason"):
        check_operator(Good(), expected_failures=excuses)


def test_instances_are_checked_not_classes() -> None:
    with pytest.raises(ArgumentError, match="an instance"):
        check_operator(Good)  # type: ignore[arg-type]


def test_an_inexact_adjoint_is_not_called_wrong() -> None:
    class Unmatched(WrongAdjoint):
        exact_adjoint = False

    names = {check.name for check in operator_checks(Unmatched())}
    assert "adjoint" not in names
    assert "linearity" in names


def test_checks_of_trainable_operators() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    assert check_operator(oa.Diagonal(weight)).passed
