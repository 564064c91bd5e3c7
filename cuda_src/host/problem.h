// What a call is about: sizes, views, and which slices of the input make up each slice of the output.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "team.h"

namespace opalg {

// A stack of slices seen by parallel rays within the slices. 2D is one slice and one detector row.
struct Problem {
    std::int64_t batch, slices, ny, nx;  // volumes [batch, slices, ny, nx]
    std::int64_t views, rows, detectors; // projections [batch, views, rows, detectors]
    const double* rays;                  // [views, 6], as of parallel_view
    const double* lengths;               // [views], between consecutive planes
    double first_slice, slice_step;      // detector row v lies at slice coordinate first_slice + slice_step * v

    std::int64_t volume_size() const { return slices * ny * nx; }
    std::int64_t projection_size() const { return views * rows * detectors; }
    std::int64_t slice_offset(std::int64_t image, std::int64_t slice) const {
        return image * volume_size() + slice * ny * nx;
    }
    std::int64_t row_offset(std::int64_t image, std::int64_t row) const {
        return image * projection_size() + row * detectors;
    }
    std::int64_t view_stride() const { return rows * detectors; }
};

struct View {
    ParallelView line;
    Footprint footprint;
    std::int64_t index;
    double length;
};

// The views of one dominant axis, ordered by footprint. Throws std::invalid_argument if one has no finite line.
std::vector<View> views_along(const Problem& problem, bool along_x);

// Each lane is a slice of the output: a weighted sum of slices of the input, seen through the same rays. Offsets are in
// elements, to the slice (or detector row) in its array.
template <class T> struct LaneMix {
    std::vector<std::int64_t> target;   // [lanes]
    std::vector<std::int64_t> begin;    // [lanes + 1], into source and weight
    std::vector<std::int64_t> source;
    std::vector<T> weight;
    std::vector<std::int64_t> untouched;  // slices of the output that no input reaches: zero
};

// Detector rows interpolate linearly between the two slices around them (outside: zero); and the transpose of that.
template <class T> LaneMix<T> rows_from_slices(const Problem& problem);
template <class T> LaneMix<T> slices_from_rows(const Problem& problem);

// The largest number of threads worth starting.
int useful_threads(const Problem& problem, int requested);

// volumes -> projections and its exact transpose. The output is overwritten.
template <class T> void project(const Problem&, const Kernels<T>&, const T* volumes, T* projections, Team&);
template <class T> void backproject(const Problem&, const Kernels<T>&, const T* projections, T* volumes, Team&);

}  // namespace opalg
