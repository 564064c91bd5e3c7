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

// Adds what voxels gather from one column. t: the place of the first voxel among its rows, in rows.
template <int Taps>
OPALG_INLINE void add_taps(const Real* column, Offset row_stride, std::int64_t image_stride, int rows, Real weight, double t,
                           Real step, Real (*sums)[kDepth]) {
    const Real rate = Real(1) / step;
    std::int32_t whole;
    Real part, share[Taps];
    split_position(Taps == 2 ? t : t - double(rate), whole, part);
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int k = 0; k < kDepth; ++k) {
        IndexOf<Real> climbed;
        Real fraction;
        split_floor<Real>(part + Real(k) * rate, climbed, fraction);
        gather_weights<Taps, Real>(fraction, step, share);
        int first = whole + int(climbed) + first_tap<Taps>;
        first = first < -kRowMargin ? -kRowMargin : first > rows ? rows : first;
        const Real* row = column + Offset(first) * row_stride;
        for (int image = 0; image < kBatch; ++image) {
            Real sum = 0;
            for (int tap = 0; tap < Taps; ++tap) sum += share[tap] * __ldg(row + image * image_stride + tap * row_stride);
            sums[image][k] += weight * sum;
        }
    }
}

// The same for rows that lie closer than half a voxel.
OPALG_INLINE void add_many(const Real* column, Offset row_stride, std::int64_t image_stride, int rows, Real weight, double t,
                           Real step, Real (*sums)[kDepth]) {
    const double rate = 1 / double(step);
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int k = 0; k < kDepth; ++k) {
        const double middle = t + k * rate;
        const int first = bounded(ceil(middle - rate), 0, rows), last = bounded(floor(middle + rate), -1, rows - 1);
        for (int row = first; row <= last; ++row) {
            const Real share = weight * tent<Real>(step * Real(row - middle));
            for (int image = 0; image < kBatch; ++image)
                sums[image][k] += share * __ldg(column + image * image_stride + Offset(row) * row_stride);
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
    const int x = int(blockIdx.x % tiles * blockDim.x + threadIdx.x), y = int(blockIdx.x / tiles * blockDim.y + threadIdx.y);
    if (x >= nx || y >= ny) return;
    const std::int64_t table = std::int64_t(views) * nu, view_stride = std::int64_t(nv + 2 * kRowMargin) * nu;
    const std::int64_t image_stride = view_stride * views, group = std::int64_t(blockIdx.z) * kBatch;
    const double p[3] = {double(x), double(y), 0};
    for (int first = int(blockIdx.y) * kDepth; first < nz; first += int(gridDim.y) * kDepth) {
        Real sums[kBatch][kDepth] = {};
        const Real* rays = weighted + group * image_stride + std::int64_t(kRowMargin) * nu;
        for (int view = 0; view < views; ++view, rays += view_stride) {
            const int middle =
                column_below(shadow_column<kParallel, kCurved>(shadows + std::int64_t(view) * 10, p, arc_step, nu), nu);
            // Down from the voxel's shadow, then up, until a column is more than one voxel away.
            int step_u = -1;
            for (int u = middle; u < nu; u += step_u) {
                Real weight = 0;
                const double* entry = columns + std::int64_t(view) * nu + u;
                int plane = 0;
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
                    const double t = (first - start) * quick_inverse(step);
                    const Real narrow = Real(step);
                    // A step of one or a little less, by rounding, too: both ways are right there.
                    if (narrow >= Real(1)) add_taps<2>(rays + u, nu, image_stride, nv, weight, t, narrow, sums);
                    else if (narrow >= Real(2.0001 / 3)) add_taps<3>(rays + u, nu, image_stride, nv, weight, t, narrow, sums);
                    else if (narrow >= Real(0.5001)) add_taps<4>(rays + u, nu, image_stride, nv, weight, t, narrow, sums);
                    else add_many(rays + u, nu, image_stride, nv, weight, t, narrow, sums);
                }
            }
        }
        for (int k = 0; k < kDepth && first + k < nz; ++k)
            for (int image = 0; image < kBatch; ++image)
                volumes[images.volume + (group + image) * images.volume_stride +
                        (std::int64_t(first + k) * ny + y) * nx + x] = stored(sums[image][k]);
    }
}
