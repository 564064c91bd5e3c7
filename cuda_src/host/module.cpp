// The Python module opalg.engines._cpu. Only opalg/engines/cpu.py imports it, and checks the arguments in words.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "differences_module.h"
#include "dispatch.h"
#include "gil.h"
#include "ledger.h"
#include "footprints.h"
#include "problem.h"
#include "ray_problem.h"
#include "team.h"

namespace nb = nanobind;
using namespace opalg;

template <class T> using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T> using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T> using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Shape = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Detector = std::tuple<std::int64_t, std::int64_t>;

// Sizes are checked in Python, where messages are made; here once more, because a wrong one would be a crash.
static Problem make_problem(const Matrix<const double>& rays, const Vector<const double>& lengths, Shape volume,
                            Detector detector, double first_slice, double slice_step, std::int64_t batch,
                            std::size_t volumes, std::size_t projections) {
    const auto [slices, ny, nx] = volume;
    const auto [rows, detectors] = detector;
    const std::int64_t views = std::int64_t(rays.shape(0));
    const Problem problem{batch, slices, ny, nx, views, rows, detectors, rays.data(), lengths.data(), first_slice,
                          slice_step};
    const bool sizes = rays.shape(1) == 6 && lengths.shape(0) == rays.shape(0) && batch >= 0 && slices >= 0 &&
                       rows >= 0 && ny >= 0 && ny < kFarAway && nx >= 0 && nx < kFarAway && detectors >= 0 &&
                       detectors < kFarAway;
    if (!sizes || std::int64_t(volumes) != batch * problem.volume_size() ||
        std::int64_t(projections) != batch * problem.projection_size())
        throw std::invalid_argument("the sizes of arrays and geometry do not agree");
    return problem;
}

template <class P, class Work> static void run(const P& problem, int threads, bool interruptible, const Work& work) {
    run_without_gil(useful_threads(problem, threads), interruptible, work);
}

// Bytes of scratch memory that the same work would take.
template <class P, class Work> static std::int64_t rehearse(const P& problem, int threads, const Work& work) {
    nb::gil_scoped_release release;
    Rehearsal rehearsal;
    Team team(useful_threads(problem, threads), nullptr);
    work(team);
    return rehearsal.ledger().peak();
}

template <class T> static std::int64_t scratch_of(const Problem& problem, const std::string& call, int threads) {
    const Kernels<T>& kernels = active_kernels<T>();
    T* const none = nullptr;
    return rehearse(problem, threads, [&](Team& team) {
        if (call == "project") project(problem, kernels, none, none, team);
        else if (call == "backproject") backproject(problem, kernels, none, none, team);
        else throw std::invalid_argument("no such call");
    });
}

template <class T> static std::int64_t scratch_of(const RayProblem& problem, const std::string& call, int threads) {
    const Kernels<T>& kernels = active_kernels<T>();
    T* const none = nullptr;
    return rehearse(problem, threads, [&](Team& team) {
        if (call == "project") project(problem, kernels, none, none, team);
        else if (call == "backproject") backproject(problem, kernels, none, none, team);
        else if (call == "backproject_voxels") backproject_voxels(problem, kernels, none, 0, none, team);
        else if (call == "project_voxels") project_footprints(problem, kernels, {true, 0}, none, none, team);
        else throw std::invalid_argument("no such call");
    });
}

template <class P>
static std::int64_t scratch_of(const P& problem, const std::string& call, bool is_double, int threads) {
    return is_double ? scratch_of<double>(problem, call, threads) : scratch_of<float>(problem, call, threads);
}

template <class T> static void bind(nb::module_& m) {
    m.def(
        "project",
        [](Matrix<const double> rays, Vector<const double> lengths, Shape volume, Detector detector, double first_slice,
           double slice_step, std::int64_t batch, Array<const T> volumes, Array<T> projections, int threads,
           bool interruptible) {
            const Problem problem = make_problem(rays, lengths, volume, detector, first_slice, slice_step, batch,
                                                 volumes.size(), projections.size());
            const Kernels<T>& kernels = active_kernels<T>();
            run(problem, threads, interruptible,
                [&](Team& team) { project(problem, kernels, volumes.data(), projections.data(), team); });
        },
        nb::arg("rays"), nb::arg("lengths"), nb::arg("volume_shape"), nb::arg("detector_shape"),
        nb::arg("first_slice"), nb::arg("slice_step"), nb::arg("batch"), nb::arg("volumes").noconvert(),
        nb::arg("projections").noconvert(), nb::arg("threads"), nb::arg("interruptible"));
    m.def(
        "backproject",
        [](Matrix<const double> rays, Vector<const double> lengths, Shape volume, Detector detector, double first_slice,
           double slice_step, std::int64_t batch, Array<const T> projections, Array<T> volumes, int threads,
           bool interruptible) {
            const Problem problem = make_problem(rays, lengths, volume, detector, first_slice, slice_step, batch,
                                                 volumes.size(), projections.size());
            const Kernels<T>& kernels = active_kernels<T>();
            run(problem, threads, interruptible,
                [&](Team& team) { backproject(problem, kernels, projections.data(), volumes.data(), team); });
        },
        nb::arg("rays"), nb::arg("lengths"), nb::arg("volume_shape"), nb::arg("detector_shape"),
        nb::arg("first_slice"), nb::arg("slice_step"), nb::arg("batch"), nb::arg("projections").noconvert(),
        nb::arg("volumes").noconvert(), nb::arg("threads"), nb::arg("interruptible"));
}

// Vectors are [views, 3] throughout; arc_centres has no rows if the detector is flat.
struct RayArrays {
    Matrix<const double> sources, corners, u_steps, v_steps, arc_centres;
    double arc_step;
    bool parallel, flat;
    int model;
};

static RayProblem make_problem(const RayArrays& rays, std::tuple<double, double, double> spacing, Shape volume,
                               Detector detector, std::int64_t batch, std::size_t volumes, std::size_t projections) {
    const auto [nz, ny, nx] = volume;
    const auto [rows, detectors] = detector;
    const std::int64_t views = std::int64_t(rays.sources.shape(0));
    const bool curved = rays.arc_centres.shape(0) > 0;
    bool sizes = batch >= 0 && rows >= 0 && detectors >= 0 && detectors < kFarAway && rows < kFarAway;
    for (const std::int64_t n : {nx, ny, nz}) sizes = sizes && n >= 0 && n < kFarAway;
    for (const auto* vectors : {&rays.sources, &rays.corners, &rays.u_steps, &rays.v_steps})
        sizes = sizes && vectors->shape(0) == std::size_t(views) && vectors->shape(1) == 3;
    if (curved) sizes = sizes && rays.arc_centres.shape(0) == std::size_t(views) && rays.arc_centres.shape(1) == 3;
    if (rays.flat) sizes = sizes && nz == 1 && rows == 1;
    const RayProblem problem{batch, {nx, ny, nz}, views, rows, detectors, rays.sources.data(), rays.corners.data(),
                             rays.u_steps.data(), rays.v_steps.data(), curved ? rays.arc_centres.data() : nullptr,
                             rays.arc_step, {std::get<0>(spacing), std::get<1>(spacing), std::get<2>(spacing)},
                             rays.parallel, rays.flat, Model(rays.model)};
    if (!sizes || std::int64_t(volumes) != batch * problem.volume_size() ||
        std::int64_t(projections) != batch * problem.projection_size())
        throw std::invalid_argument("the sizes of arrays and geometry do not agree");
    return problem;
}

template <class T> static void bind_rays(nb::module_& m) {
    m.def(
        "project_rays",
        [](RayArrays& rays, std::tuple<double, double, double> spacing, Shape volume, Detector detector,
           std::int64_t batch, Array<const T> volumes, Array<T> projections, int threads, bool interruptible) {
            const RayProblem problem =
                make_problem(rays, spacing, volume, detector, batch, volumes.size(), projections.size());
            const Kernels<T>& kernels = active_kernels<T>();
            run(problem, threads, interruptible,
                [&](Team& team) { project(problem, kernels, volumes.data(), projections.data(), team); });
        },
        nb::arg("rays"), nb::arg("spacing"), nb::arg("volume_shape"), nb::arg("detector_shape"), nb::arg("batch"),
        nb::arg("volumes").noconvert(), nb::arg("projections").noconvert(), nb::arg("threads"),
        nb::arg("interruptible"));
    m.def(
        "backproject_rays",
        [](RayArrays& rays, std::tuple<double, double, double> spacing, Shape volume, Detector detector,
           std::int64_t batch, Array<const T> projections, Array<T> volumes, int threads, bool interruptible) {
            const RayProblem problem =
                make_problem(rays, spacing, volume, detector, batch, volumes.size(), projections.size());
            const Kernels<T>& kernels = active_kernels<T>();
            run(problem, threads, interruptible,
                [&](Team& team) { backproject(problem, kernels, projections.data(), volumes.data(), team); });
        },
        nb::arg("rays"), nb::arg("spacing"), nb::arg("volume_shape"), nb::arg("detector_shape"), nb::arg("batch"),
        nb::arg("projections").noconvert(), nb::arg("volumes").noconvert(), nb::arg("threads"),
        nb::arg("interruptible"));
}

template <class T> static void bind_voxels(nb::module_& m) {
    m.def(
        "backproject_voxels",
        [](RayArrays& rays, std::tuple<double, double, double> spacing, Shape volume, Detector detector, int power,
           std::int64_t batch, Array<const T> projections, Array<T> volumes, int threads, bool interruptible) {
            const RayProblem problem =
                make_problem(rays, spacing, volume, detector, batch, volumes.size(), projections.size());
            const Kernels<T>& kernels = active_kernels<T>();
            run(problem, threads, interruptible, [&](Team& team) {
                backproject_voxels(problem, kernels, projections.data(), power, volumes.data(), team);
            });
        },
        nb::arg("rays"), nb::arg("spacing"), nb::arg("volume_shape"), nb::arg("detector_shape"), nb::arg("power"),
        nb::arg("batch"), nb::arg("projections").noconvert(), nb::arg("volumes").noconvert(), nb::arg("threads"),
        nb::arg("interruptible"));
}

template <class T> static void bind_voxels_transpose(nb::module_& m) {
    m.def(
        "project_voxels",
        [](RayArrays& rays, std::tuple<double, double, double> spacing, Shape volume, Detector detector, int power,
           std::int64_t batch, Array<const T> volumes, Array<T> projections, int threads, bool interruptible) {
            const RayProblem problem =
                make_problem(rays, spacing, volume, detector, batch, volumes.size(), projections.size());
            const Kernels<T>& kernels = active_kernels<T>();
            run(problem, threads, interruptible, [&](Team& team) {
                project_footprints(problem, kernels, {true, power}, volumes.data(), projections.data(), team);
            });
        },
        nb::arg("rays"), nb::arg("spacing"), nb::arg("volume_shape"), nb::arg("detector_shape"), nb::arg("power"),
        nb::arg("batch"), nb::arg("volumes").noconvert(), nb::arg("projections").noconvert(), nb::arg("threads"),
        nb::arg("interruptible"));
}

static void bind_scratch(nb::module_& m) {
    m.def(
        "scratch",
        [](Matrix<const double> rays, Vector<const double> lengths, Shape volume, Detector detector, double first_slice,
           double slice_step, std::int64_t batch, const std::string& call, bool is_double, int threads) {
            const auto [nz, ny, nx] = volume;
            const auto [rows, detectors] = detector;
            const Problem problem =
                make_problem(rays, lengths, volume, detector, first_slice, slice_step, batch,
                             std::size_t(batch * nz * ny * nx), std::size_t(batch * rows * detectors) * rays.shape(0));
            return scratch_of(problem, call, is_double, threads);
        },
        nb::arg("rays"), nb::arg("lengths"), nb::arg("volume_shape"), nb::arg("detector_shape"),
        nb::arg("first_slice"), nb::arg("slice_step"), nb::arg("batch"), nb::arg("call"), nb::arg("is_double"),
        nb::arg("threads"));
    m.def(
        "scratch",
        [](RayArrays& rays, std::tuple<double, double, double> spacing, Shape volume, Detector detector,
           std::int64_t batch, const std::string& call, bool is_double, int threads) {
            const auto [nz, ny, nx] = volume;
            const auto [rows, detectors] = detector;
            const RayProblem problem =
                make_problem(rays, spacing, volume, detector, batch, std::size_t(batch * nz * ny * nx),
                             std::size_t(batch * rows * detectors) * rays.sources.shape(0));
            return scratch_of(problem, call, is_double, threads);
        },
        nb::arg("rays"), nb::arg("spacing"), nb::arg("volume_shape"), nb::arg("detector_shape"), nb::arg("batch"),
        nb::arg("call"), nb::arg("is_double"), nb::arg("threads"));
    m.def("take_scratch_peak", [] { return Ledger::of_process().take_peak(); });
}

NB_MODULE(_cpu, m) {
    m.doc() = "Projectors and differences on the CPU; use opalg.engines.";
    nb::set_leak_warnings(false);  // operators in caches live until the interpreter ends, which is no leak
    bind<float>(m);
    bind<double>(m);
    nb::class_<RayArrays>(m, "RayArrays")
        .def(nb::init<Matrix<const double>, Matrix<const double>, Matrix<const double>, Matrix<const double>,
                      Matrix<const double>, double, bool, bool, int>(),
             nb::arg("sources"), nb::arg("corners"), nb::arg("u_steps"), nb::arg("v_steps"), nb::arg("arc_centres"),
             nb::arg("arc_step"), nb::arg("parallel"), nb::arg("flat"), nb::arg("model"));
    bind_rays<float>(m);
    bind_rays<double>(m);
    bind_voxels<float>(m);
    bind_voxels<double>(m);
    bind_voxels_transpose<float>(m);
    bind_voxels_transpose<double>(m);
    bind_scratch(m);
    bind_differences(m);
    m.def("instruction_sets", [] {
        std::vector<std::tuple<std::string, std::string>> sets;
        for (const InstructionSet& set : available_instruction_sets()) sets.emplace_back(set.name, set.description);
        return sets;
    });
    m.def("active_instruction_set", [] { return std::string(active_instruction_set().name); });
}
