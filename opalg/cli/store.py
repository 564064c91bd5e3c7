"""Finished runs on disk, under names that say what they are runs of."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from opalg.solvers.comparison import Run

__all__ = ["RunStore", "content_key"]

_TEXTS = ("name", "method", "reason")


def content_key(content: Any) -> str:
    """A short hash of anything that JSON holds.

    Examples
    --------
    >>> content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RunStore:
    """A folder with one file per finished run.

    Parameters
    ----------
    folder : Path
        Made with the first run that is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, name: str, key: str) -> Run | None:
        """The run of that key under its present name; None if there is none, or its file is damaged."""
        for path in sorted(self.folder.glob(f"*-{key}.npz")):
            try:
                with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
                    arrays = {label: file[label] for label in file.files}
                told = json.loads(str(arrays.pop("told")))
                x = arrays.pop("x")
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                continue
            return Run(name, told["method"], x, arrays, int(told["memory"]), told["reason"])
        return None

    def save(self, key: str, run: Run) -> None:
        """Keep a run that did not fail; the file appears under its name when it is complete."""
        assert run.x is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        told = json.dumps({**{name: getattr(run, name) for name in _TEXTS}, "memory": run.memory})
        label = re.sub(r"[^\w.=-]+", "_", run.name)[:60]
        path = self.folder / f"{label}-{key}.npz"
        partial = path.with_suffix(".part")
        arrays: dict[str, Any] = {"x": run.x, "told": np.array(told), **run.curves}
        with open(partial, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(partial, path)
