// Schedule of projection: a thread owns a few views and walks with them through the image, band by band of planes.
#include <cmath>

#include "packing.h"

namespace opalg {

// Rays of a view that come within a pixel of the image somewhere in planes [first, last], as multiples of `lanes`.
static void active_rays(const ParallelView& view, std::int64_t detectors, std::int64_t across, double first, double last,
                        int lanes, std::int64_t& from, std::int64_t& to) {
    const double a = view.origin + view.slope * first, b = view.origin + view.slope * last;
    const double least = std::min(a, b), most = std::max(a, b), end = double(detectors);
    double begin = 0, stop = end;
    if (view.step > 0) {
        begin = std::floor((-1 - most) / view.step);
        stop = std::ceil((double(across) - least) / view.step) + 1;
    } else if (least >= double(across) || most <= -1) {
        stop = 0;
    }
    from = std::int64_t(std::min(std::max(begin, 0.0), end)) / lanes * lanes;
    to = round_up(std::int64_t(std::min(std::max(stop, 0.0), end)), lanes);
}

template <class T>
static void project_views(const Group<T>& group, const Kernels<T>& kernels, const Problem& problem,
                          const std::vector<View>& views, std::int64_t planes, std::int64_t across,
                          const PaddedRows<T>& image, Team& team) {
    // A chunk of views reads the image once. Its sums, like a band of the image, should stay in the second-level cache.
    constexpr std::int64_t cache = 768 << 10;
    const std::int64_t total = std::int64_t(views.size());
    const std::int64_t row = round_up(problem.detectors, kernels.lanes) * group.width;
    const std::int64_t fit = cache / (row * std::int64_t(sizeof(T)));
    const std::int64_t most = std::max<std::int64_t>(1, std::min<std::int64_t>(kViewsPerChunk, fit));
    // As many chunks for every thread, of about the same size.
    const std::int64_t chunk = divide_up(total, round_up(divide_up(total, most), team.size()));
    const int band = group.stack ? kStackPlanes : kPlanes;
    const auto kernel = group.stack ? kernels.project_stack : kernels.project_image;

    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(chunk * row));

    team.run(divide_up(total, chunk), [&](std::int64_t item, int thread) {
        const std::int64_t begin = item * chunk;
        const int count = int(std::min(total, begin + chunk) - begin);
        T* first = scratch[std::size_t(thread)].data();
        std::fill(first, first + count * row, T(0));
        ParallelView lines[kViewsPerChunk];
        T* sums[kViewsPerChunk];
        std::int64_t from[kViewsPerChunk], to[kViewsPerChunk];
        for (int k = 0; k < count; ++k) {
            lines[k] = views[std::size_t(begin + k)].line;
            sums[k] = first + k * row;
        }
        for (std::int64_t plane = 0; plane < planes; plane += band) {
            if (team.stopped(thread)) return;
            const int depth = int(std::min<std::int64_t>(band, planes - plane));
            const double near = double(plane), far = double(plane + depth - 1);
            for (int k = 0; k < count; ++k)
                active_rays(lines[k], problem.detectors, across, near, far, kernels.lanes, from[k], to[k]);
            kernel({image.row(plane), std::ptrdiff_t(image.stride()), across, depth, near, lines, sums, from, to, count});
        }
        for (int k = 0; k < count; ++k)
            unpack_view(group, kernels, problem, views[std::size_t(begin + k)], sums[k]);
    });
}

template <class T>
void project(const Problem& problem, const Kernels<T>& kernels, const T* volumes, T* projections, Team& team) {
    const LaneMix<T> mix = rows_from_slices<T>(problem);
    team.run(std::int64_t(mix.untouched.size()), [&](std::int64_t item, int) {
        T* row = projections + mix.untouched[std::size_t(item)];
        for (std::int64_t view = 0; view < problem.views; ++view, row += problem.view_stride())
            std::fill(row, row + problem.detectors, T(0));
    });
    if (problem.detectors == 0) return;
    Buffer<T> memory;
    for (const Group<T>& group : groups(mix, kernels, volumes, projections)) {
        for (const bool along_x : {false, true}) {
            const std::vector<View> views = views_along(problem, along_x);
            if (views.empty()) continue;
            const std::int64_t planes = along_x ? problem.nx : problem.ny, across = along_x ? problem.ny : problem.nx;
            const PaddedRows<T> image(planes, across, group, memory);
            pack_image(group, kernels, problem.ny, problem.nx, along_x, image, team);
            project_views(group, kernels, problem, views, planes, across, image, team);
        }
    }
}

template void project(const Problem&, const Kernels<float>&, const float*, float*, Team&);
template void project(const Problem&, const Kernels<double>&, const double*, double*, Team&);

}  // namespace opalg
