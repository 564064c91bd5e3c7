// What the schedules of the footprint model share.
#pragma once

#include "footprint_jobs.h"
#include "ray_problem.h"

namespace opalg {

// Views of one call, and the way each is computed.
class Footprints {
public:
    Footprints(const RayProblem& problem, FootprintKind kind);

    // Transposed: with x and y exchanged.
    const FootprintView& view(std::int64_t number, bool transposed = false) const {
        return (transposed ? transposed_ : views_)[std::size_t(number)];
    }
    const RayProblem& problem() const { return problem_; }
    // Views of which lines of voxels along z fall on the same columns; all others. Transposed: slices in which shadows of
    // lines along y are longer than those along x, so that neighbours throw them further apart.
    const std::vector<std::int64_t>& upright() const { return upright_; }
    const std::vector<std::int64_t>& others(bool transposed) const { return transposed ? others_along_y_ : others_along_x_; }

    // Whether all lines fall on the rows of all upright views alike (parallel rays within slices): then lines are brought to
    // rows once, and views share them.
    bool rows_agree() const { return rows_agree_; }

    // What projections are multiplied with at pixels first..last of a row: voxel volume over pixel area.
    template <class T>
    void scale_row(std::int64_t view, std::int64_t row, std::int64_t first, std::int64_t last, T* scale) const;

private:
    bool is_upright(std::int64_t view) const;
    bool is_steep(std::int64_t view) const;

    const RayProblem& problem_;
    FootprintKind kind_;
    std::vector<FootprintView> views_, transposed_;
    std::vector<std::int64_t> upright_, others_along_x_, others_along_y_;
    bool rows_agree_;
};

// The shadow of a line of voxels (x, y, all z) in an upright view.
template <class T> struct LineFootprint {
    bool seen = false;
    std::int64_t first_column = 0;
    std::vector<T> weights;  // of columns, with everything that does not depend on z
    double start, step, level, shift_rate, width;

    // Among columns first..last; false if none is touched.
    bool set(const Footprints& footprints, std::int64_t view, std::int64_t x, std::int64_t y, std::int64_t first,
             std::int64_t last);
    // What does not depend on x and y if rows agree.
    void set_rows(const Footprints& footprints, std::int64_t view);
};

// volumes -> projections, and the transpose of the backprojection (kind.points: of backproject_voxels). Overwritten.
template <class T>
void project_footprints(const RayProblem&, const Kernels<T>&, FootprintKind, const T* volumes, T* projections, Team&);
template <class T>
void backproject_footprints(const RayProblem&, const Kernels<T>&, FootprintKind, const T* projections, T* volumes, Team&);

}  // namespace opalg
