// What the kernels of finite differences are told: one run of consecutive positions of a row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../differences.cuh"

namespace opalg {

constexpr int kPairs = 12;  // differences that make up one entry, at most: four along each of three axes
constexpr int kParts = 8;   // entries of a vector, at most

// target[i] = factor * base[i] + sum of weight[k] * (plus[k][i] - minus[k][i]), i < length. The same for `lines` lines, from
// one of which to the next all pointers advance by `stride`, except those of a constant line of zeros.
template <class T> struct SumDifferences {
    T* target;
    const T* base;  // null: nothing is added; may be the target
    T factor;
    int pairs;
    const T* plus[kPairs];
    const T* minus[kPairs];
    std::ptrdiff_t plus_stride[kPairs], minus_stride[kPairs];  // `stride` or 0
    T weight[kPairs];
    std::int64_t length, lines;
    std::ptrdiff_t stride;
    bool stream;  // write past the caches
};

// target[k][i] = the shrunk vector of source[k][i] + scale * weight[k] * (plus[k][i] - minus[k][i]), i < length, line by
// line as above.
template <class T> struct ShrinkField {
    int parts;
    T* target[kParts];
    const T* source[kParts];  // may be the target
    const T* plus[kParts];    // null for all parts: no differences
    const T* minus[kParts];
    std::ptrdiff_t plus_stride[kParts], minus_stride[kParts];
    T weight[kParts];
    T scale, radius;
    Shrink how;
    std::int64_t length, lines;
    std::ptrdiff_t stride;
};

}  // namespace opalg
