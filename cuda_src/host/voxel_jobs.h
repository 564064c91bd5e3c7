// What the kernels of the voxel-driven back projection are told.
#pragma once

#include "../rays.cuh"

namespace opalg {

constexpr int kShadowLines = 16;  // lines of voxels, neighbours along y, that a tile has room for

// Pixels of a view as pairs [v, u]: pixel (v, u), and how much more pixel (v + 1, u) is, for v from -1 to rows and u from -1 to
// detectors + 1. Beyond the detector all is zero. So what a place between four pixels needs lies side by side.
constexpr int kPairRowsBefore = 1, kPairRowsBehind = 1;
constexpr int kPairColumnsBefore = 1, kPairColumnsBehind = 2;

// A tile of voxels [group along x, z, y, lane]: each gets the sum over some views of what its shadow falls on, times
// magnification^power. Tiles have room for kShadowLines lines.
template <class T> struct SampleShadows {
    const Shadow* shadows;         // of each view
    const T* const* pairs;         // of each view: pair (0, 0)
    std::int64_t views;
    std::ptrdiff_t pair_stride;    // in pairs, from row to row
    std::int64_t rows, detectors;
    int power;                     // 0 or 2
    T* tile;
    double y, z;                   // of the first line; x starts at 0
    std::int64_t count, lines, planes;  // along x, y and z
};

}  // namespace opalg
