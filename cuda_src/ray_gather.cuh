// The transpose for rays in any direction: which rays of a view does a voxel gather from, and with which weights?
//
// In plane j of an axis `a` the ray of pixel (u, v) is at b = s_b + h / D (p_b - s_b), where s is the source, p the pixel,
// h = j - s_a and D = p_a - s_a. So far from the voxel's own b it is
//
//     db = N_b / D,   N_b = (s_b - b) D + h (p_b - s_b),
//
// and along a column of the detector both N_b and D are linear in v. The rays that may count have |db| < 1 and |dc| < 1: an
// interval of v. (Parallel rays: D = 1.) The columns in which the interval is not empty follow each other, and the voxel's
// own shadow lies among them.
#pragma once

#include "ray_views.cuh"
#include "ray_walk.cuh"

namespace opalg {

// Vectors in order of roles a, b, c.
struct Triple {
    double a, b, c;
};
OPALG_INLINE Triple in_roles(const double p[3], int axis) {
    if (axis == 0) return {p[0], p[2], p[1]};
    if (axis == 1) return {p[1], p[2], p[0]};
    return {p[2], p[1], p[0]};
}

// An interval of v; empty if first > last. Kept in float, a little too wide.
struct Interval {
    float first, last;

    // Those with constant + slope * v > 0.
    OPALG_INLINE_MEMBER void keep_positive(double constant, double slope) {
        const float at = -float(constant) / float(slope);
        const float room = 2e-3f + 1e-6f * (at < 0 ? -at : at);
        if (slope > 0) first = at - room > first ? at - room : first;
        else if (slope < 0) last = at + room < last ? at + room : last;
        else if (!(constant > 0)) last = -3e38f;  // below any first
    }
};

// Rays of one column of the detector, seen from one voxel in a plane of one axis.
template <Model M, bool Flat, bool Parallel> struct GatherColumn {
    double d, d_step, nb, nb_step, nc, nc_step;  // at v = 0, and per v
    Triple way, way_step;                        // from the source to the pixel; of parallel rays the direction

    OPALG_INLINE_MEMBER GatherColumn(const Triple& voxel, const Triple& source, const Triple& pixel, const Triple& v_step) {
        if constexpr (Parallel) {
            const double slope_b = source.b / source.a, slope_c = source.c / source.a;
            way = source;
            way_step = {0, 0, 0};
            d = 1;
            d_step = 0;
            nb = pixel.b - voxel.b + (voxel.a - pixel.a) * slope_b;
            nb_step = v_step.b - v_step.a * slope_b;
            nc = pixel.c - voxel.c + (voxel.a - pixel.a) * slope_c;
            nc_step = v_step.c - v_step.a * slope_c;
        } else {
            const double h = voxel.a - source.a;
            way = {pixel.a - source.a, pixel.b - source.b, pixel.c - source.c};
            way_step = v_step;
            d = way.a;
            d_step = v_step.a;
            nb = (source.b - voxel.b) * d + h * way.b;
            nb_step = (source.b - voxel.b) * d_step + h * v_step.b;
            nc = (source.c - voxel.c) * d + h * way.c;
            nc_step = (source.c - voxel.c) * d_step + h * v_step.c;
        }
    }

    // The v of rays that may count, with D of this sign.
    OPALG_INLINE_MEMBER Interval interval(double sign) const {
        Interval v = {-1e30f, 1e30f};
        v.keep_positive(sign * d - nc, sign * d_step - nc_step);
        v.keep_positive(sign * d + nc, sign * d_step + nc_step);
        if constexpr (!Flat) {
            v.keep_positive(sign * d - nb, sign * d_step - nb_step);
            v.keep_positive(sign * d + nb, sign * d_step + nb_step);
        }
        return v;
    }

    // With which weight the voxel counts in ray v. `height` = h.
    template <class Real> OPALG_INLINE_MEMBER Real weight(double v, double height) const {
        const double along = d + v * d_step;
        if (!Parallel && along == 0) return Real(0);
        const Real inverse = Real(1) / Real(along);
        Real db = Flat ? Real(0) : Real(nb + v * nb_step) * inverse, dc = Real(nc + v * nc_step) * inverse;
        // The ends of the ray, from the plane on.
        const double near = -height, far = along - height, first = near < far ? near : far, last = near < far ? far : near;
        if constexpr (M == Model::joseph) {
            if (!Parallel && !(first <= 0 && last >= 0)) return Real(0);
            return Flat ? tent<Real>(dc) : tent<Real>(db) * tent<Real>(dc);
        } else {
            const Real scale = Parallel ? Real(1) / Real(way.a) : inverse;
            const Sharing<M, Flat, Real> sharing(Flat ? Real(0) : Real(way.b + v * way_step.b) * scale,
                                                 Real(way.c + v * way_step.c) * scale);
            Real from = 0, to = 1;
            if constexpr (!Parallel) {
                from = larger<Real>(from, Real(first + 0.5));
                to = smaller<Real>(to, Real(last + 0.5));
            }
            return sharing.weight(db, dc, from, to);
        }
    }
};

}  // namespace opalg
