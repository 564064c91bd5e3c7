// What the kernels for fans are told: rays of one view of a slice that run mainly along one axis.
//
// A ray of slope w is at source + h w in the plane at distance h from the source: its slope does not depend on the plane,
// and is all that is kept of it. Rays are ordered by slope, so that in every plane the rays around a voxel are consecutive.
#pragma once

#include "../lanes.cuh"

namespace opalg {

constexpr int kFanTaps = 8;             // rays that may share a voxel, at most
constexpr double kFanWidest = 4;        // voxels between two rays, at most: their slopes, in float, are kept in blocks
constexpr std::int64_t kRaysPerKnot = 4;

// A band of planes of a fan. Planes are counted in the sense of the rays: the next one is `sense` further from the source.
struct FanBand {
    int planes;
    double source;    // across
    double distance;  // of the first plane from the source
    double number;    // of the first plane, times sense
    double sense;     // +-1
};

// sums[r] is added to.
template <class T> struct ProjectFan {
    FanBand band;                 // planes <= kPlanes
    const T* image;               // pixel 0 of the first plane, with margins of kMargin zeros
    std::ptrdiff_t plane_stride;  // in elements
    std::int64_t across;
    const double* anchors;        // slope of the first ray of every block of lanes
    const T* slopes;              // of the rays, above the anchor of their block
    const T* limits;              // numbers of the rays' last planes; null: none ends here
    T* sums;
    std::int64_t rays;            // a multiple of lanes
};

// How densely the rays of a fan lie, and how far that is from even.
struct FanShape {
    double least, most;  // differences of slopes of neighbours
    double bend;         // change of the number of rays per slope, per slope
    double cell;         // slopes between two knots
    double slack;        // of a ray's number in float
};

// The transpose: voxels gather from the rays about them. `knots` tell about where a slope is found in the table.
template <class T> struct BackprojectFan {
    FanBand band;
    T* image;                     // pixel 0 of the first plane; pixels up to a multiple of lanes are writable
    std::ptrdiff_t plane_stride;
    std::int64_t across;
    FanShape shape;
    const double* slopes;         // [rays + lanes], evenly continued on both sides of the rays
    const T* values;              // [rays], zero outside
    const T* limits;              // [rays], or null: as above
    const T* knots;               // numbers of rays at slopes[0] + cell k
    std::int64_t knot_count;
    std::int64_t rays;            // of the table, a multiple of lanes
    std::int64_t margin;          // rays in front of the first one that is real, and behind the last one at least
    std::int64_t real;
    int anchor;                   // the ray of a block from which slopes are counted
    T* scratch;                   // [6 rays]
    double* anchors;              // [rays / lanes], scratch
};

// A bound for the error of the number of a ray in a group of voxels, between whose ends it is taken as linear: that of a
// function whose derivative changes by `bend` per unit at most, of the chord and of the knots. `inverse`: 1 / distance.
OPALG_INLINE double fan_error(const FanShape& shape, double inverse, int lanes) {
    const double chord = double(lanes) * inverse + 2 * shape.most, cell = shape.cell + 2 * shape.most;
    return 0.125 * shape.bend * (chord * chord + cell * cell) + shape.slack;
}
// Rays per voxel somewhere in a group may be more than between its ends, by:
OPALG_INLINE double fan_excess(const FanShape& shape, double inverse, int lanes) {
    return shape.bend * inverse * ((0.5 * lanes + 2) * inverse + 2 * shape.most) + 0.01 * shape.slack;
}
// Voxel c needs the rays within one voxel of it. If the first of them is known but for `error`, so many in a row are enough:
OPALG_INLINE double fan_taps(double rays_per_voxel, double error) { return 2 * rays_per_voxel + 2 * error; }
// Rays that a group of voxels may need.
OPALG_INLINE double fan_reach(const FanShape& shape, double inverse, int lanes) {
    const double error = fan_error(shape, inverse, lanes);
    const double density = inverse / shape.least + fan_excess(shape, inverse, lanes);
    return double(lanes - 1) * density + fan_taps(density, error) + 3;
}

}  // namespace opalg
