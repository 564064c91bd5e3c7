// Where the shadow of a voxel falls on the detector, for the voxel-driven back projection and its transpose.
#pragma once

#include "ray_walk.cuh"

namespace opalg {

// One view: three affine functions of (x, y, z, 1) with values p, q, r.
//
// Flat detector: magnification m = 1 / r, u = m p, v = m q + lift, where r = 1 for parallel rays. Curved, with the arc
// around the source: (p, r) is the way from the source in coordinates in which the arc has radius one and column 0 is at
// angle 0; m = 1 / |(p, r)|, u = angle / arc_step, v = m q + lift.
struct VoxelView {
    double p[4], q[4], r[4];
    double lift, padding[3];

    OPALG_INLINE_MEMBER static double at(const double row[4], double x, double y, double z) {
        return row[0] * x + row[1] * y + row[2] * z + row[3];
    }
};

// Columns are counted from 0 on, either way round.
struct Arc {
    double step, middle;  // radians: between columns, at the middle of the detector
};

struct ShadowPoint {
    double u, v, magnification;  // u and v are of no use unless magnification > 0
};

// 1 / x for x within the range of float, good to some 46 bits.
OPALG_INLINE double quick_inverse(double x) {
    double y = double(1.0f / float(x));
    y = y * (2.0 - x * y);
    return y * (2.0 - x * y);
}

template <bool Parallel, bool Curved>
OPALG_INLINE ShadowPoint shadow_point(const VoxelView& view, const Arc& arc, double x, double y, double z) {
    const double p = VoxelView::at(view.p, x, y, z), q = VoxelView::at(view.q, x, y, z);
    if constexpr (Parallel) return {p, q + view.lift, 1.0};
    const double r = VoxelView::at(view.r, x, y, z);
    if constexpr (Curved) {
        const double m = 1 / sqrt(p * p + r * r), angle = atan2(r, p), turn = 2 * 3.14159265358979323846;
        return {(angle + turn * rint((arc.middle - angle) / turn)) / arc.step, m * q + view.lift, m};
    } else {
        const double m = r > 1e-9 ? quick_inverse(r) : 0;
        return {m * p, m * q + view.lift, m};
    }
}

// Position as integer and remainder in [0, 1); far outside it stays outside.
template <class Real> OPALG_INLINE void split_position(double x, std::int32_t& whole, Real& part) {
    constexpr double limit = double(kFarAway);
#if defined(__CUDACC__)
    // As split_floor: the whole number is in the last bits of a sum with 1.5 2^52, rounded down.
    constexpr double magic = 6755399441055744.0;
    x = x < -limit ? -limit : x > limit ? limit : x;
    const double sum = __dadd_rd(x, magic);
    whole = __double2loint(sum);
    part = Real(x - (sum - magic));
#else
    whole = std::int32_t(anchor(x, -limit, limit, part));
#endif
}

}  // namespace opalg
