// What stands in front of a function so that one source compiles for CUDA devices and for the host.
//
// Host functions are `static` and always inlined: the same header is compiled once per instruction set, and of an inline
// symbol shared by these objects the linker might keep the copy that an older processor cannot run.
#pragma once

#if defined(__CUDACC__)
#define OPALG_INLINE static __device__ __forceinline__
#define OPALG_INLINE_MEMBER __device__ __forceinline__
#else
#define OPALG_INLINE static inline __attribute__((always_inline))
#define OPALG_INLINE_MEMBER inline __attribute__((always_inline))
#endif
