// The exact transpose of project_rays for any geometry: a thread owns one voxel, of OPALG_BATCH images, and gathers from
// the rays of all views that pass it. Sums are made in a fixed order, by one thread each.
//
// Threads of a warp are neighbours along x.
#include "device.cuh"
#include "ray_gather.cuh"
#include "shadow_column.cuh"

namespace opalg {

constexpr Model kModel = Model(OPALG_MODEL);
using Column = GatherColumn<kModel, kFlat, kParallel>;

// Of a multiprocessor, at least: from 10.0 on these cases need more registers than two blocks can have.
constexpr int kBlocks = kModel == Model::siddon && (kCurved || sizeof(Real) == 8) ? 1 : 2;

// Whether rays close to the voxel may run along an axis: with slopes up to one.
OPALG_INLINE bool may_dominate(const Triple& voxel, const Triple& source) {
    if constexpr (kParallel) return true;
    const double reach = magnitude(voxel.a - source.a) + 1.001;
    return magnitude(voxel.b - source.b) <= reach && magnitude(voxel.c - source.c) <= reach;
}

// Adds what the voxel gathers from rays v of a column, with D of this sign. Tells whether the column is within the shadow.
OPALG_INLINE bool add_column(const Column& column, double height, double sign, const Real* weighted, int rows,
                             std::int64_t row_stride, std::int64_t image_stride, Real* sums) {
    const Interval v = column.interval(sign);
    if (!(v.first <= v.last)) return false;
    const int first = kFlat ? 0 : int(ceil(v.first > 0 ? v.first < float(rows) ? v.first : float(rows) : 0.0f));
    const int last = kFlat ? 0 : int(floor(v.last < float(rows) ? v.last > -1 ? v.last : -1.0f : float(rows)));
    for (int row = first; row <= last && row < rows; ++row) {
        const Real weight = column.weight<Real>(double(row), height);
        for (int image = 0; image < kBatch; ++image)
            sums[image] += weight * __ldg(weighted + row * row_stride + image * image_stride);
    }
    return true;
}

}  // namespace opalg

// views, arc: see project_rays.cu; shadows [views, 2, 5]: see shadow_column; search [views]: 1 where the shadow of a voxel may
// be unbounded, so that all columns are looked at; axes, weighted: see weigh_rays.cu.
// Output volumes [image, z, y, x]. Grid: tiles of x and y, slices, groups of images.
extern "C" __global__ void __launch_bounds__(256, opalg::kBlocks)
    backproject_rays(opalg::RayGeometry g, opalg::Images images, const double* __restrict__ views,
                     const double* __restrict__ arc,
                     double arc_step, const double* __restrict__ shadows, const std::int32_t* __restrict__ search,
                     std::int32_t axes, const opalg::Real* __restrict__ weighted, opalg::Store* __restrict__ volumes) {
    using namespace opalg;
    const int tiles = int((unsigned(g.nx) + blockDim.x - 1) / blockDim.x);
    const double x = int(blockIdx.x % unsigned(tiles) * blockDim.x + threadIdx.x);
    const double y = int(blockIdx.x / unsigned(tiles) * blockDim.y + threadIdx.y);
    if (x >= g.nx || y >= g.ny) return;
    const int arrays = (axes & 1) + (axes >> 1 & 1) + (axes >> 2 & 1);
    const std::int64_t size = g.projection_size(), group = std::int64_t(blockIdx.z) * kBatch;
    for (int z = int(blockIdx.y); z < g.nz; z += int(gridDim.y)) {
        const double p[3] = {x, y, double(z)};
        Real sums[kBatch] = {};
        for (int number = 0; number < g.views; ++number) {
            const RayView view(views, number);
            const bool everywhere = search[number];
            int middle = -1;
            if (!everywhere)
                middle = column_below(
                    shadow_column<kParallel, kCurved>(shadows + std::int64_t(number) * 10, p, arc_step, g.nu), g.nu);
            const Real* array = weighted + group * arrays * size + g.row_offset(number, 0);
            for (int axis = 0; axis < 3; ++axis) {
                if (!(axes >> axis & 1)) continue;
                const Triple voxel = in_roles(p, axis), source = in_roles(view.source(), axis);
                const double height = voxel.a - source.a;
                if (kParallel ? dominant_axis(view.source()) == axis : may_dominate(voxel, source)) {
                    const Triple v_step = in_roles(view.v_step(), axis);
                    // Down from the voxel's shadow, then up, until a column is outside; or all columns, both ways.
                    for (int way = 0; way < 2; ++way) {
                        const int step = everywhere || way ? 1 : -1;
                        const double sign = kParallel ? 1.0 : everywhere ? 1.0 - 2.0 * way : height > 0 ? 1.0 : -1.0;
                        if (kParallel && everywhere && way) break;
                        for (int u = everywhere ? 0 : middle + way; u >= 0 && u < g.nu; u += step) {
                            double pixel[3];
                            pixel_centre<kCurved>(view, arc, g.nu, u, 0, pixel);
                            const Column column(voxel, source, in_roles(pixel, axis), v_step);
                            if (!add_column(column, height, sign, array + u, g.nv, g.nu, arrays * size, sums) && !everywhere)
                                break;
                        }
                    }
                }
                array += size;
            }
        }
        const std::int64_t voxel = (std::int64_t(z) * g.ny + int(opaque(y))) * g.nx + int(opaque(x));
        const std::int64_t first = std::int64_t(blockIdx.z + unknown_zero()) * kBatch;
        for (int k = 0; k < kBatch; ++k)
            volumes[images.volume + (first + k) * images.volume_stride + voxel] = stored(sums[k]);
    }
}
