// Schedule of projection along lines: a thread owns some columns of a view and interpolates for them between the lines of
// voxels that they meet, band by band of planes.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "lines.h"
#include "packing.h"

namespace opalg {

namespace {

// A copy of the volume as lines along z, [a, c, z], with a line of zeros on either side of c and margins along z.
template <class T> struct LinePlanes {
    T* origin;  // voxel z = 0 of line c = 0 in plane 0
    std::int64_t plane_stride, line_stride;

    LinePlanes(const RayProblem& problem, bool along_x, const T* volume, Buffer<T>& memory, Team& team) {
        const int a = along_x ? 0 : 1, c = 1 - a;
        const std::int64_t na = problem.size[a], nc = problem.size[c], nz = problem.size[2];
        const std::int64_t sa = problem.stride(a), sc = problem.stride(c), sz = problem.stride(2);
        line_stride = nz + 2 * kMargin;
        plane_stride = line_stride * (nc + 2);
        memory.reserve(std::size_t(std::max<std::int64_t>(1, na * plane_stride)));
        origin = memory.data() + line_stride + kMargin;
        constexpr std::int64_t together = 16;  // numbers that share a cache line
        team.run(divide_up(na, together), [&](std::int64_t item, int) {
            const std::int64_t first = item * together, last = std::min(na, first + together);
            std::fill(memory.data() + first * plane_stride, memory.data() + last * plane_stride, T(0));
            if (along_x) {
                for (std::int64_t y = 0; y < nc; ++y)
                    for (std::int64_t z = 0; z < nz; ++z)
                        for (std::int64_t x = first; x < last; ++x)
                            origin[x * plane_stride + y * line_stride + z] = volume[z * sz + y * sc + x * sa];
                return;
            }
            for (std::int64_t y = first; y < last; ++y)
                for (std::int64_t begin = 0; begin < nc; begin += together)
                    for (std::int64_t z = 0; z < nz; ++z)
                        for (std::int64_t x = begin; x < std::min(nc, begin + together); ++x)
                            origin[y * plane_stride + x * line_stride + z] = volume[z * sz + y * sa + x * sc];
        });
    }
};

}  // namespace

template <class T>
void project_lines(const RayProblem& problem, const PixelTable& pixels, const std::vector<ColumnView>& views,
                   const Kernels<T>& kernels, const T* volume, T* projections, Team& team) {
    constexpr std::int64_t columns = 32;  // of one item: what they read overlaps
    const std::int64_t padded = round_up(problem.rows, kernels.lanes), chunks = divide_up(problem.detectors, columns);
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(columns * (padded + 1)));
    team.run(std::int64_t(views.size()), [&](std::int64_t item, int) {
        T* first = projections + problem.row_offset(views[std::size_t(item)].view(), 0);
        std::fill(first, first + problem.rows * problem.detectors, T(0));
    });
    const T ones = 1;
    Buffer<T> memory;
    for (const bool along_x : {false, true}) {
        std::vector<const ColumnView*> along;
        for (const ColumnView& view : views)
            if (runs_along(problem, pixels, view.view(), along_x ? 0 : 1)) along.push_back(&view);
        if (along.empty()) continue;
        const LinePlanes<T> planes(problem, along_x, volume, memory, team);
        const std::int64_t count = problem.size[along_x ? 0 : 1], across = problem.size[along_x ? 1 : 0];

        team.run(std::int64_t(along.size()) * chunks, [&](std::int64_t item, int thread) {
            const ColumnView& view = *along[std::size_t(item / chunks)];
            const std::int64_t first = item % chunks * columns, last = std::min(problem.detectors, first + columns);
            T* sums = scratch[std::size_t(thread)].data();
            std::fill(sums, sums + columns * padded, T(0));
            const T* line[kLineJobs];
            T weight[kLineJobs], scale[kLineJobs], rate[kLineJobs];
            double start[kLineJobs] = {}, step[kLineJobs] = {};
            std::fill(scale, scale + kLineJobs, ones);
            Column lines[columns];
            for (std::int64_t u = first; u < last; ++u) lines[u - first] = view.column(u);
            for (std::int64_t band = 0; band < count; band += kLinesAtOnce) {
                if (team.stopped(thread)) return;
                const std::int64_t end = std::min<std::int64_t>(count, band + kLinesAtOnce);
                for (std::int64_t u = first; u < last; ++u) {
                    const Column& column = lines[u - first];
                    if (column.along_x != along_x) continue;
                    int jobs = 0;
                    for (std::int64_t j = band; j < end; ++j) {
                        const double place = column.across + column.across_slope * double(j);
                        if (!(place > -1 && place < double(across)) || !column.counts(j)) continue;
                        const double below = std::floor(place);
                        line[jobs] = planes.origin + j * planes.plane_stride + std::int64_t(below) * planes.line_stride;
                        weight[jobs] = T(place - below);
                        start[jobs] = column.start + column.start_slope * double(j);
                        step[jobs] = column.step + column.step_slope * double(j);
                        rate[jobs] = T(step[jobs]);
                        ++jobs;
                    }
                    kernels.sample_lines({sums + (u - first) * padded, problem.rows, jobs, line,
                                          std::ptrdiff_t(planes.line_stride), weight, scale, start, step, rate,
                                          problem.size[2]});
                }
            }
            T* scaled = sums + columns * padded;
            for (std::int64_t v = 0; v < problem.rows; ++v) {
                RayRow rays = pixels.row(view.view(), view.row(v));
                for (const double*& pixel : rays.pixel) pixel += first;
                kernels.scale_row({rays, {problem.spacing[0], problem.spacing[1], problem.spacing[2]}, sums + v,
                                   std::ptrdiff_t(padded), scaled, last - first, 0});
                T* target = projections + problem.row_offset(view.view(), view.row(v)) + first;
                for (std::int64_t u = 0; u < last - first; ++u) target[u] += scaled[u];
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
