"""Tomography: geometries, the X-ray transform, filtered back projection, phantoms, noise."""

from opalg.tomo import noise, phantoms
from opalg.tomo.fbp import FBP
from opalg.tomo.filters import RampFilter
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.xray import XrayTransform

__all__ = ["FBP", "Geometry", "ParallelBeam", "RampFilter", "XrayTransform", "noise", "phantoms"]
