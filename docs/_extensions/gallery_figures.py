"""Hands the figures of gallery scripts to sphinx-gallery.

opalg draws on figures of its own, outside of pyplot's list of open ones, which is all that
sphinx-gallery looks at. A block of a script shows the figure that it calls ``figure``.
"""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(
    block: tuple[str, str, int], block_vars: dict[str, Any], gallery_conf: dict[str, Any]
) -> str:
    """Save the figure that a block made, if it made one, and give the text that shows it."""
    figure = block_vars["example_globals"].pop("figure", None)
    if not isinstance(figure, Figure):
        return ""
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=110)
    return figure_rst([path], gallery_conf["src_dir"])
