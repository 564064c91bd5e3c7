// Slices with x and y exchanged, so that rays along x, too, read voxels that lie side by side.
//
// A thread owns eight voxels in y: it reads them beside its neighbours in x and writes them as one run.
#include "device.cuh"

// volumes [image, z, y, x]. Output turned [image, z, x, y]. Grid: tiles of x, tiles of y, slices; a block walks over
// slices if there are more than its grid has.
extern "C" __global__ void __launch_bounds__(256)
    turn_slices(std::int32_t nx, std::int32_t ny, std::int64_t slices, const opalg::Store* __restrict__ volumes,
                opalg::Store* __restrict__ turned, std::int64_t first_slice) {
    constexpr int run = 8;
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x);
    const int first = int(blockIdx.y * blockDim.y + threadIdx.y) * run;
    if (x >= nx || first >= ny) return;
    const int count = ny - first < run ? ny - first : run;
    for (std::int64_t slice = blockIdx.z; slice < slices; slice += gridDim.z) {
        const opalg::Store* from = volumes + ((first_slice + slice) * ny + first) * nx + x;
        opalg::Store* to = turned + (slice * nx + x) * ny + first;
        if (count == run) {
            opalg::Store voxels[run];
            for (int k = 0; k < run; ++k) voxels[k] = from[std::int64_t(k) * nx];
            for (int k = 0; k < run; ++k) to[k] = voxels[k];
        } else {
            for (int k = 0; k < count; ++k) to[k] = from[std::int64_t(k) * nx];
        }
    }
}
