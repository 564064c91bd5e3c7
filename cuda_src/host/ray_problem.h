// What a call for rays in any direction is about.
#pragma once

#include <cstdint>
#include <vector>

#include "buffer.h"
#include "ray_jobs.h"
#include "team.h"

namespace opalg {

// A slice is a volume of one plane z = 0 before a detector of one row.
struct RayProblem {
    std::int64_t batch;
    std::int64_t size[3];                          // x, y, z: volumes [batch, z, y, x]
    std::int64_t views, rows, detectors;           // projections [batch, views, rows, detectors]
    const double *sources, *corners, *u_steps, *v_steps;  // [views, 3], x y z; corners are centres of pixel (0, 0)
    const double* arc_centres;                     // [views, 3], or null: flat
    double arc_step, spacing[3];
    bool parallel, flat;                           // flat: a slice
    Model model;

    std::int64_t volume_size() const { return size[0] * size[1] * size[2]; }
    std::int64_t projection_size() const { return views * rows * detectors; }
    std::int64_t row_offset(std::int64_t view, std::int64_t row) const { return (view * rows + row) * detectors; }
    std::int64_t stride(int axis) const { return axis == 0 ? 1 : axis == 1 ? size[0] : size[0] * size[1]; }
};

// Centres of the pixels of row 0 of all views.
class PixelTable {
public:
    PixelTable(const RayProblem& problem, Team& team);

    RayView view(std::int64_t view) const;
    RayRow row(std::int64_t view, std::int64_t row) const { return this->view(view).row(row); }
    const double* pixel(std::int64_t view, int axis) const { return memory_.data() + (view * 3 + axis) * stride_; }

private:
    const RayProblem& problem_;
    std::int64_t stride_;
    Buffer<double> memory_;  // made in a Rehearsal too, which looks at the pixels
};

// Scratch memory of one thread for the bundles of a view.
template <class T> class BundleScratch {
public:
    BundleScratch(std::int64_t rays, int lanes)
        : groups_(rays / lanes), rays_(rays), leads_(std::size_t(6 * groups_)),
          apart_(std::size_t(3 * rays)) {}
    BundleMemory<T> memory() const { return {leads_.data(), apart_.data(), groups_, rays_}; }

private:
    std::int64_t groups_, rays_;
    Buffer<double> leads_;
    Buffer<T> apart_;
};

// Whether some rays of a view may run mainly along an axis; never false by mistake.
bool runs_along(const RayProblem& problem, const PixelTable& pixels, std::int64_t view, int axis);

// Pixels of a view that may see planes first..last of an axis, as ranges of rows and columns; all where that is not simple.
struct PixelRange {
    std::int64_t first_row, last_row, first_column, last_column;
};
PixelRange pixels_that_see(const RayProblem& problem, std::int64_t view, int axis, std::int64_t first, std::int64_t last);

int useful_threads(const RayProblem& problem, int requested);

template <class T> struct Kernels;

// One volume -> its projections in some views, ray by ray, and the exact transpose. The output of these views is
// overwritten; a volume, added to.
template <class T>
void project_rays(const RayProblem&, const PixelTable&, const std::vector<std::int64_t>& views, const Kernels<T>&,
                  const T* volume, T* projections, Team&);
template <class T>
void backproject_rays(const RayProblem&, const PixelTable&, const std::vector<std::int64_t>& views, const Kernels<T>&,
                      const T* projections, T* volume, Team&);

// volumes -> projections by the fastest way for every view, and its exact transpose. The output is overwritten.
template <class T> void project(const RayProblem&, const Kernels<T>&, const T* volumes, T* projections, Team&);
template <class T> void backproject(const RayProblem&, const Kernels<T>&, const T* projections, T* volumes, Team&);

// Every voxel gets the sum over views of what its shadow falls on, times magnification^power (0 or 2).
template <class T>
void backproject_voxels(const RayProblem&, const Kernels<T>&, const T* projections, int power, T* volumes, Team&);

}  // namespace opalg
