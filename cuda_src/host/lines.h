// Views whose detector rows are parallel to the z axis of the volume (circular and helical scans): the rays of a detector
// column share a plane that contains z, and meet the same two lines of voxels in every plane of their dominant axis.
#pragma once

#include "ray_problem.h"

namespace opalg {

// Where the rays of a column are in plane j of its dominant axis. Row v of the formulas rises with z.
struct Column {
    bool along_x;                  // else along y
    double across, across_slope;   // y, or x:  across + across_slope j
    double start, start_slope;     // z of row 0: start + start_slope j
    double step, step_slope;       // from row to row: step + step_slope j
    double first, last;            // planes that count lie between

    bool counts(std::int64_t plane) const { return double(plane) >= first && double(plane) <= last; }
};

class ColumnView {
public:
    ColumnView(const RayProblem& problem, const PixelTable& pixels, std::int64_t view);

    std::int64_t view() const { return view_; }
    Column column(std::int64_t u) const;
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

template <class T> struct Kernels;

// One volume -> its projections in some views, and the exact transpose; as project_rays and backproject_rays.
template <class T>
void project_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>& views, const Kernels<T>&,
                   const T* volume, T* projections, Team&);
template <class T>
void backproject_lines(const RayProblem&, const PixelTable&, const std::vector<ColumnView>& views, const Kernels<T>&,
                       const T* projections, T* volume, Team&);

}  // namespace opalg
