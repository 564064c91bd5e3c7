// Which voxels can throw their shadow on a pixel: those of a beam around its ray.
//
// In a view before which all voxels lie, with D the way from the source to the pixel, n and v the steps to the next column and
// row there, a voxel is at source + t D + alpha n + beta v, where t is its depth and alpha / t, beta / t tell how far from the
// pixel its shadow falls. The shadow touches the pixel only if
//
//     |alpha| <= widening / 2 (t + sum over k of |derivatives of alpha - along its ray - by x_k|),   |beta| likewise.
//
// So much for a flat detector: there it follows from what footprint.cuh says of a shadow's width, with
//
//     widening = 1 / (1 - sum |dt/dx_k| / (2 t)) at the least t of the volume.
//
// Of a curved one alpha and t are along straight lines that touch the arc at the pixel; shadows are seen at an angle of no
// more than `bend` to the pixel's, and what this changes is added. Of parallel rays t counts as 1, whatever the depth.
#pragma once

#include "footprint.cuh"
#include "ray_gather.cuh"
#include "voxel_shadow.cuh"

namespace opalg {

// One view in the memory of a device; filled in by opalg/engines/launch_footprints.py.
struct FootprintTable {
    double u[4], v[4], w[4], height;  // as in FootprintView
    double level;                     // height of the source, of parallel rays 0
    double nearest;                   // least depth of a voxel
    double widening;                  // 0: any voxel may meet any pixel; below: nothing is seen
    double bend, spread;              // of a curved detector: see above; times what a step changes ahead and aside
};

// All views of a launch.
struct FootprintScan {
    std::int32_t parallel, curved;
    double arc_step, middle;  // as in FootprintView

    OPALG_INLINE_MEMBER FootprintView view(const FootprintTable& table, bool flat) const {
        FootprintView view;
        for (int k = 0; k < 4; ++k) {
            view.u[k] = table.u[k];
            view.v[k] = table.v[k];
            view.w[k] = table.w[k];
        }
        view.parallel = parallel;
        view.curved = curved;
        view.flat = flat;
        view.arc_step = arc_step;
        view.middle = middle;
        view.height = table.height;
        view.kind = {false, flat ? 1 : 2};
        return view;
    }
};

// A pixel: the way of its ray, and the steps from it to its neighbours; all in index coordinates.
struct FootprintPixel {
    double centre[3], way[3], u_step[3];

    OPALG_INLINE_MEMBER FootprintPixel(const FootprintScan& scan, const RayView& view, const double* arc, int nu, int u, int v) {
        if (scan.curved) pixel_centre<true>(view, arc, nu, u, v, centre);
        else pixel_centre<false>(view, arc, nu, u, v, centre);
        for (int k = 0; k < 3; ++k) {
            way[k] = scan.parallel ? view.source()[k] : centre[k] - view.source()[k];
            u_step[k] = view.u_step()[k];
            if (scan.curved) {
                const double radius = view.corner()[k] - view.arc_centre()[k];
                u_step[k] = arc[u] * u_step[k] - arc[nu + u] * scan.arc_step * scan.arc_step * radius;
            }
        }
    }
    // What projections are multiplied with.
    OPALG_INLINE_MEMBER double scale(const RayView& view, const double spacing[3]) const {
        double a[3], b[3], c[3];
        for (int k = 0; k < 3; ++k) {
            a[k] = way[k] * spacing[k];
            b[k] = u_step[k] * spacing[k];
            c[k] = view.v_step()[k] * spacing[k];
        }
        return pixel_scale(a, b, c, spacing[0] * spacing[1] * spacing[2]);
    }
};

// Whole numbers, of 0 .. size - 1, no farther than `reach` from a place.
template <class Real> OPALG_INLINE Planes touched(Real place, Real reach, int size) {
    const Real first = larger<Real>(Real(ceil(place - reach)), Real(0)), last = smaller<Real>(Real(floor(place + reach)), Real(size - 1));
    return {int(smaller<Real>(first, Real(size))), int(larger<Real>(last, Real(-1)))};
}

// Along one of the other axes: h planes from the one in the middle, at place + slope h, give or take reach + growth h. In float,
// with room for its rounding: a voxel too many only costs time.
struct BeamSide {
    float place, slope, reach, growth;

    // From the place at plane 0, and room + rate |plane - origin|; `way` tells on which side of the origin planes lie.
    OPALG_INLINE_MEMBER BeamSide(double at_zero, double along, double room, double rate, double origin, double way, int size)
        : slope(float(along)) {
        const double middle = 0.5 * size;
        growth = float(way > 0 ? rate : -rate);
        place = float(at_zero + along * middle);
        reach = float(room + rate * (way > 0 ? middle - origin : origin - middle) + 2e-3 + 1e-6 * size);
    }
    OPALG_INLINE_MEMBER BeamSide() : place(0), slope(0), reach(1e9f), growth(0) {}  // everything
    OPALG_INLINE_MEMBER Planes indices(float h, int size) const {
        return touched<float>(place + h * slope, reach + h * growth, size);
    }
};

// By planes of the axis along which the ray mainly runs.
struct FootprintBeam {
    int axis;
    Planes planes;
    float middle;  // plane
    BeamSide b, c;

    // `sizes` in order of roles.
    OPALG_INLINE_MEMBER FootprintBeam(const FootprintScan& scan, const FootprintTable& view, const FootprintPixel& pixel,
                                      const RayView& vectors, const double* arc, int nu, int u, int v, bool flat,
                                      const RayGeometry& g) {
        axis = dominant_axis(pixel.way);
        const int size = axis == 0 ? g.nx : axis == 1 ? g.ny : g.nz;
        planes = {0, axis < 0 || view.widening < 0 ? -1 : size - 1};
        middle = 0.5f * float(size);
        if (planes.last < 0) return;

        // Bounds of |alpha| and |beta|: part + rate t.
        const double half = 0.5 * view.widening;
        double part_u = 0, part_v = 0, rate_u = half, rate_v = half, row = double(v), cosine = 0, sine = 0;
        if (scan.curved) {
            cosine = arc[u];
            sine = arc[nu + u] * scan.arc_step;
            row -= view.height;
            rate_v += view.bend * view.bend * (half + magnitude(row));
            part_v = half * magnitude(row) * view.spread;
        }
        for (int k = 0; k < 3; ++k) {
            if (scan.curved) {
                part_u += half * magnitude((cosine * view.v[k] - sine * view.u[k]) / scan.arc_step);
                part_v += half * magnitude(view.w[k] - row * (cosine * view.u[k] + sine * view.v[k]));
            } else {
                part_u += half * magnitude(view.u[k] - double(u) * view.w[k]);
                part_v += half * magnitude(view.v[k] - row * view.w[k]);
            }
        }
        if (flat) part_v = rate_v = 0;

        const Triple way = in_roles(pixel.way, axis), n = in_roles(pixel.u_step, axis), m = in_roles(vectors.v_step(), axis);
        // Not a choice between two arrays, which would have to lie in memory.
        const Triple source = in_roles(vectors.source(), axis), centre = in_roles(pixel.centre, axis);
        const Triple start = scan.parallel ? centre : source;
        const double slope_b = way.b / way.a, slope_c = way.c / way.a;
        const double u_b = magnitude(n.b - n.a * slope_b), u_c = magnitude(n.c - n.a * slope_c);
        const double v_b = magnitude(m.b - m.a * slope_b), v_c = magnitude(m.c - m.a * slope_c);
        constexpr double rounding = 1e-6;
        const double origin = start.a;
        if (scan.parallel) {
            part_u += rate_u;
            part_v += rate_v;
            rate_u = rate_v = 0;
        } else {
            // h = t D_a + alpha n_a + beta v_a, from which the most t for an h and the h of the least t and of t = 1.
            const double oblique = rate_u * magnitude(n.a) + rate_v * magnitude(m.a), length = magnitude(way.a);
            const double lean = part_u * magnitude(n.a) + part_v * magnitude(m.a), rest = length - oblique;
            if (view.widening == 0 || !(rest > 1e-3 * length)) return;
            part_u += rate_u * (lean / rest);
            part_v += rate_v * (lean / rest);
            rate_u /= rest;
            rate_v /= rest;
            const double near = view.nearest * (1 - view.bend) * rest - lean - rounding;
            const double far = length + oblique + lean + rounding;
            const double low = way.a > 0 ? origin + near : origin - far, high = way.a > 0 ? origin + far : origin - near;
            planes = {bounded(ceil(low), 0, size), bounded(floor(high), -1, size - 1)};
        }
        const double zero_b = start.b - origin * slope_b, zero_c = start.c - origin * slope_c;
        b = BeamSide(zero_b, slope_b, part_u * u_b + part_v * v_b, rate_u * u_b + rate_v * v_b, origin, way.a, size);
        c = BeamSide(zero_c, slope_c, part_u * u_c + part_v * v_c, rate_u * u_c + rate_v * v_c, origin, way.a, size);
    }
};

}  // namespace opalg
