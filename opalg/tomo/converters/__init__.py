"""Geometries and grids from and to the parameters of other packages, each in a module of its own.

But for `to_odl` none of the packages is imported: what goes out are their parameters as plain arrays,
numbers and dictionaries, what comes in likewise (or an object of theirs, which is asked for its attributes).
Positions mean the same on both sides; where a package orders array axes otherwise the function says so.
Every parameter that moves a ray is honoured, or the error names it; unknown names are refused.

Rays of those packages are lines, which here end at the detector. A detector on the rotation axis, or
nearer to it than a corner of the square about the region that is seen, is therefore moved along the rays to
twice the distance from source to axis: what comes, and goes back, has the same rays and integrals, not the
same detector. One that stands farther away, as that of a scanner does, is where it was said to be.
"""

from opalg.tomo.converters.astra import from_astra, grid_from_astra
from opalg.tomo.converters.leap import from_leap, grid_from_leap, to_leap
from opalg.tomo.converters.odl import from_odl, grid_from_odl, to_odl
from opalg.tomo.converters.pyronn import from_pyronn, grid_from_pyronn, to_pyronn
from opalg.tomo.converters.tigre import from_tigre, grid_from_tigre, to_tigre
from opalg.tomo.converters.tomosipo import from_tomosipo, grid_from_tomosipo, to_tomosipo

__all__ = [
    "from_astra",
    "from_leap",
    "from_odl",
    "from_pyronn",
    "from_tigre",
    "from_tomosipo",
    "grid_from_astra",
    "grid_from_leap",
    "grid_from_odl",
    "grid_from_pyronn",
    "grid_from_tigre",
    "grid_from_tomosipo",
    "to_leap",
    "to_odl",
    "to_pyronn",
    "to_tigre",
    "to_tomosipo",
]
