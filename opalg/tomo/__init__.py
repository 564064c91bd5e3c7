"""Tomography: geometries, the X-ray transform, filtered back projection, phantoms, noise."""

from opalg.tomo import dxchange, noise, phantoms, preprocessing
from opalg.tomo.fbp import FBP
from opalg.tomo.filters import RampFilter
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.preprocessing import find_rotation_axis
from opalg.tomo.xray import XrayTransform

__all__ = [
    "FBP",
    "Geometry",
    "ParallelBeam",
    "RampFilter",
    "XrayTransform",
    "dxchange",
    "find_rotation_axis",
    "noise",
    "phantoms",
    "preprocessing",
]
