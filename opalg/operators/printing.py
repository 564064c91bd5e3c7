"""Expressions as text: infix with as few parentheses as needed, LaTeX, and trees."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Text", "atom", "infix", "number", "parenthesise_repr", "postfix", "scaled", "tree"]

SUM, PRODUCT, POSTFIX, ATOM = 1, 2, 3, 4


class Text(NamedTuple):
    """A piece of mathematics and how tightly it binds."""

    text: str
    binding: int


def atom(text: str) -> Text:
    """A name or number, which never needs parentheses."""
    return Text(text, ATOM)


def _inside(part: Text, binding: int, latex: bool = False) -> str:
    if part.binding >= binding:
        return part.text
    return rf"\left({part.text}\right)" if latex else f"({part.text})"


def infix(separator: str, parts: list[Text], binding: int, latex: bool = False) -> Text:
    """The parts joined by an associative operation."""
    if len(parts) == 1:
        return parts[0]
    # The first part may bind equally; later ones would be re-associated, which is harmless for sums but
    # not for a scalar times a product, so a product inside a product keeps its parentheses.
    texts = [
        _inside(part, binding if i == 0 else binding + (binding == PRODUCT), latex)
        for i, part in enumerate(parts)
    ]
    joined = separator.join(texts)
    if separator == " + ":
        joined = joined.replace(" + -", " - ")
    return Text(joined, binding)


def postfix(part: Text, suffix: str) -> Text:
    """A part with something behind it that binds most tightly (``.H``, ``** 2``)."""
    latex = suffix.startswith("^")
    limit = ATOM if latex or suffix.startswith(" **") else POSTFIX
    return Text(_inside(part, limit, latex) + suffix, POSTFIX)


def scaled(factor: Any, part: Text, loose: bool = False, latex: bool = False) -> Text:
    """A number times a part; a product inside keeps its parentheses unless ``loose``."""
    text = _inside(part, PRODUCT if loose else PRODUCT + 1, latex)
    if factor == -1:
        return Text(f"-{text}", PRODUCT)
    return Text(number(factor) + (r" \, " if latex else " * ") + text, PRODUCT)


def number(value: Any) -> str:
    """A scalar, short; complex ones in parentheses."""
    if isinstance(value, complex):
        return f"({value:.6g})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def parenthesise_repr(operator: Any) -> str:
    """``repr`` of an operator, in parentheses unless it is a call."""
    text = repr(operator)
    return text if operator._infix().binding >= POSTFIX else f"({text})"


def tree(operator: Any) -> str:
    """See `opalg.Operator.tree`."""
    lines: list[tuple[str, Any]] = []
    _grow(operator, "", "", lines)
    return "\n".join(
        f"{text}    {node.domain} -> {node.range}    {_amount(node.cost())}" for text, node in lines
    )


def _grow(node: Any, first: str, rest: str, lines: list[tuple[str, Any]]) -> None:
    lines.append((first + node._label(), node))
    children = node._children()
    for i, child in enumerate(children):
        last = i == len(children) - 1
        _grow(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), lines)


def _amount(cost: Any) -> str:
    return f"{_engineering(cost.operations)}op, {_engineering(cost.bytes)}B"


def _engineering(value: float) -> str:
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} T"
