"""What `solvers.compare` runs, measures, and does when something goes wrong."""

import contextlib
import random
import time
import tracemalloc

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import AccuracyWarning, ArgumentError, NonFiniteError, SpaceMismatchError
from opalg.solvers.comparison import Metric, Run
from opalg.solvers.comparison.metrics import METRICS


def test_the_function_and_the_package_have_names_of_their_own():
    import opalg.solvers.comparison

    assert callable(solvers.compare)
    assert opalg.solvers.comparison.compare is solvers.compare


@pytest.mark.parametrize("name", ["SIRT", "CGLS", "Landweber"])
def test_images_are_those_of_the_solver_bit_for_bit(scan, name):
    solver = getattr(solvers, name)(scan.A, iterations=7)
    report = solvers.compare({"it": solver}, scan.y, truth=scan.truth)
    np.testing.assert_array_equal(report["it"].x, solver(scan.y))
    assert report["it"].iterations == 7
    assert report["it"].reason == "7 iterations were done"


def every_solver(A):
    """All solvers of the library that need no more than an operator and fit this one."""
    found = {}
    for name in solvers.__all__:
        kind = getattr(solvers, name)
        if (
            isinstance(kind, type)
            and issubclass(kind, solvers.Solver)
            and kind is not solvers.Solver
        ):
            with contextlib.suppress(ArgumentError, TypeError):
                found[name] = kind(A, iterations=3)
    return found


def test_every_solver_of_the_library_can_be_watched(scan):
    methods = every_solver(scan.A)
    assert {"SIRT", "CGLS", "Landweber"} <= set(methods)
    y = np.maximum(scan.y, 0)  # the statistical methods take counts
    report = solvers.compare(methods, y, truth=scan.truth)
    for name, solver in methods.items():
        assert not report[name].failed, report[name].trace
        np.testing.assert_array_equal(report[name].x, solver(y), err_msg=name)
        # Each iteration passes over the data once, forth and back; subsets count as their part.
        assert 2 * report[name].iterations <= round(report[name].calls, 6), name


def test_a_solver_that_has_finished_stops(scan):
    A = oa.Diagonal(np.array([1.0, 2.0, 3.0]))
    report = solvers.compare({"CGLS": solvers.CGLS(A, iterations=50)}, np.ones(3))
    assert report["CGLS"].iterations == solvers.CGLS(A).solve(np.ones(3)).state.iteration < 10
    assert "vanished" in report["CGLS"].reason


def test_zero_iterations(scan):
    report = solvers.compare({"none": solvers.CGLS(scan.A, iterations=0)}, scan.y)
    assert not report["none"].x.any()
    assert report["none"].last("residual") == pytest.approx(1)


def test_metrics_are_those_of_their_definitions(scan):
    fbp = tomo.FBP(scan.A)
    report = solvers.compare({"FBP": fbp}, scan.y, truth=scan.truth, metrics=list(METRICS))
    x, truth, run = fbp(scan.y), scan.truth, report["FBP"]
    span = float(truth.max() - truth.min())
    norm = np.linalg.norm
    expected = {
        "psnr": peak_signal_noise_ratio(truth, x, data_range=span),
        "ssim": structural_similarity(truth, x, data_range=span),
        "rmse": norm((x - truth).astype(float)) / truth.size**0.5,
        "relative_error": norm((x - truth).astype(float)) / norm(truth.astype(float)),
        "residual": norm((scan.A(x) - scan.y).astype(float)) / norm(scan.y.astype(float)),
    }
    for name, value in expected.items():
        # Sums of two thousand float32 numbers in another order.
        assert run.last(name) == pytest.approx(value, rel=1e-5), name


def test_the_range_is_that_of_the_truth(scan):
    """A constant added to truth and image changes nothing: the range is max - min, not the maximum."""
    reports = [
        solvers.compare({"it": lambda y, c=c: scan.truth + c + 0.001}, scan.y, truth=scan.truth + c)
        for c in (0.0, 1.0)
    ]
    first, second = (report["it"].last("psnr") for report in reports)
    assert first == pytest.approx(20 * np.log10(np.ptp(scan.truth) / 0.001), rel=1e-4)
    assert second == pytest.approx(first, rel=1e-3)  # 1.001 in float32


def test_the_truth_itself_is_perfect(scan):
    report = solvers.compare(
        {"oracle": lambda y: scan.truth}, scan.y, truth=scan.truth, metrics=["psnr", "rmse"]
    )
    assert report["oracle"].last("psnr") == np.inf
    assert report["oracle"].last("rmse") == 0
    assert "inf*" in str(report)


def test_curves_are_those_of_the_iterates(scan):
    solver = solvers.SIRT(scan.A, iterations=6)
    report = solvers.compare(
        {"SIRT": solver}, scan.y, truth=scan.truth, metrics=["rmse", "residual"], every=2
    )
    curves = report["SIRT"].curves
    assert curves["iteration"].tolist() == [1, 2, 4, 6]
    for i, count in enumerate([1, 2, 4, 6]):
        x = solvers.SIRT(scan.A, iterations=count)(scan.y)
        assert curves["rmse"][i] == METRICS["rmse"].function(x, scan.truth)
    history = solver.solve(scan.y).history["residual"][[0, 1, 3, 5]]
    expected = history / np.linalg.norm(scan.y.astype(float))
    np.testing.assert_allclose(curves["residual"], expected, rtol=1e-6)
    assert (np.diff(curves["seconds"]) > 0).all()


def test_calls_against_iterations(scan):
    report = solvers.compare(
        {
            "CGLS": solvers.CGLS(scan.A, iterations=5),
            "SIRT": solvers.SIRT(scan.A, iterations=5),
            "FBP": tomo.FBP(scan.A),
            "by hand": lambda y: scan.A.H(y - scan.A(scan.A.H(y))),
        },
        scan.y,
        truth=scan.truth,
        metrics=["residual", "psnr"],  # the residual of FBP is a call that is not the method's
    )
    # CGLS begins with one transpose, SIRT with one of each for its weights.
    assert report["CGLS"].curves["forward"].tolist() == [1, 2, 3, 4, 5]
    assert report["CGLS"].curves["transpose"].tolist() == [2, 3, 4, 5, 6]
    assert report["SIRT"].curves["forward"].tolist() == [2, 3, 4, 5, 6]
    assert (report["FBP"].last("forward"), report["FBP"].last("transpose")) == (0, 1)
    assert (report["by hand"].last("forward"), report["by hand"].last("transpose")) == (1, 2)


def test_the_number_of_samples_is_bounded(scan):
    calls = []

    def expensive(x, truth):
        calls.append(1)
        return 0.0

    report = solvers.compare(
        {"long": solvers.Landweber(scan.A, iterations=400)}, scan.y, metrics=[expensive]
    )
    assert 40 <= len(calls) <= 52
    assert report["long"].curves["iteration"][[0, -1]].tolist() == [1, 400]
    assert report.metrics[0].name == "expensive"


def test_each_method_runs_once_and_its_last_sample_is_its_result(scan):
    calls = []

    def method(y):
        calls.append("method")
        return scan.truth

    def metric(x, truth):
        calls.append("metric")
        return 1.0

    solvers.compare({"it": method}, scan.y, truth=scan.truth, metrics={"score": metric})
    assert calls == ["method", "metric"]


def test_time_and_memory_of_metrics_are_left_out(scan):
    def wasteful(x, truth):
        time.sleep(0.2)
        return float(np.ones(4_000_000).sum())  # 32 MB

    def method(y):
        return scan.truth + np.zeros(1_000_000)[0]  # 8 MB

    report = solvers.compare(
        {"solver": solvers.CGLS(scan.A, iterations=4), "function": method},
        scan.y,
        truth=scan.truth,
        metrics={"wasteful": wasteful},
    )
    assert report["solver"].seconds < 0.6  # five samples sleep for 1 s
    assert report["solver"].memory < 2_000_000
    assert 8_000_000 <= report["function"].memory < 9_000_000
    assert not tracemalloc.is_tracing()


def test_a_trace_of_memory_that_was_on_stays_on(scan):
    tracemalloc.start()
    try:
        solvers.compare({"FBP": tomo.FBP(scan.A)}, scan.y)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------------------- what goes wrong


def test_failures_are_reported_and_others_go_on(scan):
    def exploding(y):
        raise ZeroDivisionError("the crystal is cracked")

    def dirty(y):
        x = scan.truth.copy()
        x[3, 4] = np.nan
        return x

    trebled = lambda x: 3 * x  # noqa: E731 - no denoiser at all
    diverging = solvers.PnPProximalGradient(scan.A, denoiser=trebled, iterations=2000)
    report = solvers.compare(
        {
            "exploding": exploding,
            "dirty": dirty,
            "diverging": diverging,
            "thin": lambda y: y[0],
            "text": lambda y: "done",
            "number": 3,
            "good": tomo.FBP(scan.A),
        },
        scan.y,
        truth=scan.truth,
    )
    assert report["exploding"].error == "ZeroDivisionError: the crystal is cracked"
    assert "exploding" in report["exploding"].trace
    assert report["dirty"].error == (
        "NonFiniteError: dirty gave 1 of 1920 values that are NaN or infinite"
    )
    assert "diverged" in report["diverging"].error
    assert len(report["diverging"].curves["psnr"]) > 0  # as far as it came
    assert report["thin"].error == "ArgumentError: thin gave shape (64,), (40, 48) is expected"
    assert "gave a str" in report["text"].error
    assert "'number' is a int" in report["number"].error
    assert [run.name for run in report if not run.failed] == ["good"]
    assert report.best().name == "good"
    text = str(report)
    assert "exploding failed: ZeroDivisionError: the crystal is cracked" in text
    assert "FAILED" not in text
    assert "failed" in text.splitlines()[2]


def test_ctrl_c_is_no_failure(scan):
    def interrupted(y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solvers.compare({"it": interrupted}, scan.y)


@pytest.mark.parametrize(
    ("metric", "words"),
    [(lambda x, truth: np.nan, "it gave NaN"), (lambda x, truth: 1 / 0, "ZeroDivisionError")],
)
def test_a_failing_metric_warns_and_blames_nobody(scan, metric, words):
    with pytest.warns(AccuracyWarning, match=f"the metric bad of FBP is missing: {words}"):
        report = solvers.compare(
            {"FBP": tomo.FBP(scan.A)}, scan.y, metrics={"bad": metric, "good": lambda x, t: 1.0}
        )
    assert not report["FBP"].failed
    assert np.isnan(report["FBP"].last("bad"))
    assert report["FBP"].last("good") == 1
    assert "nan" in str(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": ["pnsr"]}, r"no metric 'pnsr' \(did you mean 'psnr'\?\)"),
        ({"metrics": [3]}, r"a name, a function f\(x, truth\) or a Metric, got 3"),
        ({"metrics": ["psnr", "psnr"]}, "two metrics are called psnr"),
        ({"truth": None, "metrics": ["ssim"]}, "ssim cannot be computed without truth="),
        ({"truth": np.zeros((3, 3))}, r"the truth has shape \(3, 3\), reconstructions have"),
        ({"truth": np.ones((40, 48))}, "the truth is constant"),
        ({"truth": [1, 2]}, "the truth must be an array, got list"),
        ({"every": 0}, "every must be a positive number of iterations, got 0"),
        ({"methods": {}}, "a dictionary of names and methods"),
        ({"methods": [abs]}, "a dictionary of names and methods"),
        ({"methods": {"a": abs}, "metrics": ["residual"]}, "the residual needs operator="),
        ({"operator": 3}, "operator must be a linear operator, got 3"),
    ],
)
def test_wrong_arguments_are_told_before_anything_runs(scan, change, words):
    def never(y):
        raise AssertionError("it ran")

    arguments = {"methods": {"FBP": tomo.FBP(scan.A), "never": never}, "y": scan.y}
    arguments |= {"truth": scan.truth, **change}
    methods, y = arguments.pop("methods"), arguments.pop("y")
    with pytest.raises(ArgumentError, match=words):
        solvers.compare(methods, y, **arguments)


def test_wrong_data_are_told_before_anything_runs(scan):
    methods = {"FBP": tomo.FBP(scan.A)}
    with pytest.raises(SpaceMismatchError, match="the data to compare with"):
        solvers.compare(methods, scan.y[:, :-1])
    with pytest.raises(ArgumentError, match=r"one set of data, got batch axes \(2,\)"):
        solvers.compare(methods, np.stack([scan.y, scan.y]))
    broken = scan.y.copy()
    broken[0, 0] = np.inf
    with pytest.raises(NonFiniteError, match="the data to compare with"):
        solvers.compare(methods, broken)
    with pytest.raises(NonFiniteError, match=r"the truth holds [0-9]+ values"):
        solvers.compare(methods, scan.y, truth=np.where(scan.truth > 0, 1.0, np.nan))


# ------------------------------------------------------------------------------ seeds, foreign code


def test_each_method_starts_from_the_seed_and_no_state_changes(scan):
    torch = pytest.importorskip("torch")

    def noisy(y):
        value = np.random.rand() + random.random() + float(torch.rand(()))  # noqa: NPY002
        return scan.truth + np.float32(value)

    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    torch.manual_seed(7)
    before = np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state()  # noqa: NPY002
    first = solvers.compare({"a": noisy, "b": noisy}, scan.y, truth=scan.truth, seed=3)
    after = np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state()  # noqa: NPY002
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    second = solvers.compare({"b": noisy}, scan.y, truth=scan.truth, seed=3)
    other = solvers.compare({"b": noisy}, scan.y, truth=scan.truth, seed=4)
    np.testing.assert_array_equal(first["a"].x, first["b"].x)
    np.testing.assert_array_equal(first["a"].x, second["b"].x)
    assert not np.array_equal(first["a"].x, other["b"].x)
    free = [solvers.compare({"a": noisy}, scan.y, seed=None, metrics=[]) for _ in range(2)]
    assert not np.array_equal(free[0]["a"].x, free[1]["a"].x)


def test_foreign_functions_need_no_operator():
    y = np.arange(12.0).reshape(3, 4)
    report = solvers.compare({"half": lambda y: y / 2}, y, truth=y, metrics=["rmse"])
    assert report["half"].last("rmse") == pytest.approx(np.sqrt(np.mean((y / 2) ** 2)))
    assert np.isnan(report["half"].calls)
    assert str(report).splitlines()[2].split()[2:4] == ["-", "-"]


def test_networks_get_tensors(scan):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, y):
            assert isinstance(y, torch.Tensor)
            return self.scale * scan.A.H(y)

    report = solvers.compare({"net": Net()}, scan.y, operator=scan.A, truth=scan.truth)
    np.testing.assert_allclose(report["net"].x, 2 * scan.A.H(scan.y), rtol=1e-6)
    assert isinstance(report["net"].x, np.ndarray)
    assert report["net"].last("transpose") == 1


def test_tensors_as_data(scan):
    torch = pytest.importorskip("torch")
    methods = {"CGLS": solvers.CGLS(scan.A, iterations=4), "FBP": tomo.FBP(scan.A)}
    metrics = ["psnr", "residual"]
    tensors = solvers.compare(
        methods, torch.from_numpy(scan.y), truth=torch.from_numpy(scan.truth), metrics=metrics
    )
    arrays = solvers.compare(methods, scan.y, truth=scan.truth, metrics=metrics)
    for name in methods:
        for metric in metrics:
            # Two orders of the same float32 sums.
            assert tensors[name].last(metric) == pytest.approx(arrays[name].last(metric), rel=1e-3)


def test_results_share_no_memory_with_what_methods_keep(scan):
    kept = scan.truth.copy()
    report = solvers.compare({"it": lambda y: kept}, scan.y, truth=scan.truth)
    kept[...] = -1
    assert report["it"].x.min() >= 0


def test_best_needs_to_know_what_is_better(scan):
    mean = Metric("darkest", lambda x, truth: float(x.mean()), higher_is_better=False)
    methods = {"low": lambda y: 0 * scan.truth, "high": lambda y: scan.truth + 1}
    report = solvers.compare(methods, scan.y, metrics=[mean, lambda x, truth: 1.0])
    assert report.best().name == report.best("darkest").name == "low"
    with pytest.raises(ArgumentError, match="does not say which values are better"):
        report.best("<lambda>")
    with pytest.raises(ArgumentError, match="'psnr' was not computed, only darkest, <lambda>"):
        report.best("psnr")
    with pytest.raises(KeyError, match="only low, high"):
        report["middle"]


def test_runs_print_themselves():
    run = Run("SIRT", "SIRT(A)", None, error="ValueError: no")
    assert repr(run) == "Run('SIRT': failed: ValueError: no)"
    assert np.isnan(run.seconds)
