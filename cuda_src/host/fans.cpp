#include "fans.h"

#include <algorithm>
#include <cmath>

#include "packing.h"

namespace opalg {

namespace {

enum Way { nowhere, along_x, against_x, along_y, against_y };

// As ray_line decides.
Way way_of(double dx, double dy) {
    if (std::abs(dx) > std::abs(dy)) return dx > 0 ? along_x : against_x;
    return dy > 0 ? along_y : dy < 0 ? against_y : nowhere;
}

}  // namespace

FanTable::FanTable(const RayProblem& problem, const PixelTable& pixels, bool wanted, int lanes, Team& team)
    : problem_(problem), pixels_(pixels), lanes_(lanes), margin_(5 * lanes),
      stride_(round_up(problem.detectors, lanes) + kMost * (2 * margin_ + 2 * lanes)) {
    const bool possible =
        wanted && problem.flat && problem.model == Model::joseph && !problem.parallel && problem.detectors > 1;
    std::vector<Fan> fans(std::size_t(possible ? kMost * problem.views : 0));
    std::vector<int> counts(std::size_t(problem.views), 0);
    if (possible) {
        memory_ = Buffer<double>(std::size_t(std::max<std::int64_t>(1, size())), true);
        const auto look_at = [&](std::int64_t view, int) {
            counts[std::size_t(view)] = divide(view, fans.data() + kMost * view);
        };
        // A team in rehearsal does nothing, but how a view is computed must be known.
        if (Rehearsal::current())
            for (std::int64_t view = 0; view < problem.views; ++view) look_at(view, 0);
        else team.run(problem.views, look_at);
    }
    for (std::int64_t view = 0; view < problem.views; ++view) {
        const int count = counts[std::size_t(view)];
        if (count == 0) others_.push_back(view);
        for (int k = 0; k < count; ++k) fans_.push_back(fans[std::size_t(kMost * view + k)]);
    }
}

int FanTable::divide(std::int64_t view, Fan* fans) const {
    const double *x = pixels_.pixel(view, 0), *y = pixels_.pixel(view, 1);
    const double source_x = problem_.sources[3 * view], source_y = problem_.sources[3 * view + 1];
    std::int64_t start = view * stride_, end;
    int count = 0;
    for (std::int64_t u = 0; u < problem_.detectors; u = end) {
        const Way way = way_of(x[u] - source_x, y[u] - source_y);
        for (end = u + 1; end < problem_.detectors && way_of(x[end] - source_x, y[end] - source_y) == way;) ++end;
        if (way == nowhere || end - u < 2 || count == kMost) return 0;
        Fan& fan = fans[count++];
        fan.view = view;
        fan.axis = way == along_x || way == against_x ? 0 : 1;
        fan.sense = way == along_x || way == along_y ? 1 : -1;
        fan.first = u;
        fan.count = end - u;
        fan.source_a = fan.axis ? source_y : source_x;
        fan.source_c = fan.axis ? source_x : source_y;
        fan.start = start;
        fan.rays = round_up(fan.count + 2 * margin_, lanes_);
        start += fan.rays + lanes_;
        if (!finish(fan, memory_.data() + fan.start)) return 0;
    }
    return count;
}

bool FanTable::finish(Fan& fan, double* slopes) const {
    const AxisRoles roles = axis_roles(fan.axis);
    const double *a = pixels_.pixel(fan.view, roles.a) + fan.first, *c = pixels_.pixel(fan.view, roles.c) + fan.first;
    double* real = slopes + margin_;
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (std::int64_t r = 0; r < fan.count; ++r) {
        real[r] = (c[r] - fan.source_c) / std::abs(a[r] - fan.source_a);
        least = std::min(least, a[r]);
        most = std::max(most, a[r]);
    }
    fan.shortest = fan.sense > 0 ? least : -most;
    fan.longest = fan.sense > 0 ? most : -least;
    fan.reversed = real[1] < real[0];
    if (fan.reversed) std::reverse(real, real + fan.count);

    FanShape& shape = fan.shape;
    shape = {HUGE_VAL, 0, 0, 0, 0};
    double before = 0;
    bool rising = true;
    for (std::int64_t r = 0; r + 1 < fan.count; ++r) {
        const double step = real[r + 1] - real[r], density = 1 / step;
        rising &= step > 0;
        shape.least = std::min(shape.least, step);
        shape.most = std::max(shape.most, step);
        // Per slope between the middles of two steps: its inverse is the mean of the densities, or less.
        if (r > 0) shape.bend = std::max(shape.bend, std::abs(density - before) * (density + before) * 0.5);
        before = density;
    }
    if (!rising || !std::isfinite(shape.bend)) return false;
    const double first_step = real[1] - real[0], last = real[fan.count - 1], last_step = last - real[fan.count - 2];
    for (std::int64_t k = 1; k <= margin_; ++k) real[-k] = real[0] - double(k) * first_step;
    for (std::int64_t r = fan.count; r < fan.rays + lanes_ - margin_; ++r)
        real[r] = last + double(r - fan.count + 1) * last_step;
    shape.cell = (slopes[fan.rays - 1] - slopes[0]) / double(knot_count(fan) - 1);
    shape.slack = 0.005 + double(fan.rays) * 0x1p-20;

    // The first plane in which a ray may meet a voxel: rays that begin beside the slice have some way to it.
    const double planes = double(problem_.size[roles.a]), across = double(problem_.size[roles.c]);
    double nearest = std::max(0.0, fan.sense > 0 ? -fan.source_a : fan.source_a - (planes - 1));
    const double farthest = fan.sense > 0 ? planes - 1 - fan.source_a : fan.source_a;
    if (fan.source_c >= across) nearest = std::max(nearest, real[0] < 0 ? (fan.source_c - across) / -real[0] : HUGE_VAL);
    if (fan.source_c <= -1) nearest = std::max(nearest, last > 0 ? (-1 - fan.source_c) / last : HUGE_VAL);
    fan.first_plane = fan.last_plane = 0;
    fan.anchor = 0;
    if (!(nearest <= farthest)) return true;

    const double inverse = 1 / nearest, error = fan_error(shape, inverse, lanes_);
    const double density = inverse / shape.least + fan_excess(shape, inverse, lanes_);
    if (!(fan_taps(density, error) < kFanTaps && fan_reach(shape, inverse, lanes_) < 4 * lanes_)) return false;
    if (!(shape.most * farthest <= kFanWidest)) return false;
    fan.anchor = int(std::min(lanes_ / 2 + lanes_ / (shape.least + shape.most) / (0.5 * (nearest + farthest)), 2.0 * lanes_));

    const auto kept = [&](double plane) { return std::int64_t(std::min(std::max(plane, 0.0), planes)); };
    if (fan.sense > 0) {
        fan.first_plane = kept(std::ceil(fan.source_a + nearest));
        fan.last_plane = kept(std::floor(fan.longest) + 1);
    } else {
        fan.first_plane = kept(-std::floor(fan.longest));
        fan.last_plane = kept(std::floor(fan.source_a - nearest) + 1);
    }
    return true;
}

template <class T> void FanTable::lengths(const Fan& fan, T* lengths) const {
    const double* rise = slopes(fan) + margin_;
    const double across = problem_.spacing[1 - fan.axis], way = problem_.spacing[fan.axis];
    for (std::int64_t r = 0; r < fan.count; ++r)
        lengths[r] = T(std::sqrt(way * way + across * rise[r] * (across * rise[r])));
}
template void FanTable::lengths(const Fan&, float*) const;
template void FanTable::lengths(const Fan&, double*) const;

template <class T> void FanTable::limits(const Fan& fan, T* limits) const {
    const double* a = pixels_.pixel(fan.view, axis_roles(fan.axis).a);
    for (std::int64_t r = 0; r < fan.count; ++r)
        limits[r] = T(std::max(-double(kFarAway), std::min(double(kFarAway), std::floor(fan.sense * a[fan.pixel(r)]))));
}
template void FanTable::limits(const Fan&, float*) const;
template void FanTable::limits(const Fan&, double*) const;

}  // namespace opalg
