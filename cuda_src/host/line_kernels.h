// Interpolation along lines: of many lines at many places at once. Lanes are consecutive numbers of a line. Used where
// detector rows are parallel to an axis of the volume: all rays of a detector column then meet the same two lines of
// voxels in every plane, and all voxels of a line fall between the same two columns.
#pragma once

#include "plane_table.h"

namespace opalg {
namespace OPALG_ISA {

using Doubles = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;

template <class V> OPALG_INLINE V count_up() {
    V lane = {};
    for (int l = 0; l < Lanes<V>::count; ++l) lane[l] = RealOf<V>(l);
    return lane;
}

// Doubles to any element type, one register's worth of doubles.
template <class T> OPALG_INLINE void store_as(T* target, Doubles x) {
    typedef T Converted __attribute__((vector_size(Lanes<Doubles>::count * sizeof(T))));
    store(target, __builtin_convertvector(x, Converted));
}

// Places as integer and remainder; integers are kept within [low, high].
template <class T> struct Places {
    typename Lanes<T>::Index whole[kLineJobs];
    T part[kLineJobs];

    // start + rate * at, for many lines
    OPALG_INLINE_MEMBER void fill(const double* start, const double* rate, double at, double low, double high) {
        for (int k = 0; k < kLineJobs; k += Lanes<Doubles>::count)
            set(k, load<Doubles>(start + k) + load<Doubles>(rate + k) * at, low, high);
        asm volatile("" : : "r"(this) : "memory");  // as in PlaneTable
    }
    // start + rate * k, k = 0, 1, ..
    OPALG_INLINE_MEMBER void fill(double start, double rate, int count, double low, double high) {
        const Doubles number = count_up<Doubles>();
        for (int k = 0; k < count; k += Lanes<Doubles>::count) set(k, start + rate * (number + double(k)), low, high);
        asm volatile("" : : "r"(this) : "memory");
    }

private:
    OPALG_INLINE_MEMBER void set(int k, Doubles place, double low, double high) {
        place = smaller<Doubles>(larger<Doubles>(place, broadcast<Doubles>(low)), broadcast<Doubles>(high));
        const Doubles floor = rounded_down<Doubles>(place);
        store_as(whole + k, floor);
        store_as(part + k, place - floor);
    }
};

// The targets that the lines of a job reach, as multiples of lanes, and the largest step.
struct Targets {
    std::int64_t first, last;
    double step;
};
template <class V> OPALG_INLINE Targets targets_of(const SampleLines<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count, width = Lanes<Doubles>::count;
    Doubles least = broadcast<Doubles>(double(job.count)), most = broadcast<Doubles>(-1), rate = broadcast<Doubles>(0);
    for (int j = 0; j < kLineJobs; j += width) {
        const Doubles start = load<Doubles>(job.start + j), step = load<Doubles>(job.step + j);
        const Doubles inverse = 1.0 / larger<Doubles>(step, broadcast<Doubles>(1e-30));
        least = smaller<Doubles>(least, (-1.0 - start) * inverse);
        most = larger<Doubles>(most, (double(job.size) - start) * inverse);
        rate = larger<Doubles>(rate, step);
    }
    double bounds[3][width];
    store(bounds[0], least);
    store(bounds[1], most);
    store(bounds[2], rate);
    asm volatile("" : : "r"(bounds) : "memory");  // read back one by one, as in PlaneTable
    double first = bounds[0][0], last = bounds[1][0], step = bounds[2][0];
    for (int l = 1; l < width; ++l) {
        first = bounds[0][l] < first ? bounds[0][l] : first;
        last = bounds[1][l] > last ? bounds[1][l] : last;
        step = bounds[2][l] > step ? bounds[2][l] : step;
    }
    first = first < 0 ? 0 : first;
    last = last < double(job.count - 1) ? last + 1 : double(job.count);
    if (!(first < last)) return {0, 0, step};
    return {std::int64_t(first) / lanes * lanes, (std::int64_t(last) + lanes - 1) / lanes * lanes, step};
}

// Groups of targets from one line each, at origin. Several are kept in flight, so that their sums wait less for each other.
template <class V, int Groups>
OPALG_INLINE void sample_groups(const SampleLines<RealOf<V>>& job, const RealOf<V>* rate, const RealOf<V>* const* origin,
                                std::int64_t k) {
    constexpr int lanes = Lanes<V>::count;
    const V lane = count_up<V>();
    Places<RealOf<V>> places[Groups];
    V sum[Groups];
    for (int g = 0; g < Groups; ++g) {
        places[g].fill(job.start, job.step, double(k + g * lanes), -kMargin, double(job.size));
        sum[g] = load<V>(job.target + k + g * lanes);
    }
    for (int j = 0; j < job.jobs; ++j) {
        for (int g = 0; g < Groups; ++g) {
            IndexOf<V> lower;
            V weight;
            split_up<V>(broadcast<V>(places[g].part[j]) + lane * broadcast<V>(rate[j]), lower, weight);
            sum[g] = sum[g] + sample<V>(RegisterWindow<V>(origin[j] + places[g].whole[j]), lower, weight);
        }
    }
    for (int g = 0; g < Groups; ++g) store(job.target + k + g * lanes, sum[g]);
}

// Every pair of lines is blended once, then sampled from registers. Steps so small that a group of targets stays within the
// reach of a window.
template <class V>
OPALG_INLINE void sample_blended(const SampleLines<RealOf<V>>& job, const Targets& targets, const RealOf<V>* rate) {
    using Real = RealOf<V>;
    using Window = RegisterWindow<V>;
    constexpr int lanes = Lanes<V>::count, unrolled = 4;
    constexpr int groups = 16;                            // of targets in a block
    constexpr int length = (groups + 2) * Window::reach;  // of the part of a line that a block can reach
    alignas(64) Real blended[kLineJobs][length];
    const Real* origin[kLineJobs];
    for (std::int64_t begin = targets.first; begin < targets.last; begin += groups * lanes) {
        const std::int64_t end = targets.last < begin + groups * lanes ? targets.last : begin + groups * lanes;
        Places<Real> low, high;
        low.fill(job.start, job.step, double(begin), -kMargin, double(job.size));
        high.fill(job.start, job.step, double(end - lanes), -kMargin, double(job.size));
        // As many numbers of all lines, so that the processor can foretell the end of the loop. Those behind the reach of a
        // line are not used.
        std::int64_t most = 0;
        for (int j = 0; j < job.jobs; ++j) {
            const std::int64_t first = low.whole[j] & -std::int64_t(lanes), last = high.whole[j] + Window::reach;
            most = most < last - first ? last - first : most;
        }
        for (int j = 0; j < job.jobs; ++j) {
            const std::int64_t first = low.whole[j] & -std::int64_t(lanes);
            const Real *near = job.line[j] + first, *far = near + job.next_line;
            const V near_weight = broadcast<V>(job.near[j]), far_weight = broadcast<V>(job.far[j]);
            for (std::int64_t k = 0; k < most; k += unrolled * lanes)
                for (int i = 0; i < unrolled * lanes; i += lanes)
                    store(blended[j] + k + i, near_weight * load<V>(near + k + i) + far_weight * load<V>(far + k + i));
            origin[j] = blended[j] - first;
        }
        std::int64_t k = begin;
        for (; k + 2 * lanes <= end; k += 2 * lanes) sample_groups<V, 2>(job, rate, origin, k);
        if (k < end) sample_groups<V, 1>(job, rate, origin, k);
    }
}

// Any step.
template <class V>
OPALG_INLINE void sample_scattered(const SampleLines<RealOf<V>>& job, const Targets& targets, const RealOf<V>* rate) {
    using Real = RealOf<V>;
    using Window = MemoryWindow<V>;
    constexpr int lanes = Lanes<V>::count;
    const V lane = count_up<V>();
    Places<Real> places;
    for (std::int64_t k = targets.first; k < targets.last; k += lanes) {
        places.fill(job.start, job.step, double(k), -kFarAway, double(job.size));
        V sum = load<V>(job.target + k);
        for (int j = 0; j < job.jobs; ++j) {
            IndexOf<V> lower;
            V weight;
            split_up<V>(broadcast<V>(places.part[j]) + lane * broadcast<V>(rate[j]), lower, weight);
            lower = clamped<V>(lower + broadcast_index<V>(places.whole[j]), -2, job.size);
            const V near = sample<V>(Window(job.line[j]), lower, weight);
            const V far = sample<V>(Window(job.line[j] + job.next_line), lower, weight);
            sum = sum + (broadcast<V>(job.near[j]) * near + broadcast<V>(job.far[j]) * far);
        }
        store(job.target + k, sum);
    }
}

template <class V> OPALG_INLINE void sample_jobs(SampleLines<RealOf<V>>& job) {
    if (job.jobs == 0) return;
    for (int j = job.jobs; j < kLineJobs; ++j) {  // positions are formed of as many as a register has lanes
        job.start[j] = job.start[j - 1];
        job.step[j] = job.step[j - 1];
    }
    RealOf<V> rate[kLineJobs];
    for (int j = 0; j < kLineJobs; j += Lanes<Doubles>::count) store_as(rate + j, load<Doubles>(job.step + j));
    const Targets targets = targets_of<V>(job);
    if (targets.first == targets.last) return;
    if constexpr (RegisterWindow<V>::reach > 0) {
        if (targets.step * Lanes<V>::count + 2 < RegisterWindow<V>::reach) return sample_blended<V>(job, targets, rate);
    }
    sample_scattered<V>(job, targets, rate);
}

template <class V> void sample_lines(const SampleLines<RealOf<V>>& lines) {
    SampleLines<RealOf<V>> job = lines;
    sample_jobs<V>(job);
}

// Pairs of lines, some of them perhaps without a share in the result.
template <class T> struct LinePairs {
    std::int64_t below[kLineJobs];  // first line of the pair
    T near[kLineJobs], far[kLineJobs];
    double start[kLineJobs], step[kLineJobs];

    // Those of `count` that have a share; origin: of line 0 of the first pair.
    OPALG_INLINE_MEMBER void choose(const T* origin, std::ptrdiff_t pair_stride, int count, SampleLines<T>& job) const {
        job.jobs = 0;
        for (int k = 0; k < count; ++k) {
            if (near[k] == 0 && far[k] == 0) continue;
            job.line[job.jobs] = origin + k * pair_stride + below[k] * job.next_line;
            job.near[job.jobs] = near[k];
            job.far[job.jobs] = far[k];
            job.start[job.jobs] = start[k];
            job.step[job.jobs] = step[k];
            ++job.jobs;
        }
    }
};

// What a column meets in planes first, first + 1, ..
template <class T> struct ColumnPlanes : LinePairs<T> {
    OPALG_INLINE_MEMBER void fill(const Column& column, std::int64_t across, std::int64_t first) {
        for (int k = 0; k < kLineJobs; k += Lanes<Doubles>::count) {
            const Doubles plane = count_up<Doubles>() + double(first + k), zero = broadcast<Doubles>(0);
            Doubles place = column.across + column.across_slope * plane;
            const auto meets = (place > broadcast<Doubles>(-1)) & (place < broadcast<Doubles>(double(across))) &
                               (plane >= broadcast<Doubles>(column.first)) & (plane <= broadcast<Doubles>(column.last));
            place = meets ? place : zero;
            const Doubles floor = rounded_down<Doubles>(place), share = place - floor;
            store_as(this->below + k, floor);
            store_as(this->near + k, meets ? 1.0 - share : zero);
            store_as(this->far + k, meets ? share : zero);
            store(this->start + k, column.start + column.start_slope * plane);
            store(this->step + k, column.step + column.step_slope * plane);
        }
        asm volatile("" : : "r"(this) : "memory");
    }
};

template <class V> void sample_column(const SampleColumn<RealOf<V>>& column) {
    using Real = RealOf<V>;
    SampleLines<Real> job;
    job.target = column.target;
    job.count = column.rows;
    job.next_line = column.line_stride;
    job.size = column.size;
    ColumnPlanes<Real> planes;
    for (std::int64_t first = column.first; first < column.last; first += kLineJobs) {
        planes.fill(column.column, column.across, first);
        const std::int64_t left = column.last - first;
        planes.choose(column.voxels + first * column.plane_stride, column.plane_stride,
                      left < kLineJobs ? int(left) : kLineJobs, job);
        sample_jobs<V>(job);
    }
}

// The columns that a line of voxels falls on, in some views.
template <class T> struct LineColumns : LinePairs<T> {
    OPALG_INLINE_MEMBER void fill(const SampleShadowLine<T>& line, std::int64_t view) {
        const Doubles zero = broadcast<Doubles>(0), last = broadcast<Doubles>(double(line.detectors));
        for (int k = 0; k < kLineJobs; k += Lanes<Doubles>::count) {
            const double* table = line.table + view + k;
            const auto get = [&](int row) { return load<Doubles>(table + row * line.coefficient_stride); };
            const auto at = [&](int row) { return get(row) + get(row + 1) * line.x + get(row + 2) * line.y; };
            const Doubles inverse = 1.0 / at(kW), u = at(kU) * inverse, m = get(kDepth) * inverse;
            // Behind the source, or beside it: no shadow. (Comparisons with what is not a number are false.)
            const auto seen = (m > zero) & (u > broadcast<Doubles>(-1)) & (u < last);
            const Doubles place = seen ? u : zero, floor = rounded_down<Doubles>(place), share = place - floor;
            const Doubles scale = seen ? (line.power ? m * m : broadcast<Doubles>(1)) : zero;
            store_as(this->below + k, floor);
            store_as(this->near + k, scale * (1.0 - share));
            store_as(this->far + k, scale * share);
            store(this->start + k, at(kStart) + get(kStart + 3) * m + get(kStart + 4) * u);
            store(this->step + k, get(kStep) + get(kStep + 1) * m);
        }
        asm volatile("" : : "r"(this) : "memory");
    }
};

template <class V> void sample_shadow_line(const SampleShadowLine<RealOf<V>>& line) {
    using Real = RealOf<V>;
    SampleLines<Real> job;
    job.target = line.target;
    job.count = line.count;
    job.next_line = line.column_stride;
    job.size = line.rows;
    LineColumns<Real> columns;
    for (std::int64_t view = 0; view < line.views; view += kLineJobs) {
        columns.fill(line, view);
        const std::int64_t left = line.views - view;
        columns.choose(line.columns + view * line.view_stride, line.view_stride,
                       left < kLineJobs ? int(left) : kLineJobs, job);
        sample_jobs<V>(job);
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
