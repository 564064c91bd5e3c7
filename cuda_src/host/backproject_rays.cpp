// Schedule of back projection along single rays, the exact transpose: a thread owns a slab of planes of the volume, and
// the rays of all views add their shares to it in one fixed order.
#include <algorithm>

#include "kernels.h"
#include "packing.h"
#include "ray_problem.h"

namespace opalg {

namespace {

// The cells of a slab: every sample's shares side by side (see ScatterRays), added up in the end.
template <class T> struct Cells {
    static constexpr std::int64_t margin = kRayMargin;
    std::int64_t corners, line_stride, plane_stride;  // strides in cells
    AxisRoles roles;

    Cells(const RayProblem& problem, const AxisRoles& axes)
        : corners(problem.flat ? 2 : 4), line_stride(problem.size[axes.c] + 2 * margin),
          plane_stride(line_stride * (problem.size[axes.b] + 2 * margin)), roles(axes) {}

    std::int64_t plane_elements() const { return plane_stride * corners; }
    std::int64_t origin() const { return margin * (line_stride + 1) * corners; }

    // volume[plane] += what its cells hold
    void add_to(const RayProblem& problem, const T* plane, std::int64_t number, T* volume) const {
        const std::int64_t nb = problem.size[roles.b], nc = problem.size[roles.c];
        const std::int64_t step_b = problem.stride(roles.b), step_c = problem.stride(roles.c);
        const T* first = plane + origin();
        T* target = volume + number * problem.stride(roles.a);
        for (std::int64_t b = 0; b < nb; ++b) {
            const T* here = first + b * line_stride * corners;
            const T* before = here - line_stride * corners;
            T* line = target + b * step_b;
            if (corners == 2)
                for (std::int64_t c = 0; c < nc; ++c) line[c * step_c] += here[2 * c] + here[2 * c - 1];
            else
                for (std::int64_t c = 0; c < nc; ++c)
                    line[c * step_c] += (here[4 * c] + here[4 * c - 3]) + (before[4 * c + 2] + before[4 * c - 1]);
        }
    }
};

}  // namespace

template <class T>
void backproject_rays(const RayProblem& problem, const PixelTable& pixels, const std::vector<std::int64_t>& views,
                      const Kernels<T>& kernels, const T* projections, T* volume, Team& team) {
    if (views.empty() || problem.projection_size() == 0) return;
    constexpr std::int64_t cache = 5 << 18;  // bytes of a slab, to stay in the second-level cache
    constexpr std::int64_t least = 2;        // planes: of a single one the rays cost more than the samples
    const std::int64_t padded = round_up(problem.detectors, kernels.lanes), rows = problem.rows;
    Buffer<T> values(std::size_t(std::int64_t(views.size()) * rows * padded));
    team.run(std::int64_t(views.size()) * rows, [&](std::int64_t item, int) {
        const std::int64_t view = views[std::size_t(item / rows)], row = item % rows;
        kernels.scale_row({pixels.row(view, row), {problem.spacing[0], problem.spacing[1], problem.spacing[2]},
                           projections + problem.row_offset(view, row), values.data() + item * padded,
                           problem.detectors, padded - problem.detectors});
    });

    std::vector<Buffer<T>> scratch(std::size_t(team.size()));
    std::vector<BundleScratch<T>> bundles;
    for (int thread = 0; thread < team.size(); ++thread) bundles.emplace_back(padded, kernels.lanes);
    for (const int axis : {1, 0, 2}) {
        std::vector<std::int64_t> along;
        for (std::size_t k = 0; k < views.size(); ++k)
            if (runs_along(problem, pixels, views[k], axis)) along.push_back(std::int64_t(k));
        if (along.empty()) continue;
        const AxisRoles roles = axis_roles(axis);
        const Cells<T> cells(problem, roles);
        const std::int64_t count = problem.size[roles.a], plane_bytes = cells.plane_elements() * std::int64_t(sizeof(T));
        const std::int64_t fitting = std::max(least, cache / plane_bytes);
        const std::int64_t slab = std::min(std::min<std::int64_t>(kRayPlanes, count), fitting);
        reserve_each(scratch, std::size_t(slab * cells.plane_elements()));

        team.run(divide_up(count, slab), [&](std::int64_t item, int thread) {
            const std::int64_t first = item * slab;
            const int depth = int(std::min(slab, count - first));
            const Buffer<T>& memory = scratch[std::size_t(thread)];
            std::fill(memory.data(), memory.data() + depth * cells.plane_elements(), T(0));
            for (const std::int64_t k : along) {
                if (team.stopped(thread)) return;
                const std::int64_t view = views[std::size_t(k)];
                const PixelRange range = pixels_that_see(problem, view, axis, first, first + depth - 1);
                const std::int64_t from = range.first_column / kernels.lanes * kernels.lanes;
                const std::int64_t to = round_up(range.last_column, kernels.lanes);
                kernels.scatter_rays({{pixels.view(view), axis, problem.flat, problem.model,
                                       std::ptrdiff_t(cells.plane_stride), std::ptrdiff_t(cells.line_stride),
                                       problem.size[roles.b], problem.size[roles.c], depth, double(first),
                                       range.first_row, range.last_row, from, to, bundles[std::size_t(thread)].memory()},
                                      memory.data() + cells.origin(),
                                      values.data() + (k * rows + range.first_row) * padded, std::ptrdiff_t(padded)});
            }
            for (int p = 0; p < depth; ++p)
                cells.add_to(problem, memory.data() + p * cells.plane_elements(), first + p, volume);
        });
    }
}

#define OPALG_BACKPROJECT_RAYS(T)                                                                              \
    template void backproject_rays(const RayProblem&, const PixelTable&, const std::vector<std::int64_t>&,     \
                                   const Kernels<T>&, const T*, T*, Team&);
OPALG_BACKPROJECT_RAYS(float)
OPALG_BACKPROJECT_RAYS(double)

}  // namespace opalg
