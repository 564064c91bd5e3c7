// Voxel-driven back projection before any flat detector: lanes are consecutive voxels of a line along x.
//
// Along a line the homogeneous coordinates of the shadow are linear. Of every group of lanes the middle is looked up in
// double; what a lane is away from it, in voxels, tells in float how far its shadow is away from that of the middle:
//
//     (u + l du) / (w + l dw)  =  u / w + l slope / (1 + l bend),   slope = (du - u / w dw) / w,   bend = dw / w
#pragma once

#include "cell_kernels.h"
#include "line_kernels.h"
#include "voxel_jobs.h"

namespace opalg {
namespace OPALG_ISA {

constexpr double kShadowReach = 32;  // pixels from the middle of a group within which places are formed in float

// What is to be done for a group of voxels in a view.
enum GroupKind : std::int32_t {
    kMissed,     // no lane has a shadow on the detector
    kInside,     // all have
    kRim,        // some may have: places are clamped
    kUnbounded,  // the source is near, or pixels are small: every lane for itself, in double
};

OPALG_INLINE Doubles magnitudes(Doubles x) { return larger<Doubles>(x, -x); }

// The middles of the groups at one x, of all lines of a tile, in one view.
template <class V> struct ShadowGroups {
    using Real = RealOf<V>;
    using Index = typename Lanes<Real>::Index;
    static constexpr double half = (Lanes<V>::count - 1) / 2.0;
    Real bend[kShadowLines], slope_u[kShadowLines], slope_v[kShadowLines];  // per voxel
    Real part_u[kShadowLines], part_v[kShadowLines];                        // of the middle's place, and the rest of it:
    Real whole_u[kShadowLines], whole_v[kShadowLines];
    double pair[kShadowLines];  // the number of the pair there
    Real scale[kShadowLines];   // magnification^power
    std::int32_t kind[kShadowLines];

    OPALG_INLINE_MEMBER void fill(const SampleShadows<Real>& job, const Shadow& s, double x, double z) {
        const double first[3] = {x + half, job.y, z};
        const double u0 = s.along(s.u, first), v0 = s.along(s.v, first), w0 = s.along(s.w, first);
        // Of detectors so large floats could not tell the numbers of pixels apart.
        const bool large = job.pair_stride >= (1 << 17) || job.rows >= (1 << 22);
        const double half_u = double(job.detectors - 1) / 2, half_v = double(job.rows - 1) / 2;
        const Doubles zero = broadcast<Doubles>(0), one = broadcast<Doubles>(1),
                      reach = broadcast<Doubles>(large ? -1 : kShadowReach);
        for (int j = 0; j < kShadowLines; j += Lanes<Doubles>::count) {
            const Doubles line = count_up<Doubles>() + double(j), inverse = 1.0 / (w0 + s.w[1] * line);
            const Doubles m = s.depth * inverse, u = (u0 + s.u[1] * line) * inverse, v = (v0 + s.v[1] * line) * inverse;
            const Doubles bent = s.w[0] * inverse;
            const Doubles du = (s.u[0] - u * s.w[0]) * inverse, dv = (s.v[0] - v * s.w[0]) * inverse;
            const Doubles turn = half * magnitudes(bent);
            const Doubles way = half + 2 * half * turn;  // at least half / (1 - turn), for turn <= 1/2
            const Doubles far_u = way * magnitudes(du), far_v = way * magnitudes(dv);
            const Doubles over_u = magnitudes(u - half_u) - half_u, over_v = magnitudes(v - half_v) - half_v;
            Doubles what = larger<Doubles>(over_u + far_u, over_v + far_v) <= zero ? broadcast<Doubles>(kInside)
                                                                                  : broadcast<Doubles>(kRim);
            what = larger<Doubles>(far_u, far_v) <= reach ? what : broadcast<Doubles>(kUnbounded);
            what = larger<Doubles>(over_u - far_u, over_v - far_v) >= one ? broadcast<Doubles>(kMissed) : what;
            // Comparisons with what is not a number are false.
            what = m > zero ? what : broadcast<Doubles>(kMissed);
            what = turn <= broadcast<Doubles>(0.5) ? what : broadcast<Doubles>(kUnbounded);
            store_as(kind + j, what);
            // Groups that are missed may lie anywhere, and their places are not used.
            const Doubles floor_u = rounded_down<Doubles>(u), floor_v = rounded_down<Doubles>(v);
            store_as(whole_u + j, floor_u);
            store_as(whole_v + j, floor_v);
            store_as(part_u + j, u - floor_u);
            store_as(part_v + j, v - floor_v);
            store(pair + j, floor_v * double(job.pair_stride) + floor_u);
            store_as(bend + j, bent);
            store_as(slope_u + j, du);
            store_as(slope_v + j, dv);
            store_as(scale + j, job.power ? m * m : one);
        }
        asm volatile("" : : "r"(this) : "memory");  // as in PlaneTable
    }
};

// Where the voxels of the groups look: the pair below, the weights of the next column and row, and the magnification.
template <class V, int Power> struct ShadowPlaces {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count;
    alignas(64) std::int32_t index[kShadowLines][lanes];  // from the pair of the group's middle
    alignas(64) Real weight_u[kShadowLines][lanes], weight_v[kShadowLines][lanes], scale[Power ? kShadowLines : 1][lanes];

    template <bool Rim>
    OPALG_INLINE_MEMBER void fill(const SampleShadows<Real>& job, const ShadowGroups<V>& group, int line, Real stride) {
        const V away = count_up<V>() - Real(ShadowGroups<V>::half);
        const V shrink = reciprocal<V>(1 + group.bend[line] * away);
        V u = group.part_u[line] + (group.slope_u[line] * away) * shrink;
        V v = group.part_v[line] + (group.slope_v[line] * away) * shrink;
        if constexpr (Rim) {
            const Real left = -1 - group.whole_u[line], below = -1 - group.whole_v[line];
            u = smaller<V>(larger<V>(u, broadcast<V>(left)), broadcast<V>(left + Real(job.detectors + 1)));
            v = smaller<V>(larger<V>(v, broadcast<V>(below)), broadcast<V>(below + Real(job.rows + 1)));
        }
        const V floor_u = rounded_down<V>(u), floor_v = rounded_down<V>(v);
        typedef std::int32_t Narrow __attribute__((vector_size(lanes * sizeof(std::int32_t))));
        store(index[line], __builtin_convertvector(floor_v * stride + floor_u, Narrow));
        store(weight_u[line], u - floor_u);
        store(weight_v[line], v - floor_v);
        if constexpr (Power) store(scale[line], (group.scale[line] * shrink) * shrink);
    }

    // pairs: the one of the group's middle
    OPALG_INLINE_MEMBER V look_up(const Real* pairs, int line) const {
        V here, climb, next, next_climb;
        load_cells<V>(pairs, index[line], here, climb, next, next_climb);
        const V up = load<V>(weight_v[line]), left = here + up * climb, right = next + up * next_climb;
        const V value = left + load<V>(weight_u[line]) * (right - left);
        return Power ? load<V>(scale[Power ? line : 0]) * value : value;
    }
};

// Any group, in double.
template <class V>
V sample_anywhere(const SampleShadows<RealOf<V>>& job, const Shadow& s, const RealOf<V>* pairs, double x, double y,
                  double z) {
    V sum = {};
    for (int l = 0; l < Lanes<V>::count; ++l) {
        const double voxel[3] = {x + l, y, z}, inverse = 1 / s.along(s.w, voxel), m = s.depth * inverse;
        const double u = s.along(s.u, voxel) * inverse, v = s.along(s.v, voxel) * inverse;
        // Behind the source, or beside it: no shadow. (Comparisons with what is not a number are false.)
        if (!(m > 0 && u > -1 && u < double(job.detectors) && v > -1 && v < double(job.rows))) continue;
        const double floor_u = __builtin_floor(u), floor_v = __builtin_floor(v);
        const RealOf<V>* p = pairs + 2 * (std::int64_t(floor_v) * job.pair_stride + std::int64_t(floor_u));
        const RealOf<V> weight_u = RealOf<V>(u - floor_u), weight_v = RealOf<V>(v - floor_v);
        const RealOf<V> left = p[0] + weight_v * p[1], right = p[2] + weight_v * p[3];
        sum[l] = RealOf<V>(job.power ? m * m : 1.0) * (left + weight_u * (right - left));
    }
    return sum;
}

// The groups at one x and z, in one view. In two steps: a processor that waits for pixels looks ahead at many groups only if
// there is little to do for each.
template <class V, int Power>
OPALG_INLINE void sample_groups(const SampleShadows<RealOf<V>>& job, const ShadowGroups<V>& groups, std::int64_t k, double x,
                                double z, RealOf<V>* voxels) {
    const RealOf<V>* pairs = job.pairs[k];
    const RealOf<V> stride = RealOf<V>(job.pair_stride);
    const int lines = int(job.lines);
    ShadowPlaces<V, Power> places;
    for (int line = 0; line < lines; ++line) {
        if (groups.kind[line] == kInside) places.template fill<false>(job, groups, line, stride);
        else if (groups.kind[line] == kRim) places.template fill<true>(job, groups, line, stride);
    }
    asm volatile("" : : "r"(&places) : "memory");  // as in PlaneTable
    for (int line = 0; line < lines; ++line, voxels += Lanes<V>::count) {
        const int kind = groups.kind[line];
        if (kind == kMissed) continue;
        if (kind == kUnbounded)
            store(voxels, load<V>(voxels) + sample_anywhere<V>(job, job.shadows[k], pairs, x, job.y + line, z));
        else store(voxels, load<V>(voxels) + places.look_up(pairs + 2 * std::int64_t(groups.pair[line]), line));
    }
}

template <class V, int Power> OPALG_INLINE void sample_tile(const SampleShadows<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count, plane = kShadowLines * lanes;
    RealOf<V>* voxels = job.tile;
    // Groups above each other stay in the cache, with the pixels that they look at in one view.
    for (std::int64_t x = 0; x < job.count; x += lanes, voxels += job.planes * plane) {
        for (std::int64_t k = 0; k < job.views; ++k) {
            for (std::int64_t z = 0; z < job.planes; ++z) {
                ShadowGroups<V> groups;
                groups.fill(job, job.shadows[k], double(x), job.z + double(z));
                sample_groups<V, Power>(job, groups, k, double(x), job.z + double(z), voxels + z * plane);
            }
        }
    }
}

template <class V> void sample_shadows(const SampleShadows<RealOf<V>>& job) {
    if (job.power) sample_tile<V, 2>(job);
    else sample_tile<V, 0>(job);
}

}  // namespace OPALG_ISA
}  // namespace opalg
