// The exact transpose of project_footprints: a thread owns one voxel, of OPALG_BATCH images, and gathers from the pixels that
// its shadow touches in every view, with the same weights. Threads of a warp are neighbours along x.
#include "device.cuh"
#include "footprint_beam.cuh"

// tables [views]; weighted [image of this launch, view, v, u]: see weigh_footprints.cu. Output volumes [image, z, y, x].
// Grid: tiles of x and y, slices, groups of images.
extern "C" __global__ void __launch_bounds__(256, 2)
    backproject_footprints(opalg::RayGeometry g, opalg::Images images, opalg::FootprintScan scan,
                           const opalg::FootprintTable* __restrict__ tables, const opalg::Real* __restrict__ weighted,
                           opalg::Store* __restrict__ volumes) {
    using namespace opalg;
    const unsigned tiles = (unsigned(g.nx) + blockDim.x - 1) / blockDim.x;
    const int x = int(blockIdx.x % tiles * blockDim.x + threadIdx.x), y = int(blockIdx.x / tiles * blockDim.y + threadIdx.y);
    if (x >= g.nx || y >= g.ny) return;
    const std::int64_t size = g.projection_size(), group = std::int64_t(blockIdx.z) * kBatch;
    for (int z = int(blockIdx.y); z < g.nz; z += int(gridDim.y)) {
        const double p[3] = {double(x), double(y), double(z)};
        Real sums[kBatch] = {};
        for (int number = 0; number < g.views; ++number) {
            const FootprintTable& table = tables[number];
            if (table.widening < 0) continue;
            const FootprintView view = scan.view(table, kFlat);
            VoxelShadow<double> shadow;
            if (!voxel_shadow<kFlat, double>(view, p, shadow)) continue;
            const FootprintShare<kFlat, Real> share(shadow, view.kind.power);
            const Planes columns = touched<double>(share.u, share.reach_u, g.nu), rows = touched<double>(share.v, share.reach_v, g.nv);
            const Real* pixels = weighted + group * size + g.row_offset(number, 0);
            for (int u = columns.first; u <= columns.last; ++u) {
                const Real part = share.column(u);
                for (int v = rows.first; v <= rows.last; ++v) {
                    const Real weight = part * share.row(v);
                    for (int k = 0; k < kBatch; ++k) sums[k] += weight * __ldg(pixels + k * size + std::int64_t(v) * g.nu + u);
                }
            }
        }
        const std::int64_t voxel = (std::int64_t(z) * g.ny + y) * g.nx + x;
        for (int k = 0; k < kBatch; ++k)
            volumes[images.volume + (group + k) * images.volume_stride + voxel] = stored(sums[k]);
    }
}
