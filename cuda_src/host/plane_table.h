// Where a group of lanes meets each plane of a band or strip.
#pragma once

#include "kernels.h"

namespace opalg {
namespace OPALG_ISA {

// Positions of a group of lanes in each of kPlanes planes, as integer and remainder.
template <class V> struct PlaneTable {
    using Real = RealOf<V>;
    typename Lanes<Real>::Index whole[kPlanes];
    Real part[kPlanes];

    // start: position in the first plane; beyond [low, high] all is zero, and wholes are kept within.
    OPALG_INLINE_MEMBER void fill(double start, double rate, const Ramp<V>& ramp, std::int64_t low, std::int64_t high) {
        constexpr double reach = 4 * kPlanes;  // more than a ramp climbs within a group of planes
        for (int j = 0; j < kPlanes; j += Lanes<V>::count) {
            Real remainder;
            const std::int64_t first = anchor(start + rate * j, double(low) - reach, double(high) + reach, remainder);
            IndexOf<V> w;
            V p;
            ramp.at(broadcast<V>(remainder), w, p);
            store(whole + j, clamped<V>(w + broadcast_index<V>(first), low, high));
            store(part + j, p);
        }
        // Read back one number at a time: without this g++ keeps the table in registers and extracts them, at the expense
        // of the port that permutes the samples.
        asm volatile("" : : "r"(this) : "memory");
    }
};

}  // namespace OPALG_ISA
}  // namespace opalg
