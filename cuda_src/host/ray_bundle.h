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
constexpr std::ptrdiff_t kLongestLine = (1 << 24) / 20;  // so that float numbers cells of some 20 lines

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
    }
}

// The leads of some groups, one per lane, followed through the planes of a band; and which groups are bundles, or meet no
// voxel of the band. Groups are counted row after row.
template <class Real, Model M, bool Flat> struct Leads {
    using D = Register<double>;
    using Index = typename Lanes<Real>::Index;
    static constexpr int count = Lanes<D>::count;

    struct Across {
        Real whole[count], part[count];  // of positions
    };
    Across b[kRayPlanes], c[kRayPlanes];
    Index corner[kRayPlanes][count];  // the cell at the integers
    Real inverse[count], slope_b[count], slope_c[count];  // inverse: of the way to the pixel along the axis
    std::int64_t bundle[count], nowhere[count];
    std::int64_t inside[count];                           // bundles of which no ray leaves the margins
    std::int64_t row[count], ray[count];

    OPALG_INLINE_MEMBER Leads(const RayBand<Real>& band, const AxisRoles& roles, int lanes, std::int64_t first_group) {
        const double half = M == Model::siddon ? 0.5 : 0.0;
        const double first = band.first_plane, last = first + (band.count - 1);
        const bool parallel = band.view.parallel;
        const double sa = band.view.source[roles.a], sb = band.view.source[roles.b], sc = band.view.source[roles.c];
        D pa, pb, pc, reach_a, reach_b, reach_c;
        find(band, roles, lanes, first_group, pa, pb, pc, reach_a, reach_b, reach_c);
        D da = broadcast<D>(sa), db = broadcast<D>(sb), dc = broadcast<D>(sc);
        if (!parallel) {
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
        if (parallel) {
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
        const D room_b = spread_b + (half + 1e-3), room_c = spread_c + (half + 1e-3);
        const D end_b = from_b + (last - first) * lean_b, end_c = from_c + (last - first) * lean_c;
        const D low_b = smaller<D>(from_b, end_b) - room_b, high_b = larger<D>(from_b, end_b) + room_b;
        const D low_c = smaller<D>(from_c, end_c) - room_c, high_c = larger<D>(from_c, end_c) + room_c;
        const double size_b = double(band.size_b), size_c = double(band.size_c);
        const IndexOf<D> meets = (low_b < size_b) & (high_b > -1.0) & (low_c < size_c) & (high_c > -1.0);
        if (band.line_stride > kLongestLine) passes = IndexOf<D>{};
        store(bundle, passes & meets & (spread_b <= kBundleReach) & (spread_c <= kBundleReach));
        store(nowhere, other | (passes & ~meets));
        store(inside, (low_b >= -double(kRayMargin)) & (high_b <= size_b) & (low_c >= -double(kRayMargin)) &
                          (high_c <= size_c));
        narrow(shrink, inverse);
        narrow(lean_b, slope_b);
        narrow(lean_c, slope_c);
        // Those that are no bundle may be anywhere, and are not asked for.
        constexpr double far = 1 << 20;
        from_b = smaller<D>(larger<D>(from_b, broadcast<D>(-far)), broadcast<D>(far));
        from_c = smaller<D>(larger<D>(from_c, broadcast<D>(-far)), broadcast<D>(far));
        for (int j = 0; j < band.count; ++j) {
            D cell = follow(from_c + lean_c * double(j), c[j]);
            if constexpr (!Flat) cell = cell + follow(from_b + lean_b * double(j), b[j]) * double(band.line_stride);
            narrow(cell, corner[j]);
        }
        asm volatile("" : : "r"(this) : "memory");  // read back one by one, as in PlaneTable
    }

private:
    // The leads' pixels, and how far others are from them. Groups behind the last row are the last one.
    OPALG_INLINE_MEMBER void find(const RayBand<Real>& band, const AxisRoles& roles, int lanes, std::int64_t first_group, D& pa,
                                  D& pb, D& pc, D& reach_a, D& reach_b, D& reach_c) {
        const std::int64_t first = band.first_ray / lanes, last = band.last_ray / lanes - 1;
        std::int64_t group = first + first_group % (last + 1 - first), here = band.first_row + first_group / (last + 1 - first);
        double pixel[3][count], reach[3][count];
        for (int l = 0; l < count; ++l) {
            row[l] = here;
            ray[l] = group * lanes;
            for (int k = 0; k < 3; ++k) {
                pixel[k][l] = band.memory.leads[k * band.memory.groups + group] + double(here) * band.view.step[k];
                reach[k][l] = band.memory.leads[(3 + k) * band.memory.groups + group];
            }
            if (group < last) {
                ++group;
            } else if (here + 1 < band.last_row) {
                group = first;
                ++here;
            }
        }
        pa = load<D>(pixel[roles.a]);
        pb = load<D>(pixel[roles.b]);
        pc = load<D>(pixel[roles.c]);
        reach_a = load<D>(reach[roles.a]);
        reach_b = load<D>(reach[roles.b]);
        reach_c = load<D>(reach[roles.c]);
    }
    OPALG_INLINE_MEMBER static D follow(D place, Across& across) {
        const D whole = rounded_down<D>(place);
        narrow(whole, across.whole);
        narrow(place - whole, across.part);
        return whole;
    }
    template <class T> OPALG_INLINE_MEMBER static void narrow(D x, T* out) {
        typedef T Narrow __attribute__((vector_size(count * sizeof(T))));
        store(out, __builtin_convertvector(x, Narrow));
    }
};

// Unless Inside, positions out of reach are moved into the margins.
template <class V, Model M, bool Flat, bool Inside> struct Bundle {
    using Real = RealOf<V>;
    static constexpr bool clipped = false;
    const Leads<Real, M, Flat>& leads;
    int lead;
    const Real* height;                                          // of the planes, from the source
    V turn_b, turn_c;                                            // from the lead, per plane of height
    V rest_b, rest_c;                                            // Siddon: up to the lower ends
    V slope_b, slope_c, steep_b, steep_c, inverse_b, inverse_c;  // Siddon

    OPALG_INLINE_MEMBER Bundle(const RayBand<Real>& band, const AxisRoles& roles, const Real* heights,
                               const Leads<Real, M, Flat>& some_leads, int number)
        : leads(some_leads), lead(number), height(heights) {
        const Real* apart = band.memory.apart + leads.ray[lead];
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
        // Whole numbers, exact: lines are as long as kLongestLine at most.
        V lower = place(leads.c[j], band.size_c, j, turn_c, rest_c, weight_c);
        if constexpr (Flat) weight_b = broadcast<V>(0);
        else lower = place(leads.b[j], band.size_b, j, turn_b, rest_b, weight_b) * Real(band.line_stride) + lower;
        cell = __builtin_convertvector(lower, IndexOf<V>);
    }

private:
    using Across = typename Leads<Real, M, Flat>::Across;
    // Rounded down, counted from the lead's, and the rest.
    OPALG_INLINE_MEMBER V place(const Across& across, std::int64_t size, int j, V turn, V rest, V& weight) const {
        V x = across.part[lead] + height[j] * turn;
        if constexpr (M == Model::siddon) x = x + rest;
        if constexpr (!Inside) {
            const Real whole = across.whole[lead];
            x = smaller<V>(larger<V>(x, broadcast<V>(Real(-kRayMargin) - whole)), broadcast<V>(Real(size) - whole));
        }
        const V lower = rounded_down<V>(x);
        weight = x - lower;
        return lower;
    }
};

}  // namespace OPALG_ISA
}  // namespace opalg
