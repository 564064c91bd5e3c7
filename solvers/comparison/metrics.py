"""How an image is judged: by the truth, or by how well it explains the data."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, MissingExtraError

__all__ = ["METRICS", "Metric", "as_metrics", "data_range"]

Image = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Metric:
    """A number that judges a reconstruction.

    Parameters
    ----------
    name : str
        The heading of its column.
    function : callable
        ``function(x, truth)`` with NumPy arrays; ``truth`` is None where it is not known.
    higher_is_better : bool, optional
        Which values are marked as the best; none are where it is not said.
    needs_truth : bool, default False
        Whether to refuse to work without a truth.
    unit : str, optional
        Behind the name in tables.

    Examples
    --------
    >>> brightest = Metric("largest error", lambda x, truth: abs(x - truth).max(), False, True)
    >>> float(brightest.function(np.ones(3), np.zeros(3)))
    1.0
    """

    name: str
    function: Callable[[Image, Image | None], float]
    higher_is_better: bool | None = None
    needs_truth: bool = False
    unit: str = ""

    @property
    def heading(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def data_range(truth: Image) -> float:
    """The difference of the largest and the smallest value of the truth, to which errors are related.

    Raises
    ------
    ArgumentError
        If the truth is constant.
    """
    span = float(truth.max()) - float(truth.min())
    if span == 0:
        raise ArgumentError(
            "psnr and ssim relate errors to the range of the truth, max - min, but the truth is constant; "
            "use rmse"
        )
    return span


def psnr(x: Image, truth: Image | None) -> float:
    """Peak signal to noise ratio in decibels, ``20 log10(range / rmse)``; infinite for the truth itself."""
    error = rmse(x, truth)
    return 20 * math.log10(data_range(_known(truth)) / error) if error else math.inf


def ssim(x: Image, truth: Image | None) -> float:
    """Mean structural similarity (Wang et al. 2004) by scikit-image, in windows of 7 pixels per axis."""
    try:
        from skimage import metrics
    except ImportError:
        raise MissingExtraError("ssim needs scikit-image: pip install opalg[report]") from None
    truth = _known(truth)
    smallest = min(truth.shape)
    window = min(7, smallest if smallest % 2 else smallest - 1)
    if window < 3:
        raise ArgumentError(f"ssim needs 3 pixels along each axis, got shape {truth.shape}")
    x, truth = np.asarray(x, truth.dtype), np.asarray(truth)
    similarity: Any = metrics.structural_similarity
    return float(similarity(truth, x, data_range=data_range(truth), win_size=window))


def rmse(x: Image, truth: Image | None) -> float:
    """Root of the mean squared error, in the unit of the image."""
    difference = np.subtract(x, _known(truth), dtype=_double(x))
    return float(np.sqrt(np.mean(np.abs(difference) ** 2)))


def relative_error(x: Image, truth: Image | None) -> float:
    """``|x - truth| / |truth|`` in the Euclidean norm."""
    truth = _known(truth)
    size = float(np.linalg.norm(truth.astype(_double(truth)).ravel()))
    if size == 0:
        raise ArgumentError("relative_error divides by the norm of the truth, which is zero")
    return rmse(x, truth) * math.sqrt(truth.size) / size


def residual(x: Image, truth: Image | None) -> float:
    """``|A(x) - y| / |y|``; asked of the run, which knows the data."""
    raise NotImplementedError("the residual is computed where the data are")


METRICS: dict[str, Metric] = {
    "psnr": Metric("psnr", psnr, True, True, "dB"),
    "ssim": Metric("ssim", ssim, True, True),
    "rmse": Metric("rmse", rmse, False, True),
    "relative_error": Metric("relative_error", relative_error, False, True),
    "residual": Metric("residual", residual, False),
}
"""The metrics that are known by name."""


def as_metrics(metrics: Any, truth: Image | None) -> tuple[Metric, ...]:
    """Names, callables and `Metric` objects as metrics, checked against what is known.

    Parameters
    ----------
    metrics : iterable or mapping
        Names, callables ``f(x, truth)``, `Metric` objects; a mapping gives callables their names.
    truth : ndarray or None

    Raises
    ------
    ArgumentError
        If a name is unknown, two metrics share one, or a truth is needed and there is none.
    """
    if isinstance(metrics, (str, Metric)) or callable(metrics):
        metrics = [metrics]
    pairs: Iterable[Any] = metrics.items() if isinstance(metrics, Mapping) else metrics
    found = tuple(_one(metric) for metric in pairs)
    names = [metric.name for metric in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ArgumentError(f"two metrics are called {', '.join(sorted(twice))}; give them names")
    if truth is None and (needing := [metric.name for metric in found if metric.needs_truth]):
        raise ArgumentError(
            f"{', '.join(needing)} cannot be computed without truth=; metrics=['residual'] can"
        )
    if truth is not None and {"psnr", "ssim"} & {*names}:
        data_range(truth)
    return found


def _one(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, tuple) and len(metric) == 2 and callable(metric[1]):
        return Metric(str(metric[0]), metric[1])
    if isinstance(metric, str):
        if metric in METRICS:
            return METRICS[metric]
        near = difflib.get_close_matches(metric.lower(), METRICS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ArgumentError(f"there is no metric {metric!r}{hint}, only {', '.join(METRICS)}")
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    raise ArgumentError(
        f"a metric is a name, a function f(x, truth) or a Metric, got {metric!r:.80}"
    )


def _known(truth: Image | None) -> Image:
    if truth is None:
        raise ArgumentError("this metric needs a truth")
    return truth


def _double(x: Image) -> np.dtype[Any]:
    return np.result_type(x.dtype, np.float64)
