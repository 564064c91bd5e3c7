// Views of a scan in the memory of a device: source and detector in index coordinates, and the centres of pixels.
#pragma once

#include "rays.cuh"

namespace opalg {

// Filled in by opalg/engines/launches.py; a test compares the layouts. A slice is a volume of one plane z = 0 before a detector of
// one row.
struct RayGeometry {
    std::int32_t nx, ny, nz;     // volumes [image, z, y, x]
    std::int32_t nu, nv, views;  // projections [image, view, v, u]
    double spacing[3];           // physical length of an index step along x, y, z

    OPALG_INLINE_MEMBER std::int64_t volume_size() const { return std::int64_t(nx) * ny * nz; }
    OPALG_INLINE_MEMBER std::int64_t projection_size() const { return std::int64_t(nu) * nv * views; }
    OPALG_INLINE_MEMBER std::int64_t row_offset(int view, int v) const { return (std::int64_t(view) * nv + v) * nu; }
};

// Where the images of a launch lie, in elements. Slices of a stack are images, too.
struct Images {
    std::int64_t volume, volume_stride;          // the first one, and from one to the next
    std::int64_t projection, projection_stride;  // likewise
    std::int64_t view_stride;                    // from view to view of a projection
};

// Vectors x, y, z of one view in a table [views, 5, 3].
struct RayView {
    const double* vectors;

    OPALG_INLINE_MEMBER RayView(const double* table, int view) : vectors(table + std::int64_t(view) * 15) {}
    OPALG_INLINE_MEMBER const double* source() const { return vectors; }  // or direction, of parallel rays
    OPALG_INLINE_MEMBER const double* corner() const { return vectors + 3; }
    OPALG_INLINE_MEMBER const double* u_step() const { return vectors + 6; }
    OPALG_INLINE_MEMBER const double* v_step() const { return vectors + 9; }
    OPALG_INLINE_MEMBER const double* arc_centre() const { return vectors + 12; }
};

// a + b * c, rounded twice wherever it is computed. Which axis dominates a ray is decided by exact comparison of such
// sums, and projection, transpose and CPU must all decide alike.
OPALG_INLINE double rounded_sum(double a, double b, double c) {
#if defined(__CUDACC__)
    return __dadd_rn(a, __dmul_rn(b, c));
#else
    return a + b * c;  // compiled with -ffp-contract=off
#endif
}

// Centre of a pixel. Of a curved detector `arc` [2, nu] holds cos(u arc_step) and sin(u arc_step) / arc_step.
template <bool Curved>
OPALG_INLINE void pixel_centre(const RayView& view, const double* arc, int nu, int u, int v, double pixel[3]) {
    for (int k = 0; k < 3; ++k) {
        double row = view.corner()[k];
        if constexpr (Curved) {
            const double centre = view.arc_centre()[k];
            row = rounded_sum(rounded_sum(centre, arc[u], row - centre), arc[nu + u], view.u_step()[k]);
        } else {
            row = rounded_sum(row, double(u), view.u_step()[k]);
        }
        pixel[k] = rounded_sum(row, double(v), view.v_step()[k]);
    }
}

// The axis along which a ray makes most index steps; -1 of a ray without direction.
OPALG_INLINE int dominant_axis(const double direction[3]) {
    const double x = magnitude(direction[0]), y = magnitude(direction[1]), z = magnitude(direction[2]);
    if (!(x > 0 || y > 0 || z > 0)) return -1;
    if (y >= x && y >= z) return 1;
    return x >= z ? 0 : 2;
}

// One ray in terms of its dominant axis.
struct Ray {
    RayLine<double> line;  // from plane 0 on
    int axis;
    double length;         // between two planes; 0 of a ray without direction
};

// The ray of a thread: a block has tiles of u and v, or of u and views if there is but one row; tiles of views come first.
struct RayPlace {
    int view, u, v;
};
template <bool Flat> OPALG_INLINE RayPlace ray_place(int views, const uint3& thread, const uint3& block, const dim3& size) {
    if constexpr (Flat) {
        const unsigned tiles = (unsigned(views) + size.y - 1) / size.y;
        return {int(block.x % tiles * size.y + thread.y), int(block.x / tiles * size.x + thread.x), 0};
    } else {
        return {int(block.x % unsigned(views)), int(block.x / unsigned(views) * size.x + thread.x),
                int(block.y * size.y + thread.y)};
    }
}

template <bool Parallel, bool Curved>
OPALG_INLINE Ray ray_of(const RayGeometry& g, const double* views, const double* arc, int view_number, int u, int v) {
    const RayView view(views, view_number);
    double pixel[3], direction[3];
    pixel_centre<Curved>(view, arc, g.nu, u, v, pixel);
    for (int k = 0; k < 3; ++k) direction[k] = Parallel ? view.source()[k] : pixel[k] - view.source()[k];
    Ray ray;
    ray.axis = dominant_axis(direction);
    ray.length = plane_distance(direction, g.spacing);
    const AxisRoles roles = axis_roles(ray.axis < 0 ? 1 : ray.axis);
    // Chosen by comparison, not by index: an indexed array would live in memory.
    const auto role = [&](const double* p, int axis) { return axis == 0 ? p[0] : axis == 1 ? p[1] : p[2]; };
    const double end[3] = {role(pixel, roles.a), role(pixel, roles.b), role(pixel, roles.c)};
    const double start[3] = {role(view.source(), roles.a), role(view.source(), roles.b), role(view.source(), roles.c)};
    ray.line = ray_line<double>(end, start, Parallel, roles, 0.0);
    return ray;
}

}  // namespace opalg
