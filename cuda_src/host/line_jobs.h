// What the kernels for lines are told. A *line* of voxels (or of detector pixels, a column) is along z; lines of a volume
// lie in planes of the dominant axis of the rays.
#pragma once

#include "../joseph.cuh"

namespace opalg {

constexpr int kLineJobs = 16;  // lines handled at a time, a multiple of all lane counts
constexpr int kLineSlack = 1024;  // numbers that may be read behind the last line of an array
constexpr double kLeastStep = 1.0 / 3, kMostStep = 4;  // of detector rows, in voxels: the range of gather_column

// Where the rays of a detector column are in plane j of its dominant axis. Row v of the formulas rises with z.
struct Column {
    bool along_x;                 // else along y
    double across, across_slope;  // y, or x:  across + across_slope j
    double start, start_slope;    // z of row 0: start + start_slope j
    double step, step_slope;      // from row to row: step + step_slope j
    double first, last;           // planes that count lie between
};

// target[k] += sum over jobs j of f_j(start_j + step_j k), where f_j is the line near_j line_j + far_j (line_j + next_line),
// interpolated; zero outside [0, size).
template <class T> struct SampleLines {
    T* target;                 // writable up to a multiple of lanes
    std::int64_t count;
    std::ptrdiff_t next_line;  // in elements
    std::int64_t size;
    int jobs;                  // <= kLineJobs
    const T* line[kLineJobs];  // element 0 of each, kMargin zeros on either side
    T near[kLineJobs], far[kLineJobs];
    double start[kLineJobs], step[kLineJobs];  // step >= 0
};

// The rays of a column add up the volume in planes first..last - 1: target[v].
template <class T> struct SampleColumn {
    Column column;
    T* target;
    std::int64_t rows;
    const T* voxels;           // voxel z = 0 of line 0 in plane 0, kMargin zeros around lines, a line of zeros around planes
    std::ptrdiff_t plane_stride, line_stride;
    std::int64_t across, size; // lines of a plane, voxels of a line
    std::int64_t first, last;
};

// The transpose: the lines of voxels in these planes collect the rays of a column.
template <class T> struct GatherColumn {
    Column column;
    T* voxels;                 // voxel z = 0 of line 0 in plane 0; lines are writable up to a multiple of lanes
    std::ptrdiff_t plane_stride, line_stride;
    std::int64_t across, size;
    std::int64_t first, last;
    const T* values;           // row 0, kMargin zeros on either side
    std::int64_t rows;
};

// sums[v] *= physical length between planes of the ray of row v, sqrt(flat + (spacing (rise + step v))^2) * scale.
template <class T> struct ScaleColumn {
    double flat, rise, step, spacing, scale;
    T* sums;                   // writable up to a multiple of lanes
    std::int64_t rows;
};

// Where lines of voxels along z fall on detectors whose rows are along z, too. For the line at (x, y), with
//
//     w = w0 + w1 x + w2 y,   m = depth / w,   u = (u0 + u1 x + u2 y) / w
//
// m is the magnification, u the column, and voxel z falls on row  start + step z:
//
//     start = start0 + start1 x + start2 y + start3 m + start4 u,   step = step0 + step1 m
//
// [coefficient, view], of a multiple of kLineJobs views: those behind the last one have depth 0.
enum ShadowCoefficient { kDepth, kW, kU = kW + 3, kStart = kU + 3, kStep = kStart + 5, kShadowCoefficients = kStep + 2 };

// target[z] += sum over views of the columns at the shadow of the line (x, y), times magnification^power.
template <class T> struct SampleShadowLine {
    double x, y;
    int power;                 // 0 or 2
    const double* table;       // coefficients of the first view
    std::ptrdiff_t coefficient_stride;
    std::int64_t views;
    const T* columns;          // pixel (u = 0, v = 0) of the first view, margins as of voxels above
    std::ptrdiff_t view_stride, column_stride;
    std::int64_t detectors, rows;
    T* target;
    std::int64_t count;
};

}  // namespace opalg
