// Projection and back projection along single rays: lanes are consecutive rays of a detector row.
#pragma once

#include "cell_kernels.h"
#include "packing_kernels.h"
#include "ray_bundle.h"
#include "ray_group.h"

namespace opalg {
namespace OPALG_ISA {

// How a sample is shared: the parts of the next voxel across b, across c, across both, and all.
template <class V, Model M, bool Flat, class Rays>
OPALG_INLINE WayParts<V> shares(const Rays& rays, int j, V weight_b, V weight_c) {
    const V zero = broadcast<V>(0), one = broadcast<V>(1), plane = broadcast<V>(j);
    if constexpr (M == Model::joseph) {
        WayParts<V> parts = {weight_b, weight_c, weight_b * weight_c, one};
        if constexpr (Rays::clipped) {
            const auto counts = (plane >= rays.first) & (plane <= rays.last);
            parts = {counts ? weight_b : zero, counts ? weight_c : zero, counts ? parts.both : zero, counts ? one : zero};
        }
        return parts;
    } else {
        const V half = broadcast<V>(RealOf<V>(0.5));
        V from = zero, to = one;
        if constexpr (Rays::clipped) {
            from = larger<V>(zero, rays.first - plane + half);
            to = smaller<V>(one, rays.last - plane + half);
        }
        const V beyond_c = way_beyond<V>(weight_c, rays.steep_c, rays.inverse_c);
        const V beyond_b = Flat ? zero : way_beyond<V>(weight_b, rays.steep_b, rays.inverse_b);
        return way_parts<V>(beyond_b, rays.slope_b, beyond_c, rays.slope_c, from, to);
    }
}

// Groups are worked on a few at a time: first what concerns their rays, then the voxels. Places in memory are then known
// long before they are asked for, and groups do not wait for each other.
constexpr int kGroupsAtOnce = 4;

// Samples of a group on the planes of a band: the cell of every lane, counted from `corner`, and numbers by which its corners
// count.
template <class V> struct Samples {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count;
    alignas(64) typename Lanes<Real>::Index cell[kRayPlanes][lanes];
    alignas(64) Real part[kRayPlanes][4 * lanes];
    std::int64_t corner[kRayPlanes];
    std::int64_t row, ray;  // row counted from the first
};

// Calls, of all groups of rays that may meet the band, work.prepare(rays, samples) and work.finish(samples), `rays` being
// a Bundle where possible and else a RayGroup.
template <class V, Model M, bool Flat, class Work>
OPALG_INLINE void for_groups(const RayBand<RealOf<V>>& band, const Work& work) {
    using Real = RealOf<V>;
    using Some = Leads<Real, M, Flat>;
    constexpr int lanes = Lanes<V>::count, together = Some::count < kGroupsAtOnce ? Some::count : kGroupsAtOnce;
    const AxisRoles roles = axis_roles(band.axis);
    Real heights[kRayPlanes];
    for (int j = 0; j < band.count; ++j)
        heights[j] = band.view.parallel ? Real(1) : Real(band.first_plane + j - band.view.source[roles.a]);
    find_leads<V>(band);
    Samples<V> samples[together];
    const std::int64_t groups = (band.last_row - band.first_row) * ((band.last_ray - band.first_ray) / lanes);
    for (std::int64_t block = 0; block < groups; block += Some::count) {
        const Some leads(band, roles, lanes, block);
        const int stop = groups < block + Some::count ? int(groups - block) : Some::count;
        for (int group = 0; group < stop; group += together) {
            const int end = stop < group + together ? stop : group + together;
            int count = 0;
            for (int lead = group; lead < end; ++lead) {
                if (!leads.bundle[lead]) continue;
                samples[count].row = leads.row[lead] - band.first_row;
                samples[count].ray = leads.ray[lead];
                if (leads.inside[lead])
                    work.prepare(Bundle<V, M, Flat, true>(band, roles, heights, leads, lead), samples[count]);
                else work.prepare(Bundle<V, M, Flat, false>(band, roles, heights, leads, lead), samples[count]);
                ++count;
            }
            // What was stored is read back number by number, as in PlaneTable.
            asm volatile("" : : "r"(samples) : "memory");
            for (int k = 0; k < count; ++k) work.template finish<false>(samples[k]);
            for (int lead = group; lead < end; ++lead) {
                if (leads.bundle[lead] | leads.nowhere[lead]) continue;
                const RayGroup<V, M, Flat> rays(band, band.view.row(leads.row[lead]), roles, leads.ray[lead]);
                if (!rays.active) continue;
                samples[0].row = leads.row[lead] - band.first_row;
                samples[0].ray = leads.ray[lead];
                work.prepare(rays, samples[0]);
                asm volatile("" : : "r"(samples) : "memory");
                work.template finish<true>(samples[0]);
            }
        }
    }
}

template <class V, Model M, bool Flat> struct Projection {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count, together = Flat ? 1 : 2;
    const ProjectRays<Real>& job;

    template <class Rays> OPALG_INLINE_MEMBER void prepare(const Rays& rays, Samples<V>& samples) const {
        for (int j = 0; j < job.band.count; ++j) {
            IndexOf<V> cell;
            V weight_b, weight_c;
            rays.at(j, job.band, cell, weight_b, weight_c);
            samples.corner[j] = rays.corner(j);
            store(samples.cell[j], cell);
            if constexpr (M == Model::joseph && !Rays::clipped) {
                store(samples.part[j], weight_b);
                store(samples.part[j] + lanes, weight_c);
            } else {
                const WayParts<V> part = shares<V, M, Flat>(rays, j, weight_b, weight_c);
                store(samples.part[j], part.b);
                store(samples.part[j] + lanes, part.c);
                store(samples.part[j] + 2 * lanes, part.both);
                store(samples.part[j] + 3 * lanes, part.all);
            }
        }
    }
    template <bool Clipped> OPALG_INLINE_MEMBER void finish(const Samples<V>& samples) const {
        Real* target = job.sums + samples.row * job.row_stride + samples.ray;
        const Real* planes = job.planes;
        V sum = load<V>(target);
        for (int j = 0; j < job.band.count; ++j, planes += job.band.plane_stride * together) {
            const Real* corner = planes + samples.corner[j] * together;
            const V b = load<V>(samples.part[j]), c = load<V>(samples.part[j] + lanes);
            constexpr bool simple = M == Model::joseph && !Clipped;
            V both, all;
            if constexpr (!simple) {
                both = load<V>(samples.part[j] + 2 * lanes);
                all = load<V>(samples.part[j] + 3 * lanes);
            }
            if constexpr (Flat) {
                V first, second;
                load_pairs<V>(corner, load<IndexOf<V>>(samples.cell[j]), first, second);
                if constexpr (simple) sum = sum + (first + c * (second - first));
                else sum = sum + (all * first + c * (second - first));
            } else {
                V first, second, third, fourth;
                load_cells<V>(corner, samples.cell[j], first, third, second, fourth);
                const V near = second - first;
                if constexpr (simple) {
                    const V low = first + c * near, high = third + c * (fourth - third);
                    sum = sum + (low + b * (high - low));
                } else {
                    sum = sum + (all * first + c * near + (b * (third - first) + both * (fourth - third - near)));
                }
            }
        }
        store(target, sum);
    }
};

template <class V, Model M, bool Flat> OPALG_INLINE void project_band(const ProjectRays<RealOf<V>>& job) {
    for_groups<V, M, Flat>(job.band, Projection<V, M, Flat>{job});
}

template <class V> void project_rays(const ProjectRays<RealOf<V>>& job) {
    if (job.band.model == Model::siddon) {
        if (job.band.flat) project_band<V, Model::siddon, true>(job);
        else project_band<V, Model::siddon, false>(job);
    } else {
        if (job.band.flat) project_band<V, Model::joseph, true>(job);
        else project_band<V, Model::joseph, false>(job);
    }
}

template <class V, Model M, bool Flat> struct Scattering {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count, corners = Flat ? 2 : 4;
    const ScatterRays<Real>& job;

    template <class Rays> OPALG_INLINE_MEMBER void prepare(const Rays& rays, Samples<V>& samples) const {
        const V values = load<V>(job.values + samples.row * job.row_stride + samples.ray);
        for (int j = 0; j < job.band.count; ++j) {
            IndexOf<V> cell;
            V weight_b, weight_c;
            rays.at(j, job.band, cell, weight_b, weight_c);
            samples.corner[j] = rays.corner(j);
            store(samples.cell[j], cell * broadcast_index<V>(corners));
            Real* added = samples.part[j];
            if constexpr (Flat) {
                V first, second, low, high;
                if constexpr (M == Model::joseph && !Rays::clipped) {
                    second = values * weight_c;
                    first = values - second;
                } else {
                    const WayParts<V> part = shares<V, M, Flat>(rays, j, weight_b, weight_c);
                    first = values * (part.all - part.c);
                    second = values * part.c;
                }
                interleave<V>(first, second, low, high);
                store(added, low);
                store(added + lanes, high);
            } else {
                V first, second, third, fourth;
                if constexpr (M == Model::joseph && !Rays::clipped) {
                    const V far = values * weight_b, near = values - far;
                    second = near * weight_c;
                    first = near - second;
                    fourth = far * weight_c;
                    third = far - fourth;
                } else {
                    const WayParts<V> part = shares<V, M, Flat>(rays, j, weight_b, weight_c);
                    second = part.c - part.both;
                    first = values * ((part.all - part.b) - second);
                    second = values * second;
                    third = values * (part.b - part.both);
                    fourth = values * part.both;
                }
                V first_low, first_high, second_low, second_high, low, high;
                interleave<V>(first, third, first_low, first_high);
                interleave<V>(second, fourth, second_low, second_high);
                interleave<V>(first_low, second_low, low, high);
                store(added, low);
                store(added + lanes, high);
                interleave<V>(first_high, second_high, low, high);
                store(added + 2 * lanes, low);
                store(added + 3 * lanes, high);
            }
        }
    }
    template <bool> OPALG_INLINE_MEMBER void finish(const Samples<V>& samples) const {
        Real* planes = job.corners;
        for (int j = 0; j < job.band.count; ++j, planes += job.band.plane_stride * corners)
            add_to_cells<Real, corners, lanes>(planes + samples.corner[j] * corners, samples.cell[j], samples.part[j]);
    }
};

template <class V, Model M, bool Flat> OPALG_INLINE void scatter_band(const ScatterRays<RealOf<V>>& job) {
    for_groups<V, M, Flat>(job.band, Scattering<V, M, Flat>{job});
}

template <class V> void scatter_rays(const ScatterRays<RealOf<V>>& job) {
    if (job.band.model == Model::siddon) {
        if (job.band.flat) scatter_band<V, Model::siddon, true>(job);
        else scatter_band<V, Model::siddon, false>(job);
    } else {
        if (job.band.flat) scatter_band<V, Model::joseph, true>(job);
        else scatter_band<V, Model::joseph, false>(job);
    }
}

template <class V> void scale_row(const ScaleRow<RealOf<V>>& job) {
    using D = Register<double>;
    constexpr int count = Lanes<D>::count;
    typedef RealOf<V> Some __attribute__((vector_size(count * sizeof(RealOf<V>))));
    for (std::int64_t u = 0; u < job.detectors; u += count) {
        D way[3];
        for (int k = 0; k < 3; ++k) {
            const D source = broadcast<D>(job.row.source[k]);
            way[k] = job.row.parallel ? source : load<D>(job.row.pixel[k] + u) + job.row.shift[k] - source;
        }
        const Some distance = __builtin_convertvector(plane_distance<D>(way, job.spacing), Some);
        if (u + count <= job.detectors) store(job.out + u, distance * load<Some>(job.in + u));
        else
            for (int l = 0; u + l < job.detectors; ++l) job.out[u + l] = distance[l] * job.in[u + l];
    }
    for (std::int64_t u = job.detectors; u < job.detectors + job.padding; ++u) job.out[u] = 0;
}

}  // namespace OPALG_ISA
}  // namespace opalg
