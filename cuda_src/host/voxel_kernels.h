// Voxel-driven back projection: lanes are consecutive voxels of a line along x.
#pragma once

#include "ray_kernels.h"
#include "voxel_jobs.h"

namespace opalg {
namespace OPALG_ISA {

template <class V> void sample_shadows(const SampleShadows<RealOf<V>>& job) {
    using Real = RealOf<V>;
    using D = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;
    using Index = typename Lanes<Real>::Index;
    constexpr int lanes = Lanes<V>::count, width = Lanes<D>::count;
    typedef Real Narrow __attribute__((vector_size(width * sizeof(Real))));
    typedef Index NarrowIndex __attribute__((vector_size(width * sizeof(Index))));
    const double origin[3] = {0, job.y, job.z};
    const Shadow& s = job.shadow;
    const double u = s.along(s.u, origin), v = s.along(s.v, origin), w = s.along(s.w, origin);
    const D low = broadcast<D>(-kRayMargin), high_u = broadcast<D>(double(job.detectors)),
            high_v = broadcast<D>(double(job.rows));
    D lane;
    for (int l = 0; l < width; ++l) lane[l] = l;
    for (std::int64_t x = 0; x < job.count; x += lanes) {
        Real part_u[lanes], part_v[lanes], scale[lanes];
        Index whole_u[lanes], whole_v[lanes];
        for (int l = 0; l < lanes; l += width) {
            const D place = lane + double(x + l), inverse = 1.0 / (w + s.w[0] * place);
            D magnification = s.depth * inverse, pu = (u + s.u[0] * place) * inverse, pv = (v + s.v[0] * place) * inverse;
            // Behind the source, or beside it: no shadow. (Comparisons with what is not a number are false.)
            const auto seen = magnification > broadcast<D>(0);
            pu = seen ? pu : low;
            pv = seen ? pv : low;
            magnification = seen ? magnification : broadcast<D>(0);
            pu = smaller<D>(larger<D>(pu, low), high_u);
            pv = smaller<D>(larger<D>(pv, low), high_v);
            const D floor_u = rounded_down<D>(pu), floor_v = rounded_down<D>(pv);
            store(whole_u + l, __builtin_convertvector(floor_u, NarrowIndex));
            store(whole_v + l, __builtin_convertvector(floor_v, NarrowIndex));
            store(part_u + l, __builtin_convertvector(pu - floor_u, Narrow));
            store(part_v + l, __builtin_convertvector(pv - floor_v, Narrow));
            const D power = job.power ? magnification * magnification : broadcast<D>(1);
            store(scale + l, __builtin_convertvector(power, Narrow));
        }
        const IndexOf<V> index =
            load<IndexOf<V>>(whole_v) * broadcast_index<V>(job.line_stride) + load<IndexOf<V>>(whole_u);
        const V weight_u = load<V>(part_u), weight_v = load<V>(part_v);
        V first, second;
        load_pairs<V>(job.projection, index, first, second);
        const V near = first + weight_u * (second - first);
        load_pairs<V>(job.projection + job.line_stride, index, first, second);
        const V far = first + weight_u * (second - first);
        store(job.voxels + x, load<V>(job.voxels + x) + load<V>(scale) * (near + weight_v * (far - near)));
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
