// The part of CUDA C that the kernels use, for a C++17 compiler: so that they run, slowly, where there is no GPU, and can
// be compared number by number and under sanitizers.
//
// Threads of a block run one after the other, blocks too: a kernel may not wait for other threads.
//
// A translation unit includes this header (or has it forced in front), then kernels, then says OPALG_ON_HOST(kernel) for
// each: that exports `kernel__on_host(grid, block, pointers to arguments)` and `kernel__on_host_packed(grid, block, buffer)`,
// which are the two ways in which cuLaunchKernel is given arguments.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
using uint3 = dim3;
static thread_local dim3 gridDim, blockDim, blockIdx, threadIdx;

using std::max;
using std::min;
template <class T> static inline T __ldg(const T* p) { return *p; }

// ---------------------------------------------------------------------------------------------------------- textures
// A handle is the address of a HostTexture. As the kernels want them: linear interpolation, zero outside, coordinates in
// pixels with centres at one half. Weights have eight bits behind the point, as in the texture units.
using cudaTextureObject_t = unsigned long long;

namespace opalg_on_host {

struct HostTexture {
    const float* data;
    std::int64_t width, height, depth;

    float at(std::int64_t x, std::int64_t y, std::int64_t z) const {
        const bool inside = x >= 0 && y >= 0 && z >= 0 && x < width && y < height && z < depth;
        return inside ? data[(z * height + y) * width + x] : 0.0f;
    }
    static float split(float x, std::int64_t& whole) {
        const float scaled = std::floor(std::min(std::max(x - 0.5f, -1e6f), 1e6f) * 256.0f + 0.5f);
        whole = std::int64_t(std::floor(scaled / 256.0f));
        return scaled / 256.0f - float(whole);
    }
    float plane(float x, float y, std::int64_t z) const {
        std::int64_t i, j;
        const float a = split(x, i), b = split(y, j);
        return (1 - b) * ((1 - a) * at(i, j, z) + a * at(i + 1, j, z)) + b * ((1 - a) * at(i, j + 1, z) + a * at(i + 1, j + 1, z));
    }
};

}  // namespace opalg_on_host

template <class T> static inline T tex2DLayered(cudaTextureObject_t handle, float x, float y, int layer) {
    return reinterpret_cast<const opalg_on_host::HostTexture*>(handle)->plane(x, y, layer);
}
template <class T> static inline T tex3D(cudaTextureObject_t handle, float x, float y, float z) {
    const auto* texture = reinterpret_cast<const opalg_on_host::HostTexture*>(handle);
    std::int64_t k;
    const float c = opalg_on_host::HostTexture::split(z, k);
    return (1 - c) * texture->plane(x, y, k) + c * texture->plane(x, y, k + 1);
}

// ------------------------------------------------------------------------------------------------------------ launches
namespace opalg_on_host {

template <class... A> struct Signature {
    template <class F> static void each_thread(const unsigned* grid, const unsigned* block, F&& call) {
        gridDim = {grid[0], grid[1], grid[2]};
        blockDim = {block[0], block[1], block[2]};
        for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
            for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
                for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
                    for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
                        for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
                            for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x) call();
    }
    template <std::size_t... I>
    static void run(void (*kernel)(A...), const unsigned* grid, const unsigned* block, void** p, std::index_sequence<I...>) {
        each_thread(grid, block, [&] { kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(p[I])...); });
    }
    static void launch(void (*kernel)(A...), const unsigned* grid, const unsigned* block, void** p) {
        run(kernel, grid, block, p, std::index_sequence_for<A...>{});
    }
    // Every argument at the next multiple of its alignment.
    static void launch_packed(void (*kernel)(A...), const unsigned* grid, const unsigned* block, char* buffer) {
        void* pointers[sizeof...(A) + 1];
        std::size_t offset = 0, k = 0;
        ((offset = (offset + alignof(A) - 1) / alignof(A) * alignof(A), pointers[k++] = buffer + offset, offset += sizeof(A)),
         ...);
        launch(kernel, grid, block, pointers);
    }
};
template <class... A> Signature<A...> signature_of(void (*)(A...)) { return {}; }

}  // namespace opalg_on_host

#define OPALG_ON_HOST(kernel)                                                                                         \
    extern "C" void kernel##__on_host(const unsigned* grid, const unsigned* block, void** arguments) {                \
        opalg_on_host::signature_of(&kernel).launch(&kernel, grid, block, arguments);                                 \
    }                                                                                                                 \
    extern "C" void kernel##__on_host_packed(const unsigned* grid, const unsigned* block, char* buffer) {             \
        opalg_on_host::signature_of(&kernel).launch_packed(&kernel, grid, block, buffer);                             \
    }
