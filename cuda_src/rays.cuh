// Joseph's and Siddon's methods for single rays in any direction: the arithmetic shared by projection and its transpose.
//
// Joseph: a ray is sampled where it crosses the planes a = 0, 1, .. of its dominant index axis `a`; the other axes are `b` and
// `c` (c is the one whose voxels lie closer in memory). In plane j it is at
//
//     b(j) = b + slope_b (j - first plane),   c(j) likewise,   |slope| <= 1
//
// and there the four voxels around it count with weights tent(b(j) - i_b) tent(c(j) - i_c). A divergent ray ends at its
// source and its pixel: only planes between the two count, ends included.
//
// Siddon: voxels count with the length of the ray inside them. On its way from a = j - 1/2 to j + 1/2 a ray crosses at most
// one border across b and one across c, so that the same four voxels share it, and all that differs is how.
// R. L. Siddon, "Fast calculation of the exact radiological path for a three-dimensional CT array", Med. Phys. 12, 1985.
#pragma once

#include "lanes.cuh"

namespace opalg {

enum class Model : int { joseph, siddon, footprint };  // the last: footprint.cuh

// Axes x, y, z are 0, 1, 2. Among equals y comes before x before z.
struct AxisRoles {
    int a, b, c;
    bool beats_b, beats_c;  // among equals
};
OPALG_INLINE AxisRoles axis_roles(int dominant) {
    if (dominant == 0) return {0, 2, 1, true, false};
    if (dominant == 1) return {1, 2, 0, true, true};
    return {2, 1, 0, false, false};
}

template <class D> struct RayLine {
    D b, slope_b, c, slope_c;  // in the first plane, and per plane
    D first, last;             // planes that count lie between; none if another axis dominates
};

OPALG_INLINE double magnitude(double x) { return x < 0 ? -x : x; }

// Pixel and source (or, of parallel rays, direction) by role a, b, c. D is double, or a pack of them.
template <class D>
OPALG_INLINE RayLine<D> ray_line(const D pixel[3], const double source[3], bool parallel, const AxisRoles& roles,
                                 double first_plane) {
    const D zero = broadcast<D>(0), one = broadcast<D>(1), infinity = broadcast<D>(__builtin_inf());
    const D sa = broadcast<D>(source[0]), sb = broadcast<D>(source[1]), sc = broadcast<D>(source[2]);
    D da = sa, db = sb, dc = sc, a = pixel[0], b = pixel[1], c = pixel[2], first = -infinity, last = infinity;
    if (!parallel) {
        da = pixel[0] - sa;
        db = pixel[1] - sb;
        dc = pixel[2] - sc;
        first = smaller<D>(pixel[0], sa);
        last = larger<D>(pixel[0], sa);
        a = sa;
        b = sb;
        c = sc;
    }
    const D la = larger<D>(da, -da), lb = larger<D>(db, -db), lc = larger<D>(dc, -dc);
    auto dominant = la > zero;
    dominant &= roles.beats_b ? la >= lb : la > lb;
    dominant &= roles.beats_c ? la >= lc : la > lc;
    const D inverse = one / (dominant ? da : one);
    const D slope_b = dominant ? db * inverse : zero, slope_c = dominant ? dc * inverse : zero;
    const D way = first_plane - a;
    return {b + way * slope_b,           slope_b,
            c + way * slope_c,           slope_c,
            dominant ? first : infinity, dominant ? last : -infinity};
}

// Siddon. `fraction`: how far the lower end of the way lies above the lower border of its voxel; steepness: |slope|,
// inverse: 1 / |slope|. The part of the way in the next voxel:
template <class V> OPALG_INLINE V way_beyond(V fraction, V steepness, V inverse) {
    const V zero = broadcast<V>(0), one = broadcast<V>(1);
    return smaller<V>(one, larger<V>(zero, (fraction + (steepness - one)) * inverse));
}
// The way runs over 0..1; what lies beyond a border is its end if the slope is positive, else its beginning. Parts beyond
// the border across b, beyond that across c, beyond both, and all of it, of the stretch from..to.
template <class V> struct WayParts {
    V b, c, both, all;
};
template <class V> OPALG_INLINE V overlap(V first, V last) { return larger<V>(broadcast<V>(0), last - first); }
template <class V>
OPALG_INLINE WayParts<V> way_parts(V beyond_b, V slope_b, V beyond_c, V slope_c, V from, V to) {
    const V zero = broadcast<V>(0), one = broadcast<V>(1);
    const V first_b = larger<V>(from, slope_b > zero ? one - beyond_b : zero);
    const V last_b = smaller<V>(to, slope_b > zero ? one : beyond_b);
    const V first_c = larger<V>(from, slope_c > zero ? one - beyond_c : zero);
    const V last_c = smaller<V>(to, slope_c > zero ? one : beyond_c);
    return {overlap<V>(first_b, last_b), overlap<V>(first_c, last_c),
            overlap<V>(larger<V>(first_b, first_c), smaller<V>(last_b, last_c)), overlap<V>(from, to)};
}

// Physical length of a ray between two planes of its dominant axis; zero if it has no direction. D is double, or a pack of
// them.
template <class D> OPALG_INLINE D plane_distance(const D direction[3], const double spacing[3]) {
    const D zero = broadcast<D>(0), one = broadcast<D>(1);
    D most = zero, square = zero;
    for (int k = 0; k < 3; ++k) {
        const D way = direction[k] * spacing[k];
        most = larger<D>(most, larger<D>(direction[k], -direction[k]));
        square = square + way * way;
    }
    const auto some = most > zero;
    return some ? square_root<D>(square) / (some ? most : one) : zero;
}

// Where the ray through a point meets a flat detector: pixel coordinates u, v, and the magnification, how many times the
// way from the source to the point leads to the detector. Parallel rays: magnification 1.
struct Shadow {
    double u[4], v[4], w[4];  // homogeneous, linear in (x, y, z, 1)
    double depth;             // magnification = depth / w

    OPALG_INLINE_MEMBER double along(const double row[4], const double p[3]) const {
        return row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3];
    }
};

OPALG_INLINE void cross_product(const double a[3], const double b[3], double out[3]) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}
OPALG_INLINE double dot_product(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Divergent: source + m (p - source) = detector + u u_step + v v_step, multiplied with the three cross products. Parallel:
// p + m direction = the same.
OPALG_INLINE Shadow shadow_of(const double source[3], const double detector[3], const double u_step[3],
                              const double v_step[3], bool parallel) {
    double normal[3], across_u[3], across_v[3], offset[3];
    Shadow s = {};
    if (parallel) {
        cross_product(v_step, source, across_u);  // perpendicular to v_step and to the rays
        cross_product(source, u_step, across_v);
        const double volume = dot_product(u_step, across_u);
        for (int k = 0; k < 3; ++k) {
            s.u[k] = across_u[k] / volume;
            s.v[k] = across_v[k] / volume;
        }
        s.u[3] = -dot_product(s.u, detector);
        s.v[3] = -dot_product(s.v, detector);
        s.w[3] = s.depth = 1;
        return s;
    }
    for (int k = 0; k < 3; ++k) offset[k] = detector[k] - source[k];
    cross_product(u_step, v_step, normal);
    cross_product(v_step, normal, across_u);
    cross_product(normal, u_step, across_v);
    s.depth = dot_product(offset, normal);
    const double uu = dot_product(u_step, across_u), vv = dot_product(v_step, across_v);
    const double eu = dot_product(offset, across_u), ev = dot_product(offset, across_v);
    for (int k = 0; k < 3; ++k) {
        s.w[k] = normal[k];
        s.u[k] = (s.depth * across_u[k] - eu * normal[k]) / uu;
        s.v[k] = (s.depth * across_v[k] - ev * normal[k]) / vv;
    }
    s.w[3] = -dot_product(s.w, source);
    s.u[3] = -dot_product(s.u, source);
    s.v[3] = -dot_product(s.v, source);
    return s;
}

// x = whole + fraction, fraction in [0, 1). On a CUDA device |x| < 2^22 in float: there a sum with 1.5 2^23, rounded down,
// has the whole number in its last bits, and three additions do what conversions need five slower instructions for.
template <class V> OPALG_INLINE void split_floor(V x, IndexOf<V>& whole, V& fraction) {
#if defined(__CUDACC__)
    if constexpr (sizeof(V) == sizeof(float)) {
        constexpr float magic = 12582912.0f;
        const float sum = __fadd_rd(x, magic);
        whole = __float_as_int(sum) - __float_as_int(magic);
        fraction = x - (sum - magic);
        return;
    }
#endif
    if constexpr (Lanes<V>::count == 1) {
        whole = IndexOf<V>(x);
        whole -= V(whole) > x;
        fraction = x - V(whole);
    } else {
#if defined(__AVX512DQ__) && !defined(__CUDACC__)
        // Rounding is part of the instruction.
        constexpr int down = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
        if constexpr (Lanes<V>::count == 16) {
            whole = (IndexOf<V>)_mm512_maskz_cvt_roundps_epi32(__mmask16(-1), (__m512)x, down);
            fraction = (V)_mm512_maskz_reduce_ps(__mmask16(-1), (__m512)x, down);
            return;
        }
        if constexpr (sizeof(V) == 64 && sizeof(RealOf<V>) == 8) {
            whole = (IndexOf<V>)_mm512_maskz_cvt_roundpd_epi64(__mmask8(-1), (__m512d)x, down);
            fraction = (V)_mm512_maskz_reduce_pd(__mmask8(-1), (__m512d)x, down);
            return;
        }
#endif
        whole = __builtin_convertvector(x, IndexOf<V>);
        whole += __builtin_convertvector(whole, V) > x;  // -1 in the lanes that were rounded up
        fraction = x - __builtin_convertvector(whole, V);
    }
}

// The same for x >= 0.
template <class V> OPALG_INLINE void split_up(V x, IndexOf<V>& whole, V& fraction) {
    if constexpr (Lanes<V>::count == 1) {
        whole = IndexOf<V>(x);
        fraction = x - V(whole);
    } else {
        whole = __builtin_convertvector(x, IndexOf<V>);
#if defined(__AVX512DQ__) && !defined(__CUDACC__)
        // One instruction for what is left after rounding down.
        constexpr int down = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
        if constexpr (Lanes<V>::count == 16) fraction = (V)_mm512_maskz_reduce_ps(__mmask16(-1), (__m512)x, down);
        else if constexpr (sizeof(V) == 64) fraction = (V)_mm512_maskz_reduce_pd(__mmask8(-1), (__m512d)x, down);
        else
#endif
            fraction = x - __builtin_convertvector(whole, V);
    }
}

// Two consecutive numbers for every lane, from base[index] on.
template <class V> OPALG_INLINE void load_pairs(const RealOf<V>* base, IndexOf<V> index, V& first, V& second) {
#if defined(__AVX512F__) && !defined(__CUDACC__)
    if constexpr (Lanes<V>::count == 16) {
        const auto near = __builtin_shufflevector(index, index, 0, 1, 2, 3, 4, 5, 6, 7);
        const auto far = __builtin_shufflevector(index, index, 8, 9, 10, 11, 12, 13, 14, 15);
        // With mask and zero: of the plain gather g++ says that it reads an uninitialised register.
        const __m512d zero = _mm512_setzero_pd();
        const __m512 low = _mm512_castpd_ps(_mm512_mask_i32gather_pd(zero, __mmask8(-1), (__m256i)near, base, 4));
        const __m512 high = _mm512_castpd_ps(_mm512_mask_i32gather_pd(zero, __mmask8(-1), (__m256i)far, base, 4));
        const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        first = (V)_mm512_permutex2var_ps(low, even, high);
        second = (V)_mm512_permutex2var_ps(low, _mm512_add_epi32(even, _mm512_set1_epi32(1)), high);
        return;
    }
#endif
    if constexpr (Lanes<V>::count == 1) {
        first = base[index];
        second = base[index + 1];
    } else {
        for (int l = 0; l < Lanes<V>::count; ++l) {
            first[l] = base[index[l]];
            second[l] = base[index[l] + 1];
        }
    }
}

}  // namespace opalg
