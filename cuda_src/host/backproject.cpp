// Schedule of back projection, the exact transpose: a thread owns a strip of planes of the image and gathers into it from
// all views. Views that run along y write rows of the image; then views along x add columns.
#include "packing.h"

namespace opalg {

template <class T>
static void gather_views(const Group<T>& group, const Kernels<T>& kernels, const Problem& problem,
                         const std::vector<View>& views, bool along_x, const PaddedRows<T>& sinogram, Team& team) {
    const std::int64_t planes = along_x ? problem.nx : problem.ny, across = along_x ? problem.ny : problem.nx;
    const std::int64_t stride = round_up(across, kernels.lanes) * group.width, total = std::int64_t(views.size());
    const auto kernel = group.stack ? kernels.backproject_stack : kernels.backproject_image;
    std::vector<Buffer<T>> scratch;
    for (int thread = 0; thread < team.size(); ++thread) scratch.emplace_back(std::size_t(kPlanes * stride));

    team.run(divide_up(planes, kPlanes), [&](std::int64_t item, int thread) {
        const std::int64_t first = item * kPlanes;
        const int count = int(std::min<std::int64_t>(kPlanes, planes - first));
        T* strip = scratch[std::size_t(thread)].data();
        std::fill(strip, strip + kPlanes * stride, T(0));
        for (std::int64_t begin = 0, end; begin < total; begin = end) {
            if (team.stopped(thread)) return;
            const Footprint footprint = views[std::size_t(begin)].footprint;
            ParallelView lines[kViewsAtOnce];
            const T* rays[kViewsAtOnce];
            for (end = begin; end < total && end - begin < kViewsAtOnce; ++end) {
                const View& view = views[std::size_t(end)];
                if (view.footprint != footprint) break;
                lines[end - begin] = view.line;
                rays[end - begin] = sinogram.row(end);
            }
            kernel({strip, std::ptrdiff_t(stride), across, count, double(first), lines, rays, int(end - begin),
                    problem.detectors, footprint});
        }
        unpack_planes(group, kernels, problem.ny, problem.nx, along_x, first, count, strip, stride);
    });
}

template <class T>
void backproject(const Problem& problem, const Kernels<T>& kernels, const T* projections, T* volumes, Team& team) {
    const LaneMix<T> mix = slices_from_rows<T>(problem);
    team.run(std::int64_t(mix.untouched.size()), [&](std::int64_t item, int) {
        T* slice = volumes + mix.untouched[std::size_t(item)];
        std::fill(slice, slice + problem.ny * problem.nx, T(0));
    });
    Buffer<T> memory;
    for (const Group<T>& group : groups(mix, kernels, projections, volumes)) {
        for (const bool along_x : {false, true}) {
            const std::vector<View> views = views_along(problem, along_x);
            if (along_x && views.empty()) continue;  // rows are written in any case, by no views as zero
            const PaddedRows<T> sinogram(std::int64_t(views.size()), problem.detectors, group, memory);
            pack_sinogram(group, kernels, problem, views, sinogram, team);
            gather_views(group, kernels, problem, views, along_x, sinogram, team);
        }
    }
}

template void backproject(const Problem&, const Kernels<float>&, const float*, float*, Team&);
template void backproject(const Problem&, const Kernels<double>&, const double*, double*, Team&);

}  // namespace opalg
