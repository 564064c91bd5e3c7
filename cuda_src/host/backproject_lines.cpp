// Schedule of back projection along lines, the exact transpose: a thread owns a slab of planes; every line of rays is
// gathered along z and shared by the two lines of voxels it passes between.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "lines.h"
#include "packing.h"

namespace opalg {

template <class T>
void backproject_lines(const RayProblem& problem, const PixelTable& pixels, const std::vector<ColumnView>& views,
                       const Kernels<T>& kernels, const T* projections, T* volume, Team& team) {
    if (views.empty() || problem.projection_size() == 0) return;
    const std::int64_t rows = problem.rows, detectors = problem.detectors, nz = problem.size[2];

    // values[view, u, v] times lengths, with margins along v.
    constexpr std::int64_t together = 16;
    const std::int64_t stride = rows + 2 * kMargin, chunks = divide_up(rows, together);
    Buffer<T> values(std::size_t(std::int64_t(views.size()) * detectors * stride));
    std::vector<Buffer<T>> scratch(std::size_t(team.size()));
    reserve_each(scratch, std::size_t(together * detectors));
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int thread) {
        const ColumnView& view = views[std::size_t(item)];
        const Buffer<T>& scaled = scratch[std::size_t(thread)];
        T* target = values.data() + item * detectors * stride;
        for (std::int64_t u = 0; u < detectors; ++u) {
            std::fill(target + u * stride, target + u * stride + kMargin, T(0));
            std::fill(target + u * stride + kMargin + rows, target + (u + 1) * stride, T(0));
        }
        for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
            const std::int64_t first = chunk * together, count = std::min(together, rows - first);
            for (std::int64_t v = 0; v < count; ++v) {
                const std::int64_t row = view.row(first + v);
                kernels.scale_row({pixels.row(view.view(), row), {problem.spacing[0], problem.spacing[1], problem.spacing[2]},
                                   projections + problem.row_offset(view.view(), row), 1, scaled.data() + v * detectors,
                                   detectors, 0});
            }
            for (std::int64_t u = 0; u < detectors; ++u)
                for (std::int64_t v = 0; v < count; ++v)
                    target[u * stride + kMargin + first + v] = scaled.data()[v * detectors + u];
        }
    });

    const std::int64_t line = round_up(nz, kernels.lanes);
    for (const bool along_x : {false, true}) {
        std::vector<std::int64_t> along;
        for (std::size_t k = 0; k < views.size(); ++k)
            if (runs_along(problem, pixels, views[k].view(), along_x ? 0 : 1)) along.push_back(std::int64_t(k));
        if (along.empty()) continue;
        const int a = along_x ? 0 : 1, c = 1 - a;
        const std::int64_t count = problem.size[a], across = problem.size[c], plane = (across + 2) * line;
        constexpr std::int64_t slab = 8;
        reserve_each(scratch, std::size_t(slab * plane));

        team.run(divide_up(count, slab), [&](std::int64_t item, int thread) {
            const std::int64_t first = item * slab, depth = std::min(slab, count - first);
            T* lines = scratch[std::size_t(thread)].data();
            std::fill(lines, lines + depth * plane, T(0));
            for (const std::int64_t k : along) {
                if (team.stopped(thread)) return;
                const T* columns = values.data() + k * detectors * stride + kMargin;
                for (std::int64_t u = 0; u < detectors; ++u) {
                    const Column column = views[std::size_t(k)].column(u);
                    if (column.along_x != along_x) continue;
                    for (std::int64_t p = 0; p < depth; ++p) {
                        const double j = double(first + p), place = column.across + column.across_slope * j;
                        if (!(place > -1 && place < double(across)) || !column.counts(first + p)) continue;
                        const double below = std::floor(place);
                        kernels.gather_line({lines + p * plane + (std::int64_t(below) + 1) * line, std::ptrdiff_t(line),
                                             T(place - below), nz, columns + u * stride, rows,
                                             column.start + column.start_slope * j, column.step + column.step_slope * j});
                    }
                }
            }
            for (std::int64_t begin = 0; begin < nz; begin += together) {
                const std::int64_t end = std::min(nz, begin + together);
                if (along_x) {
                    for (std::int64_t y = 0; y < across; ++y)
                        for (std::int64_t z = begin; z < end; ++z)
                            for (std::int64_t p = 0; p < depth; ++p)
                                volume[z * problem.stride(2) + y * problem.stride(1) + first + p] +=
                                    lines[p * plane + (y + 1) * line + z];
                } else {
                    for (std::int64_t p = 0; p < depth; ++p)
                        for (std::int64_t z = begin; z < end; ++z)
                            for (std::int64_t x = 0; x < across; ++x)
                                volume[z * problem.stride(2) + (first + p) * problem.stride(1) + x] +=
                                    lines[p * plane + (x + 1) * line + z];
                }
            }
        });
    }
}

#define OPALG_BACKPROJECT_LINES(T)                                                                             \
    template void backproject_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>&,      \
                                    const Kernels<T>&, const T*, T*, Team&);
OPALG_BACKPROJECT_LINES(float)
OPALG_BACKPROJECT_LINES(double)

}  // namespace opalg
