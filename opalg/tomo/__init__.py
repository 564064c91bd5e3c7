"""Tomography: geometries, the X-ray transform, filtered back projection, phantoms, noise."""

from opalg.tomo import converters, dxchange, noise, phantoms, preprocessing, trajectories, weights
from opalg.tomo.cone import ConeBeam
from opalg.tomo.fan import FanBeam
from opalg.tomo.fbp import FBP
from opalg.tomo.fdk import FDK
from opalg.tomo.filters import RampFilter
from opalg.tomo.frequency_filter import FrequencyFilter
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.preprocessing import find_rotation_axis
from opalg.tomo.random_geometry import random_geometry, random_grid, random_transform
from opalg.tomo.supersampling import supersampled
from opalg.tomo.transforms import Transform, reflect, rotate, scale, translate
from opalg.tomo.voxel_driven import VoxelBackProjection
from opalg.tomo.xray import XrayTransform

__all__ = [
    "ConeBeam",
    "FBP",
    "FDK",
    "FanBeam",
    "FrequencyFilter",
    "Geometry",
    "ParallelBeam",
    "RampFilter",
    "Transform",
    "VoxelBackProjection",
    "XrayTransform",
    "converters",
    "dxchange",
    "find_rotation_axis",
    "noise",
    "phantoms",
    "preprocessing",
    "random_geometry",
    "random_grid",
    "random_transform",
    "reflect",
    "rotate",
    "scale",
    "supersampled",
    "trajectories",
    "translate",
    "weights",
]
