// The inner loops that exist once per instruction set, as plain structs and function pointers.
//
// This is the border between code compiled for one instruction set (kernels.cpp and what it includes) and the rest of the
// engine, built for the lowest processor. Nothing from the standard library with a body of its own may be instantiated
// behind it: such a symbol would be shared, and the linker might keep the copy that an older processor cannot run.
//
// Vocabulary. Views of one dominant axis see an image as `planes` (rows, or columns of a transposed copy) of `across`
// pixels. Planes are worked on in groups of kPlanes. A *stack* is `lanes` images interleaved, [..., pixel, lane].
#pragma once

#include <cstddef>
#include <cstdint>

#include "../joseph.cuh"
#include "difference_jobs.h"
#include "fan_jobs.h"
#include "footprint_jobs.h"
#include "line_jobs.h"
#include "ray_jobs.h"
#include "voxel_jobs.h"

namespace opalg {

constexpr int kPlanes = 16;         // planes of one band (projection) or strip (back projection), at most
constexpr int kStackPlanes = 8;     // planes of one band of a stack
constexpr int kViewsPerChunk = 16;  // views that a projection takes through the image together
constexpr int kViewsAtOnce = 8;     // views whose stencils a back projection tile keeps at a time
constexpr int kStackMargin = 4;     // zero pixels on either side of a plane (or view) of a stack
constexpr int kMargin = 48;         // zero pixels on either side of a plane (or view) of a single image

enum class Footprint : int {
    two_rays,    // 1 <= step
    three_rays,  // 2/3 <= step
    many_rays,   // any step
};

// A few views' rays through one band of planes. sums[view][ray] (or [ray, lane]) is added to.
template <class T> struct ProjectBand {
    const T* image;                // pixel 0 of the band's first plane
    std::ptrdiff_t plane_stride;   // in elements
    std::int64_t across;
    int planes;                    // <= kPlanes
    double first_plane;            // its number
    const ParallelView* views;
    T* const* sums;                // ray 0 of each view
    const std::int64_t* first_ray; // of each view, multiples of `lanes`: sums are long enough
    const std::int64_t* last_ray;
    int view_count;                // <= kViewsPerChunk
};

// One strip of planes gathers from a few views. image[plane, pixel] (or [plane, pixel, lane]) is added to.
template <class T> struct BackprojectStrip {
    T* image;                      // pixel 0 of the strip's first plane; pixels up to a multiple of `lanes` are writable
    std::ptrdiff_t plane_stride;   // in elements
    std::int64_t across;
    int planes;                    // <= kPlanes
    double first_plane;            // its number
    const ParallelView* views;
    const T* const* rays;          // ray 0 of each view, margins on both sides
    int view_count;                // <= kViewsAtOnce
    std::int64_t detectors;
    Footprint footprint;
};

// Row of a stack: lane l is the sum of weight[k] * source[k][x], k in [begin[l], begin[l + 1]), times scale.
template <class T> struct PackRow {
    const std::int32_t* begin;     // [lanes + 1]
    const T* const* source;
    const T* weight;
    std::ptrdiff_t source_offset;  // of this row in every source
    std::int64_t count;
    T scale;
    T* stack;                      // pixel 0 of this row
    std::ptrdiff_t pixel_stride;   // in elements, may be negative
};

template <class T> struct UnpackRow {
    const T* stack;                // pixel 0 of this row
    std::ptrdiff_t pixel_stride;   // in elements, may be negative
    std::int64_t count;
    T scale;
    T* const* target;              // [lanes], null where a lane is unused
    std::ptrdiff_t target_offset;  // of this row in every target
    bool add;                      // add to the target, else overwrite it
};

template <class T> struct Kernels {
    int lanes;
    int window;  // consecutive numbers that are looked up in registers; zero: there is no such instruction
    void (*project_image)(const ProjectBand<T>&);
    void (*project_stack)(const ProjectBand<T>&);
    void (*backproject_image)(const BackprojectStrip<T>&);
    void (*backproject_stack)(const BackprojectStrip<T>&);
    void (*pack_row)(const PackRow<T>&);
    void (*unpack_row)(const UnpackRow<T>&);
    void (*project_rays)(const ProjectRays<T>&);
    void (*scatter_rays)(const ScatterRays<T>&);
    void (*project_fan)(const ProjectFan<T>&);
    void (*backproject_fan)(const BackprojectFan<T>&);
    void (*scale_row)(const ScaleRow<T>&);
    void (*sample_lines)(const SampleLines<T>&);
    void (*sample_column)(const SampleColumn<T>&);
    void (*sample_shadow_line)(const SampleShadowLine<T>&);
    void (*gather_column)(const GatherColumn<T>&);
    void (*scale_column)(const ScaleColumn<T>&);
    void (*sample_shadows)(const SampleShadows<T>&);
    void (*sum_differences)(SumDifferences<T>&);
    void (*shrink_field)(ShrinkField<T>&);
    void (*gather_footprints)(const FootprintLine<T>&);
    void (*scatter_footprints)(const FootprintLine<T>&);
    void (*project_columns)(const FootprintColumns<T>&);
    void (*backproject_columns)(const FootprintColumns<T>&);
    void (*spread_rows)(const FootprintRows<T>&);
    void (*collect_rows)(const FootprintRows<T>&);
};

struct InstructionSet {
    const char* name;
    const char* description;
    bool (*available)();
    const Kernels<float>* float32;
    const Kernels<double>* float64;
};

}  // namespace opalg
