// Sums of parts that were computed one after the other.
#include "device.cuh"

extern "C" __global__ void __launch_bounds__(256)
    add_into(OPALG_REAL* __restrict__ sums, const OPALG_REAL* __restrict__ parts, long long count) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) sums[i] += parts[i];
}
