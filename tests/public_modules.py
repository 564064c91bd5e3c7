"""The modules of opalg under the names by which users import them, for tests that visit all."""

import pkgutil
from pathlib import Path

import opalg
import opalg.solvers


def module_names(packages_only: bool = False) -> list[str]:
    """Names of all Python modules, or of all packages, of opalg; compiled modules are left out.

    Not a walk over ``opalg.__path__``: in an editable installation that holds the root of the
    source tree too, because ``solvers/`` lies there, and would find ``opalg.tests`` and others.
    """
    names = ["opalg", "opalg.solvers"]
    for package in (opalg, opalg.solvers):
        folder = str(Path(package.__file__).parent)
        for module in pkgutil.walk_packages([folder], f"{package.__name__}."):
            spec = module.module_finder.find_spec(module.name.rpartition(".")[2], None)
            is_python = spec is not None and str(spec.origin).endswith(".py")
            if is_python and (module.ispkg or not packages_only):
                names.append(module.name)
    return sorted(set(names))
