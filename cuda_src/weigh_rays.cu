// What the transpose gathers: the value of every ray times its length between planes. A thread owns one ray of one image.
#include "device.cuh"
#include "ray_views.cuh"

// For rays in any direction, in one array per axis: a ray counts in the array of its dominant axis and is zero in the
// others, so that no gathering thread has to ask which one it is.
//
// views, arc: see project_rays.cu; projections [image, view, v, u]; axes: bit k is set if axis k has an array.
// Output weighted [image of this launch, axis, view, v, u]. Grid: views * tiles of u, tiles of v, images.
extern "C" __global__ void __launch_bounds__(256)
    weigh_rays(opalg::RayGeometry g, const double* __restrict__ views, const double* __restrict__ arc,
               const opalg::Store* __restrict__ projections, opalg::Real* __restrict__ weighted, std::int32_t axes,
               std::int32_t first_image) {
    using namespace opalg;
    const int view = int(blockIdx.x % unsigned(g.views));
    const int u = int(blockIdx.x / unsigned(g.views) * blockDim.x + threadIdx.x);
    const int v = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (u >= g.nu || v >= g.nv) return;
    const Ray ray = ray_of<kParallel, kCurved>(g, views, arc, view, u, v);
    const std::int64_t size = g.projection_size(), offset = g.row_offset(view, v) + u;
    const std::int64_t image = std::int64_t(first_image) + blockIdx.z;
    const Real value = Real(ray.length) * fetched(projections + image * size + offset);
    const int arrays = (axes & 1) + (axes >> 1 & 1) + (axes >> 2 & 1);
    Real* target = weighted + std::int64_t(blockIdx.z) * arrays * size + offset;
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
    weigh_columns(opalg::RayGeometry g, const double* __restrict__ views, const double* __restrict__ arc,
                  const opalg::Store* __restrict__ projections, opalg::Real* __restrict__ weighted, std::int32_t margin,
                  std::int32_t first_image) {
    using namespace opalg;
    const int view = int(blockIdx.x % unsigned(g.views)), rows = g.nv + 2 * margin;
    const int u = int(blockIdx.x / unsigned(g.views) * blockDim.x + threadIdx.x);
    const int row = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (u >= g.nu || row >= rows) return;
    int v = row - margin;
    Real value = 0;
    if (v >= 0 && v < g.nv) {
        if (RayView(views, view).v_step()[2] < 0) v = g.nv - 1 - v;
        const std::int64_t image = std::int64_t(first_image) + blockIdx.z;
        const Ray ray = ray_of<kParallel, kCurved>(g, views, arc, view, u, v);
        value = Real(ray.length) * fetched(projections + image * g.projection_size() + g.row_offset(view, v) + u);
    }
    weighted[((std::int64_t(blockIdx.z) * g.views + view) * rows + row) * g.nu + u] = value;
}
