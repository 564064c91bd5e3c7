"""The way in: run any set of reconstructions on the same data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.operators import LinearOperator
from opalg.solvers.comparison.problem import make_problem
from opalg.solvers.comparison.record import make_record
from opalg.solvers.comparison.report import Report
from opalg.solvers.comparison.runs import run_method

__all__ = ["compare"]


def compare(
    methods: Mapping[str, Callable[[Array], Array]],
    y: Array,
    *,
    truth: Array | None = None,
    metrics: Any = None,
    operator: LinearOperator | None = None,
    every: int | None = None,
    seed: int | None = 0,
    progress: bool = False,
) -> Report:
    """Run reconstructions on the same data and report how good and how costly they are.

    Parameters
    ----------
    methods : mapping of str to callable
        Name and method: a `Solver`, `opalg.tomo.FBP` or another operator, a ``torch.nn.Module``, any function
        from data to image. Solvers are watched step by step, everything else is called once.
    y : array or Blocks
        The data, without batch axes. A ``torch.nn.Module`` gets NumPy data as a tensor on its device.
    truth : array, optional
        The image that should come out.
    metrics : sequence, optional
        Names (``"psnr"``, ``"ssim"``, ``"rmse"``, ``"relative_error"``, ``"residual"``), functions
        ``f(x, truth)`` of NumPy arrays, or `opalg.solvers.comparison.Metric`; a mapping gives functions
        their names. By default psnr and ssim if there is a truth, else the residual if an operator is known.
    operator : LinearOperator, optional
        Whose calls are counted and whose residual is meant; by default that of the first solver or FBP.
    every : int, optional
        Compute the metrics after each ``every``-th iteration (and the first and the last); by default such
        that there are about 50 samples, so that metrics stay cheap beside long runs.
    seed : int or None, default 0
        From which the global generators of Python, NumPy and PyTorch start before each method; afterwards
        they are as they were before. None leaves them alone.
    progress : bool, default False
        Show a progress bar per method.

    Returns
    -------
    Report
        Prints as a table; gives curves, pictures, `pandas` tables and a web page.

    Raises
    ------
    ArgumentError
        If there is no method, a metric is unknown or needs a truth, or shapes do not fit.
    NonFiniteError
        If data or truth hold NaN or infinity.
    KeyboardInterrupt
        On Ctrl-C; methods that had finished are lost (``opalg compare`` keeps them).

    Warns
    -----
    AccuracyWarning
        If a metric fails or gives NaN.

    Notes
    -----
    A method that raises, or gives NaN or a wrong shape, is reported as failed with its error; the others
    go on.

    *Range.* psnr and ssim relate errors to ``truth.max() - truth.min()``.

    *Calls* are those of the costliest leaf of ``operator`` and of its transpose (a call on a subset of the
    views counts as its part), wherever they happen: in solvers, in FBP, in your functions. What a foreign
    package does is not seen. The norm of an operator is estimated once and remembered, so that
    its calls are those of the method that first asked for it.

    *Seconds* are those of the method, including its preparation (weights, norms), excluding metrics.

    *Memory* is the peak during the method beyond what was there before, as `tracemalloc` sees it: all
    arrays of NumPy, but neither PyTorch's nor the working memory of compiled engines. What an object
    keeps for its next run, and modules that are loaded at their first use, count for the first run.
    Tracing slows small allocations down by microseconds;
    with arrays of a megabyte it is not noticed.

    Solvers give the image that ``solver(y)`` gives, bit for bit, in the one run that is watched.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers, tomo
    >>> grid = oa.Grid((32, 32))
    >>> A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=24, detector=48))
    >>> phantom = tomo.phantoms.disc(radius=10.0)
    >>> report = solvers.compare(
    ...     {"FBP": tomo.FBP(A), "CGLS": solvers.CGLS(A, iterations=8), "broken": lambda y: y / 0},
    ...     phantom.project(A.geometry),
    ...     truth=phantom.sample(grid),
    ...     metrics=["psnr"],
    ... )
    >>> report["CGLS"].iterations, report["CGLS"].calls
    (8, 17.0)
    >>> report["broken"].failed, report.best("psnr").name in ("FBP", "CGLS")
    (True, True)
    """
    if not isinstance(methods, Mapping) or not methods:
        raise ArgumentError(
            "compare takes a dictionary of names and methods, such as {'FBP': tomo.FBP(A)}, "
            f"got {methods!r:.80}"
        )
    named = {str(name): method for name, method in methods.items()}
    problem = make_problem(named, y, truth, metrics, operator, every, seed)
    record = make_record(problem, named)
    runs = [run_method(name, method, problem, progress) for name, method in named.items()]
    return Report(runs, problem, record)
