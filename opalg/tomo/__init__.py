"""Tomography: geometries, the X-ray transform, filtered back projection, phantoms, noise."""

from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.xray import XrayTransform

__all__ = ["Geometry", "ParallelBeam", "XrayTransform"]
