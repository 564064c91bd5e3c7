// Views whose detector rows are parallel to the z axis of the volume (circular and helical scans): the rays of a detector
// column share a plane that contains z, and meet the same two lines of voxels in every plane of their dominant axis.
#pragma once

#include "line_jobs.h"
#include "ray_problem.h"

namespace opalg {

template <class T> struct Kernels;

class ColumnView {
public:
    ColumnView(const RayProblem& problem, const PixelTable& pixels, std::int64_t view);

    std::int64_t view() const { return view_; }
    Column column(std::int64_t u) const;
    // Multiplies the rays of a column, row v of the formulas at rays[v], with their lengths between planes.
    template <class T> void scale(std::int64_t u, const Kernels<T>& kernels, T* rays) const;
    // Detector row that is row v of the formulas.
    std::int64_t row(std::int64_t v) const { return reversed_ ? problem_.rows - 1 - v : v; }
    // Whether the kernels for lines can do it: rows along z, no ray mainly along z, rows neither too close nor too far.
    bool suitable() const;

private:
    const RayProblem& problem_;
    const PixelTable& pixels_;
    std::int64_t view_;
    bool reversed_;
    double source_[3], first_z_, step_z_;  // first_z_: added to the z of the pixel in row 0
};

// Planes in which a column may meet a line, as first and last + 1; never too few.
struct PlaneRange {
    std::int64_t first, last;
};
PlaneRange planes_of(const Column& column, std::int64_t planes, std::int64_t lines);

// One volume -> its projections in some views, and the exact transpose; as project_rays and backproject_rays.
template <class T>
void project_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>& views, const Kernels<T>&,
                   const T* volume, T* projections, Team&);
template <class T>
void backproject_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>& views, const Kernels<T>&,
                       const T* projections, T* volume, Team&);

}  // namespace opalg
