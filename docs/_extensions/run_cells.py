"""Run the cells of one page.

Started by `executed_pages` in a fresh interpreter, so that pages cannot affect each other.
Reads ``{"cells": [[source, line], ...], "figures": folder, "prefix": name}`` from standard input,
and writes a list of ``{"output": text, "figures": [file name, ...]}`` to the file named by its only
argument.
"""

import ast
import contextlib
import io
import json
import os
import sys
import traceback
import types
from pathlib import Path

# Chosen before anything imports Matplotlib: the build has no screen.
os.environ["MPLBACKEND"] = "agg"


def run_cell(source: str, line: int, namespace: dict) -> tuple[str, object]:
    """Run one cell and give what it printed, its last expression included, and that expression."""
    tree = ast.parse(source, "page")
    ast.increment_lineno(tree, line - 1)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    output = io.StringIO()
    value = None
    # Warnings and progress bars go to standard error, which belongs to the build, not to the page.
    with contextlib.redirect_stdout(output):
        exec(compile(tree, "page", "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "page", "eval"), namespace)
            if value is not None and not is_drawing(value):
                print(repr(value))
    return output.getvalue().rstrip(), value


def is_drawing(value: object) -> bool:
    """Tell whether a value is part of a figure: the figure is shown, its repr is noise."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    return hasattr(first, "savefig") or type(first).__module__.partition(".")[0] == "matplotlib"


def save_figures(folder: str, prefix: str, value: object) -> list[str]:
    """Write the open figures of pyplot and a figure that is the cell's value; give their names."""
    if "matplotlib" not in sys.modules:
        return []
    figures = []
    if "matplotlib.pyplot" in sys.modules:
        plt = sys.modules["matplotlib.pyplot"]
        figures = [plt.figure(number) for number in plt.get_fignums()]
        plt.close("all")
    # `oa.show` gives a figure that pyplot does not know.
    if hasattr(value, "savefig") and value not in figures:
        figures.append(value)
    names = []
    for number, figure in enumerate(figures, start=1):
        names.append(f"{prefix}-{number}.png")
        figure.savefig(Path(folder, names[-1]), dpi=120, bbox_inches="tight")
    return names


def main() -> int:
    """Run the page described on standard input."""
    job = json.load(sys.stdin)
    # A module that can be imported: the classes of a page are pickled by its name.
    page = sys.modules["__main__"] = types.ModuleType("__main__")
    results = []
    for index, (source, line) in enumerate(job["cells"], start=1):
        try:
            output, value = run_cell(source, line, vars(page))
        except Exception:
            print(f"cell {index}, line {line} of the page:\n\n{source}\n", file=sys.stderr)
            traceback.print_exc()
            return 1
        figures = save_figures(job["figures"], f"{job['prefix']}-{index}", value)
        results.append({"output": output, "figures": figures})
    Path(sys.argv[1]).write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
