// What the kernels for single rays are told. Vocabulary as in kernels.h, and:
//
// A *plane* [b, c] of the volume is perpendicular to the dominant axis of the rays. Copies of planes have kRayMargin
// zero voxels on every side: positions further out are moved there, and no bound is tested per voxel.
#pragma once

#include "../rays.cuh"

namespace opalg {

constexpr int kRayPlanes = 16;   // planes of one band, at most: positions in a band stay small
constexpr int kRayMargin = 2;    // zero voxels (or corners) on either side of a plane
constexpr int kRayPadding = 16;  // pixels that may be read behind a detector row

// The rays of one detector row. Coordinates of pixels are those of row 0 plus `shift`.
struct RayRow {
    const double* pixel[3];  // x, y, z, each [detectors + kRayPadding]
    double shift[3];
    double source[3];        // or direction
    bool parallel;
};

// out[u] = in[u * stride] * physical length of ray u between planes, zero behind the last ray.
template <class T> struct ScaleRow {
    RayRow row;
    double spacing[3];
    const T* in;
    std::ptrdiff_t stride;
    T* out;                      // [detectors + padding]
    std::int64_t detectors;
    std::int64_t padding;
};

// Rays through one band of planes. sums[u] is added to.
template <class T> struct ProjectRays {
    RayRow row;
    int axis;                    // rays along another one are left out
    bool flat;                   // planes have one row b = 0
    Model model;
    const T* planes;             // voxel (0, 0) of the first plane
    std::ptrdiff_t plane_stride; // in elements
    std::ptrdiff_t line_stride;  // from b to b + 1
    std::int64_t size_b, size_c;
    int count;                   // planes, <= kRayPlanes
    double first_plane;          // its number
    T* sums;
    std::int64_t first_ray, last_ray;  // multiples of lanes
};

// The transpose. Every sample adds to the corners of its cell, which lie side by side: corners[plane, b, c] are the
// shares of voxels (b, c), (b, c + 1), (b + 1, c), (b + 1, c + 1), the first two if flat. So one sample is one load and
// one store, and different samples meet in whole cells only.
template <class T> struct ScatterRays {
    RayRow row;
    int axis;
    bool flat;
    Model model;
    T* corners;                  // cell (0, 0) of the first plane
    std::ptrdiff_t plane_stride; // in cells
    std::ptrdiff_t line_stride;  // in cells
    std::int64_t size_b, size_c;
    int count;
    double first_plane;
    const T* values;             // of the rays, times their lengths
    std::int64_t first_ray, last_ray;
};

}  // namespace opalg
