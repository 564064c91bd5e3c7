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
from pathlib import Path

# Chosen before anything imports Matplotlib: the build has no screen.
os.environ["MPLBACKEND"] = "agg"


def run_cell(source: str, line: int, namespace: dict) -> str:
    """Run one cell and give what it printed, its last expression included."""
    tree = ast.parse(source, "page")
    ast.increment_lineno(tree, line - 1)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    output = io.StringIO()
    # Warnings and progress bars go to standard error, which belongs to the build, not to the page.
    with contextlib.redirect_stdout(output):
        exec(compile(tree, "page", "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "page", "eval"), namespace)
            if value is not None and not is_drawing(value):
                print(repr(value))
    return output.getvalue().rstrip()


def is_drawing(value: object) -> bool:
    """Tell whether a value is part of a figure: the figure is shown, its repr is noise."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    return type(first).__module__.partition(".")[0] == "matplotlib"


def save_figures(folder: str, prefix: str) -> list[str]:
    """Write the open figures, close them, and give their names."""
    if "matplotlib.pyplot" not in sys.modules:
        return []
    plt = sys.modules["matplotlib.pyplot"]
    names = []
    for number in plt.get_fignums():
        name = f"{prefix}-{number}.png"
        plt.figure(number).savefig(Path(folder, name), dpi=120, bbox_inches="tight")
        names.append(name)
    plt.close("all")
    return names


def main() -> int:
    """Run the page described on standard input."""
    job = json.load(sys.stdin)
    namespace = {"__name__": "__main__"}
    results = []
    for index, (source, line) in enumerate(job["cells"], start=1):
        try:
            output = run_cell(source, line, namespace)
        except Exception:
            print(f"cell {index}, line {line} of the page:\n\n{source}\n", file=sys.stderr)
            traceback.print_exc()
            return 1
        results.append(
            {"output": output, "figures": save_figures(job["figures"], f"{job['prefix']}-{index}")}
        )
    Path(sys.argv[1]).write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
