"""The architecture page promises that imports run downwards only; here the promise is checked."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Floors from the ground up; the longest matching prefix counts. Packages "beside" stand on the top
# floor: others import them lazily, inside functions, only.
FLOORS = {
    "opalg.errors": 1,
    "opalg.arrays": 1,
    "opalg.values": 1,
    "opalg.spaces": 2,
    "opalg.engines": 2,
    "opalg.operators": 3,
    "opalg.functionals": 4,
    "opalg.tomo": 4,
    "opalg.solvers": 5,
    "opalg.plotting": 6,
    "opalg.interop": 6,
    "opalg.testing": 6,
    "opalg": 7,
}
BESIDE = ("opalg.plotting", "opalg.interop", "opalg.testing")


def modules():
    """Dotted name -> file of every module of the package, under its installed name."""
    found = {}
    for folder, prefix in (("opalg", "opalg"), ("solvers", "opalg.solvers")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((prefix, *parts))] = path
    return found


MODULES = modules()


def floor(name):
    """The floor on which a module stands."""
    best = max((p for p in FLOORS if name == p or name.startswith(p + ".")), key=len)
    return FLOORS["opalg"] if best == "opalg" and name != "opalg" else FLOORS[best]


@cache
def imports(path, inside_functions):
    """The opalg modules that a file imports at its top level, or inside its functions."""
    return list(found_imports(path, inside_functions))


def found_imports(path, inside_functions):
    tree = ast.parse(path.read_text())
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if (id(node) in inner) != inside_functions or id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in MODULES:
                    yield full
                elif node.module in MODULES:
                    yield node.module


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_run_downwards(name):
    for imported in imports(MODULES[name], inside_functions=False):
        assert floor(imported) <= floor(name), f"{name} imports {imported} from a floor above"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_inside_functions_reach_only_what_is_optional(name):
    for imported in imports(MODULES[name], inside_functions=True):
        lower = floor(imported) < floor(name)
        assert lower or imported.startswith(BESIDE), f"{name} hides an import of {imported}"


def test_no_circle_among_files():
    graph = {name: set(imports(path, False)) - {name} for name, path in MODULES.items()}
    while graph:
        free = [name for name, needs in graph.items() if not needs & graph.keys()]
        assert free, f"files that import each other in a circle: {sorted(graph)}"
        for name in free:
            del graph[name]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_files_hold_one_idea(name):
    lines = len(MODULES[name].read_text().splitlines())
    # DESIGN says about 400; a quarter more is where a file should have been two.
    assert lines <= 500, f"{MODULES[name]} has {lines} lines"


def test_the_helper_sees_imports():
    """The tests above would pass on an empty graph; here the graph is known."""
    assert "opalg.spaces.space" in set(imports(MODULES["opalg.spaces.grid"], False))
