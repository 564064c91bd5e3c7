"""Configuration of the documentation. `make docs` builds it; a warning fails the build."""

import importlib
import importlib.metadata
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "opalg"
author = "The opalg developers"
copyright = "The opalg developers"
version = release = importlib.metadata.version("opalg")

extensions = [
    "executed_pages",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_extensions", "_templates"]
templates_path = ["_templates"]

# -------------------------------------------------------------------------------------------- pages
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# ---------------------------------------------------------------------------------- gallery of solvers
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "run_stale_examples": True,  # the library may have changed, if not the script
    "image_scrapers": ("gallery_figures.scrape",),
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 30,
    "write_computation_times": False,
    "remove_config_comments": True,
}

# ------------------------------------------------------------------------------------ API reference
# A package documents exactly the names in its __all__, under the name by which users import them.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
# The numpydoc sections state the types in words; annotations beside them would say the same twice.
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# Only our own names can be resolved: the build uses no network, so there are no inventories of
# other projects.
nitpick_ignore_regex = [(r"py:.*", r"(?!opalg\b).*")]

# -------------------------------------------------------------------------------------------- theme
html_theme = "furo"
html_title = f"opalg {release}"
html_static_path = ["_static"]
html_css_files = ["opalg.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#6cc0ee", "color-brand-content": "#6cc0ee"},
}


# --------------------------------------------------------------------------------- names of bases
PACKAGES = (
    "opalg",
    "opalg.errors",
    "opalg.functionals",
    "opalg.solvers",
    "opalg.testing",
    "opalg.tomo",
)


def name_bases_publicly(
    app: Sphinx, name: str, obj: type, options: object, bases: list[type | str]
) -> None:
    """Name base classes as users import them, and leave out those that are not public."""
    public = {}
    for package in reversed(PACKAGES):
        module = importlib.import_module(package)
        public |= {
            id(getattr(module, known)): f"{package}.{known}"
            for known in getattr(module, "__all__", ())
        }
    bases[:] = [f":py:class:`{public[id(base)]}`" for base in bases if id(base) in public] or [
        object
    ]


def setup(app: Sphinx) -> None:
    """Connect the functions of this file."""
    app.connect("autodoc-process-bases", name_bases_publicly)
