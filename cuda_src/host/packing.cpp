#include "packing.h"

namespace opalg {

template <class T>
std::vector<Group<T>> groups(const LaneMix<T>& mix, const Kernels<T>& kernels, const T* source, T* target) {
    const std::int64_t total = std::int64_t(mix.target.size());
    std::vector<Group<T>> result;
    for (std::int64_t lane = 0; lane < total;) {
        const bool stack = (total - lane) * 2 > kernels.lanes;
        const int width = stack ? kernels.lanes : 1;
        Group<T> group{stack, width, {0}, {}, {}, {}};
        for (int l = 0; l < width; ++l, ++lane) {
            const bool used = lane < total;
            group.target.push_back(used ? target + mix.target[std::size_t(lane)] : nullptr);
            if (used) {
                for (std::int64_t k = mix.begin[std::size_t(lane)]; k < mix.begin[std::size_t(lane) + 1]; ++k) {
                    group.source.push_back(source + mix.source[std::size_t(k)]);
                    group.weight.push_back(mix.weight[std::size_t(k)]);
                }
            }
            group.begin.push_back(std::int32_t(group.source.size()));
        }
        result.push_back(std::move(group));
    }
    return result;
}

// target[x * stride] = scale * sum of weight * source[x + offset], for a single image.
template <class T>
static void mix_row(const Group<T>& group, std::int64_t offset, std::int64_t count, T scale, T* target,
                    std::int64_t stride) {
    for (std::size_t k = 0; k < group.source.size(); ++k) {
        const T* source = group.source[k] + offset;
        const T weight = scale * group.weight[k];
        if (k == 0)
            for (std::int64_t x = 0; x < count; ++x) target[x * stride] = weight * source[x];
        else
            for (std::int64_t x = 0; x < count; ++x) target[x * stride] += weight * source[x];
    }
}

template <class T>
static PackRow<T> pack_job(const Group<T>& group, std::int64_t offset, std::int64_t count, T scale, T* stack,
                           std::int64_t stride) {
    return {group.begin.data(), group.source.data(), group.weight.data(), std::ptrdiff_t(offset), count, scale,
            stack, std::ptrdiff_t(stride)};
}

template <class T>
void pack_image(const Group<T>& group, const Kernels<T>& kernels, std::int64_t ny, std::int64_t nx, bool transposed,
                const PaddedRows<T>& rows, Team& team) {
    constexpr std::int64_t together = 16;  // image rows; a transposed block then fills whole cache lines
    team.run(divide_up(ny, together), [&](std::int64_t item, int) {
        const std::int64_t first = item * together, last = std::min(ny, first + together);
        if (group.stack) {
            for (std::int64_t y = first; y < last; ++y) {
                T* target = transposed ? rows.row(0) + y * group.width : rows.row(y);
                const std::int64_t stride = transposed ? rows.stride() : group.width;
                kernels.pack_row(pack_job(group, y * nx, nx, T(1), target, stride));
            }
        } else if (!transposed) {
            for (std::int64_t y = first; y < last; ++y) mix_row(group, y * nx, nx, T(1), rows.row(y), 1);
        } else {
            for (std::int64_t x = 0; x < nx; x += together)
                for (std::int64_t y = first; y < last; ++y)
                    mix_row(group, y * nx + x, std::min(together, nx - x), T(1), rows.row(x) + y, rows.stride());
        }
    });
    const std::int64_t planes = transposed ? nx : ny;
    team.run(divide_up(planes, together), [&](std::int64_t item, int) {
        for (std::int64_t plane = item * together; plane < std::min(planes, (item + 1) * together); ++plane)
            rows.clear_margins(plane);
    });
}

template <class T>
void pack_sinogram(const Group<T>& group, const Kernels<T>& kernels, const Problem& problem,
                   const std::vector<View>& views, const PaddedRows<T>& rows, Team& team) {
    team.run(std::int64_t(views.size()), [&](std::int64_t k, int) {
        const View& view = views[std::size_t(k)];
        const std::int64_t count = problem.detectors, step = view.line.reversed ? -group.width : group.width;
        T* first = rows.row(k) + (view.line.reversed ? (count - 1) * group.width : 0);
        const std::int64_t offset = view.index * problem.view_stride();
        if (group.stack) kernels.pack_row(pack_job(group, offset, count, T(view.length), first, step));
        else mix_row(group, offset, count, T(view.length), first, step);
        rows.clear_margins(k);
    });
}

template <class T>
void unpack_view(const Group<T>& group, const Kernels<T>& kernels, const Problem& problem, const View& view,
                 const T* sums) {
    const std::int64_t count = problem.detectors, offset = view.index * problem.view_stride();
    const T* first = sums + (view.line.reversed ? (count - 1) * group.width : 0);
    const std::int64_t step = view.line.reversed ? -group.width : group.width;
    if (group.stack) {
        kernels.unpack_row({first, std::ptrdiff_t(step), count, T(view.length), group.target.data(),
                            std::ptrdiff_t(offset), false});
    } else {
        T* target = group.target[0] + offset;
        for (std::int64_t u = 0; u < count; ++u) target[u] = T(view.length) * first[u * step];
    }
}

template <class T>
void unpack_planes(const Group<T>& group, const Kernels<T>& kernels, std::int64_t ny, std::int64_t nx, bool transposed,
                   std::int64_t first, std::int64_t count, const T* planes, std::int64_t stride) {
    const int width = group.width;
    if (group.stack) {
        if (transposed)
            for (std::int64_t y = 0; y < ny; ++y)
                kernels.unpack_row({planes + y * width, std::ptrdiff_t(stride), count, T(1), group.target.data(),
                                    std::ptrdiff_t(y * nx + first), true});
        else
            for (std::int64_t p = 0; p < count; ++p)
                kernels.unpack_row({planes + p * stride, width, nx, T(1), group.target.data(),
                                    std::ptrdiff_t((first + p) * nx), false});
        return;
    }
    T* target = group.target[0];
    if (transposed) {
        for (std::int64_t y = 0; y < ny; ++y)
            for (std::int64_t p = 0; p < count; ++p) target[y * nx + first + p] += planes[p * stride + y];
    } else {
        for (std::int64_t p = 0; p < count; ++p)
            std::copy(planes + p * stride, planes + p * stride + nx, target + (first + p) * nx);
    }
}

#define OPALG_PACKING(T)                                                                                       \
    template std::vector<Group<T>> groups(const LaneMix<T>&, const Kernels<T>&, const T*, T*);                 \
    template void pack_image(const Group<T>&, const Kernels<T>&, std::int64_t, std::int64_t, bool,             \
                             const PaddedRows<T>&, Team&);                                                     \
    template void pack_sinogram(const Group<T>&, const Kernels<T>&, const Problem&, const std::vector<View>&,  \
                                const PaddedRows<T>&, Team&);                                                  \
    template void unpack_view(const Group<T>&, const Kernels<T>&, const Problem&, const View&, const T*);      \
    template void unpack_planes(const Group<T>&, const Kernels<T>&, std::int64_t, std::int64_t, bool,          \
                                std::int64_t, std::int64_t, const T*, std::int64_t);
OPALG_PACKING(float)
OPALG_PACKING(double)

}  // namespace opalg
