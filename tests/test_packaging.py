"""What importing opalg costs and changes, what it exports, and what a package must carry."""

import ast
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from types import ModuleType

import pytest
from public_modules import module_names

import opalg


def run_python(code: str) -> str:
    """Run code in a fresh interpreter and give what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def seconds(*codes: str, repeats: int = 5) -> list[float]:
    """Processor time of a fresh interpreter with each code: the least of several runs, taken in turns.

    It is that of the interpreter alone, while by the clock other work on the machine would count
    too; what this work still adds, through caches it shares, differs from run to run.
    """
    times = {code: [] for code in codes}
    for _ in range(repeats):
        for code in codes:
            before = os.times()
            run_python(code)
            after = os.times()
            spent = after.children_user + after.children_system
            times[code].append(spent - before.children_user - before.children_system)
    return [min(times[code]) for code in codes]


def test_import_is_quick() -> None:
    """`import opalg` takes under 0.3 s: it is paid in every script, notebook cell and test.

    The promise is for an idle machine of today, where starting Python and importing NumPy takes
    about 0.12 s. On a slower or busy machine both grow alike, so the bound grows with NumPy's own
    time; it is never less than what was promised.
    """
    numpy, taken = seconds("import numpy", "import opalg")
    bound = max(0.3, 2.5 * numpy)
    assert taken < bound, (
        f"import opalg takes {taken:.2f} s, more than {bound:.2f} s; see python -X importtime"
    )


HEAVY = {
    "astra": "a peer",
    "click": "needed by the opalg command",
    "cupy": "found in sys.modules when the caller uses it",
    "h5py": "needed by one example",
    "matplotlib": "needed when something is shown",
    "opalg.engines._cpu": "the compiled engine is loaded by the first projection",
    "pandas": "needed by one export",
    "plotly": "needed by one export",
    "pycuda": "an extra",
    "scipy.optimize": "not needed",
    "scipy.sparse.linalg": "takes longer than the rest of the import",
    "skimage": "a peer",
    "torch": "an extra, and takes a second",
}


def test_import_brings_nothing_heavy() -> None:
    loaded = set(
        json.loads(run_python("import sys, json, opalg; print(json.dumps(sorted(sys.modules)))"))
    )
    heavy = {f"{name}: {reason}" for name, reason in HEAVY.items() if name in loaded}
    compiled = {name for name in loaded if name.startswith("opalg.") and is_compiled(name)}
    assert not heavy, f"import opalg also imports {sorted(heavy)}"
    assert not compiled, (
        f"import opalg loads the compiled {sorted(compiled)}; that waits for the first use"
    )


def is_compiled(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and bool(spec.origin) and spec.origin.endswith((".so", ".pyd"))


def test_import_changes_no_global_state() -> None:
    """Whoever imports opalg keeps their print options, error handling, warning filters, signals,
    seeds and environment."""
    code = """
import os, random, signal, sys, threading, warnings
import numpy as np, scipy, array_api_compat, tqdm

def state():
    return {
        "print options": repr(np.get_printoptions()),
        "floating-point errors": np.geterr(),
        "warning filters": list(warnings.filters),
        "environment": dict(os.environ),
        "NumPy's global random state": repr(np.random.get_state()),
        "Python's random state": random.getstate(),
        "signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "threads": threading.active_count(),
        "folder": os.getcwd(),
        "exception hook": sys.excepthook,
        "recursion limit": sys.getrecursionlimit(),
    }

before = state()
import opalg
after = state()
print([name for name in before if before[name] != after[name]])
"""
    assert run_python(code).strip() == "[]"


def test_works_without_torch() -> None:
    """PyTorch is an extra: where it cannot be imported, everything else works."""
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, opalg as oa
grid = oa.Grid((4, 5))
A = oa.Identity(grid) + 2 * oa.Identity(grid)
assert np.array_equal(A(np.ones((4, 5), "float32")), 3 * np.ones((4, 5), "float32"))
print("fine")
"""
    assert run_python(code).strip() == "fine"


# ------------------------------------------------------------------------------------- public names
def packages() -> list[str]:
    """All packages, private ones excepted."""
    return [name for name in module_names(packages_only=True) if "._" not in name]


def imported_names(module: ModuleType) -> set[str]:
    """Public names that a package's __init__ takes from opalg's own modules, read from its source.

    Reading the source tells a name that was imported to be offered from a submodule that merely
    became an attribute because somebody imported it.
    """
    with open(module.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "opalg":
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", packages())
def test_public_names_are_those_defined(name: str) -> None:
    """`__all__` lists what the package offers: nothing missing, nothing twice, nothing that does
    not exist."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(listed) == len(set(listed)), f"{name}.__all__ lists a name twice"
    missing = [public for public in listed if not hasattr(module, public)]
    assert not missing, f"{name}.__all__ lists {missing}, which do not exist"
    unlisted = imported_names(module) - set(listed)
    assert not unlisted, f"{name} offers {sorted(unlisted)} without listing them in __all__"


@pytest.mark.parametrize("name", packages())
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if callable(value) or isinstance(value, ModuleType):
            assert value.__doc__, f"{name}.{public} has no docstring"
        if isinstance(value, type):
            # An override without a docstring of its own inherits that of the method it overrides.
            members = [member for member in vars(value) if not member.startswith("_")]
            bare = [
                member
                for member in members
                if inspect.isroutine(getattr(value, member))
                and not inspect.getdoc(getattr(value, member))
            ]
            assert not bare, f"{name}.{public} has methods without docstring: {bare}"


def test_top_level_completes_names() -> None:
    """`dir(opalg)` offers the public names, lazily imported ones included."""
    assert set(opalg.__all__) <= set(dir(opalg))


# -------------------------------------------------------------------------------------- the package
def test_version_is_that_of_the_metadata() -> None:
    assert opalg.__version__ == importlib.metadata.version("opalg")


def test_kernel_sources_and_type_marker_are_installed() -> None:
    files = importlib.resources.files("opalg")
    assert files.joinpath("py.typed").is_file()
    cuda_src = importlib.resources.files("opalg.cuda_src")
    assert any(entry.name.endswith(".cuh") for entry in cuda_src.iterdir())


def test_extras_are_those_that_messages_name() -> None:
    extras = set(importlib.metadata.metadata("opalg").get_all("Provides-Extra"))
    users = {"torch", "cuda", "wavelets", "nufft", "tables", "report", "examples"}
    assert extras == users | {"dev", "docs", "peers"}
