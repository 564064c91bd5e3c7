// Exchanging axes of arrays tile by tile, on the kernels that interleave images.
#pragma once

#include <algorithm>

#include "kernels.h"

namespace opalg {

// Of count rows, source(r) points to `length` numbers: target[i * stride + r] = source(r)[i]. Of every target row as many
// numbers are written as there are lanes, those behind the last row as zeros.
template <class T, class Rows>
void rows_to_columns(const Kernels<T>& kernels, const Rows& source, std::int64_t count, std::int64_t length, T* target,
                     std::int64_t stride) {
    constexpr int most = 64;
    const T* from[most];
    T ones[most];
    std::int32_t begin[most + 1];
    std::fill(ones, ones + most, T(1));
    for (std::int64_t first = 0; first < count; first += kernels.lanes) {
        const int used = int(std::min<std::int64_t>(kernels.lanes, count - first));
        for (int l = 0; l <= kernels.lanes; ++l) begin[l] = std::min(l, used);
        for (int l = 0; l < used; ++l) from[l] = source(first + l);
        kernels.pack_row({begin, from, ones, 0, length, T(1), target + first, std::ptrdiff_t(stride)});
    }
}

// The other way, added: target(r)[i] += source[i * stride + r]. Rows of the source are readable up to a multiple of lanes.
template <class T, class Rows>
void add_columns_to_rows(const Kernels<T>& kernels, const T* source, std::int64_t stride, std::int64_t count,
                         std::int64_t length, const Rows& target) {
    constexpr int most = 64;
    T* to[most];
    for (std::int64_t first = 0; first < count; first += kernels.lanes) {
        for (int l = 0; l < kernels.lanes; ++l) to[l] = first + l < count ? target(first + l) : nullptr;
        kernels.unpack_row({source + first, std::ptrdiff_t(stride), length, T(1), to, 0, true});
    }
}

}  // namespace opalg
