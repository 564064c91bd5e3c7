// Interpolation along lines: of many lines at many places at once (projection), and the transpose. Lanes are consecutive
// numbers of a line. Used where detector rows are parallel to an axis of the volume: all rays of a detector column then
// meet the same two lines of voxels in every plane.
#pragma once

#include "plane_table.h"

namespace opalg {
namespace OPALG_ISA {

// start + rate * k, k = 0, 1, .., as integer and remainder; integers are kept within [low, high].
template <class T> struct Places {
    typename Lanes<T>::Index whole[kLineJobs];
    T part[kLineJobs];

    OPALG_INLINE_MEMBER void fill(const double* start, const double* rate, double at, int count, double low, double high) {
        using D = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;
        for (int k = 0; k < count; k += Lanes<D>::count) set<D>(k, load<D>(start + k) + load<D>(rate + k) * at, low, high);
        asm volatile("" : : "r"(this) : "memory");  // as in PlaneTable
    }
    OPALG_INLINE_MEMBER void fill(double start, double rate, int count, double low, double high) {
        using D = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;
        D number;
        for (int l = 0; l < Lanes<D>::count; ++l) number[l] = l;
        for (int k = 0; k < count; k += Lanes<D>::count) set<D>(k, start + rate * (number + double(k)), low, high);
        asm volatile("" : : "r"(this) : "memory");
    }

private:
    template <class D> OPALG_INLINE_MEMBER void set(int k, D place, double low, double high) {
        typedef typename Lanes<T>::Index Whole __attribute__((vector_size(Lanes<D>::count * sizeof(whole[0]))));
        typedef T Part __attribute__((vector_size(Lanes<D>::count * sizeof(T))));
        place = smaller<D>(larger<D>(place, broadcast<D>(low)), broadcast<D>(high));
        const D floor = rounded_down<D>(place);
        store(whole + k, __builtin_convertvector(floor, Whole));
        store(part + k, __builtin_convertvector(place - floor, Part));
    }
};

template <class V> OPALG_INLINE V count_up() {
    V lane = {};
    for (int l = 0; l < Lanes<V>::count; ++l) lane[l] = RealOf<V>(l);
    return lane;
}

template <class V, class Window> OPALG_INLINE void sample_lines_by(const SampleLines<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    constexpr bool registers = Window::reach > 0;
    const V lane = count_up<V>();
    Places<Real> places;
    for (std::int64_t k = 0; k < job.count; k += lanes) {
        places.fill(job.start, job.step, double(k), job.jobs, registers ? -kMargin : -kFarAway, double(job.size));
        V sum = load<V>(job.target + k);
        for (int j = 0; j < job.jobs; ++j) {
            const std::int64_t whole = places.whole[j];
            const V step = broadcast<V>(job.rate[j]);
            if (whole >= job.size) continue;
            if (double(whole) + double(job.rate[j]) * lanes < -2) continue;
            IndexOf<V> lower;
            V weight, value;
            split_up<V>(broadcast<V>(places.part[j]) + lane * step, lower, weight);
            const V blend = broadcast<V>(job.weight[j]);
            if constexpr (registers) {
                Window near(job.line[j] + whole);
                const Window far(job.line[j] + whole + job.next_line);
                near.low = (decltype(near.low))((V)near.low + blend * ((V)far.low - (V)near.low));
                near.high = (decltype(near.high))((V)near.high + blend * ((V)far.high - (V)near.high));
                value = sample<V>(near, lower, weight);
            } else {
                lower = clamped<V>(lower + broadcast_index<V>(whole), -2, job.size);
                const V near = sample<V>(Window(job.line[j]), lower, weight);
                value = near + blend * (sample<V>(Window(job.line[j] + job.next_line), lower, weight) - near);
            }
            sum = sum + broadcast<V>(job.scale[j]) * value;
        }
        store(job.target + k, sum);
    }
}

template <class V> void sample_lines(const SampleLines<RealOf<V>>& job) {
    bool fits = RegisterWindow<V>::reach > 0;
    for (int j = 0; j < job.jobs; ++j) fits = fits && job.rate[j] * Lanes<V>::count + 2 < RegisterWindow<V>::reach;
    if constexpr (RegisterWindow<V>::reach > 0) {
        if (fits) return sample_lines_by<V, RegisterWindow<V>>(job);
    }
    sample_lines_by<V, MemoryWindow<V>>(job);
}

template <class V, class Window, int Taps> OPALG_INLINE void gather_line_by(const GatherLine<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    const V lane = count_up<V>(), spread = lane * Real(1 / job.step);
    const V near = broadcast<V>(1 - job.weight), far = broadcast<V>(job.weight);
    const double rate = lanes / job.step, reach = double(lanes - 1) / job.step + Taps + 1;
    const double first = ((Taps == 2 ? 0.0 : -1.0) - job.start) / job.step;
    Places<Real> places;
    for (std::int64_t z = 0; z < job.size; z += kLineJobs * lanes) {
        const std::int64_t left = (job.size - z + lanes - 1) / lanes;
        const int groups = left < kLineJobs ? int(left) : kLineJobs;
        const double start = first + double(z) / job.step;
        places.fill(start, rate, groups, Window::reach > 0 ? -kMargin : -kFarAway, double(job.count));
        for (int g = 0; g < groups; ++g) {
            const std::int64_t whole = places.whole[g];
            if (whole >= job.count || double(whole) + reach < 0) continue;
            IndexOf<V> ray;
            V fraction, weight[Taps], sum = {};
            split_up<V>(broadcast<V>(places.part[g]) + spread, ray, fraction);
            gather_weights<Taps, V>(fraction, Real(job.step), weight);
            ray = ray + first_tap<Taps>;
            if constexpr (Window::reach > 0) {
                const Window window(job.values + whole);
                for (int t = 0; t < Taps; ++t) sum = sum + weight[t] * window(ray + t);
            } else {
                ray = clamped<V>(ray + broadcast_index<V>(whole), -Taps, job.count);
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

template <class V> void gather_line(const GatherLine<RealOf<V>>& job) {
    if (job.step >= 1) gather_line_taps<V, 2>(job);
    else if (job.step * 3 >= 2) gather_line_taps<V, 3>(job);
    else if (job.step * 2 >= 1) gather_line_taps<V, 4>(job);
    else gather_line_taps<V, 6>(job);
}

}  // namespace OPALG_ISA
}  // namespace opalg
