// Schedule of projection along single rays: a thread owns some detector rows of a view and walks with their rays through
// the volume, band by band of planes.
#include <algorithm>

#include "kernels.h"
#include "packing.h"
#include "ray_problem.h"

namespace opalg {

namespace {

// A copy of the volume as planes [a, b, c] with margins of zeros.
template <class T> struct Planes {
    T* origin;  // voxel (0, 0) of plane 0
    std::int64_t plane_stride, line_stride;

    Planes(const RayProblem& problem, const AxisRoles& roles, const T* volume, Buffer<T>& memory, Team& team) {
        const std::int64_t na = problem.size[roles.a], nb = problem.size[roles.b], nc = problem.size[roles.c];
        const std::int64_t sb = problem.stride(roles.b), sc = problem.stride(roles.c);
        line_stride = nc + 2 * kRayMargin;
        plane_stride = line_stride * (nb + 2 * kRayMargin);
        memory.reserve(std::size_t(std::max<std::int64_t>(1, na * plane_stride)));
        origin = memory.data() + kRayMargin * (line_stride + 1);
        team.run(na, [&](std::int64_t a, int) {
            T* plane = memory.data() + a * plane_stride;
            std::fill(plane, plane + plane_stride, T(0));
            for (std::int64_t b = 0; b < nb; ++b) {
                T* line = origin + a * plane_stride + b * line_stride;
                const T* from = volume + a * problem.stride(roles.a) + b * sb;
                if (sc == 1) std::copy(from, from + nc, line);
                else
                    for (std::int64_t c = 0; c < nc; ++c) line[c] = from[c * sc];
            }
        });
    }
};

}  // namespace

template <class T>
void project_rays(const RayProblem& problem, const PixelTable& pixels, const std::vector<std::int64_t>& views,
                  const Kernels<T>& kernels, const T* volume, T* projections, Team& team) {
    constexpr std::int64_t most_sums = 1 << 14;  // of one item, to stay in the first caches
    const std::int64_t padded = round_up(problem.detectors, kernels.lanes);
    const std::int64_t chunk = std::max<std::int64_t>(1, std::min(problem.rows, most_sums / std::max<std::int64_t>(1, padded)));
    const std::int64_t chunks = divide_up(problem.rows, chunk);
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t((chunk + 1) * padded));
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
        const std::int64_t count = problem.size[roles.a];
        const Planes<T> planes(problem, roles, volume, memory, team);

        team.run(std::int64_t(along.size()) * chunks, [&](std::int64_t item, int thread) {
            const std::int64_t view = along[std::size_t(item / chunks)], first_row = item % chunks * chunk;
            const std::int64_t last_row = std::min(problem.rows, first_row + chunk);
            T* sums = scratch[std::size_t(thread)].data();
            std::fill(sums, sums + chunk * padded, T(0));
            for (std::int64_t plane = 0; plane < count; plane += kRayPlanes) {
                if (team.stopped(thread)) return;
                const int depth = int(std::min<std::int64_t>(kRayPlanes, count - plane));
                const PixelRange range = pixels_that_see(problem, view, axis, plane, plane + depth - 1);
                const std::int64_t from = range.first_column / kernels.lanes * kernels.lanes;
                const std::int64_t to = round_up(range.last_column, kernels.lanes);
                const std::int64_t end = std::min(last_row, range.last_row);
                for (std::int64_t row = std::max(first_row, range.first_row); row < end; ++row)
                    kernels.project_rays({pixels.row(view, row), axis, problem.flat, problem.model,
                                          planes.origin + plane * planes.plane_stride, std::ptrdiff_t(planes.plane_stride),
                                          std::ptrdiff_t(planes.line_stride), problem.size[roles.b],
                                          problem.size[roles.c], depth, double(plane),
                                          sums + (row - first_row) * padded, from, to});
            }
            T* scaled = sums + chunk * padded;
            for (std::int64_t row = first_row; row < last_row; ++row) {
                kernels.scale_row({pixels.row(view, row), {problem.spacing[0], problem.spacing[1], problem.spacing[2]},
                                   sums + (row - first_row) * padded, 1, scaled, problem.detectors, 0});
                T* target = projections + problem.row_offset(view, row);
                for (std::int64_t u = 0; u < problem.detectors; ++u) target[u] += scaled[u];
            }
        });
    }
}

#define OPALG_PROJECT_RAYS(T)                                                                                  \
    template void project_rays(const RayProblem&, const PixelTable&, const std::vector<std::int64_t>&,         \
                               const Kernels<T>&, const T*, T*, Team&);
OPALG_PROJECT_RAYS(float)
OPALG_PROJECT_RAYS(double)

}  // namespace opalg
