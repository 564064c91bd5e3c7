// Numbers in memory and numbers in registers: half and bfloat16 are formats of storage only, sums are kept in float.
//
// Conversions work on bits, so that they need no header of CUDA's and do the same on the host.
#pragma once

#include "qualifiers.cuh"

namespace opalg {

struct Half {
    unsigned short bits;
};
struct Bfloat16 {
    unsigned short bits;
};

OPALG_INLINE float float_of_bits(std::uint32_t bits) {
#if defined(__CUDACC__)
    return __uint_as_float(bits);
#else
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return x;
#endif
}
OPALG_INLINE std::uint32_t bits_of_float(float x) {
#if defined(__CUDACC__)
    return __float_as_uint(x);
#else
    std::uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    return bits;
#endif
}

OPALG_INLINE float widened(float x) { return x; }
OPALG_INLINE double widened(double x) { return x; }
OPALG_INLINE float widened(Bfloat16 x) { return float_of_bits(std::uint32_t(x.bits) << 16); }
OPALG_INLINE float widened(Half x) {
#if defined(__CUDACC__)
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
#else
    const std::uint32_t sign = std::uint32_t(x.bits & 0x8000) << 16, exponent = x.bits >> 10 & 31, part = x.bits & 1023;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000 | part << 13);
    if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | part << 13);
    const float small = float(part) * (1.0f / 16777216.0f);  // subnormal: multiples of 2^-24
    return sign ? -small : small;
#endif
}

// To the nearest, ties to even.
template <class Store> struct Narrowed;
template <> struct Narrowed<float> {
    OPALG_INLINE_MEMBER static float of(float x) { return x; }
};
template <> struct Narrowed<double> {
    OPALG_INLINE_MEMBER static double of(double x) { return x; }
};
template <> struct Narrowed<Bfloat16> {
    OPALG_INLINE_MEMBER static Bfloat16 of(float x) {
        const std::uint32_t bits = bits_of_float(x);
        if (x != x) return {(unsigned short)(bits >> 16 | 64)};  // stays not a number
        return {(unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
    }
};
template <> struct Narrowed<Half> {
    OPALG_INLINE_MEMBER static Half of(float x) {
#if defined(__CUDACC__)
        Half h;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
        return h;
#else
        const std::uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
        if (size > 0x7f800000) return {(unsigned short)(sign | 0x7fff)};
        if (size >= 0x477ff000) return {(unsigned short)(sign | 0x7c00)};  // 65520 and more round to infinity
        if (size < 0x38800000) {                                           // below 2^-14: multiples of 2^-24
            const float multiple = float_of_bits(size) * 16777216.0f;      // exact, < 1024
            std::uint32_t whole = std::uint32_t(multiple);
            const float rest = multiple - float(whole);
            whole += rest > 0.5f || (rest == 0.5f && (whole & 1));
            return {(unsigned short)(sign | whole)};
        }
        return {(unsigned short)(sign | ((size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13))};
#endif
    }
};

}  // namespace opalg
