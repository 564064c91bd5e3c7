// Schedule of the footprint model's projection: a thread owns some columns (or rows) of a view, and every voxel adds to the
// pixels that its shadow touches. No pixel has two owners, and its sum runs over the voxels in one order.
#include <algorithm>

#include "footprints.h"
#include "kernels.h"
#include "packing.h"

namespace opalg {

namespace {

constexpr std::int64_t kTogether = 16;  // numbers that share a cache line
constexpr std::int64_t kItems = 16;     // parts of the work, at least; the same for any number of threads

// [first, last) of part `item` of so many.
struct Part {
    std::int64_t first, last;
    Part(std::int64_t item, std::int64_t parts, std::int64_t count)
        : first(item * count / parts), last((item + 1) * count / parts) {}
};
std::int64_t parts_of_a_view(std::int64_t views, std::int64_t count) {
    return std::max<std::int64_t>(1, std::min(divide_up(kItems, views), count / kTogether));
}

// The volume as lines along z [y, x, z]; or, if all views see them on the same rows, as what falls there [y, x, row].
template <class T>
void make_lines(const Footprints& footprints, const Kernels<T>& kernels, const T* volume, T* lines, std::int64_t length,
                std::vector<Buffer<T>>& scratch, Team& team) {
    const RayProblem& p = footprints.problem();
    const std::int64_t nx = p.size[0], ny = p.size[1], nz = p.size[2];
    team.run(ny, [&](std::int64_t y, int thread) {
        const bool agree = footprints.rows_agree();
        T* room = scratch[std::size_t(thread)].data();
        for (std::int64_t start = 0; start < nx; start += kTogether) {
            const std::int64_t end = std::min(nx, start + kTogether), line = round_up(nz, kernels.lanes);
            T* target = agree ? room : lines + (y * nx + start) * length;
            const std::int64_t stride = agree ? line : length;
            for (std::int64_t first = 0; first < nz; first += kTogether)
                for (std::int64_t x = start; x < end; ++x)
                    for (std::int64_t z = first; z < std::min(nz, first + kTogether); ++z)
                        target[(x - start) * stride + z] = volume[(z * ny + y) * nx + x];
            if (!agree) continue;
            LineFootprint<T> shadow;
            shadow.set_rows(footprints, footprints.upright().front());
            const T weight = T(0.5 / shadow.width);
            for (std::int64_t x = start; x < end; ++x) {
                T* rows = lines + (y * nx + x) * length;
                std::fill(rows, rows + length, T(0));
                kernels.project_columns({shadow.start, shadow.step, shadow.level, shadow.shift_rate, shadow.width, 1, &weight,
                                         rows, 0, p.rows, target + (x - start) * stride, nz, room + kTogether * line});
            }
        }
    });
}

// Lines of voxels along z fall on columns, a copy of which lies [u, v].
template <class T>
void project_upright(const Footprints& footprints, const Kernels<T>& kernels, const T* volume, T* projections, Team& team) {
    const RayProblem& p = footprints.problem();
    const std::vector<std::int64_t>& views = footprints.upright();
    const std::int64_t nx = p.size[0], ny = p.size[1], nz = p.size[2], lanes = kernels.lanes;
    const std::int64_t line = (footprints.rows_agree() ? p.rows : nz) + lanes, stride = p.rows + lanes;
    const std::int64_t parts = parts_of_a_view(std::int64_t(views.size()), p.detectors);
    const std::int64_t most = divide_up(p.detectors, parts), room = nz + 2 * kFootprintMargin + 2 * lanes;
    Buffer<T> lines(std::size_t(nx * ny * line));
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread)
        scratch.emplace_back(std::size_t(std::max(most * (stride + 1), kTogether * (nz + lanes)) + room));
    make_lines(footprints, kernels, volume, lines.data(), line, scratch, team);

    team.run(std::int64_t(views.size()) * parts, [&](std::int64_t item, int thread) {
        const std::int64_t view = views[std::size_t(item / parts)];
        const Part columns(item % parts, parts, p.detectors);
        T *pixels = scratch[std::size_t(thread)].data(), *scale = pixels + most * stride;
        std::fill(pixels, pixels + most * stride, T(0));
        LineFootprint<T> shadow;
        for (std::int64_t y = 0; y < ny; ++y) {
            if (team.stopped(thread)) return;
            for (std::int64_t x = 0; x < nx; ++x) {
                if (!shadow.set(footprints, view, x, y, columns.first, columns.last)) continue;
                T* target = pixels + (shadow.first_column - columns.first) * stride;
                T* values = lines.data() + (y * nx + x) * line;
                const int count = int(shadow.weights.size());
                if (footprints.rows_agree())
                    kernels.spread_rows({count, shadow.weights.data(), target, std::ptrdiff_t(stride), p.rows, values});
                else
                    kernels.project_columns({shadow.start, shadow.step, shadow.level, shadow.shift_rate, shadow.width, count,
                                             shadow.weights.data(), target, std::ptrdiff_t(stride), p.rows, values, nz,
                                             scale + most});
            }
        }
        for (std::int64_t v = 0; v < p.rows; ++v) {
            footprints.scale_row(view, v, columns.first, columns.last, scale);
            T* target = projections + p.row_offset(view, v);
            for (std::int64_t u = columns.first; u < columns.last; ++u)
                target[u] = pixels[(u - columns.first) * stride + v] * scale[u - columns.first];
        }
    });
}

// Every voxel for itself, in lines along x; of a transposed slice along y.
template <class T>
void project_others(const Footprints& footprints, const std::vector<std::int64_t>& views, bool transposed,
                    const Kernels<T>& kernels, const T* volume, T* projections, Team& team) {
    if (views.empty()) return;
    const RayProblem& p = footprints.problem();
    const std::int64_t nx = p.size[transposed], ny = p.size[!transposed], nz = p.size[2];
    const std::int64_t padded = round_up(nx, kernels.lanes), across = transposed ? ny : 1, along = transposed ? 1 : p.size[0];
    const std::int64_t count = p.flat ? p.detectors : p.rows, parts = parts_of_a_view(std::int64_t(views.size()), count);
    const std::int64_t most_columns = p.flat ? divide_up(count, parts) : p.detectors, stride = most_columns + 1;
    const std::int64_t most_rows = (p.flat ? 1 : divide_up(count, parts)) + 1, cells = most_rows * stride * kFootprintCell;
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(cells + padded + p.detectors));
    team.run(std::int64_t(views.size()) * parts, [&](std::int64_t item, int thread) {
        const std::int64_t view = views[std::size_t(item / parts)];
        const Part own(item % parts, parts, count), whole(0, 1, p.detectors);
        const Part rows = p.flat ? Part(0, 1, 1) : own, columns = p.flat ? own : whole;
        T* pixels = scratch[std::size_t(thread)].data();
        T *line = pixels + cells, *scale = line + padded;
        std::fill(pixels, line + padded, T(0));
        const FootprintView& shadows = footprints.view(view, transposed);
        for (std::int64_t z = 0; z < nz; ++z) {
            if (team.stopped(thread)) return;
            for (std::int64_t y = 0; y < ny; ++y) {
                const T* voxels = volume + z * nx * ny + y * along;
                for (std::int64_t x = 0; x < nx; ++x) line[x] = voxels[x * across];
                kernels.scatter_footprints({&shadows, double(y), double(z), nx, line,
                                            pixels - (rows.first * stride + columns.first) * kFootprintCell,
                                            std::ptrdiff_t(stride), rows.first, rows.last, columns.first, columns.last});
            }
        }
        for (std::int64_t v = rows.first; v < rows.last; ++v) {
            footprints.scale_row(view, v, columns.first, columns.last, scale);
            T* target = projections + p.row_offset(view, v);
            for (std::int64_t u = columns.first; u < columns.last; ++u) {
                const T* cell = pixels + ((v - rows.first) * stride + (u - columns.first)) * kFootprintCell;
                T sum = T(0);
                for (int k = 0; k < kFootprintCell && u - k >= columns.first; ++k) sum += cell[k - k * kFootprintCell];
                target[u] = sum * scale[u - columns.first];
            }
        }
    });
}

}  // namespace

template <class T>
void project_footprints(const RayProblem& problem, const Kernels<T>& kernels, FootprintKind kind, const T* volumes,
                        T* projections, Team& team) {
    if (problem.projection_size() == 0) return;
    const Footprints footprints(problem, kind);
    for (std::int64_t image = 0; image < problem.batch; ++image) {
        const T* volume = volumes + image * problem.volume_size();
        T* target = projections + image * problem.projection_size();
        if (!footprints.upright().empty()) project_upright(footprints, kernels, volume, target, team);
        for (const bool transposed : {false, true})
            project_others(footprints, footprints.others(transposed), transposed, kernels, volume, target, team);
    }
}

template void project_footprints(const RayProblem&, const Kernels<float>&, FootprintKind, const float*, float*, Team&);
template void project_footprints(const RayProblem&, const Kernels<double>&, FootprintKind, const double*, double*, Team&);

}  // namespace opalg
