// Projection of the footprint model where detector rows are along z and columns see columns of voxels (upright views, as in
// circular and helical scans): how a voxel is shared among detector columns does not depend on z, and is found once for
// OPALG_DEPTH pixels above each other, of OPALG_BATCH images, that a thread owns.
#include "device.cuh"
#include "footprint_beam.cuh"

#if !defined(OPALG_DEPTH)
#define OPALG_DEPTH 8
#endif

// Arguments: see project_footprints.cu. Grid: see ray_place, for every OPALG_DEPTH-th row; groups of images along z.
extern "C" __global__ void __launch_bounds__(256, 2)
    project_footprint_columns(opalg::RayGeometry g, opalg::Images images, opalg::FootprintScan scan,
                              const double* __restrict__ vectors, const double* __restrict__ arc,
                              const opalg::FootprintTable* __restrict__ tables, const opalg::Store* __restrict__ volumes,
                              opalg::Store* __restrict__ projections) {
    using namespace opalg;
    constexpr int depth = OPALG_DEPTH;
    const RayPlace place = ray_place<false>(g.views, threadIdx, blockIdx, blockDim);
    const int u = place.u, first_row = place.v * depth;
    if (place.view >= g.views || u >= g.nu || first_row >= g.nv) return;
    const std::int64_t group = std::int64_t(blockIdx.z) * kBatch, slice = std::int64_t(g.nx) * g.ny;
    const RayView around(vectors, place.view);
    const FootprintTable& table = tables[place.view];
    // Within planes of x and y rays of a column are one.
    FootprintPixel level_pixel(scan, around, arc, g.nu, u, first_row);
    level_pixel.way[2] = 0;
    const FootprintBeam beam(scan, table, level_pixel, around, arc, g.nu, u, first_row, false, g);
    const Store* volume = volumes + images.volume + group * images.volume_stride;
    const double level = table.level;
    const Real farthest = Real(larger<double>(magnitude(level), magnitude(g.nz - 1 - level)));
    const bool along_x = beam.axis == 0;
    Real sums[kBatch][depth] = {};
    for (int a = beam.planes.first; a <= beam.planes.last; ++a) {
        const Planes c_range = beam.c.indices(float(a) - beam.middle, along_x ? g.ny : g.nx);
        for (int c = c_range.first; c <= c_range.last; ++c) {
            const int x = along_x ? a : c, y = along_x ? c : a;
            const double p[3] = {double(x), double(y), level + 1};
            VoxelShadow<double> shadow;
            // Read again every time: there are no registers for it beside all the others.
            const FootprintView view = scan.view(tables[place.view + unknown_zero()], false);
            if (!voxel_shadow<false, double>(view, p, shadow)) continue;
            const FootprintShare<false, Real> share(shadow, view.kind.power);
            if (!(magnitude(u - share.u) < share.reach_u)) continue;
            const Real weight = share.column(u);
            // Voxel z falls on row start + step z.
            const double step = shadow.slope_v[2], start = shadow.v - step * p[2], inverse = 1 / step;
            std::int32_t whole;
            Real part;
            split_position((first_row - start) * inverse, whole, part);
            const Real rows = Real(step), voxels = Real(inverse), above_level = Real(whole - level);
            const Real reach = (share.row_reach + share.shift * farthest) * Real(magnitude(inverse));
            const Store* column = volume + std::int64_t(y) * g.nx + x;
#if defined(__CUDACC__)
#pragma unroll
#endif
            for (int row = 0; row < depth; ++row) {
                const Real middle = part + Real(row) * voxels;
                int first = int(ceil(middle - reach)), last = int(floor(middle + reach));
                first = first > -whole ? first : -whole;
                last = last < g.nz - 1 - whole ? last : g.nz - 1 - whole;
                for (int z = first; z <= last; ++z) {
                    const Real shift = share.shift * larger<Real>(above_level + Real(z), -above_level - Real(z));
                    const Real amount = weight * overlap_of_boxes<Real>((Real(z) - middle) * rows, shift, share.row_reach, share.most);
                    for (int k = 0; k < kBatch; ++k)
                        sums[k][row] += amount * fetched(column + k * images.volume_stride + (whole + z) * slice);
                }
            }
        }
    }
    Store* target = projections + images.projection + group * images.projection_stride + place.view * images.view_stride + u;
    // Unrolled, as every loop over the sums: an index that is known only at run time would put them into memory.
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int row = 0; row < depth; ++row) {
        const int v = first_row + row;
        if (v >= g.nv) break;
        const FootprintPixel pixel(scan, around, arc, g.nu, u, v);
        const Real scale = Real(pixel.scale(around, g.spacing));
        for (int k = 0; k < kBatch; ++k)
            target[k * images.projection_stride + std::int64_t(v) * g.nu] = stored(scale * sums[k][row]);
    }
}
