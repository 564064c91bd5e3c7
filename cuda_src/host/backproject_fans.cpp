// Schedule of back projection of fans, the exact transpose: a thread owns a slab of planes of the slice and gathers into it
// from all fans in one fixed order.
#include <algorithm>

#include "fans.h"
#include "kernels.h"
#include "packing.h"

namespace opalg {

namespace {

// Numbers of rays, in the table of the fan, at evenly spaced slopes.
template <class T> void fill_knots(const Fan& fan, const double* slopes, std::int64_t count, T* knots) {
    std::int64_t ray = 0;
    for (std::int64_t k = 0; k < count; ++k) {
        const double slope = slopes[0] + fan.shape.cell * double(k);
        while (ray + 2 < fan.rays && slopes[ray + 1] <= slope) ++ray;
        knots[k] = T(double(ray) + (slope - slopes[ray]) / (slopes[ray + 1] - slopes[ray]));
    }
    knots[count] = knots[count - 1];
}

template <class T> struct FanScratch {
    Buffer<T> planes, table, limits;
    Buffer<double> anchors;
};

}  // namespace

template <class T>
void backproject_fans(const RayProblem& problem, const FanTable& table, const Kernels<T>& kernels, const T* projections,
                      T* volumes, Team& team) {
    if (table.fans().empty()) return;
    constexpr std::int64_t cache = 256 << 10;  // bytes of a slab, to stay in the second-level cache
    const std::int64_t lanes = kernels.lanes, total = std::int64_t(table.fans().size());
    const std::int64_t spread = kRaysPerKnot;
    Buffer<T> knots(std::size_t(divide_up(table.size(), spread) + 1)), values(std::size_t(table.size()));
    team.run(total, [&](std::int64_t item, int) {
        const Fan& fan = table.fans()[std::size_t(item)];
        fill_knots(fan, table.slopes(fan), table.knot_count(fan), knots.data() + fan.start / spread);
    });
    std::vector<FanScratch<T>> scratch(std::size_t(team.size()));

    for (std::int64_t image = 0; image < problem.batch; ++image) {
        team.run(total, [&](std::int64_t item, int) {
            const Fan& fan = table.fans()[std::size_t(item)];
            const T* source = projections + image * problem.projection_size() + problem.row_offset(fan.view, 0);
            T* target = values.data() + fan.start;
            std::fill(target, target + table.margin(), T(0));
            std::fill(target + table.margin() + fan.count, target + fan.rays, T(0));
            target += table.margin();
            table.lengths(fan, target);
            if (fan.reversed)
                for (std::int64_t r = 0; r < fan.count; ++r) target[r] *= source[fan.pixel(r)];
            else
                for (std::int64_t r = 0; r < fan.count; ++r) target[r] *= source[fan.first + r];
        });
        for (const int axis : {1, 0}) {
            const AxisRoles roles = axis_roles(axis);
            const std::int64_t count = problem.size[roles.a], across = problem.size[roles.c];
            const std::int64_t stride = round_up(across, lanes), fit = cache / (stride * std::int64_t(sizeof(T)));
            // Enough slabs that threads finish together.
            const std::int64_t fair = divide_up(count, 4 * team.size());
            const std::int64_t slab = round_up(std::max<std::int64_t>(1, std::min(fit, fair)), 16);
            for (FanScratch<T>& own : scratch) {
                own.planes.reserve(std::size_t(slab * stride));
                own.table.reserve(std::size_t(6 * table.most_rays()));
                own.limits.reserve(std::size_t(table.most_rays()));
                own.anchors.reserve(std::size_t(table.most_rays() / lanes));
            }
            team.run(divide_up(count, slab), [&](std::int64_t item, int thread) {
                const std::int64_t first = item * slab, depth = std::min(slab, count - first);
                const FanScratch<T>& own = scratch[std::size_t(thread)];
                T* planes = own.planes.data();
                std::fill(planes, planes + depth * stride, T(0));
                for (const Fan& fan : table.fans()) {
                    if (fan.axis != axis) continue;
                    if (team.stopped(thread)) return;
                    const std::int64_t from = std::max(first, fan.first_plane);
                    const std::int64_t to = std::min(first + depth, fan.last_plane);
                    if (from >= to) continue;
                    const bool clipped = fan.ends_before(fan.sense > 0 ? to - 1 : from);
                    if (clipped) {
                        std::fill(own.limits.data(), own.limits.data() + fan.rays, T(0));
                        table.limits(fan, own.limits.data() + table.margin());
                    }
                    kernels.backproject_fan({fan.band(from, to - from), planes + (from - first) * stride,
                                             std::ptrdiff_t(stride), across, fan.shape, table.slopes(fan),
                                             values.data() + fan.start, clipped ? own.limits.data() : nullptr,
                                             knots.data() + fan.start / spread, table.knot_count(fan), fan.rays,
                                             table.margin(), fan.count, fan.anchor, own.table.data(),
                                             own.anchors.data()});
                }
                T* target = volumes + image * problem.volume_size() + first * problem.stride(axis);
                if (axis == 1) {
                    for (std::int64_t p = 0; p < depth; ++p)
                        for (std::int64_t c = 0; c < across; ++c) target[p * across + c] += planes[p * stride + c];
                } else {
                    for (std::int64_t c = 0; c < across; ++c)
                        for (std::int64_t p = 0; p < depth; ++p) target[c * count + p] += planes[p * stride + c];
                }
            });
        }
    }
}

template void backproject_fans(const RayProblem&, const FanTable&, const Kernels<float>&, const float*, float*, Team&);
template void backproject_fans(const RayProblem&, const FanTable&, const Kernels<double>&, const double*, double*, Team&);

}  // namespace opalg
