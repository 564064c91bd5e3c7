// The footprint model, every voxel for itself: lanes are consecutive voxels of a line along x.
#pragma once

#include "footprint_jobs.h"
#include "ray_kernels.h"

namespace opalg {
namespace OPALG_ISA {

// Some voxels' shadows, as small numbers relative to the first pixel that each of them touches. Flat: a slice, without rows.
template <class V, bool Flat> struct FootprintLanes {
    using Real = RealOf<V>;
    static constexpr int lanes = Lanes<V>::count;
    V edge_u, wide_u, narrow_u;     // left edge of the first pixel, from the middle of the shadow
    V distance_v, wide_v, shift_v;  // the first pixel, from the same
    V scale;                        // zero where nothing is seen
    IndexOf<V> column, row;         // the first pixel
    int columns, rows;              // most that a voxel touches
    bool all_seen;

    template <class T> FootprintLanes(const FootprintLine<T>& job, std::int64_t first) {
        using D = Pack<double, OPALG_REGISTER_BYTES / sizeof(double)>;
        using Index = typename Lanes<Real>::Index;
        constexpr int width = Lanes<D>::count;
        typedef Real Narrow __attribute__((vector_size(width * sizeof(Real))));
        typedef Index NarrowIndex __attribute__((vector_size(width * sizeof(Index))));
        const FootprintView& view = *job.view;
        const D half = broadcast<D>(0.5), one = broadcast<D>(1), zero = broadcast<D>(0);
        const D end = broadcast<D>(double(job.count - 1));
        Real part[7][lanes];
        Index whole[2][lanes];
        D most_u = zero, most_v = zero, lane;
        IndexOf<D> none_missed = broadcast_index<D>(-1);
        for (int l = 0; l < width; ++l) lane[l] = l;
        for (int l = 0; l < lanes; l += width) {
            // Lanes behind the last voxel repeat it, and count nothing.
            const D x = lane + double(first + l), p[3] = {smaller<D>(x, end), broadcast<D>(job.y), broadcast<D>(job.z)};
            VoxelShadow<D> s;
            const auto seen = voxel_shadow<Flat, D>(view, p, s);
            none_missed &= seen;
            const auto safe = [&](D value, const D& other) { return seen ? value : other; };
            const D wide_u = safe(s.wide_u, one), narrow_u = safe(s.narrow_u, zero);
            const auto pixels = [&](D centre, D reach, std::int64_t begin, std::int64_t stop, D& low, D& most) {
                const D from = broadcast<D>(double(begin)), to = broadcast<D>(double(stop));
                low = smaller<D>(to, larger<D>(from, rounded_down<D>(centre - reach) + one));
                const D high = smaller<D>(to - one, rounded_down<D>(centre + reach));
                most = larger<D>(most, seen ? high - low + one : zero);
            };
            const D u = safe(s.u, zero);
            D low_u, scale = one;
            pixels(u, half * (one + wide_u + narrow_u), job.first_column, job.last_column, low_u, most_u);
            store(whole[0] + l, __builtin_convertvector(low_u, NarrowIndex));
            store(part[0] + l, __builtin_convertvector(low_u - half - u, Narrow));
            store(part[1] + l, __builtin_convertvector(wide_u, Narrow));
            store(part[2] + l, __builtin_convertvector(narrow_u, Narrow));
            if constexpr (!Flat) {
                const D v = safe(s.v, zero), wide_v = safe(s.wide_v, one), shift_v = safe(s.shift_v, zero);
                D low_v;
                pixels(v, half * (one + wide_v) + shift_v, job.first_row, job.last_row, low_v, most_v);
                store(whole[1] + l, __builtin_convertvector(low_v, NarrowIndex));
                store(part[3] + l, __builtin_convertvector(low_v - v, Narrow));
                store(part[4] + l, __builtin_convertvector(wide_v, Narrow));
                store(part[5] + l, __builtin_convertvector(shift_v, Narrow));
                scale = half / wide_v;
            }
            for (int k = 0; k < view.kind.power; ++k) scale *= s.magnification;
            store(part[6] + l, __builtin_convertvector((x <= end) & seen ? scale : zero, Narrow));
        }
        columns = int(largest(most_u));
        rows = Flat ? 1 : int(largest(most_v));
        all_seen = true;
        for (int l = 0; l < width; ++l) all_seen = all_seen && none_missed[l];
        edge_u = load<V>(part[0]);
        wide_u = load<V>(part[1]);
        narrow_u = load<V>(part[2]);
        scale = load<V>(part[6]);
        column = load<IndexOf<V>>(whole[0]);
        if constexpr (!Flat) {
            row = load<IndexOf<V>>(whole[1]);
            distance_v = load<V>(part[3]);
            wide_v = load<V>(part[4]);
            shift_v = load<V>(part[5]);
        }
    }

private:
    template <class D> static double largest(D values) {
        double most = values[0];
        for (int l = 1; l < Lanes<D>::count; ++l) most = values[l] > most ? values[l] : most;
        return most;
    }
};

// Weights of `count` columns from the one on where an edge lies.
template <class V> OPALG_INLINE void column_weights(const Trapezoid<V>& shape, V edge, int count, V* weight) {
    V before = shape.up_to(edge);
    for (int k = 0; k < count; ++k) {
        edge += broadcast<V>(1);
        const V after = shape.up_to(edge);
        weight[k] = after - before;
        before = after;
    }
}

template <class V, bool Flat> struct RowWeights {
    V reach, most;
    const FootprintLanes<V, Flat>& voxel;

    explicit RowWeights(const FootprintLanes<V, Flat>& lanes) : voxel(lanes) {
        reach = broadcast<V>(0.5) * (broadcast<V>(1) + voxel.wide_v);
        most = smaller<V>(broadcast<V>(1), voxel.wide_v);
    }
    OPALG_INLINE_MEMBER V operator()(int row) const {
        if constexpr (Flat) return broadcast<V>(1);
        else return overlap_of_boxes<V>(voxel.distance_v + broadcast<V>(row), voxel.shift_v, reach, most);
    }
};

constexpr int kColumnsAtOnce = 8;

// Pixels are looked up in a window of two registers where a slice's lanes are close together, else one by one.
template <class V, bool Flat> OPALG_INLINE void gather_line_of_footprints(const FootprintLine<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count, window = RegisterWindow<V>::reach;
    const IndexOf<V> last_column = broadcast_index<V>(job.last_column);
    for (std::int64_t x = 0; x < job.count; x += lanes) {
        const FootprintLanes<V, Flat> voxel(job, x);
        if (voxel.columns <= 0 || voxel.rows <= 0) continue;
        const Trapezoid<V> shape(voxel.wide_u, voxel.narrow_u);
        const RowWeights<V, Flat> share(voxel);
        const std::int64_t a = voxel.column[0], b = voxel.column[lanes - 1];
        // Shadows of a line go one way, but for one pixel that the change of their widths may make.
        const std::int64_t lowest = (a < b ? a : b) - 1, span = (a < b ? b - a : a - b) + voxel.columns + 2;
        const bool close = Flat && window && voxel.all_seen && span <= window && lowest >= job.first_column;
        V total = broadcast<V>(0);
        for (int start = 0; start < voxel.columns; start += kColumnsAtOnce) {
            const int count = voxel.columns - start < kColumnsAtOnce ? voxel.columns - start : kColumnsAtOnce;
            V weight[kColumnsAtOnce + 1];
            column_weights<V>(shape, voxel.edge_u + broadcast<V>(start), count, weight);
            weight[count] = broadcast<V>(0);
            const IndexOf<V> column = voxel.column + broadcast_index<V>(start);
            if (close) {
                const RegisterWindow<V> pixels(job.projection + lowest);
                for (int k = 0; k < count; ++k)
                    total += weight[k] * pixels(column + broadcast_index<V>(k - lowest));
                continue;
            }
            for (int r = 0; r < voxel.rows; ++r) {
                IndexOf<V> line = {};
                if constexpr (!Flat)
                    line = clamped<V>(voxel.row + broadcast_index<V>(r), job.first_row, job.last_row) *
                           broadcast_index<V>(job.line_stride);
                V sum = broadcast<V>(0);
                for (int k = 0; k < count; k += 2) {
                    V first = {}, second = {};
                    const IndexOf<V> here = column + broadcast_index<V>(k);
                    load_pairs<V>(job.projection, line + (here > last_column ? last_column : here), first, second);
                    sum += weight[k] * first + weight[k + 1] * second;
                }
                total += share(r) * sum;
            }
        }
        store(job.voxels + x, load<V>(job.voxels + x) + voxel.scale * total);
    }
}

template <class V> void gather_footprints(const FootprintLine<RealOf<V>>& job) {
    if (job.view->flat) gather_line_of_footprints<V, true>(job);
    else gather_line_of_footprints<V, false>(job);
}

// As add_to_cells, with a factor for every lane.
template <class T, int Count, class Index>
OPALG_INLINE void add_shares_to_cells(T* cells, const Index* cell, const T* added, const T* share) {
    typedef T Cell __attribute__((vector_size(kFootprintCell * sizeof(T))));
    for (int l = 0; l < Count; ++l) {
        T* target = cells + std::int64_t(cell[l]) * kFootprintCell;
        Cell sum, more;
        __builtin_memcpy(&sum, target, sizeof(Cell));
        __builtin_memcpy(&more, added + l * kFootprintCell, sizeof(Cell));
        sum += more * share[l];
        __builtin_memcpy(target, &sum, sizeof(Cell));
    }
}

template <class V, bool Flat> OPALG_INLINE void scatter_line_of_footprints(const FootprintLine<RealOf<V>>& job) {
    using Real = RealOf<V>;
    constexpr int lanes = Lanes<V>::count;
    alignas(64) Real added[kFootprintCell * lanes];
    typename Lanes<Real>::Index cells[lanes];
    for (std::int64_t x = 0; x < job.count; x += lanes) {
        const FootprintLanes<V, Flat> voxel(job, x);
        if (voxel.columns <= 0 || voxel.rows <= 0) continue;
        const Trapezoid<V> shape(voxel.wide_u, voxel.narrow_u);
        const RowWeights<V, Flat> share(voxel);
        const V amount = voxel.scale * load<V>(job.voxels + x);
        for (int start = 0; start < voxel.columns; start += kFootprintCell) {
            V weight[kFootprintCell];
            column_weights<V>(shape, voxel.edge_u + broadcast<V>(start), kFootprintCell, weight);
            const IndexOf<V> column =
                clamped<V>(voxel.column + broadcast_index<V>(start), job.first_column, job.last_column);
            V low_a, high_a, low_b, high_b;
            interleave<V>(amount * weight[0], amount * weight[2], low_a, high_a);
            interleave<V>(amount * weight[1], amount * weight[3], low_b, high_b);
            V cell[kFootprintCell];
            interleave<V>(low_a, low_b, cell[0], cell[1]);
            interleave<V>(high_a, high_b, cell[2], cell[3]);
            for (int k = 0; k < kFootprintCell; ++k) store(added + k * lanes, cell[k]);
            if constexpr (Flat) {
                store(cells, column * broadcast_index<V>(kFootprintCell));
                // Read back number by number: else g++ takes the registers apart by permutes, which cost more.
                asm volatile("" : : "r"(added), "r"(cells) : "memory");
                add_to_cells<Real, kFootprintCell, lanes>(job.projection, cells, added);
            } else {
                Real shares[lanes];
                for (int r = 0; r < voxel.rows; ++r) {
                    store(shares, share(r));
                    store(cells, clamped<V>(voxel.row + broadcast_index<V>(r), job.first_row, job.last_row) *
                                         broadcast_index<V>(job.line_stride) + column);
                    asm volatile("" : : "r"(added), "r"(cells), "r"(shares) : "memory");
                    add_shares_to_cells<Real, lanes>(job.projection, cells, added, shares);
                }
            }
        }
    }
}

template <class V> void scatter_footprints(const FootprintLine<RealOf<V>>& job) {
    if (job.view->flat) scatter_line_of_footprints<V, true>(job);
    else scatter_line_of_footprints<V, false>(job);
}

}  // namespace OPALG_ISA
}  // namespace opalg
