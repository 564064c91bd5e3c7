// What stands in front of a function so that one source compiles for CUDA devices and for the host.
//
// Host functions are `static` and always inlined: the same header is compiled once per instruction set, and of an inline
// symbol shared by these objects the linker might keep the copy that an older processor cannot run.
#pragma once

// NVRTC has no headers of the standard library.
#if defined(__CUDACC_RTC__)
namespace std {
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
}  // namespace std
#else
#include <cstdint>
#endif

#if defined(__CUDACC__)
#define OPALG_INLINE static __device__ __forceinline__
#define OPALG_INLINE_MEMBER __device__ __forceinline__
#else
#define OPALG_INLINE static inline __attribute__((always_inline))
#define OPALG_INLINE_MEMBER inline __attribute__((always_inline))
#endif

// NVRTC is no GCC. Of these only the first three are ever called there; the others stand in branches for packs.
#if defined(__CUDACC_RTC__)
#define __builtin_inf() __longlong_as_double(0x7ff0000000000000)
#define __builtin_sqrt(x) sqrt(x)
#define __builtin_floor(x) floor(x)
#define __builtin_memcpy(to, from, size) memcpy(to, from, size)
#define __builtin_convertvector(x, type) type(x)
#define __builtin_shufflevector(x, y, ...) (x)
#endif
