// Finite differences, and the maps that bring vectors into a ball or shorten them: the dual and primal steps of total
// variation. Written on the lane types of lanes.cuh, for one position of the grid at a time.
#pragma once

#include "lanes.cuh"

namespace opalg {

// How the vector at a position is changed; the radius (or threshold) is r.
enum class Shrink : int {
    into_ball,  // the nearest vector no longer than r: isotropic total variation, dual
    into_box,   // each entry cut at -r and r: anisotropic, dual
    by_length,  // shortened by r: isotropic, primal (the prox of the sum of lengths)
    by_entry,   // each entry moved towards zero by r: anisotropic, primal
};

// Exactly zero where both are equal, whatever the weight.
template <class V> OPALG_INLINE V weighted_difference(V plus, V minus, V weight) { return weight * (plus - minus); }

// Comparisons are written so that NaN stays NaN: of two numbers that do not compare, `larger` and `smaller` give the second.
template <Shrink S, class V> OPALG_INLINE void shrink(V* vector, int parts, V radius) {
    if constexpr (S == Shrink::into_ball || S == Shrink::by_length) {
        V square = vector[0] * vector[0];
        for (int k = 1; k < parts; ++k) square = square + vector[k] * vector[k];
        V factor = radius / larger<V>(radius, square_root<V>(square));
        if constexpr (S == Shrink::by_length) factor = broadcast<V>(1) - factor;
        for (int k = 0; k < parts; ++k) vector[k] = vector[k] * factor;
    } else {
        for (int k = 0; k < parts; ++k) {
            const V cut = smaller<V>(radius, larger<V>(-radius, vector[k]));
            vector[k] = S == Shrink::into_box ? cut : vector[k] - cut;
        }
    }
}

}  // namespace opalg
