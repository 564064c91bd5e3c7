// What every kernel includes first. A kernel is compiled for one case, named by macros:
//
//     OPALG_REAL   float, double               numbers in registers
//     OPALG_STORE  float, double, opalg::Half, opalg::Bfloat16     numbers in memory
//     OPALG_MODEL  0 Joseph, 1 Siddon          how rays meet voxels (Model in rays.cuh)
//     OPALG_FLAT   0, 1                        1: a slice before a detector of one row
//     OPALG_PARALLEL, OPALG_CURVED  0, 1       rays of a view are parallel; columns of a detector lie on an arc
//     OPALG_BATCH  1, 2, 4                     images that a thread works on at once
//     OPALG_WIDE   0, 1                        1: offsets within a volume need 64 bits
#pragma once

#if !defined(__CUDACC__)
#include "cuda_on_host.h"
#endif

#include "lanes.cuh"
#include "storage.cuh"

#if !defined(OPALG_REAL)
#define OPALG_REAL float
#endif
#if !defined(OPALG_STORE)
#define OPALG_STORE OPALG_REAL
#endif
#if !defined(OPALG_MODEL)
#define OPALG_MODEL 0
#endif
#if !defined(OPALG_FLAT)
#define OPALG_FLAT 0
#endif
#if !defined(OPALG_PARALLEL)
#define OPALG_PARALLEL 0
#endif
#if !defined(OPALG_CURVED)
#define OPALG_CURVED 0
#endif
#if !defined(OPALG_BATCH)
#define OPALG_BATCH 1
#endif
#if !defined(OPALG_WIDE)
#define OPALG_WIDE 0
#endif

namespace opalg {

using Real = OPALG_REAL;
using Store = OPALG_STORE;
constexpr bool kFlat = OPALG_FLAT, kParallel = OPALG_PARALLEL, kCurved = OPALG_CURVED;
constexpr int kBatch = OPALG_BATCH;

#if OPALG_WIDE
using Offset = std::int64_t;
#else
using Offset = std::int32_t;
#endif

// Through the read-only path of the cache: the memory does not change while a kernel runs.
OPALG_INLINE float fetched(const float* p) { return __ldg(p); }
OPALG_INLINE double fetched(const double* p) { return __ldg(p); }
OPALG_INLINE float fetched(const Half* p) { return widened(Half{__ldg(&p->bits)}); }
OPALG_INLINE float fetched(const Bfloat16* p) { return widened(Bfloat16{__ldg(&p->bits)}); }

// Zero, which the compiler does not know: what is read with it as an index is not kept from one round of a loop to the next.
OPALG_INLINE int unknown_zero() {
#if defined(__CUDACC__)
    int zero;
    asm volatile("mov.u32 %0, 0;" : "=r"(zero));
    return zero;
#else
    return 0;
#endif
}

// p + count * size, where size elements have less than 2^31 bytes. Multiplied so that one instruction also adds: from 64 bits the
// compiler makes six.
OPALG_INLINE const Store* leapt(const Store* p, std::int32_t count, std::int32_t size) {
#if defined(__CUDACC__)
    long long bytes;
    asm("mul.wide.s32 %0, %1, %2;" : "=l"(bytes) : "r"(count), "r"(size * int(sizeof(Store))));
    return reinterpret_cast<const Store*>(reinterpret_cast<const char*>(p) + bytes);
#else
    return p + std::int64_t(count) * size;
#endif
}

// x, of which the compiler does not know where it comes from: it would keep in registers what can be found again from x.
OPALG_INLINE double opaque(double x) {
#if defined(__CUDACC__)
    asm volatile("" : "+d"(x));
#endif
    return x;
}

OPALG_INLINE Store stored(Real x) { return Narrowed<Store>::of(x); }

}  // namespace opalg
