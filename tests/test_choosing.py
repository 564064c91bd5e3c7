"""The page "Which solver?" names every solver there is, and none that is not."""

import inspect
import re
from pathlib import Path

from opalg import solvers

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")


def exported_solvers():
    return {
        name
        for name in solvers.__all__
        if inspect.isclass(getattr(solvers, name))
        and issubclass(getattr(solvers, name), solvers.Solver)
        and name != "Solver"
    }


def test_every_solver_has_its_row_of_cost_and_memory():
    table = PAGE.split("```{list-table}")[1].split("```")[0]
    rows = re.findall(r"^\* - (.*)$", table, flags=re.M)[1:]
    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(named) == sorted(set(named)), "a solver has two rows"
    assert set(named) == exported_solvers()


def test_every_name_of_a_class_exists():
    from opalg import functionals, tomo

    known = {name for module in (solvers, functionals, tomo) for name in module.__all__}
    named = set(re.findall(r"`(?:tomo\.|solvers\.)?([A-Z]\w+)(?:\(\w*\))?`", PAGE))
    assert named - {"A"} <= known


def test_the_gallery_shows_every_family():
    scripts = sorted((ROOT / "examples" / "gallery").glob("plot_*.py"))
    shown = {
        name
        for script in scripts
        for name in re.findall(r"solvers\.(\w+)\(", script.read_text(encoding="utf-8"))
    }
    families = [
        {"SIRT", "SART"},
        {"CGLS", "HybridLSQR"},
        {"MLEM", "OSEM", "MAPEM"},
        {"LBFGS", "NonlinearCG"},
        {"PDHG", "ADMM"},
        {"SAGA", "SPDHG"},
        {"PnPADMM"},
    ]
    assert all(family <= shown for family in families)
