// Cells: a few numbers that lie side by side, of which every lane has its own. One load brings what a gather
// would collect number by number; what remains is to sort the numbers of all lanes.
#pragma once

#include "registers.h"

namespace opalg {
namespace OPALG_ISA {

// 1 / x for x between 1/2 and 2, to a few units in the last place.
template <class V> OPALG_INLINE V reciprocal(V x) {
#if defined(__AVX512F__)
    if constexpr (Lanes<V>::count == 16) {  // a division takes as long as ten other instructions
        const V guess = (V)_mm512_maskz_rcp14_ps(__mmask16(-1), (__m512)x);
        return guess + guess * (1 - x * guess);
    }
#endif
    return 1 / x;
}

// Four cells, transposed.
template <class Q> OPALG_INLINE void transpose(const Q cell[4], Q& a, Q& b, Q& c, Q& d) {
    const Q ab = __builtin_shufflevector(cell[0], cell[1], 0, 4, 1, 5);
    const Q cd = __builtin_shufflevector(cell[0], cell[1], 2, 6, 3, 7);
    const Q ef = __builtin_shufflevector(cell[2], cell[3], 0, 4, 1, 5);
    const Q gh = __builtin_shufflevector(cell[2], cell[3], 2, 6, 3, 7);
    a = __builtin_shufflevector(ab, ef, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab, ef, 2, 3, 6, 7);
    c = __builtin_shufflevector(cd, gh, 0, 1, 4, 5);
    d = __builtin_shufflevector(cd, gh, 2, 3, 6, 7);
}

// Cells at base[2 index[l]] of lanes l: a[l] .. d[l] are their four numbers.
template <class V, class Index>
OPALG_INLINE void load_cells(const RealOf<V>* base, const Index* index, V& a, V& b, V& c, V& d) {
    constexpr int lanes = Lanes<V>::count;
    const auto cell = [&](int l) { return base + 2 * std::ptrdiff_t(index[l]); };
    if constexpr (lanes == 2) {
        for (int l = 0; l < lanes; ++l) {
            a[l] = cell(l)[0];
            b[l] = cell(l)[1];
            c[l] = cell(l)[2];
            d[l] = cell(l)[3];
        }
    } else {
        using Q = Pack<RealOf<V>, 4>;
        const auto four = [&](int l, Q quarter[4]) {
            for (int j = 0; j < 4; ++j) quarter[j] = load<Q>(cell(l + j));
        };
        if constexpr (lanes == 4) {
            Q cells[4];
            four(0, cells);
            transpose<Q>(cells, a, b, c, d);
        } else if constexpr (lanes == 8) {
            Q cells[4], low[4], high[4];
            four(0, cells);
            transpose<Q>(cells, low[0], low[1], low[2], low[3]);
            four(4, cells);
            transpose<Q>(cells, high[0], high[1], high[2], high[3]);
            const auto join = [&](int i) { return __builtin_shufflevector(low[i], high[i], 0, 1, 2, 3, 4, 5, 6, 7); };
            a = join(0);
            b = join(1);
            c = join(2);
            d = join(3);
        } else {
#if defined(__AVX512F__)
            __m512 r[4];  // quarter q of register j is cell 4 q + j
            for (int j = 0; j < 4; ++j) {
                r[j] = _mm512_castps128_ps512(_mm_loadu_ps(cell(j)));
                r[j] = _mm512_insertf32x4(r[j], _mm_loadu_ps(cell(4 + j)), 1);
                r[j] = _mm512_insertf32x4(r[j], _mm_loadu_ps(cell(8 + j)), 2);
                r[j] = _mm512_insertf32x4(r[j], _mm_loadu_ps(cell(12 + j)), 3);
            }
            const __mmask16 all = __mmask16(-1);
            const __m512d ab = (__m512d)_mm512_maskz_unpacklo_ps(all, r[0], r[1]);
            const __m512d cd = (__m512d)_mm512_maskz_unpackhi_ps(all, r[0], r[1]);
            const __m512d ef = (__m512d)_mm512_maskz_unpacklo_ps(all, r[2], r[3]);
            const __m512d gh = (__m512d)_mm512_maskz_unpackhi_ps(all, r[2], r[3]);
            a = (V)_mm512_maskz_unpacklo_pd(__mmask8(-1), ab, ef);
            b = (V)_mm512_maskz_unpackhi_pd(__mmask8(-1), ab, ef);
            c = (V)_mm512_maskz_unpacklo_pd(__mmask8(-1), cd, gh);
            d = (V)_mm512_maskz_unpackhi_pd(__mmask8(-1), cd, gh);
#endif
        }
    }
}

// Adds share[l, i] to number i of the cell at base[place[l]], one lane after the other: two may meet in one cell.
template <class T, int Numbers, int Count, class Index>
OPALG_INLINE void add_to_cells(T* base, const Index* place, const T* share) {
    typedef T Cell __attribute__((vector_size(Numbers * sizeof(T))));
    for (int l = 0; l < Count; ++l) {
        T* target = base + std::int64_t(place[l]);
        Cell sum, more;
        __builtin_memcpy(&sum, target, sizeof(Cell));
        __builtin_memcpy(&more, share + l * Numbers, sizeof(Cell));
        sum += more;
        __builtin_memcpy(target, &sum, sizeof(Cell));
    }
}

}  // namespace OPALG_ISA
}  // namespace opalg
