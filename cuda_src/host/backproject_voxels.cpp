// Schedule of the voxel-driven back projection: every voxel looks at the pixel that its shadow falls on. Not the transpose
// of a projection. Detector rows along z make lines of voxels look at detector columns; a thread owns planes of constant y.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "lines.h"
#include "packing.h"
#include "transposing.h"

namespace opalg {

namespace {

constexpr std::int64_t kTogether = 16;  // numbers that share a cache line

// The coefficients of SampleShadowLine, for flat detectors with rows along z.
class ShadowTable {
public:
    ShadowTable(const RayProblem& problem, const std::vector<std::int64_t>& views)
        : stride_(round_up(std::int64_t(views.size()), kLineJobs)),
          memory_(std::size_t(kShadowCoefficients * stride_), true) {
        std::fill(memory_.data(), memory_.data() + kShadowCoefficients * stride_, 0.0);
        for (std::size_t k = 0; k < views.size(); ++k) {
            const std::int64_t first = 3 * views[k];
            const double *source = problem.sources + first, *corner = problem.corners + first;
            const double slope = problem.u_steps[first + 2], row = problem.v_steps[first + 2];
            const Shadow shadow =
                shadow_of(source, corner, problem.u_steps + first, problem.v_steps + first, problem.parallel);
            double line[kShadowCoefficients] = {shadow.depth, shadow.w[3], shadow.w[0], shadow.w[1],
                                                shadow.u[3], shadow.u[0], shadow.u[1]};
            if (problem.parallel) {
                line[kStart] = shadow.v[3];
                line[kStart + 1] = shadow.v[0];
                line[kStart + 2] = shadow.v[1];
                line[kStep] = shadow.v[2];
            } else {  // source + m (voxel - source) = corner + u slope + v row, along z
                line[kStart] = (source[2] - corner[2]) / row;
                line[kStart + 3] = -source[2] / row;
                line[kStart + 4] = -slope / row;
                line[kStep + 1] = 1 / row;
            }
            if (row < 0) {  // columns are counted from their lower end
                for (int i = kStart; i < kShadowCoefficients; ++i) line[i] = -line[i];
                line[kStart] += double(problem.rows - 1);
            }
            for (int i = 0; i < kShadowCoefficients; ++i) memory_.data()[i * stride_ + std::int64_t(k)] = line[i];
        }
    }

    const double* data() const { return memory_.data(); }
    std::ptrdiff_t stride() const { return stride_; }

private:
    std::int64_t stride_;
    Buffer<double> memory_;
};

// The same for a curved detector, view by view.
struct LineShadow {
    double u, magnification, start, step;
};

class ArcShadows {
public:
    ArcShadows(const RayProblem& problem, std::int64_t view)
        : last_(double(problem.detectors)), arc_step_(problem.arc_step), row_(problem.v_steps[3 * view + 2]),
          rows_(problem.rows) {
        for (int k = 0; k < 3; ++k) {
            source_[k] = problem.sources[3 * view + k];
            across_[k] = problem.corners[3 * view + k] - problem.arc_centres[3 * view + k];
            along_[k] = problem.u_steps[3 * view + k] / problem.arc_step;
        }
        corner_z_ = problem.corners[3 * view + 2];
        area_ = across_[0] * along_[1] - across_[1] * along_[0];
    }

    LineShadow at(double x, double y) const {
        // The ray's direction as cos across + sin along, on the arc that the source is the centre of.
        const double dx = x - source_[0], dy = y - source_[1];
        const double cosine = (dx * along_[1] - dy * along_[0]) / area_;
        const double sine = (across_[0] * dy - across_[1] * dx) / area_;
        const double angle = std::atan2(sine, cosine), turn = 2 * 3.14159265358979323846;
        // Columns are counted from 0 on, either way round.
        const double middle = last_ * arc_step_ / 2, near = angle + turn * std::round((middle - angle) / turn);
        LineShadow s;
        s.u = near / arc_step_;
        s.magnification = 1 / std::hypot(cosine, sine);
        const double height = corner_z_ - across_[2] + std::cos(near) * across_[2] + std::sin(near) * along_[2];
        s.step = s.magnification / row_;
        s.start = (source_[2] - s.magnification * source_[2] - height) / row_;
        if (row_ < 0) {
            s.step = -s.step;
            s.start = double(rows_ - 1) - s.start;
        }
        return s;
    }

private:
    double last_, arc_step_, row_, source_[3], across_[3], along_[3], corner_z_, area_;
    std::int64_t rows_;
};

bool rows_along_z(const RayProblem& problem, std::int64_t view) {
    const double* v = problem.v_steps + 3 * view;
    return !problem.flat && std::abs(v[0]) + std::abs(v[1]) <= 1e-15 * std::abs(v[2]) && v[2] != 0;
}

// Projections as columns along z, [view, u, v], with columns and margins of zeros around. Row 0 is the lowest.
template <class T> struct DetectorColumns {
    std::int64_t stride, view_stride;
    Buffer<T> memory;

    DetectorColumns(const RayProblem& problem, const std::vector<std::int64_t>& views, const Kernels<T>& kernels,
                    const T* projections, Team& team)
        : stride(round_up(problem.rows + 2 * kMargin, 64 / std::int64_t(sizeof(T)))),
          view_stride((problem.detectors + 2) * stride), memory(std::size_t(std::int64_t(views.size()) * view_stride + kLineSlack)) {
        const std::int64_t rows = problem.rows;
        team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
            const std::int64_t view = views[std::size_t(item)];
            const bool upwards = problem.v_steps[3 * view + 2] > 0;
            T* target = memory.data() + item * view_stride;
            std::fill(target, target + stride, T(0));
            std::fill(target + view_stride - stride, target + view_stride, T(0));
            target += stride + kMargin;
            rows_to_columns(
                kernels,
                [&](std::int64_t v) { return projections + problem.row_offset(view, upwards ? v : rows - 1 - v); }, rows,
                problem.detectors, target, stride);
            for (std::int64_t u = 0; u < problem.detectors; ++u, target += stride) {
                std::fill(target - kMargin, target, T(0));
                std::fill(target + rows, target + stride - kMargin, T(0));
            }
        });
    }
    // Pixel (u = 0, v = 0) of a view.
    const T* view(std::int64_t number) const { return memory.data() + number * view_stride + stride + kMargin; }
};

// Lines of voxels along z look at detector columns.
template <class T>
void look_at_columns(const RayProblem& problem, const std::vector<std::int64_t>& views, const Kernels<T>& kernels,
                     const T* projections, int power, T* volume, Team& team) {
    const std::int64_t detectors = problem.detectors, nx = problem.size[0], nz = problem.size[2];
    const DetectorColumns<T> columns(problem, views, kernels, projections, team);
    const ShadowTable table(problem, problem.arc_centres ? std::vector<std::int64_t>() : views);
    std::vector<ArcShadows> arcs;
    if (problem.arc_centres)
        for (const std::int64_t view : views) arcs.emplace_back(problem, view);

    const std::int64_t line = round_up(nz, kernels.lanes);
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(kTogether * line));
    // Tiles of lines, so that the columns one of them looks at serve the others too.
    const std::int64_t tiles = divide_up(nx, kTogether), total = std::int64_t(views.size());
    team.run(problem.size[1] * tiles, [&](std::int64_t item, int thread) {
        const std::int64_t y = item / tiles, first = item % tiles * kTogether, last = std::min(nx, first + kTogether);
        T* lines = scratch[std::size_t(thread)].data();
        std::fill(lines, lines + kTogether * line, T(0));
        for (std::int64_t begin = 0; begin < total; begin += kLineJobs) {
            if (team.stopped(thread)) return;
            const std::int64_t count = std::min<std::int64_t>(kLineJobs, total - begin);
            for (std::int64_t x = first; x < last; ++x) {
                T* target = lines + (x - first) * line;
                if (arcs.empty()) {
                    kernels.sample_shadow_line({double(x), double(y), power, table.data() + begin, table.stride(), count,
                                                columns.view(begin), std::ptrdiff_t(columns.view_stride),
                                                std::ptrdiff_t(columns.stride), detectors, problem.rows, target, nz});
                    continue;
                }
                SampleLines<T> job;
                job.target = target;
                job.count = nz;
                job.next_line = std::ptrdiff_t(columns.stride);
                job.size = problem.rows;
                job.jobs = 0;
                for (std::int64_t k = begin; k < begin + count; ++k) {
                    const LineShadow s = arcs[std::size_t(k)].at(double(x), double(y));
                    if (!(s.magnification > 0) || !(s.u > -1 && s.u < double(detectors))) continue;
                    const double below = std::floor(s.u), share = s.u - below;
                    const double scale = power ? s.magnification * s.magnification : 1.0;
                    job.line[job.jobs] = columns.view(k) + std::int64_t(below) * columns.stride;
                    job.near[job.jobs] = T(scale * (1 - share));
                    job.far[job.jobs] = T(scale * share);
                    job.start[job.jobs] = s.start;
                    job.step[job.jobs] = s.step;
                    ++job.jobs;
                }
                kernels.sample_lines(job);
            }
        }
        add_columns_to_rows(kernels, lines, line, nz, last - first, [&](std::int64_t z) {
            return volume + z * problem.stride(2) + y * problem.stride(1) + first;
        });
    });
}

// Projections as pairs (voxel_jobs.h), [view, v, u].
template <class T> struct DetectorPairs {
    std::int64_t stride, view_stride;
    Buffer<T> memory;

    DetectorPairs(const RayProblem& problem, const std::vector<std::int64_t>& views, const T* projections, Team& team)
        : stride(kPairColumnsBefore + problem.detectors + kPairColumnsBehind),
          view_stride(stride * (kPairRowsBefore + problem.rows + kPairRowsBehind)),
          memory(2 * std::size_t(std::int64_t(views.size()) * view_stride)) {
        const std::int64_t rows = problem.rows, detectors = problem.detectors;
        const Buffer<T> beyond{std::size_t(detectors)};
        fill_with_zeros(beyond.data(), detectors, team);
        team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
            const T* source = projections + problem.row_offset(views[std::size_t(item)], 0);
            const auto row = [&](std::int64_t v) { return v >= 0 && v < rows ? source + v * detectors : beyond.data(); };
            T* target = memory.data() + 2 * item * view_stride;
            for (std::int64_t v = -kPairRowsBefore; v < rows + kPairRowsBehind; ++v, target += 2 * stride) {
                const T *here = row(v), *above = row(v + 1);
                T* pair = target + 2 * kPairColumnsBefore;
                std::fill(target, pair, T(0));
                for (std::int64_t u = 0; u < detectors; ++u) {
                    pair[2 * u] = here[u];
                    pair[2 * u + 1] = above[u] - here[u];
                }
                std::fill(pair + 2 * detectors, target + 2 * stride, T(0));
            }
        });
    }
    // Pair (0, 0) of a view.
    const T* view(std::int64_t number) const {
        return memory.data() + 2 * (number * view_stride + kPairRowsBefore * stride + kPairColumnsBefore);
    }
};

// Any flat detector: every voxel for itself. A thread owns tiles of voxels, which stay in its cache with the pixels that they
// look at in a few views.
template <class T>
void look_at_pixels(const RayProblem& problem, const std::vector<std::int64_t>& views, const Kernels<T>& kernels,
                    const T* projections, int power, T* volume, Team& team) {
    constexpr std::int64_t planes = 8, together = 8;  // planes of a tile, and views at a time
    const std::int64_t nx = problem.size[0], ny = problem.size[1], nz = problem.size[2], total = std::int64_t(views.size());
    const DetectorPairs<T> pairs(problem, views, projections, team);
    std::vector<Shadow> shadows;
    std::vector<const T*> origins;
    for (std::int64_t k = 0; k < total; ++k) {
        const std::int64_t first = 3 * views[std::size_t(k)];
        shadows.push_back(shadow_of(problem.sources + first, problem.corners + first, problem.u_steps + first,
                                    problem.v_steps + first, problem.parallel));
        origins.push_back(pairs.view(k));
    }
    const std::int64_t lanes = kernels.lanes, plane = kShadowLines * lanes, groups = divide_up(nx, lanes);
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(groups * planes * plane));
    const std::int64_t chunks = divide_up(ny, kShadowLines);
    team.run(divide_up(nz, planes) * chunks, [&](std::int64_t item, int thread) {
        const std::int64_t bottom = item / chunks * planes, top = std::min(nz, bottom + planes);
        const std::int64_t first = item % chunks * kShadowLines, last = std::min<std::int64_t>(ny, first + kShadowLines);
        T* tile = scratch[std::size_t(thread)].data();
        std::fill(tile, tile + groups * (top - bottom) * plane, T(0));
        for (std::int64_t k = 0; k < total; k += together) {
            if (team.stopped(thread)) return;
            kernels.sample_shadows({shadows.data() + k, origins.data() + k, std::min(together, total - k),
                                    std::ptrdiff_t(pairs.stride), problem.rows, problem.detectors, power, tile,
                                    double(first), double(bottom), nx, last - first, top - bottom});
        }
        const T* voxels = tile;
        for (std::int64_t x = 0; x < nx; x += lanes)
            for (std::int64_t z = bottom; z < top; ++z, voxels += plane)
                for (std::int64_t y = first; y < last; ++y) {
                    T* target = volume + z * problem.stride(2) + y * problem.stride(1) + x;
                    const T* group = voxels + (y - first) * lanes;
                    for (std::int64_t l = 0; l < std::min(lanes, nx - x); ++l) target[l] += group[l];
                }
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
