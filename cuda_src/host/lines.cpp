#include "lines.h"

#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace opalg {

ColumnView::ColumnView(const RayProblem& problem, const PixelTable& pixels, std::int64_t view)
    : problem_(problem), pixels_(pixels), view_(view) {
    for (int k = 0; k < 3; ++k) source_[k] = problem.sources[3 * view + k];
    const double step = problem.v_steps[3 * view + 2];
    reversed_ = step < 0;
    step_z_ = std::abs(step);
    first_z_ = reversed_ ? double(problem.rows - 1) * step : 0.0;
}

Column ColumnView::column(std::int64_t u) const {
    const double pixel[3] = {pixels_.pixel(view_, 0)[u], pixels_.pixel(view_, 1)[u], pixels_.pixel(view_, 2)[u] + first_z_};
    double direction[3];
    for (int k = 0; k < 3; ++k) direction[k] = problem_.parallel ? source_[k] : pixel[k] - source_[k];
    Column c;
    c.along_x = std::abs(direction[0]) > std::abs(direction[1]);
    const int a = c.along_x ? 0 : 1, b = 1 - a;
    const double* anchor = problem_.parallel ? pixel : source_;
    const double inverse = 1 / direction[a];
    c.across_slope = direction[b] * inverse;
    c.across = anchor[b] - anchor[a] * c.across_slope;
    c.start_slope = direction[2] * inverse;
    c.start = anchor[2] - anchor[a] * c.start_slope;
    c.step_slope = problem_.parallel ? 0.0 : step_z_ * inverse;
    c.step = problem_.parallel ? step_z_ : -anchor[a] * c.step_slope;
    c.first = problem_.parallel ? -HUGE_VAL : std::min(source_[a], pixel[a]);
    c.last = problem_.parallel ? HUGE_VAL : std::max(source_[a], pixel[a]);
    return c;
}

template <class T> void ColumnView::scale(std::int64_t u, const Kernels<T>& kernels, T* rays) const {
    double direction[3];
    for (int k = 0; k < 3; ++k)
        direction[k] = problem_.parallel ? source_[k] : pixels_.pixel(view_, k)[u] - source_[k];
    const double x = direction[0] * problem_.spacing[0], y = direction[1] * problem_.spacing[1];
    const double most = std::max(std::abs(direction[0]), std::abs(direction[1]));
    kernels.scale_column({x * x + y * y, direction[2] + (problem_.parallel ? 0.0 : first_z_),
                          problem_.parallel ? 0.0 : step_z_, problem_.spacing[2], most > 0 ? 1 / most : 0.0, rays,
                          problem_.rows});
}
template void ColumnView::scale(std::int64_t, const Kernels<float>&, float*) const;
template void ColumnView::scale(std::int64_t, const Kernels<double>&, double*) const;

bool ColumnView::suitable() const {
    // Lines of few voxels or rows leave most lanes empty.
    if (problem_.model != Model::joseph || problem_.flat || problem_.rows < 4 || problem_.size[2] < 4) return false;
    const double* v_step = problem_.v_steps + 3 * view_;
    if (std::abs(v_step[0]) + std::abs(v_step[1]) > 1e-15 * std::abs(v_step[2]) || step_z_ == 0) return false;
    const double up = double(problem_.rows - 1) * step_z_;
    for (std::int64_t u = 0; u < problem_.detectors; ++u) {
        double ends[3];
        for (int k = 0; k < 3; ++k) ends[k] = problem_.parallel ? source_[k] : pixels_.pixel(view_, k)[u] - source_[k];
        const double low = problem_.parallel ? ends[2] : ends[2] + first_z_;
        const double high = problem_.parallel ? ends[2] : low + up, most = std::max(std::abs(ends[0]), std::abs(ends[1]));
        if (!(most > 0) || std::abs(low) > most || std::abs(high) > most) return false;
        const Column c = column(u);
        const std::int64_t planes = problem_.size[c.along_x ? 0 : 1];
        const double first = std::max(0.0, std::ceil(c.first)), last = std::min(double(planes - 1), std::floor(c.last));
        if (first > last) continue;
        for (const double plane : {first, last}) {
            const double step = c.step + c.step_slope * plane;
            if (!(step >= kLeastStep && step <= kMostStep)) return false;
        }
    }
    return true;
}

PlaneRange planes_of(const Column& column, std::int64_t planes, std::int64_t lines) {
    double first = std::max(0.0, column.first), last = std::min(double(planes - 1), column.last);
    if (column.across_slope != 0) {
        const double one = (-1 - column.across) / column.across_slope;
        const double other = (double(lines) - column.across) / column.across_slope;
        first = std::max(first, std::min(one, other) - 1);  // with room for rounding
        last = std::min(last, std::max(one, other) + 1);
    }
    if (!(first <= last)) return {0, 0};
    return {std::int64_t(first), std::int64_t(last) + 1};
}

}  // namespace opalg
