"""Reading a TOML file with errors that say the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opalg.cli.methods import nearest
from opalg.errors import ArgumentError

__all__ = ["Document"]

_MISSING: Any = object()


class Document:
    """A TOML file: its tables, and errors that name file, line and table.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ArgumentError
        If there is no such file, or it is no TOML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ArgumentError(f"there is no file {path}")
        try:
            self.text = path.read_text(encoding="utf-8")
            self.content = tomllib.loads(self.text)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ArgumentError(f"{path} is no TOML: {error}") from None

    def table(self, *names: str, required: bool = False) -> dict[str, Any]:
        """The table ``[a.b]``; empty if it is not there.

        Raises
        ------
        ArgumentError
            If it is required and missing, or no table.
        """
        found: Any = self.content
        for i, name in enumerate(names):
            found = found.get(name, _MISSING)
            if found is _MISSING:
                if required:
                    raise ArgumentError(f"{self.path} has no [{'.'.join(names)}]")
                return {}
            if not isinstance(found, dict):
                raise self.error(names[:i], name, f"{name!r} must be a table, [{'.'.join(names)}]")
        return dict(found)

    def check_keys(
        self, names: tuple[str, ...], table: Mapping[str, Any], known: Iterable[str]
    ) -> None:
        """Refuse keys that mean nothing.

        Raises
        ------
        ArgumentError
            With the line, the nearest key and those that are known.
        """
        known = list(known)
        for key in table:
            if key not in known:
                where = f"[{'.'.join(names)}]" if names else "a study"
                words = f"{where} has no {key!r}{nearest(key, known)}; it has {', '.join(known)}"
                raise self.error(names, key, words)

    def error(self, names: tuple[str, ...], key: str | None, words: str) -> ArgumentError:
        """An error that says where in the file it is."""
        line = self.line_of(names, key)
        place = f"{self.path}, line {line}" if line else str(self.path)
        return ArgumentError(f"{place}: {words}")

    def line_of(self, names: tuple[str, ...], key: str | None) -> int | None:
        """The line (from 1) where a key of a table stands, else that of the table, if one can be found."""
        current: tuple[str, ...] = ()
        header = None
        for number, line in enumerate(self.text.splitlines(), 1):
            opened = re.match(r"\s*\[([^\[\]]+)\]", line)
            if opened:
                current = _keys(opened[1])
                if key is not None and current == (*names, key):
                    return number
                if current == names:
                    header = number
                    if key is None:
                        return number
                continue
            left, equals, _ = line.partition("=")
            if equals and key is not None:
                path = (*current, *_keys(left))
                if path[: len(names) + 1] == (*names, key):
                    return number
        return header


def _keys(text: str) -> tuple[str, ...]:
    """The parts of a dotted key, quoted or not."""
    parts = re.findall(r'"([^"]*)"|\'([^\']*)\'|([^.\s"\']+)', text)
    return tuple(next(part for part in group if part) if any(group) else "" for group in parts)
