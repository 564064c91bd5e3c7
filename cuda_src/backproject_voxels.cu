// Voxel-driven back projection: every voxel sums over views what its shadow falls on, interpolated between pixels, zero
// outside the detector. Not the transpose of a projection.
//
// A thread owns OPALG_DEPTH voxels above each other, of OPALG_BATCH images, with their sums in registers, and walks over the
// views. Their first shadow is found in double, the others relative to it in Real: by equal steps where detector rows are
// parallel to z (OPALG_UPRIGHT), else by a quotient.
#include "device.cuh"
#include "voxel_shadow.cuh"

#if !defined(OPALG_DEPTH)
#define OPALG_DEPTH 16
#endif
#if !defined(OPALG_UPRIGHT)
#define OPALG_UPRIGHT 0  // 1: u and magnification of a voxel do not depend on z
#endif
#if !defined(OPALG_TEXTURE)
#define OPALG_TEXTURE 0  // 1: pixels are interpolated by the texture units, with weights rounded to 1/256
#endif
#if !defined(OPALG_POWER)
#define OPALG_POWER 0  // 0 or 2: of the magnification with which values count
#endif

namespace opalg {

constexpr int kDepth = OPALG_DEPTH;

// Where the shadows of a thread's voxels k = 0, 1, .. are: u = u0 + part_u + rate_u k / (1 + bend k), v likewise.
struct ShadowLine {
    std::int32_t u, v;
    Real part_u, part_v, rate_u, rate_v, bend, scale;

    OPALG_INLINE_MEMBER void at(int k, Real& along_u, Real& along_v, Real& weight) const {
        along_u = part_u;
        along_v = part_v + Real(k) * rate_v;
        weight = scale;
        if constexpr (!OPALG_UPRIGHT && kDepth > 1) {
            const Real inverse = Real(1) / (Real(1) + Real(k) * bend);
            along_u = part_u + Real(k) * rate_u * inverse;
            along_v = part_v + Real(k) * rate_v * inverse;
            if constexpr (OPALG_POWER == 2) weight = scale * inverse * inverse;
        }
    }
};

// The pixels of one view.
struct Pixels {
    std::int32_t nu, nv;
#if OPALG_TEXTURE
    cudaTextureObject_t texture;
    int layer;

    // Around u, v. Unless Inside, those outside the detector are zero.
    template <bool Inside>
    OPALG_INLINE_MEMBER Real sampled(int, std::int32_t u, Real weight_u, std::int32_t v, Real weight_v) const {
        return tex2DLayered<float>(texture, float(u) + weight_u + 0.5f, kFlat ? 0.5f : float(v) + weight_v + 0.5f, layer);
    }
    OPALG_INLINE_MEMBER void next(std::int64_t) { ++layer; }
#else
    const Store* view;
    std::int64_t image_stride;

    OPALG_INLINE_MEMBER const Store* pixel(int image, std::int32_t u, std::int32_t v) const {
        const Store* first = view + image * image_stride + u;
        return kFlat ? first : leapt(first, v, nu);
    }
    // Row v at u + weight_u, if wanted; pixel: u of the row.
    template <bool Inside>
    OPALG_INLINE_MEMBER Real in_row(const Store* pixel, std::int32_t u, Real weight_u, std::int32_t v, bool wanted = true) const {
        if constexpr (!Inside && !kFlat) wanted = wanted && std::uint32_t(v) < std::uint32_t(nv);
        const bool left = wanted && (Inside || std::uint32_t(u) < std::uint32_t(nu));
        const bool right = wanted && (Inside || std::uint32_t(u + 1) < std::uint32_t(nu));
        const Real first = left ? fetched(pixel) : Real(0), second = right ? fetched(pixel + 1) : Real(0);
        return first + weight_u * (second - first);
    }
    template <bool Inside>
    OPALG_INLINE_MEMBER Real sampled(int image, std::int32_t u, Real weight_u, std::int32_t v, Real weight_v) const {
        const Store* below = pixel(image, u, v);
        const Real near = in_row<Inside>(below, u, weight_u, v);
        if constexpr (kFlat) return near;
        return near + weight_v * (in_row<Inside>(below + nu, u, weight_u, v + 1) - near);
    }
    OPALG_INLINE_MEMBER void next(std::int64_t view_size) { view += view_size; }
#endif
};

#if OPALG_UPRIGHT && !OPALG_FLAT && !OPALG_TEXTURE
// Where all voxels of a thread see the same columns: what lies between these is kept of a row that the voxel below has seen,
// too. Dense: voxels lie closer than rows, so that each sees a row of the one below.
template <bool Inside, bool Dense>
OPALG_INLINE void add_upright(const ShadowLine& line, const Pixels& pixels, Real (*sums)[kDepth]) {
    Real near[kBatch], far[kBatch];
    std::int32_t below = 0;
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int k = 0; k < kDepth; ++k) {
        Real along_u, along_v, weight, weight_v;
        IndexOf<Real> step;
        line.at(k, along_u, along_v, weight);
        split_floor<Real>(along_v, step, weight_v);
        const std::int32_t v = line.v + std::int32_t(step);
        const bool kept = k > 0 && (Dense || v == below + 1);
        for (int image = 0; image < kBatch; ++image) {
            const Real fresh = pixels.in_row<Inside>(pixels.pixel(image, line.u, v), line.u, along_u, v, !kept);
            if (!kept)
                near[image] = fresh;
            else if (!Dense || v != below)
                near[image] = far[image];
            far[image] = pixels.in_row<Inside>(pixels.pixel(image, line.u, v + 1), line.u, along_u, v + 1);
            sums[image][k] += weight * (near[image] + weight_v * (far[image] - near[image]));
        }
        below = v;
    }
}

template <bool Inside> OPALG_INLINE void add_line(const ShadowLine& line, const Pixels& pixels, Real (*sums)[kDepth]) {
    // Closer by more than what positions are rounded to.
    if (Inside && line.rate_v >= 0 && line.rate_v < Real(0.9999))
        add_upright<Inside, true>(line, pixels, sums);
    else
        add_upright<Inside, false>(line, pixels, sums);
}
#else
template <bool Inside>
OPALG_INLINE void add_line(const ShadowLine& line, const Pixels& pixels, Real (*sums)[kDepth]) {
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int k = 0; k < kDepth; ++k) {
        Real along_u, along_v, weight, weight_u, weight_v;
        IndexOf<Real> step_u = 0, step_v = 0;
        line.at(k, along_u, along_v, weight);
        weight_u = along_u;  // upright: in [0, 1) as it is
        if constexpr (!OPALG_UPRIGHT && kDepth > 1) split_floor<Real>(along_u, step_u, weight_u);
        split_floor<Real>(along_v, step_v, weight_v);
        const std::int32_t u = line.u + std::int32_t(step_u), v = line.v + std::int32_t(step_v);
        for (int image = 0; image < kBatch; ++image)
            sums[image][k] += weight * pixels.sampled<Inside>(image, u, weight_u, v, weight_v);
    }
}
#endif

// Voxels whose line of shadows runs through the plane of the source, one by one.
OPALG_INLINE void add_each(const VoxelView& view, const Arc& arc, double x, double y, double z, const Pixels& pixels,
                           Real (*sums)[kDepth]) {
    z = opaque(z);
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int k = 0; k < kDepth; ++k) {
        const ShadowPoint s = shadow_point<kParallel, kCurved>(view, arc, x, y, z + k);
        if (!(s.magnification > 0)) continue;
        std::int32_t u, v;
        Real weight_u, weight_v;
        split_position(s.u, u, weight_u);
        split_position(s.v, v, weight_v);
        const Real scale = OPALG_POWER == 2 ? Real(s.magnification * s.magnification) : Real(1);
        for (int image = 0; image < kBatch; ++image)
            sums[image][k] += scale * pixels.sampled<false>(image, u, weight_u, v, weight_v);
    }
}

}  // namespace opalg

// views [views] of VoxelView; projections [image, view, v, u], or one image as a texture with views as layers. Output volumes [image, z, y, x].
// Grid: tiles of x and y, tiles of z, groups of images.
extern "C" __global__ void __launch_bounds__(256, 2)
    backproject_voxels(std::int32_t nx, std::int32_t ny, std::int32_t nz, std::int32_t nu, std::int32_t nv,
                       std::int32_t view_count, const opalg::VoxelView* __restrict__ views, opalg::Arc arc,
#if OPALG_TEXTURE
                       cudaTextureObject_t projection,
#else
                       const opalg::Store* __restrict__ projections,
#endif
                       opalg::Store* __restrict__ volumes, std::int32_t first_image) {
    using namespace opalg;
    const unsigned tiles = (unsigned(nx) + blockDim.x - 1) / blockDim.x;
    const double x = int(blockIdx.x % tiles * blockDim.x + threadIdx.x), y = int(blockIdx.x / tiles * blockDim.y + threadIdx.y);
    if (x >= nx || y >= ny) return;
    const std::int64_t view_size = std::int64_t(nu) * nv;
    for (int first = int(blockIdx.y) * kDepth; first < nz; first += int(gridDim.y) * kDepth) {
        Real sums[kBatch][kDepth] = {};
#if OPALG_TEXTURE
        Pixels pixels = {nu, nv, projection, 0};
#else
        Pixels pixels = {nu, nv, projections + (first_image + std::int64_t(blockIdx.z) * kBatch) * view_size * view_count, view_size * view_count};
#endif
        for (int number = 0; number < view_count; ++number, pixels.next(view_size)) {
            const VoxelView& view = views[number];
            const ShadowPoint s = shadow_point<kParallel, kCurved>(view, arc, x, y, first);
            ShadowLine line;
            double last_u = s.u, last_v = s.v;
            bool regular = s.magnification > 0;
            if constexpr (OPALG_UPRIGHT || kDepth == 1) {
                if (!regular) continue;
                const double rate = view.q[2] * s.magnification;
                line.rate_u = line.bend = 0;
                line.rate_v = Real(rate);
                last_v += (kDepth - 1) * rate;
            } else if constexpr (kParallel) {
                line.rate_u = Real(view.p[2]);
                line.rate_v = Real(view.q[2]);
                line.bend = 0;
                last_u += (kDepth - 1) * view.p[2];
                last_v += (kDepth - 1) * view.q[2];
            } else {
                const double bend = view.r[2] * s.magnification, end = 1 + (kDepth - 1) * bend;
                const double rate_u = (view.p[2] - s.u * view.r[2]) * s.magnification;
                const double rate_v = (view.q[2] - (s.v - view.lift) * view.r[2]) * s.magnification;
                // Relative positions keep their digits as long as the magnification does not change much.
                regular = regular && end > 0.5 && end < 2;
                line.bend = Real(bend);
                line.rate_u = Real(rate_u);
                line.rate_v = Real(rate_v);
                last_u += (kDepth - 1) * rate_u / end;
                last_v += (kDepth - 1) * rate_v / end;
            }
            if (!regular) {
                add_each(view, arc, x, y, first, pixels, sums);
                continue;
            }
            // Shadows follow each other along a line of the detector: its ends bound it.
            const double least_u = smaller(s.u, last_u), most_u = larger(s.u, last_u), least_v = smaller(s.v, last_v),
                         most_v = larger(s.v, last_v), room = 1e-3;
            if (!(most_u > -1 && least_u < nu && (kFlat || (most_v > -1 && least_v < nv)))) continue;
            split_position(s.u, line.u, line.part_u);
            split_position(s.v, line.v, line.part_v);
            line.scale = OPALG_POWER == 2 ? Real(s.magnification * s.magnification) : Real(1);
            if (least_u >= room && most_u < nu - 1 - room && (kFlat || (least_v >= room && most_v < nv - 1 - room)))
                add_line<true>(line, pixels, sums);
            else
                add_line<false>(line, pixels, sums);
        }
        // What registers need not hold while views are added is found again.
        const std::int64_t image = first_image + std::int64_t(blockIdx.z + (kFlat ? 0 : unknown_zero())) * kBatch;
        const std::int64_t slice = std::int64_t(nx) * ny, voxel = std::int64_t(int(opaque(y))) * nx + int(opaque(x));
        // Unrolled, as every loop over the sums: an index that is known only at run time would put them into memory.
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int k = 0; k < kDepth; ++k)
            for (int i = 0; i < kBatch && first + k < nz; ++i)
                volumes[((image + i) * nz + first + k) * slice + voxel] = stored(sums[i][k]);
    }
}
