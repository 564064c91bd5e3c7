// What the kernels of the voxel-driven back projection are told.
#pragma once

#include "../rays.cuh"

namespace opalg {

// voxels[x] += the projection at the shadow of voxel (x, y, z), times magnification^power, for one line of voxels.
template <class T> struct SampleShadows {
    Shadow shadow;
    double y, z;
    const T* projection;         // pixel (0, 0), kRayMargin zeros on every side
    std::ptrdiff_t line_stride;  // from row to row
    std::int64_t rows, detectors;
    int power;                   // 0 or 2
    T* voxels;                   // writable up to a multiple of lanes
    std::int64_t count;
};

}  // namespace opalg
