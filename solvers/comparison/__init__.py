"""Comparing reconstructions: run them on the same data, judge them, print, draw and keep the result.

`opalg.solvers.compare` is the way in. It gives a `Report` of `Run` objects; a `Metric` says how an image is
judged where the known ones (``psnr``, ``ssim``, ...) are not enough.
"""

from opalg.solvers.comparison.compare import compare
from opalg.solvers.comparison.metrics import Metric
from opalg.solvers.comparison.report import Report
from opalg.solvers.comparison.runs import Run

__all__ = ["Metric", "Report", "Run", "compare"]
