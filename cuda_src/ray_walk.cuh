// The way of one ray through a volume, plane by plane of its dominant axis.
#pragma once

#include "joseph.cuh"
#include "rays.cuh"

namespace opalg {

constexpr int kLeap = 32;  // planes from one anchor to the next

// A position that moves by `slope` from plane to plane: whole + part + slope * k at the k-th plane behind the anchor. The
// leap to the next anchor is kept as integer and remainder, so that positions lose no digits on their way.
template <class Real> struct Track {
    IndexOf<Real> whole, leap;
    Real part, slope, rest;

    OPALG_INLINE_MEMBER Track(double start, double rate) : slope(Real(rate)) {
        constexpr double limit = double(kFarAway);
        whole = IndexOf<Real>(anchor(start, -limit, limit, part));
        leap = IndexOf<Real>(anchor(rate * kLeap, -limit, limit, rest));
    }
    OPALG_INLINE_MEMBER void at(Real k, IndexOf<Real>& lower, Real& weight) const {
        IndexOf<Real> climbed;
        split_floor<Real>(part + slope * k, climbed, weight);
        lower = whole + climbed;
    }
    OPALG_INLINE_MEMBER void advance() { carry<Real>(whole + leap, part + rest, whole, part); }
};

// Planes first .. last; none if first > last.
struct Planes {
    int first, last;
};
OPALG_INLINE int bounded(double x, double low, double high) { return int(x < low ? low : x > high ? high : x); }

// Those of `planes` on which start + slope * plane lies between low and high.
template <bool Outer> OPALG_INLINE Planes planes_between(Planes planes, double start, double slope, double low, double high) {
    if (!(low <= high) || (slope == 0 && !(start >= low && start <= high))) return {planes.first, planes.first - 1};
    if (slope == 0) return planes;
    const double inverse = 1 / slope, p = (low - start) * inverse, q = (high - start) * inverse;
    const double from = p < q ? p : q, to = p < q ? q : p, least = planes.first - 1.0, most = planes.last + 1.0;
    // Outer: no plane is left out by rounding; else none is let in.
    const Planes inside = {bounded(Outer ? floor(from) : ceil(from), least, most), bounded(Outer ? ceil(to) : floor(to), least, most)};
    return {inside.first > planes.first ? inside.first : planes.first, inside.last < planes.last ? inside.last : planes.last};
}

// What a ray meets: on planes outside `active` nothing; on those of `interior` four voxels of the volume, with all their
// weight; on others some may lie outside, or the ray may end.
struct Reach {
    Planes active, interior;
};
template <Model M, bool Flat>
OPALG_INLINE Reach reach_of(const RayLine<double>& line, std::int64_t size_a, std::int64_t size_b, std::int64_t size_c) {
    constexpr double room = 1e-3;  // more than positions are in error
    const double half = M == Model::siddon ? 0.5 : 0.0, most = double(size_a), end = double(size_a - 1);
    // Planes between the ends of the ray, Siddon: all that a part of it is near, and all that it passes entirely.
    Reach r;
    r.active = {bounded(ceil(line.first - half), 0, most), bounded(floor(line.last + half), -1, end)};
    r.interior = {bounded(ceil(line.first + half), 0, most), bounded(floor(line.last - half), -1, end)};
    r.active = planes_between<true>(r.active, line.c, line.slope_c, -1, double(size_c));
    r.interior = planes_between<false>(r.interior, line.c, line.slope_c, room, double(size_c) - 1 - room);
    if constexpr (!Flat) {
        r.active = planes_between<true>(r.active, line.b, line.slope_b, -1, double(size_b));
        r.interior = planes_between<false>(r.interior, line.b, line.slope_b, room, double(size_b) - 1 - room);
    }
    return r;
}

// Siddon's positions are the lower ends of the way from one half before a plane to one half behind it, counted from borders
// of voxels.
OPALG_INLINE RayLine<double> lower_ends(RayLine<double> line) {
    line.b += 0.5 - 0.5 * magnitude(line.slope_b);
    line.c += 0.5 - 0.5 * magnitude(line.slope_c);
    return line;
}

// How a sample is shared between the four voxels, as Siddon's WayParts: the parts of the next voxel across b, across c,
// across both, and all. `from` and `to`: the part of the way that belongs to the ray.
template <Model M, bool Flat, class Real> struct Sharing {
    Real slope_b, slope_c, inverse_b, inverse_c;

    OPALG_INLINE_MEMBER Sharing(Real along_b, Real along_c) : slope_b(along_b), slope_c(along_c) {
        // Of a slope of zero the inverse is huge, not infinite: it is multiplied with zero.
        const Real least = Real(1e-30);
        inverse_b = Real(1) / larger<Real>(larger<Real>(slope_b, -slope_b), least);
        inverse_c = Real(1) / larger<Real>(larger<Real>(slope_c, -slope_c), least);
    }
    OPALG_INLINE_MEMBER WayParts<Real> operator()(Real weight_b, Real weight_c, Real from, Real to) const {
        if constexpr (M == Model::joseph) {
            return {weight_b, weight_c, weight_b * weight_c, Real(1)};
        } else {
            const Real beyond_c = way_beyond<Real>(weight_c, larger<Real>(slope_c, -slope_c), inverse_c);
            const Real beyond_b = Flat ? Real(0) : way_beyond<Real>(weight_b, larger<Real>(slope_b, -slope_b), inverse_b);
            return way_parts<Real>(beyond_b, slope_b, beyond_c, slope_c, from, to);
        }
    }
    // Siddon: the share of the voxel that the ray passes at (db, dc) in its plane, counted from the voxel's centre.
    OPALG_INLINE_MEMBER Real weight(Real db, Real dc, Real from, Real to) const {
        const Real half = Real(0.5);
        db += half - half * larger<Real>(slope_b, -slope_b);
        dc += half - half * larger<Real>(slope_c, -slope_c);
        const bool far_b = db < 0, far_c = dc < 0;  // whether the voxel is the next one
        db += Real(far_b);
        dc += Real(far_c);
        if (!(db >= 0 && db <= 1 && dc >= 0 && dc <= 1)) return Real(0);
        const WayParts<Real> part = (*this)(db, dc, from, to);
        const Real c = far_c ? part.c : part.all - part.c;
        if constexpr (Flat) return c;
        const Real both = far_c ? part.both : part.b - part.both;
        return far_b ? both : c - both;
    }
};

}  // namespace opalg
