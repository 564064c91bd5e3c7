// Groups of any rays of a detector row, one per lane: they may run along different axes, and end anywhere.
#pragma once

#include "packing_kernels.h"
#include "ray_jobs.h"

namespace opalg {
namespace OPALG_ISA {

// Positions of a group of rays in a band of planes, as integer and remainder in the first plane, and slope. Siddon's are the
// lower ends of the way from one half before a plane to one half behind it, counted from borders of voxels.
template <class V, Model M, bool Flat> struct RayGroup {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count;
    IndexOf<V> whole_b, whole_c;
    V part_b, slope_b, part_c, slope_c;
    V steep_b, steep_c, inverse_b, inverse_c;  // Siddon: |slope|, and its inverse
    V first, last;  // planes that count (Siddon: ends of the ray), from the band's first one
    bool active;    // some sample may meet the volume
    static constexpr bool clipped = true;  // some lane may end within the band, or belong to another axis

    OPALG_INLINE_MEMBER RayGroup(const RayBand<Real>& band, const RayRow& row, const AxisRoles& roles, std::int64_t ray) {
        const double first_plane = band.first_plane, size_b = double(band.size_b), size_c = double(band.size_c);
        const double* pixel_a = row.pixel[roles.a] + ray;
        const double* pixel_b = row.pixel[roles.b] + ray;
        const double* pixel_c = row.pixel[roles.c] + ray;
        const double shift_a = row.shift[roles.a], shift_b = row.shift[roles.b], shift_c = row.shift[roles.c];
        const double source[3] = {row.source[roles.a], row.source[roles.b], row.source[roles.c]};
        const bool parallel = row.parallel;
        using D = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;
        constexpr int width = Lanes<D>::count;
        const D zero = broadcast<D>(0), depth = broadcast<D>(band.count - 1), far = broadcast<D>(double(kFarAway));
        Real pb[lanes], sb[lanes], pc[lanes], sc[lanes], from[lanes], to[lanes];
        typename Lanes<Real>::Index wb[lanes], wc[lanes];
        IndexOf<D> meets = {};
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
            } else {
                begin = larger<D>(zero, -rounded_down<D>(first_plane - line.first));  // the next plane up
                stop = smaller<D>(depth, rounded_down<D>(line.last - first_plane));
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
        std::int64_t some_meet = 0;
        for (int l = 0; l < width; ++l) some_meet |= meets[l];
        active = some_meet;
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

    // The cell below every ray in plane j, counted from `corner`, and the weights of the next ones. A position out of reach
    // is moved into the margin.
    static constexpr std::int64_t corner(int) { return 0; }
    OPALG_INLINE_MEMBER void at(int j, const RayBand<Real>& band, IndexOf<V>& cell, V& weight_b, V& weight_c) const {
        const V plane = broadcast<V>(j);
        place(plane, whole_c, part_c, slope_c, band.size_c, cell, weight_c);
        if constexpr (Flat) {
            weight_b = broadcast<V>(0);
        } else {
            IndexOf<V> line;
            place(plane, whole_b, part_b, slope_b, band.size_b, line, weight_b);
            cell = line * broadcast_index<V>(band.line_stride) + cell;
        }
    }

private:
    OPALG_INLINE_MEMBER static void place(V plane, IndexOf<V> whole, V part, V slope, std::int64_t size, IndexOf<V>& lower,
                                          V& weight) {
        IndexOf<V> climbed;
        split_floor<V>(part + slope * plane, climbed, weight);
        lower = clamped<V>(whole + climbed, -kRayMargin, size);
    }
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

}  // namespace OPALG_ISA
}  // namespace opalg
