"""The ``opalg`` command: ``opalg doctor``, ``opalg reconstruct`` and ``opalg compare``.

Exit codes: 0 all went well, 1 something failed while computing, 2 the command or a file was wrong, 130
interrupted by Ctrl-C.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; where click is missing, say what to install."""
    try:
        group = importlib.import_module("opalg.cli.group")
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("The opalg command needs click: pip install opalg[report]")
    group.opalg(prog_name="opalg")
