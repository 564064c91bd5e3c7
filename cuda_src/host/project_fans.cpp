// Schedule of projection of fans: a thread owns a few of them and walks with their rays through the slice, band by band of
// planes.
#include <algorithm>

#include "fans.h"
#include "kernels.h"
#include "packing.h"

namespace opalg {

namespace {

constexpr std::int64_t kFansTogether = 4;  // they read a band of the slice one after the other

// What a thread keeps of a few fans.
template <class T> struct FanSums {
    std::int64_t stride;
    Buffer<double> anchors;
    Buffer<T> slopes, limits, sums;

    FanSums(std::int64_t rays, int lanes)
        : stride(rays), anchors(std::size_t(kFansTogether * rays / lanes)), slopes(std::size_t(kFansTogether * rays)),
          limits(std::size_t(kFansTogether * rays)), sums(std::size_t(kFansTogether * rays)) {}

    void prepare(const FanTable& table, const Fan& fan, std::int64_t place, std::int64_t lanes) {
        const double* slope = table.slopes(fan) + table.margin();
        for (std::int64_t r = 0; r < round_up(fan.count, lanes); ++r) {
            const double anchor = slope[r / lanes * lanes];
            anchors.data()[(place * stride + r) / lanes] = anchor;
            slopes.data()[place * stride + r] = T(slope[r] - anchor);
        }
        std::fill(sums.data() + place * stride, sums.data() + (place + 1) * stride, T(0));
        if (!fan.ends_within()) return;
        T* limit = limits.data() + place * stride;
        std::fill(limit, limit + stride, T(0));
        table.limits(fan, limit);
    }
};

}  // namespace

template <class T>
void project_fans(const RayProblem& problem, const FanTable& table, const Kernels<T>& kernels, const T* volumes,
                  T* projections, Team& team) {
    if (table.fans().empty()) return;
    const std::int64_t lanes = kernels.lanes;
    std::vector<FanSums<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(round_up(problem.detectors, lanes), kernels.lanes);
    Buffer<T> memory;
    for (const int axis : {1, 0}) {
        std::vector<const Fan*> fans;
        for (const Fan& fan : table.fans())
            if (fan.axis == axis) fans.push_back(&fan);
        const std::int64_t total = std::int64_t(fans.size());
        const AxisRoles roles = axis_roles(axis);
        const std::int64_t together = std::clamp<std::int64_t>(total / (4 * team.size()), 1, kFansTogether);
        for (std::int64_t image = 0; image < (total ? problem.batch : 0); ++image) {
            const Group<T> group{false, 1, {0, 1}, {volumes + image * problem.volume_size()}, {T(1)}, {}};
            const PaddedRows<T> planes(problem.size[roles.a], problem.size[roles.c], group, memory);
            pack_image(group, kernels, problem.size[1], problem.size[0], axis == 0, planes, team);

            team.run(divide_up(total, together), [&](std::int64_t item, int thread) {
                const std::int64_t begin = item * together, count = std::min(together, total - begin);
                FanSums<T>& own = scratch[std::size_t(thread)];
                for (std::int64_t k = 0; k < count; ++k) own.prepare(table, *fans[std::size_t(begin + k)], k, lanes);
                for (std::int64_t first = 0; first < problem.size[roles.a]; first += kPlanes) {
                    if (team.stopped(thread)) return;
                    for (std::int64_t k = 0; k < count; ++k) {
                        const Fan& fan = *fans[std::size_t(begin + k)];
                        const std::int64_t from = std::max(first, fan.first_plane);
                        const std::int64_t to = std::min(first + kPlanes, fan.last_plane);
                        if (from >= to) continue;
                        const bool clipped = fan.ends_before(fan.sense > 0 ? to - 1 : from);
                        kernels.project_fan({fan.band(from, to - from), planes.row(from), std::ptrdiff_t(planes.stride()),
                                             problem.size[roles.c], own.anchors.data() + k * own.stride / lanes,
                                             own.slopes.data() + k * own.stride,
                                             clipped ? own.limits.data() + k * own.stride : nullptr,
                                             own.sums.data() + k * own.stride, round_up(fan.count, lanes)});
                    }
                }
                for (std::int64_t k = 0; k < count; ++k) {
                    const Fan& fan = *fans[std::size_t(begin + k)];
                    T* target = projections + image * problem.projection_size() + problem.row_offset(fan.view, 0);
                    const T* sums = own.sums.data() + k * own.stride;
                    T* lengths = own.limits.data();
                    table.lengths(fan, lengths);
                    if (fan.reversed)
                        for (std::int64_t r = 0; r < fan.count; ++r) target[fan.pixel(r)] = lengths[r] * sums[r];
                    else
                        for (std::int64_t r = 0; r < fan.count; ++r) target[fan.first + r] = lengths[r] * sums[r];
                }
            });
        }
    }
}

template void project_fans(const RayProblem&, const FanTable&, const Kernels<float>&, const float*, float*, Team&);
template void project_fans(const RayProblem&, const FanTable&, const Kernels<double>&, const double*, double*, Team&);

}  // namespace opalg
