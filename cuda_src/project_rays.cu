// Projection along rays: a thread owns one ray, of OPALG_BATCH images, and walks along its planes.
//
// Threads of a warp are neighbours along u, and views come first among blocks: what runs at the same time looks at a thin
// slab of the volume from many sides, which the second-level cache holds.
#include "device.cuh"
#include "ray_views.cuh"
#include "ray_walk.cuh"

namespace opalg {

constexpr Model kModel = Model(OPALG_MODEL);

// Planes whose voxels are read at once: what registers hold.
constexpr int kUnrolled = kBatch > 1 ? 2 : 4;

// The volume as planes [a, b, c]; voxels of c lie side by side.
struct RayPlanes {
    const Store* origin;        // of the first image
    std::int64_t image_stride;  // all strides in elements
    std::int64_t stride_a;
    Offset stride_b;
    std::int32_t size_b, size_c;
};

// Adds what the ray meets on planes first .. last. Outside the volume voxels are zero.
template <bool Checked>
OPALG_INLINE void add_planes(const RayLine<double>& line, const RayPlanes& volume, const Planes& planes, Real* sums) {
    if (planes.first > planes.last) return;
    const double first = double(planes.first);
    Track<Real> track_c(line.c + first * line.slope_c, line.slope_c);
    Track<Real> track_b(kFlat ? 0.0 : line.b + first * line.slope_b, kFlat ? 0.0 : line.slope_b);
    const Sharing<kModel, kFlat, Real> sharing(Real(line.slope_b), Real(line.slope_c));
    const Store* plane = volume.origin + std::int64_t(planes.first) * volume.stride_a;
    int left = planes.last - planes.first + 1;
    double number = first - 0.5;  // of the beginning of the way
    while (left > 0) {
        const int count = left < kLeap ? left : kLeap;
#if defined(__CUDACC__)
#pragma unroll(Checked ? 1 : kUnrolled)
#endif
        for (int k = 0; k < count; ++k) {
            IndexOf<Real> b = 0, c;
            Real weight_b = 0, weight_c, from = 0, to = 1;
            track_c.at(Real(k), c, weight_c);
            if constexpr (!kFlat) track_b.at(Real(k), b, weight_b);
            const Store* cell = plane + (Offset(b) * volume.stride_b + Offset(c));
            bool near_b = true, far_b = true, near_c = true, far_c = true;
            if constexpr (Checked) {
                near_b = std::uint32_t(b) < std::uint32_t(volume.size_b);
                far_b = std::uint32_t(b + 1) < std::uint32_t(volume.size_b);
                near_c = std::uint32_t(c) < std::uint32_t(volume.size_c);
                far_c = std::uint32_t(c + 1) < std::uint32_t(volume.size_c);
                if constexpr (kModel == Model::siddon) {
                    from = larger<Real>(Real(0), Real(line.first - number));
                    to = smaller<Real>(Real(1), Real(line.last - number));
                    number += 1;
                }
            }
            const WayParts<Real> part = sharing(weight_b, weight_c, from, to);
            for (int image = 0; image < kBatch; ++image) {
                const Store* p = cell + image * volume.image_stride;
                const Real first_value = near_b && near_c ? fetched(p) : Real(0);
                const Real second = near_b && far_c ? fetched(p + 1) : Real(0);
                if constexpr (kFlat) {
                    sums[image] += part.all * first_value + part.c * (second - first_value);
                } else {
                    const Store* q = p + volume.stride_b;
                    const Real third = far_b && near_c ? fetched(q) : Real(0);
                    const Real fourth = far_b && far_c ? fetched(q + 1) : Real(0);
                    const Real near = second - first_value;
                    if constexpr (kModel == Model::joseph) {
                        const Real low = first_value + weight_c * near, high = third + weight_c * (fourth - third);
                        sums[image] += low + weight_b * (high - low);
                    } else {
                        sums[image] += part.all * first_value + part.c * near +
                                       (part.b * (third - first_value) + part.both * (fourth - third - near));
                    }
                }
            }
            plane += volume.stride_a;
        }
        left -= count;
        track_c.advance();
        if constexpr (!kFlat) track_b.advance();
    }
}

}  // namespace opalg

// views [views, 5, 3], arc [2, nu] (see ray_views.cuh); volumes [image, z, y, x]; turned: the images of this launch as
// [image, z, x, y], needed if some ray runs along x.
// Output projections [image, view, v, u]. Grid: see ray_place; groups of images along z.
extern "C" __global__ void __launch_bounds__(256, OPALG_BATCH < 4 ? 3 : 2)
    project_rays(opalg::RayGeometry g, opalg::Images images, const double* __restrict__ views,
                 const double* __restrict__ arc, const opalg::Store* __restrict__ volumes,
                 const opalg::Store* __restrict__ turned, opalg::Store* __restrict__ projections) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    if (place.view >= g.views || place.u >= g.nu || place.v >= g.nv) return;
    const std::int64_t group = std::int64_t(blockIdx.z) * kBatch;

    const Ray ray = ray_of<kParallel, kCurved>(g, views, arc, place.view, place.u, place.v);
    const std::int64_t slice = std::int64_t(g.nx) * g.ny;
    const Store* here = volumes + images.volume + group * images.volume_stride;
    RayPlanes volume = {here, images.volume_stride, g.nx, Offset(slice), g.nz, g.nx};
    int planes = g.ny;
    if (ray.axis == 0) {
        volume = {turned + group * g.volume_size(), g.volume_size(), g.ny, Offset(slice), g.nz, g.ny};
        planes = g.nx;
    } else if (ray.axis == 2) {
        volume = {here, images.volume_stride, slice, g.nx, g.ny, g.nx};
        planes = g.nz;
    }
    const RayLine<double> line = kModel == Model::siddon ? lower_ends(ray.line) : ray.line;
    Reach reach = reach_of<kModel, kFlat>(line, planes, volume.size_b, volume.size_c);
    if (ray.axis < 0) reach = {{0, -1}, {0, -1}};
    if (reach.interior.first > reach.interior.last) reach.interior = {reach.active.last + 1, reach.active.last};

    const Real length = Real(ray.length);
    Real sums[kBatch] = {};
    Planes edge = {reach.active.first, reach.interior.first - 1};
#if defined(__CUDACC__)
#pragma unroll 1
#endif
    for (int side = 0; side < 2; ++side) {
        add_planes<true>(line, volume, edge, sums);
        edge = {reach.interior.last + 1, reach.active.last};
    }
    add_planes<false>(line, volume, reach.interior, sums);
    // Found again, so that registers need not hold it on the way.
    const uint3 block = {blockIdx.x + unknown_zero(), blockIdx.y + unknown_zero(), blockIdx.z + unknown_zero()};
    const RayPlace there = ray_place<kFlat>(g.views, threadIdx, block, blockDim);
    Store* target = projections + images.projection + std::int64_t(block.z) * kBatch * images.projection_stride +
                    there.view * images.view_stride + std::int64_t(there.v) * g.nu + there.u;
    for (int k = 0; k < kBatch; ++k) target[k * images.projection_stride] = stored(length * sums[k]);
}
