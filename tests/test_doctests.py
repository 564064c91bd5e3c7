"""Every example in a docstring and in the pages of docs/ runs and prints what it says.

pytest's own collector would import ``solvers/x.py`` as ``solvers.x``, a second copy of
``opalg.solvers.x`` whose classes are not those of the library. So modules are found here as users
import them.
"""

import doctest
import importlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from public_modules import module_names

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture
def run(pytestconfig: pytest.Config) -> Callable[[list[doctest.DocTest]], None]:
    """A function that runs examples and fails with doctest's report, in the options of
    pyproject.toml."""
    names = pytestconfig.getini("doctest_optionflags")
    options = sum(doctest.OPTIONFLAGS_BY_NAME[name] for name in names)

    def run_examples(examples: list[doctest.DocTest]) -> None:
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=options)
        # odl, when it is imported, switches NumPy to printing as it did years ago.
        with np.printoptions(legacy=False):
            for example in examples:
                runner.run(example, out=report.append)
        if runner.failures:
            print("".join(report))
            pytest.fail(f"{runner.failures} of {runner.tries} examples fail", pytrace=False)

    return run_examples


@pytest.mark.parametrize("name", module_names())
def test_docstrings(name: str, run: Callable) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if "opalg[" in str(error):  # the sentence that names a missing extra, such as opalg[cuda]
            pytest.skip(str(error))
        raise
    run(doctest.DocTestFinder(exclude_empty=True).find(module, name))


def pages() -> list[Path]:
    return sorted(
        path
        for path in DOCS.rglob("*")
        if path.suffix in {".md", ".rst"} and not {"_build", "api"} & {*path.parts}
    )


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(DOCS)))
def test_pages(page: Path, run: Callable) -> None:
    # The fence that ends a code block in Markdown would be taken for expected output.
    text = re.sub(r"^\s*(```|:::).*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    example = doctest.DocTestParser().get_doctest(
        text, {"__name__": "__main__"}, page.name, str(page), 0
    )
    run([example])


def python_blocks(page: Path) -> str:
    """The Python code of a page, each line at its place in the page."""
    code, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            line = ""
        code.append(line if inside else "")
    return "\n".join(code) + "\n"


def test_readme_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that people try works as it is written."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    exec(compile(python_blocks(DOCS.parent / "README.md"), "README.md", "exec"), namespace)
    error = np.linalg.norm(namespace["result"].x - namespace["truth"])
    assert error < 0.5 * np.linalg.norm(namespace["truth"])
