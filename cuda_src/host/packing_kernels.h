// Interleaving images into a stack and back, one row at a time, by transposing square tiles in registers.
#pragma once

#include "kernels.h"

namespace opalg {
namespace OPALG_ISA {

// Interleaves halves: low of (a0 a1 .. | b0 b1 ..) is a0 b0 a1 b1 ...
template <class V> OPALG_INLINE void interleave(V a, V b, V& low, V& high) {
    constexpr int n = Lanes<V>::count;
    if constexpr (n == 2) {
        low = __builtin_shufflevector(a, b, 0, 2);
        high = __builtin_shufflevector(a, b, 1, 3);
    } else if constexpr (n == 4) {
        low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
        high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    } else if constexpr (n == 8) {
        low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
        high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    } else {
        low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        high = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
}

// A square tile of registers. One pass rotates the bits of (row, column) by one: log2(n) passes transpose.
template <class V> OPALG_INLINE void transpose(V* rows) {
    constexpr int n = Lanes<V>::count;
    for (int pass = 1; pass < n; pass *= 2) {
        V next[n];
        for (int r = 0; r < n / 2; ++r) interleave(rows[r], rows[r + n / 2], next[2 * r], next[2 * r + 1]);
        for (int r = 0; r < n; ++r) rows[r] = next[r];
    }
}

template <class V> OPALG_INLINE V load_first(const RealOf<V>* p, std::int64_t count) {
    if (count >= Lanes<V>::count) return load<V>(p);
    V v = {};
    for (int l = 0; l < int(count); ++l) v[l] = p[l];
    return v;
}

template <class V> void pack_row(const PackRow<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    for (std::int64_t x = 0; x < job.count; x += lanes) {
        const std::int64_t count = job.count - x;
        V tile[lanes];
        for (int l = 0; l < lanes; ++l) {
            V sum = {};
            for (std::int32_t k = job.begin[l]; k < job.begin[l + 1]; ++k)
                sum = sum + broadcast<V>(job.weight[k]) * load_first<V>(job.source[k] + job.source_offset + x, count);
            tile[l] = job.scale * sum;
        }
        transpose<V>(tile);
        for (int l = 0; l < lanes && l < count; ++l) store(job.stack + (x + l) * job.pixel_stride, tile[l]);
    }
}

template <class V> void unpack_row(const UnpackRow<RealOf<V>>& job) {
    constexpr int lanes = Lanes<V>::count;
    for (std::int64_t x = 0; x < job.count; x += lanes) {
        const std::int64_t count = job.count - x;
        V tile[lanes];
        for (int l = 0; l < lanes; ++l)
            tile[l] = l < count ? job.scale * load<V>(job.stack + (x + l) * job.pixel_stride) : V{};
        transpose<V>(tile);
        for (int l = 0; l < lanes; ++l) {
            if (!job.target[l]) continue;
            RealOf<V>* target = job.target[l] + job.target_offset + x;
            const V sum = job.add ? tile[l] + load_first<V>(target, count) : tile[l];
            if (count >= lanes) store(target, sum);
            else
                for (int k = 0; k < int(count); ++k) target[k] = sum[k];
        }
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
