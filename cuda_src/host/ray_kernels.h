// Projection and back projection along single rays: lanes are consecutive rays of a detector row.
#pragma once

#include "packing_kernels.h"
#include "ray_jobs.h"

namespace opalg {
namespace OPALG_ISA {

// Positions of a group of rays in a band of planes, as integer and remainder in the first plane, and slope. Siddon's are the
// lower ends of the way from one half before a plane to one half behind it, counted from borders of voxels.
template <class V, Model M> struct RayGroup {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count;
    IndexOf<V> whole_b, whole_c;
    V part_b, slope_b, part_c, slope_c;
    V steep_b, steep_c, inverse_b, inverse_c;  // Siddon: |slope|, and its inverse
    V first, last;  // planes that count (Siddon: ends of the ray), from the band's first one
    bool active;    // some sample may meet the volume
    bool clipped;   // some lane ends within the band, or belongs to another axis

    OPALG_INLINE_MEMBER RayGroup(const RayRow& row, const AxisRoles& roles, std::int64_t ray, double first_plane,
                                 int planes, double size_b, double size_c) {
        const double* pixel_a = row.pixel[roles.a] + ray;
        const double* pixel_b = row.pixel[roles.b] + ray;
        const double* pixel_c = row.pixel[roles.c] + ray;
        const double shift_a = row.shift[roles.a], shift_b = row.shift[roles.b], shift_c = row.shift[roles.c];
        const double source[3] = {row.source[roles.a], row.source[roles.b], row.source[roles.c]};
        const bool parallel = row.parallel;
        using D = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;
        constexpr int width = Lanes<D>::count;
        const D zero = broadcast<D>(0), depth = broadcast<D>(planes - 1), far = broadcast<D>(double(kFarAway));
        Real pb[lanes], sb[lanes], pc[lanes], sc[lanes], from[lanes], to[lanes];
        typename Lanes<Real>::Index wb[lanes], wc[lanes];
        IndexOf<D> meets = {}, ends = {};
        for (int l = 0; l < lanes; l += width) {
            const D pixel[3] = {load<D>(pixel_a + l) + shift_a, load<D>(pixel_b + l) + shift_b,
                                load<D>(pixel_c + l) + shift_c};
            RayLine<D> line = ray_line<D>(pixel, source, parallel, roles, first_plane);
            D begin, stop;
            if constexpr (M == Model::siddon) {
                const D half = broadcast<D>(0.5);
                line.b = line.b + half - half * larger<D>(line.slope_b, -line.slope_b);
                line.c = line.c + half - half * larger<D>(line.slope_c, -line.slope_c);
                begin = larger<D>(-half, line.first - first_plane);
                stop = smaller<D>(depth + half, line.last - first_plane);
                ends |= (begin > -half) | (stop < depth + half);
            } else {
                begin = larger<D>(zero, -rounded_down<D>(first_plane - line.first));  // the next plane up
                stop = smaller<D>(depth, rounded_down<D>(line.last - first_plane));
                ends |= (begin > zero) | (stop < depth);
            }
            const D end_b = line.b + depth * line.slope_b, end_c = line.c + depth * line.slope_c;
            meets |= (begin <= stop) & (larger<D>(line.b, end_b) > -1.0) & (smaller<D>(line.b, end_b) < size_b) &
                     (larger<D>(line.c, end_c) > -1.0) & (smaller<D>(line.c, end_c) < size_c);
            split<D>(smaller<D>(larger<D>(line.b, -far), far), wb + l, pb + l);
            split<D>(smaller<D>(larger<D>(line.c, -far), far), wc + l, pc + l);
            narrow<D>(line.slope_b, sb + l);
            narrow<D>(line.slope_c, sc + l);
            narrow<D>(smaller<D>(begin, broadcast<D>(2 * kRayPlanes)), from + l);
            narrow<D>(larger<D>(stop, broadcast<D>(-1)), to + l);
        }
        std::int64_t some_meet = 0, some_end = 0;
        for (int l = 0; l < width; ++l) {
            some_meet |= meets[l];
            some_end |= ends[l];
        }
        active = some_meet;
        clipped = some_end;
        whole_b = load<IndexOf<V>>(wb);
        whole_c = load<IndexOf<V>>(wc);
        part_b = load<V>(pb);
        part_c = load<V>(pc);
        slope_b = load<V>(sb);
        slope_c = load<V>(sc);
        first = load<V>(from);
        last = load<V>(to);
        if constexpr (M == Model::siddon) {
            // Of a slope of zero the inverse is huge, not infinite: it is multiplied with zero.
            const V least = broadcast<V>(1e-30);
            steep_b = larger<V>(slope_b, -slope_b);
            steep_c = larger<V>(slope_c, -slope_c);
            inverse_b = broadcast<V>(1) / larger<V>(steep_b, least);
            inverse_c = broadcast<V>(1) / larger<V>(steep_c, least);
        }
    }

private:
    template <class D> OPALG_INLINE_MEMBER static void narrow(D x, Real* out) {
        typedef Real Narrow __attribute__((vector_size(Lanes<D>::count * sizeof(Real))));
        store(out, __builtin_convertvector(x, Narrow));
    }
    template <class D>
    OPALG_INLINE_MEMBER static void split(D x, typename Lanes<Real>::Index* whole, Real* part) {
        typedef typename Lanes<Real>::Index Narrow __attribute__((vector_size(Lanes<D>::count * sizeof(*whole))));
        const D floor = rounded_down<D>(x);
        store(whole, __builtin_convertvector(floor, Narrow));
        narrow<D>(x - floor, part);
    }
};

// One sample: the voxel below it and the weights of the next one. A position out of reach is moved into the margin.
template <class V>
OPALG_INLINE void cell_at(V plane, IndexOf<V> whole, V part, V slope, std::int64_t size, IndexOf<V>& lower, V& weight) {
    IndexOf<V> climbed;
    split_floor<V>(part + slope * plane, climbed, weight);
    lower = clamped<V>(whole + climbed, -kRayMargin, size);
}

// How a sample is shared: the parts of the next voxel across b, across c, across both, and all.
template <class V, Model M, bool Flat, bool Clipped>
OPALG_INLINE WayParts<V> shares(const RayGroup<V, M>& rays, V plane, V weight_b, V weight_c) {
    const V zero = broadcast<V>(0), one = broadcast<V>(1);
    if constexpr (M == Model::joseph) {
        WayParts<V> parts = {weight_b, weight_c, weight_b * weight_c, one};
        if constexpr (Clipped) {
            const auto counts = (plane >= rays.first) & (plane <= rays.last);
            parts = {counts ? weight_b : zero, counts ? weight_c : zero, counts ? parts.both : zero, counts ? one : zero};
        }
        return parts;
    } else {
        const V half = broadcast<V>(RealOf<V>(0.5));
        const V from = Clipped ? larger<V>(zero, rays.first - plane + half) : zero;
        const V to = Clipped ? smaller<V>(one, rays.last - plane + half) : one;
        const V beyond_c = way_beyond<V>(weight_c, rays.steep_c, rays.inverse_c);
        const V beyond_b = Flat ? zero : way_beyond<V>(weight_b, rays.steep_b, rays.inverse_b);
        return way_parts<V>(beyond_b, rays.slope_b, beyond_c, rays.slope_c, from, to);
    }
}

template <class V, Model M, bool Flat, bool Clipped>
OPALG_INLINE V project_group(const ProjectRays<RealOf<V>>& job, const RayGroup<V, M>& rays, V sum) {
    const RealOf<V>* planes = job.planes;
    for (int j = 0; j < job.count; ++j, planes += job.plane_stride) {
        const V plane = broadcast<V>(j);
        IndexOf<V> b = {}, index;
        V weight_b = {}, weight_c, first, second;
        cell_at<V>(plane, rays.whole_c, rays.part_c, rays.slope_c, job.size_c, index, weight_c);
        if constexpr (!Flat) {
            cell_at<V>(plane, rays.whole_b, rays.part_b, rays.slope_b, job.size_b, b, weight_b);
            index = b * broadcast_index<V>(job.line_stride) + index;
        }
        const WayParts<V> part = shares<V, M, Flat, Clipped>(rays, plane, weight_b, weight_c);
        load_pairs<V>(planes, index, first, second);
        if constexpr (Flat) {
            sum = sum + (part.all * first + part.c * (second - first));
        } else {
            V third, fourth;
            load_pairs<V>(planes + job.line_stride, index, third, fourth);
            const V near = second - first;
            sum = sum + (part.all * first + part.c * near + (part.b * (third - first) + part.both * (fourth - third - near)));
        }
    }
    return sum;
}

template <class V, Model M, bool Flat> OPALG_INLINE void project_row(const ProjectRays<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    const AxisRoles roles = axis_roles(job.axis);
    for (std::int64_t ray = job.first_ray; ray < job.last_ray; ray += lanes) {
        const RayGroup<V, M> rays(job.row, roles, ray, job.first_plane, job.count, double(job.size_b),
                                  double(job.size_c));
        if (!rays.active) continue;
        V sum = load<V>(job.sums + ray);
        sum = rays.clipped ? project_group<V, M, Flat, true>(job, rays, sum)
                           : project_group<V, M, Flat, false>(job, rays, sum);
        store(job.sums + ray, sum);
    }
}

template <class V> void project_rays(const ProjectRays<RealOf<V>>& job) {
    if (job.model == Model::siddon) {
        if (job.flat) project_row<V, Model::siddon, true>(job);
        else project_row<V, Model::siddon, false>(job);
    } else {
        if (job.flat) project_row<V, Model::joseph, true>(job);
        else project_row<V, Model::joseph, false>(job);
    }
}

// Adds shares[lane, corner] to the cells of the lanes, one lane after the other: two may meet in one cell.
template <class T, int Corners, int Count, class Index>
OPALG_INLINE void add_to_cells(T* plane, const Index* cell, const T* shares) {
    typedef T Cell __attribute__((vector_size(Corners * sizeof(T))));
    for (int l = 0; l < Count; ++l) {
        T* target = plane + std::int64_t(cell[l]) * Corners;
        Cell sum, share;
        __builtin_memcpy(&sum, target, sizeof(Cell));
        __builtin_memcpy(&share, shares + l * Corners, sizeof(Cell));
        sum += share;
        __builtin_memcpy(target, &sum, sizeof(Cell));
    }
}

template <class V, Model M, bool Flat, bool Clipped>
OPALG_INLINE void scatter_group(const ScatterRays<RealOf<V>>& job, const RayGroup<V, M>& rays, V values) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count, corners = Flat ? 2 : 4;
    Real* planes = job.corners;
    alignas(64) Real added[corners * lanes];
    typename Lanes<Real>::Index cells[lanes];
    for (int j = 0; j < job.count; ++j, planes += job.plane_stride * corners) {
        const V plane = broadcast<V>(j);
        IndexOf<V> b = {}, index;
        V weight_b = {}, weight_c;
        cell_at<V>(plane, rays.whole_c, rays.part_c, rays.slope_c, job.size_c, index, weight_c);
        if constexpr (!Flat) {
            cell_at<V>(plane, rays.whole_b, rays.part_b, rays.slope_b, job.size_b, b, weight_b);
            index = b * broadcast_index<V>(job.line_stride) + index;
        }
        const WayParts<V> part = shares<V, M, Flat, Clipped>(rays, plane, weight_b, weight_c);
        if constexpr (Flat) {
            V low, high;
            interleave<V>(values * (part.all - part.c), values * part.c, low, high);
            store(added, low);
            store(added + lanes, high);
        } else {
            const V second = part.c - part.both, third = part.b - part.both, first = (part.all - part.b) - second;
            V first_low, first_high, second_low, second_high, low, high;
            interleave<V>(values * first, values * third, first_low, first_high);
            interleave<V>(values * second, values * part.both, second_low, second_high);
            interleave<V>(first_low, second_low, low, high);
            store(added, low);
            store(added + lanes, high);
            interleave<V>(first_high, second_high, low, high);
            store(added + 2 * lanes, low);
            store(added + 3 * lanes, high);
        }
        store(cells, index);
        // Read back number by number: else g++ takes the registers apart by permutes, which cost more.
        asm volatile("" : : "r"(added), "r"(cells) : "memory");
        add_to_cells<Real, corners, lanes>(planes, cells, added);
    }
}

template <class V, Model M, bool Flat> OPALG_INLINE void scatter_row(const ScatterRays<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    const AxisRoles roles = axis_roles(job.axis);
    for (std::int64_t ray = job.first_ray; ray < job.last_ray; ray += lanes) {
        const RayGroup<V, M> rays(job.row, roles, ray, job.first_plane, job.count, double(job.size_b),
                                  double(job.size_c));
        if (!rays.active) continue;
        const V values = load<V>(job.values + ray);
        if (rays.clipped) scatter_group<V, M, Flat, true>(job, rays, values);
        else scatter_group<V, M, Flat, false>(job, rays, values);
    }
}

template <class V> void scatter_rays(const ScatterRays<RealOf<V>>& job) {
    if (job.model == Model::siddon) {
        if (job.flat) scatter_row<V, Model::siddon, true>(job);
        else scatter_row<V, Model::siddon, false>(job);
    } else {
        if (job.flat) scatter_row<V, Model::joseph, true>(job);
        else scatter_row<V, Model::joseph, false>(job);
    }
}

template <class V> void scale_row(const ScaleRow<RealOf<V>>& job) {
    for (std::int64_t u = 0; u < job.detectors; ++u) {
        double direction[3];
        for (int k = 0; k < 3; ++k)
            direction[k] = job.row.parallel ? job.row.source[k] : job.row.pixel[k][u] + job.row.shift[k] - job.row.source[k];
        job.out[u] = RealOf<V>(plane_distance(direction, job.spacing)) * job.in[u * job.stride];
    }
    for (std::int64_t u = job.detectors; u < job.detectors + job.padding; ++u) job.out[u] = 0;
}

}  // namespace OPALG_ISA
}  // namespace opalg
