"""Spaces: what an array means - shape, data type, positions and inner product."""

from opalg.spaces.elements import Blocks
from opalg.spaces.grid import Grid
from opalg.spaces.product import ProductSpace
from opalg.spaces.space import Space

__all__ = ["Blocks", "Grid", "ProductSpace", "Space"]
