// The exact transpose of backproject_voxels: a thread owns one pixel, of OPALG_BATCH images, and gathers from the voxels
// whose shadow falls within one pixel of it. They lie in a beam between the rays of the neighbouring pixels; the thread
// walks along its planes and asks every voxel there.
#include "device.cuh"
#include "ray_gather.cuh"
#include "voxel_shadow.cuh"

#if !defined(OPALG_POWER)
#define OPALG_POWER 0
#endif

namespace opalg {

// The beam in plane j: from base.least + slope.least h to base.most + slope.most h, exchanged if h < 0; h = j - origin.
struct Span {
    double least, most;

    OPALG_INLINE_MEMBER void include(double x) {
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
};
struct Beam {
    double origin, bow;
    Span base_b, base_c, slope_b, slope_c;

    OPALG_INLINE_MEMBER static void indices(const Span& base, const Span& slope, double h, double room, int size, int& first,
                                            int& last) {
        const double p = base.least + h * (h < 0 ? slope.most : slope.least) - room;
        const double q = base.most + h * (h < 0 ? slope.least : slope.most) + room;
        first = bounded(ceil(p), 0, size);
        last = bounded(floor(q), -1, size - 1);
    }
};

OPALG_INLINE Triple corner_pixel(const RayView& view, double arc_step, double u, double v, int axis) {
    double pixel[3];
    const double along = kCurved ? sin(u * arc_step) / arc_step : u, turned = kCurved ? cos(u * arc_step) : 1.0;
    for (int k = 0; k < 3; ++k) {
        const double centre = kCurved ? view.arc_centre()[k] : 0;
        pixel[k] = centre + turned * (view.corner()[k] - centre) + along * view.u_step()[k] + v * view.v_step()[k];
    }
    return in_roles(pixel, axis);
}

OPALG_INLINE Beam beam_of(const RayView& view, double arc_step, int u, int v, int axis) {
    constexpr double everything = 1e18;
    const Triple source = in_roles(view.source(), axis);
    Beam beam = {kParallel ? 0 : source.a,
                 0,
                 {everything, -everything},
                 {everything, -everything},
                 {everything, -everything},
                 {everything, -everything}};
    const double middle = corner_pixel(view, arc_step, u, v, axis).a - source.a;
    bool wide = false;
    for (int corner = 0; corner < 4; ++corner) {
        const Triple p = corner_pixel(view, arc_step, u + (corner & 1 ? 1 : -1), kFlat ? v : v + (corner & 2 ? 1 : -1), axis);
        if constexpr (kParallel) {
            const double slope_b = source.b / source.a, slope_c = source.c / source.a;
            beam.slope_b = {slope_b, slope_b};
            beam.slope_c = {slope_c, slope_c};
            beam.base_b.include(p.b - p.a * slope_b);
            beam.base_c.include(p.c - p.a * slope_c);
        } else {
            const double d = middle > 0 ? p.a - source.a : source.a - p.a, sign = middle > 0 ? 1 : -1;
            wide = wide || !(d > 1e-3 * magnitude(middle));
            beam.base_b = {source.b, source.b};
            beam.base_c = {source.c, source.c};
            beam.slope_b.include(sign * (p.b - source.b) / d);
            beam.slope_c.include(sign * (p.c - source.c) / d);
        }
    }
    if (wide) beam.base_b = beam.base_c = {-everything, everything}, beam.slope_b = beam.slope_c = {0, 0};
    if constexpr (kCurved) {
        // Between its corners the beam is bounded by arcs, which leave the box of the corners by less than this times h.
        const double reach = larger(magnitude(beam.slope_b.least), magnitude(beam.slope_b.most)) +
                             larger(magnitude(beam.slope_c.least), magnitude(beam.slope_c.most));
        beam.bow = arc_step * arc_step * (1 + reach);
    }
    return beam;
}

}  // namespace opalg

// table: see project_rays.cu; views of VoxelView; volumes [image, z, y, x]. Output projections [image, view, v, u].
// Grid: see ray_place; groups of images along z.
extern "C" __global__ void __launch_bounds__(256, 2)
    project_voxels(opalg::RayGeometry g, const double* __restrict__ table, const opalg::VoxelView* __restrict__ views,
                   opalg::Arc arc, const opalg::Store* __restrict__ volumes, opalg::Store* __restrict__ projections,
                   std::int32_t first_image) {
    using namespace opalg;
    const RayPlace place = ray_place<kFlat>(g.views, threadIdx, blockIdx, blockDim);
    const int number = place.view, u = place.u, v = place.v;
    if (number >= g.views || u >= g.nu || v >= g.nv) return;
    const std::int64_t image = first_image + std::int64_t(blockIdx.z) * kBatch;
    const RayView vectors(table, number);
    const VoxelView& view = views[number];
    double way[3];
    const Triple pixel = corner_pixel(vectors, arc.step, u, v, 0);  // x, z, y
    way[0] = kParallel ? vectors.source()[0] : pixel.a - vectors.source()[0];
    way[1] = kParallel ? vectors.source()[1] : pixel.c - vectors.source()[1];
    way[2] = kParallel ? vectors.source()[2] : pixel.b - vectors.source()[2];
    const int axis = dominant_axis(way);
    const int size_a = axis == 0 ? g.nx : axis == 1 ? g.ny : g.nz, size_b = axis == 2 ? g.ny : g.nz;
    const int size_c = axis == 0 ? g.ny : g.nx;
    Real sums[kBatch] = {};
    const Beam beam = beam_of(vectors, arc.step, u, v, axis < 0 ? 1 : axis);
    for (int a = 0; a < (axis < 0 ? 0 : size_a); ++a) {
        const double h = a - beam.origin, room = 1e-6 + beam.bow * magnitude(h);
        int first_b = 0, last_b = 0, first_c, last_c;
        Beam::indices(beam.base_c, beam.slope_c, h, room, size_c, first_c, last_c);
        if constexpr (!kFlat) Beam::indices(beam.base_b, beam.slope_b, h, room, size_b, first_b, last_b);
        for (int b = first_b; b <= last_b; ++b) {
            for (int c = first_c; c <= last_c; ++c) {
                const int x = axis == 0 ? a : c, y = axis == 0 ? c : axis == 1 ? a : b, z = axis == 2 ? a : b;
                const ShadowPoint s = shadow_point<kParallel, kCurved>(view, arc, x, y, z);
                if (!(s.magnification > 0)) continue;
                Real weight = tent<Real>(Real(s.u - u));
                if constexpr (!kFlat) weight *= tent<Real>(Real(s.v - v));
                if constexpr (OPALG_POWER == 2) weight *= Real(s.magnification * s.magnification);
                if (!(weight > 0)) continue;
                const std::int64_t voxel = (std::int64_t(z) * g.ny + y) * g.nx + x;
                for (int k = 0; k < kBatch; ++k)
                    sums[k] += weight * fetched(volumes + (image + k) * g.volume_size() + voxel);
            }
        }
    }
    // Found again, so that registers need not hold it on the way.
    const uint3 block = {blockIdx.x + unknown_zero(), blockIdx.y + unknown_zero(), blockIdx.z + unknown_zero()};
    const RayPlace there = ray_place<kFlat>(g.views, threadIdx, block, blockDim);
    const std::int64_t first = first_image + std::int64_t(block.z) * kBatch;
    for (int k = 0; k < kBatch; ++k)
        projections[(first + k) * g.projection_size() + g.row_offset(there.view, there.v) + there.u] = stored(sums[k]);
}
