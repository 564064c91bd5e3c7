// What the transpose gathers: the value of every ray times its length between planes. A thread owns one ray of one image.
#include "device.cuh"
#include "ray_views.cuh"

// For rays in any direction, in one array per axis: a ray counts in the array of its dominant axis and is zero in the
// others, so that no gathering thread has to ask which one it is.
//
// views, arc: see project_rays.cu; projections [image, view, v, u]; axes: bit k is set if axis k has an array.
// Output weighted [image of this launch, axis, view, v, u]. Grid: see ray_place; images along z.
extern "C" __global__ void __launch_bounds__(256)
    weigh_rays(opalg::RayGeometry g, opalg::Images images, const double* __restrict__ views,
               const double* __restrict__ arc, const opalg::Store* __restrict__ projections,
               opalg::Real* __restrict__ weighted, std::int32_t axes) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    if (place.view >= g.views || place.u >= g.nu || place.v >= g.nv) return;
    const Ray ray = ray_of<kParallel, kCurved>(g, views, arc, place.view, place.u, place.v);
    const std::int64_t size = g.projection_size();
    const Real value = Real(ray.length) * fetched(projections + images.projection + blockIdx.z * images.projection_stride +
                                                  place.view * images.view_stride + std::int64_t(place.v) * g.nu + place.u);
    const int arrays = (axes & 1) + (axes >> 1 & 1) + (axes >> 2 & 1);
    Real* target = weighted + std::int64_t(blockIdx.z) * arrays * size + g.row_offset(place.view, place.v) + place.u;
    for (int axis = 0; axis < 3; ++axis) {
        if (!(axes >> axis & 1)) continue;
        *target = ray.axis == axis ? value : Real(0);
        target += size;
    }
}

// For columns of rays: rows in the order of z, and `margin` rows of zeros before and behind them.
//
// Output weighted [image of this launch, view, margin + nv + margin, u]. Grid: as above, with tiles of all these rows.
extern "C" __global__ void __launch_bounds__(256)
    weigh_columns(opalg::RayGeometry g, opalg::Images images, const double* __restrict__ views,
                  const double* __restrict__ arc, const opalg::Store* __restrict__ projections,
                  opalg::Real* __restrict__ weighted, std::int32_t margin) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    const int rows = g.nv + 2 * margin;
    if (place.view >= g.views || place.u >= g.nu || place.v >= rows) return;
    int v = place.v - margin;
    Real value = 0;
    if (v >= 0 && v < g.nv) {
        if (RayView(views, place.view).v_step()[2] < 0) v = g.nv - 1 - v;
        const Ray ray = ray_of<kParallel, kCurved>(g, views, arc, place.view, place.u, v);
        value = Real(ray.length) * fetched(projections + images.projection + blockIdx.z * images.projection_stride +
                                           place.view * images.view_stride + std::int64_t(v) * g.nu + place.u);
    }
    weighted[((std::int64_t(blockIdx.z) * g.views + place.view) * rows + place.v) * g.nu + place.u] = value;
}
