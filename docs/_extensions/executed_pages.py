"""Sphinx extension: run the ``{code-cell}`` blocks of a page and show what they print and draw.

The blocks of a page run from top to bottom in one namespace, in a process of the page's own, when
the page is built, which it is again when the page or the library changes. Standard output, the
value of a last expression and every Matplotlib figure appear below the block. An exception fails
the build and names the page and line: a tutorial that does not run is not published.

The syntax is that of MyST-NB, of which this is the part we use (its notebook machinery is a heavy
dependency)::

    ```{code-cell}
    :tags: [remove-input]
    print("only the output is shown")
    ```

Known tags: ``remove-input``, ``remove-output``. Build with ``-D executed_pages_run=0`` to write
prose without running.
"""

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

RUNNER = Path(__file__).with_name("run_cells.py")
LIBRARY = ("opalg", "opalg.solvers", "opalg.engines._cpu")
TAGS = {"remove-input", "remove-output"}


class CodeCellNode(nodes.General, nodes.Element):
    """Stands for one block until all blocks of its page are known."""


def parse_tags(argument: str) -> set[str]:
    """Read ``[a, b]`` or ``a, b``."""
    tags = {tag.strip() for tag in argument.strip("[] ").split(",") if tag.strip()}
    if unknown := tags - TAGS:
        raise ValueError(f"unknown tags {sorted(unknown)}; known are {sorted(TAGS)}")
    return tags


class CodeCell(Directive):
    """The ``{code-cell}`` directive."""

    has_content = True
    optional_arguments = 1  # the language, which is Python
    option_spec = {"tags": parse_tags}  # noqa: RUF012 (docutils' interface)

    def run(self) -> list[nodes.Node]:
        """Keep the source; `run_page` puts the results in its place."""
        cell = CodeCellNode(source="\n".join(self.content), tags=self.options.get("tags", set()))
        cell.source, cell.line = self.state_machine.get_source_and_line(self.lineno)
        return [cell]


def run_page(app: Sphinx, document: nodes.document) -> None:
    """Replace the cells of a page by their source and results."""
    cells = list(document.findall(CodeCellNode))
    if not cells:
        return
    page = app.env.docname
    for path in library_files():
        app.env.note_dependency(str(path))
    figures = Path(app.doctreedir, "figures")
    figures.mkdir(parents=True, exist_ok=True)
    results = (
        execute(page, cells, figures)
        if app.config.executed_pages_run
        else [{"output": "", "figures": []}] * len(cells)
    )
    for cell, result in zip(cells, results, strict=True):
        cell.replace_self(render(app, page, cell, result))


def library_files() -> list[Path]:
    """All files that a page shows the work of: when one changes, the page is run again."""
    files = [RUNNER]
    for name in LIBRARY:
        path = Path(importlib.import_module(name).__file__)
        files += sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    return files


def execute(page: str, cells: list[CodeCellNode], figures: Path) -> list[dict]:
    """Run all cells of a page in a fresh interpreter, and give what each printed and drew."""
    prefix = page.replace("/", "-")
    with tempfile.TemporaryDirectory() as scratch:
        job = {
            "cells": [[cell["source"], cell.line or 1] for cell in cells],
            "figures": str(figures),
            "prefix": prefix,
        }
        answer = Path(scratch, "answer.json")
        # Run in an empty folder, so that a page cannot lean on files that its reader does not have.
        done = subprocess.run(
            [sys.executable, str(RUNNER), str(answer)],
            input=json.dumps(job),
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ExtensionError(f"the page {page!r} does not run:\n{done.stderr}")
        return json.loads(answer.read_text())


def render(app: Sphinx, page: str, cell: CodeCellNode, result: dict) -> list[nodes.Node]:
    """Build the nodes that show one cell."""
    shown: list[nodes.Node] = []
    if "remove-input" not in cell["tags"]:
        shown.append(nodes.literal_block(cell["source"], cell["source"], language="python"))
    if "remove-output" in cell["tags"]:
        return shown
    if output := result["output"]:
        # Sentences are broken at the margin; trees would lose their branches.
        classes = ["cell-output"] if "─" in output else ["cell-output", "cell-prose"]
        shown.append(nodes.literal_block(output, output, language="none", classes=classes))
    for name in result["figures"]:
        path = Path(app.doctreedir, "figures", name)
        uri = str(path)
        image = nodes.image(
            uri=uri,
            candidates={"*": uri},
            alt="figure drawn by the code above",
            classes=["cell-figure"],
        )
        app.env.images.add_file(page, uri)
        shown.append(image)
    return shown


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_config_value("executed_pages_run", True, "env", types=(bool, int, str))
    app.add_node(CodeCellNode)
    app.add_directive("code-cell", CodeCell)
    app.connect("doctree-read", run_page)
    directives.register_directive("code-cell", CodeCell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
