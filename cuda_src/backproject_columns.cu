// The exact transpose of project_rays (Joseph) where detector rows are parallel to z and no ray runs mainly along z, as in
// circular and helical scans, or where there is one slice. The rays of a detector column then share a plane that contains
// z: in plane j of their dominant axis, x or y, they are at one place along the other, and at
//
//     z(v) = start + start_slope j + v (step + step_slope j).
//
// A thread owns OPALG_DEPTH voxels above each other, of OPALG_BATCH images, with their sums in registers, and walks over the
// views. Which columns pass, and how near, it finds once for all its voxels. Threads of a warp are neighbours along x.
#include "device.cuh"
#include "joseph.cuh"
#include "ray_views.cuh"
#include "shadow_column.cuh"
#include "voxel_shadow.cuh"

#if !defined(OPALG_DEPTH)
#define OPALG_DEPTH 16
#endif

namespace opalg {

constexpr int kDepth = OPALG_DEPTH;
constexpr int kRowMargin = kFlat ? 0 : 4;  // as in opalg/engines/launches.py, and at least the most taps

// Adds what voxels gather from one column. t: the place of the first voxel among its rows, in rows. Inside: all taps of all
// voxels lie in the rows or their margin; else they are moved there.
template <int Taps, bool Inside>
OPALG_INLINE void add_taps(const Real* rays, std::uint32_t column, std::uint32_t row_stride, std::int64_t image_stride, int rows,
                           Real weight, double t, Real rate, Real step, Real (*sums)[kDepth]) {
    std::int32_t whole;
    Real part, share[Taps];
    split_position(Taps == 2 ? t : t - double(rate), whole, part);
    whole += first_tap<Taps>;
    // Rows are apart by what only the launch knows: a pointer for each tap, and one offset for all.
    const Real* tap_rays[Taps];
    for (int tap = 0; tap < Taps; ++tap) tap_rays[tap] = rays + std::int64_t(tap) * row_stride;
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int k = 0; k < kDepth; ++k) {
        IndexOf<Real> climbed;
        Real fraction;
        split_floor<Real>(part + Real(k) * rate, climbed, fraction);
        gather_weights<Taps, Real>(fraction, step, share);
        int first = whole + int(climbed);
        if constexpr (!Inside) first = first < -kRowMargin ? -kRowMargin : first > rows ? rows : first;
        // Offsets count from the first row of zeros, so that 32 bits without a sign hold them.
        const std::uint32_t offset = std::uint32_t(first + kRowMargin) * row_stride + column;
        for (int image = 0; image < kBatch; ++image) {
            Real sum = 0;
            for (int tap = 0; tap < Taps; ++tap)
                sum += share[tap] * __ldg(tap_rays[tap] + image * image_stride + offset);
            sums[image][k] += weight * sum;
        }
    }
}

// The same for rows that lie closer than half a voxel: as many taps as it takes, one after the other.
OPALG_INLINE void add_many(const Real* rays, std::uint32_t column, std::uint32_t row_stride, std::int64_t image_stride,
                           int rows, Real weight, double t, Real rate, Real step, Real (*sums)[kDepth]) {
    std::int32_t whole;
    Real part;
    split_position(t - double(rate), whole, part);
    const int taps = int(2 * rate) + 1;
#if defined(__CUDACC__)
#pragma unroll 1
#endif
    for (int tap = 1; tap <= taps; ++tap) {
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int k = 0; k < kDepth; ++k) {
            IndexOf<Real> climbed;
            Real fraction;
            split_floor<Real>(part + Real(k) * rate, climbed, fraction);
            int row = whole + int(climbed) + tap;
            row = row < -1 ? -1 : row > rows ? rows : row;
            const Real share = weight * tent<Real>(step * (Real(tap) - fraction) - Real(1));
            const std::uint32_t offset = std::uint32_t(row + kRowMargin) * row_stride + column;
            for (int image = 0; image < kBatch; ++image)
                sums[image][k] += share * __ldg(rays + image * image_stride + offset);
        }
    }
}

}  // namespace opalg

// columns [6, view, u]: place across and its slope, start and its slope, step and its slope; along_x [view, u]: 1 if the
// dominant axis is x; shadows [view, 2, 5]: see shadow_column.cuh; weighted [image of this launch, view, margin + nv +
// margin, u]: see weigh_rays.cu. Output volumes [image, z, y, x]. Grid: tiles of x and y, tiles of z, groups of images.
extern "C" __global__ void __launch_bounds__(256, 2)
    backproject_columns(std::int32_t nx, std::int32_t ny, std::int32_t nz, std::int32_t nu, std::int32_t nv,
                        std::int32_t views, opalg::Images images, double arc_step, const double* __restrict__ columns,
                        const std::int32_t* __restrict__ along_x, const double* __restrict__ shadows,
                        const opalg::Real* __restrict__ weighted, opalg::Store* __restrict__ volumes) {
    using namespace opalg;
    const unsigned tiles = (unsigned(nx) + blockDim.x - 1) / blockDim.x;
    const double x = int(blockIdx.x % tiles * blockDim.x + threadIdx.x), y = int(blockIdx.x / tiles * blockDim.y + threadIdx.y);
    if (x >= nx || y >= ny) return;
    const std::int64_t table = std::int64_t(views) * nu, view_stride = std::int64_t(nv + 2 * kRowMargin) * nu;
    const std::int64_t image_stride = view_stride * views, group = std::int64_t(blockIdx.z) * kBatch;
    const double p[3] = {x, y, 0};
    for (int first = int(blockIdx.y) * kDepth; first < nz; first += int(gridDim.y) * kDepth) {
        Real sums[kBatch][kDepth] = {};
        const Real* rays = weighted + group * image_stride;
        for (int view = 0; view < views; ++view, rays += view_stride) {
            const int middle =
                column_below(shadow_column<kParallel, kCurved>(shadows + std::int64_t(view) * 10, p, arc_step, nu), nu);
            // Down from the voxel's shadow, then up, until a column is more than one voxel away.
            int step_u = -1;
            for (int u = middle; u < nu; u += step_u) {
                Real weight = 0;
                const double* entry = columns + std::int64_t(view) * nu + u;
                double plane = 0;
                if (u >= 0) {
                    const bool is_along_x = __ldg(along_x + std::int64_t(view) * nu + u);
                    plane = is_along_x ? x : y;
                    weight = tent<Real>(Real(__ldg(entry) + __ldg(entry + table) * plane - (is_along_x ? y : x)));
                }
                if (!(weight > 0)) {
                    if (step_u > 0) break;
                    step_u = 1;
                    u = middle;
                    continue;
                }
                if constexpr (kFlat) {
                    for (int image = 0; image < kBatch; ++image)
                        sums[image][0] += weight * __ldg(rays + image * image_stride + u);
                } else {
                    const double start = __ldg(entry + 2 * table) + __ldg(entry + 3 * table) * plane;
                    const double step = __ldg(entry + 4 * table) + __ldg(entry + 5 * table) * plane;
                    const double inverse = quick_inverse(step), t = (first - start) * inverse;
                    const double end = t + (kDepth - 1) * inverse;
                    const Real narrow = Real(step), rate = Real(inverse);
                    if (!(end + inverse > 0 && t - inverse < nv)) {
                        // All voxels lie beside the detector.
                    } else if (narrow < Real(0.5001)) {
                        add_many(rays, u, nu, image_stride, nv, weight, t, rate, narrow, sums);
                    } else if (!(t > 0 && end < nv)) {
                        add_taps<4, false>(rays, u, nu, image_stride, nv, weight, t, rate, narrow, sums);
                    } else if (narrow >= Real(1)) {
                        add_taps<2, true>(rays, u, nu, image_stride, nv, weight, t, rate, narrow, sums);
                    } else if (narrow >= Real(2.0001 / 3)) {
                        add_taps<3, true>(rays, u, nu, image_stride, nv, weight, t, rate, narrow, sums);
                    } else {
                        add_taps<4, true>(rays, u, nu, image_stride, nv, weight, t, rate, narrow, sums);
                    }
                }
            }
        }
        const std::int64_t voxel = std::int64_t(int(opaque(y))) * nx + int(opaque(x));
        // Unrolled, as every loop over the sums: an index that is known only at run time would put them into memory.
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int k = 0; k < kDepth; ++k)
            for (int image = 0; image < kBatch && first + k < nz; ++image)
                volumes[images.volume + (group + image) * images.volume_stride +
                        std::int64_t(first + k) * ny * nx + voxel] = stored(sums[image][k]);
    }
}
