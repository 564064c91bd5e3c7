// Schedule of the voxel-driven back projection: every voxel looks at the pixel that its shadow falls on. Not the transpose
// of a projection. Detector rows along z make lines of voxels look at detector columns; a thread owns planes of constant y.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "lines.h"
#include "packing.h"

namespace opalg {

namespace {

constexpr std::int64_t kTogether = 16;  // numbers that share a cache line

// Shadow of the voxels (x, y, all z) if detector rows are along z: u and magnification; row = start + step z.
struct LineShadow {
    double u, magnification, start, step;
};

class LineShadows {
public:
    LineShadows(const RayProblem& problem, std::int64_t view) : problem_(problem) {
        for (int k = 0; k < 3; ++k) {
            source_[k] = problem.sources[3 * view + k];
            corner_[k] = problem.corners[3 * view + k];
        }
        const double* u_step = problem.u_steps + 3 * view;
        row_ = problem.v_steps[3 * view + 2];
        if (problem.arc_centres) {
            for (int k = 0; k < 3; ++k) {
                across_[k] = corner_[k] - problem.arc_centres[3 * view + k];
                along_[k] = u_step[k] / problem.arc_step;
            }
            area_ = across_[0] * along_[1] - across_[1] * along_[0];
        } else {
            shadow_ = shadow_of(source_, corner_, u_step, problem.v_steps + 3 * view, problem.parallel);
            slope_ = u_step[2];
        }
    }

    LineShadow at(double x, double y) const {
        const double point[3] = {x, y, 0};
        LineShadow s;
        double height;  // of row 0 where the shadow falls
        if (problem_.arc_centres) {
            // The ray's direction as cos across + sin along, on the arc that the source is the centre of.
            const double dx = x - source_[0], dy = y - source_[1];
            const double cosine = (dx * along_[1] - dy * along_[0]) / area_;
            const double sine = (across_[0] * dy - across_[1] * dx) / area_;
            const double angle = std::atan2(sine, cosine), turn = 2 * 3.14159265358979323846;
            // Columns are counted from 0 on, either way round.
            const double last = double(problem_.detectors) * problem_.arc_step, middle = last / 2;
            const double near = angle + turn * std::round((middle - angle) / turn);
            s.u = near / problem_.arc_step;
            s.magnification = 1 / std::hypot(cosine, sine);
            height = corner_[2] - across_[2] + std::cos(near) * across_[2] + std::sin(near) * along_[2];
        } else {
            const double w = shadow_.along(shadow_.w, point);
            s.u = shadow_.along(shadow_.u, point) / w;
            s.magnification = shadow_.depth / w;
            height = corner_[2] + s.u * slope_;
        }
        if (problem_.parallel) {
            s.start = shadow_.along(shadow_.v, point);
            s.step = shadow_.v[2];
        } else {
            s.step = s.magnification / row_;
            s.start = (source_[2] - s.magnification * source_[2] - height) / row_;
        }
        return s;
    }

private:
    const RayProblem& problem_;
    double source_[3], corner_[3], row_, slope_ = 0, across_[3], along_[3], area_ = 1;
    Shadow shadow_ = {};
};

bool rows_along_z(const RayProblem& problem, std::int64_t view) {
    const double* v = problem.v_steps + 3 * view;
    return !problem.flat && std::abs(v[0]) + std::abs(v[1]) <= 1e-15 * std::abs(v[2]) && v[2] != 0;
}

// Lines of voxels along z look at columns [view, u, v].
template <class T>
void look_at_columns(const RayProblem& problem, const std::vector<std::int64_t>& views, const Kernels<T>& kernels,
                     const T* projections, int power, T* volume, Team& team) {
    const std::int64_t rows = problem.rows, detectors = problem.detectors, nx = problem.size[0], nz = problem.size[2];
    const std::int64_t stride = rows + 2 * kMargin, view_stride = (detectors + 2) * stride;
    const auto upwards = [&](std::int64_t view) { return problem.v_steps[3 * view + 2] > 0; };
    Buffer<T> columns(std::size_t(std::int64_t(views.size()) * view_stride));
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
        const std::int64_t view = views[std::size_t(item)];
        T* target = columns.data() + item * view_stride;
        std::fill(target, target + view_stride, T(0));
        target += stride + kMargin;
        for (std::int64_t first = 0; first < rows; first += kTogether)
            for (std::int64_t u = 0; u < detectors; ++u)
                for (std::int64_t v = first; v < std::min(rows, first + kTogether); ++v)
                    target[u * stride + v] =
                        projections[problem.row_offset(view, upwards(view) ? v : rows - 1 - v) + u];
    });

    const std::int64_t line = round_up(nz, kernels.lanes);
    std::vector<LineShadows> shadows;
    for (const std::int64_t view : views) shadows.emplace_back(problem, view);
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(kTogether * line));
    // Tiles of lines, so that the columns one of them looks at serve the others too.
    const std::int64_t tiles = divide_up(nx, kTogether);
    team.run(problem.size[1] * tiles, [&](std::int64_t item, int thread) {
        if (team.stopped(thread)) return;
        const std::int64_t y = item / tiles, first = item % tiles * kTogether, last = std::min(nx, first + kTogether);
        T* lines = scratch[std::size_t(thread)].data();
        std::fill(lines, lines + kTogether * line, T(0));
        const T* from[kLineJobs];
        T weight[kLineJobs], scale[kLineJobs], rate[kLineJobs];
        double start[kLineJobs] = {}, step[kLineJobs] = {};
        for (std::size_t begin = 0; begin < views.size(); begin += kLinesAtOnce) {
            const std::size_t end = std::min(views.size(), begin + kLinesAtOnce);
            for (std::int64_t x = first; x < last; ++x) {
                int jobs = 0;
                for (std::size_t k = begin; k < end; ++k) {
                    const LineShadow s = shadows[k].at(double(x), double(y));
                    if (!(s.magnification > 0) || !(s.u > -1 && s.u < double(detectors))) continue;
                    const double below = std::floor(s.u);
                    const bool up = upwards(views[k]);
                    from[jobs] = columns.data() + std::int64_t(k) * view_stride + (std::int64_t(below) + 1) * stride + kMargin;
                    weight[jobs] = T(s.u - below);
                    scale[jobs] = T(power ? s.magnification * s.magnification : 1.0);
                    start[jobs] = up ? s.start : double(rows - 1) - s.start;
                    step[jobs] = up ? s.step : -s.step;
                    rate[jobs] = T(step[jobs]);
                    ++jobs;
                }
                kernels.sample_lines({lines + (x - first) * line, nz, jobs, from, std::ptrdiff_t(stride), weight, scale,
                                      start, step, rate, rows});
            }
        }
        for (std::int64_t z = 0; z < nz; ++z)
            for (std::int64_t x = first; x < last; ++x)
                volume[z * problem.stride(2) + y * problem.stride(1) + x] += lines[(x - first) * line + z];
    });
}

// Any flat detector: every voxel for itself.
template <class T>
void look_at_pixels(const RayProblem& problem, const std::vector<std::int64_t>& views, const Kernels<T>& kernels,
                    const T* projections, int power, T* volume, Team& team) {
    const std::int64_t rows = problem.rows, detectors = problem.detectors, nx = problem.size[0], ny = problem.size[1];
    const std::int64_t stride = detectors + 2 * kRayMargin, padded = round_up(nx, kernels.lanes);
    const std::int64_t view_stride = stride * (rows + 2 * kRayMargin);
    Buffer<T> copies(std::size_t(std::int64_t(views.size()) * view_stride));
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
        T* target = copies.data() + item * view_stride;
        std::fill(target, target + view_stride, T(0));
        const T* source = projections + problem.row_offset(views[std::size_t(item)], 0);
        for (std::int64_t v = 0; v < rows; ++v)
            std::copy(source + v * detectors, source + (v + 1) * detectors, target + (v + kRayMargin) * stride + kRayMargin);
    });
    std::vector<Shadow> shadows;
    for (const std::int64_t view : views)
        shadows.push_back(shadow_of(problem.sources + 3 * view, problem.corners + 3 * view, problem.u_steps + 3 * view,
                                    problem.v_steps + 3 * view, problem.parallel));
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(kTogether * padded));
    const std::int64_t chunks = divide_up(ny, kTogether);
    team.run(problem.size[2] * chunks, [&](std::int64_t item, int thread) {
        const std::int64_t z = item / chunks, first = item % chunks * kTogether, last = std::min(ny, first + kTogether);
        T* lines = scratch[std::size_t(thread)].data();
        std::fill(lines, lines + kTogether * padded, T(0));
        for (std::size_t k = 0; k < views.size(); ++k) {
            if (team.stopped(thread)) return;
            const T* copy = copies.data() + std::int64_t(k) * view_stride + kRayMargin * (stride + 1);
            for (std::int64_t y = first; y < last; ++y)
                kernels.sample_shadows({shadows[k], double(y), double(z), copy, std::ptrdiff_t(stride), rows, detectors,
                                        power, lines + (y - first) * padded, nx});
        }
        for (std::int64_t y = first; y < last; ++y)
            for (std::int64_t x = 0; x < nx; ++x)
                volume[z * problem.stride(2) + y * problem.stride(1) + x] += lines[(y - first) * padded + x];
    });
}

}  // namespace

template <class T>
void backproject_voxels(const RayProblem& problem, const Kernels<T>& kernels, const T* projections, int power, T* volumes,
                        Team& team) {
    fill_with_zeros(volumes, problem.batch * problem.volume_size(), team);
    if (problem.projection_size() == 0 || problem.volume_size() == 0) return;
    std::vector<std::int64_t> columns, others;
    for (std::int64_t view = 0; view < problem.views; ++view)
        (problem.arc_centres || rows_along_z(problem, view) ? columns : others).push_back(view);
    for (std::int64_t image = 0; image < problem.batch; ++image) {
        const T* source = projections + image * problem.projection_size();
        T* volume = volumes + image * problem.volume_size();
        if (!columns.empty()) look_at_columns(problem, columns, kernels, source, power, volume, team);
        if (!others.empty()) look_at_pixels(problem, others, kernels, source, power, volume, team);
    }
}

template void backproject_voxels(const RayProblem&, const Kernels<float>&, const float*, int, float*, Team&);
template void backproject_voxels(const RayProblem&, const Kernels<double>&, const double*, int, double*, Team&);

}  // namespace opalg
