"""From what a detector counted to line integrals ready for reconstruction.

In the usual order: `bad_pixels` and `mend_pixels`, `remove_zingers` and `binned` on counts; `transmission`
and `line_integrals`; `remove_rings` or `remove_rings_wavelet`; `find_rotation_axis`, and `half_turn` if the
axis stands at the edge of the detector in a full turn. To crop is to index: ``y[:, 100:-100]`` and
``geometry[:, 100:-100]``. Values that are NaN or infinite are an error everywhere, except in pixels that
are said to be bad.
"""

from opalg.tomo.correction.axis import find_rotation_axis
from opalg.tomo.correction.counts import line_integrals, transmission
from opalg.tomo.correction.pixels import bad_pixels, mend_pixels, remove_zingers
from opalg.tomo.correction.resampling import HalfTurn, binned, half_turn
from opalg.tomo.correction.stripes import remove_rings, remove_rings_wavelet

__all__ = [
    "HalfTurn",
    "bad_pixels",
    "binned",
    "find_rotation_axis",
    "half_turn",
    "line_integrals",
    "mend_pixels",
    "remove_rings",
    "remove_rings_wavelet",
    "remove_zingers",
    "transmission",
]
