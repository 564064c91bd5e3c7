// Bundles: neighbouring rays of a detector row, one per lane, that all run mainly along the axis of a band of planes, pass
// all of its planes, and stay close to each other. Almost all groups of rays are.
//
// The middle one, the lead, is followed in double. In a plane at the distance h from the source, of which the lead's pixel
// is away by D along the axis, a ray whose pixel is apart from the lead's by (p_a, p_b, p_c) lies
//
//     h (p_b - slope_b p_a) / (D + p_a)   (parallel rays: p_b - slope_b p_a)
//
// from the lead across b, likewise across c. That takes no digits away, so the lanes are numbers of the image's type.
#pragma once

#include "cell_kernels.h"
#include "ray_group.h"

namespace opalg {
namespace OPALG_ISA {

constexpr double kBundleReach = 16;  // voxels from the lead, at most: positions are rounded to 2e-6

// What the groups of a view's rows have in common: the middle pixels, how far others are from them at most, and where.
template <class V> OPALG_INLINE void find_leads(const RayBand<RealOf<V>>& band) {
    constexpr int lanes = Lanes<V>::count;
    const BundleMemory<RealOf<V>>& m = band.memory;
    const std::int64_t first = band.first_ray / lanes, last = band.last_ray / lanes;
    for (int k = 0; k < 3; ++k) {
        double *lead = m.leads + k * m.groups, *reach = m.leads + (3 + k) * m.groups;
        for (std::int64_t g = first; g < last; ++g) {
            const double* pixel = band.view.pixel[k] + g * lanes;
            double most = 0;
            lead[g] = pixel[lanes / 2];
            for (int l = 0; l < lanes; ++l) {
                const double apart = pixel[l] - lead[g];
                m.apart[k * m.rays + g * lanes + l] = RealOf<V>(apart);
                most = most < magnitude(apart) ? magnitude(apart) : most;
            }
            reach[g] = most;
        }
        // Leads are read by whole registers.
        for (std::int64_t g = last; g < last + kRayPadding; ++g) lead[g] = reach[g] = 0;
    }
}

// The leads of some groups of a row, one per lane, followed through the planes of a band; and which groups are bundles, or
// meet no voxel of the band.
template <class Real, Model M, bool Flat> struct Leads {
    using D = Register<double>;
    using Index = typename Lanes<Real>::Index;
    static constexpr int count = Lanes<D>::count;

    // Positions are remainders; `low` and `high` are the ends of the margins counted from the integers.
    struct Across {
        Real part[count], low[count], high[count];
    };
    Across b[kRayPlanes], c[kRayPlanes];
    Index corner[kRayPlanes][count];  // the cell at the integers
    Real inverse[count], slope_b[count], slope_c[count];  // inverse: of the way to the pixel along the axis
    std::int64_t bundle[count], nowhere[count];

    OPALG_INLINE_MEMBER Leads(const RayBand<Real>& band, const RayRow& row, const AxisRoles& roles, std::int64_t group) {
        const double* leads = band.memory.leads + group;
        const std::int64_t groups = band.memory.groups;
        const double half = M == Model::siddon ? 0.5 : 0.0;
        const double first = band.first_plane, last = first + (band.count - 1);
        const double sa = row.source[roles.a], sb = row.source[roles.b], sc = row.source[roles.c];
        const D pa = load<D>(leads + roles.a * groups) + row.shift[roles.a];
        const D pb = load<D>(leads + roles.b * groups) + row.shift[roles.b];
        const D pc = load<D>(leads + roles.c * groups) + row.shift[roles.c];
        const D reach_a = load<D>(leads + (3 + roles.a) * groups), reach_b = load<D>(leads + (3 + roles.b) * groups),
                reach_c = load<D>(leads + (3 + roles.c) * groups);
        D da = broadcast<D>(sa), db = broadcast<D>(sb), dc = broadcast<D>(sc);
        if (!row.parallel) {
            da = pa - da;
            db = pb - db;
            dc = pc - dc;
        }
        const D ma = larger<D>(da, -da), mb = larger<D>(db, -db), mc = larger<D>(dc, -dc);
        const D shrink = broadcast<D>(1) / da, lean_b = db * shrink, lean_c = dc * shrink;
        constexpr double room = 1 - 1e-6;  // more than rounding takes: where it is close every ray is looked at
        D spread_b = reach_b + larger<D>(lean_b, -lean_b) * reach_a, from_b;
        D spread_c = reach_c + larger<D>(lean_c, -lean_c) * reach_a, from_c;
        IndexOf<D> passes, other;
        if (row.parallel) {
            passes = ma * room > larger<D>(mb, mc);
            other = ma < larger<D>(mb, mc) * room;
            from_b = pb + (first - pa) * lean_b;
            from_c = pc + (first - pa) * lean_c;
        } else {
            passes = (ma - reach_a) * room > larger<D>(mb + reach_b, mc + reach_c);
            other = ma + reach_a < larger<D>(mb - reach_b, mc - reach_c) * room;
            // Rays leave the source for planes with higher numbers, or lower ones.
            if (sa <= first - half) passes &= (pa - reach_a >= last + half) & (da > 0.0);
            else if (sa >= last + half) passes &= (pa + reach_a <= first - half) & (da < 0.0);
            else passes = IndexOf<D>{};
            const double before = magnitude(first - sa), behind = magnitude(last - sa);
            // 1 / (1 - x) <= 1 + 2 x as long as x <= 1/2.
            const D size = larger<D>(shrink, -shrink);
            const D height = (before < behind ? behind : before) * (size + 2.0 * size * size * reach_a);
            passes &= 2.0 * reach_a <= ma;
            spread_b = spread_b * height;
            spread_c = spread_c * height;
            from_b = sb + (first - sa) * lean_b;
            from_c = sc + (first - sa) * lean_c;
        }
        // With room for rounding, and for Siddon's lower ends.
        const D end_b = from_b + (last - first) * lean_b, end_c = from_c + (last - first) * lean_c;
        const D room_b = spread_b + (half + 1e-3), room_c = spread_c + (half + 1e-3);
        const IndexOf<D> meets = (smaller<D>(from_b, end_b) - room_b < double(band.size_b)) &
                                 (larger<D>(from_b, end_b) + room_b > -1.0) &
                                 (smaller<D>(from_c, end_c) - room_c < double(band.size_c)) &
                                 (larger<D>(from_c, end_c) + room_c > -1.0);
        store(bundle, passes & meets & (spread_b <= kBundleReach) & (spread_c <= kBundleReach));
        store(nowhere, other | (passes & ~meets));
        narrow(shrink, inverse);
        narrow(lean_b, slope_b);
        narrow(lean_c, slope_c);
        // Those that are no bundle may be anywhere, and are not asked for.
        constexpr double far = 1 << 20;
        from_b = smaller<D>(larger<D>(from_b, broadcast<D>(-far)), broadcast<D>(far));
        from_c = smaller<D>(larger<D>(from_c, broadcast<D>(-far)), broadcast<D>(far));
        for (int j = 0; j < band.count; ++j) {
            D cell = follow(from_c + lean_c * double(j), double(band.size_c), c[j]);
            if constexpr (!Flat)
                cell = cell + follow(from_b + lean_b * double(j), double(band.size_b), b[j]) * double(band.line_stride);
            narrow(cell, corner[j]);
        }
        asm volatile("" : : "r"(this) : "memory");  // read back one by one, as in PlaneTable
    }

private:
    OPALG_INLINE_MEMBER static D follow(D place, double size, Across& across) {
        const D whole = rounded_down<D>(place);
        narrow(place - whole, across.part);
        narrow(double(-kRayMargin) - whole, across.low);
        narrow(size - whole, across.high);
        return whole;
    }
    template <class T> OPALG_INLINE_MEMBER static void narrow(D x, T* out) {
        typedef T Narrow __attribute__((vector_size(count * sizeof(T))));
        store(out, __builtin_convertvector(x, Narrow));
    }
};

template <class V, Model M, bool Flat> struct Bundle {
    using Real = RealOf<V>;
    static constexpr bool clipped = false;
    const Leads<Real, M, Flat>& leads;
    int lead;
    const Real* height;                                          // of the planes, from the source
    V turn_b, turn_c;                                            // from the lead, per plane of height
    V rest_b, rest_c;                                            // Siddon: up to the lower ends
    V slope_b, slope_c, steep_b, steep_c, inverse_b, inverse_c;  // Siddon

    OPALG_INLINE_MEMBER Bundle(const RayBand<Real>& band, const AxisRoles& roles, const Real* heights,
                               const Leads<Real, M, Flat>& some_leads, int number, std::int64_t ray)
        : leads(some_leads), lead(number), height(heights) {
        const Real* apart = band.memory.apart + ray;
        const std::int64_t rays = band.memory.rays;
        const V a = load<V>(apart + roles.a * rays);
        const V lean_b = broadcast<V>(leads.slope_b[lead]), lean_c = broadcast<V>(leads.slope_c[lead]);
        turn_b = load<V>(apart + roles.b * rays) - lean_b * a;
        turn_c = load<V>(apart + roles.c * rays) - lean_c * a;
        if (!band.view.parallel) {
            const V inverse = broadcast<V>(leads.inverse[lead]);
            const V share = inverse * reciprocal<V>(broadcast<V>(1) + a * inverse);
            turn_b = turn_b * share;
            turn_c = turn_c * share;
        }
        if constexpr (M == Model::siddon) {
            const V half = broadcast<V>(Real(0.5)), least = broadcast<V>(1e-30);
            const V turns = broadcast<V>(band.view.parallel ? 0 : 1);
            slope_b = lean_b + turns * turn_b;
            slope_c = lean_c + turns * turn_c;
            steep_b = larger<V>(slope_b, -slope_b);
            steep_c = larger<V>(slope_c, -slope_c);
            inverse_b = broadcast<V>(1) / larger<V>(steep_b, least);
            inverse_c = broadcast<V>(1) / larger<V>(steep_c, least);
            rest_b = half - half * steep_b;
            rest_c = half - half * steep_c;
        }
    }

    std::int64_t corner(int j) const { return leads.corner[j][lead]; }
    // The cell below every ray in plane j, counted from `corner`, and the weights of the next ones.
    OPALG_INLINE_MEMBER void at(int j, const RayBand<Real>& band, IndexOf<V>& cell, V& weight_b, V& weight_c) const {
        place(leads.c[j], j, turn_c, rest_c, cell, weight_c);
        if constexpr (Flat) {
            weight_b = broadcast<V>(0);
        } else {
            IndexOf<V> line;
            place(leads.b[j], j, turn_b, rest_b, line, weight_b);
            cell = line * broadcast_index<V>(band.line_stride) + cell;
        }
    }

private:
    using Across = typename Leads<Real, M, Flat>::Across;
    OPALG_INLINE_MEMBER void place(const Across& across, int j, V turn, V rest, IndexOf<V>& lower, V& weight) const {
        V x = across.part[lead] + height[j] * turn;
        if constexpr (M == Model::siddon) x = x + rest;
        x = smaller<V>(larger<V>(x, broadcast<V>(across.low[lead])), broadcast<V>(across.high[lead]));
        split_floor<V>(x, lower, weight);
    }
};

}  // namespace OPALG_ISA
}  // namespace opalg
