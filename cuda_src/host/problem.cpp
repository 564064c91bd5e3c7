#include "problem.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace opalg {

static Footprint footprint_of(double step) {
    // Of a detector much coarser than the pixels the ray number, in float, would not place a pixel well enough.
    if (step > 4) return Footprint::many_rays;
    if (step >= 1) return Footprint::two_rays;
    return step * 3 >= 2 ? Footprint::three_rays : Footprint::many_rays;
}

std::vector<View> views_along(const Problem& problem, bool along_x) {
    std::vector<View> views;
    for (std::int64_t v = 0; v < problem.views; ++v) {
        const ParallelView line = parallel_view(problem.rays + 6 * v, problem.detectors);
        if (!std::isfinite(line.origin) || !std::isfinite(line.slope) || !std::isfinite(line.step))
            throw std::invalid_argument("a view has no finite rays");
        if (line.along_x == along_x) views.push_back({line, footprint_of(line.step), v, problem.lengths[v]});
    }
    std::stable_sort(views.begin(), views.end(), [](const View& a, const View& b) { return a.footprint < b.footprint; });
    return views;
}

namespace {

struct Link {
    std::int64_t slice, row;
    double weight;
};

// Ordered by row, then slice.
std::vector<Link> links(const Problem& problem) {
    std::vector<Link> found;
    for (std::int64_t row = 0; row < problem.rows; ++row) {
        const double z = problem.first_slice + problem.slice_step * double(row);
        if (!(z > -1 && z < double(problem.slices))) continue;
        const std::int64_t below = std::int64_t(std::floor(z));
        const double weight = z - double(below);
        if (below >= 0) found.push_back({below, row, 1 - weight});
        if (below + 1 < problem.slices && weight > 0) found.push_back({below + 1, row, weight});
    }
    return found;
}

// Lanes for every image of the batch: `target` and `source` choose the end of a link, links are ordered by target.
template <class T, class Target, class Source, class TargetOffset, class SourceOffset>
LaneMix<T> mix(const std::vector<Link>& links, std::int64_t batch, std::int64_t targets, Target target, Source source,
               TargetOffset target_offset, SourceOffset source_offset) {
    LaneMix<T> lanes;
    lanes.begin.push_back(0);
    for (std::int64_t image = 0; image < batch; ++image) {
        auto link = links.begin();
        for (std::int64_t t = 0; t < targets; ++t) {
            if (link == links.end() || target(*link) != t) {
                lanes.untouched.push_back(target_offset(image, t));
                continue;
            }
            for (; link != links.end() && target(*link) == t; ++link) {
                lanes.source.push_back(source_offset(image, source(*link)));
                lanes.weight.push_back(T(link->weight));
            }
            lanes.target.push_back(target_offset(image, t));
            lanes.begin.push_back(std::int64_t(lanes.source.size()));
        }
    }
    return lanes;
}

}  // namespace

template <class T> LaneMix<T> rows_from_slices(const Problem& p) {
    return mix<T>(
        links(p), p.batch, p.rows, [](const Link& l) { return l.row; }, [](const Link& l) { return l.slice; },
        [&](std::int64_t image, std::int64_t row) { return p.row_offset(image, row); },
        [&](std::int64_t image, std::int64_t slice) { return p.slice_offset(image, slice); });
}

template <class T> LaneMix<T> slices_from_rows(const Problem& p) {
    std::vector<Link> by_slice = links(p);
    std::stable_sort(by_slice.begin(), by_slice.end(), [](const Link& a, const Link& b) { return a.slice < b.slice; });
    return mix<T>(
        by_slice, p.batch, p.slices, [](const Link& l) { return l.slice; }, [](const Link& l) { return l.row; },
        [&](std::int64_t image, std::int64_t slice) { return p.slice_offset(image, slice); },
        [&](std::int64_t image, std::int64_t row) { return p.row_offset(image, row); });
}

int useful_threads(const Problem& p, int requested) {
    constexpr double worth_a_thread = 5e5;  // samples: some 100 microseconds, about what starting a thread costs
    const double lanes = double(p.batch) * double(std::max(p.rows, p.slices));
    const double samples = lanes * double(p.views) * double(std::max(p.ny, p.nx)) * double(std::max(p.detectors, p.nx));
    return int(std::max(1.0, std::min(double(requested), samples / worth_a_thread)));
}

template LaneMix<float> rows_from_slices(const Problem&);
template LaneMix<double> rows_from_slices(const Problem&);
template LaneMix<float> slices_from_rows(const Problem&);
template LaneMix<double> slices_from_rows(const Problem&);

}  // namespace opalg
