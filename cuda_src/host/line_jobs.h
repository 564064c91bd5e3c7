// What the kernels for lines are told.
#pragma once

#include "../joseph.cuh"
#include "ray_jobs.h"

namespace opalg {

constexpr int kLineJobs = 32;       // lines handled at a time, a multiple of all lane counts
constexpr int kLinesAtOnce = 16;     // lines that all columns of a tile visit before the next: they stay in the first cache
constexpr double kLeastStep = 1.0 / 3, kMostStep = 4;  // of detector rows, in voxels: the range of gather_line

// target[k] += sum over jobs j of scale_j * f_j(start_j + step_j k), where f_j is the line
// (1 - weight_j) line_j + weight_j (line_j + next_line), interpolated; zero outside [0, size).
template <class T> struct SampleLines {
    T* target;                 // writable up to a multiple of lanes
    std::int64_t count;
    int jobs;                  // <= kLineJobs; arrays have kLineJobs elements
    const T* const* line;      // element 0 of each, kMargin zeros on either side
    std::ptrdiff_t next_line;  // in elements
    const T* weight;
    const T* scale;
    const double* start;
    const double* step;        // >= 0
    const T* rate;             // the same, rounded
    std::int64_t size;
};

// The transpose for one line of rays: voxel z of the line collects the rays k with weight tent(start + step k - z), and the
// two lines share it.
template <class T> struct GatherLine {
    T* line;                   // writable up to a multiple of lanes
    std::ptrdiff_t next_line;
    T weight;
    std::int64_t size;
    const T* values;           // ray 0, kMargin zeros on either side
    std::int64_t count;
    double start, step;        // kLeastStep <= step <= kMostStep
};

}  // namespace opalg
