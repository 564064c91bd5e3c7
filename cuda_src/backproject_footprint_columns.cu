// The exact transpose of project_footprint_columns, in upright views: a thread owns OPALG_DEPTH voxels above each other, of
// OPALG_BATCH images, which fall on the same detector columns. Threads of a warp are neighbours along x.
#include "device.cuh"
#include "footprint_beam.cuh"

#if !defined(OPALG_DEPTH)
#define OPALG_DEPTH 8
#endif

// Arguments: see backproject_footprints.cu. Grid: tiles of x and y, tiles of z, groups of images.
extern "C" __global__ void __launch_bounds__(256, 2)
    backproject_footprint_columns(opalg::RayGeometry g, opalg::Images images, opalg::FootprintScan scan,
                                  const opalg::FootprintTable* __restrict__ tables,
                                  const opalg::Real* __restrict__ weighted, opalg::Store* __restrict__ volumes) {
    using namespace opalg;
    constexpr int depth = OPALG_DEPTH;
    const unsigned tiles = (unsigned(g.nx) + blockDim.x - 1) / blockDim.x;
    const int x = int(blockIdx.x % tiles * blockDim.x + threadIdx.x), y = int(blockIdx.x / tiles * blockDim.y + threadIdx.y);
    if (x >= g.nx || y >= g.ny) return;
    const std::int64_t size = g.projection_size(), group = std::int64_t(blockIdx.z) * kBatch;
    for (int first_voxel = int(blockIdx.y) * depth; first_voxel < g.nz; first_voxel += int(gridDim.y) * depth) {
        Real sums[kBatch][depth] = {};
        for (int number = 0; number < g.views; ++number) {
            const FootprintTable& table = tables[number];
            const FootprintView view = scan.view(table, false);
            const double p[3] = {double(x), double(y), table.level + 1};
            VoxelShadow<double> shadow;
            if (!voxel_shadow<false, double>(view, p, shadow)) continue;
            const FootprintShare<false, Real> share(shadow, view.kind.power);
            const Planes columns = touched<double>(share.u, share.reach_u, g.nu);
            // Voxel z falls on row start + step z.
            const double step = shadow.slope_v[2], start = shadow.v - step * p[2];
            std::int32_t whole;
            Real part;
            split_position(start + step * first_voxel, whole, part);
            const Real rows = Real(step), above_level = Real(first_voxel - table.level);
            for (int u = columns.first; u <= columns.last; ++u) {
                const Real weight = share.column(u);
                const Real* pixels = weighted + group * size + g.row_offset(number, 0) + u;
                // Unrolled, as every loop over the sums: an index that is known only at run time would put them into memory.
#if defined(__CUDACC__)
#pragma unroll
#endif
                for (int z = 0; z < depth; ++z) {
                    const Real middle = part + Real(z) * rows;
                    const Real shift = share.shift * larger<Real>(above_level + Real(z), -above_level - Real(z));
                    const Real reach = share.row_reach + shift;
                    int first = int(ceil(middle - reach)), last = int(floor(middle + reach));
                    first = first > -whole ? first : -whole;
                    last = last < g.nv - 1 - whole ? last : g.nv - 1 - whole;
                    for (int v = first; v <= last; ++v) {
                        const Real amount = weight * overlap_of_boxes<Real>(Real(v) - middle, shift, share.row_reach, share.most);
                        for (int k = 0; k < kBatch; ++k)
                            sums[k][z] += amount * __ldg(pixels + k * size + std::int64_t(whole + v) * g.nu);
                    }
                }
            }
        }
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int z = 0; z < depth; ++z)
            for (int k = 0; k < kBatch && first_voxel + z < g.nz; ++k)
                volumes[images.volume + (group + k) * images.volume_stride +
                        (std::int64_t(first_voxel + z) * g.ny + y) * g.nx + x] = stored(sums[k][z]);
    }
}
