// Projection by Joseph's method with the interpolation of the texture units: quick, with weights rounded to 1/256, and hence
// not what backproject_rays is the exact transpose of.
//
// A thread owns one ray, of one volume or of OPALG_BATCH slices, and takes one sample on each plane.
#include "device.cuh"
#include "ray_views.cuh"
#include "ray_walk.cuh"

namespace opalg {

struct Place {
    float x, y, z;
};
OPALG_INLINE Place from_roles(double a, double b, double c, int axis) {
    if (axis == 0) return {float(a), float(c), float(b)};
    if (axis == 1) return {float(c), float(a), float(b)};
    return {float(c), float(b), float(a)};
}

}  // namespace opalg

// views, arc: see project_rays.cu; volume: texture of [z, y, x], or of the slices of this launch as layers [image, y, x].
// Output projections [image, view, v, u]. Grid: see ray_place; groups of images along z.
extern "C" __global__ void __launch_bounds__(256)
    project_texture(opalg::RayGeometry g, opalg::Images images, const double* __restrict__ views,
                    const double* __restrict__ arc, cudaTextureObject_t volume, opalg::Store* __restrict__ projections) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    if (place.view >= g.views || place.u >= g.nu || place.v >= g.nv) return;
    const Ray ray = ray_of<kParallel, kCurved>(g, views, arc, place.view, place.u, place.v);
    const int na = ray.axis == 0 ? g.nx : ray.axis == 1 ? g.ny : g.nz, nb = ray.axis == 2 ? g.ny : g.nz;
    const int nc = ray.axis == 0 ? g.ny : g.nx;
    Planes planes = reach_of<Model::joseph, kFlat>(ray.line, na, nb, nc).active;
    if (ray.axis < 0) planes = {0, -1};
    const double first = planes.first;
    const Place start = from_roles(first + 0.5, ray.line.b + first * ray.line.slope_b + 0.5,
                                   ray.line.c + first * ray.line.slope_c + 0.5, ray.axis);
    const Place step = from_roles(1, ray.line.slope_b, ray.line.slope_c, ray.axis);
    const int layer = int(blockIdx.z) * kBatch;
    float sums[kBatch] = {};
    const int count = planes.last - planes.first + 1;
#if defined(__CUDACC__)
#pragma unroll 4
#endif
    for (int k = 0; k < count; ++k) {
        const float x = start.x + float(k) * step.x, y = start.y + float(k) * step.y;
        if constexpr (kFlat) {
            for (int image = 0; image < kBatch; ++image) sums[image] += tex2DLayered<float>(volume, x, y, layer + image);
        } else {
            sums[0] += tex3D<float>(volume, x, y, start.z + float(k) * step.z);
        }
    }
    Store* target = projections + images.projection + std::int64_t(blockIdx.z) * kBatch * images.projection_stride +
                    place.view * images.view_stride + std::int64_t(place.v) * g.nu + place.u;
    for (int image = 0; image < kBatch; ++image)
        target[image * images.projection_stride] = stored(Real(ray.length) * sums[image]);
}
