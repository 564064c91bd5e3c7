// What the kernels of finite differences are told: one run of consecutive positions of a row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../differences.cuh"

namespace opalg {

constexpr int kPairs = 12;  // differences that make up one entry, at most: four along each of three axes
constexpr int kParts = 8;   // entries of a vector, at most

// target[i] = factor * base[i] + sum of weight[k] * (plus[k][i] - minus[k][i]), i < length.
template <class T> struct SumDifferences {
    T* target;
    const T* base;  // null: nothing is added; may be the target
    T factor;
    int pairs;
    const T* plus[kPairs];
    const T* minus[kPairs];
    T weight[kPairs];
    std::int64_t length;
    bool stream;  // write past the caches
};

// target[k][i] = the shrunk vector of source[k][i] + scale * weight[k] * (plus[k][i] - minus[k][i]), i < length.
template <class T> struct ShrinkField {
    int parts;
    T* target[kParts];
    const T* source[kParts];  // may be the target
    const T* plus[kParts];    // null for all parts: no differences
    const T* minus[kParts];
    T weight[kParts];
    T scale, radius;
    Shrink how;
    std::int64_t length;
};

}  // namespace opalg
