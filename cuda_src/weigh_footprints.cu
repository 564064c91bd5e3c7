// What the transpose of the footprint model gathers: values times the scales of their pixels. A thread owns one of one image.
#include "device.cuh"
#include "footprint_beam.cuh"

// vectors, arc: see project_footprints.cu; projections [image, view, v, u]. Output weighted [image of this launch, view, v, u].
// Grid: see ray_place; images along z.
// Blocks are counted where nvcc, left alone, takes fewer registers than it needs (8.0).
extern "C" __global__ void __launch_bounds__(256, OPALG_FLAT ? 4 : 0)
    weigh_footprints(opalg::RayGeometry g, opalg::Images images, opalg::FootprintScan scan,
                     const double* __restrict__ vectors, const double* __restrict__ arc,
                     const opalg::Store* __restrict__ projections, opalg::Real* __restrict__ weighted) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    if (place.view >= g.views || place.u >= g.nu || place.v >= g.nv) return;
    const RayView around(vectors, place.view);
    const FootprintPixel pixel(scan, around, arc, g.nu, place.u, place.v);
    const Real value = fetched(projections + images.projection + blockIdx.z * images.projection_stride +
                               place.view * images.view_stride + std::int64_t(place.v) * g.nu + place.u);
    weighted[blockIdx.z * g.projection_size() + g.row_offset(place.view, place.v) + place.u] =
        Real(pixel.scale(around, g.spacing)) * value;
}
