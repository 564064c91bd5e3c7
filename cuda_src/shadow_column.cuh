// In which column of the detector the shadow of a voxel falls.
#pragma once

#include "qualifiers.cuh"

namespace opalg {

// `shadow` [2, 5] holds two affine functions of (x, y, z). Of a flat detector u is the quotient of their values (parallel
// rays: the first). Of a curved one they are the way from the source in coordinates in which the arc is part of the circle
// of radius one around 0; fifth stand those of the source, which is within the circle.
template <bool Parallel, bool Curved>
OPALG_INLINE double shadow_column(const double* shadow, const double p[3], double arc_step, int columns) {
    const double x = shadow[0] * p[0] + shadow[1] * p[1] + shadow[2] * p[2] + shadow[3];
    if constexpr (Parallel && !Curved) return x;
    const double y = shadow[5] * p[0] + shadow[6] * p[1] + shadow[7] * p[2] + shadow[8];
    if constexpr (Curved) {
        const double from_x = shadow[4], from_y = shadow[9];
        // from + m (x, y) is on the circle for one positive m.
        const double square = x * x + y * y, half = x * from_x + y * from_y;
        const double m = (sqrt(half * half + square * (1 - from_x * from_x - from_y * from_y)) - half) / square;
        const double angle = atan2(from_y + m * y, from_x + m * x), turn = 2 * 3.14159265358979323846;
        const double middle = 0.5 * columns * arc_step;
        return (angle + turn * rint((middle - angle) / turn)) / arc_step;
    } else {
        return x / y;
    }
}

// The same as an index, within -1 .. columns - 1: columns up to it lie on one side of the shadow, the others on the other.
OPALG_INLINE int column_below(double u, int columns) { return u > 0 ? u < columns - 1 ? int(u) : columns - 1 : -1; }

}  // namespace opalg
