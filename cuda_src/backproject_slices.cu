// The exact transpose of project_rays (Joseph) for slices before flat detectors, without a table of rays.
//
// Let a pixel's shadow fall on u*, m times as far from the source as the pixel. The ray of column u = u* + d runs along
// (x, y) = m r + d U, where r is the way from the source to the pixel and U the step from column to column. In the plane of
// its dominant axis it passes the pixel at a distance of
//
//     |n d| / max(|x|, |y|),    n = r_x U_y - r_y U_x,
//
// along the other one, whichever of the two it is. (Parallel rays: r is their direction, m = 1 and U does not turn them.)
//
// A thread owns one pixel of OPALG_BATCH images and walks over the views. Threads of a warp are neighbours along x.
#include "device.cuh"
#include "joseph.cuh"
#include "ray_views.cuh"
#include "voxel_shadow.cuh"

namespace opalg {

// A row of a table made by opalg/engines/launch_tables.py; u* = p / q with p = p[0] x + p[1] y + p[2], and q likewise is 1 / m.
struct SliceView {
    double p[3], q[3];
    Real source_x, source_y, step_x, step_y;  // or direction
};

// The shadow of one pixel, and its distance from the rays around it.
struct SliceShadow {
    std::int32_t below;
    Real fraction, x, y, normal;  // x, y: of the ray to the shadow
    Real step_x, step_y;

    OPALG_INLINE_MEMBER Real weight(int column) const {
        const Real d = Real(column) - fraction;
        Real ahead;
        if constexpr (kParallel) {
            ahead = normal * d;  // already divided
        } else {
            const Real along_x = x + d * step_x, along_y = y + d * step_y;
            const Real most = larger<Real>(larger<Real>(along_x, -along_x), larger<Real>(along_y, -along_y));
            ahead = normal * d / most;
        }
        return tent<Real>(ahead);
    }
};

OPALG_INLINE SliceShadow slice_shadow(const SliceView& view, int x, int y) {
    SliceShadow s;
    const double p = view.p[0] * x + view.p[1] * y + view.p[2];
    s.step_x = view.step_x;
    s.step_y = view.step_y;
    if constexpr (kParallel) {
        split_position(p, s.below, s.fraction);
        const Real along_x = larger<Real>(view.source_x, -view.source_x), along_y = larger<Real>(view.source_y, -view.source_y);
        s.normal = (view.source_x * s.step_y - view.source_y * s.step_x) / larger<Real>(along_x, along_y);
    } else {
        const double m = quick_inverse(view.q[0] * x + view.q[1] * y + view.q[2]);
        split_position(p * m, s.below, s.fraction);
        const Real from_x = Real(x) - view.source_x, from_y = Real(y) - view.source_y;
        s.normal = from_x * s.step_y - from_y * s.step_x;
        s.x = Real(m) * from_x;
        s.y = Real(m) * from_y;
    }
    return s;
}

OPALG_INLINE void add_ray(const Real* rays, std::int64_t image_stride, int columns, int u, Real weight, Real* sums) {
    if (weight > 0 && std::uint32_t(u) < std::uint32_t(columns))
        for (int image = 0; image < kBatch; ++image) sums[image] += weight * __ldg(rays + image * image_stride + u);
}

}  // namespace opalg

// views [view] of SliceView; weighted [image of this launch, view, u]: see weigh_rays.cu. Output volumes [image, y, x].
// Grid: tiles of x and y, 1, groups of images.
extern "C" __global__ void __launch_bounds__(256, OPALG_BATCH < 4 ? 3 : 2)
    backproject_slices(std::int32_t nx, std::int32_t ny, std::int32_t nu, std::int32_t view_count, opalg::Images images,
                       const opalg::SliceView* __restrict__ views, const opalg::Real* __restrict__ weighted,
                       opalg::Store* __restrict__ volumes) {
    using namespace opalg;
    const unsigned tiles = (unsigned(nx) + blockDim.x - 1) / blockDim.x;
    const int x = int(blockIdx.x % tiles * blockDim.x + threadIdx.x), y = int(blockIdx.x / tiles * blockDim.y + threadIdx.y);
    if (x >= nx || y >= ny) return;
    const std::int64_t image_stride = std::int64_t(view_count) * nu, group = std::int64_t(blockIdx.z) * kBatch;
    const Real* rays = weighted + group * image_stride;
    Real sums[kBatch] = {};
#if defined(__CUDACC__)
#pragma unroll 2
#endif
    for (int view = 0; view < view_count; ++view, rays += nu) {
        const SliceShadow shadow = slice_shadow(views[view], x, y);
        const Real before = shadow.weight(-1), behind = shadow.weight(2);
        add_ray(rays, image_stride, nu, shadow.below, shadow.weight(0), sums);
        add_ray(rays, image_stride, nu, shadow.below + 1, shadow.weight(1), sums);
        add_ray(rays, image_stride, nu, shadow.below - 1, before, sums);
        add_ray(rays, image_stride, nu, shadow.below + 2, behind, sums);
        // Rays closer than half a pixel: on, until a ray is too far.
        for (int side = -1; side <= 1; side += 2) {
            if (!((side < 0 ? before : behind) > 0)) continue;
            const int end = side < 0 ? shadow.below + 1 : nu - shadow.below - 1;
            for (int k = 2; k <= end; ++k) {
                const int column = side < 0 ? -k : k + 1;
                const Real weight = shadow.weight(column);
                if (!(weight > 0)) break;
                add_ray(rays, image_stride, nu, shadow.below + column, weight, sums);
            }
        }
    }
    for (int image = 0; image < kBatch; ++image)
        volumes[images.volume + (group + image) * images.volume_stride + std::int64_t(y) * nx + x] = stored(sums[image]);
}
