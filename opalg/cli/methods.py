"""Methods by name: which there are, what parameters they take, and how one is made."""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opalg import functionals, solvers, tomo
from opalg.errors import ArgumentError
from opalg.operators import Gradient, LinearOperator

__all__ = ["build", "check_parameters", "known_methods", "nearest", "parse_settings"]

_REGULARIZERS: dict[str, Callable[[Any], Any]] = {
    "tv": lambda X: functionals.GroupL1(Gradient(X).range) @ Gradient(X),
    "smooth": lambda X: functionals.SquaredL2(Gradient(X).range) @ Gradient(X),
    "l1": lambda X: functionals.L1(X),
    "l2": lambda X: functionals.SquaredL2(X),
}
# Objects in Python, words and numbers in a shell.
_WORDS = ("regularizer", "lambda", "nonnegative")


def known_methods() -> dict[str, type]:
    """All methods under their lower-case names: filtered back projection and every solver."""
    found: dict[str, type] = {}
    for name in ("FBP", "FDK"):
        if hasattr(tomo, name):
            found[name.lower()] = getattr(tomo, name)
    for name in sorted(solvers.__all__):
        value = getattr(solvers, name)
        is_solver = isinstance(value, type) and issubclass(value, solvers.Solver)
        if is_solver and value is not solvers.Solver and not _needs(value):
            found[name.lower()] = value
    return found


def find_method(name: str) -> type:
    """The class of a method.

    Raises
    ------
    ArgumentError
        If there is none of that name; lists those that there are and the nearest.
    """
    known = known_methods()
    key = name.lower().replace("-", "").replace("_", "")
    if key in known:
        return known[key]
    for other in solvers.__all__:
        if other.lower() == key and (missing := _needs(getattr(solvers, other))):
            raise ArgumentError(
                f"{other} needs {' and '.join(missing)}, which cannot be given in a shell; call "
                f"opalg.solvers.{other} in Python"
            )
    raise ArgumentError(
        f"there is no method {name!r}{nearest(key, known)}; known are {', '.join(known)}"
    )


def parameters_of(method: type) -> dict[str, Any]:
    """Names and defaults of the parameters that can be set."""
    signature = inspect.signature(method.__init__)  # type: ignore[misc]
    named = list(signature.parameters.values())[2:]  # behind self and the operator
    found = {p.name: p.default for p in named if p.name != "regularizer"}
    if "regularizer" in signature.parameters:
        found |= {"regularizer": None, "lambda": 1.0, "nonnegative": False}
    return found


def _needs(method: type) -> list[str]:
    """The parameters without which a method cannot be made, beside the operator."""
    signature = inspect.signature(method.__init__)  # type: ignore[misc]
    named = list(signature.parameters.values())[2:]
    return [
        p.name
        for p in named
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def check_parameters(name: str, parameters: Iterable[str]) -> None:
    """Refuse parameters that a method does not have.

    Raises
    ------
    ArgumentError
        Naming those that it has and the nearest.
    """
    offered = parameters_of(find_method(name))
    for parameter in parameters:
        if parameter not in offered:
            raise ArgumentError(
                f"{name} has no parameter {parameter!r}{nearest(parameter, offered)}; "
                f"it has {', '.join(offered) or 'none'}"
            )


def build(name: str, operator: LinearOperator, parameters: Mapping[str, Any]) -> Any:
    """A method for an operator.

    Parameters
    ----------
    name : str
    operator : LinearOperator
    parameters : mapping
        For solvers that take a regularizer: ``regularizer`` (tv, smooth, l1 or l2), its weight ``lambda`` and
        ``nonnegative``. All others as in Python.

    Raises
    ------
    ArgumentError
        If the method or a parameter is unknown, or a value cannot be meant.
    """
    check_parameters(name, parameters)
    method = find_method(name)
    for key, default in parameters_of(method).items():
        _check_kind(name, key, parameters.get(key, default), default)
    given = {key: value for key, value in parameters.items() if key not in _WORDS}
    if any(word in parameters for word in _WORDS):
        given["regularizer"] = _regularizer(name, method, operator.domain, parameters)
    try:
        return method(operator, **given)
    except TypeError as error:
        raise ArgumentError(f"the parameters of {name} do not fit: {error}") from None


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``name=value`` texts as a dictionary; values are read as in TOML, other words stay texts.

    Raises
    ------
    ArgumentError
        If a text has no equals sign.

    Examples
    --------
    >>> parse_settings(["relaxation=1.5", "window=hann", "minimum=0"])
    {'relaxation': 1.5, 'window': 'hann', 'minimum': 0}
    """
    found = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        name = name.strip()
        if not sign or not name:
            raise ArgumentError(
                f"--set takes NAME=VALUE, for example relaxation=1.5, got {setting!r}"
            )
        try:
            found[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[name] = text.strip()
    return found


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` if something known is near, else nothing."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _takes_maps_only(method: type) -> bool:
    """Whether a solver needs proximal maps in ``x`` itself, and does not take a norm of a gradient apart."""
    return issubclass(method, (solvers.ISTA, solvers.FISTA, solvers.SGD, solvers.SAGA))


def _check_kind(name: str, key: str, value: Any, default: Any) -> None:
    """Refuse a word where a number is meant: many methods would find out in the middle of a step."""
    if isinstance(default, bool):
        kind = None if isinstance(value, bool) else "true or false"
    elif isinstance(default, (int, float)):
        kind = "a number" if isinstance(value, (str, bool, dict)) else None
    else:
        kind = None
    if kind is not None:
        raise ArgumentError(f"{key} of {name} must be {kind}, got {value!r}")


def _regularizer(name: str, method: type, grid: Any, parameters: Mapping[str, Any]) -> Any:
    kind = parameters.get("regularizer")
    weight = parameters.get("lambda", 1.0)
    if kind is None and "lambda" in parameters:
        raise ArgumentError(
            f"lambda of {name} is the weight of a regularizer; say which: {', '.join(_REGULARIZERS)}"
        )
    if kind is not None and kind not in _REGULARIZERS:
        raise ArgumentError(
            f"there is no regularizer {kind!r}{nearest(str(kind), _REGULARIZERS)}; "
            f"known are {', '.join(_REGULARIZERS)}"
        )
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not (number and 0 <= weight < float("inf")):
        raise ArgumentError(f"lambda of {name} must be a number, at least 0, got {weight!r}")
    make = None if kind is None else _REGULARIZERS[kind]
    if kind == "tv" and _takes_maps_only(method):
        make = functionals.TotalVariation  # the same, with a proximal map
    terms = [] if make is None else [float(weight) * make(grid)]
    if parameters.get("nonnegative"):
        terms.append(functionals.NonNegative(grid))
    return terms[0] if len(terms) == 1 else terms[0] + terms[1] if terms else None
