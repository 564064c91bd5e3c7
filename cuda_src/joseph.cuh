// Joseph's method for parallel rays: the arithmetic shared by projection and its transpose.
//
// P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1, 1982.
//
// A view's rays cross the planes j of its dominant index axis at the positions
//
//     p(u, j) = origin + slope j + step u          (in pixels along the other axis)
//
// and are sampled there by linear interpolation: pixel i has weight tent(p - i), tent(d) = max(0, 1 - |d|), and pixels
// outside the image are zero. A sum over j times the physical length between planes is the line integral.
//
// Positions are formed in double precision once per group of lanes, as an integer and a remainder in [0, 1]; within the
// group a `Ramp` adds the lane's share in the same form. So a float weight is good to 2^-23 wherever in a large image it
// is.
#pragma once

#include "lanes.cuh"

namespace opalg {

struct ParallelView {
    double origin, slope, step;  // step >= 0: rays are counted from the end if u runs against the axis
    bool along_x;                // the dominant axis is x, planes are columns
    bool reversed;               // ray u of the formula is detector pixel nu - 1 - u

    OPALG_INLINE_MEMBER double position(double ray, double plane) const { return origin + slope * plane + step * ray; }
};

// ray: x, y of detector pixel 0; step of x, y per pixel; direction x, y. All in index coordinates of the image.
OPALG_INLINE ParallelView parallel_view(const double ray[6], std::int64_t detectors) {
    const bool along_x = (ray[4] < 0 ? -ray[4] : ray[4]) > (ray[5] < 0 ? -ray[5] : ray[5]);
    const int across = along_x ? 1 : 0, along = 1 - across;
    const double slope = ray[4 + across] / ray[4 + along];
    const double origin = ray[across] - slope * ray[along], step = ray[2 + across] - slope * ray[2 + along];
    if (step < 0) return {origin + step * double(detectors - 1), slope, -step, along_x, true};
    return {origin, slope, step, along_x, false};
}

// Position as integer and remainder. Far outside [low, high], where every pixel is zero, the remainder is dropped.
template <class Real> OPALG_INLINE std::int64_t anchor(double position, double low, double high, Real& part) {
    position = position < low ? low : position > high ? high : position;
    const std::int64_t truncated = std::int64_t(position);
    const std::int64_t whole = truncated - (double(truncated) > position);
    part = Real(position - double(whole));
    return whole;
}

// Further than any image is long, and half the range of a 32-bit index.
constexpr std::int64_t kFarAway = 1 << 29;

// rate * lane for each lane, as integer and remainder.
template <class V> struct Ramp {
    IndexOf<V> whole;
    V part;

    Ramp() = default;
    OPALG_INLINE_MEMBER explicit Ramp(double rate, int first_lane = 0) {
        constexpr double limit = double(kFarAway);
        if constexpr (Lanes<V>::count == 1) {
            whole = IndexOf<V>(anchor(rate * first_lane, -limit, limit, part));
        } else {
            for (int l = 0; l < Lanes<V>::count; ++l) {
                RealOf<V> p;
                whole[l] = typename Lanes<RealOf<V>>::Index(anchor(rate * (first_lane + l), -limit, limit, p));
                part[l] = p;
            }
        }
    }
    // The lanes of this ramp shifted by a remainder: lower + weight.
    OPALG_INLINE_MEMBER void at(V remainder, IndexOf<V>& lower, V& weight) const {
        carry<V>(whole, remainder + part, lower, weight);
    }
    // The largest index that `at` can give is in the last lane of a rising ramp.
    OPALG_INLINE_MEMBER std::int64_t last() const {
        if constexpr (Lanes<V>::count == 1) return whole + 1;
        else return whole[Lanes<V>::count - 1] + 1;
    }
};

template <class V> OPALG_INLINE V tent(V distance) {
#if defined(__CUDACC__)
    return larger<V>(V(1) - fabs(distance), V(0));
#endif
    return larger<V>(RealOf<V>(1) - larger<V>(distance, -distance), broadcast<V>(0));
}

// Projection: pixels lower and lower + 1 around a sample.
template <class V, class Window> OPALG_INLINE V sample(const Window& row, IndexOf<V> lower, V weight) {
    const V below = row(lower), above = row(lower + 1);
    return below + weight * (above - below);
}

// Transpose: a pixel gathers from the rays that pass within one pixel of it in a plane. In units of rays the pixel lies
// at t = (i - origin - slope j) / step and the rays u with |u - t| < 1 / step have weight tent(step (u - t)).
//
// Taps = 2, step >= 1: rays floor(t) and floor(t) + 1.
// Taps > 2, step >= 2 / Taps: Taps rays starting with the first one above the lower edge t - 1 / step. Taps = 3: step <= 1.
//
// gather_start is t (Taps = 2) or the lower edge (Taps > 2); split into integer and fraction, the rays start at
// integer + first_tap and gather_weights turns the fraction into their weights.
template <int Taps> OPALG_INLINE double gather_start(const ParallelView& view, double pixel, double plane) {
    const double distance = pixel - view.origin - view.slope * plane;
    return (Taps == 2 ? distance : distance - 1.0) / view.step;
}
template <int Taps> constexpr int first_tap = Taps == 2 ? 0 : 1;

template <int Taps, class V> OPALG_INLINE void gather_weights(V fraction, RealOf<V> step, V* weight) {
    using Real = RealOf<V>;
    const V zero = broadcast<V>(0);
    if constexpr (Taps == 2) {
        weight[0] = larger<V>(Real(1) - step * fraction, zero);
        weight[1] = larger<V>((Real(1) - step) + step * fraction, zero);
    } else if constexpr (Taps == 3) {  // the same as below, where it is known that the first ray comes before the middle
        const V above = step - step * fraction, next = above + step;
        weight[0] = above;
        weight[1] = smaller<V>(next, Real(2) - next);
        weight[2] = larger<V>((Real(2) - 2 * step) - above, zero);
    } else {
        V above = step - step * fraction;  // from the lower edge of the tent up to the ray, in pixels
        for (int k = 0; k < Taps; ++k) {
            // Lanes have no quick magnitude: the lesser of both sides of the tent.
            if constexpr (Lanes<V>::count == 1) weight[k] = tent<V>(above - Real(1));
            else weight[k] = larger<V>(smaller<V>(above, Real(2) - above), zero);
            above = above + step;
        }
    }
}

// Transpose for any step, also zero (rays that coincide): the rays [first, last) of a pixel within the detector, and the
// distance of the first one in pixels. One of weight zero at either end does no harm.
OPALG_INLINE void gather_range(const ParallelView& view, double pixel, double plane, std::int64_t detectors,
                               std::int64_t& first, std::int64_t& last, double& distance) {
    const double offset = view.origin + view.slope * plane - pixel;  // of ray 0
    const double end = double(detectors);
    double from = 0, to = offset < 1 && offset > -1 ? end : 0;
    if (view.step > 0) {
        from = (-1 - offset) / view.step;
        to = (1 - offset) / view.step + 1;
    }
    from = from < 0 ? 0 : from > end ? end : from;
    to = to < 0 ? 0 : to > end ? end : to;
    first = std::int64_t(from);
    first += double(first) < from;  // not before the tent: a long way to it would cost digits
    last = std::int64_t(to);
    distance = offset + view.step * double(first);
}

}  // namespace opalg
