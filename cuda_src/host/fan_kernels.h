// Projection and back projection of fans in a slice: lanes are consecutive rays, or consecutive voxels of a plane.
#pragma once

#include "line_kernels.h"

namespace opalg {
namespace OPALG_ISA {

// Twice the reach.
template <class V> struct WideWindow {
    static constexpr int reach = 2 * RegisterWindow<V>::reach;
    RegisterWindow<V> low, high;

    OPALG_INLINE_MEMBER explicit WideWindow(const RealOf<V>* p) : low(p), high(p + RegisterWindow<V>::reach) {}
    OPALG_INLINE_MEMBER V operator()(IndexOf<V> index) const {
        return index >= RegisterWindow<V>::reach ? high(index) : low(index);  // which look at the lower bits only
    }
};

// One block of rays in the planes of a band.
template <class V, class Window, bool Clipped>
OPALG_INLINE V project_block(const ProjectFan<RealOf<V>>& job, const RealOf<V>* distance, double anchor, V slope, V limit,
                             V sum) {
    using Real = RealOf<V>;
    const FanBand& band = job.band;
    const double low = Window::reach > 0 ? -kMargin : -double(kFarAway);
    Places<Real> places;
    places.fill(band.source + band.distance * anchor, band.sense * anchor, band.planes, low, double(job.across + 1));
    const Real* plane = job.image;
    for (int j = 0; j < band.planes; ++j, plane += job.plane_stride) {
        IndexOf<V> lower;
        V weight, first, second;
        split_up<V>(broadcast<V>(places.part[j]) + broadcast<V>(distance[j]) * slope, lower, weight);
        if constexpr (Window::reach > 0) {
            const Window window(plane + places.whole[j]);
            first = window(lower);
            second = window(lower + 1);
        } else {
            lower = clamped<V>(lower + broadcast_index<V>(places.whole[j]), -2, job.across);
            load_pairs<V>(plane, lower, first, second);
        }
        V sample = first + weight * (second - first);
        if constexpr (Clipped) sample = broadcast<V>(band.number + band.sense * j) <= limit ? sample : broadcast<V>(0);
        sum = sum + sample;
    }
    return sum;
}

template <class V> void project_fan(const ProjectFan<RealOf<V>>& job) {
    using Real = RealOf<V>;
    using Window = RegisterWindow<V>;
    constexpr int lanes = Lanes<V>::count;
    const FanBand& band = job.band;
    const double end = band.distance + band.sense * (band.planes - 1);
    const double near = end < band.distance ? end : band.distance, far = end < band.distance ? band.distance : end;
    Real distance[kPlanes];
    for (int j = 0; j < band.planes; ++j) distance[j] = Real(band.distance + band.sense * j);
    for (std::int64_t ray = 0; ray < job.rays; ray += lanes) {
        const double anchor = job.anchors[ray / lanes], rise = double(job.slopes[ray + lanes - 1]);
        // Positions of the first and the last ray, in whichever plane they lie furthest down, or up.
        const double lowest = band.source + anchor * (anchor < 0 ? far : near);
        const double highest = band.source + (anchor + rise) * (anchor + rise > 0 ? far : near);
        if (!(lowest < double(job.across) && highest > -1)) continue;
        const V slope = load<V>(job.slopes + ray), sum = load<V>(job.sums + ray);
        const V limit = job.limits ? load<V>(job.limits + ray) : broadcast<V>(0);
        V total;
        if (Window::reach > 0 && rise * far + 3 < Window::reach) {
            if (job.limits) total = project_block<V, Window, true>(job, distance, anchor, slope, limit, sum);
            else total = project_block<V, Window, false>(job, distance, anchor, slope, limit, sum);
        } else {
            if (job.limits) total = project_block<V, MemoryWindow<V>, true>(job, distance, anchor, slope, limit, sum);
            else total = project_block<V, MemoryWindow<V>, false>(job, distance, anchor, slope, limit, sum);
        }
        store(job.sums + ray, total);
    }
}

constexpr int kFanGroups = 32;  // groups of voxels of a plane that are prepared together
constexpr int kFanPlanes = 4;   // planes that are prepared together

// Where the windows of rays of consecutive groups of voxels of a plane lie.
template <class V> struct FanGroups {
    using Real = RealOf<V>;
    using Whole = typename Lanes<Real>::Index;
    static constexpr int lanes = Lanes<V>::count;
    int count = 0;
    Real number[kFanGroups + 2 * lanes];  // of the ray one voxel before each group
    Real part[kFanGroups], rate[kFanGroups], place[kFanGroups + lanes];
    Whole start[kFanGroups], block[kFanGroups + lanes], taps[kFanGroups];

    // From voxel `voxel` on. `inverse`: 1 / distance.
    OPALG_INLINE_MEMBER void fill(const BackprojectFan<Real>& job, std::int64_t voxel, double distance, double inverse,
                                  double per_cell, int reach) {
        const double step = lanes * inverse * per_cell;
        const double first = ((double(voxel) - 1 - job.band.source) * inverse - job.slopes[0]) * per_cell;
        const V zero = broadcast<V>(0), most = broadcast<V>(double(job.knot_count - 1));
        const V at = count_up<V>() * Real(step);
        for (int e = 0; e < count; e += lanes) {
            const V cell = smaller<V>(larger<V>(at + broadcast<V>(first + step * e), zero), most);
            IndexOf<V> knot;
            V fraction, low, high;
            split_up<V>(cell, knot, fraction);
            load_pairs<V>(job.knots, knot, low, high);
            store(number + e, low + fraction * (high - low));
        }
        if (count % lanes == 0) {  // the end of the last group is not among them
            const double wanted = first + step * count, end = double(job.knot_count - 1);
            const double cell = wanted < 0 ? 0 : wanted > end ? end : wanted;
            const Real *knot = job.knots + std::int64_t(cell), fraction = Real(cell - double(std::int64_t(cell)));
            number[count] = knot[0] + fraction * (knot[1] - knot[0]);
        }
        const double error = fan_error(job.shape, inverse, lanes), excess = fan_excess(job.shape, inverse, lanes);
        const V last = broadcast<V>(double(job.rays - reach)), needed = broadcast<V>(1 + 2 * (excess + error));
        for (int g = 0; g < count; g += lanes) {
            const V here = load<V>(number + g), rays = (load<V>(number + g + 1) - here) * Real(1.0 / lanes);
            IndexOf<V> whole;
            V fraction;
            split_up<V>(smaller<V>(larger<V>(here + Real(1 - error), zero), last), whole, fraction);
            store(start + g, whole);
            store(block + g, whole >> log2(lanes));
            store(part + g, fraction);
            store(rate + g, rays);
            store(taps + g, __builtin_convertvector(rays * Real(2) + needed, IndexOf<V>));
        }
        asm volatile("" : : "r"(this) : "memory");  // as in PlaneTable
        constexpr int width = Lanes<Doubles>::count;
        const Doubles voxels = count_up<Doubles>() * double(lanes);
        for (int g = 0; g < count; g += width) {
            Doubles anchor;
            for (int l = 0; l < width; ++l) anchor[l] = job.anchors[block[g + l]];
            store_as(place + g, job.band.source + distance * anchor - (voxels + double(voxel + g * lanes)));
        }
        asm volatile("" : : "r"(this) : "memory");
    }

private:
    static constexpr int log2(int n) { return n > 1 ? 1 + log2(n / 2) : 0; }
};

// A group of voxels gathers from Taps rays each.
template <class V, class Window, int Taps>
OPALG_INLINE void gather_group(RealOf<V>* image, const RealOf<V>* slopes, const RealOf<V>* values, RealOf<V> part,
                               RealOf<V> rate, RealOf<V> place, V distance, V lane) {
    const Window slope(slopes), value(values);
    IndexOf<V> ray;
    V fraction;
    split_up<V>(broadcast<V>(part) + broadcast<V>(rate) * lane, ray, fraction);
    const V shift = broadcast<V>(place) - lane;
    V sum = load<V>(image);
    for (int t = 0; t < Taps; ++t, ray = ray + 1) sum = sum + value(ray) * (RealOf<V>(1) - magnitude_up_to_one<V>(distance * slope(ray) + shift));
    store(image, sum);
}

// extra: rays between the beginnings of two blocks in the table of slopes, less lanes.
template <class V, class Window>
OPALG_INLINE void gather_plane(const RealOf<V>* slopes, const RealOf<V>* values, RealOf<V>* image, double distance,
                               std::int64_t extra, const FanGroups<V>& groups) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    const V lane = count_up<V>(), far = broadcast<V>(distance);
    for (int g = 0; g < groups.count; ++g, image += lanes) {
        const std::int64_t start = groups.start[g];
        const Real *slope = slopes + start + groups.block[g] * extra, *value = values + start;
        const Real part = groups.part[g], rate = groups.rate[g], place = groups.place[g];
        const auto taps = groups.taps[g];
        if (taps <= 2) gather_group<V, Window, 2>(image, slope, value, part, rate, place, far, lane);
        else if (taps == 3) gather_group<V, Window, 3>(image, slope, value, part, rate, place, far, lane);
        else if (taps == 4) gather_group<V, Window, 4>(image, slope, value, part, rate, place, far, lane);
        else if (taps <= 6) gather_group<V, Window, 6>(image, slope, value, part, rate, place, far, lane);
        else gather_group<V, Window, kFanTaps>(image, slope, value, part, rate, place, far, lane);
    }
}

// The values of rays that reach a plane, others zero.
template <class V> OPALG_INLINE void cut_values(const BackprojectFan<RealOf<V>>& job, double number, RealOf<V>* target) {
    const V plane = broadcast<V>(number);
    for (std::int64_t ray = 0; ray < job.rays; ray += Lanes<V>::count) {
        const V value = load<V>(job.values + ray);
        store(target + ray, plane <= load<V>(job.limits + ray) ? value : broadcast<V>(0));
    }
}

// Blocks * lanes: rays of which a block of the table of slopes tells, those of a window that starts in it.
template <class V, class Window, int Blocks> OPALG_INLINE void gather_fan(const BackprojectFan<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count, reach = (Blocks - 1) * lanes;
    constexpr std::int64_t together = kFanGroups * lanes;
    const FanBand& band = job.band;
    Real* target = job.scratch;
    for (std::int64_t block = 0; block * lanes <= job.rays - reach; ++block) {
        const double* slopes = job.slopes + block * lanes;
        const double anchor = job.anchors[block] = slopes[job.anchor];
        for (int l = 0; l < Blocks * lanes; l += Lanes<Doubles>::count, target += Lanes<Doubles>::count)
            store_as(target, load<Doubles>(slopes + l) - anchor);
    }
    Real* const cut = job.scratch + Blocks * job.rays;
    const double per_cell = 1 / job.shape.cell;
    const double low = job.slopes[job.margin], high = job.slopes[job.margin + job.real - 1];
    FanGroups<V> groups[kFanPlanes];
    for (int j = 0; j < band.planes; j += kFanPlanes) {
        const int planes = band.planes - j < kFanPlanes ? band.planes - j : kFanPlanes;
        for (std::int64_t voxel = 0; voxel < job.across; voxel += together) {
            Real* image[kFanPlanes];
            for (int p = 0; p < planes; ++p) {
                const double distance = band.distance + band.sense * (j + p);
                const double first = band.source + distance * low - 1, last = band.source + distance * high + 1;
                std::int64_t begin = voxel, end = voxel + together < job.across ? voxel + together : job.across;
                if (first > double(begin)) begin = first < double(end) ? std::int64_t(first) / lanes * lanes : end;
                if (last < double(end)) end = last > double(begin) ? std::int64_t(last) + 1 : begin;
                groups[p].count = int((end - begin + lanes - 1) / lanes);
                image[p] = job.image + (j + p) * job.plane_stride + begin;
                if (groups[p].count > 0) groups[p].fill(job, begin, distance, 1 / distance, per_cell, reach);
            }
            for (int p = 0; p < planes; ++p) {
                if (groups[p].count <= 0) continue;
                const Real* values = job.values;
                if (job.limits) {
                    cut_values<V>(job, band.number + band.sense * (j + p), cut);
                    values = cut;
                }
                gather_plane<V, Window>(job.scratch, values, image[p], band.distance + band.sense * (j + p), reach,
                                        groups[p]);
            }
        }
    }
}

template <class V> void backproject_fan(const BackprojectFan<RealOf<V>>& job) {
    if constexpr (RegisterWindow<V>::reach > 0) {  // else rays one by one are faster, and this is not asked for
        const double near = job.band.distance, far = near + job.band.sense * (job.band.planes - 1);
        const double reach = fan_reach(job.shape, 1 / (near < far ? near : far), Lanes<V>::count);
        if (reach < RegisterWindow<V>::reach) gather_fan<V, RegisterWindow<V>, 3>(job);
        else gather_fan<V, WideWindow<V>, 5>(job);
    } else {
        (void)job;
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
