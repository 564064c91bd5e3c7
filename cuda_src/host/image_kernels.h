// Projection and back projection of a single image: lanes are consecutive rays, or consecutive pixels of a plane.
#pragma once

#include "plane_table.h"

namespace opalg {
namespace OPALG_ISA {

// Groups of rays are walked together, so that their sums wait less for each other.
template <class V, class Window, int Groups>
OPALG_INLINE void project_groups(const ProjectBand<RealOf<V>>& job, const ParallelView& view, const Ramp<V>& rays,
                                 const Ramp<V>& planes, std::int64_t ray, RealOf<V>* sums) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    constexpr std::int64_t lowest = Window::reach > 0 ? -kMargin : -kFarAway;
    PlaneTable<V> table[Groups];
    V sum[Groups];
    for (int g = 0; g < Groups; ++g) {
        const double start = view.position(double(ray + g * lanes), job.first_plane);
        table[g].fill(start, view.slope, planes, lowest, job.across + 1);
        sum[g] = load<V>(sums + ray + g * lanes);
    }
    const Real* plane = job.image;
    for (int j = 0; j < job.planes; ++j, plane += job.plane_stride) {
        for (int g = 0; g < Groups; ++g) {
            IndexOf<V> lower;
            V weight;
            rays.at(broadcast<V>(table[g].part[j]), lower, weight);
            if constexpr (Window::reach > 0) {
                sum[g] = sum[g] + sample<V>(Window(plane + table[g].whole[j]), lower, weight);
            } else {  // lanes may lie anywhere: pixels -2 to across + 1 exist and are zero beyond the image
                lower = clamped<V>(lower + broadcast_index<V>(table[g].whole[j]), -2, job.across);
                sum[g] = sum[g] + sample<V>(Window(plane), lower, weight);
            }
        }
    }
    for (int g = 0; g < Groups; ++g) store(sums + ray + g * lanes, sum[g]);
}

template <class V, class Window>
OPALG_INLINE void project_view(const ProjectBand<RealOf<V>>& job, int k, const Ramp<V>& rays) {
    constexpr int lanes = Lanes<V>::count, groups = 2;
    const ParallelView view = job.views[k];
    const Ramp<V> planes(view.slope);
    const std::int64_t last = job.last_ray[k];
    std::int64_t ray = job.first_ray[k];
    for (; ray + groups * lanes <= last; ray += groups * lanes)
        project_groups<V, Window, groups>(job, view, rays, planes, ray, job.sums[k]);
    for (; ray < last; ray += lanes) project_groups<V, Window, 1>(job, view, rays, planes, ray, job.sums[k]);
}

template <class V> void project_image(const ProjectBand<RealOf<V>>& job) {
    for (int k = 0; k < job.view_count; ++k) {
        if (job.first_ray[k] >= job.last_ray[k]) continue;
        const Ramp<V> rays(job.views[k].step);
        if (rays.last() + 1 < RegisterWindow<V>::reach) project_view<V, RegisterWindow<V>>(job, k, rays);
        else project_view<V, MemoryWindow<V>>(job, k, rays);
    }
}

template <class V, class Window, int Taps> OPALG_INLINE void gather_pixels(const BackprojectStrip<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    constexpr int rows = lanes >= 16 ? 8 : 4;  // accumulators held in registers
    PlaneTable<V> table[kViewsAtOnce];
    Ramp<V> planes[kViewsAtOnce], pixels[kViewsAtOnce];
    for (int k = 0; k < job.view_count; ++k) {
        planes[k] = Ramp<V>(-job.views[k].slope / job.views[k].step);
        pixels[k] = Ramp<V>(1 / job.views[k].step);
    }
    for (std::int64_t i = 0; i < job.across; i += lanes) {
        for (int k = 0; k < job.view_count; ++k) {
            const ParallelView& view = job.views[k];
            table[k].fill(gather_start<Taps>(view, double(i), job.first_plane), -view.slope / view.step, planes[k],
                          -kMargin, job.detectors + 1);
        }
        for (int j = 0; j < job.planes; j += rows) {
            const int count = job.planes - j < rows ? job.planes - j : rows;
            Real* target = job.image + j * job.plane_stride + i;
            V sum[rows] = {};
            for (int k = 0; k < job.view_count; ++k) {
                const Real step = Real(job.views[k].step);
                for (int r = 0; r < rows; ++r) {
                    IndexOf<V> ray;
                    V fraction, weight[Taps];
                    pixels[k].at(broadcast<V>(table[k].part[j + r]), ray, fraction);
                    gather_weights<Taps, V>(fraction, step, weight);
                    ray = ray + first_tap<Taps>;
                    if constexpr (Window::reach > 0) {
                        const Window window(job.rays[k] + table[k].whole[j + r]);
                        for (int t = 0; t < Taps; ++t) sum[r] = sum[r] + weight[t] * window(ray + t);
                    } else {
                        const Window window(job.rays[k]);
                        ray = clamped<V>(ray + broadcast_index<V>(table[k].whole[j + r]), -Taps, job.detectors);
                        for (int t = 0; t < Taps; ++t) sum[r] = sum[r] + weight[t] * window(ray + t);
                    }
                }
            }
            for (int r = 0; r < count; ++r) {
                Real* pixels_of_row = target + r * job.plane_stride;
                store(pixels_of_row, load<V>(pixels_of_row) + sum[r]);
            }
        }
    }
}

// Detectors much finer or coarser than the pixels: lanes are the rays of one pixel and are added up at the end.
template <class V> OPALG_INLINE void gather_many_rays(const BackprojectStrip<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    V count_up;
    for (int l = 0; l < lanes; ++l) count_up[l] = Real(l);
    for (int j = 0; j < job.planes; ++j) {
        for (std::int64_t i = 0; i < job.across; ++i) {
            V sum = {};
            for (int k = 0; k < job.view_count; ++k) {
                std::int64_t first, last;
                double distance;
                gather_range(job.views[k], double(i), job.first_plane + j, job.detectors, first, last, distance);
                const V step = broadcast<V>(job.views[k].step);
                for (std::int64_t ray = first; ray < last; ray += lanes) {
                    const V d = broadcast<V>(distance + job.views[k].step * double(ray - first)) + step * count_up;
                    sum = sum + tent<V>(d) * load<V>(job.rays[k] + ray);  // lanes past the last ray weigh zero
                }
            }
            Real total = 0;
            for (int l = 0; l < lanes; ++l) total += sum[l];
            job.image[j * job.plane_stride + i] += total;
        }
    }
}

template <int Taps, class V> OPALG_INLINE bool rays_fit_registers(const BackprojectStrip<RealOf<V>>& job) {
    for (int k = 0; k < job.view_count; ++k)
        if (Ramp<V>(1 / job.views[k].step).last() + first_tap<Taps> + Taps > RegisterWindow<V>::reach) return false;
    return true;
}

template <int Taps, class V> OPALG_INLINE void gather_few_rays(const BackprojectStrip<RealOf<V>>& job) {
    if (rays_fit_registers<Taps, V>(job)) gather_pixels<V, RegisterWindow<V>, Taps>(job);
    else gather_pixels<V, MemoryWindow<V>, Taps>(job);
}

template <class V> void backproject_image(const BackprojectStrip<RealOf<V>>& job) {
    switch (job.footprint) {
    case Footprint::two_rays: return gather_few_rays<2, V>(job);
    case Footprint::three_rays: return gather_few_rays<3, V>(job);
    case Footprint::many_rays: return gather_many_rays<V>(job);
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
