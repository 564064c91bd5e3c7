// Projection and back projection of a stack of images: lanes are the images, so pixels are whole registers and every
// image shares the weights. A group of as many rays (or pixels) as there are lanes gets its indices and weights by the
// lane arithmetic; then each of them becomes a short weighted sum of registers.
#pragma once

#include "plane_table.h"

namespace opalg {
namespace OPALG_ISA {

// Indices (in elements of the stack) and weights of the Taps neighbours of one group, for up to Steps planes or views.
template <class V, int Taps, int Steps> struct Stencils {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count;
    std::int64_t offset[Steps][lanes];
    Real weight[Steps][Taps][lanes];
    const Real* base[Steps];

    OPALG_INLINE_MEMBER void set(int step, const Real* origin, IndexOf<V> index, const V* weights) {
        base[step] = origin;
        for (int l = 0; l < lanes; ++l) offset[step][l] = std::int64_t(index[l]) * lanes;
        for (int t = 0; t < Taps; ++t) store(weight[step][t], weights[t]);
    }

    // sums[group member] += the weighted neighbours of all steps. Four members at a time keep enough additions in flight.
    OPALG_INLINE_MEMBER void add_up(int steps, Real* sums) const {
        constexpr int together = lanes < 4 ? lanes : 4;
        for (int m = 0; m < lanes; m += together) {
            V sum[together][2] = {};
            for (int q = 0; q < together; ++q) sum[q][0] = load<V>(sums + (m + q) * lanes);
            for (int s = 0; s < steps; ++s) {
                for (int q = 0; q < together; ++q) {
                    const Real* p = base[s] + offset[s][m + q];
                    for (int t = 0; t < Taps; ++t)
                        sum[q][t & 1] = sum[q][t & 1] + broadcast<V>(weight[s][t][m + q]) * load<V>(p + t * lanes);
                }
            }
            for (int q = 0; q < together; ++q) store(sums + (m + q) * lanes, sum[q][0] + sum[q][1]);
        }
    }
};

// One group of rays through the band.
template <class V>
OPALG_INLINE void project_stack_group(const ProjectBand<RealOf<V>>& job, const ParallelView& view, const Ramp<V>& rays,
                                      const Ramp<V>& planes, std::int64_t ray, RealOf<V>* sums) {
    PlaneTable<V> table;
    Stencils<V, 2, kStackPlanes> stencils;
    table.fill(view.position(double(ray), job.first_plane), view.slope, planes, -kFarAway, job.across + 1);
    for (int j = 0; j < job.planes; ++j) {
        IndexOf<V> lower;
        V weight[2];
        rays.at(broadcast<V>(table.part[j]), lower, weight[1]);
        weight[0] = RealOf<V>(1) - weight[1];
        lower = clamped<V>(lower + broadcast_index<V>(table.whole[j]), -2, job.across);
        stencils.set(j, job.image + j * job.plane_stride, lower, weight);
    }
    stencils.add_up(job.planes, sums + ray * Lanes<V>::count);
}

// All views advance together over the band, tile by tile of its pixels, which so stay in the first-level cache.
template <class V> void project_stack(const ProjectBand<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    constexpr std::int64_t tile = 32;
    Ramp<V> rays[kViewsPerChunk], planes[kViewsPerChunk];
    std::int64_t next[kViewsPerChunk];
    for (int k = 0; k < job.view_count; ++k) {
        rays[k] = Ramp<V>(job.views[k].step);
        planes[k] = Ramp<V>(job.views[k].slope);
        next[k] = job.first_ray[k];
    }
    for (std::int64_t bound = 0; bound < job.across + tile; bound += tile) {
        const bool rest = bound >= job.across;
        for (int k = 0; k < job.view_count; ++k) {
            const ParallelView& view = job.views[k];
            for (; next[k] < job.last_ray[k]; next[k] += lanes) {
                if (!rest && view.position(double(next[k]), job.first_plane) >= double(bound)) break;
                project_stack_group<V>(job, view, rays[k], planes[k], next[k], job.sums[k]);
            }
        }
    }
}

template <class V, int Taps> OPALG_INLINE void gather_stack_pixels(const BackprojectStrip<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    PlaneTable<V> table[kViewsAtOnce];
    Ramp<V> planes[kViewsAtOnce], pixels[kViewsAtOnce];
    Stencils<V, Taps, kViewsAtOnce> stencils;
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
        for (int j = 0; j < job.planes; ++j) {
            for (int k = 0; k < job.view_count; ++k) {
                IndexOf<V> ray;
                V fraction, weight[Taps];
                pixels[k].at(broadcast<V>(table[k].part[j]), ray, fraction);
                gather_weights<Taps, V>(fraction, RealOf<V>(job.views[k].step), weight);
                ray = clamped<V>(ray + broadcast_index<V>(table[k].whole[j] + first_tap<Taps>), -Taps, job.detectors);
                stencils.set(k, job.rays[k], ray, weight);
            }
            stencils.add_up(job.view_count, job.image + j * job.plane_stride + i * lanes);
        }
    }
}

// Detectors much finer or coarser than the pixels: any number of rays per pixel.
template <class V> OPALG_INLINE void gather_stack_many_rays(const BackprojectStrip<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    for (int j = 0; j < job.planes; ++j) {
        for (std::int64_t i = 0; i < job.across; ++i) {
            V sum = {};
            for (int k = 0; k < job.view_count; ++k) {
                std::int64_t first, last;
                double distance;
                gather_range(job.views[k], double(i), job.first_plane + j, job.detectors, first, last, distance);
                for (std::int64_t ray = first; ray < last; ++ray) {
                    const double d = tent(distance + job.views[k].step * double(ray - first));
                    sum = sum + broadcast<V>(d) * load<V>(job.rays[k] + ray * lanes);
                }
            }
            RealOf<V>* pixel = job.image + j * job.plane_stride + i * lanes;
            store(pixel, load<V>(pixel) + sum);
        }
    }
}

template <class V> void backproject_stack(const BackprojectStrip<RealOf<V>>& job) {
    switch (job.footprint) {
    case Footprint::two_rays: return gather_stack_pixels<V, 2>(job);
    case Footprint::three_rays: return gather_stack_pixels<V, 3>(job);
    case Footprint::many_rays: return gather_stack_many_rays<V>(job);
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
