// Schedule of back projection along lines, the exact transpose: a thread owns a slab of planes; every line of rays is
// gathered along z and shared by the two lines of voxels it passes between.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "lines.h"
#include "packing.h"
#include "transposing.h"

namespace opalg {

template <class T>
void backproject_lines(const RayProblem& problem, const PixelTable& pixels, const std::vector<ColumnView>& views,
                       const Kernels<T>& kernels, const T* projections, T* volume, Team& team) {
    if (views.empty() || problem.projection_size() == 0) return;
    const std::int64_t rows = problem.rows, detectors = problem.detectors, nz = problem.size[2];

    // values[view, u, v] times lengths, with margins along v.
    const std::int64_t stride = round_up(rows + 2 * kMargin, 64 / std::int64_t(sizeof(T)));
    Buffer<T> values(std::size_t(std::int64_t(views.size()) * detectors * stride));
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
        const ColumnView& view = views[std::size_t(item)];
        T* first = values.data() + item * detectors * stride + kMargin;
        rows_to_columns(
            kernels,
            [&](std::int64_t v) { return projections + problem.row_offset(view.view(), view.row(v)); }, rows, detectors,
            first, stride);
        for (std::int64_t u = 0; u < detectors; ++u, first += stride) {
            view.scale(u, kernels, first);
            std::fill(first - kMargin, first, T(0));
            std::fill(first + rows, first + stride - kMargin, T(0));
        }
    });

    std::vector<Buffer<T>> scratch(std::size_t(team.size()));
    const std::int64_t line = round_up(nz, kernels.lanes);
    for (const bool along_x : {false, true}) {
        std::vector<std::int64_t> along;
        for (std::size_t k = 0; k < views.size(); ++k)
            if (runs_along(problem, pixels, views[k].view(), along_x ? 0 : 1)) along.push_back(std::int64_t(k));
        if (along.empty()) continue;
        const int a = along_x ? 0 : 1, c = 1 - a;
        const std::int64_t count = problem.size[a], across = problem.size[c], plane = (across + 2) * line;
        // As many planes as positions are formed at a time; they should stay in the second-level cache.
        constexpr std::int64_t cache = 1 << 20;
        const std::int64_t fit = cache / (plane * std::int64_t(sizeof(T)));
        const std::int64_t slab = std::min<std::int64_t>(8, std::max<std::int64_t>(1, fit));
        reserve_each(scratch, std::size_t(slab * plane));

        team.run(divide_up(count, slab), [&](std::int64_t item, int thread) {
            const std::int64_t first = item * slab, depth = std::min(slab, count - first);
            const Buffer<T>& memory = scratch[std::size_t(thread)];
            T* lines = memory.data() + line;
            std::fill(memory.data(), memory.data() + depth * plane, T(0));
            for (const std::int64_t k : along) {
                if (team.stopped(thread)) return;
                const T* columns = values.data() + k * detectors * stride + kMargin;
                for (std::int64_t u = 0; u < detectors; ++u) {
                    const Column column = views[std::size_t(k)].column(u);
                    if (column.along_x != along_x) continue;
                    const PlaneRange range = planes_of(column, count, across);
                    const std::int64_t begin = std::max(first, range.first), end = std::min(first + depth, range.last);
                    if (begin < end)
                        kernels.gather_column({column, lines - first * plane, std::ptrdiff_t(plane), std::ptrdiff_t(line),
                                               across, nz, begin, end, columns + u * stride, rows});
                }
            }
            for (std::int64_t p = 0; p < depth; ++p) {
                if (along_x) continue;
                add_columns_to_rows(kernels, lines + p * plane, line, nz, across, [&](std::int64_t z) {
                    return volume + z * problem.stride(2) + (first + p) * problem.stride(1);
                });
            }
            for (std::int64_t y = 0; along_x && y < across; ++y)
                add_columns_to_rows(kernels, lines + y * line, plane, nz, depth, [&](std::int64_t z) {
                    return volume + z * problem.stride(2) + y * problem.stride(1) + first;
                });
        });
    }
}

#define OPALG_BACKPROJECT_LINES(T)                                                                             \
    template void backproject_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>&,      \
                                    const Kernels<T>&, const T*, T*, Team&);
OPALG_BACKPROJECT_LINES(float)
OPALG_BACKPROJECT_LINES(double)

}  // namespace opalg
