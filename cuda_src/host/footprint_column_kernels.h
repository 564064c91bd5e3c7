// The footprint model where detector rows are along z: lanes are rows that look at voxels, or voxels that look at rows.
#pragma once

#include "footprint_jobs.h"
#include "ray_kernels.h"

namespace opalg {
namespace OPALG_ISA {

// Along z. What a row (a voxel) meets lies within `reach` of it, in voxels (rows). Blurred: Gauss points part.
template <class V, bool Blurred> struct ColumnShape {
    V width_reach, most, rate;

    template <class T>
    explicit ColumnShape(const FootprintColumns<T>& job)
        : width_reach(broadcast<V>(0.5 * (1 + job.width))), most(broadcast<V>(job.width < 1 ? job.width : 1.0)),
          rate(broadcast<V>(job.shift_rate)) {}

    // Distance from pixel to shadow, in rows, and of the voxel from the level one.
    OPALG_INLINE_MEMBER V operator()(V distance, V from_level) const {
        if constexpr (Blurred) return overlap_of_boxes<V>(distance, rate * absolute<V>(from_level), width_reach, most);
        const V one = smaller<V>(most, larger<V>(broadcast<V>(0), width_reach - absolute<V>(distance)));
        return one + one;
    }
};

struct ColumnReach {
    double rows;             // half of what a shadow covers, with half a pixel
    std::int64_t first, last;  // rows touched

    template <class T> explicit ColumnReach(const FootprintColumns<T>& job) {
        const double near = magnitude(job.level), far = magnitude(double(job.count - 1) - job.level);
        rows = 0.5 * (1 + job.width) + job.shift_rate * (near > far ? near : far);
        const double a = job.start, b = job.start + job.step * double(job.count - 1);
        const double low = (a < b ? a : b) - rows, high = (a < b ? b : a) + rows, end = double(job.rows);
        first = low > 0 ? low < end ? std::int64_t(low) : job.rows : 0;
        last = high < 0 ? 0 : high < end - 1 ? std::int64_t(high) + 1 : job.rows;
    }
};

template <class V> OPALG_INLINE V lane_numbers() {
    V lane;
    for (int l = 0; l < Lanes<V>::count; ++l) lane[l] = RealOf<V>(l);
    return lane;
}

// Numbers first..last of a line with zeros around them; lanes look them up at places that rise or fall by `slope` from one
// lane to the next, in a window of two registers where they are close together.
template <class V> struct ColumnLine {
    const RealOf<V>* origin;
    std::int64_t first, last;

    // values + first .. values + last - 1 are there; scratch has room for them and both margins.
    OPALG_INLINE_MEMBER ColumnLine(RealOf<V>* scratch, std::int64_t begin, std::int64_t end)
        : origin(scratch + kFootprintMargin - begin), first(begin), last(end) {
        for (int k = 0; k < kFootprintMargin; k += Lanes<V>::count) {
            store(scratch + k, broadcast<V>(0));
            store(scratch + kFootprintMargin + (end - begin) + k, broadcast<V>(0));
        }
    }

    // sum over k of weight(k) * line[floor + 1 + whole + k]
    template <class Weight>
    OPALG_INLINE_MEMBER V sum(std::int64_t floor, IndexOf<V> whole, double slope, int count, const Weight& weight) const {
        constexpr int lanes = Lanes<V>::count, window = RegisterWindow<V>::reach;
        const double way = slope * (lanes - 1);
        const int down = way < 0 ? int(-way) + 2 : 0;  // below the first lane's
        const std::int64_t lowest = floor + 1 - down;
        V total = broadcast<V>(0);
        if (window && int(magnitude(way)) + 3 + count <= window && lowest >= first - kFootprintMargin &&
            lowest + window <= last + kFootprintMargin) {
            const RegisterWindow<V> numbers(origin + lowest);
            IndexOf<V> index = whole + broadcast_index<V>(down);
            for (int k = 0; k < count; ++k) {
                total += weight(k) * numbers(index);
                index += broadcast_index<V>(1);
            }
            return total;
        }
        const MemoryWindow<V> numbers(origin);
        IndexOf<V> index = whole + broadcast_index<V>(floor + 1);
        for (int k = 0; k < count; ++k) {
            total += weight(k) * numbers(clamped<V>(index, first - 1, last));
            index += broadcast_index<V>(1);
        }
        return total;
    }
};

// Rows look at voxels.
template <class V, bool Blurred> OPALG_INLINE void project_column_line(const FootprintColumns<RealOf<V>>& job) {
    using Real = RealOf<V>;
    const ColumnReach reach(job);
    if (reach.first >= reach.last) return;
    for (std::int64_t z = 0; z < job.count; z += Lanes<V>::count)
        store(job.scratch + kFootprintMargin + z, load<V>(job.voxels + z));
    const ColumnLine<V> voxels(job.scratch, 0, job.count);
    const ColumnShape<V, Blurred> shape(job);
    const double inverse = 1 / job.step, wide = reach.rows * magnitude(inverse);
    const int count = int(2 * wide) + 1;
    const V lane = lane_numbers<V>() * broadcast<V>(inverse), step = broadcast<V>(job.step);
    for (std::int64_t row = reach.first; row < reach.last; row += Lanes<V>::count) {
        // The lowest voxel is the one above `below`.
        const double below = (double(row) - job.start) * inverse - wide, floor = __builtin_floor(below);
        IndexOf<V> whole;
        V fraction;
        split_floor<V>(broadcast<V>(below - floor) + lane, whole, fraction);
        const V away = broadcast<V>(1 - wide) - fraction;  // of the voxel from the row's middle
        const V from_level = broadcast<V>(floor + 1 - job.level) + __builtin_convertvector(whole, V);
        const V sum = voxels.sum(std::int64_t(floor), whole, inverse, count, [&](int k) {
            return shape((away + broadcast<V>(k)) * step, from_level + broadcast<V>(k));
        });
        Real* target = job.pixels + row;
        for (int k = 0; k < job.columns; ++k, target += job.column_stride)
            store(target, load<V>(target) + broadcast<V>(job.weight[k]) * sum);
    }
}

// Voxels look at rows.
template <class V, bool Blurred> OPALG_INLINE void backproject_column_line(const FootprintColumns<RealOf<V>>& job) {
    using Real = RealOf<V>;
    const ColumnReach reach(job);
    if (reach.first >= reach.last) return;
    for (std::int64_t row = reach.first; row < reach.last; row += Lanes<V>::count) {
        const Real* source = job.pixels + row;
        V sum = broadcast<V>(0);
        for (int k = 0; k < job.columns; ++k, source += job.column_stride)
            sum += broadcast<V>(job.weight[k]) * load<V>(source);
        store(job.scratch + kFootprintMargin + (row - reach.first), sum);
    }
    const ColumnLine<V> rows(job.scratch, reach.first, reach.last);
    const ColumnShape<V, Blurred> shape(job);
    const int count = int(2 * reach.rows) + 1;
    const V numbers = lane_numbers<V>(), lane = numbers * broadcast<V>(job.step);
    for (std::int64_t z = 0; z < job.count; z += Lanes<V>::count) {
        const double below = job.start + job.step * double(z) - reach.rows, floor = __builtin_floor(below);
        IndexOf<V> whole;
        V fraction;
        split_floor<V>(broadcast<V>(below - floor) + lane, whole, fraction);
        const V away = broadcast<V>(1 - reach.rows) - fraction;
        const V from_level = broadcast<V>(double(z) - job.level) + numbers;
        const V sum = rows.sum(std::int64_t(floor), whole, job.step, count,
                               [&](int k) { return shape(away + broadcast<V>(k), from_level); });
        store(job.voxels + z, load<V>(job.voxels + z) + sum);
    }
}

template <class V> void project_columns(const FootprintColumns<RealOf<V>>& job) {
    if (job.shift_rate != 0) project_column_line<V, true>(job);
    else project_column_line<V, false>(job);
}
template <class V> void backproject_columns(const FootprintColumns<RealOf<V>>& job) {
    if (job.shift_rate != 0) backproject_column_line<V, true>(job);
    else backproject_column_line<V, false>(job);
}

template <class V> void spread_rows(const FootprintRows<RealOf<V>>& job) {
    for (std::int64_t row = 0; row < job.rows; row += Lanes<V>::count) {
        const V value = load<V>(job.line + row);
        RealOf<V>* target = job.pixels + row;
        for (int k = 0; k < job.columns; ++k, target += job.column_stride)
            store(target, load<V>(target) + broadcast<V>(job.weight[k]) * value);
    }
}
template <class V> void collect_rows(const FootprintRows<RealOf<V>>& job) {
    for (std::int64_t row = 0; row < job.rows; row += Lanes<V>::count) {
        V sum = load<V>(job.line + row);
        const RealOf<V>* source = job.pixels + row;
        for (int k = 0; k < job.columns; ++k, source += job.column_stride)
            sum += broadcast<V>(job.weight[k]) * load<V>(source);
        store(job.line + row, sum);
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
