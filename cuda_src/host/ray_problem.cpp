#include "ray_problem.h"

#include <algorithm>
#include <cmath>

namespace opalg {

PixelTable::PixelTable(const RayProblem& problem, Team& team)
    : problem_(problem), stride_(problem.detectors + kRayPadding),
      memory_(std::size_t(std::max<std::int64_t>(1, problem.views * 3 * stride_)), true) {
    std::vector<double> cosine, sine;
    if (problem.arc_centres) {
        for (std::int64_t u = 0; u < problem.detectors; ++u) {
            cosine.push_back(std::cos(double(u) * problem.arc_step));
            sine.push_back(std::sin(double(u) * problem.arc_step) / problem.arc_step);
        }
    }
    const auto fill = [&](std::int64_t view, int) {
        for (int k = 0; k < 3; ++k) {
            double* row = memory_.data() + (view * 3 + k) * stride_;
            const double corner = problem.corners[view * 3 + k], step = problem.u_steps[view * 3 + k];
            if (problem.arc_centres) {
                const double centre = problem.arc_centres[view * 3 + k];
                for (std::int64_t u = 0; u < problem.detectors; ++u)
                    row[u] = centre + cosine[std::size_t(u)] * (corner - centre) + sine[std::size_t(u)] * step;
            } else {
                for (std::int64_t u = 0; u < problem.detectors; ++u) row[u] = corner + double(u) * step;
            }
            // Lanes behind the last pixel repeat it: they cost no more and are not written.
            for (std::int64_t u = problem.detectors; u < stride_; ++u) row[u] = u ? row[u - 1] : 0.0;
        }
    };
    team.run(problem.views, fill);
    if (Rehearsal::current())  // whose team does nothing
        for (std::int64_t view = 0; view < problem.views; ++view) fill(view, 0);
}

RayView PixelTable::view(std::int64_t view) const {
    RayView rays;
    rays.parallel = problem_.parallel;
    for (int k = 0; k < 3; ++k) {
        rays.pixel[k] = pixel(view, k);
        rays.step[k] = problem_.v_steps[view * 3 + k];
        rays.source[k] = problem_.sources[view * 3 + k];
    }
    return rays;
}

bool runs_along(const RayProblem& problem, const PixelTable& pixels, std::int64_t view, int axis) {
    double least[3], most[3];  // magnitudes of the components of the rays' directions
    for (int k = 0; k < 3; ++k) {
        double low = problem.sources[view * 3 + k], high = low;
        if (!problem.parallel) {
            const double* pixel = pixels.pixel(view, k);
            const auto ends = std::minmax_element(pixel, pixel + problem.detectors);
            const double up = double(problem.rows - 1) * problem.v_steps[view * 3 + k];
            const double source = low;
            low = *ends.first + std::min(up, 0.0) - source;
            high = *ends.second + std::max(up, 0.0) - source;
        }
        least[k] = low > 0 ? low : high < 0 ? -high : 0;
        most[k] = std::max(std::abs(low), std::abs(high));
    }
    // A little room for rounding.
    const double reach = most[axis] * (1 + 1e-12);
    return most[axis] > 0 && reach >= least[0] && reach >= least[1] && reach >= least[2];
}

PixelRange pixels_that_see(const RayProblem& problem, std::int64_t view, int axis, std::int64_t first_plane,
                           std::int64_t last_plane) {
    double low[3] = {-1, -1, -1}, high[3];  // where voxels of these planes have any weight
    for (int k = 0; k < 3; ++k) high[k] = double(problem.size[k]);
    const double half = problem.model == Model::siddon ? 0.5 : 0.0;
    low[axis] = double(first_plane) - half;
    high[axis] = double(last_plane) + half;
    const PixelRange all = {0, problem.rows, 0, problem.detectors};
    if (problem.arc_centres) return all;
    const Shadow shadow = shadow_of(problem.sources + view * 3, problem.corners + view * 3, problem.u_steps + view * 3,
                                    problem.v_steps + view * 3, problem.parallel);
    double least_u = 1e300, most_u = -1e300, least_v = 1e300, most_v = -1e300;
    for (int corner = 0; corner < 8; ++corner) {
        double point[3];
        for (int k = 0; k < 3; ++k) point[k] = corner >> k & 1 ? high[k] : low[k];
        const double w = shadow.along(shadow.w, point);
        const double u = shadow.along(shadow.u, point) / w, v = shadow.along(shadow.v, point) / w;
        // Only a box entirely before the source has a shadow bounded by those of its corners.
        if (!(w * shadow.depth > 0) || !std::isfinite(u) || !std::isfinite(v)) return all;
        least_u = std::min(least_u, u);
        most_u = std::max(most_u, u);
        least_v = std::min(least_v, v);
        most_v = std::max(most_v, v);
    }
    const auto first = [](double least, std::int64_t n) {
        return std::int64_t(std::min(std::max(std::floor(least) - 1, 0.0), double(n)));
    };
    const auto last = [](double most, std::int64_t n) {
        return std::int64_t(std::min(std::max(std::ceil(most) + 2, 0.0), double(n)));
    };
    return {first(least_v, problem.rows), last(most_v, problem.rows), first(least_u, problem.detectors),
            last(most_u, problem.detectors)};
}

int useful_threads(const RayProblem& p, int requested) {
    constexpr double worth_a_thread = 3e5;  // samples: some 100 microseconds, about what starting a thread costs
    const double across = double(std::max({p.size[0], p.size[1], p.size[2]}));
    const double samples = double(p.batch) * double(p.views) * double(p.rows) * double(p.detectors) * across;
    return int(std::max(1.0, std::min(double(requested), samples / worth_a_thread)));
}

}  // namespace opalg
