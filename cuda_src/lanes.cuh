// Lane types: the values on which the ray arithmetic of the other headers is written.
//
// On a CUDA device a lane type is float or double. On the host it is a pack of N of them (a compiler vector extension),
// one register wide. `Lanes<V>` tells what belongs to a lane type, the functions below are all that the arithmetic asks
// of it. Where the compiler's own translation is poor, AVX2 and AVX-512 versions stand beside the general one.
#pragma once

#include "qualifiers.cuh"

#if defined(__SSE2__) && !defined(__CUDACC__)
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE4_1__)
#include <smmintrin.h>
#else
#include <emmintrin.h>  // a fifth of the other's compile time
#endif
#endif

namespace opalg {

template <class V> struct Lanes;
template <> struct Lanes<float> {
    using Real = float;
    using Index = std::int32_t;
    static constexpr int count = 1;
};
template <> struct Lanes<double> {
    using Real = double;
    using Index = std::int64_t;  // as wide as Real, so that in a pack masks and indices have its shape
    static constexpr int count = 1;
};
template <class V> using RealOf = typename Lanes<V>::Real;
template <class V> using IndexOf = typename Lanes<V>::Index;

#if !defined(__CUDACC__)
template <class T, int N> struct PackLanes {
    typedef T Type __attribute__((vector_size(N * sizeof(T))));
    using Real = T;
    typedef typename Lanes<T>::Index Index __attribute__((vector_size(N * sizeof(T))));
    static constexpr int count = N;
};
template <class T, int N> using Pack = typename PackLanes<T, N>::Type;
template <> struct Lanes<Pack<float, 4>> : PackLanes<float, 4> {};
template <> struct Lanes<Pack<float, 8>> : PackLanes<float, 8> {};
template <> struct Lanes<Pack<float, 16>> : PackLanes<float, 16> {};
template <> struct Lanes<Pack<double, 2>> : PackLanes<double, 2> {};
template <> struct Lanes<Pack<double, 4>> : PackLanes<double, 4> {};
template <> struct Lanes<Pack<double, 8>> : PackLanes<double, 8> {};
#endif

// The same number in every lane.
template <class V, class S> OPALG_INLINE V broadcast(S value) {
    if constexpr (Lanes<V>::count == 1) return V(value);
    else return RealOf<V>(value) - V{};
}
template <class V> OPALG_INLINE IndexOf<V> broadcast_index(std::int64_t value) {
    using Index = IndexOf<V>;
    if constexpr (Lanes<V>::count == 1) return Index(value);
    else return typename Lanes<RealOf<V>>::Index(value) + Index{};
}

// Unaligned load and store of Lanes<V>::count consecutive numbers (or indices).
template <class V, class S> OPALG_INLINE V load(const S* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof(V));
    return v;
}
template <class V, class S> OPALG_INLINE void store(S* p, V v) { __builtin_memcpy(p, &v, sizeof(V)); }

// AVX-512 by intrinsics: g++ translates a comparison with zero into two instructions, not one.
template <class V> OPALG_INLINE V larger(V a, V b) {
#if defined(__CUDACC__)
    if constexpr (sizeof(V) == sizeof(float)) return fmaxf(a, b);  // one instruction, where a comparison takes two
#endif
#if defined(__AVX512F__) && !defined(__CUDACC__)
    if constexpr (Lanes<V>::count == 16) return (V)_mm512_maskz_max_ps(__mmask16(-1), (__m512)a, (__m512)b);
    if constexpr (sizeof(V) == 64 && sizeof(RealOf<V>) == 8)
        return (V)_mm512_maskz_max_pd(__mmask8(-1), (__m512d)a, (__m512d)b);
#endif
    return a > b ? a : b;
}
template <class V> OPALG_INLINE V smaller(V a, V b) {
#if defined(__CUDACC__)
    if constexpr (sizeof(V) == sizeof(float)) return fminf(a, b);  // one instruction, where a comparison takes two
#endif
#if defined(__AVX512F__) && !defined(__CUDACC__)
    if constexpr (Lanes<V>::count == 16) return (V)_mm512_maskz_min_ps(__mmask16(-1), (__m512)a, (__m512)b);
    if constexpr (sizeof(V) == 64 && sizeof(RealOf<V>) == 8)
        return (V)_mm512_maskz_min_pd(__mmask8(-1), (__m512d)a, (__m512d)b);
#endif
    return a < b ? a : b;
}
// The lesser of |a| and one. AVX-512: in one instruction.
template <class V> OPALG_INLINE V magnitude_up_to_one(V a) {
    const V one = broadcast<V>(1);
#if defined(__AVX512DQ__) && !defined(__CUDACC__)
    constexpr int least = 0b1010;  // of the magnitudes, without their signs
    if constexpr (Lanes<V>::count == 16) return (V)_mm512_maskz_range_ps(__mmask16(-1), (__m512)a, (__m512)one, least);
    if constexpr (sizeof(V) == 64 && sizeof(RealOf<V>) == 8)
        return (V)_mm512_maskz_range_pd(__mmask8(-1), (__m512d)a, (__m512d)one, least);
#endif
    return smaller<V>(larger<V>(a, -a), one);
}
// By intrinsics: g++ takes the roots of the lanes of a register one by one.
template <class V> OPALG_INLINE V square_root(V a) {
#if defined(__SSE2__) && !defined(__CUDACC__)
    constexpr bool single = sizeof(RealOf<V>) == 4;
    if constexpr (sizeof(V) == 16 && single) return (V)_mm_sqrt_ps((__m128)a);
    if constexpr (sizeof(V) == 16 && !single) return (V)_mm_sqrt_pd((__m128d)a);
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && single) return (V)_mm256_sqrt_ps((__m256)a);
    if constexpr (sizeof(V) == 32 && !single) return (V)_mm256_sqrt_pd((__m256d)a);
#endif
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && single) return (V)_mm512_maskz_sqrt_ps(__mmask16(-1), (__m512)a);
    if constexpr (sizeof(V) == 64 && !single) return (V)_mm512_maskz_sqrt_pd(__mmask8(-1), (__m512d)a);
#endif
#endif
    if constexpr (Lanes<V>::count == 1) {
        return V(__builtin_sqrt(a));
    } else {
        for (int l = 0; l < Lanes<V>::count; ++l) a[l] = RealOf<V>(__builtin_sqrt(a[l]));
        return a;
    }
}
template <class V> OPALG_INLINE V rounded_down(V a) {
#if defined(__AVX512F__) && !defined(__CUDACC__)
    if constexpr (sizeof(V) == 64 && sizeof(RealOf<V>) == 8)
        return (V)_mm512_maskz_roundscale_pd(__mmask8(-1), (__m512d)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    if constexpr (sizeof(V) == 64 && sizeof(RealOf<V>) == 4)
        return (V)_mm512_maskz_roundscale_ps(__mmask16(-1), (__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#endif
#if defined(__AVX2__) && !defined(__CUDACC__)
    if constexpr (sizeof(V) == 32 && sizeof(RealOf<V>) == 8) return (V)_mm256_floor_pd((__m256d)a);
    if constexpr (sizeof(V) == 32 && sizeof(RealOf<V>) == 4) return (V)_mm256_floor_ps((__m256)a);
#endif
#if defined(__SSE4_1__) && !defined(__CUDACC__)
    if constexpr (sizeof(V) == 16 && sizeof(RealOf<V>) == 8) return (V)_mm_floor_pd((__m128d)a);
    if constexpr (sizeof(V) == 16 && sizeof(RealOf<V>) == 4) return (V)_mm_floor_ps((__m128)a);
#endif
    if constexpr (Lanes<V>::count == 1) {
#if defined(__CUDACC__)
        return floor(a);
#else
        return __builtin_floor(a);
#endif
    } else {
        for (int l = 0; l < Lanes<V>::count; ++l) a[l] = RealOf<V>(__builtin_floor(a[l]));
        return a;
    }
}
template <class V> OPALG_INLINE V root(V a) {
    if constexpr (Lanes<V>::count == 1) {
        return V(__builtin_sqrt(a));
    } else {
        for (int l = 0; l < Lanes<V>::count; ++l) a[l] = RealOf<V>(__builtin_sqrt(a[l]));
        return a;
    }
}
template <class V> OPALG_INLINE IndexOf<V> clamped(IndexOf<V> index, std::int64_t low, std::int64_t high) {
    const IndexOf<V> l = broadcast_index<V>(low), h = broadcast_index<V>(high);
    const IndexOf<V> raised = index < l ? l : index;
    return raised > h ? h : raised;
}

// A position whole + part, part in [0, 2], becomes lower + weight with weight in [0, 1].
template <class V> OPALG_INLINE void carry(IndexOf<V> whole, V part, IndexOf<V>& lower, V& weight) {
    if constexpr (Lanes<V>::count == 1) {
        const bool over = part >= V(1);
        lower = whole + over;
        weight = over ? part - V(1) : part;
    } else {
        const V one = broadcast<V>(1);
        const IndexOf<V> over = part >= one;  // -1 in the lanes that carry
        if constexpr (sizeof(V) == 64) {      // AVX-512: becomes one comparison and two masked operations
            lower = over ? whole + 1 : whole;
            weight = over ? part - one : part;
        } else {
            lower = whole - over;
            weight = part - (V)(over & (IndexOf<V>)one);
        }
    }
}

// Numbers of memory looked up by lane. `anchor` points at index 0.
template <class V> struct MemoryWindow {
    static constexpr int reach = 0;  // any index
    const RealOf<V>* anchor;

    OPALG_INLINE_MEMBER explicit MemoryWindow(const RealOf<V>* p) : anchor(p) {}
    OPALG_INLINE_MEMBER V operator()(IndexOf<V> index) const {
        if constexpr (Lanes<V>::count == 1) {
            return anchor[index];
        } else {
            V v;
            for (int l = 0; l < Lanes<V>::count; ++l) v[l] = anchor[index[l]];
            return v;
        }
    }
};

// Two registers of consecutive numbers, looked up by permutation: indices 0 to reach - 1. Two loads and a permute cost
// less than a gather. Where there is no such permute it is the same as MemoryWindow.
template <class V> struct RegisterWindow : MemoryWindow<V> {
    using MemoryWindow<V>::MemoryWindow;
};

#if defined(__AVX512F__) && !defined(__CUDACC__)
template <> struct RegisterWindow<Pack<float, 16>> {
    static constexpr int reach = 32;
    __m512 low, high;

    OPALG_INLINE_MEMBER explicit RegisterWindow(const float* p)
        : low(_mm512_loadu_ps(p)), high(_mm512_loadu_ps(p + 16)) {}
    OPALG_INLINE_MEMBER Pack<float, 16> operator()(IndexOf<Pack<float, 16>> index) const {
        return (Pack<float, 16>)_mm512_permutex2var_ps(low, (__m512i)index, high);
    }
};
template <> struct RegisterWindow<Pack<double, 8>> {
    static constexpr int reach = 16;
    __m512d low, high;

    OPALG_INLINE_MEMBER explicit RegisterWindow(const double* p)
        : low(_mm512_loadu_pd(p)), high(_mm512_loadu_pd(p + 8)) {}
    OPALG_INLINE_MEMBER Pack<double, 8> operator()(IndexOf<Pack<double, 8>> index) const {
        return (Pack<double, 8>)_mm512_permutex2var_pd(low, (__m512i)index, high);
    }
};
#elif defined(__AVX2__) && !defined(__CUDACC__)
template <> struct RegisterWindow<Pack<float, 8>> {
    static constexpr int reach = 16;
    __m256 low, high;

    OPALG_INLINE_MEMBER explicit RegisterWindow(const float* p) : low(_mm256_loadu_ps(p)), high(_mm256_loadu_ps(p + 8)) {}
    OPALG_INLINE_MEMBER Pack<float, 8> operator()(IndexOf<Pack<float, 8>> index) const {
        const __m256i i = (__m256i)index;
        const __m256 from_low = _mm256_permutevar8x32_ps(low, i), from_high = _mm256_permutevar8x32_ps(high, i);
        return (Pack<float, 8>)_mm256_blendv_ps(from_low, from_high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
    }
};
#endif

}  // namespace opalg
