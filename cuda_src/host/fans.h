// Views of a slice whose rays can be kept as slopes: fans.
#pragma once

#include "fan_jobs.h"
#include "ray_problem.h"

namespace opalg {

// Rays of one view that run mainly along one axis and the same way. Ray r is pixel first + r, or, reversed, counted from
// the end.
struct Fan {
    std::int64_t view;
    int axis;
    double sense;                   // of the rays along the axis: +-1
    std::int64_t first, count;      // pixels
    bool reversed;
    double source_a, source_c;
    std::int64_t start;             // of its part of the tables
    std::int64_t rays;              // of that part, a multiple of lanes
    double shortest, longest;       // sense * where the first and the last of its rays ends
    std::int64_t first_plane, last_plane;  // that its rays may meet
    FanShape shape;
    int anchor;

    std::int64_t pixel(std::int64_t ray) const { return reversed ? first + count - 1 - ray : first + ray; }
    // Planes first .. first + planes - 1, of those that count; none if `planes` is zero.
    FanBand band(std::int64_t first, std::int64_t planes) const {
        return {int(planes), source_c, sense * (double(first) - source_a), sense * double(first), sense};
    }
    bool ends_before(std::int64_t plane) const { return sense * double(plane) > shortest; }  // some ray
    bool ends_within() const { return first_plane < last_plane && ends_before(sense > 0 ? last_plane - 1 : first_plane); }
};

// The fans of all views that consist of fans, and their slopes.
class FanTable {
public:
    // Not `wanted`: it is empty.
    FanTable(const RayProblem& problem, const PixelTable& pixels, bool wanted, int lanes, Team& team);

    const std::vector<Fan>& fans() const { return fans_; }
    const std::vector<std::int64_t>& others() const { return others_; }  // views that do not
    std::int64_t size() const { return stride_ * problem_.views; }
    std::int64_t most_rays() const { return stride_; }
    std::int64_t margin() const { return margin_; }
    // Of the table of a fan; real rays begin behind the margin.
    const double* slopes(const Fan& fan) const { return memory_.data() + fan.start; }
    std::int64_t knot_count(const Fan& fan) const { return fan.rays / kRaysPerKnot; }
    // Of the rays, between two planes.
    template <class T> void lengths(const Fan& fan, T* lengths) const;
    // limits[r]: last plane of ray r, times sense.
    template <class T> void limits(const Fan& fan, T* limits) const;

private:
    static constexpr int kMost = 2;  // of one view
    // How many fans a view is made of; zero: it is no case for them.
    int divide(std::int64_t view, Fan* fans) const;
    bool finish(Fan& fan, double* slopes) const;

    const RayProblem& problem_;
    const PixelTable& pixels_;
    int lanes_;
    std::int64_t margin_, stride_;
    Buffer<double> memory_;  // made in a Rehearsal too
    std::vector<Fan> fans_;
    std::vector<std::int64_t> others_;
};

template <class T> struct Kernels;

// volumes -> projections of the views that consist of fans; back, volumes are added to.
template <class T>
void project_fans(const RayProblem&, const FanTable&, const Kernels<T>&, const T* volumes, T* projections, Team&);
template <class T>
void backproject_fans(const RayProblem&, const FanTable&, const Kernels<T>&, const T* projections, T* volumes, Team&);

}  // namespace opalg
