// Schedule of the footprint model's back projection, the exact transpose: a thread owns lines of voxels, each of which
// gathers from the pixels that its shadow touches in every view.
#include <algorithm>

#include "footprints.h"
#include "kernels.h"
#include "packing.h"

namespace opalg {

namespace {

constexpr std::int64_t kTogether = 16;  // numbers that share a cache line

// Lines of voxels along z look at columns, copies of which lie [view, u, v].
template <class T>
void backproject_upright(const Footprints& footprints, const Kernels<T>& kernels, const T* projections, T* volume,
                         Team& team) {
    const RayProblem& p = footprints.problem();
    const std::vector<std::int64_t>& views = footprints.upright();
    const std::int64_t nx = p.size[0], ny = p.size[1], nz = p.size[2], count = std::int64_t(views.size());
    const std::int64_t stride = p.rows + kernels.lanes, view_stride = p.detectors * stride;
    Buffer<T> columns(std::size_t(count * view_stride));
    std::vector<Buffer<T>> scratch;
    // Of lines along z, or of what falls on the rows that all views agree on.
    const std::int64_t line = round_up(footprints.rows_agree() ? std::max(p.rows, nz) : nz, kernels.lanes);
    const std::int64_t room = std::max(p.rows, nz) + 2 * kFootprintMargin + 2 * kernels.lanes + line;
    for (int thread = 0; thread < team.size(); ++thread)
        scratch.emplace_back(std::size_t(std::max(kTogether * line + room, kTogether * p.detectors)));
    team.run(count, [&](std::int64_t item, int thread) {
        const std::int64_t view = views[std::size_t(item)];
        T *target = columns.data() + item * view_stride, *scale = scratch[std::size_t(thread)].data();
        for (std::int64_t first = 0; first < p.rows; first += kTogether) {
            const std::int64_t last = std::min(p.rows, first + kTogether);
            for (std::int64_t v = first; v < last; ++v) {
                T* values = scale + (v - first) * p.detectors;
                footprints.scale_row(view, v, 0, p.detectors, values);
                const T* source = projections + p.row_offset(view, v);
                for (std::int64_t u = 0; u < p.detectors; ++u) values[u] *= source[u];
            }
            for (std::int64_t u = 0; u < p.detectors; ++u)
                for (std::int64_t v = first; v < last; ++v) target[u * stride + v] = scale[(v - first) * p.detectors + u];
        }
        // Lanes behind the last row are read, and left out.
        for (std::int64_t u = 0; u < p.detectors; ++u)
            std::fill(target + u * stride + p.rows, target + (u + 1) * stride, T(0));
    });

    // Tiles of lines, so that the columns one of them looks at serve the others too.
    const std::int64_t tiles = divide_up(nx, kTogether);
    team.run(ny * tiles, [&](std::int64_t item, int thread) {
        const std::int64_t y = item / tiles, first = item % tiles * kTogether, last = std::min(nx, first + kTogether);
        T *lines = scratch[std::size_t(thread)].data(), *free = lines + kTogether * line;
        std::fill(lines, lines + kTogether * line, T(0));
        LineFootprint<T> shadow;
        for (std::int64_t k = 0; k < count; ++k) {
            if (team.stopped(thread)) return;
            for (std::int64_t x = first; x < last; ++x) {
                if (!shadow.set(footprints, views[std::size_t(k)], x, y, 0, p.detectors)) continue;
                T* source = columns.data() + k * view_stride + shadow.first_column * stride;
                T* target = lines + (x - first) * line;
                const int width = int(shadow.weights.size());
                if (footprints.rows_agree())
                    kernels.collect_rows({width, shadow.weights.data(), source, std::ptrdiff_t(stride), p.rows, target});
                else
                    kernels.backproject_columns({shadow.start, shadow.step, shadow.level, shadow.shift_rate,
                                                 shadow.width, width, shadow.weights.data(), source,
                                                 std::ptrdiff_t(stride), p.rows, target, nz, free});
            }
        }
        if (footprints.rows_agree()) {
            shadow.set_rows(footprints, views.front());
            const T weight = T(0.5 / shadow.width);
            for (std::int64_t x = first; x < last; ++x) {
                T *rows = free + room - line, *target = lines + (x - first) * line;
                std::copy(target, target + line, rows);
                std::fill(target, target + line, T(0));
                kernels.backproject_columns({shadow.start, shadow.step, shadow.level, shadow.shift_rate, shadow.width, 1,
                                             &weight, rows, 0, p.rows, target, nz, free});
            }
        }
        for (std::int64_t z = 0; z < nz; ++z)
            for (std::int64_t x = first; x < last; ++x) volume[(z * ny + y) * nx + x] += lines[(x - first) * line + z];
    });
}

// Every voxel for itself, in lines along x; of a transposed slice along y.
template <class T>
void backproject_others(const Footprints& footprints, const std::vector<std::int64_t>& views, bool transposed,
                        const Kernels<T>& kernels, const T* projections, T* volume, Team& team) {
    if (views.empty()) return;
    const RayProblem& p = footprints.problem();
    const std::int64_t nx = p.size[transposed], ny = p.size[!transposed], nz = p.size[2];
    const std::int64_t across = transposed ? ny : 1, along = transposed ? 1 : nx, count = std::int64_t(views.size());
    const std::int64_t stride = p.detectors + kFootprintMargin, view_stride = stride * (p.rows + 1);
    Buffer<T> copies(std::size_t(count * view_stride));
    team.run(count, [&](std::int64_t item, int) {
        T* target = copies.data() + item * view_stride;
        std::fill(target, target + view_stride, T(0));
        for (std::int64_t v = 0; v < p.rows; ++v, target += stride) {
            footprints.scale_row(views[std::size_t(item)], v, 0, p.detectors, target);
            const T* source = projections + p.row_offset(views[std::size_t(item)], v);
            for (std::int64_t u = 0; u < p.detectors; ++u) target[u] *= source[u];
        }
    });
    const std::int64_t padded = round_up(nx, kernels.lanes), chunk = p.flat && !transposed ? 1 : kTogether, chunks = divide_up(ny, chunk);
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(chunk * padded));
    team.run(nz * chunks, [&](std::int64_t item, int thread) {
        const std::int64_t z = item / chunks, first = item % chunks * chunk, last = std::min(ny, first + chunk);
        T* lines = scratch[std::size_t(thread)].data();
        std::fill(lines, lines + chunk * padded, T(0));
        for (std::int64_t k = 0; k < count; ++k) {
            if (team.stopped(thread)) return;
            for (std::int64_t y = first; y < last; ++y)
                kernels.gather_footprints({&footprints.view(views[std::size_t(k)], transposed), double(y), double(z), nx,
                                           lines + (y - first) * padded, copies.data() + k * view_stride,
                                           std::ptrdiff_t(stride), 0, p.rows, 0, p.detectors});
        }
        for (std::int64_t y = first; y < last; ++y)
            for (std::int64_t x = 0; x < nx; ++x)
                volume[z * nx * ny + y * along + x * across] += lines[(y - first) * padded + x];
    });
}

}  // namespace

template <class T>
void backproject_footprints(const RayProblem& problem, const Kernels<T>& kernels, FootprintKind kind, const T* projections,
                            T* volumes, Team& team) {
    fill_with_zeros(volumes, problem.batch * problem.volume_size(), team);
    if (problem.projection_size() == 0 || problem.volume_size() == 0) return;
    const Footprints footprints(problem, kind);
    for (std::int64_t image = 0; image < problem.batch; ++image) {
        const T* source = projections + image * problem.projection_size();
        T* volume = volumes + image * problem.volume_size();
        if (!footprints.upright().empty()) backproject_upright(footprints, kernels, source, volume, team);
        for (const bool transposed : {false, true})
            backproject_others(footprints, footprints.others(transposed), transposed, kernels, source, volume, team);
    }
}

template void backproject_footprints(const RayProblem&, const Kernels<float>&, FootprintKind, const float*, float*, Team&);
template void backproject_footprints(const RayProblem&, const Kernels<double>&, FootprintKind, const double*, double*,
                                     Team&);

}  // namespace opalg
