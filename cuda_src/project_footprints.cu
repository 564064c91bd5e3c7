// Projection of the footprint model: a thread owns one pixel, of OPALG_BATCH images, and asks all voxels of a beam around
// its ray how much of their shadow falls on it.
#include "device.cuh"
#include "footprint_beam.cuh"

// vectors [views, 5, 3], arc [2, nu]: see project_rays.cu; tables [views]; volumes [image, z, y, x]. Output projections
// [image, view, v, u]. Grid: see ray_place; groups of images along z.
extern "C" __global__ void __launch_bounds__(256, 2)
    project_footprints(opalg::RayGeometry g, opalg::Images images, opalg::FootprintScan scan,
                       const double* __restrict__ vectors, const double* __restrict__ arc,
                       const opalg::FootprintTable* __restrict__ tables, const opalg::Store* __restrict__ volumes,
                       opalg::Store* __restrict__ projections) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    const int u = place.u, v = place.v;
    if (place.view >= g.views || u >= g.nu || v >= g.nv) return;
    const std::int64_t group = std::int64_t(blockIdx.z) * kBatch;
    const RayView around(vectors, place.view);
    const FootprintTable& table = tables[place.view];
    const FootprintPixel pixel(scan, around, arc, g.nu, u, v);
    const Real scale = Real(pixel.scale(around, g.spacing));
    const FootprintBeam beam(scan, table, pixel, around, arc, g.nu, u, v, kFlat, g);
    const FootprintView view = scan.view(table, kFlat);
    const Store* volume = volumes + images.volume + group * images.volume_stride;
    const int axis = beam.axis, size_b = axis == 2 ? g.ny : g.nz, size_c = axis == 0 ? g.ny : g.nx;
    Real sums[kBatch] = {};
    for (int a = beam.planes.first; a <= beam.planes.last; ++a) {
        const float h = float(a) - beam.middle;
        const Planes c_range = beam.c.indices(h, size_c);
        const Planes b_range = kFlat ? Planes{0, 0} : beam.b.indices(h, size_b);
        for (int b = b_range.first; b <= b_range.last; ++b) {
            for (int c = c_range.first; c <= c_range.last; ++c) {
                const int x = axis == 0 ? a : c, y = axis == 0 ? c : axis == 1 ? a : b, z = axis == 2 ? a : b;
                const double p[3] = {double(x), double(y), double(z)};
                VoxelShadow<double> shadow;
                if (!voxel_shadow<kFlat, double>(view, p, shadow)) continue;
                const FootprintShare<kFlat, Real> share(shadow, view.kind.power);
                if (!(magnitude(u - share.u) < share.reach_u && magnitude(v - share.v) < share.reach_v)) continue;
                const Real weight = share.column(u) * share.row(v);
                const std::int64_t voxel = (std::int64_t(z) * g.ny + y) * g.nx + x;
                for (int k = 0; k < kBatch; ++k) sums[k] += weight * fetched(volume + k * images.volume_stride + voxel);
            }
        }
    }
    Store* target = projections + images.projection + group * images.projection_stride + place.view * images.view_stride +
                    std::int64_t(v) * g.nu + u;
    for (int k = 0; k < kBatch; ++k) target[k * images.projection_stride] = stored(scale * sums[k]);
}
