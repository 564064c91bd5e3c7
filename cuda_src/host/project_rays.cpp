// Schedule of projection along single rays: slab by slab of the volume. A slab is packed into memory that stays in the
// second-level cache of every thread; then a thread owns some detector rows of a view and adds what their rays meet there.
#include <algorithm>

#include "kernels.h"
#include "packing.h"
#include "ray_problem.h"

namespace opalg {

namespace {

// Some planes [a, b, c] of the volume with margins of zeros, every voxel with its neighbour (b + 1, c) (see ProjectRays).
template <class T> class PackedPlanes {
public:
    std::int64_t line_stride, plane_stride, slab;  // strides in voxels

    PackedPlanes(const RayProblem& problem, const AxisRoles& axes, Buffer<T>& buffer)
        : line_stride(problem.size[axes.c] + 2 * kRayMargin),
          plane_stride(line_stride * (problem.size[axes.b] + 2 * kRayMargin)), problem_(problem), roles_(axes),
          together_(problem.flat ? 1 : 2) {
        // As many planes as a band has, though they be more than the cache holds.
        constexpr std::int64_t cache = 1 << 20;
        const std::int64_t fitting = cache / (plane_stride * together_ * std::int64_t(sizeof(T)));
        slab = std::min(problem.size[axes.a], std::max<std::int64_t>(kRayPlanes, fitting));
        buffer.reserve(std::size_t(std::max<std::int64_t>(1, slab * plane_stride * together_)));
        data_ = buffer.data();
    }

    // Voxel (0, 0) of plane `number` of the slab.
    const T* plane(std::int64_t number) const {
        return data_ + (number * plane_stride + kRayMargin * (line_stride + 1)) * together_;
    }
    void clear(Team& team) const {
        const std::int64_t count = plane_stride * together_;
        team.run(slab, [&](std::int64_t a, int) { std::fill(data_ + a * count, data_ + (a + 1) * count, T(0)); });
    }
    // Planes first .. of the volume become the slab's.
    void pack(const T* volume, std::int64_t first, Team& team) const {
        const std::int64_t nb = problem_.size[roles_.b];
        team.run(together_ == 1 ? nb : nb + 1, [&](std::int64_t item, int) {
            const std::int64_t b = together_ == 1 ? item : item - 1;
            const T* near = volume + first * problem_.stride(roles_.a) + b * problem_.stride(roles_.b);
            const T* far = near + problem_.stride(roles_.b);
            T* target = data_ + ((b + kRayMargin) * line_stride + kRayMargin) * together_;
            if (together_ == 1)
                copy(first, [=](std::int64_t to, std::int64_t from) { target[to] = near[from]; });
            else if (b < 0)
                copy(first, [=](std::int64_t to, std::int64_t from) { target[to + 1] = far[from]; });
            else if (b + 1 == nb)
                copy(first, [=](std::int64_t to, std::int64_t from) { target[to] = near[from]; });
            else
                copy(first, [=](std::int64_t to, std::int64_t from) {
                    target[to] = near[from];
                    target[to + 1] = far[from];
                });
        });
    }

private:
    // Lines of what is written are finished one after the other: those that are read meanwhile stay in the first cache.
    template <class Put> void copy(std::int64_t first, const Put& put) const {
        const std::int64_t count = std::min(slab, problem_.size[roles_.a] - first), nc = problem_.size[roles_.c];
        const std::int64_t step_a = problem_.stride(roles_.a), step_c = problem_.stride(roles_.c);
        const std::int64_t plane = plane_stride * together_, together = together_;
        for (std::int64_t a = 0; a < count; ++a)
            for (std::int64_t c = 0; c < nc; ++c) put(a * plane + c * together, a * step_a + c * step_c);
    }

    const RayProblem& problem_;
    AxisRoles roles_;
    std::int64_t together_;
    T* data_;
};

}  // namespace

template <class T>
void project_rays(const RayProblem& problem, const PixelTable& pixels, const std::vector<std::int64_t>& views,
                  const Kernels<T>& kernels, const T* volume, T* projections, Team& team) {
    if (views.empty()) return;
    constexpr std::int64_t most_sums = 1 << 13;  // of one item, to stay in the first caches
    const std::int64_t padded = round_up(problem.detectors, kernels.lanes);
    const std::int64_t fitting = most_sums / std::max<std::int64_t>(1, padded);
    const std::int64_t chunk = std::max<std::int64_t>(1, std::min(problem.rows, fitting));
    const std::int64_t chunks = divide_up(problem.rows, chunk);
    std::vector<Buffer<T>> scratch;
    std::vector<BundleScratch<T>> bundles;
    for (int thread = 0; thread < team.size(); ++thread) {
        scratch.emplace_back(std::size_t(chunk * padded));
        bundles.emplace_back(padded, kernels.lanes);
    }
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
        T* first = projections + problem.row_offset(views[std::size_t(item)], 0);
        std::fill(first, first + problem.rows * problem.detectors, T(0));
    });

    Buffer<T> memory;
    for (const int axis : {1, 0, 2}) {
        std::vector<std::int64_t> along;
        for (const std::int64_t view : views)
            if (runs_along(problem, pixels, view, axis)) along.push_back(view);
        if (along.empty()) continue;
        const AxisRoles roles = axis_roles(axis);
        const std::int64_t planes = problem.size[roles.a];
        const PackedPlanes<T> packed(problem, roles, memory);
        packed.clear(team);
        for (std::int64_t start = 0; start < planes; start += packed.slab) {
            const std::int64_t stop = std::min(planes, start + packed.slab);
            packed.pack(volume, start, team);
            team.run(std::int64_t(along.size()) * chunks, [&](std::int64_t item, int thread) {
                const std::int64_t view = along[std::size_t(item / chunks)], first_row = item % chunks * chunk;
                const PixelRange seen = pixels_that_see(problem, view, axis, start, stop - 1);
                const std::int64_t begin = std::max(first_row, seen.first_row);
                const std::int64_t end = std::min(first_row + chunk, seen.last_row);
                const std::int64_t from = seen.first_column / kernels.lanes * kernels.lanes;
                const std::int64_t to = round_up(seen.last_column, kernels.lanes);
                if (begin >= end || from >= to) return;
                // Where groups of rays end with the rows they add to the projection itself.
                T* target = projections + problem.row_offset(view, begin);
                T* sums = padded == problem.detectors ? target : scratch[std::size_t(thread)].data();
                if (sums != target) std::fill(sums, sums + (end - begin) * padded, T(0));
                for (std::int64_t plane = start; plane < stop; plane += kRayPlanes) {
                    if (team.stopped(thread)) return;
                    const int depth = int(std::min<std::int64_t>(kRayPlanes, stop - plane));
                    kernels.project_rays({{pixels.view(view), axis, problem.flat, problem.model,
                                           std::ptrdiff_t(packed.plane_stride), std::ptrdiff_t(packed.line_stride),
                                           problem.size[roles.b], problem.size[roles.c], depth, double(plane), begin, end,
                                           from, to, bundles[std::size_t(thread)].memory()},
                                          packed.plane(plane - start), sums, std::ptrdiff_t(padded)});
                }
                if (sums == target) return;
                for (std::int64_t row = 0; row < end - begin; ++row)
                    for (std::int64_t u = from; u < std::min(to, problem.detectors); ++u)
                        target[row * problem.detectors + u] += sums[row * padded + u];
            });
        }
    }
    team.run(std::int64_t(views.size()) * problem.rows, [&](std::int64_t item, int) {
        const std::int64_t view = views[std::size_t(item / problem.rows)], row = item % problem.rows;
        T* sums = projections + problem.row_offset(view, row);
        kernels.scale_row({pixels.row(view, row), {problem.spacing[0], problem.spacing[1], problem.spacing[2]}, sums, sums,
                           problem.detectors, 0});
    });
}

#define OPALG_PROJECT_RAYS(T)                                                                                  \
    template void project_rays(const RayProblem&, const PixelTable&, const std::vector<std::int64_t>&,         \
                               const Kernels<T>&, const T*, T*, Team&);
OPALG_PROJECT_RAYS(float)
OPALG_PROJECT_RAYS(double)

}  // namespace opalg
