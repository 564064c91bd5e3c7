// The transpose of interpolation along lines, and the lengths of a column's rays.
#pragma once

#include "line_kernels.h"

namespace opalg {
namespace OPALG_ISA {

// One line of rays along z, step apart from `start` on, and the two lines of voxels that share it.
template <class T> struct GatherLine {
    T* line;
    std::ptrdiff_t next_line;
    T near, far;
    std::int64_t size;
    const T* values;
    std::int64_t count;
    double start, step;
};

// Voxel z of the line collects the rays k with weight tent(start + step k - z).
template <class V, class Window, int Taps> OPALG_INLINE void gather_line_by(const GatherLine<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    const double inverse = 1 / job.step;
    const V spread = count_up<V>() * Real(inverse), near = broadcast<V>(job.near), far = broadcast<V>(job.far);
    const Real step = Real(job.step);
    const double rate = lanes * inverse, first = ((Taps == 2 ? 0.0 : -1.0) - job.start) * inverse;
    // Voxels that some ray passes.
    const double low = job.start - 1, high = job.start + job.step * double(job.count - 1) + 1;
    if (!(high > 0 && low < double(job.size))) return;
    const std::int64_t begin = low > 0 ? std::int64_t(low) / lanes * lanes : 0;
    const std::int64_t end = high < double(job.size) ? std::int64_t(high) + 1 : job.size;
    Places<Real> places;
    for (std::int64_t z = begin; z < end; z += kLineJobs * lanes) {
        const std::int64_t left = (end - z + lanes - 1) / lanes;
        const int groups = left < kLineJobs ? int(left) : kLineJobs;
        places.fill(first + double(z) * inverse, rate, groups, Window::reach > 0 ? -kMargin : -kFarAway, double(job.count));
        for (int g = 0; g < groups; ++g) {
            IndexOf<V> ray;
            V fraction, weight[Taps], sum = {};
            split_up<V>(broadcast<V>(places.part[g]) + spread, ray, fraction);
            gather_weights<Taps, V>(fraction, step, weight);
            ray = ray + first_tap<Taps>;
            if constexpr (Window::reach > 0) {
                const Window window(job.values + places.whole[g]);
                for (int t = 0; t < Taps; ++t) sum = sum + weight[t] * window(ray + t);
            } else {
                ray = clamped<V>(ray + broadcast_index<V>(places.whole[g]), -Taps, job.count);
                for (int t = 0; t < Taps; ++t) sum = sum + weight[t] * Window(job.values)(ray + t);
            }
            Real* target = job.line + z + g * lanes;
            store(target, load<V>(target) + near * sum);
            target += job.next_line;
            store(target, load<V>(target) + far * sum);
        }
    }
}

template <class V, int Taps> OPALG_INLINE void gather_line_taps(const GatherLine<RealOf<V>>& job) {
    if (double(Lanes<V>::count - 1) / job.step + 2 + Taps < RegisterWindow<V>::reach)
        gather_line_by<V, RegisterWindow<V>, Taps>(job);
    else gather_line_by<V, MemoryWindow<V>, Taps>(job);
}

template <class V> void gather_column(const GatherColumn<RealOf<V>>& column) {
    using Real = RealOf<V>;
    ColumnPlanes<Real> planes;
    for (std::int64_t first = column.first; first < column.last; first += kLineJobs) {
        planes.fill(column.column, column.across, first);
        const std::int64_t left = column.last - first;
        for (int j = 0; j < (left < kLineJobs ? int(left) : kLineJobs); ++j) {
            if (planes.near[j] == 0 && planes.far[j] == 0) continue;
            const GatherLine<Real> job = {
                column.voxels + (first + j) * column.plane_stride + planes.below[j] * column.line_stride,
                column.line_stride, planes.near[j], planes.far[j], column.size, column.values, column.rows,
                planes.start[j], planes.step[j]};
            if (job.step >= 1) gather_line_taps<V, 2>(job);
            else if (job.step * 3 >= 2) gather_line_taps<V, 3>(job);
            else if (job.step * 2 >= 1) gather_line_taps<V, 4>(job);
            else gather_line_taps<V, 6>(job);
        }
    }
}

template <class V> void scale_column(const ScaleColumn<RealOf<V>>& job) {
    using Real = RealOf<V>;
    Real length[Lanes<V>::count];
    for (std::int64_t v = 0; v < job.rows; v += Lanes<V>::count) {
        for (int l = 0; l < Lanes<V>::count; l += Lanes<Doubles>::count) {
            const Doubles rise = job.spacing * (job.rise + job.step * (count_up<Doubles>() + double(v + l)));
            store_as(length + l, root<Doubles>(job.flat + rise * rise) * job.scale);
        }
        asm volatile("" : : "r"(length) : "memory");
        store(job.sums + v, load<V>(job.sums + v) * load<V>(length));
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
