// Schedule of projection along lines: a thread owns some columns of a view and interpolates for them between the lines of
// voxels that they meet, band by band of planes.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "lines.h"
#include "packing.h"
#include "transposing.h"

namespace opalg {

namespace {

// A copy of the volume as lines along z, [y, x, z], with lines of zeros and margins of zeros around: both dominant axes
// find the lines of their planes in it.
template <class T> class VoxelLines {
public:
    VoxelLines(const RayProblem& problem, const Kernels<T>& kernels, const T* volume, Team& team)
        : line_(round_up(problem.size[2] + 2 * kMargin, 64 / std::int64_t(sizeof(T)))),
          row_(line_ * (problem.size[0] + 2)), memory_(std::size_t(row_ * (problem.size[1] + 2) + kLineSlack)) {
        const std::int64_t nx = problem.size[0], ny = problem.size[1], nz = problem.size[2];
        team.run(ny + 2, [&](std::int64_t item, int) {
            T* row = memory_.data() + item * row_;
            const std::int64_t y = item - 1;
            std::fill(row, row + line_, T(0));
            std::fill(row + row_ - line_, row + row_, T(0));
            if (y < 0 || y == ny) return std::fill(row, row + row_, T(0));
            T* first = row + line_ + kMargin;
            rows_to_columns(
                kernels, [&](std::int64_t z) { return volume + z * problem.stride(2) + y * problem.stride(1); }, nz, nx,
                first, line_);
            for (std::int64_t x = 0; x < nx; ++x) {
                std::fill(first + x * line_ - kMargin, first + x * line_, T(0));
                std::fill(first + x * line_ + nz, first + (x + 1) * line_ - kMargin, T(0));
            }
        });
    }

    const T* origin() const { return memory_.data() + row_ + line_ + kMargin; }
    std::int64_t stride(int axis) const { return axis == 0 ? line_ : row_; }

private:
    std::int64_t line_, row_;
    Buffer<T> memory_;
};

}  // namespace

template <class T>
void project_lines(const RayProblem& problem, const PixelTable& pixels, const std::vector<ColumnView>& views,
                   const Kernels<T>& kernels, const T* volume, T* projections, Team& team) {
    if (views.empty()) return;
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
        T* first = projections + problem.row_offset(views[std::size_t(item)].view(), 0);
        std::fill(first, first + problem.rows * problem.detectors, T(0));
    });
    const VoxelLines<T> voxels(problem, kernels, volume, team);
    // An item is some columns of a few views, which read about the same lines of a band one after the other. Its sums, like
    // these lines, should stay in the second-level cache.
    constexpr std::int64_t most_columns = 64, most_views = 8, cache = 384 << 10;
    const std::int64_t padded = round_up(problem.rows, kernels.lanes), bytes = padded * std::int64_t(sizeof(T));
    const std::int64_t together = std::clamp<std::int64_t>(cache / bytes, 1, std::min(most_columns, problem.detectors));
    const std::int64_t chunks = divide_up(problem.detectors, together);
    std::vector<Buffer<T>> scratch(std::size_t(team.size()));
    for (const bool along_x : {false, true}) {
        std::vector<const ColumnView*> along;
        for (const ColumnView& view : views)
            if (runs_along(problem, pixels, view.view(), along_x ? 0 : 1)) along.push_back(&view);
        const int a = along_x ? 0 : 1, c = 1 - a;
        const std::int64_t total = std::int64_t(along.size());
        const std::int64_t fair = divide_up(total * chunks, 4 * team.size());  // views of an item that leave enough items
        const std::int64_t group = std::clamp<std::int64_t>(std::min(fair, cache / (bytes * together)), 1, most_views);
        reserve_each(scratch, std::size_t(group * together * padded));

        team.run(divide_up(total, group) * chunks, [&](std::int64_t item, int thread) {
            const std::int64_t first = item % chunks * together, last = std::min(problem.detectors, first + together);
            const std::int64_t begin = item / chunks * group, count = std::min(group, total - begin) * together;
            std::vector<Column> columns(std::size_t(count), Column{});
            std::vector<PlaneRange> ranges(std::size_t(count), PlaneRange{0, 0});
            T* sums = scratch[std::size_t(thread)].data();
            std::fill(sums, sums + count * padded, T(0));
            for (std::int64_t k = 0; k < count; ++k) {
                const std::int64_t u = first + k % together;
                if (u >= last) continue;
                Column& column = columns[std::size_t(k)] = along[std::size_t(begin + k / together)]->column(u);
                if (column.along_x == along_x)
                    ranges[std::size_t(k)] = planes_of(column, problem.size[a], problem.size[c]);
            }
            for (std::int64_t band = 0; band < problem.size[a]; band += kLineJobs) {
                if (team.stopped(thread)) return;
                for (std::int64_t k = 0; k < count; ++k) {
                    const std::int64_t from = std::max(band, ranges[std::size_t(k)].first);
                    const std::int64_t to = std::min(band + kLineJobs, ranges[std::size_t(k)].last);
                    if (from < to)
                        kernels.sample_column({columns[std::size_t(k)], sums + k * padded, problem.rows, voxels.origin(),
                                               std::ptrdiff_t(voxels.stride(a)), std::ptrdiff_t(voxels.stride(c)),
                                               problem.size[c], problem.size[2], from, to});
                }
            }
            for (std::int64_t k = 0; k < count; k += together) {
                const ColumnView& view = *along[std::size_t(begin + k / together)];
                T* target = sums + k * padded;
                for (std::int64_t u = first; u < last; ++u) view.scale(u, kernels, target + (u - first) * padded);
                add_columns_to_rows(kernels, target, padded, problem.rows, last - first, [&](std::int64_t v) {
                    return projections + problem.row_offset(view.view(), view.row(v)) + first;
                });
            }
        });
    }
}

#define OPALG_PROJECT_LINES(T)                                                                                 \
    template void project_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>&,          \
                                const Kernels<T>&, const T*, T*, Team&);
OPALG_PROJECT_LINES(float)
OPALG_PROJECT_LINES(double)

}  // namespace opalg
