// What the kernels for single rays are told. Vocabulary as in kernels.h, and:
//
// A *plane* [b, c] of the volume is perpendicular to the dominant axis of the rays. Copies of planes have kRayMargin
// zero voxels on every side: positions further out are moved there, and no bound is tested per voxel.
#pragma once

#include "../rays.cuh"

namespace opalg {

constexpr int kRayPlanes = 8;    // planes of one band, at most: positions in a band stay small
constexpr int kRayMargin = 2;    // zero voxels (or corners) on either side of a plane
constexpr int kRayPadding = 16;  // pixels that may be read behind a detector row

// The rays of one detector row. Coordinates of pixels are those of row 0 plus `shift`.
struct RayRow {
    const double* pixel[3];  // x, y, z, each [detectors + kRayPadding]
    double shift[3];
    double source[3];        // or direction
    bool parallel;
};

// out[u] = in[u] * physical length of ray u between planes, zero behind the last ray.
template <class T> struct ScaleRow {
    RayRow row;
    double spacing[3];
    const T* in;
    T* out;                      // [detectors + padding], may be `in`
    std::int64_t detectors;
    std::int64_t padding;
};

// The rays of one view on a flat or curved detector: pixel (row, u) is pixel[u] + row * step.
struct RayView {
    const double* pixel[3];  // x, y, z, each [detectors + kRayPadding]
    double step[3];
    double source[3];        // or direction
    bool parallel;

    RayRow row(std::int64_t v) const {
        RayRow rays;
        rays.parallel = parallel;
        for (int k = 0; k < 3; ++k) {
            rays.pixel[k] = pixel[k];
            rays.shift[k] = double(v) * step[k];
            rays.source[k] = source[k];
        }
        return rays;
    }
};

// Memory for what the groups of a view's rays have in common (see ray_bundle.h).
template <class T> struct BundleMemory {
    double* leads;         // [6, groups]
    T* apart;              // [3, rays]
    std::int64_t groups, rays;
};

// Some rays of a view and a band of planes.
template <class T> struct RayBand {
    RayView view;
    int axis;                    // rays along another one are left out
    bool flat;                   // planes have one row b = 0
    Model model;
    std::ptrdiff_t plane_stride; // in voxels or cells
    std::ptrdiff_t line_stride;  // from b to b + 1
    std::int64_t size_b, size_c;
    int count;                   // planes, <= kRayPlanes
    double first_plane;          // its number
    std::int64_t first_row, last_row;
    std::int64_t first_ray, last_ray;  // of every row, multiples of lanes
    BundleMemory<T> memory;
};

// sums[row, u] is added to, rows counted from first_row. Every voxel (b, c) is followed by its neighbour (b + 1, c), so that
// the four of a cell lie side by side; not so if flat.
template <class T> struct ProjectRays {
    RayBand<T> band;
    const T* planes;             // voxel (0, 0) of the first plane
    T* sums;                     // [row, u]
    std::ptrdiff_t row_stride;   // of sums
};

// The transpose. Every sample adds to the corners of its cell, which lie side by side: corners[plane, b, c] are the
// shares of voxels (b, c), (b, c + 1), (b + 1, c), (b + 1, c + 1), the first two if flat. So one sample is one load and
// one store, and different samples meet in whole cells only.
template <class T> struct ScatterRays {
    RayBand<T> band;
    T* corners;                  // cell (0, 0) of the first plane
    const T* values;             // of the rays, times their lengths, [row, u] from first_row
    std::ptrdiff_t row_stride;
};

}  // namespace opalg
