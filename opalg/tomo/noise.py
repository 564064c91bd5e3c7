"""Noise and artefacts: what a scanner makes of line integrals.

Every function takes projections of any array library, shape (views, u) or (views, v, u) with batch axes in
front, and gives an array like them. What is random takes a seed.
"""

from opalg.tomo.simulation.counting import gaussian, poisson
from opalg.tomo.simulation.detector import drift, jitter, rings, rotation_blur
from opalg.tomo.simulation.fine import high_frequency
from opalg.tomo.simulation.materials import attenuation, tube_spectrum
from opalg.tomo.simulation.polychromatic import beam_hardening, metal, polychromatic
from opalg.tomo.simulation.scatter import scatter

__all__ = [
    "attenuation",
    "beam_hardening",
    "drift",
    "gaussian",
    "high_frequency",
    "jitter",
    "metal",
    "poisson",
    "polychromatic",
    "rings",
    "rotation_blur",
    "scatter",
    "tube_spectrum",
]
