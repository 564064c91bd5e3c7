// The footprint model: a voxel as the shadow it throws on the detector, shared by projection and its transpose.
//
// Where voxel p of volume V counts in pixel (i, j), with pixels as squares of side 1 around whole numbers,
//
//     weight = V m^2 / area(pixel) * F_u(i - u) * F_v(j - v)         (2D: V m / width(pixel) * F_u)
//
// u, v is the shadow of its centre and m the magnification there: how many times the way from the source to the voxel leads
// to the detector. area(pixel) is that of the pixel as its own ray sees it, so that weights of a thin ray add up to its
// length. The shadow spreads along u by |du/dx|, |du/dy|, |du/dz|, its derivatives at the centre. F_u is the mass, within a
// pixel, of the box of the widest of the three folded with a box as wide as the others together (root of the sum of
// squares). F_v: likewise, but the second box is replaced by its two Gauss points, +- its width / sqrt(12), which costs a
// third and differs by less than 2 % of a pixel's share. For rays perpendicular to z and v along z both are exact.
// Y. Long, J. A. Fessler and J. M. Balter, "3D forward and back-projection for X-ray CT using separable footprints", IEEE
// Trans. Med. Imaging 29(11), 2010.
//
// Of divergent beams a voxel counts if all of it lies before the plane (of a curved detector: cylinder) through the source,
// and its centre not behind the detector. Everything here takes positions in double, and leaves small numbers.
#pragma once

#include "rays.cuh"

namespace opalg {

// `points`: no spread at all, F(d) = max(0, 1 - |d|) and weight = F_u F_v m^power instead: linear interpolation at the
// shadow, of which nothing lies behind a detector. Its transpose is the voxel-driven back projection.
struct FootprintKind {
    bool points;
    int power;
};

template <class V> OPALG_INLINE V absolute(V x) { return larger<V>(x, -x); }
template <class V> OPALG_INLINE V arc_tangent(V y, V x) {
    if constexpr (Lanes<V>::count == 1) {
#if defined(__CUDACC__)
        return atan2(y, x);
#else
        return V(__builtin_atan2(y, x));
#endif
    } else {
        for (int l = 0; l < Lanes<V>::count; ++l) y[l] = __builtin_atan2(y[l], x[l]);
        return y;
    }
}

// Mass of a trapezoid: two boxes folded, their middle at 0. Any lane type.
template <class V> struct Trapezoid {
    V outer, inner, narrow, half_inverse, inverse;  // half widths at foot and top; of the narrow box; of the wide one

    OPALG_INLINE_MEMBER Trapezoid(V wide, V other) {
        const V half = broadcast<V>(0.5);
        narrow = larger<V>(other, broadcast<V>(1e-30));
        outer = half * (wide + narrow);
        inner = half * (wide - narrow);
        half_inverse = half / narrow;
        inverse = broadcast<V>(1) / wide;
    }
    OPALG_INLINE_MEMBER V up_to(V x) const {
        const V zero = broadcast<V>(0), distance = absolute<V>(x);
        const V flank = smaller<V>(narrow, larger<V>(zero, outer - distance));
        const V beyond = (flank * (flank * half_inverse) + larger<V>(zero, inner - distance)) * inverse;
        return x > zero ? broadcast<V>(1) - beyond : beyond;
    }
};

// Overlap of a pixel at a distance with a box of some width at both Gauss points, summed; to be divided by twice the width.
// `reach` is half the sum of pixel and box, `most` the smaller of the two.
template <class V> OPALG_INLINE V overlap_of_boxes(V distance, V shift, V reach, V most) {
    const V zero = broadcast<V>(0);
    return smaller<V>(most, larger<V>(zero, reach - absolute<V>(distance - shift))) +
           smaller<V>(most, larger<V>(zero, reach - absolute<V>(distance + shift)));
}

// Where shadows of the voxels of one view fall. Rows are affine functions of (x, y, z, 1).
struct FootprintView {
    double u[4], v[4], w[4];  // flat: u = u/w, v = v/w, depth = w; curved: ahead, aside and up in u, v, w
    bool parallel, curved, flat;
    double arc_step, middle, height;  // curved: radians per column, radians of the middle column, v of a level ray
    FootprintKind kind;

    OPALG_INLINE_MEMBER static double along(const double row[4], const double p[3]) {
        return row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3];
    }
};

// The shadow of one voxel, or of one per lane (D: double, or a pack of it).
template <class D> struct VoxelShadow {
    D u, v, magnification;
    D wide_u, narrow_u, wide_v, shift_v;
    D slope_u[3], slope_v[3];
};

template <class D> OPALG_INLINE void two_widths(const D slope[3], int count, D& wide, D& other) {
    const D a = absolute<D>(slope[0]), b = absolute<D>(slope[1]);
    wide = larger<D>(a, b);
    other = smaller<D>(a, b);
    if (count == 3) {
        const D c = absolute<D>(slope[2]), most = larger<D>(wide, c), next = smaller<D>(wide, c);
        other = square_root<D>(other * other + next * next);
        wide = most;
    }
}

// At voxel p. True where it is seen; elsewhere the shadow holds anything. Flat: a slice, where there is no v.
template <bool Flat, class D> OPALG_INLINE auto voxel_shadow(const FootprintView& view, const D p[3], VoxelShadow<D>& s) {
    const D one = broadcast<D>(1), zero = broadcast<D>(0);
    constexpr int axes = Flat ? 2 : 3;
    const auto along = [&p](const double row[4]) {
        const D plane = row[0] * p[0] + row[1] * p[1] + row[3];
        return Flat ? plane : plane + row[2] * p[2];
    };
    D depth, reach = zero;
    if (view.curved) {
        const D ahead = along(view.u), aside = along(view.v), up = Flat ? zero : along(view.w);
        const D square = ahead * ahead + aside * aside;
        depth = square_root<D>(square);
        s.magnification = one / depth;
        D angle = arc_tangent<D>(aside, ahead);
        angle += 2 * 3.14159265358979323846 *
                 rounded_down<D>((view.middle - angle) * (0.5 / 3.14159265358979323846) + 0.5);
        s.u = angle / view.arc_step;
        s.v = up * s.magnification + view.height;
        const D inverse = one / square;
        for (int k = 0; k < axes; ++k) {
            const D radial = (ahead * view.u[k] + aside * view.v[k]) * inverse;
            s.slope_u[k] = (ahead * view.v[k] - aside * view.u[k]) * inverse / view.arc_step;
            if (!Flat) s.slope_v[k] = (view.w[k] - up * radial) * s.magnification;
            reach += absolute<D>(radial) * depth;
        }
    } else {
        depth = along(view.w);
        s.magnification = one / depth;
        s.u = along(view.u) * s.magnification;
        if (!Flat) s.v = along(view.v) * s.magnification;
        for (int k = 0; k < axes; ++k) {
            s.slope_u[k] = (view.u[k] - s.u * view.w[k]) * s.magnification;
            if (!Flat) s.slope_v[k] = (view.v[k] - s.v * view.w[k]) * s.magnification;
            reach += broadcast<D>(magnitude(view.w[k]));
        }
    }
    if (view.kind.points) {
        s.wide_u = s.wide_v = one;
        s.narrow_u = s.shift_v = zero;
        return depth > zero;
    }
    D other;
    two_widths<D>(s.slope_u, axes, s.wide_u, other);
    s.narrow_u = smaller<D>(s.wide_u, other);
    s.wide_u = larger<D>(s.wide_u, other);
    if (!Flat) {
        two_widths<D>(s.slope_v, axes, s.wide_v, other);
        s.shift_v = other * 0.28867513459481287;
    }
    auto seen = depth > 0.5 * reach;
    seen &= depth <= broadcast<D>(1 + 1e-12);
    return seen;
}

// What sums over voxels are multiplied with at a pixel: voxel volume over pixel area. Physical vectors: the way of the
// pixel's ray, and the steps to the next column and row; zero where the ray does not pass through the pixel's face.
OPALG_INLINE double pixel_scale(const double way[3], const double u_step[3], const double v_step[3], double volume) {
    double normal[3];
    cross_product(u_step, v_step, normal);
    const double length = __builtin_sqrt(dot_product(way, way));
    const double area = magnitude(dot_product(normal, way));  // times length
    return area > 0 ? volume * length / area : 0.0;
}

// How a voxel that is seen is shared among pixels, but for their scales. Flat: a slice, all of it in row 0.
template <bool Flat, class Real> struct FootprintShare {
    double u, v, reach_u, reach_v;  // of what it touches, half a pixel included
    Trapezoid<Real> shape;
    Real shift, row_reach, most, scale;

    OPALG_INLINE_MEMBER FootprintShare(const VoxelShadow<double>& s, int power)
        : u(s.u), v(Flat ? 0 : s.v), reach_u(0.5 * (1 + s.wide_u + s.narrow_u)),
          reach_v(Flat ? 0.5 : 0.5 * (1 + s.wide_v) + s.shift_v), shape(Real(s.wide_u), Real(s.narrow_u)) {
        double amount = 1;
        for (int k = 0; k < power; ++k) amount *= s.magnification;
        if constexpr (Flat) {
            shift = row_reach = most = Real(0);
        } else {
            shift = Real(s.shift_v);
            row_reach = Real(0.5 * (1 + s.wide_v));
            most = Real(s.wide_v < 1 ? s.wide_v : 1.0);
            amount *= 0.5 / s.wide_v;
        }
        scale = Real(amount);
    }
    OPALG_INLINE_MEMBER Real column(int number) const {
        const Real middle = Real(double(number) - u), half = Real(0.5);
        return scale * (shape.up_to(middle + half) - shape.up_to(middle - half));
    }
    OPALG_INLINE_MEMBER Real row(int number) const {
        if constexpr (Flat) return Real(1);
        else return overlap_of_boxes<Real>(Real(double(number) - v), shift, row_reach, most);
    }
};

}  // namespace opalg
