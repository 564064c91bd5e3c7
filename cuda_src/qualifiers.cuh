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
