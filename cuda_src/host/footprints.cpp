#include "footprints.h"

#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace opalg {

namespace {

// Rows of the inverse of [a b c], times p - origin, as affine functions of p.
void invert(const double a[3], const double b[3], const double c[3], const double origin[3], double rows[3][4]) {
    cross_product(b, c, rows[0]);
    cross_product(c, a, rows[1]);
    cross_product(a, b, rows[2]);
    const double volume = dot_product(a, rows[0]);
    for (int r = 0; r < 3; ++r) {
        for (int k = 0; k < 3; ++k) rows[r][k] /= volume;
        rows[r][3] = -dot_product(rows[r], origin);
    }
}

FootprintView make_view(const RayProblem& p, FootprintKind kind, std::int64_t view) {
    const double *source = p.sources + 3 * view, *corner = p.corners + 3 * view, *u = p.u_steps + 3 * view,
                 *v = p.v_steps + 3 * view;
    FootprintView result = {};
    result.parallel = p.parallel;
    result.flat = p.flat;
    result.kind = kind;
    result.curved = p.arc_centres != nullptr;
    double rows[3][4];
    if (result.curved) {
        const double* centre = p.arc_centres + 3 * view;
        double ahead[3], aside[3];
        for (int k = 0; k < 3; ++k) {
            ahead[k] = corner[k] - centre[k];
            aside[k] = u[k] / p.arc_step;
        }
        invert(ahead, aside, v, source, rows);
        result.arc_step = p.arc_step;
        result.middle = double(p.detectors - 1) / 2 * p.arc_step;
        result.height = -(rows[2][0] * centre[0] + rows[2][1] * centre[1] + rows[2][2] * centre[2] + rows[2][3]);
        std::copy(rows[0], rows[0] + 4, result.u);
        std::copy(rows[1], rows[1] + 4, result.v);
        std::copy(rows[2], rows[2] + 4, result.w);
        return result;
    }
    double third[3];
    for (int k = 0; k < 3; ++k) third[k] = p.parallel ? -source[k] : corner[k] - source[k];
    invert(u, v, third, p.parallel ? corner : source, rows);
    std::copy(rows[0], rows[0] + 4, result.u);
    std::copy(rows[1], rows[1] + 4, result.v);
    if (p.parallel) result.w[3] = 1;
    else std::copy(rows[2], rows[2] + 4, result.w);
    return result;
}

}  // namespace

Footprints::Footprints(const RayProblem& problem, FootprintKind kind) : problem_(problem), kind_(kind) {
    for (std::int64_t view = 0; view < problem.views; ++view) {
        views_.push_back(make_view(problem, kind, view));
        transposed_.push_back(views_.back());
        for (double* row : {transposed_.back().u, transposed_.back().v, transposed_.back().w}) std::swap(row[0], row[1]);
        (is_upright(view) ? upright_ : is_steep(view) ? others_along_y_ : others_along_x_).push_back(view);
    }
    rows_agree_ = problem.parallel;
    for (const std::int64_t view : upright_)
        for (const double* z : {problem.corners + 2, problem.v_steps + 2})
            rows_agree_ = rows_agree_ && z[3 * view] == z[3 * upright_.front()];
}

// Rows along z; no other vector of the detector leaves the plane of x and y, so that columns and magnifications do not
// depend on z; and along v no side of a voxel casts a longer shadow than that along z, which gives the box its width.
bool Footprints::is_upright(std::int64_t view) const {
    const RayProblem& p = problem_;
    const double *source = p.sources + 3 * view, *corner = p.corners + 3 * view, *v = p.v_steps + 3 * view;
    if (p.flat || v[0] != 0 || v[1] != 0 || v[2] == 0 || p.u_steps[3 * view + 2] != 0) return false;
    if (p.parallel && source[2] != 0) return false;
    if (p.arc_centres && corner[2] != p.arc_centres[3 * view + 2]) return false;
    if (kind_.points || p.parallel) return true;
    const double lowest = magnitude(source[2]), highest = magnitude(double(p.size[2] - 1) - source[2]);
    for (int corners = 0; corners < 4; ++corners) {
        const double place[3] = {corners & 1 ? double(p.size[0] - 1) : 0, corners & 2 ? double(p.size[1] - 1) : 0,
                                 source[2] + std::max(lowest, highest)};
        VoxelShadow<double> s;
        if (!voxel_shadow<false, double>(this->view(view), place, s)) return false;
        // Between corners voxels may be nearer than at them.
        if (2 * std::max(magnitude(s.slope_v[0]), magnitude(s.slope_v[1])) > magnitude(s.slope_v[2])) return false;
    }
    return true;
}

bool Footprints::is_steep(std::int64_t view) const {
    if (!problem_.flat) return false;
    const double middle[3] = {double(problem_.size[0] - 1) / 2, double(problem_.size[1] - 1) / 2, 0};
    VoxelShadow<double> s;
    const bool seen = voxel_shadow<true, double>(this->view(view), middle, s);
    return seen && magnitude(s.slope_u[1]) > magnitude(s.slope_u[0]);
}

template <class T>
void Footprints::scale_row(std::int64_t view, std::int64_t row, std::int64_t first, std::int64_t last, T* scale) const {
    if (kind_.points) {
        std::fill(scale, scale + (last - first), T(1));
        return;
    }
    const RayProblem& p = problem_;
    double source[3], corner[3], u[3], v[3], centre[3] = {};
    for (int k = 0; k < 3; ++k) {
        const double h = p.spacing[k];
        source[k] = p.sources[3 * view + k] * h;
        v[k] = p.v_steps[3 * view + k] * h;
        corner[k] = p.corners[3 * view + k] * h + double(row) * v[k];
        u[k] = p.u_steps[3 * view + k] * h;
        if (p.arc_centres) centre[k] = p.arc_centres[3 * view + k] * h + double(row) * v[k];
    }
    const double volume = p.spacing[0] * p.spacing[1] * p.spacing[2];
    for (std::int64_t column = first; column < last; ++column) {
        double way[3], step[3];
        const double c = double(column), cosine = p.arc_centres ? std::cos(c * p.arc_step) : 1,
                     sine = p.arc_centres ? std::sin(c * p.arc_step) : 0;
        for (int k = 0; k < 3; ++k) {
            double pixel = corner[k] + c * u[k];
            step[k] = u[k];
            if (p.arc_centres) {
                const double radius = corner[k] - centre[k];
                pixel = centre[k] + cosine * radius + sine / p.arc_step * u[k];
                step[k] = cosine * u[k] - sine * p.arc_step * radius;
            }
            way[k] = p.parallel ? source[k] : pixel - source[k];
        }
        scale[column - first] = T(pixel_scale(way, step, v, volume));
    }
}
template void Footprints::scale_row(std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*) const;
template void Footprints::scale_row(std::int64_t, std::int64_t, std::int64_t, std::int64_t, double*) const;

template <class T>
bool LineFootprint<T>::set(const Footprints& footprints, std::int64_t view, std::int64_t x, std::int64_t y,
                           std::int64_t first, std::int64_t last) {
    const RayProblem& p = footprints.problem();
    const FootprintView& shadows = footprints.view(view);
    level = p.parallel ? 0 : p.sources[3 * view + 2];
    const double place[3] = {double(x), double(y), level + 1};
    VoxelShadow<double> s;
    if (!voxel_shadow<false, double>(shadows, place, s)) return false;
    const double reach = 0.5 * (1 + s.wide_u + s.narrow_u);
    const double low = std::max(std::floor(s.u - reach) + 1, double(first));
    const double high = std::min(std::floor(s.u + reach), double(last - 1));
    if (!(low <= high)) return false;
    step = s.slope_v[2];
    start = s.v - step * place[2];
    width = s.wide_v;
    shift_rate = p.parallel ? 0 : s.shift_v;
    first_column = std::int64_t(low);
    double amount = footprints.rows_agree() ? 1 : 0.5 / width;
    for (int k = 0; k < shadows.kind.power; ++k) amount *= s.magnification;
    weights.clear();
    const Trapezoid<double> shape(s.wide_u, s.narrow_u);
    double edge = low - 0.5 - s.u, before = shape.up_to(edge);
    for (double column = low; column <= high; ++column) {
        const double after = shape.up_to(++edge);
        weights.push_back(T(amount * (after - before)));
        before = after;
    }
    return true;
}
template <class T> void LineFootprint<T>::set_rows(const Footprints& footprints, std::int64_t view) {
    const double place[3] = {0, 0, 0};
    VoxelShadow<double> s;
    voxel_shadow<false, double>(footprints.view(view), place, s);
    start = s.v;
    step = s.slope_v[2];
    width = s.wide_v;
    level = shift_rate = 0;
}
template struct LineFootprint<float>;
template struct LineFootprint<double>;

}  // namespace opalg
