// Inner loops of finite differences, compiled once per instruction set like kernels.cpp, but without fused
// multiplications and additions: memory sets the pace, and results are those of the plain array operations, to the bit.
// A tail shorter than a register goes through the same arithmetic as the rest.
#include "difference_kernels.h"

#include "registers.h"

namespace opalg {
namespace OPALG_ISA {

// The first `count` lanes; what lies behind is neither read nor written. Masks where there are some: written lane by
// lane, a register would be read before its parts have arrived.
template <class V> OPALG_INLINE V load_part(const RealOf<V>* p, std::int64_t count) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && Lanes<V>::count == 16)
        return (V)_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p);
    if constexpr (sizeof(V) == 64 && Lanes<V>::count == 8)
        return (V)_mm512_maskz_loadu_pd(__mmask8((1u << count) - 1), p);
#elif defined(__AVX2__)
    using Index = IndexOf<V>;
    static const typename Lanes<RealOf<V>>::Index bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const Index mask = load<Index>(bits + 8 - count);
    if constexpr (sizeof(V) == 32 && Lanes<V>::count == 8) return (V)_mm256_maskload_ps(p, (__m256i)mask);
    if constexpr (sizeof(V) == 32 && Lanes<V>::count == 4)
        return (V)_mm256_maskload_pd(p, (__m256i)mask);
#endif
    V v = {};
    for (int l = 0; l < int(count); ++l) v[l] = p[l];
    return v;
}

template <class V> OPALG_INLINE void store_part(RealOf<V>* p, V v, std::int64_t count) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && Lanes<V>::count == 16)
        return _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), (__m512)v);
    if constexpr (sizeof(V) == 64 && Lanes<V>::count == 8)
        return _mm512_mask_storeu_pd(p, __mmask8((1u << count) - 1), (__m512d)v);
#endif
    for (int l = 0; l < int(count); ++l) p[l] = v[l];
}

// Aligned store past the caches, for results larger than them: else every line would be read before it is overwritten.
template <class V> OPALG_INLINE void store_past_caches(RealOf<V>* p, V v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64) return _mm512_stream_si512((__m512i*)p, (__m512i)v);
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32) return _mm256_stream_si256((__m256i*)p, (__m256i)v);
#endif
#if defined(__SSE2__)
    if constexpr (sizeof(V) == 16) return _mm_stream_si128((__m128i*)p, (__m128i)v);
#endif
    store(p, v);
}

// How many of the first entries to do apart, so that the following stores lie within cache lines.
template <class V> OPALG_INLINE std::int64_t until_aligned(const RealOf<V>* p, std::int64_t length) {
    constexpr std::size_t width = sizeof(V);
    const auto head = std::int64_t((width - reinterpret_cast<std::uintptr_t>(p) % width) % width / sizeof(RealOf<V>));
    return head < length ? head : length;
}

// Positions [i, i + lanes), or with Part [i, i + count).
template <class V, int Pairs, bool Base, bool Part>
OPALG_INLINE V summed(const SumDifferences<RealOf<V>>& job, std::int64_t i, std::int64_t count) {
    const auto at = [&](const RealOf<V>* p) {
        if constexpr (Part) return load_part<V>(p + i, count);
        else return load<V>(p + i);
    };
    V sum = {};
    if constexpr (Base) sum = job.factor * at(job.base);
    const int pairs = Pairs ? Pairs : job.pairs;
    for (int k = 0; k < pairs; ++k) {
        const V term = weighted_difference<V>(at(job.plus[k]), at(job.minus[k]), broadcast<V>(job.weight[k]));
        sum = sum + term;
    }
    return sum;
}

template <class V, int Pairs, bool Base> OPALG_INLINE void sum_line(const SumDifferences<RealOf<V>>& given) {
    constexpr int lanes = Lanes<V>::count;
    const SumDifferences<RealOf<V>> job = given;  // the compiler sees that results do not overwrite its pointers
    std::int64_t i = 0;
    const auto part = [&](std::int64_t count) {
        if (count <= 0) return;
        store_part<V>(job.target + i, summed<V, Pairs, Base, true>(job, i, count), count);
        i += count;
    };
    part(until_aligned<V>(job.target, job.length));
    if (job.stream) {
        for (; i + lanes <= job.length; i += lanes)
            store_past_caches<V>(job.target + i, summed<V, Pairs, Base, false>(job, i, lanes));
    } else {
        for (; i + lanes <= job.length; i += lanes) store(job.target + i, summed<V, Pairs, Base, false>(job, i, lanes));
    }
    part(job.length - i);
}

template <class V, int Pairs, bool Base> OPALG_INLINE void sum_run(SumDifferences<RealOf<V>>& job) {
    for (; job.lines > 0; --job.lines) {
        sum_line<V, Pairs, Base>(job);
        job.target += job.stride;
        if constexpr (Base) job.base += job.stride;
        const int pairs = Pairs ? Pairs : job.pairs;
        for (int k = 0; k < pairs; ++k) {
            job.plus[k] += job.plus_stride[k];
            job.minus[k] += job.minus_stride[k];
        }
    }
}

template <class V, bool Base> OPALG_INLINE void sum_pairs(SumDifferences<RealOf<V>>& job) {
    switch (job.pairs) {
    case 1: return sum_run<V, 1, Base>(job);
    case 2: return sum_run<V, 2, Base>(job);
    case 3: return sum_run<V, 3, Base>(job);
    default: return sum_run<V, 0, Base>(job);
    }
}

template <class V> void sum_differences(SumDifferences<RealOf<V>>& job) {
    job.base ? sum_pairs<V, true>(job) : sum_pairs<V, false>(job);
}

template <Shrink S, class V, int Parts, bool Part>
OPALG_INLINE void shrink_at(const ShrinkField<RealOf<V>>& job, std::int64_t i, std::int64_t count) {
    const auto at = [&](const RealOf<V>* p) {
        if constexpr (Part) return load_part<V>(p + i, count);
        else return load<V>(p + i);
    };
    const int parts = Parts ? Parts : job.parts;
    V vector[Parts ? Parts : kParts];
    for (int k = 0; k < parts; ++k) {
        vector[k] = at(job.source[k]);
        if (job.plus[k]) {
            const V term = weighted_difference<V>(at(job.plus[k]), at(job.minus[k]), broadcast<V>(job.weight[k]));
            vector[k] = vector[k] + job.scale * term;
        }
    }
    shrink<S, V>(vector, parts, broadcast<V>(job.radius));
    for (int k = 0; k < parts; ++k) {
        if constexpr (Part) store_part<V>(job.target[k] + i, vector[k], count);
        else store(job.target[k] + i, vector[k]);
    }
}

template <Shrink S, class V, int Parts> OPALG_INLINE void shrink_line(const ShrinkField<RealOf<V>>& given) {
    constexpr int lanes = Lanes<V>::count;
    const ShrinkField<RealOf<V>> job = given;
    std::int64_t i = until_aligned<V>(job.target[0], job.length);
    if (i > 0) shrink_at<S, V, Parts, true>(job, 0, i);
    for (; i + lanes <= job.length; i += lanes) shrink_at<S, V, Parts, false>(job, i, lanes);
    if (i < job.length) shrink_at<S, V, Parts, true>(job, i, job.length - i);
}

template <Shrink S, class V, int Parts> OPALG_INLINE void shrink_run(ShrinkField<RealOf<V>>& job) {
    for (; job.lines > 0; --job.lines) {
        shrink_line<S, V, Parts>(job);
        for (int k = 0; k < job.parts; ++k) {
            job.target[k] += job.stride;
            job.source[k] += job.stride;
            if (!job.plus[k]) continue;
            job.plus[k] += job.plus_stride[k];
            job.minus[k] += job.minus_stride[k];
        }
    }
}

template <Shrink S, class V> OPALG_INLINE void shrink_parts(ShrinkField<RealOf<V>>& job) {
    switch (job.parts) {
    case 1: return shrink_run<S, V, 1>(job);
    case 2: return shrink_run<S, V, 2>(job);
    case 3: return shrink_run<S, V, 3>(job);
    default: return shrink_run<S, V, 0>(job);
    }
}

template <class V> void shrink_field(ShrinkField<RealOf<V>>& job) {
    switch (job.how) {
    case Shrink::into_ball: return shrink_parts<Shrink::into_ball, V>(job);
    case Shrink::into_box: return shrink_parts<Shrink::into_box, V>(job);
    case Shrink::by_length: return shrink_parts<Shrink::by_length, V>(job);
    case Shrink::by_entry: return shrink_parts<Shrink::by_entry, V>(job);
    }
}

template void sum_differences<Register<float>>(SumDifferences<float>&);
template void sum_differences<Register<double>>(SumDifferences<double>&);
template void shrink_field<Register<float>>(ShrinkField<float>&);
template void shrink_field<Register<double>>(ShrinkField<double>&);

}  // namespace OPALG_ISA
}  // namespace opalg
